// Asks servers with the inspector's command line, as a user would, and prints what each said as a
// line of JSON. Standard input as for typescript.mjs; of the steps it takes the first, a call.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { run } from "../../processes.mjs";

const INSPECTION_MS_MAX = 30_000;

const about = join(process.env.PEERS_MODULES, "@modelcontextprotocol/inspector/package.json");
const program = join(dirname(about), JSON.parse(readFileSync(about, "utf8")).bin["mcp-inspector"]);
const folder = mkdtempSync(join(process.env.TMPDIR ?? tmpdir(), "mainstay-inspector."));
const env = { MCP_CATALOG_PATH: join(folder, "catalog.json") };

function server({ url, command, env = {} }) {
  if (url) return [url, "--transport", "http"];
  return [...Object.entries(env).flatMap(([name, value]) => ["-e", `${name}=${value}`]), ...command];
}

async function ask(target, flags) {
  const how = ["--protocol-era", target.mode, "--format", "json", "-q"];
  const command = [process.execPath, program, "--cli", ...server(target), ...how, ...flags];
  return JSON.parse(await run(command, { env, deadline: INSPECTION_MS_MAX })).result;
}

async function walk(target) {
  const [{ call, arguments: values }] = target.steps;
  const given = Object.entries(values).flatMap(([name, value]) => ["--tool-arg", `${name}=${value}`]);
  const { tools } = await ask(target, ["--method", "tools/list"]);
  const result = await ask(target, ["--method", "tools/call", "--tool-name", call, ...given]);
  return { tools, steps: [{ result }] };
}

for (const target of JSON.parse(readFileSync(0, "utf8"))) {
  const heard = await walk(target).then((said) => ({ said }), (error) => ({ failed: error.message }));
  console.log(JSON.stringify({ id: target.id, ...heard }));
}
rmSync(folder, { recursive: true, force: true });
