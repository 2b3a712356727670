// The program's own bridge for clients that can only start a command.
const reach = (url, { mainstay }) => ({ command: [mainstay, "connect", "--url", url] });

export default {
  name: "connect",
  program: ({ python2 }) => [python2, "python_sdk.py"],
  modes: [
    { mode: "legacy", older: true, reach },
    { mode: "auto", reach },
    { mode: "2026-07-28", modern: true, merged: true, reach },
  ],
};
