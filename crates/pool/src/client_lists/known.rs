//! What is known of a server's lists for each kind of clients, and what is still to be found out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_model::settings::Asks;
use mainstay_protocol::list::ListKind;
use mainstay_upstream::facts::Facts;

use super::everything;

#[cfg(test)]
mod tests;

/// What is known of one version of a server.
#[derive(Debug, Default)]
pub(super) struct KnownLists {
    /// The server's own name and version, as it wrote them.
    version: String,
    /// Whether it lists the same for all clients.
    alike: Option<bool>,
    /// By the JSON of capabilities.
    kinds: HashMap<Arc<str>, ClientKind>,
    /// Counts when kinds are wanted.
    wanted: u64,
}

/// One kind of clients.
#[derive(Debug, Default)]
struct ClientKind {
    lists: Option<Arc<Facts>>,
    /// The lists that all clients see have changed since.
    is_stale: bool,
    /// It is being found out.
    is_asked: bool,
    /// When it was asked last, or when that failed.
    asked_at: Option<Instant>,
    /// How often in a row it could not be found out.
    failures: u32,
    /// When it was wanted last, by [`KnownLists::wanted`].
    wanted: u64,
    /// Somebody was given a list that may lack something.
    is_missed: bool,
}

/// What a client of one kind is to see.
#[derive(Debug)]
pub(super) enum LookUp {
    AsForAll,
    Lists(Arc<Facts>),
    Unknown {
        /// What to find out now; none: it is being found out, or was not long ago.
        ask: Option<Arc<str>>,
        /// What there is until then.
        stale: Option<Arc<Facts>>,
    },
}

/// Between two questions for the same kind of clients; doubled with each failure, up to the second.
const ASK_EVERY: Duration = Duration::from_secs(60);
const ASK_EVERY_MAX: Duration = Duration::from_secs(3600);
/// Kinds of clients that are kept, the most recently wanted ones.
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
    pub(super) fn are_alike(&self, asks: Asks) -> Option<bool> {
        match asks {
            Asks::Never => Some(true),
            Asks::Always => Some(false),
            Asks::Auto => self.alike,
        }
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    pub(super) fn look_up(&mut self, asks: Asks, kind: &Arc<str>, now: Instant) -> LookUp {
        let wanted = match self.are_alike(asks) {
            Some(true) => return LookUp::AsForAll,
            Some(false) => kind.clone(),
            // One that declares everything shows whether there is any difference.
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
            // It failed, or changes all the time: there is nothing to wait for.
            return lists.map_or(LookUp::AsForAll, LookUp::Lists);
        }
        let ask = (!asked.is_asked).then_some(wanted);
        if ask.is_some() {
            asked.is_asked = true;
            asked.asked_at = Some(now);
        }
        LookUp::Unknown { ask, stale: lists }
    }

    /// Notes that a client of this kind was answered without its lists.
    pub(super) fn note_missed(&mut self, kind: &Arc<str>) {
        self.kind(kind).is_missed = true;
    }

    /// Notes that it was tried to find out; what was found is learnt before.
    pub(super) fn note_asked(&mut self, kind: &Arc<str>, now: Instant) {
        if let Some(known) = self.kinds.get_mut(kind) {
            known.is_asked = false;
            known.asked_at = Some(now);
            if known.lists.is_none() || known.is_stale {
                known.failures += 1;
            }
        }
    }

    /// What is known of a kind. Where there are too many, the one that was not wanted for longest makes room.
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

    /// Learns what is listed for a kind of clients; `all`: for one that declares everything. Whether
    /// clients were answered without it that should look again.
    pub(super) fn learn(
        &mut self,
        kind: &Arc<str>,
        all: bool,
        base: &Facts,
        lists: &Arc<Facts>,
    ) -> bool {
        let same = ListKind::ALL.into_iter().all(|of| base.lists.of(of) == lists.lists.of(of));
        match (same, all) {
            (false, _) => self.alike = Some(false),
            (true, true) => self.alike = self.alike.or(Some(true)),
            (true, false) => {}
        }
        let known = self.kind(kind);
        known.lists = Some(lists.clone());
        known.is_stale = false;
        known.is_asked = false;
        known.failures = 0;
        let mut missed = false;
        for known in self.kinds.values_mut() {
            missed |= std::mem::take(&mut known.is_missed);
        }
        missed && !same
    }

    /// The lists that all clients see were read, of this version of the server; `alike` is what an
    /// earlier daemon found out about it. `changed`: the lists are others than before.
    pub(super) fn note_base(&mut self, version: &str, alike: Option<bool>, changed: bool) {
        if self.version != version {
            *self = Self { version: version.to_owned(), alike, ..Self::default() };
        }
        for known in self.kinds.values_mut() {
            known.is_stale |= changed;
        }
    }
}
