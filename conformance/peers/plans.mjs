// What each server is asked, and how it is started. The answers must depend on nothing but the
// question: a plan that is run twice gives the same twice; what can't be so is named in `varies`.
// `nobody`: no server has what is asked. `wrong`: the arguments do not fit the schema. `modern`: the server speaks 2026-07-28, too.
// `keeps`: it keeps what it is told, so that two clients at once would get in each other's way.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

// A repository that is the same wherever and whenever it is made, with a change not committed.
function repository(folder) {
  const at = join(folder, "repository");
  if (existsSync(at)) return at;
  const when = "2026-01-02T03:04:05Z";
  const person = Object.fromEntries(
    ["AUTHOR", "COMMITTER"].flatMap((role) => [
      [`GIT_${role}_NAME`, "Ada"],
      [`GIT_${role}_EMAIL`, "ada@example.com"],
      [`GIT_${role}_DATE`, when],
    ]),
  );
  const env = { ...process.env, ...person, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" };
  mkdirSync(at, { recursive: true });
  const git = (...words) => execFileSync("git", ["-C", at, ...words], { env, stdio: "pipe" });
  git("init", "--quiet", "--initial-branch", "main");
  writeFileSync(join(at, "poem.txt"), "line one\nline two\n");
  git("add", "poem.txt");
  git("commit", "--quiet", "--message", "A poem");
  writeFileSync(join(at, "poem.txt"), "line one\nline three – ü\n");
  return at;
}

// The servers with a work folder of their own each; `web` is where a page is served.
export function servers({ node, python2: python, modules, fixture, web }, folder) {
  const script = (name) => join(modules, "@modelcontextprotocol", `server-${name}`, "dist/index.js");
  const files = join(folder, "files");
  mkdirSync(files, { recursive: true });
  writeFileSync(join(files, "poem.txt"), "line one\nline two\nline three – ü\n");
  const repo = repository(folder);
  return {
    fixture: {
      command: [fixture, "stdio"],
      env: {},
      modern: true,
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
      inspected: { call: "test_simple_text", arguments: {} },
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
        { call: "get-sum", arguments: { a: "not a number" }, wrong: true },
        { call: "no-such-tool", arguments: {}, nobody: true },
        { read: "demo://resource/static/document/architecture.md" },
        { read: "demo://nowhere", nobody: true },
        { prompt: "simple-prompt" },
        { prompt: "args-prompt", arguments: { city: "Ulm", state: "BW" } },
        { complete: "completable-prompt", argument: "department", value: "E" },
        { cancel: "trigger-long-running-operation", arguments: { duration: 4, steps: 40 } },
      ],
      inspected: { call: "echo", arguments: { message: "hi" } },
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
      keeps: true,
      steps: [
        { call: "list_allowed_directories", arguments: {} },
        { call: "read_text_file", arguments: { path: join(files, "poem.txt"), head: 2 } },
        { call: "write_file", arguments: { path: join(files, "new.txt"), content: "new\n" } },
        { call: "edit_file", arguments: { path: join(files, "new.txt"), edits: [{ oldText: "new", newText: "old" }] } },
        { call: "read_multiple_files", arguments: { paths: [join(files, "new.txt"), join(files, "poem.txt")] } },
        { call: "list_directory", arguments: { path: files } },
        { call: "read_text_file", arguments: { path: "/etc/passwd" } },
      ],
      inspected: { call: "read_text_file", arguments: { path: join(files, "poem.txt") } },
    },
    memory: {
      command: [node, script("memory")],
      env: { MEMORY_FILE_PATH: join(folder, "memory.jsonl") },
      keeps: true,
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
      inspected: { call: "read_graph", arguments: {} },
    },
    "sequential-thinking": {
      command: [node, script("sequential-thinking")],
      env: { DISABLE_THOUGHT_LOGGING: "true" },
      steps: [
        {
          call: "sequentialthinking",
          arguments: { thought: "First things first", nextThoughtNeeded: true, thoughtNumber: 1, totalThoughts: 2 },
        },
        { call: "sequentialthinking", arguments: { thought: "and last" } },
      ],
      inspected: {
        call: "sequentialthinking",
        arguments: { thought: "One", nextThoughtNeeded: false, thoughtNumber: 1, totalThoughts: 1 },
      },
      // It counts what it was told by anybody.
      varies: [[/(?<=thoughtHistoryLength\W+)\d+/g, "0"]],
    },
    time: {
      command: [python, "-m", "mcp_server_time", "--local-timezone", "UTC"],
      env: {},
      modern: true,
      steps: [
        { call: "convert_time", arguments: { source_timezone: "UTC", time: "12:30", target_timezone: "Asia/Kathmandu" } },
        { call: "get_current_time", arguments: { timezone: "UTC" } },
        { call: "get_current_time", arguments: { timezone: "Nowhere/Never" } },
        { call: "get_current_time", arguments: {} },
        { call: "no-such-tool", arguments: {}, nobody: true },
      ],
      inspected: { call: "convert_time", arguments: { source_timezone: "UTC", time: "12:30", target_timezone: "Asia/Tokyo" } },
      varies: [[/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/g, "THEN"]],
    },
    git: {
      command: [python, "-m", "mcp_server_git", "--repository", repo],
      env: {},
      modern: true,
      steps: [
        { call: "git_status", arguments: { repo_path: repo } },
        { call: "git_diff_unstaged", arguments: { repo_path: repo } },
        { call: "git_log", arguments: { repo_path: repo, max_count: 5 } },
        { call: "git_show", arguments: { repo_path: repo, revision: "HEAD" } },
        { call: "git_show", arguments: { repo_path: repo, revision: "no-such-revision" } },
        { call: "git_status", arguments: { repo_path: "/" } },
        { call: "git_log", arguments: {} },
      ],
      inspected: { call: "git_log", arguments: { repo_path: repo } },
    },
    fetch: {
      command: [python, "-m", "mcp_server_fetch", "--allow-private-ips", "--ignore-robots-txt"],
      env: { NO_PROXY: "127.0.0.1" },
      modern: true,
      steps: [
        { call: "fetch", arguments: { url: `${web}/page` } },
        { call: "fetch", arguments: { url: `${web}/page`, max_length: 7, start_index: 3 } },
        { call: "fetch", arguments: { url: `${web}/missing` } },
        { call: "fetch", arguments: { url: "no address" } },
        { prompt: "fetch", arguments: { url: `${web}/page` } },
        { cancel: "fetch", arguments: { url: `${web}/slow` } },
      ],
      inspected: { call: "fetch", arguments: { url: `${web}/page` } },
    },
  };
}
