use std::time::Duration;

use super::{Item, Key, Kind, Map, SECOND, Section, Word};

pub(crate) static NOTIFY: Section = Section {
    title: "[notify]",
    doc: "Who is told when a server fails or comes back: a program that is run, or a URL that gets a POST. Exactly \
          one of `command` and `url` is required. Of each server at most one notification is sent a minute: the \
          first change is told at once, and what follows within the minute is told together at its end, with the \
          state that holds then. The reason may quote what the server wrote last. After a restart of the daemon, \
          servers begin anew, so `back` is told only of those that failed since. The program finds `MAINSTAY_EVENT`, `MAINSTAY_NAME`, `MAINSTAY_STATE` and \
          `MAINSTAY_REASON` in its environment, and gets on standard input the JSON object that is the body of the \
          POST. When it ends, so does all that it has started. An attempt that fails is repeated after one and four seconds, and then every five minutes for an hour, unless there is \
          something newer to tell about the same server. `mainstay logs notify.1` shows what the program of the first \
          section writes to standard error, and `mainstay status` says which section can't tell anybody.",
    keys: &KEYS,
    example: EXAMPLE,
};

static KEYS: [Key; 7] = [
    Key::new(
        "command",
        Kind::Command,
        "['/usr/local/bin/tell-me']",
        "A program to run, and its arguments. Each argument is a separate string; no shell is involved. It gets \
         the same part of the daemon's environment as servers do.",
    ),
    Key::new(
        "url",
        Kind::HookUrl(&["http", "https"]),
        "'https://hooks.example.org/mainstay'",
        "A URL that gets a POST with a JSON object. Redirects are not followed. Proxies of the environment are \
         used. For many chats its path is a secret: `secret:env:NAME` and `secret:file:FILE` keep it out of the \
         file. No more of it than scheme and host is shown anywhere.",
    ),
    Key::new(
        "headers",
        Kind::Secrets(Map::Headers),
        "{ Authorization = 'secret:env:HOOK_TOKEN' }",
        "Headers for `url`.",
    )
    .or("{}"),
    Key::new(
        "env",
        Kind::Secrets(Map::Variables),
        "{ HOOK_TOKEN = 'secret:env:HOOK_TOKEN' }",
        "Variables for `command`.",
    )
    .or("{}"),
    Key::new(
        "on",
        Kind::List(Item::Word(&ON)),
        "['crash-loop', 'failed']",
        "Which changes are told.",
    )
    .or("['crash-loop', 'not-ready', 'failed', 'degraded', 'breaker', 'back']"),
    Key::new(
        "servers",
        Kind::List(Item::Server),
        "['files']",
        "The servers that are meant; services and externals can be named, too. Unset: all of them.",
    ),
    Key::new(
        "timeout",
        Kind::Duration { min: Duration::from_millis(100), max: SECOND.saturating_mul(60) },
        "'30s'",
        "The time limit for each attempt. A program that takes longer is ended with all that it has started.",
    )
    .or("'10s'"),
];

/// Words of `on`: those of `ChangeKind::TOLD`.
pub(crate) static ON: [Word; 6] = [
    Word {
        word: "crash-loop",
        doc: "the server was lost too often, and is tried every five minutes",
    },
    Word {
        word: "not-ready",
        doc: "the server was lost or could not start, and is tried again soon",
    },
    Word { word: "failed", doc: "the server can't be served, and is tried every five minutes" },
    Word {
        word: "degraded",
        doc: "the server is ready, and another instance of it is in a crash loop or has failed",
    },
    Word { word: "breaker", doc: "its circuit breaker opened or closed" },
    Word { word: "back", doc: "the server is ready again after one of these" },
];

const EXAMPLE: &str = r#"[[notify]]
command = ["/usr/local/bin/tell-me"]
on = ["crash-loop", "failed", "back"]

[[notify]]
url = "https://hooks.example.org/mainstay"
headers = { Authorization = "Bearer ${HOOK_TOKEN:-none}" }
servers = ["files"]
"#;
