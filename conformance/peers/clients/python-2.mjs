export default {
  name: "python 2.3",
  program: ({ python2 }) => [python2, "python_sdk.py"],
  modes: [
    { mode: "legacy", older: true },
    { mode: "auto" },
    { mode: "2026-07-28", modern: true, merged: true },
    // Its default mode asks for 2026-07-28 first, and must learn that the older transport has it not.
    { mode: "sse", reach: (url) => ({ url: url.replace("/mcp", "/sse"), transport: "sse" }) },
  ],
};
