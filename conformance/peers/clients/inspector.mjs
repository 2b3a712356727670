export default {
  name: "inspector 2.12",
  steps: (plan) => [plan.inspected],
  program: ({ node }) => [node, "inspector.mjs"],
  modes: [{ mode: "legacy" }, { mode: "auto", needs: "modern" }, { mode: "modern", modern: true, needs: "modern" }],
};
