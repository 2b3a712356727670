"""Walks through servers with Strands and prints what each said as a line of JSON.

Standard input as for typescript.mjs, without "interactive" and "revision".
"""

import asyncio

from mcp import StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from strands.tools.mcp import MCPClient

from walking import main, plain


def transport_to(target):
    if "url" in target:
        return lambda: sse_client(target["url"])
    program, *arguments = target["command"]
    server = StdioServerParameters(command=program, args=arguments, env=target.get("env"))
    return lambda: stdio_client(server)


class Said:
    """What a call came to: a table, with bytes among its contents."""

    def __init__(self, result):
        self.result = result

    def model_dump(self, **_how):
        return readable(self.result)


def readable(value):
    if isinstance(value, dict):
        return {key: readable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [readable(item) for item in value]
    return value.hex() if isinstance(value, bytes) else value


class Walker:
    # It does not show what was agreed.
    revision = None

    def __init__(self, target):
        self.client = MCPClient(transport_to(target))

    async def __aenter__(self):
        await asyncio.to_thread(self.client.start)
        return self

    async def __aexit__(self, *why):
        await asyncio.to_thread(self.client.stop, *why)

    async def listed(self, method, field):
        found, cursor = [], None
        while True:
            page = await asyncio.to_thread(getattr(self.client, f"{method}_sync"), cursor)
            if field == "tools":
                found += [plain(tool.mcp_tool) for tool in page]
                cursor = page.pagination_token
            else:
                found += [plain(item) for item in getattr(page, field)]
                cursor = page.next_cursor
            if cursor is None:
                return found

    async def call(self, step, progress):
        name, arguments = step["call"], step["arguments"]
        result = await asyncio.to_thread(self.client.call_tool_sync, "walk", name, arguments)
        return Said(result)

    async def read(self, uri):
        return await asyncio.to_thread(self.client.read_resource_sync, uri)

    async def prompt(self, name, arguments):
        return await asyncio.to_thread(self.client.get_prompt_sync, name, arguments or {})


main(Walker)
