//! The roster of a pool: which instance is lent to which call, when an instance is started, and which
//! one is evicted.
//!
//! ```text
//!            Start               Up                 Hand
//!   (none) ────────▶ Starting ──────▶ Up, idle ◀──────────▶ Up, lent
//!                       ▲  │ Down     │    ▲      Released
//!                       │  ▼          │    │ Up
//!                       └─ Away ◀─────┘────┘                Evict            Gone
//!                                             any member ───────▶ Leaving ──────▶ (none)
//! ```
//!
//! A [`Roster`] counts every instance that can be lent, from its start until no part of it is left, and
//! never has more than `members_max`. The base instance, which supplies a server's lists, is not a member:
//! it is neither lent nor evicted.
//!
//! A ticket stands for a call that waits for an instance. Tickets are served in the order of [`queue`]. A
//! ticket never waits while a member that it may use is idle. If there is no room, an idle member of
//! another key is evicted, with two exceptions: a member that holds the state of a session
//! ([`Retention::Session`]) is never evicted; a member that a session listens to is not evicted either, and
//! is lent to another holder only if there is no room for a new member. A member that is lent ends only
//! with its session or with the pool.

mod members;
mod queue;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;
use std::time::{Duration, Instant};

use self::members::{MemberPhase, Members};
use self::queue::Queue;

/// Identifies a call that waits for a member or holds one. The driver allocates tickets in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Identifies an instance that can be lent. The roster allocates the ids and never reuses one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(pub u64);

/// Identifies a user. Tickets of one user share that user's turns in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UserId(pub u64);

/// Identifies who a ticket is for, such as a session. A holder gets the member back that it held before, if
/// that member is idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Holder(pub u64);

/// How many tickets use a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaseMode {
    /// All tickets with the member's key, at the same time.
    Shared,
    /// One ticket at a time.
    Exclusive,
    /// One ticket only; the member ends after it.
    Once,
}

/// How long an idle member is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retention {
    /// For [`RosterLimits::idle`].
    Pooled,
    /// For [`RosterLimits::idle_brief`], because the member serves clients with certain capabilities only.
    Brief,
    /// For [`RosterLimits::idle`]. The member holds the state of one session, so it is never evicted for
    /// another key.
    Session,
}

/// A ticket and what it waits for. Two tickets may share a member only if their keys are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRequest<K> {
    pub ticket: Ticket,
    pub key: K,
    pub user: UserId,
    pub holder: Holder,
    pub mode: LeaseMode,
    pub retention: Retention,
}

/// An input of the roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RosterEvent<K> {
    Requested(LeaseRequest<K>),
    /// A ticket has waited for as long as a starting member may delay it.
    Hurried(Ticket),
    /// The caller of a ticket is gone, or its deadline has passed.
    GaveUp(Ticket),
    /// The ticket gives its member back.
    Released(Ticket),
    /// The member accepts calls.
    Up(MemberId),
    /// The member does not accept calls. `soon` tells whether it is starting and worth waiting for.
    Down {
        member: MemberId,
        soon: bool,
    },
    /// The member has ended itself, because nobody used it. Another one starts when it is needed.
    Finished(MemberId),
    /// No part of the member is left.
    Gone(MemberId),
    /// Whether a session listens to the member's notifications outside of calls.
    Listened {
        member: MemberId,
        to: bool,
    },
    /// Time has passed.
    Tick,
    /// The pool closes: no member is lent from now on.
    Close,
}

/// What the driver must do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<K> {
    /// Start an instance. Report [`RosterEvent::Up`], [`RosterEvent::Down`], and [`RosterEvent::Gone`] at
    /// its end.
    Start { member: MemberId, key: K, holder: Holder, mode: LeaseMode },
    /// Lend the member to the ticket until [`RosterEvent::Released`].
    Hand { ticket: Ticket, member: MemberId },
    /// End the member. Report [`RosterEvent::Gone`].
    Evict(MemberId),
    /// Refuse the ticket. A ticket is refused at most once, and never after a `Hand`.
    Refuse { ticket: Ticket, reason: RefusalReason },
}

/// Why a ticket is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// All members were busy for as long as the ticket waited.
    Busy,
    /// The only member that the ticket may use is down and not expected back soon.
    Away(MemberId),
    /// The member that was started for the ticket is still starting.
    Starting(MemberId),
    /// The queue is full.
    QueueFull,
    /// The key is no longer needed: [`Roster::retire`].
    Retired,
    /// The pool is closed.
    Closed,
}

/// The limits of a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RosterLimits {
    /// The maximum number of members, including those that are leaving. At least 1.
    pub members_max: usize,
    /// The number of members to keep however long they are idle, the most recently used first. Members for
    /// one session or one ticket don't count, because no other call could use them.
    pub idle_min: usize,
    /// How long an idle member is kept.
    pub idle: Duration,
    /// How long an idle member with [`Retention::Brief`] is kept.
    pub idle_brief: Duration,
    /// The maximum number of waiting tickets.
    pub waiting_max: usize,
}

/// The number of members by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Up and not lent, so that the next call may get it.
    pub idle: usize,
    /// Up and not lent, but kept for one session.
    pub kept: usize,
    /// Lent, in any state.
    pub active: usize,
    /// Neither lent nor up.
    pub starting: usize,
    /// Told to end, but not gone yet.
    pub leaving: usize,
    /// The number of waiting tickets.
    pub waiting: usize,
}

/// The members of a pool and the tickets that wait for them.
#[derive(Debug)]
pub struct Roster<K> {
    limits: RosterLimits,
    members: Members<K>,
    queue: Queue<K>,
    lent: HashMap<Ticket, MemberId>,
    closed: bool,
    /// Members beyond the limit that were there when it was lowered.
    surplus: usize,
}

// === impl Roster ===

impl<K: Clone + Eq + Hash + Debug> Roster<K> {
    pub fn new(limits: RosterLimits) -> Self {
        Self {
            limits: RosterLimits { members_max: limits.members_max.max(1), ..limits },
            members: Members::default(),
            queue: Queue::default(),
            lent: HashMap::new(),
            closed: false,
            surplus: 0,
        }
    }

    /// Takes one step and appends to `out` what the driver must do.
    pub fn step(&mut self, now: Instant, event: RosterEvent<K>, out: &mut Vec<Decision<K>>) {
        match event {
            RosterEvent::Requested(request) => self.request(request, out),
            RosterEvent::Hurried(ticket) => return self.hurry(ticket, out),
            RosterEvent::GaveUp(ticket) => self.give_up(now, ticket, out),
            RosterEvent::Released(ticket) => self.release(now, ticket, out),
            RosterEvent::Up(member) => self.members.set_phase(now, member, MemberPhase::Up),
            RosterEvent::Down { member, soon } => self.take_down(now, member, soon, out),
            RosterEvent::Finished(member) => self.evict(member, out),
            RosterEvent::Gone(member) => self.members.remove(member),
            RosterEvent::Listened { member, to } => self.members.set_listened(member, to),
            RosterEvent::Tick => self.end_idle(now, out),
            RosterEvent::Close => self.close(out),
        }
        self.shed(out);
        self.serve(now, out);
        self.check_invariants();
    }

    /// Changes the limits. Idle members beyond the new number end at once, and the others when they are given back.
    pub fn set_limits(&mut self, now: Instant, limits: RosterLimits, out: &mut Vec<Decision<K>>) {
        self.limits = RosterLimits { members_max: limits.members_max.max(1), ..limits };
        self.surplus = self.members.len().saturating_sub(self.limits.members_max);
        self.shed(out);
        self.serve(now, out);
        self.check_invariants();
    }

    /// Evicts idle members beyond a limit that was lowered.
    fn shed(&mut self, out: &mut Vec<Decision<K>>) {
        if self.surplus == 0 {
            return;
        }
        self.surplus = self.members.len().saturating_sub(self.limits.members_max);
        let leaving = self.members.counts().leaving;
        for id in self.members.idle_longest(self.surplus.saturating_sub(leaving)) {
            self.evict(id, out);
        }
    }

    /// Evicts all members whose key is no longer needed, even members that are lent, and refuses the tickets
    /// that wait for such a key, so that no member is started for them.
    pub fn retire(
        &mut self,
        now: Instant,
        is_over: impl Fn(&K) -> bool,
        out: &mut Vec<Decision<K>>,
    ) {
        for place in self.queue.places() {
            if self.queue.at(place).is_some_and(|request| is_over(&request.key)) {
                self.queue.remove(place);
                out.push(Decision::Refuse { ticket: place.1, reason: RefusalReason::Retired });
            }
        }
        for id in self.members.ids(|member| is_over(&member.key)) {
            self.evict(id, out);
        }
        self.serve(now, out);
        self.check_invariants();
    }

    /// When the next [`RosterEvent::Tick`] has an effect. `None` if only other events can change the
    /// roster.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.members.next_end(&self.limits)
    }

    /// The number of members and waiting tickets by state.
    pub fn counts(&self) -> Counts {
        Counts { waiting: self.queue.len(), ..self.members.counts() }
    }

    fn request(&mut self, request: LeaseRequest<K>, out: &mut Vec<Decision<K>>) {
        let reason = match () {
            () if self.closed => RefusalReason::Closed,
            () if self.queue.len() >= self.limits.waiting_max => RefusalReason::QueueFull,
            () => return self.queue.push(request),
        };
        out.push(Decision::Refuse { ticket: request.ticket, reason });
    }

    /// Refuses a ticket that waits for a starting member. A ticket that waits for a busy member stays
    /// queued.
    fn hurry(&mut self, ticket: Ticket, out: &mut Vec<Decision<K>>) {
        let Some(place) = self.queue.place_of(ticket) else { return };
        let starting = self.queue.at(place).and_then(|request| self.members.starting_for(request));
        if let Some(member) = starting {
            self.queue.remove(place);
            out.push(Decision::Refuse { ticket, reason: RefusalReason::Starting(member) });
        }
    }

    fn give_up(&mut self, now: Instant, ticket: Ticket, out: &mut Vec<Decision<K>>) {
        let Some(place) = self.queue.place_of(ticket) else {
            return self.release(now, ticket, out);
        };
        let Some(request) = self.queue.remove(place) else { return };
        let starting = self.members.starting_for(&request);
        let reason = starting.map_or(RefusalReason::Busy, RefusalReason::Starting);
        out.push(Decision::Refuse { ticket, reason });
    }

    fn release(&mut self, now: Instant, ticket: Ticket, out: &mut Vec<Decision<K>>) {
        let Some(id) = self.lent.remove(&ticket) else { return };
        if self.members.give_back(now, id) {
            self.evict(id, out);
        }
    }

    /// Marks a member as down. A member that failed before its one ticket got it is evicted, and the ticket
    /// refused.
    fn take_down(
        &mut self,
        now: Instant,
        member: MemberId,
        soon: bool,
        out: &mut Vec<Decision<K>>,
    ) {
        self.members.set_phase(
            now,
            member,
            if soon { MemberPhase::Starting } else { MemberPhase::Away },
        );
        let Some(failed) = self.members.get(member).filter(|it| it.is_spent()) else { return };
        let meant = |request: &&LeaseRequest<K>| {
            request.mode == LeaseMode::Once && request.key == failed.key
        };
        let ticket = self.queue.iter().find(meant).map(|request| request.ticket);
        if let Some(ticket) = ticket
            && let Some(place) = self.queue.place_of(ticket)
        {
            self.queue.serve(place);
            out.push(Decision::Refuse { ticket, reason: RefusalReason::Away(member) });
        }
        self.evict(member, out);
    }

    fn end_idle(&mut self, now: Instant, out: &mut Vec<Decision<K>>) {
        for id in self.members.idle_too_long(now, &self.limits) {
            self.evict(id, out);
        }
    }

    fn close(&mut self, out: &mut Vec<Decision<K>>) {
        self.closed = true;
        for place in self.queue.places() {
            self.queue.remove(place);
            out.push(Decision::Refuse { ticket: place.1, reason: RefusalReason::Closed });
        }
        for id in self.members.ids(|_| true) {
            self.evict(id, out);
        }
    }

    fn evict(&mut self, id: MemberId, out: &mut Vec<Decision<K>>) {
        if self.members.leave(id) {
            out.push(Decision::Evict(id));
        }
    }

    /// Goes through the waiting tickets in their order. Each gets, by the first of these that is
    /// possible: an idle member, a refusal because its member is away, a member that is starting, a
    /// new member where there is room, the room of a member that is leaving, the room of an idle
    /// member of another key. Else all are busy, and it waits.
    fn serve(&mut self, now: Instant, out: &mut Vec<Decision<K>>) {
        if self.queue.is_empty() {
            return;
        }
        let counts = self.members.counts();
        let mut room = self.limits.members_max.saturating_sub(self.members.len());
        let mut leaving = counts.leaving;
        let mut starting = self.members.starting();
        // Shared keys that a member is coming for, or its room.
        let mut promised: HashSet<K> = HashSet::new();
        for place in self.queue.places() {
            let Some(request) = self.queue.at(place) else { continue };
            let ticket = request.ticket;
            if let Some(member) = self.members.free_for(request, room > 0) {
                if let Some(request) = self.queue.serve(place) {
                    self.members.lend(now, member, request.holder);
                    self.lent.insert(ticket, member);
                    out.push(Decision::Hand { ticket, member });
                }
                continue;
            }
            if let Some(member) = self.members.only_away(request) {
                self.queue.serve(place);
                out.push(Decision::Refuse { ticket, reason: RefusalReason::Away(member) });
                continue;
            }
            if request.mode == LeaseMode::Shared {
                let is_coming = self.members.starting_for(request).is_some();
                if is_coming || !promised.insert(request.key.clone()) {
                    continue;
                }
            } else if let Some(count) = starting.get_mut(&(request.key.clone(), request.mode))
                && *count > 0
            {
                *count -= 1;
                continue;
            }
            if room > 0 {
                room -= 1;
                let (key, holder, mode) = (request.key.clone(), request.holder, request.mode);
                let member = self.members.start(now, request);
                out.push(Decision::Start { member, key, holder, mode });
            } else if leaving > 0 {
                leaving -= 1;
            } else if let Some(member) = self.members.to_give_way(request, &self.queue) {
                self.evict(member, out);
            }
        }
    }

    fn check_invariants(&self) {
        debug_assert!(self.members.len() <= self.limits.members_max + self.surplus);
        debug_assert!(self.queue.len() <= self.limits.waiting_max);
    }
}
