// The old transport is a client of its own: it goes to another address and speaks an old revision.
export default {
  name: "typescript 1.32",
  program: ({ node }) => [node, "typescript.mjs", "1"],
  modes: [
    { mode: "legacy", older: true, questions: true },
    { mode: "sse", reach: (url) => ({ url: url.replace("/mcp", "/sse"), transport: "sse" }) },
  ],
};
