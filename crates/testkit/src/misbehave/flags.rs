//! The faults that hold for a whole run.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};

/// A fault: its name, the form of its value, its effect.
pub(super) struct Flag {
    pub(super) name: &'static str,
    pub(super) value: &'static str,
    pub(super) help: &'static str,
}

/// The faults chosen for a run.
#[derive(Debug, Clone, Default)]
pub struct Flags(BTreeMap<String, String>);

const fn flag(name: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { name, value, help }
}

pub(super) const ALL: &[Flag] = &[
    // Start and handshake.
    flag("slow-start", "=MS", "does nothing at first"),
    flag("slow-handshake", "=MS", "answers initialize late"),
    flag("hang-in-handshake", "", "never answers initialize"),
    flag("die-in-handshake", "", "exits with code 7 on initialize"),
    flag("die-on-discover", "", "exits with code 8 on server/discover"),
    flag("silent-discover", "", "never answers server/discover"),
    flag("discover-code", "=CODE", "answers server/discover with this error (-32601)"),
    flag("slow-discover", "=MS", "answers server/discover late"),
    flag("wrong-discover", "", "answers server/discover with a number where versions belong"),
    flag("modern-only", "", "speaks 2026-07-28 and refuses initialize with -32022"),
    flag("dual", "", "speaks 2026-07-28 beside the older revisions"),
    flag("pinned", "", "with --dual: speaks only what it was spoken to in first"),
    flag("no-listen", "", "refuses subscriptions/listen"),
    flag("drop-listens", "=MS", "drops each listen after this time without an answer"),
    flag("revision", "=DATE", "answers initialize with this revision whatever was asked"),
    flag("only-revision", "=DATE", "refuses initialize in any other revision"),
    flag("refuses", "=HOW", "in this way: supported (default), words, 400, 415, 500, close, exit"),
    flag("name", "=TEXT", "the name it gives itself"),
    // Faults around the messages.
    flag("banner", "", "prints lines that are no messages before the first one"),
    flag("noise", "", "prints a log line on stdout before each message"),
    flag("bom", "", "begins its output with a byte order mark"),
    flag("crlf", "", "ends lines with CR LF"),
    flag("pretty", "", "indents the JSON of HTTP bodies"),
    flag("stderr", "=LINES", "writes this many lines to stderr at the start"),
    flag("ids", "=HOW", "gives ids and tokens back as: string, float, exponent"),
    // Reading and ending.
    flag("deaf", "", "never reads its input"),
    flag("deaf-after", "=N", "reads N messages and then no more"),
    flag("exit-after", "=N", "exits with code 9 after N messages"),
    flag("exit-when-idle", "=MS", "exits with code 0 when no message has come for this long"),
    flag("ignore-eof", "", "goes on when its input is closed"),
    flag("ignore-term", "", "goes on after SIGTERM"),
    flag("grandchild", "", "starts a process of its own that idles"),
    flag("runaway", "", "starts one that leaves for a session of its own and ignores SIGTERM"),
    flag("single", "", "works on one request after the other, pings included"),
    flag("no-pings", "", "never answers pings"),
    // After the handshake.
    flag("ping", "", "pings the client right after the handshake"),
    flag("flood", "=N", "sends N log notifications after the handshake"),
    flag("storm", "=N", "sends N tools/list_changed after the handshake"),
    // Lists.
    flag("tools", "=N", "offers N more tools that echo"),
    flag("pages", "=N", "serves lists in pages of N"),
    flag("endless", "", "serves lists whose cursor never ends"),
    flag("wrong-lists", "", "answers tools/list with a string where a list belongs"),
    flag("stuck-cursor", "", "serves lists whose cursor never advances"),
    flag("fail-list", "=METHODS", "answers these list methods, joined by commas, with -32603"),
    flag("null-list", "=METHODS", "answers these list methods with null where the list belongs"),
    flag("hang-list", "=METHODS", "never answers these list methods"),
    flag("faulty-lists", "=N", "does so N times, and then lists as it should"),
    flag("die-on-list", "", "exits with code 10 when it is asked for any list"),
    flag("tells-when-asked", "", "announces that all lists changed whenever it lists something"),
    flag("undeclared", "", "declares nothing, and has everything all the same"),
    flag("slow-lists", "=MS", "answers lists late"),
    flag(
        "tools-from",
        "=FILE",
        "answers tools/list with the text of a file; each of its tools echoes",
    ),
    flag("prompts-from", "=FILE", "the same for prompts/list"),
    flag("resources-from", "=FILE", "the same for resources/list"),
    flag("templates-from", "=FILE", "the same for resources/templates/list"),
    flag("mirrors", "", "offers a tool that wants an argument as a header, and one that may not"),
    flag("more-for-asked", "", "has a tool more once a client said that its user can be asked"),
    flag("fat", "=N", "adds N tools of 1 MB each to each page of tools/list"),
    flag("untold", "", "never says that a list changed"),
    flag("no-capabilities", "", "declares nothing and refuses every list"),
    // Every call.
    flag("delay", "=MS", "answers each call after a random time up to this"),
    flag("seed", "=N", "where the random times begin (1)"),
    flag("twice", "", "answers every call twice"),
    flag("unknown-ids", "", "sends an answer nobody asked for before each answer"),
    flag("refuse-subscriptions", "=MS", "refuses to subscribe and unsubscribe, after this time"),
    flag(
        "without-pause",
        "=KIND",
        "from the first call on, fills every stream with: comments, notes (log), strays",
    ),
    // HTTP.
    flag("sse", "", "answers every request as a stream"),
    flag("json", "", "answers every request as one body"),
    flag("odd-sse", "", "cuts streams at odd places, with CR LF, comments and empty data"),
    flag("only-sse", "=STATUS", "speaks HTTP+SSE of 2024-11-05 and answers other POSTs with this"),
    flag("endpoint", "=URL", "names this address to post to on such a stream"),
    flag("wants-header", "=NAME:VALUE", "answers 401 over HTTP+SSE to whoever does not send it"),
    flag("lose-session-after", "=N", "forgets a session after N of its POSTs, initialize included"),
    flag(
        "lost",
        "=HOW",
        "says so with: 404 (default), 400-session, 400-init, 400-text, 404-code, 400-other, 410, 200-error, \
         page, 302, 202, empty, stream, 400-calls (and answers pings)",
    ),
    flag("no-sessions", "", "gives out no session id"),
    flag("html", "=STATUS", "answers tools/call with an error page"),
    flag("no-get", "", "answers GET with 405"),
    flag("get-404", "", "answers GET with 404"),
    flag("no-delete", "", "answers DELETE with 405"),
    flag("empty-get", "", "answers GET with a stream that ends at once"),
    flag("redirect", "=STATUS", "redirects paths without a slash at the end to those with one"),
    flag("redirect-to", "=URL", "redirects there instead"),
    flag("gzip", "", "compresses every answer"),
    flag("capitals", "", "writes media types in capitals"),
    flag("wants-agent", "", "answers 403 with a page to whoever sends no User-Agent"),
    flag("wants-cookie", "", "sets a cookie on initialize and answers 404 without it"),
    flag("ping-status", "=STATUS", "answers pings with this status and no body"),
    flag("busy", "=RETRY", "answers tools/call with 429 and this Retry-After"),
    flag("busy-at-start", "=RETRY", "answers initialize with 429 and this Retry-After"),
];

// === impl Flags ===

impl Flags {
    /// Reads `--name` and `--name=value`.
    ///
    /// # Errors
    /// For a name that does not exist.
    pub fn parse<S: AsRef<str>>(arguments: &[S]) -> anyhow::Result<Self> {
        let mut chosen = BTreeMap::new();
        for argument in arguments {
            let argument = argument.as_ref();
            let Some(text) = argument.strip_prefix("--") else {
                bail!("not a flag: {argument} (see --help)");
            };
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            let known = ALL.iter().find(|flag| flag.name == name);
            let flag = known.with_context(|| format!("unknown flag: --{name} (see --help)"))?;
            if flag.value.is_empty() != value.is_empty() {
                bail!("--{name} is written --{name}{}", flag.value);
            }
            if matches!(flag.value, "=N" | "=MS" | "=LINES") && value.parse::<u64>().is_err() {
                bail!("--{name} wants a number, not {value}");
            }
            chosen.insert(name.to_owned(), value.to_owned());
        }
        Ok(Self(chosen))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        debug_assert!(ALL.iter().any(|flag| flag.name == name), "no flag is called {name}");
        self.0.contains_key(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.has(name).then(|| self.0[name].as_str())
    }

    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.text(name)?.parse().ok()
    }

    pub(super) async fn pause(&self, name: &str) {
        if let Some(ms) = self.number(name) {
            tokio::time::sleep(Duration::from_millis(ms as u64)).await;
        }
    }
}
