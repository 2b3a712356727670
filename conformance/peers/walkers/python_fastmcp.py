"""Walks through servers with fastmcp, 2.x or 4.x, and prints what each said as a line of JSON.

Standard input as for typescript.mjs, without "interactive" and "revision".
"""

import anyio
import fastmcp
from fastmcp.client.transports import StdioTransport

from walking import GIVE_UP_AFTER, main, plain

try:
    import mcp_types as types
except ImportError:
    from mcp import types


class Walker:
    def __init__(self, target):
        if "url" in target:
            server = target["url"]
        else:
            program, *arguments = target["command"]
            server = StdioTransport(program, arguments, env=target.get("env"), keep_alive=False)
        how = {} if target["mode"] == "legacy" and fastmcp.__version__ < "3" else {"mode": target["mode"]}
        self.client = fastmcp.Client(server, **how)

    async def __aenter__(self):
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *why):
        return await self.client.__aexit__(*why)

    @property
    def revision(self):
        session = self.client.session
        agreed = getattr(session, "protocol_version", None)
        return agreed or self.client.initialize_result.protocolVersion

    async def listed(self, method, field):
        return [plain(item) for item in await getattr(self.client, method)()]

    async def call(self, step, progress):
        async def note(done, total, message):
            progress.append([done, total])

        wanted = note if step.get("progress") else None
        return await self.client.call_tool_mcp(step["call"], step["arguments"], progress_handler=wanted)

    async def give_up(self, step):
        with anyio.move_on_after(GIVE_UP_AFTER):
            await self.client.call_tool_mcp(step["cancel"], step["arguments"])

    async def read(self, uri):
        return await self.client.read_resource_mcp(uri)

    async def prompt(self, name, arguments):
        return await self.client.get_prompt_mcp(name, arguments)

    async def complete(self, name, argument, value):
        reference = types.PromptReference(type="ref/prompt", name=name)
        return await self.client.complete_mcp(reference, {"name": argument, "value": value})


main(Walker)
