// A bridge for clients that can only start a command; a client on the official SDK starts it.
import { join } from "node:path";

export default {
  name: "mcp-remote 0.15",
  program: ({ node }) => [node, "typescript.mjs", "1"],
  modes: [
    {
      mode: "legacy",
      reach: (url, { node, modules, folder }) => ({
        command: [node, join(modules, "mcp-remote/dist/proxy.js"), url, "--transport", "http-only"],
        env: { MCP_REMOTE_CONFIG_DIR: join(folder, "mcp-remote") },
      }),
    },
  ],
};
