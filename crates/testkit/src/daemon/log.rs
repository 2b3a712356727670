//! The output of a daemon, collected by a thread for each stream.

use std::io::{BufRead, BufReader, Read};
use std::process::{ChildStderr, ChildStdout};
use std::sync::Arc;

use parking_lot::Mutex;

/// A daemon that prints more than this is not read any further into memory.
const LOG_BYTES_MAX: usize = 16 << 20;

#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    all: String,
    /// The first address on standard output: that of the daemon itself.
    address: Option<String>,
}

// === impl Log ===

impl Log {
    /// Collects both streams until they end, which they do with the daemon.
    pub(super) fn follow(stdout: Option<ChildStdout>, stderr: Option<ChildStderr>) -> Self {
        let log = Self::default();
        if let Some(stdout) = stdout {
            log.clone().collect(stdout, true);
        }
        if let Some(stderr) = stderr {
            log.clone().collect(stderr, false);
        }
        log
    }

    pub(super) fn text(&self) -> String {
        self.0.lock().all.clone()
    }

    pub(super) fn address(&self) -> Option<String> {
        self.0.lock().address.clone()
    }

    fn collect(self, stream: impl Read + Send + 'static, announces: bool) {
        std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while matches!(stream.read_until(b'\n', &mut line), Ok(1..)) {
                self.keep(&String::from_utf8_lossy(&line), announces);
                line.clear();
            }
        });
    }

    fn keep(&self, line: &str, announces: bool) {
        let mut lines = self.0.lock();
        if lines.address.is_none() {
            let announced = announces.then(|| address_in(line)).flatten();
            lines.address = announced.or_else(|| address_in_json(line));
        }
        if lines.all.len() < LOG_BYTES_MAX {
            lines.all.push_str(line);
        }
    }
}

/// The first `http://host:port` of a line, without the path.
fn address_in(line: &str) -> Option<String> {
    let start = line.find("http://")?;
    let rest = &line[start + "http://".len()..];
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || ".:[]-".contains(c)));
    let host = rest[..end.unwrap_or(rest.len())].trim_end_matches(['.', ':']);
    let port = host.rsplit_once(':')?.1;
    port.parse::<u16>().ok().map(|_| format!("http://{host}"))
}

/// The first address that a daemon says it serves at, which logs JSON and announces nothing.
fn address_in_json(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(r#""message":"serving","listen":""#)?;
    let end = rest.find(['"', ' '])?;
    Some(format!("http://{}", &rest[..end]))
}

#[cfg(test)]
mod tests {
    use super::{address_in, address_in_json};

    #[test]
    fn an_address_is_found_in_a_line_of_json() {
        let line =
            r#"{"level":"INFO","message":"serving","listen":"127.0.0.1:7 [::1]:7","servers":1}"#;
        assert_eq!(address_in_json(line).as_deref(), Some("http://127.0.0.1:7"));
        assert_eq!(address_in_json(r#"{"message":"ready","url":"http://a:1"}"#), None);
    }

    #[test]
    fn an_address_is_found_in_a_sentence() {
        for (line, address) in [
            ("mainstay serves at http://127.0.0.1:8000/mcp.\n", Some("http://127.0.0.1:8000")),
            ("http://[::1]:9", Some("http://[::1]:9")),
            ("\u{1b}[1mhttp://localhost:80\u{1b}[0m", Some("http://localhost:80")),
            ("see http://example.com/ for more", None),
            ("nothing here", None),
        ] {
            assert_eq!(address_in(line).as_deref(), address, "{line}");
        }
    }
}
