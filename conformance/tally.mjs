// Counts what the suite found in a server:
//   node tally.mjs RESULTS REQUIRED.yaml EXIT_CODE_OF_THE_SUITE
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checksOf, required, wrongOf } from "./suite.mjs";

const [results, requirements, suiteSaid] = process.argv.slice(2);

let passed = 0;
let failed = 0;
for (const scenario of required(requirements, "server")) {
  const wrong = wrongOf(checksOf(results, `server-${scenario}`));
  if (wrong.length === 0) {
    passed += 1;
    continue;
  }
  failed += 1;
  console.log(`failed: ${scenario}`);
  for (const line of wrong) console.log(`  ${line}`);
}

// What a revision does not require is run, too, and only reported.
const unscored = readFileSync(join(results, "suite.log"), "utf8").split(/^Not scored /m)[1] ?? "";
const [good, bad] = ["✓", "✗"].map((mark) =>
  [...unscored.matchAll(new RegExp(`^\\s+${mark} (\\S+)`, "gm"))].map((found) => found[1]),
);
if (good.length + bad.length > 0) {
  const named = bad.length > 0 ? `; not: ${bad.join(", ")}` : "";
  console.log(`not required: ${good.length} of ${good.length + bad.length} hold${named}`);
}

const suiteAgrees = Number(suiteSaid) === 0 || failed > 0;
if (!suiteAgrees) console.log(`the suite itself ended with ${suiteSaid}; see ${join(results, "suite.log")}`);
if (failed > 0) console.log(`details: ${results}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 && suiteAgrees ? 0 : 1);
