// An agent framework over HTTP+SSE. It asks for 2026-07-28 first, so it must learn there that this
// transport has it not. Servers that speak it would answer otherwise directly. It refuses wrong
// arguments itself.
export default {
  name: "openai-agents 0.24",
  program: ({ pythonAgents }) => [pythonAgents, "python_openai_agents.py"],
  steps: (plan) => plan.steps.filter((step) => !step.complete && !step.cancel && !step.progress && !step.wrong),
  modes: [
    {
      mode: "sse",
      servers: ["everything", "memory"],
      reach: (url) => ({ url: url.replace("/mcp", "/sse"), transport: "sse" }),
    },
  ],
};
