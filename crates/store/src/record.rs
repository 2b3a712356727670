//! One line of the journal.

use mainstay_session::Serial;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Describes a change of a session. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    /// The session was in use at this time.
    Used {
        #[serde(rename = "of")]
        session: Serial,
        at: u64,
    },
    /// The session asked for log messages of this level.
    Level {
        #[serde(rename = "of")]
        session: Serial,
        at: u64,
        level: Box<str>,
    },
    Subscribed {
        #[serde(rename = "of")]
        session: Serial,
        at: u64,
        server: Box<str>,
        uri: Box<str>,
    },
    Unsubscribed {
        #[serde(rename = "of")]
        session: Serial,
        server: Box<str>,
        uri: Box<str>,
    },
    /// The session was deleted or has expired.
    Ended {
        #[serde(rename = "of")]
        session: Serial,
        at: u64,
    },
    /// All sessions of a run with numbers from `first` to `last` have ended.
    Gone { run: u64, first: u64, last: u64, at: u64 },
}

/// The size of a checksum in bytes. It is written as twice as many hexadecimal digits.
const SUM_BYTES: usize = 4;

// === impl Record ===

impl Record {
    /// Appends the record to `out` as a line: checksum, space, JSON.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        // Serialization can't fail: records contain only numbers and text.
        let Ok(json) = serde_json::to_vec(self) else { return };
        out.extend_from_slice(&sum(&json));
        out.push(b' ');
        out.extend_from_slice(&json);
        out.push(b'\n');
    }

    /// Reads a line without its line end. Returns `None` if the line is damaged.
    pub(crate) fn read(line: &[u8]) -> Option<Self> {
        let (found, rest) = line.split_first_chunk::<{ 2 * SUM_BYTES }>()?;
        let json = rest.strip_prefix(b" ")?;
        if *found != sum(json) {
            return None;
        }
        serde_json::from_slice(json).ok()
    }
}

fn sum(json: &[u8]) -> [u8; 2 * SUM_BYTES] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digest = Sha256::digest(json);
    let mut out = [0; 2 * SUM_BYTES];
    for (pair, byte) in out.chunks_exact_mut(2).zip(digest) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    out
}
