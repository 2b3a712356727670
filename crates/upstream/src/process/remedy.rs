//! Remedies for failures that a process explains in its last words.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::ports::{self, Holder};

/// What the user can do about a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// The rest of a sentence.
    pub words: String,
    /// Whether another start fails in the same way until somebody changes something.
    pub is_needed: bool,
}

/// A failure that the last words of a process name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// It wants to listen on a port that is taken.
    PortTaken(Option<u16>),
    ReadOnly,
    DiskFull,
    NotAllowed,
    OutOfMemory,
}

/// Beginnings and parts of lines, in lower case, that name a cause.
const SIGNS: [(&str, Cause); 12] = [
    ("eaddrinuse", Cause::PortTaken(None)),
    ("address already in use", Cause::PortTaken(None)),
    ("is already in use", Cause::PortTaken(None)),
    ("erofs", Cause::ReadOnly),
    ("read-only file system", Cause::ReadOnly),
    ("enospc", Cause::DiskFull),
    ("no space left on device", Cause::DiskFull),
    ("eacces", Cause::NotAllowed),
    ("permission denied", Cause::NotAllowed),
    ("heap out of memory", Cause::OutOfMemory),
    ("cannot allocate memory", Cause::OutOfMemory),
    ("memoryerror", Cause::OutOfMemory),
];

// === impl Remedy ===

impl Remedy {
    /// For a process that the kernel killed because memory ran out.
    pub(super) fn of_memory() -> Self {
        let words =
            "raise the limit, or make it use less; `mainstay status` shows what each server holds";
        Self { words: words.to_owned(), is_needed: false }
    }

    /// For a process that used more memory than its own limit.
    pub(super) fn of_memory_limit() -> Self {
        let words = "raise `limits.memory`, or make it use less";
        Self { words: words.to_owned(), is_needed: false }
    }

    /// For a process that failed after others could not be started because of their number.
    pub(super) fn of_processes(limit: u64, refused: u64) -> Self {
        let words = format!(
            "it had as many processes and threads as `limits.processes` = {limit} allows, and {refused} more could not be \
             started: raise the limit, or make it start fewer"
        );
        Self { words, is_needed: false }
    }
}

/// The remedy for a process that failed with these last words. Reads `/proc` to find out who holds a port, so it must
/// not run on a thread of the runtime.
pub(super) fn remedy(last_words: &[String]) -> Option<Remedy> {
    let cause = cause(last_words)?;
    Some(Remedy { words: words(cause), is_needed: cause == Cause::ReadOnly })
}

fn words(cause: Cause) -> String {
    match cause {
        Cause::PortTaken(None) => {
            "another process listens on the port that it wants: let one of both use another port, or end the other \
             (`ss -ltnp` shows who listens)"
                .to_owned()
        }
        Cause::PortTaken(Some(port)) => port_taken(port),
        Cause::ReadOnly => {
            "it can't write where it wants to: that is mounted read-only; give it a writable folder, or mount it \
             for writing"
                .to_owned()
        }
        Cause::DiskFull => "the disk that it writes to is full; see `df -h`".to_owned(),
        Cause::NotAllowed => {
            "its user lacks a permission that its last words name; see `user` in its configuration and the owner \
             of what it opens"
                .to_owned()
        }
        Cause::OutOfMemory => {
            "it ran out of memory; give it more, or a larger heap (`NODE_OPTIONS=--max-old-space-size=…` for Node.js)"
                .to_owned()
        }
    }
}

fn port_taken(port: u16) -> String {
    let change = "let one of both use another port, or end the other";
    match ports::holder_of(port) {
        Holder::Process { pid, name } => {
            format!(
                "process {pid} ({name}) listens on port {port} already: {change} (`ss -ltnp` shows who listens)"
            )
        }
        Holder::Unknown => {
            format!(
                "another process listens on port {port} already: {change} (`ss -ltnp` shows who listens)"
            )
        }
        Holder::Connection => format!(
            "port {port} is in use (a connection of another program has it): use another port, below 32768, which \
             connections are not given, or wait until it is over (`ss -tanp` shows it)"
        ),
        Holder::Nobody => format!(
            "port {port} was in use, and is free now; if it fails again, `ss -tanp` shows who has the port"
        ),
    }
}

/// The cause that the last line with a sign names.
fn cause(last_words: &[String]) -> Option<Cause> {
    last_words.iter().rev().find_map(|line| {
        let lower = line.to_lowercase();
        let (_, cause) = SIGNS.iter().find(|(sign, _)| lower.contains(sign))?;
        match cause {
            Cause::PortTaken(_)
                if lower.contains("is already in use") && !lower.contains("port") =>
            {
                None
            }
            Cause::PortTaken(_) => {
                let port = port_in(&lower)
                    .or_else(|| last_words.iter().find_map(|line| port_in_other_line(line)));
                Some(Cause::PortTaken(port))
            }
            cause => Some(*cause),
        }
    })
}

/// The port in a line such as `listen tcp :8080: bind: address already in use`, `EADDRINUSE … 127.0.0.1:3000`,
/// `('127.0.0.1', 8080)` or `port 80 is already in use`. No number of a time such as `21:59:31`, or of a place in
/// the source such as `main.go:59`.
fn port_in(line: &str) -> Option<u16> {
    let after_port = line
        .match_indices("port ")
        .filter(|(at, _)| !line[..*at].ends_with(char::is_alphanumeric))
        .map(|(at, _)| &line[at + "port ".len()..]);
    let after_host = line
        .match_indices(':')
        .filter(|(at, _)| ends_with_host(&line[..*at]))
        .map(|(at, _)| &line[at + 1..]);
    let after_comma = line.match_indices("', ").map(|(at, _)| &line[at + "', ".len()..]);
    after_port.chain(after_host).chain(after_comma).find_map(leading_port)
}

/// Whether a text ends with a host as it stands before a port: an address, `localhost`, the host of a URL, or
/// nothing (`tcp :8080`).
fn ends_with_host(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || ".:-_[]*".contains(c);
    let begin = text.rfind(|c| !is_part(c)).map_or(0, |at| at + 1);
    let word = text[begin..].trim_start_matches('[').trim_end_matches(']');
    let is_in_url = text[..begin].ends_with("://");
    matches!(word, "" | "*" | "localhost")
        || is_in_url
        || word.parse::<Ipv4Addr>().is_ok()
        || word.parse::<Ipv6Addr>().is_ok()
}

/// The port in a line such as `  port: 3000`, with which Node.js prints the members of an error, or of PostgreSQL's
/// hint `Is another postmaster already running on port 5432? …`.
fn port_in_other_line(line: &str) -> Option<u16> {
    let member = line.trim().strip_prefix("port:").map(str::trim_start);
    let hint = line.split_once("already running on port ").map(|(_, port)| port);
    leading_port(member.or(hint)?)
}

fn leading_port(text: &str) -> Option<u16> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let is_whole = !text[end..].starts_with(|c: char| c.is_alphanumeric() || c == '.');
    text[..end].parse().ok().filter(|port| *port > 0 && is_whole)
}

#[cfg(test)]
mod tests {
    use super::{Cause, cause, remedy};

    #[track_caller]
    fn check(words: &str, expected: Option<Cause>) {
        let lines: Vec<String> = words.lines().map(str::to_owned).collect();
        assert_eq!(cause(&lines), expected, "{words}");
    }

    #[test]
    fn a_taken_port_is_known_in_the_words_of_each_runtime() {
        for (words, port) in [
            (
                "Error: listen EADDRINUSE: address already in use 127.0.0.1:3000\n    at Server.x (node:net:1817:16)",
                3000,
            ),
            ("Error: listen EADDRINUSE: address already in use :::8931", 8931),
            (
                "[Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): address already in use",
                8000,
            ),
            ("panic: listen tcp :8080: bind: address already in use", 8080),
            (
                "Web server failed to start. Port 8081 was already in use.\nPort 8081 is already in use",
                8081,
            ),
            ("nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)", 80),
            ("code: 'EADDRINUSE',\n  errno: -98,\n  port: 4100\n}", 4100),
        ] {
            check(words, Some(Cause::PortTaken(Some(port))));
        }
        for (words, port) in [
            (
                "LOG:  could not bind IPv4 address \"127.0.0.1\": Address already in use\nHINT:  Is another postmaster already running on port 5432? If not, wait",
                5432,
            ),
            ("Error: bind http://node1:9200: address already in use", 9200),
            ("bind [::1]:7700 failed: Address already in use", 7700),
        ] {
            check(words, Some(Cause::PortTaken(Some(port))));
        }
        check("OSError: [Errno 98] Address already in use", Some(Cause::PortTaken(None)));
        check("Error: Address already in use (os error 98)", Some(Cause::PortTaken(None)));
        check("the name weather is already in use", None);
    }

    #[test]
    fn a_number_of_a_time_or_of_a_place_in_the_source_is_no_port() {
        let redis = "* Warning: Could not create server TCP listening socket 127.0.0.1:19603: bind: Address already in use";
        for time in [
            "3117:M 29 Nov 2026 21:59:31.482",
            "2026-11-29T21:59:31Z",
            "[21:59:31]",
            "21:59",
            "2026/11/29 21:59:31 main.go:59:",
            "2026-11-29 21:59:31+01:00",
        ] {
            check(&format!("{time} {redis}"), Some(Cause::PortTaken(Some(19603))));
            check(&format!("{time} address already in use"), Some(Cause::PortTaken(None)));
        }
    }

    #[test]
    fn other_causes_are_known_by_their_words() {
        for (words, expected) in [
            ("OSError: [Errno 30] Read-only file system: '/data/x'", Cause::ReadOnly),
            ("Error: EROFS: read-only file system, mkdir '/data'", Cause::ReadOnly),
            ("write /data/log: no space left on device", Cause::DiskFull),
            ("PermissionError: [Errno 13] Permission denied: '/data'", Cause::NotAllowed),
            ("FATAL ERROR: Reached heap limit - JavaScript heap out of memory", Cause::OutOfMemory),
            ("MemoryError", Cause::OutOfMemory),
        ] {
            check(words, Some(expected));
            assert!(remedy(&[words.to_owned()]).is_some(), "{words}");
        }
        check("TypeError: x is not a function", None);
        check("", None);
    }

    #[test]
    fn whoever_holds_a_port_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = format!("bind: address already in use 127.0.0.1:{port}");
        let said = remedy(&[line]).unwrap().words;
        let us = format!("process {} (", std::process::id());
        assert!(said.starts_with(&us) && said.contains(&format!("port {port} already")), "{said}");
    }

    #[tokio::test]
    async fn a_port_that_a_connection_has_is_not_called_one_that_somebody_listens_on() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connection = tokio::net::TcpStream::connect(address).await.unwrap();
        let port = connection.local_addr().unwrap().port();
        let said = remedy(&[format!("bind: address already in use 127.0.0.1:{port}")]).unwrap();
        let expected = format!("port {port} is in use (a connection of another program has it)");
        assert!(said.words.starts_with(&expected), "{}", said.words);
    }
}
