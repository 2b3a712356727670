//! Correlation ids, which identify a request in all logs.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// The header that carries the id in requests and responses.
pub const HEADER: &str = "x-request-id";

/// The maximum length of a client's id, in characters.
pub const LENGTH_MAX: usize = 128;

/// The id of a request: the client's, if it sent a valid one, or a generated one.
///
/// Generating an id costs one addition; its text (`3f9a1c22-1b`) is formatted only when it is written. The
/// first part is random for each run of the daemon, so that ids of two runs don't collide in one log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CorrelationId(Inner);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Inner {
    Ours(u64),
    Client(Arc<str>),
}

static NEXT: AtomicU64 = AtomicU64::new(1);
static BOOT: OnceLock<u32> = OnceLock::new();

// === impl CorrelationId ===

impl CorrelationId {
    /// Generates an id.
    pub fn next() -> Self {
        Self(Inner::Ours(NEXT.fetch_add(1, Relaxed)))
    }

    /// The id of a request header. Generates one if the header is absent or invalid.
    pub fn of_header(value: Option<&[u8]>) -> Self {
        value.and_then(Self::try_client).unwrap_or_else(Self::next)
    }

    /// Validates a client's id: 1 to 128 visible ASCII characters, so that it can forge neither headers nor
    /// log lines.
    pub fn try_client(value: &[u8]) -> Option<Self> {
        let fit = (1..=LENGTH_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
        let text = std::str::from_utf8(value).ok().filter(|_| fit)?;
        Some(Self(Inner::Client(text.into())))
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Ours(number) => write!(f, "{:08x}-{number:x}", boot()),
            Inner::Client(text) => f.write_str(text),
        }
    }
}

/// The number of this run of the daemon. It needs no secrecy, so the process id is used if the system has
/// no random numbers.
fn boot() -> u32 {
    *BOOT.get_or_init(|| getrandom::u32().unwrap_or_else(|_| std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::{CorrelationId, LENGTH_MAX};

    #[test]
    fn a_client_may_choose_unless_it_forges() {
        let longest = "x".repeat(LENGTH_MAX);
        for good in ["a", "req-17", "{\"a\":1}", &longest] {
            assert_eq!(CorrelationId::of_header(Some(good.as_bytes())).to_string(), good);
        }
        let long = "x".repeat(LENGTH_MAX + 1);
        for bad in ["", "a b", "a\nb", "a\u{7f}", "é", &long] {
            let id = CorrelationId::of_header(Some(bad.as_bytes())).to_string();
            assert_ne!(id, bad);
            assert!(id.len() > 8, "{id}");
        }
    }

    #[test]
    fn ours_differ_and_share_the_boot() {
        let (one, two) = (CorrelationId::next().to_string(), CorrelationId::next().to_string());
        assert_ne!(one, two);
        assert_eq!(one.split('-').next(), two.split('-').next());
    }
}
