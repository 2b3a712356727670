const reach = (url) => ({ url: url.replace("/mcp", "/sse"), transport: "sse" });

export default {
  name: "typescript 2.4",
  program: ({ node }) => [node, "typescript.mjs", "2"],
  modes: [
    { mode: "legacy" },
    { mode: "auto", questions: true },
    { mode: "2026-07-28", modern: true, merged: true },
    { mode: "sse", reach },
    // It falls back to what the server speaks directly.
    { mode: "auto over sse", servers: ["everything"], reach },
  ],
};
