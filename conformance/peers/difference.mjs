// What two walks through one server say differently.
import { isDeepStrictEqual } from "node:util";

const keys = { tools: "name", tools_again: "name", prompts: "name", resources: "uri" };

// The first place where two values differ; undefined where they are the same.
export function difference(one, other, path = "") {
  if (isDeepStrictEqual(one, other)) return undefined;
  const both = [one, other].every((value) => value !== null && typeof value === "object");
  if (both) {
    for (const key of new Set([...Object.keys(one), ...Object.keys(other)])) {
      const found = difference(one[key], other[key], `${path}/${key}`);
      if (found) return found;
    }
  }
  const short = (value) => (JSON.stringify(value) ?? "nothing").slice(0, 200);
  return `${path || "/"}: ${short(one)} directly, ${short(other)} otherwise`;
}

// Of what an endpoint of many servers says, the part that is about one of them: its lists hold
// the others', too, and a server without a list is one without an entry.
export function partOf(said, direct, renamed) {
  const part = { ...said };
  for (const [list, key] of Object.entries(keys)) {
    if (!(list in direct)) continue;
    if (direct[list] === "none") {
      part[list] = "none";
      continue;
    }
    const own = new Map(direct[list].map((item) => [renamed(list, item[key]), item[key]]));
    const found = said[list] === "none" ? [] : said[list];
    part[list] = found
      .filter((item) => own.has(item[key]))
      .map((item) => ({ ...item, [key]: own.get(item[key]) }));
  }
  return part;
}
