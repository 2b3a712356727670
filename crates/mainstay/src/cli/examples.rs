//! Examples and notes at the end of each command's help.

pub(super) const MAIN: &str = "\
Examples:
  mainstay demo                      try it out, without any configuration
  mainstay init && mainstay check    write a configuration and check it
  mainstay up --detach               run the daemon in the background
  mainstay up --wait                 the same, and return when everything is ready
  mainstay status                    show its state
  mainstay stop                      stop it

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 no daemon reachable, \
141 the output was closed by its reader";

pub(super) const UP: &str = "\
Examples:
  mainstay up
  mainstay up --config ~/servers.toml --listen 127.0.0.1:9000
  mainstay up --detach               in the background
  mainstay up --wait                 in the background; return when everything is ready
  mainstay up --wait 10m

With --detach and --wait, a daemon of the same configuration that runs already is left as it is. A daemon \
in the background writes its log to daemon.log in the state folder: at most 8 MiB, and as much in \
daemon.log.1. It goes on running when --wait gives up.

TERM, INT (Ctrl-C), `mainstay stop`, and closing the terminal that it runs in stop the daemon after \
calls in flight have finished, or after 30 s. After 2 s, another INT stops it at once, and so does the \
third TERM.";

pub(super) const DEMO: &str = "\
Examples:
  mainstay demo
  mainstay demo --listen 127.0.0.1:9000";

pub(super) const CHECK: &str = "\
Examples:
  mainstay check
  mainstay check ~/servers.toml
  mainstay check --resolved          every value in force and where it comes from
  mainstay check --json | jq '.problems[].message'";

pub(super) const STATUS: &str = "\
Examples:
  mainstay status
  mainstay status weather
  mainstay status --watch            again at each change, until Ctrl-C
  mainstay status --healthy          the state in one word; exit code 1 where /health is 503
  mainstay status --json | jq -r '.servers[] | select(.state != \"ready\") | .name'";

pub(super) const GRAPH: &str = "\
Examples:
  mainstay graph
  mainstay graph --mermaid > graph.mmd
  mainstay graph --json | jq -r '.nodes[] | select(.waiting_for != []) | .name'

Without a running daemon, it is the graph of the configuration.";

pub(super) const START: &str = "\
Examples:
  mainstay start weather
  mainstay start db weather --dry-run

The command returns when the start is under way; what needs the server or service starts when it is ready. \
`mainstay up` starts the daemon.";

pub(super) const RESTART: &str = "\
Examples:
  mainstay restart weather
  mainstay restart db --dry-run
  mainstay restart weather --no-verify   return when the start is under way

Calls in flight have `gateway.drain_timeout` to finish (30 s by default). The command waits until what was \
restarted is ready, for 3 minutes at most, and ends with the checks of `mainstay verify NAME`: with exit code 1 \
if one fails. `mainstay stop && mainstay up --detach` restarts the daemon, and `mainstay reload` has it read its \
configuration again.";

pub(super) const BREAKER: &str = "\
Examples:
  mainstay breaker list
  mainstay breaker reset weather
  mainstay breaker reset --all --dry-run

A breaker opens after several failures in a row, refuses calls at once, and lets one call through when its \
`recovery` is over. docs/breakers.md says what counts. A breaker that is reset opens again if calls go on failing.";

pub(super) const VERIFY: &str = "\
Examples:
  mainstay verify
  mainstay verify weather            this server, and the checks about it
  mainstay verify 'search works'     one check, by the name that it has in the configuration
  mainstay verify --json | jq -r '.checks[] | select(.outcome == \"failed\") | .name'

Servers must be ready and list their tools, services must be ready, externals must pass their probes; \
`[[checks]]` in the configuration adds tool calls, addresses and commands. The exit code is 1 if a check fails, \
and 2 if nothing has that name.";

pub(super) const DIFF: &str = "\
Examples:
  mainstay diff
  mainstay diff --json | jq -r '.nodes[] | select(.change == \"restart\") | .node'

The daemon reads its file and compares it with what is in force. Keys are named, values never. Exit code 2 if the \
configuration is wrong.";

pub(super) const RELOAD: &str = "\
Examples:
  mainstay diff && mainstay reload
  mainstay reload --timeout 5m
  mainstay reload --json | jq -r '.nodes[] | select(.outcome == \"kept\") | .reason'

A server whose start changes gets a new instance, which is ready before the old one stops taking calls. If it does \
not become ready, the old one stays, and the exit code is 1. If the configuration is wrong, nothing changes, and \
the exit code is 2. HUP to the daemon does the same.";

pub(super) const STOP: &str = "\
Examples:
  mainstay stop
  mainstay stop weather              only this server, until `mainstay start weather`
  mainstay stop --dry-run            how many calls are in flight, how long they may take
  mainstay stop && mainstay up -d    restart it

Calls in flight have `gateway.drain_timeout` to finish (30 s by default); new ones are refused. What \
was stopped by its name stays stopped when the daemon is restarted, and what needs it is held. Without a name \
the command ends with exit code 0 when the daemon has ended with all servers that it started, and with 3 \
when there is no daemon to stop.";

pub(super) const LOGS: &str = "\
Examples:
  mainstay logs
  mainstay logs weather --since 10m
  mainstay logs -f                   print new lines as they are written
  mainstay logs -f --json | jq -r .text

The daemon keeps the last 1,000 lines of each server and service in memory, or 128 KiB of them. Its own log goes to \
its standard error, with these lines if it runs with -v.";

pub(super) const EVENTS: &str = "\
Examples:
  mainstay events
  mainstay events weather --since 7d
  mainstay events -f                 print new events as they happen
  mainstay events -f --json | jq -r 'select(.event == \"crash-loop\") | .name'

The state folder keeps the last 10,000 events for up to 30 days, and the last 2,000 of each server. A \
crash loop is one event, however often the server is started in it. `[[notify]]` in the configuration \
tells you of events by a command or a webhook.";

pub(super) const LOG_LEVEL: &str = "\
Examples:
  mainstay log-level debug
  mainstay log-level initial         back to what the daemon was started with
  mainstay log-level trace --dry-run

The level lasts until the daemon ends. `mainstay up -v` starts a daemon that logs debug messages.";

pub(super) const TOOLS: &str = "\
Examples:
  mainstay tools
  mainstay tools weather
  mainstay tools weather forecast    one tool: its arguments, and a call that works
  mainstay tools --merged            under the names that clients of /mcp see
  mainstay tools --json | jq -r '.servers[].tools[].name'";

pub(super) const CALL: &str = "\
Examples:
  mainstay call clock now
  mainstay call weather forecast city=Oslo days=3
  mainstay call files search --args '{\"pattern\": \"*.rs\", \"limit\": 20}'
  mainstay call files search --args - < arguments.json
  mainstay call weather weather_chart city=Oslo --out pictures

For a list, repeat the key (tag=a tag=b) or give a JSON array.";

pub(super) const CONNECT: &str = "\
Examples:
  mainstay connect                   every server
  mainstay connect weather           one server or group
  mainstay connect --url http://10.0.0.5:8000/mcp/weather
  mainstay connect --url https://mcp.example.org --ca ca.pem --token-file ~/.mainstay-token

In the configuration of a client:
  {\"mcpServers\": {\"mainstay\": {\"command\": \"mainstay\", \"args\": [\"connect\"]}}}

Standard output carries only messages; -v logs to standard error. When the daemon restarts, sessions \
and subscriptions continue: requests wait for the daemon for up to 30 s. All revisions of MCP work, from \
2024-11-05 to 2026-07-28. The command ends with exit code 0 when the client leaves, and with 3 when \
no daemon can be reached within 5 s of the first request.";

pub(super) const ADD: &str = "\
Examples:
  mainstay add files -- npx -y @modelcontextprotocol/server-filesystem@2026.7.4 ~/documents
  mainstay add weather https://mcp.example.org/mcp --header 'Authorization: Bearer ${TOKEN}'
  mainstay add github --env GITHUB_TOKEN -- github-mcp-server stdio
  mainstay add notes --dry-run -- ./notes.py

Values that look like secrets go into files in the folder `secrets` beside the configuration, which \
only their owner may read. ${NAME} is a variable of the daemon's environment.";

pub(super) const REMOVE: &str = "\
Examples:
  mainstay remove weather
  mainstay remove weather --dry-run

A server is also removed from its groups. A server that others need is not removed.";

pub(super) const IMPORT: &str = "\
Examples:
  mainstay import cursor                          print the servers and change nothing
  mainstay import cursor opencode --write         add them to the configuration
  mainstay import .mcp.json compose.yaml --dry-run

Secrets become references and are never printed. With --write, each secret goes into a file in the \
folder `secrets` beside the configuration, which only its owner may read. Without --write, the \
output names the environment variable to put each secret in.";

pub(super) const EXPORT: &str = "\
Examples:
  mainstay export                                 list the known clients and their files
  mainstay export cursor                          print what its file needs
  mainstay export cursor --write --replace        also remove what Mainstay serves from its file
  mainstay export vscode --project --endpoint files --write
  mainstay export codex --stdio --write           through `mainstay connect`
  mainstay export cursor --remove";

pub(super) const FETCH: &str = "\
Examples:
  mainstay fetch
  mainstay fetch weather files
  mainstay fetch --json | jq -r '.servers[] | select(.state == \"unpinned\") | .write[].pinned'

Packages are installed in the state folder, and packages.json there records their digests. From the \
daemon's next start on, servers run the installed packages: offline, and always the same version.";

pub(super) const SERVICE: &str = "\
Examples:
  mainstay service show                           list the known programs
  mainstay service show systemd > ~/.config/systemd/user/mainstay.service
  mainstay service show compose > compose.yaml
  mainstay service show nginx > /etc/nginx/conf.d/mainstay.conf
  mainstay service show nginx --config prod.toml --with dev.toml

Behind nginx, each configuration needs a `gateway.public_url` of its own, such as \
https://tools.example.org/mcp and https://tools.example.org/mcp/dev.";

pub(super) const TOKEN: &str = "\
Examples:
  curl -H \"Authorization: Bearer $(mainstay token)\" http://127.0.0.1:8000/api/audit
  mainstay token --read                           what Prometheus gets

The `admin` token changes the daemon and shows what is protected; each use of it is in the audit log. \
The `read` token opens health, metrics and lists from other machines. Both come from token.key in the \
state folder: without that file the daemon makes new ones at its next start.";

pub(super) const INIT: &str = "\
Examples:
  mainstay init                                   with a demonstration server
  mainstay init --from cursor                     with the servers of a client
  mainstay init --from .mcp.json --dry-run
  mainstay init ~/.config/mainstay/mainstay.toml";

pub(super) const SCHEMA: &str = "\
Examples:
  mainstay schema > mainstay.schema.json";

pub(super) const COMPLETIONS: &str = "\
Examples:
  mainstay completions bash > ~/.local/share/bash-completion/completions/mainstay
  mainstay completions zsh > ~/.zfunc/_mainstay
  mainstay completions fish > ~/.config/fish/completions/mainstay.fish

The script completes the names of servers, groups, tools, their arguments and clients, too: it asks the \
daemon, or reads the configuration. Print it again after an update.";
