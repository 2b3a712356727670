"""The small programs of this stack: `python3 stand_ins ROLE [options]`.

They answer honestly, and they are small: each `/health` asks what it depends on at that moment. Only the standard
library of Python is used.
"""

import argparse
import sys

import application
import infrastructure
import monitoring

ROLES = {
    "qdrant": infrastructure.qdrant,
    "llama-cpp": infrastructure.llama_cpp,
    "embeddings": infrastructure.embeddings,
    "aidb": application.aidb,
    "hybrid-coordinator": application.hybrid_coordinator,
    "open-webui": application.open_webui,
    "mindsdb": application.mindsdb,
    "health-monitor": monitoring.health_monitor,
    "ralph-wiggum": monitoring.ralph_wiggum,
}


def main():
    parser = argparse.ArgumentParser(prog="stand_ins")
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--port", type=int, required=True, help="the port of 127.0.0.1 to listen on")
    parser.add_argument("--load-for", type=float, default=0, metavar="SECONDS", help="how long its model loads")
    for name in ("postgres", "redis", "qdrant", "llama-cpp", "embeddings", "aidb", "coordinator"):
        parser.add_argument(f"--{name}", type=int, metavar="PORT", help=f"the port of {name}")
    options = parser.parse_args()
    ROLES[options.role](options)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
