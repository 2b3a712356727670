"""Walks through servers with the Python SDK, 1.x or 2.x, and prints what each said as a line of JSON.

Standard input as for walk.mjs, without "interactive".
"""

import asyncio
import json
import sys
import traceback
from contextlib import asynccontextmanager

import mcp
from mcp import StdioServerParameters

try:
    from mcp import Client
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


@asynccontextmanager
async def connected(target):
    if "url" in target:
        server = target["url"]
    else:
        program, *arguments = target["command"]
        server = StdioServerParameters(command=program, args=arguments, env=target["env"])
    if Client is not None:
        async with Client(server, mode="legacy") as client:
            yield client, client.protocol_version
        return
    from mcp.client.stdio import stdio_client
    from mcp.client.streamable_http import streamablehttp_client

    transport = streamablehttp_client(server) if isinstance(server, str) else stdio_client(server)
    async with transport as streams, mcp.ClientSession(streams[0], streams[1]) as session:
        yield session, (await session.initialize()).protocolVersion


def plain(model):
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


async def whole_list(client, method, field):
    found, cursor = [], None
    while True:
        try:
            page = await getattr(client, method)(cursor=cursor)
        except Exception:  # a server need not have every kind of list, nor say so in one way
            return "none"
        found += [plain(item) for item in getattr(page, field)]
        cursor = getattr(page, "next_cursor", None) or getattr(page, "nextCursor", None)
        if cursor is None:
            return found


async def do(client, step):
    if "call" in step:
        progress = []

        async def note(done, total, message):
            progress.append([done, total])

        wanted = note if step.get("progress") else None
        result = await client.call_tool(step["call"], step["arguments"], progress_callback=wanted)
        return {"result": plain(result), "progress": progress[: step.get("progress", 0)]}
    if "read" in step:
        return plain(await client.read_resource(step["read"]))
    if "prompt" in step:
        return plain(await client.get_prompt(step["prompt"], step.get("arguments")))
    ref = types.PromptReference(type="ref/prompt", name=step["complete"])
    return plain(await client.complete(ref, {"name": step["argument"], "value": step["value"]}))


async def walk(target):
    setattr(asks, NEWEST, target.get("revision", OWN))
    async with connected(target) as (client, revision):
        said = {
            "revision": revision,
            "tools": await whole_list(client, "list_tools", "tools"),
            "resources": await whole_list(client, "list_resources", "resources"),
            "prompts": await whole_list(client, "list_prompts", "prompts"),
            "steps": [],
        }
        for step in target["steps"]:
            try:
                said["steps"].append(await do(client, step))
            except Exception as error:
                said["steps"].append({"error": str(error)})
    return said


def main():
    for target in json.load(sys.stdin):
        try:
            heard = {"said": asyncio.run(walk(target))}
        except Exception:
            heard = {"failed": traceback.format_exc()[-2000:]}
        print(json.dumps({"id": target["id"], **heard}), flush=True)


main()
