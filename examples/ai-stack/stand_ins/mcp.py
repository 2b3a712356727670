"""An MCP server on the standard streams: one JSON object a line."""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

REVISIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
# Calls at the same time; more wait.
CALLS_MAX = 16

_OUT = threading.Lock()


def tool(description, **arguments):
    """Declares a function as a tool. An argument is `(type, description)`; a third member is its default."""

    def declare(function):
        function.description = description
        function.schema = {
            "type": "object",
            "properties": {name: _property(given) for name, given in arguments.items()},
            "required": [name for name, given in arguments.items() if len(given) == 2],
        }
        function.defaults = {name: given[2] for name, given in arguments.items() if len(given) == 3}
        return function

    return declare


def serve(name, tools):
    """Serves these tools until standard input ends. A tool returns a JSON object, or raises what went wrong."""
    tools = {function.__name__: function for function in tools}
    with ThreadPoolExecutor(CALLS_MAX) as calls:
        for line in sys.stdin.buffer:
            message = json.loads(line)
            if "id" not in message or "method" not in message:
                continue
            if message["method"] == "tools/call":
                calls.submit(_call, tools, message)
            else:
                _answer(message, *_other(name, tools, message))


def _other(name, tools, message):
    params = message.get("params") or {}
    match message["method"]:
        case "initialize":
            wanted = params.get("protocolVersion")
            return "result", {
                "protocolVersion": wanted if wanted in REVISIONS else REVISIONS[0],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": name, "version": "1"},
            }
        case "ping":
            return "result", {}
        case "tools/list":
            listed = [
                {"name": key, "description": function.description, "inputSchema": function.schema}
                for key, function in tools.items()
            ]
            return "result", {"tools": listed}
        case unknown:
            return "error", {"code": -32601, "message": f"no method {unknown}"}


def _call(tools, message):
    params = message.get("params") or {}
    function = tools.get(params.get("name"))
    if function is None:
        _answer(message, "error", {"code": -32602, "message": f"no tool {params.get('name')}"})
        return
    given = params.get("arguments") or {}
    try:
        missing = [name for name in function.schema["required"] if name not in given]
        unknown = [name for name in given if name not in function.schema["properties"]]
        if missing or unknown:
            raise ValueError(f"missing: {missing}, unknown: {unknown}")
        found = function(**(function.defaults | given))
        content = [{"type": "text", "text": json.dumps(found)}]
        _answer(message, "result", {"content": content, "structuredContent": found})
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        _answer(message, "result", {"content": [{"type": "text", "text": text}], "isError": True})


def _answer(message, kind, value):
    line = json.dumps({"jsonrpc": "2.0", "id": message["id"], kind: value})
    with _OUT:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _property(given):
    kind, description, *default = given
    return {"type": kind, "description": description, **({"default": default[0]} if default else {})}
