"""Stand-ins for what no package registry has: a vector store and model servers."""

import hashlib
import math
import threading
import time

from web import Failure, serve

# As the embedding model has it.
DIMENSIONS = 384
INPUTS_MAX = 32
CHARACTERS_MAX = 10_000


def qdrant(options):
    """A vector store in memory: collections of points, and the nearest ones by cosine."""
    collections, lock = {}, threading.Lock()

    def upsert(rest, body):
        name = _collection(rest)
        with lock:
            points = collections.setdefault(name, {})
            for point in body["points"]:
                points[point["id"]] = point
            return {"status": "ok", "result": {"count": len(points)}}

    def search(rest, body):
        with lock:
            points = list(collections.get(_collection(rest), {}).values())
        near = [{"id": p["id"], "score": cosine(p["vector"], body["vector"]), "payload": p.get("payload")} for p in points]
        near.sort(key=lambda point: -point["score"])
        return {"status": "ok", "result": near[: body.get("limit", 5)]}

    serve(
        options.port,
        {
            ("GET", "/health"): lambda _rest, _body: {"status": "ok", "collections": len(collections)},
            ("PUT", "/collections/*"): upsert,
            ("POST", "/collections/*"): search,
        },
    )


def llama_cpp(options):
    """A model server that loads, and then completes a prompt with its own words."""
    loaded = _loading(options.load_for)

    def health(_rest, _body):
        return {"status": "ok"} if loaded() else (503, {"status": "loading model"})

    def complete(_rest, body):
        if not loaded():
            raise Failure(503, "the model is loading")
        words = str(body.get("prompt", "")).split()
        return {"content": " ".join(reversed(words[-32:])), "tokens_evaluated": len(words)}

    serve(options.port, {("GET", "/health"): health, ("POST", "/completion"): complete})


def embeddings(options):
    """The embedding server without a model: the same addresses, limits and loading, and vectors that are near each
    other where texts have words in common. `embeddings/` has the real one."""
    loaded = _loading(options.load_for)

    def ready():
        if not loaded():
            raise Failure(503, "the model is loading")

    def health(_rest, _body):
        return {"status": "ok"} if loaded() else (503, {"status": "loading"})

    def info(_rest, _body):
        ready()
        return {
            "model": "stand-in",
            "dimensions": DIMENSIONS,
            "max_inputs": INPUTS_MAX,
            "max_characters": CHARACTERS_MAX,
        }

    def embed(_rest, body):
        ready()
        return [embedding(text) for text in _inputs(body.get("inputs"))]

    def openai(_rest, body):
        ready()
        vectors = [embedding(text) for text in _inputs(body.get("input"))]
        data = [{"object": "embedding", "index": n, "embedding": v} for n, v in enumerate(vectors)]
        return {"object": "list", "data": data, "model": "stand-in"}

    serve(
        options.port,
        {
            ("GET", "/health"): health,
            ("GET", "/info"): info,
            ("POST", "/embed"): embed,
            ("POST", "/v1/embeddings"): openai,
        },
    )


def embedding(text):
    """A vector of length 1 with a direction for each word."""
    vector = [0.0] * DIMENSIONS
    for word in text.lower().split():
        digest = hashlib.sha256(word.encode()).digest()
        for n in range(0, 32, 4):
            place = int.from_bytes(digest[n : n + 2]) % DIMENSIONS
            vector[place] += 1 if digest[n + 2] & 1 else -1
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]


def cosine(one, other):
    product = sum(a * b for a, b in zip(one, other))
    lengths = math.sqrt(sum(a * a for a in one)) * math.sqrt(sum(b * b for b in other))
    return product / lengths if lengths else 0.0


def _inputs(given):
    inputs = [given] if isinstance(given, str) else given
    if not isinstance(inputs, list) or not inputs or not all(isinstance(text, str) for text in inputs):
        raise Failure(400, "expected a text or a list of texts")
    if len(inputs) > INPUTS_MAX:
        raise Failure(413, f"at most {INPUTS_MAX} inputs at once, not {len(inputs)}")
    if (longest := max(map(len, inputs))) > CHARACTERS_MAX:
        raise Failure(413, f"at most {CHARACTERS_MAX} characters in an input, not {longest}")
    return inputs


def _collection(rest):
    """The collection in `NAME/points` and `NAME/points/search`."""
    name, _, what = rest.partition("/")
    if not name or what not in ("points", "points/search"):
        raise Failure(404, "expected /collections/NAME/points or /collections/NAME/points/search")
    return name


def _loading(seconds):
    """Whether the model has loaded, which takes this long from now on."""
    begun = time.monotonic()
    return lambda: time.monotonic() - begun >= seconds
