//! Merged lists with what servers list for some clients only. Clients with the same lists share one.

use std::collections::VecDeque;
use std::sync::Arc;

use mainstay_model::ServerId;
use mainstay_protocol::list::ListKind;
use mainstay_session::catalogue::Listing;
use mainstay_upstream::facts::Facts;
use parking_lot::Mutex;

/// The views of an endpoint, oldest first.
#[derive(Debug, Default)]
pub(super) struct ClientViews(Mutex<VecDeque<ClientView>>);

#[derive(Debug)]
struct ClientView {
    kind: ListKind,
    /// The list for all clients.
    base: Arc<Listing>,
    /// What servers list for the clients of this view.
    said: Vec<(ServerId, Arc<Facts>)>,
    whole: Arc<Listing>,
}

/// Views that are kept. There are as many as there are sets of capabilities among the clients that list
/// at the same time, for each kind of list.
const VIEWS_MAX: usize = 16;

// === impl ClientViews ===

impl ClientViews {
    pub(super) fn find(
        &self,
        kind: ListKind,
        base: &Arc<Listing>,
        said: &[(ServerId, Arc<Facts>)],
    ) -> Option<Arc<Listing>> {
        let views = self.0.lock();
        let view = views.iter().find(|view| view.is_of(kind, base) && view.has_lists(said))?;
        Some(view.whole.clone())
    }

    /// Drops the views of lists of a kind that are not current.
    pub(super) fn retain(&self, kind: ListKind, current: &[Arc<Listing>]) {
        let is_current =
            |view: &ClientView| current.iter().any(|base| Arc::ptr_eq(&view.base, base));
        self.0.lock().retain(|view| view.kind != kind || is_current(view));
    }

    /// Keeps a view, and drops those of earlier lists of this kind.
    pub(super) fn keep(
        &self,
        kind: ListKind,
        base: Arc<Listing>,
        said: Vec<(ServerId, Arc<Facts>)>,
        whole: Arc<Listing>,
    ) {
        self.retain(kind, std::slice::from_ref(&base));
        let mut views = self.0.lock();
        if views.len() >= VIEWS_MAX {
            views.pop_front();
        }
        views.push_back(ClientView { kind, base, said, whole });
    }
}

// === impl ClientView ===

impl ClientView {
    fn is_of(&self, kind: ListKind, base: &Arc<Listing>) -> bool {
        self.kind == kind && Arc::ptr_eq(&self.base, base)
    }

    fn has_lists(&self, said: &[(ServerId, Arc<Facts>)]) -> bool {
        let is_same = |((one, facts), (other, others)): (&(_, Arc<Facts>), &(_, Arc<Facts>))| {
            one == other && Arc::ptr_eq(facts, others)
        };
        self.said.len() == said.len() && self.said.iter().zip(said).all(is_same)
    }
}
