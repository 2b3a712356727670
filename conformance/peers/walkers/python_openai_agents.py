"""Walks through servers with the OpenAI agents SDK and prints what each said as a line of JSON.

Standard input as for typescript.mjs, without "interactive" and "revision".
"""

from agents.mcp import MCPServerSse, MCPServerStdio

from walking import main, plain


class Walker:
    def __init__(self, target):
        if "url" in target:
            self.server = MCPServerSse(params={"url": target["url"]})
        else:
            program, *arguments = target["command"]
            params = {"command": program, "args": arguments, "env": target.get("env")}
            # A server in Python starts more slowly than the default waits on a busy machine.
            self.server = MCPServerStdio(params=params, client_session_timeout_seconds=30)

    async def __aenter__(self):
        await self.server.connect()
        self.revision = self.server.server_initialize_result.protocol_version
        return self

    async def __aexit__(self, *why):
        await self.server.cleanup()

    async def listed(self, method, field):
        found = await getattr(self.server, method)()
        return [plain(item) for item in (found if isinstance(found, list) else getattr(found, field))]

    async def call(self, step, progress):
        return await self.server.call_tool(step["call"], step["arguments"])

    async def read(self, uri):
        return await self.server.read_resource(uri)

    async def prompt(self, name, arguments):
        return await self.server.get_prompt(name, arguments)


main(Walker)
