// What the suite requires, and what it found.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

// The scenarios a revision requires of a `server` or a `client`, out of the suite's own list,
// which is plain enough to need no parser.
export function required(file, leg) {
  const body = readFileSync(file, "utf8").split(new RegExp(`^${leg}:\\s*$`, "m"))[1].split(/^\S/m)[0];
  return [...body.matchAll(/^\s+-\s+([\w/.-]+)/gm)].map((found) => found[1]);
}

// The checks of a scenario's last run. Folders are named after scenario and time, those of servers
// with `server-` before.
export function checksOf(results, scenario) {
  if (!existsSync(results)) return [];
  const folder = readdirSync(results)
    .filter((name) => name.startsWith(`${scenario}-2`))
    .sort()
    .at(-1);
  const file = folder && join(results, folder, "checks.json");
  return file && existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : [];
}

const of = (checks, status) => checks.filter((check) => check.status === status);

// A scenario passes when it ran, made at least one check and failed none; of `warned`, what it
// warned of counts as failed, too. Gives back what is wrong, line by line.
export function wrongOf(checks, warned = () => false) {
  if (checks.length === 0) return ["did not run"];
  const bad = [...of(checks, "FAILURE"), ...of(checks, "WARNING").filter(warned)];
  const lines = bad.map((check) => `${check.id}: ${check.errorMessage ?? check.description}`);
  if (lines.length === 0 && of(checks, "SUCCESS").length === 0) return ["checked nothing"];
  return lines;
}
