"""What the walkers in Python share: the walk itself. A walker brings its SDK as a class."""

import asyncio
import json
import sys
import traceback

# Long after a call has reached its server, and long before the slow tools of the plans are done.
GIVE_UP_AFTER = 0.4
# For a whole walk, the start of the server included.
WALK_S_MAX = 40


def plain(model):
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


async def listed(walker, method, field):
    try:
        return await walker.listed(method, field)
    except Exception:  # a server need not have every kind of list, nor say so in one way
        return "none"


async def take(walker, step):
    if "call" in step:
        progress = []
        result = plain(await walker.call(step, progress))
        return {"result": result, "progress": progress[: step.get("progress", 0)]}
    if "cancel" in step:
        await walker.give_up(step)
        return {"given_up": True}
    if "read" in step:
        return plain(await walker.read(step["read"]))
    if "prompt" in step:
        return plain(await walker.prompt(step["prompt"], step.get("arguments")))
    return plain(await walker.complete(step["complete"], step["argument"], step["value"]))


async def walk(walker_of, target):
    async with walker_of(target) as walker:
        said = {
            "revision": walker.revision,
            "tools": await listed(walker, "list_tools", "tools"),
            "resources": await listed(walker, "list_resources", "resources"),
            "prompts": await listed(walker, "list_prompts", "prompts"),
            "steps": [],
        }
        for step in target["steps"]:
            try:
                said["steps"].append(await take(walker, step))
            except Exception as error:
                said["steps"].append({"error": str(error)})
        said["tools_again"] = await listed(walker, "list_tools", "tools")
    return said


def main(walker_of):
    for target in json.load(sys.stdin):
        try:
            heard = {"said": asyncio.run(asyncio.wait_for(walk(walker_of, target), WALK_S_MAX))}
        except Exception:
            heard = {"failed": traceback.format_exc()[-2000:]}
        print(json.dumps({"id": target["id"], **heard}), flush=True)
