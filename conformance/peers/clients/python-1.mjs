// It does not tell the server that a call was given up, and falls over the answer that comes then.
export default {
  name: "python 1.30",
  program: ({ python1 }) => [python1, "python_sdk.py"],
  steps: (plan) => plan.steps.filter((step) => !step.cancel),
  modes: [{ mode: "legacy", older: true }],
};
