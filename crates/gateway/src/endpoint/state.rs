//! What an endpoint keeps when its servers are changed under it: names, streams, what was told.

use std::sync::Arc;

use arc_swap::ArcSwap;
use mainstay_session::Catalogue;
use mainstay_session::catalogue::PublishedNames;
use parking_lot::Mutex;

use crate::session::audience::Audience;
use crate::stream::open_stream::OpenStreams;

/// The part of an endpoint that is the same in each topology that has it.
#[derive(Debug)]
pub(crate) struct EndpointState {
    /// What clients of each era see: in that order of [`super::ERAS`].
    pub(super) catalogues: [ArcSwap<Catalogue>; 2],
    pub(super) assigned: Mutex<AssignedNames>,
    /// SessionStreams that clients keep open here.
    pub(crate) streams: Arc<OpenStreams>,
    /// Sessions here that have a stream for background messages.
    pub(crate) audience: Audience,
}

/// The names an endpoint gives out.
#[derive(Debug)]
pub(super) struct AssignedNames {
    /// Clients have shown these: they stay.
    pub(super) shown: PublishedNames,
    /// Those of the present catalogue. Which of two servers comes up first must not decide about
    /// names, so what nobody has shown is assigned out anew, in the order of the file.
    pub(super) current: PublishedNames,
    /// By kind: `shown` lacks something of `now`.
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

    /// Forgets the names of servers that the endpoint no longer has.
    pub(super) fn retain(&self, is_here: impl Fn(&str) -> bool) {
        let mut assigned = self.assigned.lock();
        let assigned = &mut *assigned;
        for names in assigned.shown.iter_mut().chain(&mut assigned.current) {
            names.retain(&is_here);
        }
    }
}
