//! Published names: the names under which clients have seen tools, prompts and resources.

use std::collections::BTreeMap;
use std::fmt::Debug;

use mainstay_session::catalogue::PublishedNames;

use crate::answer::{Answer, Stored};

/// Published names by endpoint.
pub type NamesByEndpoint = BTreeMap<String, PublishedNames>;

/// Stores published names.
pub trait NameStore: Debug + Send + Sync {
    /// Returns all saved names.
    fn load(&self) -> Answer<'_, NamesByEndpoint>;

    /// Replaces the names of one endpoint in memory and never waits for the disk.
    fn save(&self, endpoint: &str, names: &PublishedNames);

    /// Waits until everything that was saved before this call survives a power cut, and returns whether it
    /// does. Returns `false` at once if the store fails, and after one second if the store is slow.
    fn stored(&self) -> Stored<'_>;
}
