//! Secret keys of a daemon, which are created once and never change.

use std::fmt::Debug;

use crate::answer::Answer;

/// Stores secret keys.
pub trait KeyStore: Debug + Send + Sync {
    /// Returns a key, or creates a random one if there is none. A returned key survives a power cut.
    /// Concurrent callers get the same key.
    fn get_or_create(&self, key: KeyName) -> Answer<'_, [u8; KEY_BYTES]>;
}

/// Names a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyName {
    /// Seals session ids.
    Session,
    /// Opens the admin API to commands on another machine.
    Token,
}

pub const KEY_BYTES: usize = 32;
