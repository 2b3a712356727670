//! What all records of a journal add up to.

use std::collections::{BTreeMap, HashMap};

use mainstay_session::Serial;

use crate::ranges::Ranges;
use crate::record::Record;
use crate::sessions::{Kept, Known};

/// The state of all sessions that something became of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Image {
    kept: HashMap<Serial, Kept>,
    runs: BTreeMap<u64, Run>,
}

/// What became of the sessions that one run of the daemon opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Run {
    ended: Ranges,
    /// When one of them ended last.
    at: u64,
}

/// That sessions have ended is remembered for at least this long, in seconds: longer than a session
/// may be idle, also if that is raised meanwhile.
const REMEMBER_SECONDS_MIN: u64 = 24 * 3600;

// === impl Image ===

impl Image {
    pub(crate) fn apply(&mut self, record: Record) {
        match record {
            Record::Used { of, at } => {
                self.touched(of, at);
            }
            Record::Level { of, at, level } => {
                if let Some(kept) = self.touched(of, at) {
                    kept.level = Some(level);
                }
            }
            Record::Subscribed { of, at, server, uri } => {
                if let Some(kept) = self.touched(of, at) {
                    kept.subscriptions.insert((server, uri));
                }
            }
            Record::Unsubscribed { of, server, uri } => {
                if let Some(kept) = self.kept.get_mut(&of) {
                    kept.subscriptions.remove(&(server, uri));
                }
            }
            Record::Ended { of, at } => self.end(of, at),
            Record::Gone { run, first, last, at } => {
                let run = self.runs.entry(run).or_default();
                run.ended.insert(first, last);
                run.at = run.at.max(at);
            }
        }
    }

    pub(crate) fn known(&self, of: Serial) -> Known {
        if self.has_ended(of) {
            return Known::Ended;
        }
        self.kept.get(&of).cloned().map_or(Known::Nothing, Known::Kept)
    }

    pub(crate) fn has_ended(&self, of: Serial) -> bool {
        self.runs.get(&of.run).is_some_and(|run| run.ended.contains(of.number))
    }

    /// Lets go of what nobody can come back for: sessions idle for longer than `idle` seconds, the
    /// longest idle ones beyond `most`, and, after a long time, that sessions ended.
    pub(crate) fn prune(&mut self, now: u64, idle: u64, most: usize) {
        let mut over: Vec<(u64, Serial)> = self
            .kept
            .iter()
            .filter(|(_, kept)| kept.used_at.saturating_add(idle) < now)
            .map(|(of, kept)| (kept.used_at, *of))
            .collect();
        let left = self.kept.len() - over.len();
        if left > most {
            over = self.kept.iter().map(|(of, kept)| (kept.used_at, *of)).collect();
            over.sort_unstable();
            over.truncate(self.kept.len() - most);
        }
        for (_, of) in over {
            self.end(of, now);
        }
        let remember = REMEMBER_SECONDS_MIN.max(idle.saturating_mul(2));
        self.runs.retain(|_, run| run.at.saturating_add(remember) >= now);
    }

    /// The fewest records that add up to the same.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        let gone = self.runs.iter().flat_map(|(run, of)| {
            let (run, at) = (*run, of.at);
            of.ended.iter().map(move |(first, last)| Record::Gone { run, first, last, at })
        });
        gone.chain(self.kept.iter().flat_map(|(of, kept)| kept.records(*of)))
    }

    fn touched(&mut self, of: Serial, at: u64) -> Option<&mut Kept> {
        if self.has_ended(of) {
            return None;
        }
        let kept = self.kept.entry(of).or_default();
        kept.used_at = kept.used_at.max(at);
        Some(kept)
    }

    fn end(&mut self, of: Serial, at: u64) {
        self.kept.remove(&of);
        let run = self.runs.entry(of.run).or_default();
        run.ended.insert(of.number, of.number);
        run.at = run.at.max(at);
    }
}

// === impl Kept ===

impl Kept {
    fn records(&self, of: Serial) -> impl Iterator<Item = Record> {
        let at = self.used_at;
        let level = self.level.clone().map(|level| Record::Level { of, at, level });
        let subscriptions = self.subscriptions.iter().cloned();
        let subscriptions =
            subscriptions.map(move |(server, uri)| Record::Subscribed { of, at, server, uri });
        let plain = level.is_none() && self.subscriptions.is_empty();
        plain.then_some(Record::Used { of, at }).into_iter().chain(level).chain(subscriptions)
    }
}

#[cfg(test)]
pub(crate) mod tests;
