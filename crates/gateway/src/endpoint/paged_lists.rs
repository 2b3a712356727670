//! Lists that clients are paging through. A list that has changed meanwhile is kept for a while, so that
//! its pages still fit together.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_protocol::list::ListKind;
use mainstay_session::catalogue::Listing;
use mainstay_session::catalogue::pages::Cursor;
use parking_lot::Mutex;

/// Lists of which a client got a page that was not the last, the latest use last.
#[derive(Debug, Default)]
pub(super) struct PagedLists(Mutex<VecDeque<PagedList>>);

#[derive(Debug)]
struct PagedList {
    kind: ListKind,
    list: Arc<Listing>,
    used: Instant,
}

/// Lists that are kept. Their items share their bytes with the lists of the servers, which stay charged for
/// as long as they are held here.
const LISTS_MAX: usize = 8;
/// Time after the last page for which a list is kept.
const KEPT_FOR: Duration = Duration::from_secs(60);

// === impl PagedLists ===

impl PagedLists {
    /// Keeps a list whose next page a client may ask for.
    pub(super) fn keep(&self, kind: ListKind, list: &Arc<Listing>, now: Instant) {
        let mut lists = self.0.lock();
        lists.retain(|kept| !kept.is_expired(now) && !Arc::ptr_eq(&kept.list, list));
        if lists.len() >= LISTS_MAX {
            lists.pop_front();
        }
        lists.push_back(PagedList { kind, list: list.clone(), used: now });
    }

    /// Drops what takes too much memory now that lists of a kind have been replaced by these: from now on,
    /// the earlier ones are there for clients that are paging only.
    pub(super) fn note_replaced(
        &self,
        kind: ListKind,
        current: &[Arc<Listing>],
        bytes_max: usize,
        now: Instant,
    ) {
        let mut lists = self.0.lock();
        lists.retain(|kept| !kept.is_expired(now));
        let mut bytes = 0;
        let mut kept: VecDeque<_> = VecDeque::with_capacity(lists.len());
        for list in lists.drain(..).rev() {
            let is_current = current.iter().any(|current| Arc::ptr_eq(&list.list, current));
            if list.kind == kind && !is_current {
                bytes += list.list.bytes() + list.list.charged_bytes();
            }
            if is_current || list.kind != kind || bytes <= bytes_max {
                kept.push_front(list);
            }
        }
        *lists = kept;
    }

    /// Drops the lists whose clients have not come back.
    pub(super) fn expire(&self, now: Instant) {
        let mut lists = self.0.lock();
        if lists.iter().any(|kept| kept.is_expired(now)) {
            lists.retain(|kept| !kept.is_expired(now));
        }
    }

    /// Returns the list that a cursor belongs to, if it is kept.
    pub(super) fn find(&self, kind: ListKind, cursor: &Cursor) -> Option<Arc<Listing>> {
        let lists = self.0.lock();
        let kept = lists.iter().rev().find(|kept| kept.kind == kind && kept.list.has(cursor))?;
        Some(kept.list.clone())
    }
}

// === impl PagedList ===

impl PagedList {
    fn is_expired(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) >= KEPT_FOR
    }
}
