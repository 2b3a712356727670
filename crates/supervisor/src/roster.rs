//! Which instance of a server is lent to whom, when one is started, and which one gives way.
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
//! A [`Roster`] counts every instance that can be lent, from its start until nothing of it is left,
//! and never has more than `members_max`. It does not know the instance that supplies a server's
//! lists: that one is neither lent nor ended.
//!
//! A ticket stands for one call that waits for an instance. Tickets are served in the order of
//! [`queue`]; a ticket never waits while an instance is idle that it may use, and an idle instance of
//! another key gives way when there is no room. Two kinds of idle instances are spared: one that holds
//! the state of a session ([`Retention::Session`]) never gives way; one that a session listens to neither
//! gives way nor is lent to another holder while there is room to start a new one. Only the end of a
//! session and the end of the pool end an instance that is lent.

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

/// A call that waits for an instance or holds one. Given out in growing order by the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// An instance that can be lent; given out here and never twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(pub u64);

/// Whose tickets count as one user's when turns are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UserId(pub u64);

/// Whose call it is. A holder finds the instance it had before, while that is idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Holder(pub u64);

/// How many tickets use one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaseMode {
    /// All tickets with the same key at the same time.
    Shared,
    /// One ticket at a time.
    Exclusive,
    /// One ticket, after which the instance ends.
    Once,
}

/// How long an instance is kept when no ticket uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retention {
    /// For [`RosterLimits::idle`].
    Pooled,
    /// For [`RosterLimits::idle_brief`]: it serves one kind of clients only.
    Brief,
    /// For [`RosterLimits::idle`]. It holds the state of one session, so it gives way to nobody.
    Session,
}

/// What a ticket waits for. Tickets may meet in one instance only if their keys are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRequest<K> {
    pub ticket: Ticket,
    pub key: K,
    pub user: UserId,
    pub holder: Holder,
    pub mode: LeaseMode,
    pub retention: Retention,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RosterEvent<K> {
    Requested(LeaseRequest<K>),
    /// A ticket has waited as long as the start of an instance may hold it up.
    Hurried(Ticket),
    /// Nobody waits for the ticket any more, or its deadline has passed.
    GaveUp(Ticket),
    /// What was handed to the ticket is given back.
    Released(Ticket),
    /// The member takes calls.
    Up(MemberId),
    /// The member takes no calls. `soon`: it is on its way and worth waiting for.
    Down {
        member: MemberId,
        soon: bool,
    },
    /// Nothing of the member is left.
    Gone(MemberId),
    /// Whether a session waits for what the member says of its own accord.
    Listened {
        member: MemberId,
        to: bool,
    },
    /// Time has passed.
    Tick,
    /// Nothing is lent from here on.
    Close,
}

/// What the driver must do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<K> {
    /// Start an instance; report [`RosterEvent::Up`], [`RosterEvent::Down`] and at its end [`RosterEvent::Gone`].
    Start { member: MemberId, key: K, holder: Holder, mode: LeaseMode },
    /// The ticket has the member until [`RosterEvent::Released`].
    Hand { ticket: Ticket, member: MemberId },
    /// End the member; report [`RosterEvent::Gone`].
    Evict(MemberId),
    /// The ticket gets nothing. Comes once, and no `Hand` comes for it.
    Refuse { ticket: Ticket, reason: RefusalReason },
}

/// Why a ticket gets no instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// All members were in use for as long as the ticket waited.
    Busy,
    /// The member that the ticket may use is down, and not expected back soon.
    Away(MemberId),
    /// The member that was started for the ticket is still starting.
    Starting(MemberId),
    /// As many tickets wait as may.
    QueueFull,
    /// The pool is closed.
    Closed,
}

/// The bounds of a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RosterLimits {
    /// Members at a time, those that are leaving included. At least 1.
    pub members_max: usize,
    /// Members that are kept however long they are idle, the most recently used first. Those for one
    /// session or one ticket are not among them: nobody else could use them.
    pub idle_min: usize,
    pub idle: Duration,
    pub idle_brief: Duration,
    /// Tickets that wait at a time.
    pub waiting_max: usize,
}

/// How many members there are, by what they do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Up and not lent.
    pub idle: usize,
    /// Lent, whatever their state.
    pub active: usize,
    /// Not lent and not up.
    pub starting: usize,
    /// Told to end, and not gone yet.
    pub leaving: usize,
    /// Tickets that wait.
    pub waiting: usize,
}

/// The members of one pool and the tickets that wait for them.
#[derive(Debug)]
pub struct Roster<K> {
    limits: RosterLimits,
    members: Members<K>,
    queue: Queue<K>,
    lent: HashMap<Ticket, MemberId>,
    closed: bool,
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
        }
    }

    /// Takes one step. `out` is appended to.
    pub fn step(&mut self, now: Instant, event: RosterEvent<K>, out: &mut Vec<Decision<K>>) {
        match event {
            RosterEvent::Requested(request) => self.request(request, out),
            RosterEvent::Hurried(ticket) => return self.hurry(ticket, out),
            RosterEvent::GaveUp(ticket) => self.give_up(now, ticket, out),
            RosterEvent::Released(ticket) => self.release(now, ticket, out),
            RosterEvent::Up(member) => self.members.set_phase(now, member, MemberPhase::Up),
            RosterEvent::Down { member, soon } => self.take_down(now, member, soon, out),
            RosterEvent::Gone(member) => self.members.remove(member),
            RosterEvent::Listened { member, to } => self.members.set_listened(member, to),
            RosterEvent::Tick => self.end_idle(now, out),
            RosterEvent::Close => self.close(out),
        }
        self.serve(now, out);
        self.check_invariants();
    }

    /// Ends the members whose key is not needed any more, lent or not.
    pub fn retire(
        &mut self,
        now: Instant,
        is_over: impl Fn(&K) -> bool,
        out: &mut Vec<Decision<K>>,
    ) {
        for id in self.members.ids(|member| is_over(&member.key)) {
            self.evict(id, out);
        }
        self.serve(now, out);
        self.check_invariants();
    }

    /// When the next [`RosterEvent::Tick`] has something to do, if nothing else happens.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.members.next_end(&self.limits)
    }

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

    /// Refuses a ticket for which an instance is being started; one that waits for a busy instance
    /// goes on waiting.
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

    /// A member that was started for one ticket and failed is of no use to the next.
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
        debug_assert!(self.members.len() <= self.limits.members_max);
        debug_assert!(self.queue.len() <= self.limits.waiting_max);
    }
}
