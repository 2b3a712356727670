//! Checks that `mainstay verify` makes.

use super::probes::{ARGS, MILLIS_100, QUERY, STATUS};
use super::{HOUR, Item, Key, Kind, Section};

pub(crate) static CHECK: Section = Section {
    title: "[checks]",
    doc: "What `mainstay verify` checks, beside what is built in (docs/verify.md): a tool call and what must come \
          back, the tools of a server as a set, an address, or a command. Exactly one of `tool`, `tools`, \
          `tools_include`, `http`, `tcp`, `command`, `redis` and `postgres` is required. Checks are made when \
          somebody asks for them, never by themselves; `[servers.NAME.probe]` is for that.",
    keys: &KEYS,
    example: EXAMPLE,
};

/// The keys that say what is checked.
pub(crate) const KINDS: [&str; 8] =
    ["tool", "tools", "tools_include", "http", "tcp", "command", "redis", "postgres"];

/// Keys that belong to some kinds only.
pub(crate) const PARTS: [(&str, &[&str]); 9] = [
    ("server", &OF_SERVERS),
    ("of", &["http", "tcp", "command", "redis", "postgres"]),
    ("args", &["tool"]),
    ("is_error", &["tool"]),
    ("equals", &["tool"]),
    ("contains", &["tool", "http", "command"]),
    ("json", &["tool", "http"]),
    ("status", &["http"]),
    ("query", &["postgres"]),
];

/// The kinds that ask a server.
pub(crate) const OF_SERVERS: [&str; 3] = ["tool", "tools", "tools_include"];

static KEYS: [Key; 19] = [
    Key::new(
        "name",
        Kind::Text,
        "'search works'",
        "What the check is called in results, and what `mainstay verify NAME` takes. Unset: a name made of what is \
         checked, such as `search/find`.",
    ),
    Key::new(
        "server",
        Kind::Text,
        "'search'",
        "The server that `tool`, `tools` or `tools_include` is about.",
    ),
    Key::new(
        "tool",
        Kind::Text,
        "'find'",
        "Passes if a call of this tool comes back as `is_error`, `contains`, `equals` and `json` say. The call is made at \
         `/mcp/SERVER`, as clients make it, and counts and is logged as one of theirs.",
    ),
    ARGS,
    Key::new(
        "is_error",
        Kind::Bool,
        "true",
        "Whether the call must fail: be answered with `isError` or an error, in whose text `contains` and `equals` look.",
    )
    .or("false"),
    Key::new(
        "contains",
        Kind::Text,
        "'found'",
        "A text that the result of `tool`, the body of the answer to `http`, or the standard output of `command` must \
         contain.",
    ),
    Key::new(
        "equals",
        Kind::Text,
        "'4'",
        "The text that the result of `tool` must be, but for white space around it. Several texts of a result are \
         joined by line breaks.",
    ),
    Key::new(
        "json",
        Kind::Expected,
        "{ status = ['green', 'yellow'], 'hits.0.id' = 7 }",
        "Members that the structured content of the result of `tool` must have (or the JSON that its text is), or the \
         JSON body of the answer to `http`, each with its value or a list of allowed values. Dots lead to members of \
         members, numbers to items of lists.",
    ),
    Key::new(
        "tools",
        Kind::List(Item::Tool),
        "['find', 'index']",
        "Passes if the server lists exactly these tools, in any order. Missing and unexpected ones are named.",
    ),
    Key::new(
        "tools_include",
        Kind::List(Item::Tool),
        "['find']",
        "Passes if the server lists at least these tools.",
    ),
    Key::new(
        "of",
        Kind::Text,
        "'search'",
        "The server, service or external that `http`, `tcp`, `command`, `redis` or `postgres` says something about: \
         `mainstay verify NAME` makes the check, too, and `command` runs with the `env`, `cwd`, `user` and `group` \
         of that server or service.",
    ),
    Key::new(
        "http",
        Kind::KeyedUrl(&["http", "https"]),
        "'http://127.0.0.1:9200/health'",
        "Passes if a GET is answered as `status`, `contains` and `json` say. Redirects are not followed. A key in the \
         URL is best written as `${NAME}`, or the whole URL as a `secret:` reference: these are never shown.",
    ),
    STATUS,
    Key::new("tcp", Kind::HostPort, "'127.0.0.1:5432'", "Passes if it accepts a connection."),
    Key::new(
        "command",
        Kind::Command,
        "['python3', 'test_warehouse.py']",
        "Passes if this program exits with code 0, and its standard output is as `contains` says. Each argument is a \
         separate string; no shell is involved. When it ends, so does all that it has started.",
    ),
    Key::new(
        "redis",
        Kind::SecretUrl(&["redis", "rediss"]),
        "'redis://127.0.0.1:6379'",
        "Passes if it answers PING. The value is never shown.",
    ),
    Key::new(
        "postgres",
        Kind::SecretUrl(&["postgres", "postgresql"]),
        "'secret:env:DATABASE_URL'",
        "Passes if it answers `query`. The value is never shown.",
    ),
    QUERY,
    Key::new(
        "timeout",
        Kind::Duration { min: MILLIS_100, max: HOUR },
        "'1m'",
        "The time limit for the check.",
    )
    .or("'10s'"),
];

const EXAMPLE: &str = r#"[[checks]]
name = "search works"
server = "everything"
tool = "echo"
args = { message = "ping" }
contains = "ping"
"#;
