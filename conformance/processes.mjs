// Programs with a deadline; nothing that is started here outlives it.
import { spawn } from "node:child_process";

const running = new Set();

// A program is the first of a group of its own, so that what it starts can be ended with it.
function end(child) {
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}

for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => {
    for (const child of running) end(child);
    process.exit(1);
  });
}

// Gives back what the program prints. An error tells how it ended and the end of its complaints,
// and carries what was printed so far.
//   isWhole  `env` is its whole environment
//   until    it is ended once its output matches this, and its input stays open until then
//   merged   its complaints are part of the output
export function run(
  [program, ...args],
  { input = "", env = {}, isWhole = false, cwd, until, merged = false, deadline },
) {
  return new Promise((resolve, reject) => {
    const environment = isWhole ? env : { ...process.env, ...env };
    const child = spawn(program, args, { detached: true, env: environment, cwd });
    running.add(child);
    let output = "";
    let complaints = "";
    let late = false;
    const patience = setTimeout(() => {
      late = true;
      end(child);
    }, deadline);
    const over = (why) => {
      clearTimeout(patience);
      running.delete(child);
      if (why === undefined) resolve(output);
      else reject(Object.assign(new Error(`${why}:\n${complaints.slice(-2000)}`), { output }));
    };
    child.stdout.on("data", (data) => {
      output += data;
      if (!until?.test(output)) return;
      over();
      end(child);
    });
    child.stderr.on("data", (data) => {
      complaints += data;
      if (merged) output += data;
    });
    child.on("error", (error) => over(`${program}: ${error.message}`));
    child.on("close", (code, signal) => {
      if (late) over(`${program} was ended after ${deadline / 1000} s`);
      else over(code === 0 ? undefined : `${program} ended with ${code ?? signal}`);
    });
    child.stdin.on("error", () => {});
    if (until) child.stdin.write(input);
    else child.stdin.end(input);
  });
}
