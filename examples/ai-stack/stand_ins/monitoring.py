"""What watches the others, and what works through them on its own."""

import threading
import time
import uuid

import web
from databases import Postgres, Redis

# How long a task waits for somebody's approval, in seconds; after that it is refused.
APPROVAL_MAX = 300
ITERATIONS_MAX = 5
# Tasks that are kept; the oldest finished ones go first.
TASKS_MAX = 1000


def health_monitor(options):
    """Says in one answer how the others are. Restarting them is Mainstay's."""
    postgres = Postgres(options.postgres)
    checks = {
        "postgres": lambda: postgres.query("SELECT 1"),
        "qdrant": lambda: web.get(options.qdrant, "/health"),
        "aidb": lambda: _fine(options.aidb),
        "hybrid-coordinator": lambda: _fine(options.coordinator),
    }
    web.serve(options.port, {("GET", "/health"): web.health(checks)})


def ralph_wiggum(options):
    """Works through tasks in a loop; each begins with an approval, and can be stopped between two iterations."""
    postgres, redis = Postgres(options.postgres), Redis(options.redis)
    tasks, changed = {}, threading.Condition()

    def add(_rest, body):
        with changed:
            for old in [key for key, task in tasks.items() if task["status"] in ("done", "refused", "stopped", "failed")]:
                if len(tasks) >= TASKS_MAX:
                    del tasks[old]
            if len(tasks) >= TASKS_MAX:
                raise web.Failure(429, f"{TASKS_MAX} tasks are open")
            number = str(uuid.uuid4())
            tasks[number] = {"id": number, "prompt": str(body.get("prompt", "")), "status": "waiting", "iterations": 0}
        threading.Thread(target=work, args=(number,), daemon=True).start()
        return tasks[number]

    def work(number):
        until = time.monotonic() + APPROVAL_MAX
        with changed:
            while tasks[number]["status"] == "waiting" and time.monotonic() < until:
                changed.wait(until - time.monotonic())
            if tasks[number]["status"] == "waiting":
                tasks[number]["status"] = "refused"
        for _ in range(ITERATIONS_MAX):
            if tasks[number]["status"] != "approved":
                return
            try:
                web.post(options.coordinator, "/augment", {"query": tasks[number]["prompt"]})
                redis.ask("INCR", "ralph:iterations")
                tasks[number]["iterations"] += 1
            except Exception as error:
                _move(tasks[number], changed, "approved", "failed")
                tasks[number]["error"] = type(error).__name__
                return
        _move(tasks[number], changed, "approved", "done")

    def act(rest, _body):
        number, _, action = rest.partition("/")
        if number not in tasks or action not in ("stop", "approve"):
            raise web.Failure(404, "expected /tasks/ID/stop or /tasks/ID/approve of a task that is there")
        if action == "approve":
            _move(tasks[number], changed, "waiting", "approved")
        else:
            _move(tasks[number], changed, "waiting", "stopped")
            _move(tasks[number], changed, "approved", "stopped")
        return tasks[number]

    def show(rest, _body):
        if rest not in tasks:
            raise web.Failure(404, "no such task")
        return tasks[rest]

    def stats(_rest, _body):
        return {"tasks": len(tasks), "iterations": int(redis.ask("GET", "ralph:iterations") or 0)}

    checks = {
        "postgres": lambda: postgres.query("SELECT 1"),
        "redis": lambda: redis.ask("PING"),
        "aidb": lambda: _fine(options.aidb),
        "hybrid-coordinator": lambda: _fine(options.coordinator),
    }
    web.serve(
        options.port,
        {
            ("GET", "/health"): web.health(checks),
            ("GET", "/stats"): stats,
            ("POST", "/tasks"): add,
            ("GET", "/tasks/*"): show,
            ("POST", "/tasks/*"): act,
        },
    )


def _move(task, changed, before, after):
    with changed:
        if task["status"] == before:
            task["status"] = after
            changed.notify_all()


def _fine(port):
    """Fails unless the neighbour itself says that all is well: that it answers is not enough."""
    said = web.get(port, "/health")["status"]
    if said != "ok":
        raise web.Failure(503, f"it says {said}")
