export default {
  name: "fastmcp 4.1",
  program: ({ python2 }) => [python2, "python_fastmcp.py"],
  modes: [{ mode: "legacy" }, { mode: "auto" }, { mode: "2026-07-28", modern: true }],
};
