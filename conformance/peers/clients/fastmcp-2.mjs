// It does not tell the server that a call was given up, and falls over the answer that comes then.
export default {
  name: "fastmcp 2.14",
  program: ({ python1 }) => [python1, "python_fastmcp.py"],
  steps: (plan) => plan.steps.filter((step) => !step.cancel),
  modes: [{ mode: "legacy" }],
};
