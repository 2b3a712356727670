//! Secret keys of a daemon: made once, the same ever after.

use std::fmt::Debug;

use crate::answer::Answer;

/// Keeps secret keys.
pub trait KeyStore: Debug + Send + Sync {
    /// Returns a key; makes it, at random, where there is none. It survives a power cut when it is
    /// returned. Everybody gets the same, also if several ask at once.
    fn get_or_create(&self, key: KeyName) -> Answer<'_, [u8; KEY_BYTES]>;
}

/// Which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyName {
    /// Seals session ids.
    Session,
    /// Opens the API from another machine.
    Token,
}

pub const KEY_BYTES: usize = 32;
