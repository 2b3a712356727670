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
pub(crate) struct Lasting {
    /// What clients of each era see: in that order of [`super::ERAS`].
    pub(super) catalogues: [ArcSwap<Catalogue>; 2],
    pub(super) given: Mutex<Given>,
    /// SessionStreams that clients keep open here.
    pub(crate) streams: Arc<OpenStreams>,
    /// Sessions here that have a stream for background messages.
    pub(crate) audience: Audience,
}

/// The names an endpoint gives out.
#[derive(Debug)]
pub(super) struct Given {
    /// Clients have seen these: they stay.
    pub(super) seen: PublishedNames,
    /// Those of the present catalogue. Which of two servers comes up first must not decide about
    /// names, so what nobody has seen is given out anew, in the order of the file.
    pub(super) now: PublishedNames,
    /// By kind: `seen` lacks something of `now`.
    pub(super) unseen: [bool; 4],
}

// === impl Lasting ===

impl Lasting {
    pub(super) fn new(path: String, seen: PublishedNames) -> Self {
        let given = Given { now: seen.clone(), seen, unseen: [false; 4] };
        Self {
            catalogues: Default::default(),
            given: Mutex::new(given),
            streams: OpenStreams::new(path),
            audience: Audience::default(),
        }
    }

    /// Forgets the names of servers that the endpoint no longer has.
    pub(super) fn retain(&self, is_here: impl Fn(&str) -> bool) {
        let mut given = self.given.lock();
        let given = &mut *given;
        for names in given.seen.iter_mut().chain(&mut given.now) {
            names.retain(&is_here);
        }
    }
}
