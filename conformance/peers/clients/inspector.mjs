// Each question is a process of its own, so its modes are tried on two servers only.
const servers = ["fixture", "time"];

export default {
  name: "inspector 2.12",
  steps: (plan) => [plan.inspected],
  program: ({ node }) => [node, "inspector.mjs"],
  modes: [{ mode: "legacy" }, { mode: "auto", servers }, { mode: "modern", modern: true, servers }],
};
