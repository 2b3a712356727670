//! A name for one request that finds it again in every log, from client to server and back.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// The header that carries it, both ways.
pub const HEADER: &str = "x-request-id";

/// Longest id accepted from a client, in characters.
pub const LENGTH_MAX: usize = 128;

/// The id of one request: the client's own where it sent a fit one, else ours.
///
/// Ours costs one addition; its text (`3f9a1c22-1b`) is made when somebody writes it. The first
/// part is random for each boot of the daemon, so that ids of two boots don't meet in one log.
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
    /// A new id of ours.
    pub fn next() -> Self {
        Self(Inner::Ours(NEXT.fetch_add(1, Relaxed)))
    }

    /// The id a client sent, or one of ours where it sent none or an unfit one.
    pub fn of_header(value: Option<&[u8]>) -> Self {
        value.and_then(Self::try_client).unwrap_or_else(Self::next)
    }

    /// A client's id: 1 to 128 visible ASCII characters, so that it can forge neither a header
    /// nor a line of a log.
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

/// Telling boots apart needs no secrecy: without randomness of the system, the process id does.
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
