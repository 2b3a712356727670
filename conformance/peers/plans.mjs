// What each server is asked, and how it is started. The answers must depend on nothing but the
// question: a plan that is run twice gives the same twice. `nobody`: no server has what is asked.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

// The servers with a work folder of their own each.
export function servers({ node, modules, fixture }, folder) {
  const script = (name) => join(modules, "@modelcontextprotocol", `server-${name}`, "dist/index.js");
  const files = join(folder, "files");
  mkdirSync(files, { recursive: true });
  writeFileSync(join(files, "poem.txt"), "line one\nline two\nline three – ü\n");
  return {
    fixture: {
      command: [fixture, "stdio"],
      env: {},
      steps: [
        { call: "test_multiple_content_types", arguments: {} },
        { call: "test_audio_content", arguments: {} },
        { call: "test_error_handling", arguments: {} },
        { call: "test_tool_with_progress", arguments: {}, progress: 2 },
        { read: "test://static-binary" },
        { read: "test://template/7/data" },
        { prompt: "test_prompt_with_image" },
        { complete: "test_prompt_with_arguments", argument: "arg1", value: "p" },
      ],
      inspected: ["--method", "tools/call", "--tool-name", "test_simple_text"],
      interactive: [
        { call: "test_elicitation", arguments: { message: "Who?" } },
        { call: "test_sampling", arguments: { prompt: "Say hello" } },
      ],
    },
    everything: {
      command: [node, script("everything")],
      env: {},
      steps: [
        { call: "echo", arguments: { message: "héllo 😀 \"quoted\"" } },
        { call: "get-sum", arguments: { a: 2, b: 40.5 } },
        { call: "get-tiny-image", arguments: {} },
        { call: "get-annotated-message", arguments: { messageType: "error", includeImage: true } },
        { call: "get-structured-content", arguments: { location: "Chicago" } },
        { call: "get-resource-links", arguments: { count: 4 } },
        // The last report races with the result inside the clients: only those before it count.
        { call: "trigger-long-running-operation", arguments: { duration: 0.3, steps: 3 }, progress: 2 },
        { call: "get-sum", arguments: { a: "not a number" } },
        { call: "no-such-tool", arguments: {}, nobody: true },
        { read: "demo://resource/static/document/architecture.md" },
        { read: "demo://nowhere", nobody: true },
        { prompt: "simple-prompt" },
        { prompt: "args-prompt", arguments: { city: "Ulm", state: "BW" } },
        { complete: "completable-prompt", argument: "department", value: "E" },
      ],
      inspected: ["--method", "tools/call", "--tool-name", "echo", "--tool-arg", "message=hi"],
      // Offered only to a client that can answer.
      conditional: ["get-roots-list", "trigger-elicitation-request", "trigger-sampling-request", "trigger-url-elicitation"],
      interactive: [
        { call: "trigger-elicitation-request", arguments: {} },
        { call: "trigger-sampling-request", arguments: { prompt: "Say hello", maxTokens: 20 } },
      ],
    },
    filesystem: {
      command: [node, script("filesystem"), files],
      env: {},
      steps: [
        { call: "list_allowed_directories", arguments: {} },
        { call: "read_text_file", arguments: { path: join(files, "poem.txt"), head: 2 } },
        { call: "write_file", arguments: { path: join(files, "new.txt"), content: "new\n" } },
        { call: "edit_file", arguments: { path: join(files, "new.txt"), edits: [{ oldText: "new", newText: "old" }] } },
        { call: "read_multiple_files", arguments: { paths: [join(files, "new.txt"), join(files, "poem.txt")] } },
        { call: "list_directory", arguments: { path: files } },
        { call: "read_text_file", arguments: { path: "/etc/passwd" } },
      ],
      inspected: ["--method", "tools/call", "--tool-name", "read_text_file", "--tool-arg", `path=${join(files, "poem.txt")}`],
    },
    memory: {
      command: [node, script("memory")],
      env: { MEMORY_FILE_PATH: join(folder, "memory.jsonl") },
      steps: [
        { call: "create_entities", arguments: { entities: [{ name: "Ada", entityType: "person", observations: ["counts"] }] } },
        { call: "add_observations", arguments: { observations: [{ entityName: "Ada", contents: ["writes"] }] } },
        { call: "search_nodes", arguments: { query: "writes" } },
        { call: "read_graph", arguments: {} },
        { read: "memory://knowledge-graph" },
        // As it was: another client may come after this one.
        { call: "delete_entities", arguments: { entityNames: ["Ada"] } },
        { call: "read_graph", arguments: {} },
      ],
      inspected: ["--method", "tools/call", "--tool-name", "read_graph"],
    },
  };
}
