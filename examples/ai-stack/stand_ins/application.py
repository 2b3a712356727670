"""The knowledge base and the router, which are MCP servers, and two services beside them."""

import json
import subprocess
import uuid

import mcp
import web
from databases import Postgres, Redis
from infrastructure import embedding

# What `run_sandboxed` may run. There is no shell, and no other argument than words.
ALLOWED = ("date", "echo", "uname", "whoami")
# How long answers of the database are served from Redis, in seconds.
CACHED_FOR = 300

AIDB_TABLES = """
CREATE TABLE IF NOT EXISTS tool_registry (
    name text PRIMARY KEY, description text NOT NULL, manifest text NOT NULL, cost_estimate_tokens int NOT NULL);
CREATE TABLE IF NOT EXISTS open_skills (
    name text PRIMARY KEY, project text NOT NULL, content text NOT NULL)
"""
COORDINATOR_TABLES = """
CREATE TABLE IF NOT EXISTS interactions (
    id text PRIMARY KEY, query text NOT NULL, response text NOT NULL, agent_type text NOT NULL,
    model_used text NOT NULL, outcome text)
"""


def aidb(options):
    """The knowledge base: skills in PostgreSQL, their vectors in Qdrant, answers cached in Redis."""
    postgres, redis = Postgres(options.postgres), Redis(options.redis)
    _create(postgres, AIDB_TABLES)

    @mcp.tool("Lists the registered tools.", mode=("string", "minimal or full", "minimal"))
    def discover_tools(mode):
        rows, source = _cached(redis, f"aidb:tools:{mode}", lambda: _registry(postgres, mode))
        return {"tools": rows, "source": source}

    @mcp.tool("Runs one of a few harmless commands.", command=("string", "such as: echo hello"))
    def run_sandboxed(command):
        words = command.split()
        if not words or words[0] not in ALLOWED:
            raise ValueError(f"allowed are {', '.join(ALLOWED)}")
        done = subprocess.run(words, capture_output=True, text=True, timeout=5, env={"PATH": "/usr/bin:/bin"})
        return {"exit_code": done.returncode, "output": done.stdout}

    @mcp.tool(
        "Finds skills by meaning; by words where Qdrant is down.",
        query=("string", "what to look for"),
        limit=("integer", "how many", 5),
        project=("string", "only of this project", ""),
    )
    def semantic_search(query, limit, project):
        try:
            body = {"vector": embedding(query), "limit": limit}
            found = web.post(options.qdrant, "/collections/skills-patterns/points/search", body)
            names = [point["payload"]["name"] for point in found["result"]]
            return {"skills": names, "source": "vectors"}
        except (OSError, web.Failure):
            rows = postgres.query(
                "SELECT name FROM open_skills WHERE content ILIKE '%' || $1 || '%' AND ($2 = '' OR project = $2) "
                "ORDER BY name LIMIT $3::int",
                query,
                project,
                limit,
            )
            return {"skills": [name for (name,) in rows], "source": "words"}

    @mcp.tool(
        "Stores a skill.",
        name=("string", "its name"),
        content=("string", "its text"),
        project=("string", "its project", "default"),
    )
    def import_skill(name, content, project):
        postgres.query(
            "INSERT INTO open_skills VALUES ($1, $2, $3) "
            "ON CONFLICT (name) DO UPDATE SET project = excluded.project, content = excluded.content",
            name,
            project,
            content,
        )
        point = {"id": name, "vector": embedding(content), "payload": {"name": name}}
        return {"stored": name, "indexed": _indexed(options.qdrant, "skills-patterns", point)}

    @mcp.tool("Lists the names of all skills.")
    def list_skills():
        return {"skills": [name for (name,) in postgres.query("SELECT name FROM open_skills ORDER BY name")]}

    @mcp.tool("Lists the skills of each project.")
    def discover_skills():
        rows = postgres.query("SELECT project, count(*) FROM open_skills GROUP BY project ORDER BY project")
        return {"projects": {project: int(count) for project, count in rows}}

    @mcp.tool("Returns a skill.", name=("string", "its name"))
    def get_skill(name):
        rows = postgres.query("SELECT project, content FROM open_skills WHERE name = $1", name)
        if not rows:
            raise KeyError(name)
        return {"name": name, "project": rows[0][0], "content": rows[0][1]}

    tools = [discover_tools, run_sandboxed, semantic_search, import_skill, list_skills, discover_skills, get_skill]
    for each in tools:
        postgres.query(
            "INSERT INTO tool_registry VALUES ($1, $2, $3, $4::int) ON CONFLICT (name) DO NOTHING",
            each.__name__,
            each.description,
            json.dumps(each.schema),
            len(json.dumps(each.schema)) // 4,
        )
    checks = {
        "postgres": lambda: postgres.query("SELECT 1"),
        "redis": lambda: redis.ask("PING"),
        "qdrant": lambda: web.get(options.qdrant, "/health"),
    }
    web.serve_aside(options.port, {("GET", "/health"): web.health(checks)})
    mcp.serve("aidb", tools)


def hybrid_coordinator(options):
    """The router: enriches queries with what is known, and remembers what became of them."""
    postgres, redis = Postgres(options.postgres), Redis(options.redis)
    _create(postgres, COORDINATOR_TABLES)

    @mcp.tool(
        "Finds what is near a query in a collection.",
        query=("string", "what to look for"),
        collection=("string", "where to look"),
        limit=("integer", "how many", 5),
    )
    def search_context(query, collection, limit):
        vector, source = _cached(redis, f"coordinator:vector:{query}", lambda: _embedded(options, query))
        found = web.post(options.qdrant, f"/collections/{collection}/points/search", {"vector": vector, "limit": limit})
        return {"results": [point["payload"] for point in found["result"]], "vector": source}

    @mcp.tool(
        "Adds what is known to a query.",
        query=("string", "the query"),
        agent_type=("string", "who asks", "local"),
    )
    def augment_query(query, agent_type):
        context = search_context(query, "interaction-history", 3)["results"]
        return {"query": query, "agent_type": agent_type, "context": context}

    @mcp.tool(
        "Remembers an interaction.",
        query=("string", "what was asked"),
        response=("string", "what was answered"),
        agent_type=("string", "who asked"),
        model_used=("string", "which model answered"),
    )
    def track_interaction(query, response, agent_type, model_used):
        number = str(uuid.uuid4())
        postgres.query(
            "INSERT INTO interactions VALUES ($1, $2, $3, $4, $5)", number, query, response, agent_type, model_used
        )
        point = {"id": number, "vector": _embedded(options, query), "payload": {"query": query, "response": response}}
        return {"interaction_id": number, "indexed": _indexed(options.qdrant, "interaction-history", point)}

    @mcp.tool(
        "Says how an interaction went.",
        interaction_id=("string", "which"),
        outcome=("string", "success, partial or failure"),
    )
    def update_outcome(interaction_id, outcome):
        rows = postgres.query(
            "UPDATE interactions SET outcome = $2 WHERE id = $1 RETURNING id", interaction_id, outcome
        )
        if not rows:
            raise KeyError(interaction_id)
        return {"interaction_id": interaction_id, "outcome": outcome}

    @mcp.tool("Returns all interactions that went well.")
    def generate_training_data():
        rows = postgres.query("SELECT query, response FROM interactions WHERE outcome = 'success' ORDER BY id")
        return {"examples": [{"prompt": query, "completion": response} for query, response in rows]}

    checks = {
        "postgres": lambda: postgres.query("SELECT 1"),
        "redis": lambda: redis.ask("PING"),
        "qdrant": lambda: web.get(options.qdrant, "/health"),
        "embeddings-service": lambda: web.get(options.embeddings, "/health"),
    }
    routes = {
        ("GET", "/health"): web.health(checks),
        ("POST", "/augment"): lambda _rest, body: augment_query(str(body.get("query", "")), "service"),
    }
    web.serve_aside(options.port, routes)
    mcp.serve(
        "hybrid-coordinator",
        [augment_query, track_interaction, update_outcome, generate_training_data, search_context],
    )


def open_webui(options):
    """A chat page's server, which needs the model server."""

    def chat(_rest, body):
        return web.post(options.llama_cpp, "/completion", {"prompt": body.get("message", "")})

    checks = {"llama-cpp": lambda: web.get(options.llama_cpp, "/health")}
    web.serve(options.port, {("GET", "/health"): web.health(checks), ("POST", "/api/chat"): chat})


def mindsdb(options):
    """Counts what is in the database, which it needs."""
    postgres = Postgres(options.postgres)

    def tables(_rest, _body):
        rows = postgres.query("SELECT relname FROM pg_stat_user_tables ORDER BY relname")
        return {"tables": [name for (name,) in rows]}

    checks = {"postgres": lambda: postgres.query("SELECT 1")}
    web.serve(options.port, {("GET", "/health"): web.health(checks), ("GET", "/api/tables"): tables})


def _create(postgres, tables):
    for statement in tables.split(";"):
        postgres.query(statement)


def _registry(postgres, mode):
    rows = postgres.query("SELECT name, description, cost_estimate_tokens FROM tool_registry ORDER BY name")
    if mode == "full":
        return [{"name": name, "description": text, "cost_estimate_tokens": int(cost)} for name, text, cost in rows]
    return [name for name, _, _ in rows]


def _cached(redis, key, fetch):
    """What `fetch` returns, or what it returned before, and which of the two. Works without Redis, and with it while
    the source is down."""
    try:
        fresh = fetch()
    except Exception:
        try:
            kept = redis.ask("GET", key)
        except Exception:
            kept = None
        if kept is None:
            raise
        return json.loads(kept), "cache"
    try:
        redis.ask("SET", key, json.dumps(fresh), "EX", CACHED_FOR)
    except Exception:
        pass
    return fresh, "live"


def _embedded(options, text):
    return web.post(options.embeddings, "/embed", {"inputs": [text]})[0]


def _indexed(port, collection, point):
    """Whether the vector store took the point: without it, the row in the database is enough."""
    try:
        web.put(port, f"/collections/{collection}/points", {"points": [point]})
        return True
    except (OSError, web.Failure):
        return False
