# Where the peers live; sourced by the other scripts and readable by tests.
#
# MAINSTAY_CACHE moves the whole cache; nothing of it is ever inside the checkout.
MAINSTAY_PEERS="${MAINSTAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mainstay}/peers"
PEERS_NODE="$MAINSTAY_PEERS/bin/node"
PEERS_MODULES="$MAINSTAY_PEERS/node_modules"
CLIENTS_MODULES="$MAINSTAY_PEERS/clients/node_modules"
PEERS_PYTHON_1="$MAINSTAY_PEERS/python-1/bin/python"
PEERS_PYTHON_2="$MAINSTAY_PEERS/python-2/bin/python"
PEERS_PYTHON_AGENTS="$MAINSTAY_PEERS/python-agents/bin/python"
PEERS_SCHEMATHESIS="$MAINSTAY_PEERS/python-api/bin/schemathesis"
