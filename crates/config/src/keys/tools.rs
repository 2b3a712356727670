//! Deadlines of a server, and rules for its tools.

use std::time::Duration;

use super::{Amount, DAY, Item, Key, Kind, Section};

pub(super) const CALL_TIMEOUT: Key = Key::new(
    "call_timeout",
    CALL_TIME,
    "'1m'",
    "The deadline of a call to the server. Unset: that of [gateway].",
);

pub(super) const CALL_TIMEOUT_MAX: Key = Key::new(
    "call_timeout_max",
    CALL_TIME,
    "'10m'",
    "The longest deadline that progress of the server can extend a call to. Unset: that of [gateway], and not less \
     than `call_timeout`.",
);

const CALL_TIME: Kind = Kind::Duration { min: Duration::from_millis(10), max: DAY };

pub(super) const TOOLS: Key = Key::new(
    "tools",
    Kind::Patterns(&TOOL),
    "{ 'search_*' = { call_timeout = '1m' } }",
    "Rules for tools, each in a table of its own.",
);

static TOOL: Section = Section {
    title: "servers.NAME.tools.\"PATTERN\"",
    doc: "A rule for those tools of the server whose names match the pattern: `*` stands for any number of \
          characters, `?` for one, everything else for itself. The names are the server's own, without a prefix. \
          All rules that match apply, in the order of the file: a later one replaces what an earlier one set, and \
          needs add up.",
    keys: &TOOL_KEYS,
    example: EXAMPLE,
};

static TOOL_KEYS: [Key; 5] = [
    Key::new(
        "call_timeout",
        CALL_TIME,
        "'10m'",
        "The deadline of a call. Unset: that of the server. It raises `call_timeout_max` of the server or the \
         gateway where that is less.",
    ),
    Key::new(
        "call_timeout_max",
        CALL_TIME,
        "'30m'",
        "The longest deadline that progress can extend a call to. Unset: that of the server. It lowers \
         `call_timeout` of the server or the gateway where that is more.",
    ),
    Key::new(
        "needs",
        Kind::List(Item::Need),
        "['external:models']",
        "What these tools need beside what the server needs. While one of these is down, they are refused, and \
         the other tools of the server go on.",
    ),
    Key::new(
        "retry",
        Kind::Bool,
        "true",
        "Whether a call may be sent again after its answer was lost. Unset: only if the tool is read-only or \
         idempotent by its annotations. `false` forbids it for these, too.",
    ),
    Key::new(
        "validate",
        Kind::Table(&VALIDATE),
        "{ items = { inputs = 32 }, length = { 'inputs[]' = 10000 } }",
        "What arguments must be like. Other calls are refused before anything reaches the server.",
    ),
];

static VALIDATE: Section = Section {
    title: "servers.NAME.tools.\"PATTERN\".validate",
    doc: "Limits on arguments, each by the path of an argument: `inputs`, `filter.name` for a member of an object, \
          `inputs[]` for each item of a list, `.` for all arguments together. A path that a call does not have is \
          no fault.",
    keys: &[
        Key::new(
            "items",
            Kind::Maxima(Amount::Count),
            "{ inputs = 32 }",
            "The most items of a list, or members of an object.",
        ),
        Key::new(
            "length",
            Kind::Maxima(Amount::Count),
            "{ 'inputs[]' = 10000 }",
            "The most characters of a string.",
        ),
        Key::new(
            "depth",
            Kind::Maxima(Amount::Count),
            "{ filter = 8 }",
            "How deep lists and objects may be nested: a string has depth 0, a list of strings 1.",
        ),
        Key::new(
            "bytes",
            Kind::Maxima(Amount::Size),
            "{ document = '1MiB' }",
            "The most bytes of the argument, as JSON that the client sent.",
        ),
        Key::new(
            "schema",
            Kind::Bool,
            "true",
            "Whether arguments must match the `inputSchema` that the server lists for the tool.",
        ),
    ],
    example: "",
};

const EXAMPLE: &str = r#"[servers.embeddings]
command = ["embeddings-server"]

[servers.embeddings.tools."embed*"]
call_timeout = "1m"
retry = true
validate = { items = { inputs = 32 }, length = { "inputs[]" = 10000 } }

[servers.embeddings.tools."*search*"]
needs = ["external:vectors"]

[externals.vectors]
http = "http://127.0.0.1:6333/healthz"
"#;
