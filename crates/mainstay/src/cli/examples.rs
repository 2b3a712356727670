//! What each command's help ends with: a few lines to copy.

pub(super) const MAIN: &str = "\
Examples:
  mainstay demo                      see it work; needs nothing but this program
  mainstay init && mainstay check    write a configuration, see whether it holds
  mainstay up                        run the daemon
  mainstay status                    from another terminal: how it is

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 no daemon reachable";

pub(super) const UP: &str = "\
Examples:
  mainstay up
  mainstay up --config ~/servers.toml --listen 127.0.0.1:9000

TERM and INT let calls in flight finish (30 s) and stop.";

pub(super) const DEMO: &str = "\
Examples:
  mainstay demo
  mainstay demo --listen 127.0.0.1:9000";

pub(super) const CHECK: &str = "\
Examples:
  mainstay check
  mainstay check --config ~/servers.toml
  mainstay check --resolved          each value in force, and where it came from
  mainstay check --json | jq '.problems[].message'";

pub(super) const STATUS: &str = "\
Examples:
  mainstay status
  mainstay status weather
  mainstay status --json | jq -r '.servers[] | select(.state != \"ready\") | .name'";

pub(super) const TOOLS: &str = "\
Examples:
  mainstay tools
  mainstay tools weather
  mainstay tools --merged            under the names that clients of /mcp see
  mainstay tools --json | jq -r '.servers[].tools[].name'";

pub(super) const CALL: &str = "\
Examples:
  mainstay call clock now
  mainstay call weather forecast city=Oslo days=3
  mainstay call files search --args '{\"pattern\": \"*.rs\", \"limit\": 20}'
  mainstay call files search --args - < arguments.json
  mainstay call weather weather_chart city=Oslo --out pictures

A list takes the same key several times (tag=a tag=b) or a JSON array.";

pub(super) const CONNECT: &str = "\
Examples:
  mainstay connect                   every server
  mainstay connect weather           one server or group
  mainstay connect --url http://10.0.0.5:8000/mcp/weather
  mainstay connect --url https://mcp.example.org --ca ca.pem --token-file ~/.mainstay-token

In the configuration of a client:
  {\"mcpServers\": {\"mainstay\": {\"command\": \"mainstay\", \"args\": [\"connect\"]}}}

Standard output carries messages and nothing else; -v logs to standard error. When the daemon
restarts, sessions and listens go on by themselves: requests wait for it for 30 s. Every revision is
spoken, 2026-07-28 included. Ends with 0 when the client leaves, and with 3 when no daemon can be
reached within 5 s of the first request.";

pub(super) const IMPORT: &str = "\
Examples:
  mainstay import ~/.cursor/mcp.json              print what the configuration would get
  mainstay import ~/.claude.json compose.yaml --write

A secret becomes a reference, and is never printed. With --write its value goes into a file of the
folder `secrets` beside the configuration that only its owner may read; without, the variable that
it is to be given in is named.";

pub(super) const EXPORT: &str = "\
Examples:
  mainstay export                                 which clients are known, and where their files are
  mainstay export cursor                          print what its file gets
  mainstay export cursor --write
  mainstay export vscode --file .vscode/mcp.json --endpoint files --write
  mainstay export cursor --remove";

pub(super) const FETCH: &str = "\
Examples:
  mainstay fetch
  mainstay fetch weather files
  mainstay fetch --json | jq -r '.servers[] | select(.state == \"unpinned\") | .write[].pinned'

What was fetched is in the state folder, and recorded with its digests in packages.json there. From
the daemon's next start on servers are started from it: offline, and always as the same version.";

pub(super) const SERVICE: &str = "\
Examples:
  mainstay service show                           what can be shown
  mainstay service show nginx > /etc/nginx/conf.d/mainstay.conf
  mainstay service show nginx --config prod.toml --with dev.toml

Each configuration needs a `gateway.public_url` of its own, such as https://tools.example.org/mcp
and https://tools.example.org/mcp/dev.";

pub(super) const INIT: &str = "\
Examples:
  mainstay init
  mainstay init ~/.config/mainstay/mainstay.toml";

pub(super) const SCHEMA: &str = "\
Examples:
  mainstay schema > mainstay.schema.json";

pub(super) const COMPLETIONS: &str = "\
Examples:
  mainstay completions bash > ~/.local/share/bash-completion/completions/mainstay
  mainstay completions zsh > ~/.zfunc/_mainstay
  mainstay completions fish > ~/.config/fish/completions/mainstay.fish";
