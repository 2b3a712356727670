use std::time::Duration;

use super::others::NAMES;
use super::{DAY, HOUR, Item, Key, Kind, SECOND, Section, Word};

const MILLIS_100: Duration = Duration::from_millis(100);
const MILLIS_10: Duration = Duration::from_millis(10);

pub(crate) static GATEWAY: Section = Section {
    title: "gateway",
    doc: "How clients reach the daemon, and limits on what they can use.",
    keys: &KEYS,
    example: "",
};

static KEYS: [Key; 23] = [
    Key::new(
        "listen",
        Kind::Listen,
        "'127.0.0.1:9000'",
        "The address to listen on, as `IP:PORT`, or as `localhost:PORT` for both 127.0.0.1 and ::1. \
         Port 0 uses any free port.",
    )
    .or("'127.0.0.1:8000'"),
    Key::new(
        "http",
        Kind::Bool,
        "true",
        "Serve streamable HTTP at `/mcp`, for clients with sessions and for clients of 2026-07-28.",
    )
    .or("true"),
    Key::new("sse", Kind::Bool, "false", "Serve HTTP+SSE (revision 2024-11-05) at `/sse`.")
        .or("true"),
    Key::new(
        "sse_listen",
        Kind::Listen,
        "'127.0.0.1:8001'",
        "A separate address for HTTP+SSE. Empty: the same as `listen`.",
    )
    .or("''"),
    Key::new(
        "public_url",
        Kind::Url(&["http", "https"]),
        "'https://tools.example.org/mcp'",
        "The URL, including the path, at which clients reach `/mcp` through a reverse proxy. All \
         other addresses are below it (docs/proxy.md). Empty: no proxy.",
    )
    .or("''"),
    Key::new(
        "allowed_hosts",
        Kind::List(Item::Host),
        "['tools.example.org']",
        "Allowed values of `Host`, in addition to loopback names, `listen` and the host of \
         `public_url`.",
    )
    .or("[]"),
    Key::new(
        "allowed_origins",
        Kind::List(Item::Origin),
        "['https://app.example.org']",
        "Allowed values of `Origin`, in addition to loopback origins and the origin of \
         `public_url`.",
    )
    .or("[]"),
    Key::new(
        "trusted_proxies",
        Kind::List(Item::Network),
        "['127.0.0.1', '10.0.0.0/8']",
        "Addresses of proxies whose `Forwarded` and `X-Forwarded-*` headers are trusted. From all \
         other addresses these headers are ignored.",
    )
    .or("[]"),
    Key::new("login", Kind::Choice(&LOGIN), "'none'", "How clients authenticate.").or("'none'"),
    Key::new(
        "names",
        Kind::Choice(&NAMES),
        "'strict'",
        "Which names of tools and prompts are published unchanged at `/mcp`. Calls reach the servers \
         under their own names.",
    )
    .or("'spec'"),
    Key::new(
        "max_body",
        Kind::Size { min: 1 << 10, max: 1 << 30 },
        "'16MiB'",
        "The maximum size of a request body.",
    )
    .or("'4MiB'"),
    Key::new(
        "max_message",
        Kind::Size { min: 1 << 10, max: 1 << 30 },
        "'128MiB'",
        "The maximum size of a message from a server: one line, one SSE event or one HTTP body.",
    )
    .or("'64MiB'"),
    Key::new(
        "memory_budget",
        Kind::Size { min: 16 << 20, max: 1 << 40 },
        "'512MiB'",
        "The maximum memory for data of clients and servers. Request bodies may use a quarter of it; \
         answers in transit, streams and lists of servers a half each; open questions an eighth; \
         remembered names a sixteenth. Data beyond that is refused. Unset: half of the memory limit \
         (of the control group, or else of the machine), at least 32 MiB and at most 4 GiB.",
    ),
    Key::new(
        "max_depth",
        Kind::Count { min: 8, max: 1024 },
        "64",
        "The maximum nesting depth of a message.",
    )
    .or("128"),
    Key::new(
        "max_sessions",
        Kind::Count { min: 1, max: 1_000_000 },
        "500",
        "The maximum number of sessions. The same maximum applies separately to clients of \
         2026-07-28 with an open `subscriptions/listen`.",
    )
    .or("10000"),
    Key::new(
        "max_connections",
        Kind::Count { min: 1, max: 1_000_000 },
        "1000",
        "The maximum number of open client connections.",
    )
    .or("16384"),
    Key::new(
        "session_idle",
        Kind::Duration { min: SECOND, max: DAY.saturating_mul(30) },
        "'8h'",
        "A session that is idle for this long expires.",
    )
    .or("'1h'"),
    Key::new(
        "receive_timeout",
        Kind::Duration { min: MILLIS_100, max: HOUR },
        "'10s'",
        "The time limit for receiving the headers of a request, and then again for its body.",
    )
    .or("'30s'"),
    Key::new(
        "call_timeout",
        Kind::Duration { min: MILLIS_10, max: DAY },
        "'1m'",
        "The deadline of a call.",
    )
    .or("'30s'"),
    Key::new(
        "call_timeout_max",
        Kind::Duration { min: MILLIS_10, max: DAY },
        "'10m'",
        "The longest deadline that progress can extend a call to, counted from its start. Time \
         that the client takes to answer questions does not count, up to the same duration.",
    )
    .or("'5m'"),
    Key::new(
        "list_timeout",
        Kind::Duration { min: MILLIS_10, max: SECOND.saturating_mul(300) },
        "'5s'",
        "How long a merged list waits for a server that does not answer.",
    )
    .or("'3s'"),
    Key::new(
        "drain_timeout",
        Kind::Duration { min: Duration::ZERO, max: HOUR },
        "'1m'",
        "How long the daemon waits for calls in flight when it stops.",
    )
    .or("'30s'"),
    Key::new(
        "reload",
        Kind::Choice(&RELOAD),
        "'watch'",
        "When the daemon reads its configuration again (docs/reload.md).",
    )
    .or("'manual'"),
];

static RELOAD: [Word; 2] = [
    Word { word: "manual", doc: "when it is told to, by `mainstay reload` or HUP" },
    Word {
        word: "watch",
        doc: "also when the configuration file, or a file that `secret:file:` refers to, has changed",
    },
];

static LOGIN: [Word; 1] = [Word {
    word: "none",
    doc: "no authentication; everybody who can reach the address has access",
}];
