//! State of an endpoint that outlives a replaced topology: catalogues, names, streams, listeners.

use std::sync::Arc;

use arc_swap::ArcSwap;
use mainstay_session::Catalogue;
use mainstay_session::catalogue::PublishedNames;
use parking_lot::Mutex;

use crate::session::audience::Audience;
use crate::stream::open_stream::OpenStreams;

/// State that an endpoint keeps in each topology that has it.
#[derive(Debug)]
pub(crate) struct EndpointState {
    /// Catalogues by era, in the order of [`super::ERAS`].
    pub(super) catalogues: [ArcSwap<Catalogue>; 2],
    pub(super) assigned: Mutex<AssignedNames>,
    /// Streams that clients keep open here.
    pub(crate) streams: Arc<OpenStreams>,
    /// Sessions here that have a stream for background messages.
    pub(crate) audience: Audience,
}

/// Names that an endpoint has assigned.
#[derive(Debug)]
pub(super) struct AssignedNames {
    /// Names that clients have seen, which don't change.
    pub(super) shown: PublishedNames,
    /// Names in the present catalogue. Names that nobody has seen are assigned again in the order
    /// of the file, so that they don't depend on which server starts first.
    pub(super) current: PublishedNames,
    /// By kind of list: whether `current` has names that `shown` lacks.
    pub(super) has_unshown: [bool; 4],
}

// === impl EndpointState ===

impl EndpointState {
    pub(super) fn new(path: String, shown: PublishedNames) -> Self {
        let assigned = AssignedNames { current: shown.clone(), shown, has_unshown: [false; 4] };
        Self {
            catalogues: Default::default(),
            assigned: Mutex::new(assigned),
            streams: OpenStreams::new(path),
            audience: Audience::default(),
        }
    }

    /// Removes the names of servers that the endpoint no longer has.
    pub(super) fn retain(&self, is_here: impl Fn(&str) -> bool) {
        let mut assigned = self.assigned.lock();
        let assigned = &mut *assigned;
        for names in assigned.shown.iter_mut().chain(&mut assigned.current) {
            names.retain(&is_here);
        }
    }
}
