// Walks through servers with the TypeScript SDK and prints what each said as a line of JSON:
//   node typescript.mjs 1|2        the line of the SDK
// Standard input: a list of walks, each with "id", {"url": …} or {"command": […], "env": {…}},
// "mode" (legacy, auto, or a revision that is insisted on), "transport": "sse" for HTTP+SSE,
// "steps" as in plans.mjs, "revision" for a client of an older one, and "interactive": true for a
// client that answers questions.
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { sdk } from "./typescript-sdk.mjs";

// Long after a call has reached its server, and long before the slow tools of the plans are done.
const GIVE_UP_MS = 400;
// For a whole walk, the start of the server included.
const WALK_MS_MAX = 40_000;

const { newClient, transportTo, answer, callTool } = await sdk(process.argv[2]);

// The client asks for its newest revision; an older client would have asked for `revision`.
function older(transport, revision) {
  const send = transport.send.bind(transport);
  transport.send = (message, options) => {
    if (message.method !== "initialize") return send(message, options);
    const params = { ...message.params, protocolVersion: revision };
    return send({ ...message, params }, options);
  };
}

function connection(target, said) {
  const transport = transportTo(target);
  if (target.revision) older(transport, target.revision);
  const agreed = transport.setProtocolVersion?.bind(transport);
  transport.setProtocolVersion = (revision) => {
    said.revision = revision;
    agreed?.(revision);
  };
  return transport;
}

function answering(client, asked) {
  answer(client, "elicitation/create", (request) => {
    asked.push({ method: request.method, message: request.params.message });
    return { action: "decline" };
  });
  answer(client, "sampling/createMessage", (request) => {
    asked.push({ method: request.method, messages: request.params.messages });
    return { role: "assistant", model: "none", content: { type: "text", text: "hello" } };
  });
  answer(client, "roots/list", () => ({ roots: [] }));
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

const tools = (client) => listed(wholeList((params) => client.listTools(params), "tools"));

async function take(client, step) {
  if (step.call) {
    const progress = [];
    const options = step.progress
      ? { onprogress: ({ progress: done, total }) => progress.push([done, total]) }
      : {};
    const result = await callTool(client, { name: step.call, arguments: step.arguments }, options);
    return { result, progress: progress.slice(0, step.progress ?? 0) };
  }
  if (step.cancel) {
    const patience = AbortSignal.timeout(GIVE_UP_MS);
    const call = callTool(client, { name: step.cancel, arguments: step.arguments }, { signal: patience });
    await call.then(() => Promise.reject(new Error("it was answered")), () => {});
    return { given_up: true };
  }
  if (step.read) return client.readResource({ uri: step.read });
  if (step.prompt) return client.getPrompt({ name: step.prompt, arguments: step.arguments });
  const ref = { type: "ref/prompt", name: step.complete };
  return client.complete({ ref, argument: { name: step.argument, value: step.value } });
}

async function walk(target) {
  const capabilities = target.interactive ? { elicitation: {}, sampling: {}, roots: {} } : {};
  const client = newClient(target.mode, capabilities);
  const said = { steps: [] };
  const asked = [];
  if (target.interactive) answering(client, asked);
  await client.connect(connection(target, said));
  said.revision = client.getNegotiatedProtocolVersion?.() ?? said.revision;
  said.tools = await tools(client);
  said.resources = await listed(wholeList((params) => client.listResources(params), "resources"));
  said.prompts = await listed(wholeList((params) => client.listPrompts(params), "prompts"));
  for (const step of target.steps) {
    const heard = await tried(take(client, step));
    said.steps.push({ ...heard, asked: asked.splice(0) });
  }
  said.tools_again = await tools(client);
  await client.close();
  return said;
}

async function late() {
  await pause(WALK_MS_MAX, undefined, { ref: false });
  throw new Error(`not done after ${WALK_MS_MAX / 1000} s`);
}

for (const target of JSON.parse(readFileSync(0, "utf8"))) {
  const work = Promise.race([walk(target), late()]);
  const heard = await work.then((said) => ({ said }), (error) => ({ failed: String(error) }));
  console.log(JSON.stringify({ id: target.id, ...heard }));
}
process.exit(0);
