use std::time::Duration;

use super::{DAY, HOUR, Item, Key, Kind, Map, SECOND, Section, Word};

pub(crate) static SERVER: Section = Section {
    title: "servers.NAME",
    doc: "An MCP server and how to run it. It is served at `/mcp/NAME`, and at `/mcp` together \
          with the others. The order of the file decides who keeps a name when two servers publish the same one. \
          Exactly one of `command` and `url` says what it is.",
    keys: &KEYS,
    example: EXAMPLE,
};

static KEYS: [Key; 17] = [
    Key::new(
        "command",
        Kind::Command,
        "['npx', '-y', '@modelcontextprotocol/server-everything@2026.8.31']",
        "A program that speaks MCP on stdio, and its arguments, each a string of its \
         own: no shell reads them. A program with a `/` is a path.",
    ),
    Key::new(
        "url",
        Kind::Url(&["http", "https"]),
        "'https://mcp.example.org/mcp'",
        "A server that runs already, reached over streamable HTTP, or HTTP+SSE of 2024-11-05.",
    ),
    Key::new("image", IMAGE, "'example/server:1'", "A container image."),
    Key::new(
        "headers",
        Kind::Secrets(Map::Headers),
        "{ Authorization = 'Bearer ${TOKEN}' }",
        "Headers sent to `url` with each request. Values are never shown.",
    )
    .or("{}"),
    Key::new(
        "env",
        Kind::Secrets(Map::Variables),
        "{ API_KEY = 'secret:env:API_KEY' }",
        "Variables for `command`, added to its environment. Values are never shown.",
    )
    .or("{}"),
    Key::new(
        "cwd",
        Kind::Path,
        "'~/projects'",
        "The folder that `command` runs in; unset: that of the daemon.",
    ),
    Key::new(
        "user",
        Kind::Account,
        "'nobody'",
        "Whom `command` runs as: a name of /etc/passwd, or a number in quotes, which needs `group` as well \
         where /etc/passwd lacks it; unset: the user of the daemon. Only a daemon that runs as root can start \
         servers as others. Groups, `HOME`, `USER`, `LOGNAME` and `SHELL` become those of the user; `npx` \
         and `uvx` need a home folder that this user can write to.",
    ),
    Key::new(
        "group",
        Kind::Account,
        "'nogroup'",
        "Its group: a name of /etc/group, or a number in quotes; unset: that of `user`, or else of the daemon.",
    ),
    Key::new("sharing", Kind::Choice(&SHARING), "'shared'", "Who shares an instance.").or("'user'"),
    Key::new("required", Kind::Bool, "true", "The daemon is not ready without this server.")
        .or("false"),
    Key::new(
        "revision",
        Kind::Choice(&REVISION),
        "'legacy'",
        "Which era of the protocol to speak to it.",
    )
    .or("'auto'"),
    Key::new(
        "asks",
        Kind::Choice(&ASKS),
        "'never'",
        "Whether it may ask clients for something: sampling, elicitation, roots. A process that may ask \
         serves clients that offer one of these one call at a time.",
    )
    .or("'auto'"),
    Key::new(
        "needs",
        Kind::List(Item::Need),
        "['server:database', 'volume:archive']",
        "What must be healthy before it starts: `server:NAME`, `volume:NAME` or `external:NAME`.",
    )
    .or("[]"),
    Key::new(
        "start_timeout",
        Kind::Duration { min: Duration::from_millis(100), max: HOUR },
        "'30s'",
        "Time for one start: process up, handshake done, lists read.",
    )
    .or("'2m'"),
    Key::new(
        "fetch_timeout",
        Kind::Duration { min: SECOND, max: HOUR },
        "'10m'",
        "Time for `mainstay fetch` to fetch the package that `command` names; where that was not \
         done, a start gets as much time on top of its own.",
    )
    .or("'3m'"),
    Key::new("limits", Kind::Table(&LIMITS), "{ files = 4096 }", "What `command` may use."),
    Key::new("pool", Kind::Table(&POOL), "{ min = 2, max = 20 }", "Keep instances warm."),
];

const IMAGE: Kind = Kind::Refused {
    why: "containers can't be run by this version",
    instead: "use `command` to start a program, or `url` for a server that runs already",
};

static SHARING: [Word; 4] = [
    Word { word: "user", doc: "all sessions of one user" },
    Word { word: "shared", doc: "everybody" },
    Word { word: "session", doc: "one session" },
    Word { word: "call", doc: "one call" },
];

static REVISION: [Word; 3] = [
    Word { word: "auto", doc: "find out" },
    Word { word: "legacy", doc: "2025-11-25 and before" },
    Word { word: "modern", doc: "2026-07-28" },
];

static ASKS: [Word; 3] = [
    Word {
        word: "auto",
        doc: "it may; it is started once with all of these on offer, to see whether it lists more then",
    },
    Word { word: "never", doc: "it asks nothing: all clients share an instance" },
    Word { word: "always", doc: "it may, and what it lists depends on what its client offers" },
];

static LIMITS: Section = Section {
    title: "servers.NAME.limits",
    doc: "Bounds for each process of the server, in force from its first instruction on.",
    keys: &[Key::new(
        "files",
        Kind::Count { min: 16, max: 1 << 30 },
        "4096",
        "Files that it may have open at once, soft and hard limit alike; unset: the limits that the \
         daemon was started with.",
    )],
    example: "",
};

static POOL: Section = Section {
    title: "servers.NAME.pool",
    doc: "How many instances of the server there may be beside the one that supplies its lists. Without this \
          table there may be 100, and none is kept for longer than its idle time.",
    keys: &[
        Key::new(
            "min",
            Kind::Count { min: 0, max: 10_000 },
            "2",
            "Instances that are kept however long they are idle; never more than `max`. They are lent to whoever \
             can use them and give way to others; instances of one session or one call are not among them.",
        )
        .or("10"),
        Key::new(
            "max",
            Kind::Count { min: 1, max: 10_000 },
            "20",
            "Instances that can be lent at a time, beside the one that supplies the lists.",
        )
        .or("100"),
        Key::new(
            "idle_timeout",
            Kind::Duration { min: SECOND, max: DAY.saturating_mul(30) },
            "'5m'",
            "An instance beyond `min` that nobody uses for this long is stopped; one for clients that can be asked \
             after a minute at the latest.",
        )
        .or("'15m'"),
    ],
    example: "",
};

const EXAMPLE: &str = r#"[servers.everything]
command = ["npx", "-y", "@modelcontextprotocol/server-everything@2026.8.31"]

[servers.files]
command = ["npx", "-y", "@modelcontextprotocol/server-filesystem@2026.8.31", "/srv/files"]
sharing = "shared"
env = { LOG_LEVEL = "${LOG_LEVEL:-info}" }

[servers.remote]
url = "https://mcp.example.org/mcp"
headers = { Authorization = "Bearer ${REMOTE_TOKEN:-none}" }
"#;
