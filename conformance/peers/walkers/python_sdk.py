"""Walks through servers with the Python SDK, 1.x or 2.x, and prints what each said as a line of JSON.

Standard input as for typescript.mjs, without "interactive".
"""

from contextlib import AsyncExitStack

import anyio
import mcp
from mcp import StdioServerParameters

from walking import GIVE_UP_AFTER, main, plain

try:
    from mcp import Client
    from mcp.client.sse import sse_client
    import mcp_types as types
except ImportError:
    Client = None
    from mcp import types

# Where the SDK keeps the revision that a client asks for.
if Client is not None:
    import mcp.client.session as asks

    NEWEST = "LATEST_HANDSHAKE_VERSION"
else:
    asks, NEWEST = types, "LATEST_PROTOCOL_VERSION"
OWN = getattr(asks, NEWEST)


class Walker:
    def __init__(self, target):
        setattr(asks, NEWEST, target.get("revision", OWN))
        self.target = target
        self.open = AsyncExitStack()

    def server(self):
        if "url" in self.target:
            return self.target["url"]
        program, *arguments = self.target["command"]
        return StdioServerParameters(command=program, args=arguments, env=self.target.get("env"))

    async def __aenter__(self):
        if Client is not None:
            mode = self.target["mode"]
            # Over HTTP+SSE the default mode falls back to what is compared with: the older handshake.
            if self.target.get("transport") == "sse":
                client = Client(sse_client(self.target["url"]))
            else:
                client = Client(self.server(), mode="legacy" if mode == "sse" else mode)
            self.client = await self.open.enter_async_context(client)
            self.revision = client.protocol_version
            return self
        from mcp.client.stdio import stdio_client
        from mcp.client.streamable_http import streamablehttp_client

        server = self.server()
        transport = streamablehttp_client(server) if isinstance(server, str) else stdio_client(server)
        streams = await self.open.enter_async_context(transport)
        session = mcp.ClientSession(streams[0], streams[1])
        self.client = await self.open.enter_async_context(session)
        self.revision = (await session.initialize()).protocolVersion
        return self

    async def __aexit__(self, *why):
        return await self.open.__aexit__(*why)

    async def listed(self, method, field):
        found, cursor = [], None
        while True:
            page = await getattr(self.client, method)(cursor=cursor)
            found += [plain(item) for item in getattr(page, field)]
            cursor = getattr(page, "next_cursor", None) or getattr(page, "nextCursor", None)
            if cursor is None:
                return found

    async def call(self, step, progress):
        async def note(done, total, message):
            progress.append([done, total])

        wanted = note if step.get("progress") else None
        return await self.client.call_tool(step["call"], step["arguments"], progress_callback=wanted)

    async def give_up(self, step):
        with anyio.move_on_after(GIVE_UP_AFTER):
            await self.client.call_tool(step["cancel"], step["arguments"])

    async def read(self, uri):
        return await self.client.read_resource(uri)

    async def prompt(self, name, arguments):
        return await self.client.get_prompt(name, arguments)

    async def complete(self, name, argument, value):
        reference = types.PromptReference(type="ref/prompt", name=name)
        return await self.client.complete(reference, {"name": argument, "value": value})


main(Walker)
