use std::time::Duration;

use super::{DAY, HOUR, Item, Key, Kind, SECOND, Section, Word};

const MILLIS_100: Duration = Duration::from_millis(100);
const MILLIS_10: Duration = Duration::from_millis(10);

pub(crate) static GATEWAY: Section = Section {
    title: "gateway",
    doc: "How clients reach the daemon, and the bounds of what they can make it do.",
    keys: &KEYS,
    example: "",
};

static KEYS: [Key; 20] = [
    Key::new(
        "listen",
        Kind::Listen,
        "'127.0.0.1:9000'",
        "The address to serve on, as `IP:PORT` or `localhost:PORT`. Port 0 takes any \
         free port.",
    )
    .or("'127.0.0.1:8000'"),
    Key::new(
        "http",
        Kind::Bool,
        "true",
        "Serve streamable HTTP, stateful and 2026-07-28, at `/mcp`.",
    )
    .or("true"),
    Key::new("sse", Kind::Bool, "false", "Serve HTTP+SSE of 2024-11-05, at `/sse`.").or("true"),
    Key::new(
        "sse_listen",
        Kind::Listen,
        "'127.0.0.1:8001'",
        "An address of its own for HTTP+SSE; empty: the same as `listen`.",
    )
    .or("''"),
    Key::new(
        "public_url",
        Kind::Url(&["http", "https"]),
        "'https://tools.example.org/mcp'",
        "How clients call the gateway when a proxy is in front, path included: where they find \
         what is at `/mcp` here, and below it everything else (docs/proxy.md). Empty: as they \
         reach it.",
    )
    .or("''"),
    Key::new(
        "allowed_hosts",
        Kind::List(Item::Host),
        "['tools.example.org']",
        "Values of `Host` that are let in beside loopback names, `listen` and the host \
         of `public_url`.",
    )
    .or("[]"),
    Key::new(
        "allowed_origins",
        Kind::List(Item::Origin),
        "['https://app.example.org']",
        "Values of `Origin` that are let in beside loopback ones and that of \
         `public_url`.",
    )
    .or("[]"),
    Key::new(
        "trusted_proxies",
        Kind::List(Item::Network),
        "['127.0.0.1', '10.0.0.0/8']",
        "Addresses of proxies whose `Forwarded` and `X-Forwarded-*` headers are believed; those of \
         everybody else are ignored.",
    )
    .or("[]"),
    Key::new("login", Kind::Choice(&LOGIN), "'none'", "How a client proves who its user is.")
        .or("'none'"),
    Key::new(
        "max_body",
        Kind::Size { min: 1 << 10, max: 1 << 30 },
        "'16MiB'",
        "Largest body of a request.",
    )
    .or("'4MiB'"),
    Key::new(
        "max_message",
        Kind::Size { min: 1 << 10, max: 1 << 30 },
        "'128MiB'",
        "Largest message from a server: one line, one SSE event or one body.",
    )
    .or("'64MiB'"),
    Key::new("max_depth", Kind::Count { min: 8, max: 1024 }, "64", "Deepest nesting of a message.")
        .or("128"),
    Key::new(
        "max_sessions",
        Kind::Count { min: 1, max: 1_000_000 },
        "500",
        "Most sessions at a time; and, apart from them, most clients of 2026-07-28 that listen.",
    )
    .or("10000"),
    Key::new(
        "max_connections",
        Kind::Count { min: 1, max: 1_000_000 },
        "1000",
        "Most open connections from clients.",
    )
    .or("16384"),
    Key::new(
        "session_idle",
        Kind::Duration { min: SECOND, max: DAY.saturating_mul(30) },
        "'8h'",
        "A session that nobody uses for this long ends.",
    )
    .or("'1h'"),
    Key::new(
        "receive_timeout",
        Kind::Duration { min: MILLIS_100, max: HOUR },
        "'10s'",
        "Time for the headers of a request to arrive, and again for its body.",
    )
    .or("'30s'"),
    Key::new(
        "call_timeout",
        Kind::Duration { min: MILLIS_10, max: DAY },
        "'1m'",
        "Deadline of a call.",
    )
    .or("'30s'"),
    Key::new(
        "call_timeout_max",
        Kind::Duration { min: MILLIS_10, max: DAY },
        "'10m'",
        "Progress extends the deadline of a call up to this, counted from its start. While the client is asked something the deadline stands still, for at most as long again.",
    )
    .or("'5m'"),
    Key::new(
        "list_timeout",
        Kind::Duration { min: MILLIS_10, max: SECOND.saturating_mul(300) },
        "'5s'",
        "How long a merged list waits for a server that has not answered.",
    )
    .or("'3s'"),
    Key::new(
        "drain_timeout",
        Kind::Duration { min: Duration::ZERO, max: HOUR },
        "'1m'",
        "How long calls in flight may finish when the daemon stops.",
    )
    .or("'30s'"),
];

static LOGIN: [Word; 1] =
    [Word { word: "none", doc: "everybody who reaches the address is let in" }];
