//! The state that the records of a journal add up to.

use std::collections::{BTreeMap, HashMap};

use mainstay_session::Serial;

use crate::ranges::Ranges;
use crate::record::Record;
use crate::sessions::{SessionChanges, SessionStatus};

/// Holds the state of all sessions that changed after they were opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Image {
    changed: HashMap<Serial, SessionChanges>,
    runs: BTreeMap<u64, Run>,
}

/// The ended sessions of one run of the daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Run {
    ended: Ranges,
    /// The time at which the last of them ended.
    at: u64,
}

/// The shortest time for which ended sessions are remembered, in seconds. It is longer than a session may
/// be idle, even if that setting is raised later.
const REMEMBER_SECONDS_MIN: u64 = 24 * 3600;

// === impl Image ===

impl Image {
    pub(crate) fn apply(&mut self, record: Record) {
        match record {
            Record::Used { session, at } => {
                self.touch(session, at);
            }
            Record::Level { session, at, level } => {
                if let Some(changes) = self.touch(session, at) {
                    changes.level = Some(level);
                }
            }
            Record::Subscribed { session, at, server, uri } => {
                if let Some(changes) = self.touch(session, at) {
                    changes.subscriptions.insert((server, uri));
                }
            }
            Record::Unsubscribed { session, server, uri } => {
                if let Some(changes) = self.changed.get_mut(&session) {
                    changes.subscriptions.remove(&(server, uri));
                }
            }
            Record::Ended { session, at } => self.end(session, at),
            Record::Gone { run, first, last, at } => {
                let run = self.runs.entry(run).or_default();
                run.ended.insert(first, last);
                run.at = run.at.max(at);
            }
        }
    }

    pub(crate) fn status(&self, session: Serial) -> SessionStatus {
        if self.has_ended(session) {
            return SessionStatus::Ended;
        }
        self.changed.get(&session).cloned().map_or(SessionStatus::Unchanged, SessionStatus::Changed)
    }

    pub(crate) fn has_ended(&self, session: Serial) -> bool {
        self.runs.get(&session.run).is_some_and(|run| run.ended.contains(session.number))
    }

    /// Ends sessions that were idle for longer than `idle` seconds, and the longest idle ones beyond
    /// `most`. Forgets ended sessions once no client can return for them.
    pub(crate) fn prune(&mut self, now: u64, idle: u64, most: usize) {
        let mut over: Vec<(u64, Serial)> = self
            .changed
            .iter()
            .filter(|(_, changes)| changes.used_at.saturating_add(idle) < now)
            .map(|(session, changes)| (changes.used_at, *session))
            .collect();
        let left = self.changed.len() - over.len();
        if left > most {
            over =
                self.changed.iter().map(|(session, changes)| (changes.used_at, *session)).collect();
            over.sort_unstable();
            over.truncate(self.changed.len() - most);
        }
        for (_, session) in over {
            self.end(session, now);
        }
        let remember = REMEMBER_SECONDS_MIN.max(idle.saturating_mul(2));
        self.runs.retain(|_, run| run.at.saturating_add(remember) >= now);
    }

    /// Returns the smallest set of records that add up to this state.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        let gone = self.runs.iter().flat_map(|(number, run)| {
            let (number, at) = (*number, run.at);
            let ranges = run.ended.iter();
            ranges.map(move |(first, last)| Record::Gone { run: number, first, last, at })
        });
        gone.chain(self.changed.iter().flat_map(|(session, changes)| changes.records(*session)))
    }

    fn touch(&mut self, session: Serial, at: u64) -> Option<&mut SessionChanges> {
        if self.has_ended(session) {
            return None;
        }
        let changes = self.changed.entry(session).or_default();
        changes.used_at = changes.used_at.max(at);
        Some(changes)
    }

    fn end(&mut self, session: Serial, at: u64) {
        self.changed.remove(&session);
        let run = self.runs.entry(session.run).or_default();
        run.ended.insert(session.number, session.number);
        run.at = run.at.max(at);
    }
}

// === impl SessionChanges ===

impl SessionChanges {
    fn records(&self, session: Serial) -> impl Iterator<Item = Record> {
        let at = self.used_at;
        let level = self.level.clone().map(|level| Record::Level { session, at, level });
        let subscriptions = self.subscriptions.iter().cloned();
        let subscriptions =
            subscriptions.map(move |(server, uri)| Record::Subscribed { session, at, server, uri });
        let plain = level.is_none() && self.subscriptions.is_empty();
        plain.then_some(Record::Used { session, at }).into_iter().chain(level).chain(subscriptions)
    }
}

#[cfg(test)]
pub(crate) mod tests;
