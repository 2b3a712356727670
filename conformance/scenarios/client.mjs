// The reference client of the suite's client scenarios, on the official SDK:
//   node client.mjs URL
// The suite says in the environment what to act out: MCP_CONFORMANCE_SCENARIO, at which revision,
// MCP_CONFORMANCE_PROTOCOL_VERSION, and with what, MCP_CONFORMANCE_CONTEXT.
import { createRequire } from "node:module";

const require = createRequire(process.env.PEERS_MODULES + "/");
const { Client, StreamableHTTPClientTransport } = require("@modelcontextprotocol/client");

const MODERN = "2026-07-28";

const { MCP_CONFORMANCE_SCENARIO: scenario, MCP_CONFORMANCE_PROTOCOL_VERSION: revision } = process.env;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? "{}");
const url = process.argv[2];

async function connected(capabilities = {}, prepare = () => {}) {
  const mode = revision === MODERN ? "auto" : "legacy";
  const client = new Client({ name: "reference", version: "1" }, { capabilities, versionNegotiation: { mode } });
  prepare(client);
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  return client;
}

const acts = {
  async initialize() {
    const client = await connected();
    await client.listTools();
    return client;
  },

  async tools_call() {
    const client = await connected();
    await client.listTools();
    await client.callTool({ name: "add_numbers", arguments: { a: 5, b: 3 } });
    return client;
  },

  // The answer is left empty: the SDK fills in what the form names as defaults.
  async "elicitation-sep1034-client-defaults"() {
    const client = await connected({ elicitation: { form: { applyDefaults: true } } }, (client) =>
      client.setRequestHandler("elicitation/create", () => ({ action: "accept", content: {} })),
    );
    await client.listTools();
    await client.callTool({ name: "test_client_elicitation_defaults", arguments: {} });
    return client;
  },

  async "sse-retry"() {
    const client = await connected();
    await client.listTools();
    await client.callTool({ name: "test_reconnection", arguments: {} });
    return client;
  },

  async "request-metadata"() {
    const client = await connected({ roots: {}, sampling: {}, elicitation: {} });
    await client.listTools();
    return client;
  },

  // Another tool is called while the first one waits: nothing of one may get into the other.
  async "sep-2322-client-request-state"() {
    const client = await connected({ elicitation: {} }, (client) =>
      client.setRequestHandler("elicitation/create", async () => {
        await client.callTool({ name: "test_mrtr_unrelated", arguments: {} });
        return { action: "accept", content: { confirmed: true } };
      }),
    );
    await client.listTools();
    for (const name of ["test_mrtr_echo_state", "test_mrtr_no_state"]) await client.callTool({ name, arguments: {} });
    // The SDK wants this result to say its type and fails; it must only not ask again.
    await client.callTool({ name: "test_mrtr_no_result_type", arguments: {} }).catch(() => {});
    return client;
  },

  async "http-standard-headers"() {
    const client = await connected();
    const { tools } = await client.listTools();
    for (const { name } of tools) await client.callTool({ name, arguments: {} });
    const { resources } = await client.listResources();
    for (const { uri } of resources) await client.readResource({ uri });
    const { prompts } = await client.listPrompts();
    for (const { name } of prompts) await client.getPrompt({ name });
    return client;
  },

  async "http-custom-headers"() {
    const client = await connected();
    await client.listTools();
    for (const call of context.toolCalls) await client.callTool(call);
    return client;
  },

  // Whatever is still listed is called: of the tools that are wrong none may be.
  async "http-invalid-tool-headers"() {
    const client = await connected();
    const { tools } = await client.listTools();
    for (const { name, inputSchema } of tools) {
      const filled = (inputSchema.required ?? []).map((key) => [key, "x"]);
      await client.callTool({ name, arguments: Object.fromEntries(filled) });
    }
    return client;
  },

  async "json-schema-ref-no-deref"() {
    const client = await connected();
    await client.listTools();
    return client;
  },
};

if (!(scenario in acts)) {
  console.error(`no act for the scenario ${scenario}`);
  process.exit(2);
}
const client = await acts[scenario]();
await client.close();
// Streams that a server holds open must not keep the process.
process.exit(0);
