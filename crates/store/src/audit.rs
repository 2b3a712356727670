//! The audit log: who changed what in the daemon.

use std::fmt::Debug;

use crate::answer::{Answer, Stored};

/// Stores uses of the admin API, in the order in which they were recorded.
pub trait AuditLog: Debug + Send + Sync {
    /// Adds an entry in memory and never waits for the disk; [`Self::stored`] tells when the entry survives
    /// a power cut. While the store fails, up to 5,000 changes wait, at least 1,000 of them such entries. Newer ones are dropped, with a
    /// warning.
    fn record(&self, entry: AuditEntry);

    /// Returns the newest entries, newest first: at most `limit`, and never more than [`PAGE_MAX`].
    fn recent(&self, limit: usize) -> Answer<'_, Vec<AuditEntry>>;

    /// Waits until every entry that was recorded before this call survives a power cut, and returns whether
    /// it does. Returns `false` at once if the store fails, and after one second if the store is slow.
    fn stored(&self) -> Stored<'_>;
}

/// Describes one use of the admin API. Texts longer than [`TEXT_BYTES_MAX`] are truncated when the entry is
/// recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// The name of the token that the request carried. `None` for the command socket and for requests
    /// without a token.
    pub token: Option<String>,
    /// The address that the request came from, or `socket`.
    pub peer: String,
    pub request_id: String,
    /// The name of the action, such as `server.restart`.
    pub action: String,
    /// The object of the action, such as the name of a server.
    pub target: Option<String>,
    pub outcome: AuditOutcome,
}

/// The outcome of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditOutcome {
    Done,
    /// The caller has no right to the action.
    Denied,
    /// The action failed for this reason.
    Failed(String),
}

/// The number of entries that are stored. Newer entries replace the oldest.
pub const ENTRIES_MAX: u64 = 20_000;
/// The largest number of entries that [`AuditLog::recent`] returns.
pub const PAGE_MAX: usize = 1000;
/// The largest size of each text of an entry, in bytes.
pub const TEXT_BYTES_MAX: usize = 512;

// === impl AuditEntry ===

impl AuditEntry {
    /// Truncates every text to [`TEXT_BYTES_MAX`] bytes, at a character boundary.
    #[must_use]
    pub fn cut(mut self) -> Self {
        let texts = [&mut self.peer, &mut self.request_id, &mut self.action];
        texts.into_iter().chain(&mut self.token).chain(&mut self.target).for_each(cut);
        if let AuditOutcome::Failed(why) = &mut self.outcome {
            cut(why);
        }
        self
    }
}

fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
}
