//! Published names: under which names clients have seen tools, prompts and resources.

use std::collections::BTreeMap;
use std::fmt::Debug;

use mainstay_session::catalogue::PublishedNames;

use crate::answer::{Answer, Stored};

/// Published names by endpoint.
pub type NamesByEndpoint = BTreeMap<String, PublishedNames>;

/// Keeps published names.
pub trait NameStore: Debug + Send + Sync {
    /// Returns all names that were saved.
    fn load(&self) -> Answer<'_, NamesByEndpoint>;

    /// Replaces the names of one endpoint. Takes note of them at once and never waits.
    fn save(&self, endpoint: &str, names: &PublishedNames);

    /// Waits until everything that was saved before this call survives a power cut; returns whether it
    /// does. A store that fails is not waited for, and one that is slow for a second.
    fn stored(&self) -> Stored<'_>;
}
