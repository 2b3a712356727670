//! Records by key, for login, approvals and usage.

use std::fmt::Debug;

use crate::answer::Answer;

/// Stores the records of one kind. Only their writers know what the values mean.
pub trait Table: Debug + Send + Sync {
    fn get(&self, key: &str) -> Answer<'_, Option<Row>>;

    /// Returns the records with keys after `after`, ordered by the bytes of their keys: at most `limit`,
    /// and never more than [`PAGE_MAX`].
    fn list(&self, after: &str, limit: usize) -> Answer<'_, Vec<Row>>;

    /// Writes a record if its version is still `version`, where 0 means that it must not exist.
    /// [`Put::Done`] means that the record survives a power cut. If two callers change the same version,
    /// one of them gets [`Put::Conflict`]. After an error the record may have been written or not.
    fn put(&self, key: &str, version: u64, value: &[u8]) -> Answer<'_, Put>;

    /// Removes a record and returns whether it existed. The removal then survives a power cut.
    fn remove(&self, key: &str) -> Answer<'_, bool>;
}

/// A stored record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub key: String,
    /// The number of writes since the record was created.
    pub version: u64,
    pub value: Vec<u8>,
}

/// The outcome of writing a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The record was written and has this version now.
    Done { version: u64 },
    /// The record has this version instead of the expected one; 0 if it does not exist.
    Conflict { version: u64 },
}

/// The largest number of records that [`Table::list`] returns.
pub const PAGE_MAX: usize = 1000;
