// An agent framework with its defaults. It puts members of 2026-07-28 into the `_meta` of older sessions.
// It has no completion, shows no progress, and refuses unknown tools and wrong arguments itself.
const unshown = ["complete", "cancel", "progress", "nobody", "wrong"];

export default {
  name: "mastra 2.0",
  program: ({ node }) => [node, "mastra.mjs"],
  steps: (plan) => plan.steps.filter((step) => !unshown.some((kind) => step[kind])),
  modes: [{ mode: "legacy", servers: ["everything", "time"] }],
};
