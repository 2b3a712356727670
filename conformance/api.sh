#!/usr/bin/env bash
# Tries the admin API of a daemon against its own description, with all checks of schemathesis:
#   conformance/api.sh URL MAINSTAY STATE
# URL is the daemon's, MAINSTAY the program, STATE the state folder; they give the tokens. Everything is
# tried without a token, with `read` and with `admin`; only the action that would stop the daemon is left
# out with `admin`. The last line is "N passed, M failed".
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=peers.sh
source "$here/peers.sh"

if [ $# -ne 3 ]; then
    echo "usage: conformance/api.sh URL MAINSTAY STATE" >&2
    exit 2
fi
url="$1" mainstay="$2" state="$3"
work="$(mktemp -d "${TMPDIR:-/tmp}/mainstay-api.XXXXXX")"
trap 'rm -rf "$work"' EXIT
cd "$work"
passed=0 failed=0

# Runs all checks with these arguments; says everything only when something was found.
tried() {
    local name="$1" code=0 good
    shift
    # The same cases in every run: what fails once fails again.
    "$PEERS_SCHEMATHESIS" run "$url/openapi.json" --checks all --max-examples 15 --seed 1 \
        --no-color "$@" >said 2>&1 || code=$?
    good="$(sed -n 's/.* generated, \([0-9][0-9]*\) passed.*/\1/p' said)"
    if [ "$code" -ne 0 ] || [ -z "$good" ]; then
        echo "failed: $name"
        cat said
        failed=$((failed + 1))
        return
    fi
    passed=$((passed + good))
}

tried "without a token"
tried "with the read token" -H "Authorization: Bearer $("$mainstay" token --read --state "$state")"
tried "with the admin token" -H "Authorization: Bearer $("$mainstay" token --state "$state")" \
    --exclude-path /api/actions/stop
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
