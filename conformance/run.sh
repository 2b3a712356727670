#!/usr/bin/env bash
# Runs the required set of a revision against a server that is already listening:
#   conformance/run.sh URL REVISION        e.g. http://127.0.0.1:8000/mcp/fixture 2025-11-25
# URL must name localhost, 127.0.0.1 or [::1]. The last line is "N passed, M failed"; the exit
# code is 0 only when the whole required set passed. Results stay outside the checkout: at
# RESULTS if that is set, else in a temporary folder that is kept only after a failure.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=peers.sh
source "$here/peers.sh"

if [ $# -ne 2 ]; then
    echo "usage: conformance/run.sh URL REVISION" >&2
    exit 2
fi
url="$1" revision="$2"
"$here/setup.sh" >/dev/null

suite="$PEERS_MODULES/@modelcontextprotocol/conformance"
required="$suite/requirements/$revision.yaml"
if [ ! -f "$required" ]; then
    echo "conformance/run.sh: the suite has no required set for $revision" >&2
    exit 2
fi
results="${RESULTS:-$(mktemp -d "${TMPDIR:-/tmp}/mainstay-conformance.XXXXXX")}"
mkdir -p "$results"

# The suite's own exit code is not enough: it must also have run everything that is required.
"$PEERS_NODE" "$suite/dist/index.js" server --url "$url" --requirements "$revision" \
    -o "$results" >"$results/suite.log" 2>&1 && suite_said=0 || suite_said=$?
"$PEERS_NODE" "$here/tally.mjs" "$results" "$required" "$suite_said"
[ -n "${RESULTS:-}" ] || rm -rf "$results"
