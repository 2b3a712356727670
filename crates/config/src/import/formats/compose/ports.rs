//! The ports that a compose service publishes on this machine.

use std::net::Ipv6Addr;

use super::super::super::tree::find;
use crate::document::{Node, Value};

/// A published port, as compose writes it. Variables are kept.
struct Published<'a> {
    /// The address it is published at. Empty: all addresses.
    ip: &'a str,
    /// A port, or a range of ports.
    host: &'a str,
    container: &'a str,
}

/// The host and port of the first TCP port that a service publishes. None: it publishes none, or only
/// ports that compose chooses itself.
pub(super) fn first_published(ports: &Node) -> Option<String> {
    let Value::List(ports) = &ports.value else { return None };
    ports.iter().find_map(|port| match &port.value {
        Value::Text(text) => Published::parse(text)?.authority(),
        Value::Table(_) => {
            let text = |key| scalar(port, key);
            if text("protocol").is_some_and(|protocol| protocol == "udp") {
                return None;
            }
            let (ip, host) = (text("host_ip").unwrap_or_default(), text("published")?);
            let container = text("target").unwrap_or_default();
            Published { ip: &ip, host: &host, container: &container }.authority()
        }
        _ => None,
    })
}

fn scalar(table: &Node, key: &str) -> Option<String> {
    match &find(table, key)?.value {
        Value::Text(text) => Some(text.clone()),
        Value::Integer(Some(number)) => Some(number.to_string()),
        _ => None,
    }
}

// === impl Published ===

impl<'a> Published<'a> {
    /// Parses `[IP:]HOST:CONTAINER[/PROTOCOL]`.
    fn parse(text: &'a str) -> Option<Self> {
        let (rest, container) = text.split_at(last_colon(text)?);
        let container = &container[1..];
        let (container, protocol) = container.split_once('/').unwrap_or((container, "tcp"));
        if protocol == "udp" {
            return None;
        }
        let (ip, host) = match last_colon(rest) {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => ("", rest),
        };
        Some(Self { ip, host, container })
    }

    /// The host and port to reach it at from this machine.
    fn authority(&self) -> Option<String> {
        let port = match self.host.split_once('-') {
            _ if self.host.starts_with('$') => self.host.to_owned(),
            None => self.host.parse::<u16>().ok()?.to_string(),
            // The first port leads to the first port of the container, or compose chooses one of the range.
            Some((first, _)) if self.container.contains('-') => {
                first.parse::<u16>().ok()?.to_string()
            }
            Some(_) => return None,
        };
        let ip = self.ip.trim_start_matches('[').trim_end_matches(']');
        let host = match ip.parse::<Ipv6Addr>() {
            Ok(ip) if ip.is_unspecified() => "[::1]".to_owned(),
            Ok(ip) => format!("[{ip}]"),
            Err(_) if matches!(ip, "" | "0.0.0.0") => "127.0.0.1".to_owned(),
            Err(_) => ip.to_owned(),
        };
        Some(format!("{host}:{port}"))
    }
}

/// The place of the last colon outside of variables and brackets.
fn last_colon(text: &str) -> Option<usize> {
    let (mut depth, mut last) = (0_u32, None);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b':' if depth == 0 => last = Some(at),
            _ => {}
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::Published;

    #[test]
    fn a_port_is_found_in_every_form_that_compose_knows() {
        for (text, expected) in [
            ("8014:8000", Some("127.0.0.1:8014")),
            ("8014:8000/tcp", Some("127.0.0.1:8014")),
            ("8014:8000/udp", None),
            ("${PORT:-8014}:8000", Some("127.0.0.1:${PORT:-8014}")),
            ("$PORT:8000", Some("127.0.0.1:$PORT")),
            ("127.0.0.1:${PORT:-8014}:${INNER:-8000}", Some("127.0.0.1:${PORT:-8014}")),
            ("${IP:-127.0.0.1}:8014:8000", Some("${IP:-127.0.0.1}:8014")),
            ("8020-8021:8000-8001", Some("127.0.0.1:8020")),
            ("10.0.0.7:8020-8021:8000-8001", Some("10.0.0.7:8020")),
            ("8020-8021:8000", None),
            ("[::1]:8012:8000", Some("[::1]:8012")),
            ("[::]:8012:8000", Some("[::1]:8012")),
            ("0.0.0.0:8012:8000", Some("127.0.0.1:8012")),
            ("127.0.0.1::8000", None),
            ("8000", None),
            ("${PORT}", None),
            ("8000-8001", None),
            ("a:b", None),
            ("", None),
        ] {
            let found = Published::parse(text).and_then(|published| published.authority());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
