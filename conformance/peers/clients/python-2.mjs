export default {
  name: "python 2.3",
  program: ({ python2 }) => [python2, "python_sdk.py"],
  modes: [{ mode: "legacy", older: true }, { mode: "auto" }, { mode: "2026-07-28", modern: true, merged: true }],
};
