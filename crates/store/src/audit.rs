//! The audit log: who changed what in the daemon.

use std::fmt::Debug;

use crate::answer::{Answer, Stored};

/// Keeps what was done by whom. Entries are in the order in which they were recorded.
pub trait AuditLog: Debug + Send + Sync {
    /// Adds an entry. Takes note of it at once and never waits; [`Self::stored`] says when it survives a
    /// power cut. While the store fails, as many as 1,000 entries wait for it; beyond that the newest are
    /// dropped, with a warning.
    fn record(&self, entry: AuditEntry);

    /// Returns the newest entries, newest first: at most `limit`, and at most [`PAGE_MAX`].
    fn recent(&self, limit: usize) -> Answer<'_, Vec<AuditEntry>>;

    /// Waits until every entry that was recorded before this call survives a power cut; returns whether
    /// it does. A store that fails is not waited for, and one that is slow for a second.
    fn stored(&self) -> Stored<'_>;
}

/// One use of the admin API. Texts longer than [`TEXT_BYTES_MAX`] are cut when they are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// The name of the token that was shown; none: the command socket, or no token.
    pub token: Option<String>,
    /// Where the request came from: an address, or `socket`.
    pub peer: String,
    pub request_id: String,
    /// The action's name, such as `server.restart`.
    pub action: String,
    /// What it was done to, such as a server's name.
    pub target: Option<String>,
    pub outcome: AuditOutcome,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditOutcome {
    Done,
    /// The caller may not do that.
    Denied,
    /// Why it could not be done.
    Failed(String),
}

/// Entries that are kept; the oldest give way.
pub const ENTRIES_MAX: u64 = 20_000;
/// Entries that [`AuditLog::recent`] returns at most.
pub const PAGE_MAX: usize = 1000;
/// Bytes of each text of an entry that are kept.
pub const TEXT_BYTES_MAX: usize = 512;

// === impl AuditEntry ===

impl AuditEntry {
    /// Cuts every text to [`TEXT_BYTES_MAX`], at the end of a character.
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
