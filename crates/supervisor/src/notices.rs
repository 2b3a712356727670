//! Decides who is told what about the servers, and when: at most once a minute for each rule and each server.
//!
//! The first change is told at once. Changes within the minute after a telling wait for its end and are told as
//! one, with the state that holds then. So nobody is flooded by a server that goes up and down, and what was
//! told last is true. Its circuit breaker is a subject of its own: a breaker that closes does not mean that its
//! server is back.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use mainstay_model::{ChangeKind, Condition, Name};

/// The shortest time between two tellings of one rule about one server.
pub const PAUSE: Duration = Duration::from_secs(60);

/// What changes: a server, service or external, or its circuit breaker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    pub name: Name,
    pub is_breaker: bool,
}

/// Which changes somebody is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub on: BTreeSet<ChangeKind>,
    /// None: all servers.
    pub servers: Option<BTreeSet<Name>>,
}

/// A change of the condition of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub server: Name,
    pub from: Condition,
    pub to: Condition,
    pub reason: Option<String>,
}

/// What somebody is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// The place of the rule among all rules.
    pub rule: usize,
    pub server: Name,
    /// The newest change that the rule names.
    pub event: ChangeKind,
    /// The condition that the server was in before the first change that this telling is about.
    pub from: Condition,
    /// The condition that the server is in.
    pub to: Condition,
    /// The reason of the newest change.
    pub reason: Option<String>,
    /// Changes that the rule names and that were not told: they happened since the last telling and are
    /// over.
    pub left_out: u64,
}

/// The state machine. Its size is bounded by the number of rules times the number of servers.
#[derive(Debug)]
pub struct Notices {
    rules: Vec<Rule>,
    slots: BTreeMap<(usize, Subject), Slot>,
}

/// What a rule knows about a server.
#[derive(Debug)]
struct Slot {
    /// When somebody was told last.
    told_at: Option<Instant>,
    state: Condition,
    reason: Option<String>,
    waiting: Option<Waiting>,
}

/// Changes that wait for the end of the pause.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    /// The condition before the first of them.
    from: Condition,
    newest: ChangeKind,
    count: u64,
}

// === impl Subject ===

impl Subject {
    /// What comes into a condition.
    pub fn of(name: &Name, condition: Condition) -> Self {
        Self { name: name.clone(), is_breaker: condition.is_of_breaker() }
    }
}

// === impl Telling ===

impl Telling {
    /// What is told about.
    pub fn subject(&self) -> Subject {
        Subject::of(&self.server, self.to)
    }
}

// === impl Rule ===

impl Rule {
    fn is_about(&self, server: &Name) -> bool {
        self.servers.as_ref().is_none_or(|servers| servers.contains(server))
    }
}

// === impl Notices ===

impl Notices {
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules, slots: BTreeMap::new() }
    }

    /// Takes note of a change. Returns what is told at once.
    pub fn see(&mut self, now: Instant, seen: &Seen) -> Vec<Telling> {
        let kind = ChangeKind::of(seen.from, seen.to);
        let mut tellings = Vec::new();
        for (at, rule) in self.rules.iter().enumerate() {
            if !rule.is_about(&seen.server) {
                continue;
            }
            let key = (at, Subject::of(&seen.server, seen.to));
            let slot = self.slots.entry(key).or_insert_with(|| Slot::new(seen.from));
            let before = std::mem::replace(&mut slot.state, seen.to);
            slot.reason.clone_from(&seen.reason);
            if rule.on.contains(&kind) {
                let waiting =
                    slot.waiting.get_or_insert(Waiting { from: before, newest: kind, count: 0 });
                waiting.newest = kind;
                waiting.count += 1;
            }
            tellings.extend(slot.tell(now, at, &seen.server));
        }
        tellings
    }

    /// What is told because a pause is over.
    pub fn due(&mut self, now: Instant) -> Vec<Telling> {
        let slots = self.slots.iter_mut();
        let tell = |((at, subject), slot): (&(usize, Subject), &mut Slot)| {
            slot.tell(now, *at, &subject.name)
        };
        slots.filter_map(tell).collect()
    }

    /// When [`due`](Self::due) has something to tell. None: not before another change.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.slots.values().filter_map(Slot::deadline).min()
    }
}

// === impl Slot ===

impl Slot {
    fn new(state: Condition) -> Self {
        Self { told_at: None, state, reason: None, waiting: None }
    }

    fn deadline(&self) -> Option<Instant> {
        self.waiting?;
        self.told_at.map(|at| at + PAUSE)
    }

    /// Tells what waits, unless somebody was told within the pause.
    fn tell(&mut self, now: Instant, rule: usize, server: &Name) -> Option<Telling> {
        if self.deadline().is_some_and(|at| now < at) {
            return None;
        }
        let Waiting { from, newest, count } = self.waiting.take()?;
        self.told_at = Some(now);
        let (server, event, to) = (server.clone(), newest, self.state);
        let reason = self.reason.clone();
        Some(Telling { rule, server, event, from, to, reason, left_out: count - 1 })
    }
}
