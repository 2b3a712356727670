use std::time::Duration;

use super::breaker::{SERVER_BREAKER, breaker};
use super::limits::{LIMITS_EXAMPLE, SERVER_LIMITS};
use super::pages::SERVER_PAGES;
use super::probes::SERVER_PROBE;
use super::tools::{CALL_TIMEOUT, CALL_TIMEOUT_MAX, TOOLS};
use super::{DAY, HOUR, Item, Key, Kind, Map, SECOND, Section, Word};

pub(crate) static SERVER: Section = Section {
    title: "servers.NAME",
    doc: "An MCP server, served at `/mcp/NAME` and, together with all others, at `/mcp`. If two \
          servers have an item of the same name, the first server in the file keeps the name. \
          Exactly one of `command` and `url` is required.",
    keys: &KEYS,
    example: EXAMPLE,
};

static KEYS: [Key; 31] = [
    Key::new(
        "command",
        Kind::Command,
        "['npx', '-y', '@modelcontextprotocol/server-everything@2026.8.31']",
        "A program that speaks MCP over stdio, and its arguments. Each argument is a separate \
         string; no shell is involved. A program with a `/` is a path.",
    ),
    Key::new(
        "url",
        Kind::KeyedUrl(&["http", "https"]),
        "'https://mcp.example.org/mcp'",
        "The URL of a running server that speaks streamable HTTP or HTTP+SSE (revision \
         2024-11-05). A key in it is best written as `${NAME}`, or the whole URL as a `secret:` \
         reference: these are never shown.",
    ),
    Key::new("image", IMAGE, "'example/server:1'", "A container image."),
    Key::new(
        "headers",
        Kind::Secrets(Map::Headers),
        "{ Authorization = 'Bearer ${TOKEN}' }",
        "Headers to send to `url` with each request. Values are never shown.",
    )
    .or("{}"),
    Key::new(
        "http_proxy",
        Kind::Bool,
        "false",
        "Connect to `url` through the HTTP proxy that the daemon's environment names: \
         `HTTPS_PROXY` or `HTTP_PROXY`, else `ALL_PROXY`, in upper or lower case. Servers in \
         `NO_PROXY` (names with their subdomains, addresses, ranges such as 10.0.0.0/8, each with \
         a port or without, `*`) and servers on this machine are reached directly.",
    )
    .or("true"),
    Key::new(
        "env",
        Kind::Secrets(Map::Variables),
        "{ API_KEY = 'secret:env:API_KEY' }",
        "Variables to add to the environment of `command`. Values are never shown.",
    )
    .or("{}"),
    Key::new(
        "cwd",
        Kind::Path,
        "'~/projects'",
        "The working folder of `command`. Unset: the daemon's.",
    ),
    Key::new(
        "user",
        Kind::Account,
        "'nobody'",
        "The user that `command` runs as: a name in /etc/passwd, or a number in quotes. A number \
         that /etc/passwd lacks needs `group`, too. Unset: the daemon's user. Only a daemon that \
         runs as root can start servers as other users. Groups, `HOME`, `USER`, `LOGNAME` and \
         `SHELL` are set for the user. `npx` and `uvx` need a home folder that the user can write \
         to.",
    ),
    Key::new(
        "group",
        Kind::Account,
        "'nogroup'",
        "The group that `command` runs as: a name in /etc/group, or a number in quotes. Unset: \
         the group of `user`, or else the daemon's.",
    ),
    Key::new("sharing", Kind::Choice(&SHARING), "'shared'", "Which calls share an instance.")
        .or("'user'"),
    Key::new("required", Kind::Bool, "true", "The daemon is ready only when this server is ready.")
        .or("false"),
    Key::new(
        "revision",
        Kind::Choice(&REVISION),
        "'legacy'",
        "Which revisions to use with the server.",
    )
    .or("'auto'"),
    Key::new(
        "asks",
        Kind::Choice(&ASKS),
        "'never'",
        "Whether the server asks clients questions: sampling, elicitation, roots. A process that \
         may ask handles one call at a time for clients that support one of these.",
    )
    .or("'auto'"),
    Key::new(
        "concurrency",
        Kind::Count { min: 0, max: 4096 },
        "1",
        "How many calls the server carries out at the same time, over all its instances. Further \
         calls wait in the order in which they came, up to their deadline. 0: no limit. 1: one \
         call after the other, for servers that keep their data in plain files. A call that is \
         cancelled or exceeds its deadline counts until the server has answered it, but for 10 \
         seconds at most, since most servers do not tell when they have stopped.",
    )
    .or("0"),
    Key::new(
        "idle",
        Kind::Choice(&IDLE),
        "'stop'",
        "What happens to the server when nobody uses it. While it is stopped, its state is `idle`, its \
         known lists are served, and it counts as ready.",
    )
    .or("'keep'"),
    Key::new(
        "needs",
        Kind::List(Item::Need),
        "['service:database', 'server:search', 'volume:archive']",
        "What must be ready before the server starts: `server:NAME`, `service:NAME`, `volume:NAME` or \
         `external:NAME`. It starts within a second after the last of them became ready; what needs nothing \
         starts at once. Volumes are not watched by this version and hold nobody up.",
    )
    .or("[]"),
    ON_LOST_NEED,
    Key::new(
        "restart",
        RESTART,
        "'on-failure'",
        "When an instance is started again after its process ended.",
    )
    .or("'always'"),
    Key::new(
        "start_timeout",
        START_TIMEOUT,
        "'30s'",
        "The time limit for one start: process, handshake, first lists and probe. A server that does not become \
         ready in time is started up to three times.",
    )
    .or("'2m'"),
    STOP_SIGNAL,
    STOP_TIMEOUT,
    Key::new(
        "fetch_timeout",
        Kind::Duration { min: SECOND, max: HOUR },
        "'10m'",
        "The time limit for `mainstay fetch` to fetch the package that `command` names. If the \
         package was not fetched, this is added to the time limit of a start.",
    )
    .or("'3m'"),
    CALL_TIMEOUT,
    CALL_TIMEOUT_MAX,
    TOOLS,
    Key::new("limits", Kind::Table(&SERVER_LIMITS), LIMITS_EXAMPLE, "What each instance may use."),
    Key::new(
        "pool",
        Kind::Table(&POOL),
        "{ min = 2, max = 20 }",
        "The number of instances to keep.",
    ),
    Key::new(
        "probe",
        Kind::Table(&SERVER_PROBE),
        "{ tool = 'health_check' }",
        "What must pass beside the handshake and the lists before the server is ready.",
    ),
    Key::new(
        "pages",
        Kind::Table(&SERVER_PAGES),
        "{ target = 'http://127.0.0.1:9100', paths = ['/web-ui/*'] }",
        "Pages that clients reach at `/pages/NAME/…`.",
    ),
    Key::new(
        "expensive",
        Kind::Bool,
        "true",
        "Whether calls of the server are expensive. Its breaker opens on the third failure in a row then, and for 120 \
         seconds, unless `breaker` says otherwise.",
    )
    .or("false"),
    breaker(&SERVER_BREAKER),
];

pub(super) const ON_LOST_NEED: Key = Key::new(
    "on_lost_need",
    Kind::Choice(&LOST_NEED),
    "'stop'",
    "What happens to it when it runs and something in `needs` is no longer ready.",
)
.or("'keep'");

pub(super) const STOP_SIGNAL: Key = Key::new(
    "stop_signal",
    Kind::Signal,
    "'INT'",
    "The signal that asks its process to end: TERM, INT, QUIT, HUP, USR1, USR2 or KILL. PostgreSQL, for one, ends \
     its sessions on INT, and waits for them on TERM.",
)
.or("'TERM'");

pub(super) const STOP_TIMEOUT: Key = Key::new(
    "stop_timeout",
    Kind::Duration { min: Duration::from_millis(100), max: HOUR },
    "'1m'",
    "The time between this signal and KILL, which ends all that it has started.",
)
.or("'10s'");

pub(super) const RESTART: Kind = Kind::Choice(&RESTART_WORDS);

pub(super) const START_TIMEOUT: Kind =
    Kind::Duration { min: Duration::from_millis(100), max: HOUR };

static RESTART_WORDS: [Word; 3] = [
    Word { word: "always", doc: "whatever it ended with" },
    Word { word: "on-failure", doc: "unless it ended by itself with code 0" },
    Word { word: "never", doc: "only by `mainstay start` or `mainstay restart`" },
];

static LOST_NEED: [Word; 2] = [
    Word { word: "keep", doc: "it keeps running, with the state `degraded`" },
    Word {
        word: "stop",
        doc: "it is stopped, and started when everything it needs is ready again",
    },
];

const IMAGE: Kind = Kind::Refused {
    why: "containers can't be run by this version",
    instead: "use `command` to start a program, or `url` for a server that runs already",
};

static SHARING: [Word; 4] = [
    Word { word: "user", doc: "all sessions of one user" },
    Word { word: "shared", doc: "all sessions of all users" },
    Word { word: "session", doc: "the calls of one session" },
    Word { word: "call", doc: "no sharing: each call has its own instance" },
];

static REVISION: [Word; 8] = [
    Word { word: "auto", doc: "detect them" },
    Word { word: "legacy", doc: "2025-11-25 and earlier, whichever the server supports" },
    Word { word: "modern", doc: "2026-07-28" },
    Word { word: "2026-07-28", doc: "only this revision, like the dates below" },
    Word {
        word: "2025-11-25",
        doc: "ask the server for this revision only; it may answer with an older one, which is used",
    },
    Word { word: "2025-06-18", doc: "the same for this revision" },
    Word { word: "2025-03-26", doc: "the same for this revision" },
    Word { word: "2024-11-05", doc: "the same for this revision" },
];

/// The words of `revision` that are dates.
pub(crate) fn published_revision(date: &str) -> Option<&'static str> {
    let words = REVISION.iter().map(|word| word.word);
    words.filter(|word| word.starts_with("20")).find(|word| *word == date)
}

static ASKS: [Word; 3] = [
    Word {
        word: "auto",
        doc: "it may ask; Mainstay starts it once with all of these to detect whether its lists \
              depend on them",
    },
    Word { word: "never", doc: "it never asks; all clients share an instance" },
    Word { word: "always", doc: "it may ask, and its lists depend on what the client supports" },
];

static IDLE: [Word; 2] = [
    Word {
        word: "keep",
        doc: "it runs; a program that ends itself without an error while it is idle is restarted once, and after that when it is needed",
    },
    Word {
        word: "stop",
        doc: "it is ended when it was not used for `pool.idle_timeout`, and started when it is needed",
    },
];

static POOL: Section = Section {
    title: "servers.NAME.pool",
    doc: "The number of instances of the server, in addition to the one that supplies its lists. \
          Without this table the maximum is 100, and no idle instance is kept beyond its idle \
          timeout.",
    keys: &[
        Key::new(
            "min",
            Kind::Count { min: 0, max: 10_000 },
            "2",
            "The number of idle instances to keep, at most `max`. They can be evicted to make \
             room for other instances. Instances for one session or one call are not counted. \
             Unset: 10, and 0 with `idle = \"stop\"`.",
        )
        .or("10"),
        Key::new(
            "max",
            Kind::Count { min: 1, max: 10_000 },
            "20",
            "The maximum number of instances, in addition to the one that supplies the lists.",
        )
        .or("100"),
        Key::new(
            "idle_timeout",
            Kind::Duration { min: SECOND, max: DAY.saturating_mul(30) },
            "'5m'",
            "An instance beyond `min` that is idle for this long is stopped. An instance for \
             clients that support questions is stopped after at most one minute. The instance \
             that supplies the lists is stopped only with `idle = \"stop\"`, up to five seconds \
             later.",
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
