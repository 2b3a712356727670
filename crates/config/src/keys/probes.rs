//! Probes of servers, services and externals. Each section takes the checks that make sense for it.

use super::breaker::{EXTERNAL_BREAKER, breaker};
use super::{HOUR, Key, Kind, Section};

pub(crate) static SERVER_PROBE: Section = Section {
    title: "servers.NAME.probe",
    doc: "What must pass beside the handshake and the lists before the server is ready, and go on passing. \
          Exactly one check is required: `ping`, `tool`, `http`, `tcp`, `command`, `log`, `redis` or `postgres`. \
          A check has one of three results. It passed; or something answered, but not as expected (unfit); or \
          nothing answered in time (silent). After `fall` checks in a row that did not pass, a ready server is \
          `unhealthy` and gets no calls, until `rise` checks in a row pass. A server that was silent `fall` times \
          in a row counts as hung and is restarted; one that answers that it is unfit is not, because a restart \
          would not help it. While a server starts, checks that do not pass only mean \"not yet\".",
    keys: &[
        PING,
        TOOL,
        ARGS,
        HTTP,
        STATUS,
        CONTAINS,
        JSON,
        TCP,
        COMMAND,
        LOG,
        REDIS,
        POSTGRES,
        QUERY,
        PERIOD,
        WAITING_PERIOD,
        TIMEOUT,
        FALL,
        RISE,
    ],
    example: r#"[servers.search]
command = ["npx", "-y", "search-server@1.2.0"]
probe = { tool = "search", args = { query = "ping" }, contains = "pong" }
"#,
};

pub(crate) static SERVICE_PROBE: Section = Section {
    title: "services.NAME.probe",
    doc: "What must pass before the service is ready, and go on passing. Exactly one check is required: `http`, \
          `tcp`, `command`, `log`, `redis` or `postgres`. What results lead to is as in [servers.NAME.probe]. \
          Without a probe the service is ready once its process has started.",
    keys: &[
        HTTP,
        STATUS,
        CONTAINS,
        JSON,
        TCP,
        COMMAND,
        LOG,
        REDIS,
        POSTGRES,
        QUERY,
        PERIOD,
        WAITING_PERIOD,
        TIMEOUT,
        FALL,
        RISE,
    ],
    example: r#"[services.vectors]
command = ["/usr/local/bin/vectors", "--port", "9200"]

[services.vectors.probe]
http = "http://127.0.0.1:9200/_cluster/health"
json = { status = ["green", "yellow"], timed_out = false }
fall = 2
"#,
};

pub(crate) static EXTERNAL: Section = Section {
    title: "externals.NAME",
    doc: "Something that servers and services need and that Mainstay does not run. Exactly one check is required: \
          `http`, `tcp`, `command`, `redis` or `postgres`. What needs it starts when the check has passed `rise` \
          times; after `fall` checks in a row that did not pass it counts as lost.",
    keys: &[
        HTTP,
        STATUS,
        CONTAINS,
        JSON,
        TCP,
        COMMAND,
        REDIS,
        POSTGRES,
        QUERY,
        PERIOD,
        WAITING_PERIOD,
        TIMEOUT,
        FALL,
        RISE,
        breaker(&EXTERNAL_BREAKER),
    ],
    example: r#"[externals.weather]
http = "https://weather.example.org/health"
json = { status = "ok" }
period = "1m"
"#,
};

/// The keys that say what is checked.
pub(crate) const CHECKS: [&str; 8] =
    ["ping", "tool", "http", "tcp", "command", "log", "redis", "postgres"];

/// Keys that belong to some checks only.
pub(crate) const DETAILS: [(&str, &[&str]); 5] = [
    ("args", &["tool"]),
    ("status", &["http"]),
    ("contains", &["http", "tool"]),
    ("json", &["http"]),
    ("query", &["postgres"]),
];

const PING: Key =
    Key::new("ping", Kind::Bool, "true", "Passes if the server answers a ping of MCP.");
const TOOL: Key = Key::new(
    "tool",
    Kind::Text,
    "'health_check'",
    "Passes if a call of this tool succeeds. The call is no call of a client: it is not counted or logged as one.",
);
pub(super) const ARGS: Key = Key::new(
    "args",
    Kind::Args,
    "{ query = 'ping' }",
    "The arguments of `tool`: a table, or the text of a JSON object. They are shown; `secret:` is not allowed.",
)
.or("{}");
const HTTP: Key = Key::new(
    "http",
    Kind::KeyedUrl(&["http", "https"]),
    "'http://127.0.0.1:9200/health'",
    "Passes if a GET is answered as `status`, `contains` and `json` say. Redirects are not followed. A key in the \
     URL is best written as `${NAME}`, or the whole URL as a `secret:` reference: these are never shown.",
);
pub(super) const STATUS: Key = Key::new(
    "status",
    Kind::Count { min: 100, max: 599 },
    "204",
    "The status code that `http` must be answered with. Unset: 200 to 299.",
);
const CONTAINS: Key = Key::new(
    "contains",
    Kind::Text,
    "'\"status\":\"ok\"'",
    "A text that the body of the answer to `http`, or a text of the result of `tool`, must contain.",
);
const JSON: Key = Key::new(
    "json",
    Kind::Expected,
    "{ status = ['green', 'yellow'], 'checks.db' = true }",
    "Members that the JSON body of the answer to `http` must have, each with its value, or a list of allowed \
     values: texts, numbers, true or false. Dots lead to members of members.",
);
const TCP: Key =
    Key::new("tcp", Kind::HostPort, "'127.0.0.1:5432'", "Passes if it accepts a connection.");
const COMMAND: Key = Key::new(
    "command",
    Kind::Command,
    "['pg_isready', '-q']",
    "Passes if this program exits with code 0. Each argument is a separate string; no shell is involved. It runs \
     with the `env`, `cwd`, `user` and `group` of the server or service.",
);
const LOG: Key = Key::new(
    "log",
    Kind::Text,
    "'ready to accept connections'",
    "Passes once a line of the output of the current run contains this text.",
);
const REDIS: Key = Key::new(
    "redis",
    Kind::SecretUrl(&["redis", "rediss"]),
    "'redis://127.0.0.1:6379'",
    "Passes if it answers PING. The value is never shown.",
);
const POSTGRES: Key = Key::new(
    "postgres",
    Kind::SecretUrl(&["postgres", "postgresql"]),
    "'secret:env:DATABASE_URL'",
    "Passes if it answers `query`. The value is never shown.",
);
pub(super) const QUERY: Key =
    Key::new("query", Kind::Text, "'SELECT 1 FROM documents LIMIT 1'", "The query for `postgres`.")
        .or("'SELECT 1'");
const PERIOD: Key = Key::new(
    "period",
    Kind::Duration { min: MILLIS_100, max: HOUR },
    "'1m'",
    "The longest time from the start of one check to the start of the next while it is ready.",
)
.or("'30s'");
const WAITING_PERIOD: Key = Key::new(
    "waiting_period",
    Kind::Duration { min: MILLIS_100, max: HOUR },
    "'1s'",
    "The longest time from the start of one check to the start of the next while it is not ready, or in doubt: \
     after a check that did not pass. The first checks after a start follow each other faster.",
)
.or("'5s'");
const TIMEOUT: Key = Key::new(
    "timeout",
    Kind::Duration { min: MILLIS_100, max: HOUR },
    "'2s'",
    "The time limit for one check. A check that takes longer is silent. Unset: 5s, and 30s for `tool`.",
)
.or("'5s'");
const FALL: Key = Key::new(
    "fall",
    Kind::Count { min: 1, max: 1000 },
    "5",
    "After this many checks in a row that did not pass, it is no longer ready.",
)
.or("3");
const RISE: Key = Key::new(
    "rise",
    Kind::Count { min: 1, max: 1000 },
    "2",
    "After this many checks in a row that passed, it is ready.",
)
.or("1");

pub(super) const MILLIS_100: std::time::Duration = std::time::Duration::from_millis(100);
