//! The cache of a server's client-specific lists, and the schedule of probes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_model::settings::Asks;
use mainstay_protocol::capabilities::ClientCapabilities;
use mainstay_protocol::list::ListKind;
use mainstay_upstream::facts::Facts;

#[cfg(test)]
mod tests;

/// The client-specific lists of one version of a server.
#[derive(Debug, Default)]
pub(crate) struct KnownLists {
    /// The digest of the server's version.
    version: String,
    /// Whether the lists are the same for all clients, if that is known.
    alike: Option<bool>,
    /// The lists by the JSON of client capabilities.
    kinds: HashMap<Arc<str>, ClientKind>,
    /// Counts look-ups, to find the least recently used entry.
    wanted: u64,
}

/// The lists for one set of client capabilities.
#[derive(Debug, Default)]
struct ClientKind {
    lists: Option<Arc<Facts>>,
    /// Whether the lists of the base instance have changed since.
    is_stale: bool,
    /// Whether a probe is in progress.
    is_asked: bool,
    /// When the last probe started, or failed.
    asked_at: Option<Instant>,
    /// The number of consecutive failed probes.
    failures: u32,
    /// The latest look-up, as counted by [`KnownLists::wanted`].
    wanted: u64,
    /// Whether a client received a list that may be incomplete.
    is_missed: bool,
}

/// The result of a look-up.
#[derive(Debug)]
pub(crate) enum LookUp {
    AsForAll,
    Lists(Arc<Facts>),
    Unknown {
        /// The capabilities to probe now. `None` if a probe is in progress, or was recent.
        ask: Option<Arc<str>>,
        /// The outdated lists, if there are any.
        stale: Option<Arc<Facts>>,
    },
}

/// The time between two probes for the same capabilities. It doubles with each failure, up to
/// [`ASK_EVERY_MAX`].
const ASK_EVERY: Duration = Duration::from_secs(60);
const ASK_EVERY_MAX: Duration = Duration::from_secs(3600);
/// The maximum number of cached sets of capabilities. The least recently used one is dropped.
const KINDS_MAX: usize = 32;

// === impl ClientKind ===

impl ClientKind {
    fn pause(&self) -> Duration {
        let doubled = self.failures.saturating_sub(1).min(6);
        (ASK_EVERY * (1 << doubled)).min(ASK_EVERY_MAX)
    }
}

// === impl KnownLists ===

impl KnownLists {
    pub(crate) fn are_alike(&self, asks: Asks) -> Option<bool> {
        match asks {
            Asks::Never => Some(true),
            Asks::Always => Some(false),
            Asks::Auto => self.alike,
        }
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn look_up(&mut self, asks: Asks, kind: &Arc<str>, now: Instant) -> LookUp {
        let wanted = match self.are_alike(asks) {
            Some(true) => return LookUp::AsForAll,
            Some(false) => kind.clone(),
            // A client with all capabilities shows whether there is any difference.
            None => everything(),
        };
        let known = self.kind(kind);
        let lists = known.lists.clone();
        if let (Some(lists), false) = (&lists, known.is_stale) {
            return LookUp::Lists(lists.clone());
        }
        let asked = self.kind(&wanted);
        let is_due = asked.asked_at.is_none_or(|at| now >= at + asked.pause());
        if !asked.is_asked && !is_due {
            // The last probe failed, or the lists change all the time: there is nothing to wait for.
            return lists.map_or(LookUp::AsForAll, LookUp::Lists);
        }
        let ask = (!asked.is_asked).then_some(wanted);
        if ask.is_some() {
            asked.is_asked = true;
            asked.asked_at = Some(now);
        }
        LookUp::Unknown { ask, stale: lists }
    }

    /// Records that a client received a list without its client-specific items.
    pub(crate) fn note_missed(&mut self, kind: &Arc<str>) {
        self.kind(kind).is_missed = true;
    }

    /// Records the end of a probe. Its results were recorded before.
    pub(crate) fn note_asked(&mut self, kind: &Arc<str>, now: Instant) {
        if let Some(known) = self.kinds.get_mut(kind) {
            known.is_asked = false;
            known.asked_at = Some(now);
            if known.lists.is_none() || known.is_stale {
                known.failures += 1;
            }
        }
    }

    /// The entry of a set of capabilities. Drops the least recently used entry if there are too many.
    fn kind(&mut self, kind: &Arc<str>) -> &mut ClientKind {
        if self.kinds.len() >= KINDS_MAX && !self.kinds.contains_key(kind) {
            let oldest = self.kinds.iter().min_by_key(|(_, known)| (known.is_asked, known.wanted));
            if let Some(oldest) = oldest.map(|(kind, _)| kind.clone()) {
                self.kinds.remove(&oldest);
            }
        }
        self.wanted += 1;
        let known = self.kinds.entry(kind.clone()).or_default();
        known.wanted = self.wanted;
        known
    }

    /// Records the lists for a set of capabilities. `all` tells whether it has all capabilities. Returns
    /// whether clients that received incomplete lists should fetch them again.
    pub(crate) fn learn(
        &mut self,
        kind: &Arc<str>,
        all: bool,
        base: &Facts,
        lists: &Arc<Facts>,
    ) -> bool {
        // A list that could not be fetched says nothing about the others.
        let fetched =
            |of: &ListKind| [base, lists].iter().all(|of_one| of_one.lists.failure(*of).is_none());
        let (whole, failed): (Vec<_>, Vec<_>) = ListKind::ALL.into_iter().partition(fetched);
        let same = whole.into_iter().all(|of| base.lists.of(of) == lists.lists.of(of));
        match (same, all && failed.is_empty()) {
            (false, _) => self.alike = Some(false),
            (true, true) => self.alike = self.alike.or(Some(true)),
            (true, false) => {}
        }
        let known = self.kind(kind);
        known.lists = Some(lists.clone());
        known.is_stale = !failed.is_empty();
        known.is_asked = false;
        known.failures = 0;
        let mut missed = false;
        for known in self.kinds.values_mut() {
            missed |= std::mem::take(&mut known.is_missed);
        }
        missed && !same
    }

    /// Records that the lists of the base instance were fetched from this version of the server. `alike` is
    /// the finding of an earlier daemon. `changed` tells whether the lists differ from the previous ones.
    pub(crate) fn note_base(&mut self, version: &str, alike: Option<bool>, changed: bool) {
        if self.version != version {
            *self = Self { version: version.to_owned(), alike, ..Self::default() };
        }
        for known in self.kinds.values_mut() {
            known.is_stale |= changed;
        }
    }
}

/// All client capabilities, as JSON.
pub(crate) fn everything() -> Arc<str> {
    let all = ClientCapabilities {
        roots: true,
        roots_list_changed: true,
        sampling: true,
        sampling_context: true,
        sampling_tools: true,
        elicitation: true,
        elicitation_url: true,
    };
    all.to_json().into()
}
