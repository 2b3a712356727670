//! Hints for what people write because other programs have it so.

use crate::document::{Node, Value};
use crate::keys::Kind;

/// A key of another program, and what it is called here.
struct Synonym {
    key: &'static str,
    of: SynonymOf,
    help: &'static str,
}

/// The tables that a hint is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SynonymOf {
    Server,
    Service,
    External,
    /// A probe of a server or service, or an external, which is one itself.
    Probe,
}

const SYNONYMS: [Synonym; 30] = [
    Synonym::new("args", SynonymOf::Server, ARGS),
    Synonym::new("type", SynonymOf::Server, FOUND_OUT),
    Synonym::new("transport", SynonymOf::Server, FOUND_OUT),
    Synonym::new("serverUrl", SynonymOf::Server, "write `url`"),
    Synonym::new("httpUrl", SynonymOf::Server, "write `url`"),
    Synonym::new(
        "timeout",
        SynonymOf::Server,
        "write `start_timeout`; for the deadline of calls, `call_timeout`",
    ),
    Synonym::new(
        "tool_timeout_sec",
        SynonymOf::Server,
        "write `call_timeout = \"1m\"`, here or in a rule for tools",
    ),
    Synonym::new("startup_timeout_sec", SynonymOf::Server, "write `start_timeout = \"30s\"`"),
    Synonym::new("disabled", SynonymOf::Server, "to disable a server, remove it from the file"),
    Synonym::new("cmd", SynonymOf::Server, COMMAND),
    Synonym::new("depends_on", SynonymOf::Server, NEEDS),
    Synonym::new("healthcheck", SynonymOf::Server, PROBE),
    Synonym::new("args", SynonymOf::Service, ARGS),
    Synonym::new("type", SynonymOf::Service, "write `kind`: \"service\" or \"once\""),
    Synonym::new("cmd", SynonymOf::Service, COMMAND),
    Synonym::new("depends_on", SynonymOf::Service, NEEDS),
    Synonym::new("healthcheck", SynonymOf::Service, PROBE),
    Synonym::new("environment", SynonymOf::Service, "write `env = { NAME = \"VALUE\" }`"),
    Synonym::new(
        "timeout",
        SynonymOf::Service,
        "write `start_timeout`; `timeout` of a check belongs in its `probe`",
    ),
    Synonym::new(
        "url",
        SynonymOf::Service,
        "what Mainstay does not start is an external: write [externals.NAME] with `http`",
    ),
    Synonym::new("needs", SynonymOf::External, NEEDS_NOTHING),
    Synonym::new("depends_on", SynonymOf::External, NEEDS_NOTHING),
    Synonym::new("url", SynonymOf::External, "write `http`"),
    Synonym::new(
        "probe",
        SynonymOf::External,
        "an external is a probe itself: write its keys without `probe`",
    ),
    Synonym::new("cmd", SynonymOf::Probe, COMMAND),
    Synonym::new("url", SynonymOf::Probe, "write `http`"),
    Synonym::new("interval", SynonymOf::Probe, "write `period`"),
    Synonym::new(
        "retries",
        SynonymOf::Probe,
        "write `fall`: the failed checks in a row until it is unhealthy",
    ),
    Synonym::new(
        "start_period",
        SynonymOf::Probe,
        "write `start_timeout` in the table of the server or service",
    ),
    Synonym::new("test", SynonymOf::Probe, "write `command = [\"PROGRAM\", \"ARGUMENT\"]`"),
];

const ARGS: &str =
    "put arguments into `command`, after the program: command = [\"npx\", \"-y\", \"…\"]";
const FOUND_OUT: &str =
    "remove it: `command` or `url` decides, and the transport at a `url` is detected";
const COMMAND: &str = "write `command = [\"PROGRAM\", \"ARGUMENT\"]`";
const NEEDS: &str = "write `needs = [\"service:NAME\"]`";
const NEEDS_NOTHING: &str =
    "Mainstay does not start an external, so it needs nothing; write `needs` where it is needed";
const PROBE: &str = "write `probe`, as in probe = { tcp = \"127.0.0.1:5432\" }";

/// Words for a job in other programs.
const JOBS: [&str; 6] = ["job", "task", "oneshot", "one-shot", "one_shot", "init"];

/// The hint for a key that is known elsewhere, in the table at a path.
pub(super) fn of_key(key: &str, path: &str) -> Option<&'static str> {
    let found = SYNONYMS.iter().find(|it| it.key == key && it.of.has(path))?;
    Some(found.help)
}

/// The word that a word of another program stands for.
pub(super) fn of_word(word: &str, allowed: &[&'static str]) -> Option<String> {
    let is_job = JOBS.contains(&&*word.to_ascii_lowercase()) && allowed.contains(&"once");
    is_job.then(|| "did you mean `once`?".to_owned())
}

/// The hint for a text where a table belongs.
pub(super) fn of_table(path: &str, node: &Node) -> Option<String> {
    let Value::Text(text) = &node.value else { return None };
    if !path.ends_with(".probe") {
        return None;
    }
    let check = match text.split_once("://") {
        Some(("http" | "https", _)) => "http",
        Some(("redis" | "rediss", _)) => "redis",
        Some(("postgres" | "postgresql", _)) => "postgres",
        Some(_) => return None,
        None => "tcp",
    };
    // The address may have a password in it.
    Some(format!("write probe = {{ {check} = \"…\" }}"))
}

/// The hint for a number where a text with a unit belongs.
pub(super) fn of_number(kind: &Kind, node: &Node) -> Option<String> {
    match (kind, &node.value) {
        (Kind::Duration { .. }, Value::Integer(Some(number))) if *number > 0 => {
            Some(format!("write \"{number}s\" for seconds; units: ms, s, m, h, d"))
        }
        _ => None,
    }
}

// === impl Synonym ===

impl Synonym {
    const fn new(key: &'static str, of: SynonymOf, help: &'static str) -> Self {
        Self { key, of, help }
    }
}

// === impl SynonymOf ===

impl SynonymOf {
    /// Whether a path is that of such a table: `services.NAME.probe`.
    fn has(self, path: &str) -> bool {
        let depth = path.matches('.').count();
        let is_in = |top: &str| path.starts_with(top) && depth == 1;
        match self {
            Self::Server => is_in("servers."),
            Self::Service => is_in("services."),
            Self::External => is_in("externals."),
            Self::Probe => is_in("externals.") || (depth == 2 && path.ends_with(".probe")),
        }
    }
}
