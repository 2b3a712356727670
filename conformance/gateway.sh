#!/usr/bin/env bash
# Everything that stands between real clients and real servers, with the gateway in the middle:
#   conformance/gateway.sh [PART…]         default: all
#   suite      the suite as a client of the gateway, in front of fixtures of each generation, over
#              stdio and over HTTP
#   scenarios  the suite as a server behind the gateway
#   peers      official clients walk through official servers, directly and through the gateway
#   clients    clients in common use list their servers as connected from what `mainstay export` wrote
#   minutes    the first minutes of a new user, in an empty home folder
#   api        the admin API is what its description says, tried by schemathesis
# The programs are found in the cargo target folder; MAINSTAY and FIXTURE name others. Every check
# that failed is told once more at the end, below "what failed:". The last line is
# "N passed, M failed", over everything.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
target="${CARGO_TARGET_DIR:-$here/../target}/debug"
mainstay="${MAINSTAY:-$target/mainstay}"
fixture="${FIXTURE:-$target/mainstay-fixture}"
[ $# -gt 0 ] || set -- suite scenarios peers clients minutes api
for program in "$mainstay" "$fixture"; do
    if [ ! -x "$program" ]; then
        echo "conformance/gateway.sh: $program is missing; build it first" >&2
        exit 2
    fi
done
"$here/setup.sh" >/dev/null
# shellcheck source=peers.sh
source "$here/peers.sh"
export CLIENTS_MODULES PEERS_NODE PEERS_MODULES PEERS_PYTHON_1 PEERS_PYTHON_2 PEERS_PYTHON_AGENTS PEERS_SCHEMATHESIS
export PEERS_FIXTURE="$fixture" PEERS_MAINSTAY="$mainstay"
# The machine's proxy is for other machines.
export NO_PROXY="localhost,127.0.0.1,::1" no_proxy="localhost,127.0.0.1,::1"

REVISIONS=(2025-11-25 2026-07-28)

# Far more than a healthy run takes on a busy machine, in seconds.
SUITE_MAX=120
SCENARIOS_MAX=300
WALKS_MAX=900
CLIENTS_MAX=300
MINUTES_MAX=120
API_MAX=300
STOP_MAX=20

work="$(mktemp -d "${TMPDIR:-/tmp}/mainstay-gateway.XXXXXX")"
started=()
passed=0 failed=0
failures="$work/failures"

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

# Prints the checks that failed in a step, each with its name and why: of what the step said, the
# lines that begin with "failed: ", and what is below them up to the next check.
failures_of() {
    awk -v step="$1" '
        tolower($0) ~ /^failed: / { sub(/^[^:]*: /, ""); print "  " step ": " $0; within = 1; next }
        /^(same|details|not required): / || /^[0-9]+ passed, [0-9]+ failed$/ { within = 0 }
        within { print "      " $0 }
    ' "$2"
}

# Runs a step that ends with a tally, shows what it says and adds the tally to the sum.
tallied() {
    local name="$1" said code=0 line wrong
    shift
    said="$work/said"
    # In the background, so that a signal to this script is heard at once.
    "$@" >"$said" 2>&1 &
    started+=($!)
    wait $! || code=$?
    unset 'started[-1]'
    line="$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$said" | tail -n 1 || true)"
    grep -vE '^(same: .*|[0-9]+ passed, [0-9]+ failed)$' "$said" || true
    failures_of "$name" "$said" >>"$failures"
    if [ -z "$line" ]; then
        wrong="ended with $code before it could sum up (124: its time was over)"
        echo "$name: $wrong"
        { echo "  $name: $wrong" && tail -n 10 "$said" | sed 's/^/      /'; } >>"$failures"
        failed=$((failed + 1))
        return
    fi
    echo "$name: $line"
    read -r good _ bad _ <<<"$line"
    # A step that fails without a failed check fails all the same.
    if [ "$code" -ne 0 ] && [ "$bad" -eq 0 ]; then
        bad=1
        echo "  $name: ended with $code, though no check failed" >>"$failures"
    fi
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

# Starts a daemon with the configuration of its name, and prints where it listens. Its log may name
# other addresses; on its output the first one is its own.
daemon() {
    start "$1" "$mainstay" up --config "$work/$1.toml" --listen 127.0.0.1:0 --state "$work/$1.state"
}

# Fixtures of all revisions and of one generation only, each started by the gateway and at a URL.
suite_part() {
    local only name at gateway revision
    for only in all legacy modern; do
        name="fixture_$only"
        local flags=()
        [ "$only" = all ] || flags=(--only "$only")
        start "$name" "$fixture" http --listen 127.0.0.1:0 "${flags[@]}"
        at="$(address_of "$name" "${started[-1]}" "$name.out" "$name.log")/mcp"
        printf '[servers.%s_http]\nurl = "%s"\n' "$only" "$at"
        printf '[servers.%s_stdio]\ncommand = ["%s", "stdio"%s]\n' "$only" "$fixture" \
            "$([ "$only" = all ] || printf ', "--only", "%s"' "$only")"
        printf 'env = { CONFORMANCE_RUN = "%s" }\n' "$work"
    done >"$work/suite.toml"
    daemon suite
    gateway="$(address_of suite "${started[-1]}" suite.out)"
    for revision in "${REVISIONS[@]}"; do
        only="$([ "$revision" = 2026-07-28 ] && echo modern || echo legacy)"
        for name in all_stdio all_http "${only}_stdio" "${only}_http"; do
            tallied "$revision through the gateway to the fixture $name" \
                timeout -k 5 "$SUITE_MAX" "$here/run.sh" "$gateway/mcp/$name" "$revision"
        done
    done
    stop
}

scenarios_part() {
    tallied "client scenarios, directly and through the gateway" \
        timeout -k 5 "$SCENARIOS_MAX" env CONFORMANCE_RUN="$work" "$PEERS_NODE" "$here/scenarios/run.mjs" "${REVISIONS[@]}"
}

peers_part() {
    local everything gateway
    start everything env PORT=0 "$PEERS_NODE" --import "$here/peers/announce.mjs" \
        "$PEERS_MODULES/@modelcontextprotocol/server-everything/dist/index.js" streamableHttp
    everything="$(address_of everything "${started[-1]}" everything.log)/mcp"
    "$PEERS_NODE" "$here/peers/compare.mjs" "$work" --config "$everything" >"$work/peers.toml"
    daemon peers
    gateway="$(address_of peers "${started[-1]}" peers.out)"
    tallied "official clients and servers, directly and through the gateway" \
        timeout -k 5 "$WALKS_MAX" "$PEERS_NODE" "$here/peers/compare.mjs" "$work" "$gateway"
    stop
}

clients_part() {
    printf '[servers.notes]\ncommand = ["%s", "__demo", "notes"]\n' "$mainstay" >"$work/clients.toml"
    printf '[servers.fixture]\ncommand = ["%s", "stdio"]\nenv = { CONFORMANCE_RUN = "%s" }\n' \
        "$fixture" "$work" >>"$work/clients.toml"
    daemon clients
    address_of clients "${started[-1]}" clients.out >"$work/clients.address"
    tallied "clients in common use are connected by what was exported" \
        timeout -k 5 "$CLIENTS_MAX" "$PEERS_NODE" "$here/clients/run.mjs" "$work/homes" "$work/clients.state"
    stop
}

minutes_part() {
    tallied "the first minutes of a new user" \
        timeout -k 5 "$MINUTES_MAX" "$PEERS_NODE" "$here/clients/minutes.mjs" "$work/minutes"
}

# One server that is ready and one that never is, so that both kinds of status are seen.
api_part() {
    local gateway
    printf '[servers.ready]\ncommand = ["%s", "stdio"]\nenv = { CONFORMANCE_RUN = "%s" }\n' \
        "$fixture" "$work" >"$work/api.toml"
    printf '[servers.never]\ncommand = ["/nonexistent/program"]\n' >>"$work/api.toml"
    daemon api
    gateway="$(address_of api "${started[-1]}" api.out)"
    tallied "the admin API, as /openapi.json describes it" \
        timeout -k 5 "$API_MAX" "$here/api.sh" "$gateway" "$mainstay" "$work/api.state"
    stop
}

for part in "$@"; do
    began=$SECONDS
    case "$part" in
        suite | scenarios | peers | clients | minutes | api) "${part}_part" ;;
        *)
            echo "conformance/gateway.sh: no part $part; there are: suite, scenarios, peers, clients, minutes, api" >&2
            exit 2
            ;;
    esac
    echo "$part: $((SECONDS - began)) s"
done
tallied "nothing is left running" nothing_left

if [ "$failed" -ne 0 ]; then
    for log in "$work"/{suite,peers,clients,api}.log; do
        [ ! -f "$log" ] || { echo "the gateway's log ends ($(basename "$log")):" && tail -n 40 "$log"; }
    done
    echo "what failed:"
    cat "$failures"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
