//! What an endpoint keeps when its servers are changed under it: names, streams, what was told.

use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use mainstay_protocol::list::ListKind;
use mainstay_session::Catalogue;
use mainstay_session::catalogue::PublishedNames;
use mainstay_telemetry::StreamKind;
use parking_lot::Mutex;

use crate::endpoint::listeners::{ListChanges, Listeners};
use crate::session::Session;

/// The part of an endpoint that is the same in each topology that has it.
#[derive(Debug)]
pub(crate) struct Lasting {
    pub(crate) path: String,
    /// What clients of each era see: in that order of [`super::GENERATIONS`].
    pub(super) catalogues: [ArcSwap<Catalogue>; 2],
    pub(super) given: Mutex<Given>,
    /// Streams that stand open here, by their kind.
    open: [AtomicUsize; StreamKind::COUNT],
    /// Sessions here that have a stream for what is said outside of calls.
    pub(crate) listeners: Listeners<Session>,
    pub(crate) changes: ListChanges,
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
        let (catalogues, open, listeners, changes) = Default::default();
        let given = Given { now: seen.clone(), seen, unseen: [false; 4] };
        Self { path, catalogues, given: Mutex::new(given), open, listeners, changes }
    }

    /// A stream of this kind opens.
    pub(crate) fn stream_opens(&self, kind: StreamKind) {
        self.open[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A stream of this kind has ended.
    pub(crate) fn stream_ends(&self, kind: StreamKind) {
        self.open[kind as usize].fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn streams_open(&self, kind: StreamKind) -> usize {
        self.open[kind as usize].load(Ordering::Relaxed)
    }

    /// Tells those with sessions here that lists are other than before, now or when they open a stream.
    pub(crate) fn lists_changed(&self, kinds: &[ListKind]) {
        self.changes.count(kinds);
        self.listeners.tell(|session| session.lists_changed(&self.changes));
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
