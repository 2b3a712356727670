// Clients in common use, as their makers publish them, and how each lists its servers with their state. None of
// them is logged in.
//   id         the name that `mainstay export` knows it by
//   command    what lists its servers
//   env        what the listing needs beside HOME and PATH
//   input      what is written to it; `until` then ends it, once that is in its output
//   connected  what its list says of a server that it is connected to
import { join } from "node:path";

const asked = [
  { id: 1, method: "initialize", params: { clientInfo: { name: "conformance", version: "1" } } },
  { method: "initialized" },
  { id: 2, method: "mcpServerStatus/list", params: {} },
];

// Codex's own list is only its configuration; the server that its editors use connects.
function codexConnected(said) {
  const lines = said.split("\n").filter((line) => line.startsWith('{"id":2,'));
  const servers = lines.map((line) => JSON.parse(line).result.data).flat();
  const ours = servers.find(({ name }) => name === "mainstay");
  return ours?.serverInfo?.name === "mainstay" && Object.keys(ours.tools).length > 0;
}

const has = (pattern) => (said) => pattern.test(said);

export const clients = ({ node, modules }) => [
  {
    id: "claude-code",
    command: [join(modules, "@anthropic-ai/claude-code-linux-x64/claude"), "mcp", "list"],
    connected: has(/^mainstay: .* - ✔ Connected$/m),
  },
  {
    id: "codex",
    command: [
      join(modules, "@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex"),
      "app-server",
    ],
    input: asked.map((message) => `${JSON.stringify(message)}\n`).join(""),
    until: /^\{"id":2,.*\n/m,
    connected: codexConnected,
  },
  {
    id: "gemini",
    command: [node, join(modules, "@google/gemini-cli/bundle/gemini.js"), "mcp", "list"],
    // It connects to no server in a folder that it does not trust.
    env: { GEMINI_CLI_TRUST_WORKSPACE: "true" },
    connected: has(/^✓ mainstay: .* - Connected$/m),
  },
  {
    id: "qwen",
    command: [node, join(modules, "@qwen-code/qwen-code/cli-entry.js"), "mcp", "list"],
    connected: has(/^✓ mainstay: .* - Connected$/m),
  },
  {
    id: "opencode",
    command: [join(modules, "opencode-linux-x64/bin/opencode"), "mcp", "list"],
    connected: has(/✓ mainstay +connected/),
  },
];
