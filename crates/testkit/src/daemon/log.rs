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
        if announces && lines.address.is_none() {
            lines.address = address_in(line);
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

#[cfg(test)]
mod tests {
    use super::address_in;

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
