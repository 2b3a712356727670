// Walks through servers with Mastra's client and prints what each said as a line of JSON. Standard
// input as for typescript.mjs, without "interactive" and "revision".
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as pause } from "node:timers/promises";

// For a whole walk, the start of the server included.
const WALK_MS_MAX = 40_000;
const NAME = "walked";

const { MCPClient } = createRequire(process.env.PEERS_MODULES + "/")("@mastra/mcp");

function server({ url, command, env = {} }) {
  if (url) return { url: new URL(url) };
  const [program, ...args] = command;
  return { command: program, args, env, stderr: "ignore" };
}

const tried = (work) => work.catch((error) => ({ error: error.cause?.message ?? error.message }));
const listed = async (work) => (await work.catch(() => ({})))[NAME] ?? "none";

async function tools(client) {
  const { toolsets, errors } = await client.listToolsetsWithErrors();
  if (errors[NAME]) throw new Error(errors[NAME]);
  return toolsets[NAME];
}

const shown = (tools) => Object.entries(tools).map(([name, { description }]) => ({ name, description }));

async function take(client, found, step) {
  if (step.call) return { result: await found[step.call].execute(step.arguments, {}) };
  if (step.read) return client.resources.read(NAME, step.read);
  return client.prompts.get({ serverName: NAME, name: step.prompt, args: step.arguments });
}

async function walk(target) {
  const client = new MCPClient({ id: `walk-${target.id}`, servers: { [NAME]: server(target) } });
  try {
    const found = await tools(client);
    const said = { tools: shown(found), steps: [] };
    said.resources = await listed(client.resources.list());
    said.prompts = await listed(client.prompts.list());
    for (const step of target.steps) said.steps.push(await tried(take(client, found, step)));
    said.tools_again = shown(await tools(client));
    return said;
  } finally {
    await client.disconnect();
  }
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
