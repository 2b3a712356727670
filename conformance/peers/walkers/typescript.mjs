// Walks through servers with the TypeScript SDK and prints what each said as a line of JSON.
// Standard input: a list of walks, each with "id", {"url": …} or {"command": […], "env": {…}},
// "steps" as in plans.mjs, "revision" for a client of an older one, and "interactive": true for a
// client that answers questions.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.PEERS_MODULES + "/");
const sdk = (path) => require(`@modelcontextprotocol/sdk/${path}`);
const { Client } = sdk("client/index.js");
const { StdioClientTransport } = sdk("client/stdio.js");
const { StreamableHTTPClientTransport } = sdk("client/streamableHttp.js");
const types = sdk("types.js");


// The client asks for its newest revision; an older client would have asked for `revision`.
function older(transport, revision) {
  const send = transport.send.bind(transport);
  transport.send = (message, options) => {
    if (message.method !== "initialize") return send(message, options);
    const params = { ...message.params, protocolVersion: revision };
    return send({ ...message, params }, options);
  };
}

function transportOf({ url, command, env, revision }, said) {
  const [program, ...args] = command ?? [];
  const transport = url
    ? new StreamableHTTPClientTransport(new URL(url))
    : new StdioClientTransport({ command: program, args, env: { ...process.env, ...env }, stderr: "ignore" });
  if (revision) older(transport, revision);
  const agreed = transport.setProtocolVersion?.bind(transport);
  transport.setProtocolVersion = (revision) => {
    said.revision = revision;
    agreed?.(revision);
  };
  return transport;
}

function answering(client, asked) {
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

async function take(client, step) {
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

async function walk(target) {
  const capabilities = target.interactive ? { elicitation: {}, sampling: {}, roots: {} } : {};
  const client = new Client({ name: "walk", version: "1" }, { capabilities });
  const said = { steps: [] };
  const asked = [];
  if (target.interactive) answering(client, asked);
  await client.connect(transportOf(target, said));
  said.tools = await listed(wholeList((params) => client.listTools(params), "tools"));
  said.resources = await listed(wholeList((params) => client.listResources(params), "resources"));
  said.prompts = await listed(wholeList((params) => client.listPrompts(params), "prompts"));
  for (const step of target.steps) {
    const heard = await tried(take(client, step));
    said.steps.push({ ...heard, asked: asked.splice(0) });
  }
  await client.close();
  return said;
}

for (const target of JSON.parse(readFileSync(0, "utf8"))) {
  const heard = await walk(target).then((said) => ({ said }), (error) => ({ failed: String(error) }));
  console.log(JSON.stringify({ id: target.id, ...heard }));
}
process.exit(0);
