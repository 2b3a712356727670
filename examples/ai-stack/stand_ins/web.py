"""HTTP in both directions, with JSON bodies and a time limit on everything."""

import http.client
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# The time limit for an answer of a neighbour, in seconds: less than what a probe of Mainstay waits.
PATIENCE = 1
# The largest request body, in bytes.
BODY_MAX = 4 << 20


class Failure(Exception):
    """What is answered instead of a result: a status and a reason in words."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


def serve(port, routes):
    """Serves these routes until the process ends.

    A route is `("GET", "/tasks/*")`. Its function takes the part of the path behind `/tasks/` (empty without `*`)
    and the JSON body, and returns a JSON value, or a status and a JSON value.
    """
    _server(port, routes).serve_forever()


def serve_aside(port, routes):
    """Serves these routes from a thread, for a program that speaks MCP on its standard streams."""
    threading.Thread(target=_server(port, routes).serve_forever, daemon=True).start()


def get(port, path):
    """The JSON of a neighbour's answer. Fails unless the status is 200."""
    return _ask("GET", port, path, None)


def post(port, path, body):
    """As `get`, with a JSON body."""
    return _ask("POST", port, path, body)


def put(port, path, body):
    """As `get`, with a JSON body."""
    return _ask("PUT", port, path, body)


def health(checks):
    """The route of `/health`: asks all neighbours now, at the same time. With all of them the status is `ok`, with some
    of them `degraded`, and with none of them `error`, which is answered with 503."""

    def one(check):
        try:
            check()
            return "ok"
        except Exception as error:
            # The kind only: texts of errors may hold addresses and paths.
            return type(error).__name__

    def answer(_rest, _body):
        with ThreadPoolExecutor(len(checks)) as asking:
            found = dict(zip(checks, asking.map(one, checks.values())))
        working = sum(1 for state in found.values() if state == "ok")
        if working == len(found):
            return {"status": "ok", "checks": found}
        if working:
            return {"status": "degraded", "checks": found}
        return 503, {"status": "error", "checks": found}

    return answer


def _ask(method, port, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read(BODY_MAX)
    finally:
        connection.close()
    if response.status != 200:
        raise Failure(response.status, f"{path} was answered {response.status}")
    return json.loads(answer)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        # Clients may leave before their answer.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _server(port, routes):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Closes connections that are silent for this long.
        timeout = 30

        def do_GET(self):
            self._route("GET")

        def do_POST(self):
            self._route("POST")

        def do_PUT(self):
            self._route("PUT")

        def _route(self, method):
            try:
                body = self._body()
                function, rest = _find(routes, method, self.path.partition("?")[0])
                answer = function(rest, body)
                status, value = answer if isinstance(answer, tuple) else (200, answer)
            except Failure as failure:
                status, value = failure.status, {"error": str(failure)}
            except Exception as error:
                print(f"{method} {self.path}: {error!r}", file=sys.stderr, flush=True)
                status, value = 500, {"error": type(error).__name__}
            text = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def _body(self):
            length = int(self.headers.get("Content-Length") or 0)
            if length > BODY_MAX:
                self.close_connection = True
                raise Failure(413, f"a body has at most {BODY_MAX} bytes")
            text = self.rfile.read(length)
            try:
                body = json.loads(text) if text else {}
            except ValueError:
                raise Failure(400, "the body is no JSON") from None
            if not isinstance(body, dict):
                raise Failure(400, "the body is no JSON object")
            return body

        def log_message(self, *_):
            pass

    return _Server(("127.0.0.1", port), Handler)


def _find(routes, method, path):
    known = False
    for (wanted, pattern), function in routes.items():
        if pattern.endswith("/*") and path.startswith(pattern[:-1]):
            rest = path[len(pattern) - 1 :]
        elif path == pattern:
            rest = ""
        else:
            continue
        known = True
        if wanted == method:
            return function, rest
    raise Failure(405 if known else 404, f"no {method} {path} here")
