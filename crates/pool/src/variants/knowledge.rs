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
pub(super) struct Knowledge {
    /// The server's own name and version, as it wrote them.
    version: String,
    /// Whether it lists the same for all clients.
    alike: Option<bool>,
    /// By the JSON of capabilities.
    kinds: HashMap<Arc<str>, Kind>,
}

/// One kind of clients.
#[derive(Debug, Default)]
struct Kind {
    lists: Option<Arc<Facts>>,
    /// The lists that all clients see have changed since.
    is_stale: bool,
    /// It is being found out.
    is_asked: bool,
    /// When it was asked last, or when that failed.
    asked_at: Option<Instant>,
    /// Somebody was given a list that may lack something.
    is_missed: bool,
}

/// What a client of one kind is to see.
#[derive(Debug)]
pub(super) enum Answer {
    AsForAll,
    Lists(Arc<Facts>),
    Unknown {
        /// What to find out now; none: it is being found out, or was not long ago.
        ask: Option<Arc<str>>,
        /// What there is until then.
        stale: Option<Arc<Facts>>,
    },
}

/// Between two questions for the same kind of clients.
const ASK_EVERY: Duration = Duration::from_secs(60);
/// Kinds of clients that are told apart; the capabilities a gateway passes on make hardly more.
const KINDS_MAX: usize = 32;

// === impl Knowledge ===

impl Knowledge {
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

    pub(super) fn look_up(&mut self, asks: Asks, kind: &Arc<str>, now: Instant) -> Answer {
        let wanted = match self.are_alike(asks) {
            Some(true) => return Answer::AsForAll,
            Some(false) => kind.clone(),
            // One that declares everything shows whether there is any difference.
            None => everything(),
        };
        let known = self.kinds.get(kind);
        let lists = known.and_then(|known| known.lists.clone());
        if let (Some(lists), Some(false)) = (&lists, known.map(|known| known.is_stale)) {
            return Answer::Lists(lists.clone());
        }
        if self.kinds.len() >= KINDS_MAX && !self.kinds.contains_key(&wanted) {
            return Answer::AsForAll;
        }
        let asked = self.kinds.entry(wanted.clone()).or_default();
        let is_due = asked.asked_at.is_none_or(|at| now >= at + ASK_EVERY);
        if !asked.is_asked && !is_due {
            // It failed, or changes all the time: there is nothing to wait for.
            return lists.map_or(Answer::AsForAll, Answer::Lists);
        }
        let ask = (!asked.is_asked).then_some(wanted);
        if ask.is_some() {
            asked.is_asked = true;
            asked.asked_at = Some(now);
        }
        Answer::Unknown { ask, stale: lists }
    }

    /// Notes that a client of this kind was answered without its lists.
    pub(super) fn note_missed(&mut self, kind: &Arc<str>) {
        if self.kinds.len() < KINDS_MAX || self.kinds.contains_key(kind) {
            self.kinds.entry(kind.clone()).or_default().is_missed = true;
        }
    }

    /// Notes that it was tried to find out; what was found is learnt before.
    pub(super) fn note_asked(&mut self, kind: &Arc<str>, now: Instant) {
        if let Some(known) = self.kinds.get_mut(kind) {
            known.is_asked = false;
            known.asked_at = Some(now);
        }
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
        if self.kinds.len() < KINDS_MAX || self.kinds.contains_key(kind) {
            let known = self.kinds.entry(kind.clone()).or_default();
            known.lists = Some(lists.clone());
            known.is_stale = false;
            known.is_asked = false;
        }
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
