// An agent framework over HTTP+SSE, as openai-agents.mjs.
export default {
  name: "strands 1.62",
  program: ({ pythonAgents }) => [pythonAgents, "python_strands.py"],
  steps: (plan) => plan.steps.filter((step) => !step.complete && !step.cancel && !step.progress),
  modes: [
    {
      mode: "sse",
      servers: ["everything", "memory"],
      reach: (url) => ({ url: url.replace("/mcp", "/sse"), transport: "sse" }),
    },
  ],
};
