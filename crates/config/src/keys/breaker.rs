//! Circuit breakers of servers, services and externals.

use std::time::Duration;

use super::{DAY, Key, Kind, Section};

pub(super) static SERVER_BREAKER: Section = Section {
    title: "servers.NAME.breaker",
    doc: "The circuit breaker of the server. It opens on the last of `failures` failed calls in a row; then calls are \
          refused at once with `BREAKER_OPEN`, and nothing reaches the server. After `recovery` one call goes through \
          as a trial: if it succeeds all calls pass again, if not the breaker stays open for another `recovery`. \
          Lost answers, missed deadlines and HTTP 5xx are failures; whatever a server answers in JSON-RPC is a \
          success, also an error and `isError`.",
    keys: &[ENABLED, FAILURES, RECOVERY],
    example: r#"[servers.model]
url = "http://127.0.0.1:9300/mcp"
expensive = true

[servers.model.breaker]
failures = 2
recovery = "30s"
"#,
};

pub(super) static SERVICE_BREAKER: Section = Section {
    title: "services.NAME.breaker",
    doc: "The circuit breaker of the service. Failed checks of its probe count, and failed calls to tools that declare \
          that they need it; while it is open, such tools are refused with `DEGRADED`.",
    keys: &[ENABLED, FAILURES, RECOVERY],
    example: "",
};

pub(super) static EXTERNAL_BREAKER: Section = Section {
    title: "externals.NAME.breaker",
    doc: "The circuit breaker of the external, as in [services.NAME.breaker].",
    keys: &[ENABLED, FAILURES, RECOVERY],
    example: "",
};

pub(super) const fn breaker(section: &'static Section) -> Key {
    Key::new(
        "breaker",
        Kind::Table(section),
        "{ failures = 3, recovery = '30s' }",
        "When its circuit breaker opens, and for how long.",
    )
}

const ENABLED: Key = Key::new(
    "enabled",
    Kind::Bool,
    "false",
    "Whether it can open. If not, failures are counted all the same.",
)
.or("true");
const FAILURES: Key = Key::new(
    "failures",
    Kind::Count { min: 1, max: 10_000 },
    "10",
    "It opens on this many failures in a row. Answers that were lost at the same moment are one failure. Unset: 5, \
     and 3 for servers with `expensive = true`.",
);
const RECOVERY: Key = Key::new(
    "recovery",
    Kind::Duration { min: Duration::from_millis(100), max: DAY },
    "'30s'",
    "The time from its opening to the trial. Unset: 60s, and 120s for servers with `expensive = true`.",
);
