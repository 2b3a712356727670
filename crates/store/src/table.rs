//! Records by key: what login, approvals and usage keep.

use std::fmt::Debug;

use crate::answer::Answer;

/// Keeps the records of one kind. What a record means is known to whoever writes it.
pub trait Table: Debug + Send + Sync {
    fn get(&self, key: &str) -> Answer<'_, Option<Row>>;

    /// Returns the records with keys after `after`, in the order of their keys' bytes: at most `limit`, and
    /// at most [`PAGE_MAX`].
    fn list(&self, after: &str, limit: usize) -> Answer<'_, Vec<Row>>;

    /// Writes a record if its version is still `version`, where 0 means that there must be none. It
    /// survives a power cut when this returns [`Put::Done`]. So of two that change the same record at
    /// once, one learns that it has to look again. After an error it may have been written or not.
    fn put(&self, key: &str, version: u64, value: &[u8]) -> Answer<'_, Put>;

    /// Removes a record; returns whether it was there. Its removal survives a power cut then.
    fn remove(&self, key: &str) -> Answer<'_, bool>;
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub key: String,
    /// How often it has been written since it was made.
    pub version: u64,
    pub value: Vec<u8>,
}

/// What came of writing a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It has this version now.
    Done { version: u64 },
    /// It has another version than was expected: this one, or 0 where there is none.
    Conflict { version: u64 },
}

/// Records that [`Table::list`] returns at most.
pub const PAGE_MAX: usize = 1000;
