// Walks through a server with the TypeScript SDK and prints all it said as JSON.
// Standard input as for walk.py, and "interactive": true for a client that answers questions.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.PEERS_MODULES + "/");
const sdk = (path) => require(`@modelcontextprotocol/sdk/${path}`);
const { Client } = sdk("client/index.js");
const { StdioClientTransport } = sdk("client/stdio.js");
const { StreamableHTTPClientTransport } = sdk("client/streamableHttp.js");
const types = sdk("types.js");

const target = JSON.parse(readFileSync(0, "utf8"));
const capabilities = target.interactive ? { elicitation: {}, sampling: {}, roots: {} } : {};
const client = new Client({ name: "walk", version: "1" }, { capabilities });
const asked = [];

if (target.interactive) {
  client.setRequestHandler(types.ElicitRequestSchema, (request) => {
    asked.push({ method: request.method, message: request.params.message });
    return { action: "decline" };
  });
  client.setRequestHandler(types.CreateMessageRequestSchema, (request) => {
    asked.push({ method: request.method, messages: request.params.messages });
    return { role: "assistant", model: "none", content: { type: "text", text: "hello" } };
  });
  client.setRequestHandler(types.ListRootsRequestSchema, () => ({ roots: [] }));
}

const [program, ...args] = target.command ?? [];
const env = { ...process.env, ...target.env };
await client.connect(
  target.url
    ? new StreamableHTTPClientTransport(new URL(target.url))
    : new StdioClientTransport({ command: program, args, env, stderr: "ignore" }),
);

const tried = (work) => work.catch((error) => ({ error: error.message }));

// A server need not have every kind of list, nor say so in one way.
const listed = (work) => work.catch(() => "none");

async function wholeList(list, field) {
  const found = [];
  let cursor;
  do {
    const page = await list(cursor === undefined ? {} : { cursor });
    found.push(...page[field]);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return found;
}

async function step(step) {
  if (step.call) {
    const progress = [];
    const options = step.progress
      ? { onprogress: ({ progress: done, total }) => progress.push([done, total]) }
      : {};
    const params = { name: step.call, arguments: step.arguments };
    const result = await client.callTool(params, undefined, options);
    return { result, progress: progress.slice(0, step.progress ?? 0) };
  }
  if (step.read) return client.readResource({ uri: step.read });
  if (step.prompt) return client.getPrompt({ name: step.prompt, arguments: step.arguments });
  const ref = { type: "ref/prompt", name: step.complete };
  return client.complete({ ref, argument: { name: step.argument, value: step.value } });
}

const said = {
  tools: await listed(wholeList((params) => client.listTools(params), "tools")),
  resources: await listed(wholeList((params) => client.listResources(params), "resources")),
  prompts: await listed(wholeList((params) => client.listPrompts(params), "prompts")),
  steps: [],
};
for (const next of target.steps) said.steps.push(await tried(step(next)));
said.asked = asked;
await client.close();
console.log(JSON.stringify(said));
process.exit(0);
