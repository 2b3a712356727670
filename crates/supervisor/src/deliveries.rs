//! Decides which telling of one rule is delivered next. Tellings about the same server are delivered in order,
//! one at a time, so that the last one delivered is the newest one. Those about different servers don't wait
//! for each other. The circuit breaker of a server is a subject of its own.
//!
//! A telling that waits, or whose attempt failed, is merged with a newer one about the same server. What is
//! delivered then says how many changes it leaves out.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use crate::notices::{Subject, Telling};

/// Servers about which tellings wait or are delivered.
pub const SERVERS_MAX: usize = 1024;
/// Tellings that are delivered at the same time. More would only load a machine on which many servers just
/// failed.
pub const AT_ONCE_MAX: usize = 4;
/// The waits before the second and the third attempt.
pub const AGAIN_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];
/// The wait before each later attempt: the receiver may be away for a while.
pub const LATER_AFTER: Duration = Duration::from_secs(5 * 60);
/// Later attempts, for an hour.
pub const LATER_MAX: usize = 12;

/// A telling, and when it was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated {
    pub telling: Telling,
    pub at: SystemTime,
}

/// What becomes of a new telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It will be delivered by itself.
    Waits,
    /// An older one about the same server is left out.
    Merged,
    /// It is dropped, because tellings about [`SERVERS_MAX`] other servers wait.
    Dropped,
}

/// What follows from the end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Delivered(Telling),
    /// The attempt failed, and another one follows.
    Again,
    /// The third attempt failed. Others follow much later.
    Failed(Telling),
    /// The attempt failed, and the telling is left out for a newer one.
    Merged,
    /// The last attempt failed.
    GivenUp(Telling),
    /// There was no such attempt.
    Unknown,
}

/// The state machine of one rule.
#[derive(Debug, Default)]
pub struct Deliveries {
    entries: BTreeMap<Subject, Entry>,
    under_way: usize,
    /// Rises with each entry.
    turns: u64,
}

/// What is told about one server.
#[derive(Debug)]
struct Entry {
    dated: Dated,
    /// The entries with lower turns go first.
    turn: u64,
    failures: usize,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// Until this time after a failure; none before the first attempt.
    Waits(Option<Instant>),
    /// An attempt is made. A newer telling waits for its end.
    UnderWay { newer: Option<Dated> },
}

// === impl Dated ===

impl Dated {
    /// The newer telling with all that it leaves out.
    fn merged(self, newer: Self) -> Self {
        let left_out = self.telling.left_out + 1 + newer.telling.left_out;
        let telling = Telling { from: self.telling.from, left_out, ..newer.telling };
        Self { telling, at: newer.at }
    }
}

// === impl Deliveries ===

impl Deliveries {
    /// Takes a telling that is to be delivered.
    pub fn take(&mut self, new: Dated) -> Taken {
        let Some(entry) = self.entries.get_mut(&new.telling.subject()) else {
            if self.entries.len() >= SERVERS_MAX {
                return Taken::Dropped;
            }
            self.wait(new);
            return Taken::Waits;
        };
        match &mut entry.step {
            Step::Waits(until) => {
                *until = None;
                entry.failures = 0;
                entry.dated = entry.dated.clone().merged(new);
                Taken::Merged
            }
            Step::UnderWay { newer } => match newer.take() {
                Some(older) => {
                    *newer = Some(older.merged(new));
                    Taken::Merged
                }
                None => {
                    *newer = Some(new);
                    Taken::Waits
                }
            },
        }
    }

    /// Begins the next attempt, if one is due. The caller makes it and reports its end with
    /// [`ended`](Self::ended).
    pub fn begin(&mut self, now: Instant) -> Option<Dated> {
        if self.under_way >= AT_ONCE_MAX {
            return None;
        }
        let due = self.entries.values_mut().filter(|entry| entry.is_due(now));
        let next = due.min_by_key(|entry| entry.turn)?;
        next.step = Step::UnderWay { newer: None };
        self.under_way += 1;
        Some(next.dated.clone())
    }

    /// Takes note of the end of the attempt about a server, or its breaker.
    pub fn ended(&mut self, now: Instant, subject: &Subject, is_delivered: bool) -> Ended {
        let Some(mut entry) = self.entries.remove(subject) else { return Ended::Unknown };
        let Step::UnderWay { newer } = std::mem::replace(&mut entry.step, Step::Waits(None)) else {
            self.entries.insert(subject.clone(), entry);
            return Ended::Unknown;
        };
        self.under_way -= 1;
        match (is_delivered, newer) {
            (true, newer) => {
                if let Some(newer) = newer {
                    self.wait(newer);
                }
                Ended::Delivered(entry.dated.telling)
            }
            (false, Some(newer)) => {
                self.wait(entry.dated.merged(newer));
                Ended::Merged
            }
            (false, None) => {
                let Some(pause) = pause(entry.failures) else {
                    return Ended::GivenUp(entry.dated.telling);
                };
                let ended = match entry.failures == AGAIN_AFTER.len() {
                    true => Ended::Failed(entry.dated.telling.clone()),
                    false => Ended::Again,
                };
                entry.failures += 1;
                entry.step = Step::Waits(Some(now + pause));
                self.entries.insert(subject.clone(), entry);
                ended
            }
        }
    }

    /// When [`begin`](Self::begin) has an attempt that was not due before. None: not before a telling is
    /// taken or an attempt ends.
    pub fn next_deadline(&self) -> Option<Instant> {
        let has_room = self.under_way < AT_ONCE_MAX;
        let waits =
            self.entries.values().filter(|_| has_room).filter_map(|entry| match entry.step {
                Step::Waits(until) => until,
                Step::UnderWay { .. } => None,
            });
        waits.min()
    }

    fn wait(&mut self, dated: Dated) {
        self.turns += 1;
        let (subject, turn) = (dated.telling.subject(), self.turns);
        let entry = Entry { dated, turn, failures: 0, step: Step::Waits(None) };
        self.entries.insert(subject, entry);
    }
}

/// The wait before the next attempt after so many failures and one more. None: there is no other one.
fn pause(failures: usize) -> Option<Duration> {
    let later = (failures < AGAIN_AFTER.len() + LATER_MAX).then_some(LATER_AFTER);
    AGAIN_AFTER.get(failures).copied().or(later)
}

// === impl Entry ===

impl Entry {
    fn is_due(&self, now: Instant) -> bool {
        match self.step {
            Step::Waits(until) => until.is_none_or(|until| until <= now),
            Step::UnderWay { .. } => false,
        }
    }
}
