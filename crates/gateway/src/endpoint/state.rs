//! State of an endpoint that outlives a replaced topology: merged lists, names, streams, listeners.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_session::catalogue::PublishedNames;

use super::merged::MergedLists;
use super::paged_lists::PagedLists;
use crate::session::audience::Audience;
use crate::stream::open_stream::OpenStreams;

/// State that an endpoint keeps in each topology that has it.
#[derive(Debug)]
pub(crate) struct EndpointState {
    pub(super) merged: MergedLists,
    pub(super) paged: PagedLists,
    /// Number of versions of the endpoint so far.
    versions: AtomicU64,
    /// Streams that clients keep open here.
    pub(crate) streams: Arc<OpenStreams>,
    /// Sessions here that have a stream for background messages.
    pub(crate) audience: Audience,
}

// === impl EndpointState ===

impl EndpointState {
    /// Creates the state of a new endpoint. `seen`: the names that clients of earlier daemons have seen.
    pub(super) fn new(path: String, seen: PublishedNames) -> Self {
        Self {
            merged: MergedLists::new(seen),
            paged: PagedLists::default(),
            versions: AtomicU64::new(0),
            streams: OpenStreams::new(path),
            audience: Audience::default(),
        }
    }

    /// Returns the number of the next version of the endpoint.
    pub(super) fn next_version(&self) -> u64 {
        self.versions.fetch_add(1, Ordering::AcqRel) + 1
    }
}
