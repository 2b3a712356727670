#!/usr/bin/env bash
# Runs the suite through the gateway, in front of the fixture over stdio and over HTTP, then
# lets real clients walk through real servers, directly and through the gateway:
#   conformance/gateway.sh [REVISION…]     default: 2025-11-25
# The programs are found in the cargo target folder; MAINSTAY and FIXTURE name others.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
target="${CARGO_TARGET_DIR:-$here/../target}/debug"
mainstay="${MAINSTAY:-$target/mainstay}"
fixture="${FIXTURE:-$target/mainstay-fixture}"
[ $# -gt 0 ] || set -- 2025-11-25
for program in "$mainstay" "$fixture"; do
    if [ ! -x "$program" ]; then
        echo "conformance/gateway.sh: $program is missing; build it first" >&2
        exit 2
    fi
done
"$here/setup.sh" >/dev/null
# shellcheck source=peers.sh
source "$here/peers.sh"

work="$(mktemp -d "${TMPDIR:-/tmp}/mainstay-gateway.XXXXXX")"
started=()
stop() {
    local pid
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap stop EXIT

# Prints the first address in a log, waiting up to 30 s while the process that writes it lives.
address_in() {
    local log="$1" pid="$2" found
    for _ in $(seq 300); do
        found="$(grep -ohE 'http://[][0-9a-zA-Z.:-]+:[0-9]+' "$log" | head -n 1 || true)"
        if [ -n "$found" ]; then
            echo "$found"
            return
        fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "conformance/gateway.sh: no address appeared:" >&2
    cat "$log" >&2
    return 1
}

"$fixture" http --listen 127.0.0.1:0 >"$work/fixture.log" 2>&1 &
started+=($!)
upstream="$(address_in "$work/fixture.log" $!)/mcp"

cat >"$work/mainstay.toml" <<EOF
[servers.stdio]
command = ["$fixture", "stdio"]

[servers.http]
url = "$upstream"

EOF
export PEERS_NODE PEERS_MODULES PEERS_PYTHON_1 PEERS_PYTHON_2
"$PEERS_NODE" "$here/peers/compare.mjs" "$work" --config >>"$work/mainstay.toml"
"$mainstay" up --config "$work/mainstay.toml" --listen 127.0.0.1:0 --state "$work/state" \
    >"$work/mainstay.out" 2>"$work/mainstay.log" &
started+=($!)
# Its log may name other addresses; on its output the first one is its own.
gateway="$(address_in "$work/mainstay.out" $!)" || {
    cat "$work/mainstay.log" >&2
    exit 1
}

code=0
for revision in "$@"; do
    for server in stdio http; do
        echo "== $revision through the gateway to the fixture over $server"
        "$here/run.sh" "$gateway/mcp/$server" "$revision" || code=1
    done
done
echo "== real clients and servers, directly and through the gateway"
"$PEERS_NODE" "$here/peers/compare.mjs" "$work" "$gateway" || code=1
if [ "$code" -ne 0 ]; then
    echo "== the gateway's log ends:"
    tail -n 40 "$work/mainstay.log"
fi
exit "$code"
