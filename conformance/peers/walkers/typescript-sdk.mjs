// The two lines of the TypeScript SDK, as far as they differ.
import { createRequire } from "node:module";

const require = createRequire(process.env.PEERS_MODULES + "/");
const about = { name: "walk", version: "1" };

const asProcess = ({ command: [command, ...args], env }) => ({
  command,
  args,
  env: { ...process.env, ...env },
  stderr: "ignore",
});

function one() {
  const part = (path) => require(`@modelcontextprotocol/sdk/${path}`);
  const { Client } = part("client/index.js");
  const { StdioClientTransport } = part("client/stdio.js");
  const { StreamableHTTPClientTransport } = part("client/streamableHttp.js");
  const { SSEClientTransport } = part("client/sse.js");
  const types = part("types.js");
  const questions = {
    "elicitation/create": types.ElicitRequestSchema,
    "sampling/createMessage": types.CreateMessageRequestSchema,
    "roots/list": types.ListRootsRequestSchema,
  };
  return {
    newClient: (_mode, capabilities) => new Client(about, { capabilities }),
    transportTo: over(StdioClientTransport, StreamableHTTPClientTransport, SSEClientTransport),
    answer: (client, method, handler) => client.setRequestHandler(questions[method], handler),
    callTool: (client, params, options) => client.callTool(params, undefined, options),
  };
}

function two() {
  const { Client, StreamableHTTPClientTransport, SSEClientTransport } = require("@modelcontextprotocol/client");
  const { StdioClientTransport } = require("@modelcontextprotocol/client/stdio");
  const modes = { legacy: "legacy", sse: "legacy", auto: "auto", "auto over sse": "auto" };
  return {
    newClient: (mode, capabilities) =>
      new Client(about, { capabilities, versionNegotiation: { mode: modes[mode] ?? { pin: mode } } }),
    transportTo: over(StdioClientTransport, StreamableHTTPClientTransport, SSEClientTransport),
    answer: (client, method, handler) => client.setRequestHandler(method, handler),
    callTool: (client, params, options) => client.callTool(params, options),
  };
}

const over = (Stdio, Http, Sse) => (target) => {
  if (!target.url) return new Stdio(asProcess(target));
  return target.transport === "sse" ? new Sse(new URL(target.url)) : new Http(new URL(target.url));
};

export const sdk = (line) => (line === "1" ? one() : two());
