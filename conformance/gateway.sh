#!/usr/bin/env bash
# Runs the suite through the gateway, in front of the fixture over stdio and over HTTP, then
# lets real clients walk through real servers, directly and through the gateway:
#   conformance/gateway.sh [REVISION…]     default: 2025-11-25
# The programs are found in the cargo target folder; MAINSTAY and FIXTURE name others. The last
# line is "N passed, M failed", over everything.
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
export PEERS_NODE PEERS_MODULES PEERS_PYTHON_1 PEERS_PYTHON_2 PEERS_FIXTURE="$fixture"

# Far more than a healthy run takes on a busy machine, in seconds.
SUITE_MAX=120
WALKS_MAX=300
STOP_MAX=20

work="$(mktemp -d "${TMPDIR:-/tmp}/mainstay-gateway.XXXXXX")"
started=()
passed=0 failed=0

# Whether one of these processes lives, waiting up to a number of seconds for their end.
alive_after() {
    local seconds="$1" pid
    shift
    for _ in $(seq $((seconds * 10 + 1))); do
        local living=0
        for pid in "$@"; do kill -0 "$pid" 2>/dev/null && living=1; done
        [ "$living" -eq 1 ] || return 1
        sleep 0.1
    done
}

stop() {
    [ ${#started[@]} -gt 0 ] || return 0
    kill "${started[@]}" 2>/dev/null || true
    if alive_after "$STOP_MAX" "${started[@]}"; then
        echo "conformance/gateway.sh: what was started did not end in $STOP_MAX s" >&2
        kill -KILL "${started[@]}" 2>/dev/null || true
    fi
    wait "${started[@]}" 2>/dev/null || true
    started=()
}
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# Starts a program with its output in files named after it.
start() {
    local name="$1"
    shift
    "$@" >"$work/$name.out" 2>"$work/$name.log" </dev/null &
    started+=($!)
}

# Prints the first address a program says, waiting up to 30 s while it lives.
address_of() {
    local name="$1" pid="$2" found
    shift 2
    for _ in $(seq 300); do
        found="$(cd "$work" && grep -ohE 'http://[][0-9a-zA-Z.:-]+:[0-9]+' "$@" | head -n 1 || true)"
        if [ -n "$found" ]; then
            echo "$found"
            return
        fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "conformance/gateway.sh: $name does not say where it listens:" >&2
    tail -n 40 "$work/$name.out" "$work/$name.log" >&2
    return 1
}

# Runs a step that ends with a tally, shows what it says and adds the tally to the sum.
tallied() {
    local name="$1" said code=0 line
    shift
    said="$work/said"
    # In the background, so that a signal to this script is heard at once.
    "$@" >"$said" 2>&1 &
    started+=($!)
    wait $! || code=$?
    unset 'started[-1]'
    line="$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$said" | tail -n 1 || true)"
    grep -vE '^(same: .*|[0-9]+ passed, [0-9]+ failed)$' "$said" || true
    if [ -z "$line" ]; then
        echo "$name: ended with $code before it could sum up (124: its time was over)"
        failed=$((failed + 1))
        return
    fi
    echo "$name: $line"
    read -r good _ bad _ <<<"$line"
    # A step that fails without a failed check fails all the same.
    [ "$code" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    passed=$((passed + good)) failed=$((failed + bad))
}

# The processes that carry this run's folder in their arguments or environment: the servers.
leftovers() {
    local process
    for process in /proc/[0-9]*; do
        [ "${process#/proc/}" != $$ ] || continue
        if grep -qsF "$work" "$process/cmdline" "$process/environ" 2>/dev/null; then
            echo "${process#/proc/} $(tr '\0' ' ' <"$process/cmdline" 2>/dev/null || true)"
        fi
    done
}

# The sooner of: nothing is left, ten seconds. Fails when something is.
nothing_left() {
    local left
    for _ in $(seq 100); do
        left="$(leftovers)"
        if [ -z "$left" ]; then
            echo "1 passed, 0 failed"
            return
        fi
        sleep 0.1
    done
    printf 'failed: still running\n%s\n0 passed, 1 failed\n' "$left"
    return 1
}

start fixture "$fixture" http --listen 127.0.0.1:0
upstream="$(address_of fixture "${started[-1]}" fixture.out fixture.log)/mcp"
start everything env PORT=0 "$PEERS_NODE" --import "$here/peers/announce.mjs" \
    "$PEERS_MODULES/@modelcontextprotocol/server-everything/dist/index.js" streamableHttp
everything="$(address_of everything "${started[-1]}" everything.log)/mcp"

"$PEERS_NODE" "$here/peers/compare.mjs" "$work" --config "$everything" >"$work/mainstay.toml"
printf '[servers.fixture_http]\nurl = "%s"\n' "$upstream" >>"$work/mainstay.toml"
start mainstay "$mainstay" up --config "$work/mainstay.toml" --listen 127.0.0.1:0 --state "$work/state"
# Its log may name other addresses; on its output the first one is its own.
gateway="$(address_of mainstay "${started[-1]}" mainstay.out)"

for revision in "$@"; do
    for server in fixture fixture_http; do
        over="$([ "$server" = fixture ] && echo stdio || echo HTTP)"
        tallied "$revision through the gateway to the fixture over $over" \
            timeout -k 5 "$SUITE_MAX" "$here/run.sh" "$gateway/mcp/$server" "$revision"
    done
done
tallied "real clients and servers, directly and through the gateway" \
    timeout -k 5 "$WALKS_MAX" "$PEERS_NODE" "$here/peers/compare.mjs" "$work" "$gateway"
stop
tallied "nothing is left running" nothing_left

if [ "$failed" -ne 0 ]; then
    echo "the gateway's log ends:"
    tail -n 40 "$work/mainstay.log"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
