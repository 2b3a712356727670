//! Random schedules: whatever happens in whatever order, some things always hold.
//!
//! A failure prints its seed; `MAINSTAY_SEED=…` runs that schedule alone. `MAINSTAY_SCHEDULES=…` runs
//! another number of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use super::{
    Counts, Decision, Holder, LeaseMode, LeaseRequest, MemberId, RefusalReason, Retention, Roster,
    RosterEvent, RosterLimits, Ticket, UserId,
};

/// Where the environment does not say how many.
const SCHEDULES: u64 = 10_000;
const STEPS: u64 = 80;

/// A key of the test: what it is called, and how it is used.
type Key = (u64, LeaseMode, Retention);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let at = self.below(all.len() as u64) as usize;
        all.get(at).copied()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Up,
    Away,
}

#[derive(Debug)]
struct Seen {
    key: Key,
    state: State,
    leaving: bool,
    holders: BTreeSet<Ticket>,
    last: Holder,
    was_lent: bool,
    listened: bool,
    idle_since: Instant,
}

/// The world around a roster, as its decisions make it.
struct World {
    roster: Roster<Key>,
    limits: RosterLimits,
    now: Instant,
    members: BTreeMap<MemberId, Seen>,
    waiting: BTreeMap<Ticket, LeaseRequest<Key>>,
    lent: HashMap<Ticket, MemberId>,
    tickets: u64,
    closed: bool,
}

impl World {
    fn new(random: &mut Random) -> Self {
        let limits = RosterLimits {
            members_max: 1 + random.below(4) as usize,
            idle_min: random.below(3) as usize,
            idle: Duration::from_secs(900),
            idle_brief: Duration::from_secs(60),
            waiting_max: 1 + random.below(12) as usize,
        };
        Self {
            roster: Roster::new(limits),
            limits,
            now: Instant::now(),
            members: BTreeMap::new(),
            waiting: BTreeMap::new(),
            lent: HashMap::new(),
            tickets: 0,
            closed: false,
        }
    }

    fn ids(&self, such: impl Fn(&Seen) -> bool) -> Vec<MemberId> {
        self.members.iter().filter(|(_, it)| such(it)).map(|(id, _)| *id).collect()
    }

    fn tell(&mut self, event: RosterEvent<Key>) {
        let kind = event.clone();
        let mut out = Vec::new();
        self.roster.step(self.now, event, &mut out);
        self.carry_out(out, &kind);
        self.check();
    }

    fn retire(&mut self, name: u64) {
        let mut out = Vec::new();
        self.roster.retire(self.now, |key| key.0 == name && key.2 == Retention::Session, &mut out);
        self.carry_out(out, &RosterEvent::Close);
        self.check();
    }

    fn carry_out(&mut self, out: Vec<Decision<Key>>, cause: &RosterEvent<Key>) {
        for decision in out {
            match decision {
                Decision::Start { member, key, holder, mode } => {
                    assert_eq!(key.1, mode);
                    self.on_start(member, key, holder);
                }
                Decision::Hand { ticket, member } => self.on_hand(ticket, member),
                Decision::Evict(member) => self.on_evict(member, cause),
                Decision::Refuse { ticket, reason } => self.on_refuse(ticket, reason),
            }
        }
    }

    fn on_start(&mut self, member: MemberId, key: Key, last: Holder) {
        assert!(!self.closed, "started after the end");
        let seen = Seen {
            key,
            state: State::Starting,
            leaving: false,
            holders: BTreeSet::new(),
            last,
            was_lent: false,
            listened: false,
            idle_since: self.now,
        };
        assert!(self.members.insert(member, seen).is_none(), "a member was given out twice");
        assert!(self.members.len() <= self.limits.members_max, "more members than may be");
    }

    fn on_hand(&mut self, ticket: Ticket, id: MemberId) {
        let wanted = self.waiting.remove(&ticket).expect("handed to a ticket that does not wait");
        let member = self.members.get_mut(&id).expect("handed a member that is gone");
        assert_eq!(member.key, wanted.key);
        assert!(member.state == State::Up && !member.leaving, "handed a member that is not up");
        match wanted.mode {
            LeaseMode::Shared => {}
            LeaseMode::Exclusive => assert!(member.holders.is_empty(), "lent to two at a time"),
            LeaseMode::Once => assert!(!member.was_lent, "lent twice"),
        }
        member.holders.insert(ticket);
        member.last = wanted.holder;
        member.was_lent = true;
        self.lent.insert(ticket, id);
    }

    fn on_evict(&mut self, id: MemberId, cause: &RosterEvent<Key>) {
        let min = self.limits.idle_min;
        let for_anybody = |key: Key| key.2 != Retention::Session && key.1 != LeaseMode::Once;
        let others = self.ids(|it| for_anybody(it.key) && !it.leaving).len();
        let member = self.members.get_mut(&id).expect("evicted a member that is gone");
        assert!(!member.leaving, "evicted twice");
        member.leaving = true;
        let idle = self.now - member.idle_since;
        match cause {
            RosterEvent::Close => {}
            RosterEvent::Tick => {
                assert!(member.holders.is_empty() && !member.listened);
                let kept = match member.key.2 {
                    Retention::Brief => self.limits.idle_brief,
                    Retention::Pooled | Retention::Session => self.limits.idle,
                };
                // Or it gave way to a ticket that waits.
                if self.waiting.is_empty() {
                    assert!(idle >= kept, "ended after {idle:?} instead of {kept:?}");
                    assert!(!for_anybody(member.key) || others > min, "fewer than the least");
                }
            }
            _ => {
                assert!(member.holders.is_empty(), "a member that is lent gave way");
                let once = member.key.1 == LeaseMode::Once;
                assert!(once || !member.listened && member.key.2 != Retention::Session);
            }
        }
    }

    fn on_refuse(&mut self, ticket: Ticket, reason: RefusalReason) {
        let wanted = self.waiting.remove(&ticket);
        match reason {
            RefusalReason::QueueFull => {
                assert!(wanted.is_some() && self.waiting.len() >= self.limits.waiting_max);
            }
            RefusalReason::Retired => assert!(wanted.is_some()),
            RefusalReason::Closed => assert!(self.closed),
            RefusalReason::Away(id) => {
                assert_eq!(self.members[&id].key, wanted.expect("refused twice").key);
                assert_eq!(self.members[&id].state, State::Away);
            }
            RefusalReason::Starting(id) => {
                assert_eq!(self.members[&id].state, State::Starting);
                assert!(wanted.is_some(), "refused twice");
            }
            RefusalReason::Busy => assert!(wanted.is_some(), "refused twice"),
        }
    }

    fn check(&self) {
        let mut counts = Counts { waiting: self.waiting.len(), ..Counts::default() };
        for member in self.members.values() {
            match member.state {
                _ if member.leaving => counts.leaving += 1,
                _ if !member.holders.is_empty() => counts.active += 1,
                State::Up if member.key.2 == Retention::Session => counts.kept += 1,
                State::Up => counts.idle += 1,
                State::Starting | State::Away => counts.starting += 1,
            }
        }
        assert_eq!(self.roster.counts(), counts);
        let room = self.members.len() < self.limits.members_max;
        for wanted in self.waiting.values() {
            let is_coming =
                self.members.values().any(|it| it.key == wanted.key && it.state == State::Starting);
            let usable = |it: &Seen| {
                it.key == wanted.key
                    && it.state == State::Up
                    && !it.leaving
                    && (it.holders.is_empty() || wanted.mode == LeaseMode::Shared)
                    && (!it.listened || it.last == wanted.holder || !room && !is_coming)
            };
            let idle = self.ids(usable);
            assert!(idle.is_empty(), "{wanted:?} waits, and {idle:?} could serve it");
        }
        if !self.waiting.is_empty() && room {
            let on_its_way = self.ids(|it| it.state == State::Starting && !it.leaving);
            assert!(!on_its_way.is_empty(), "tickets wait, there is room, and nothing starts");
        }
    }

    fn want(&mut self, random: &mut Random) {
        self.tickets += 1;
        let name = random.below(4);
        let (mode, retention) = match name {
            0 => (LeaseMode::Shared, Retention::Session),
            1 => (LeaseMode::Once, Retention::Brief),
            2 => (LeaseMode::Exclusive, Retention::Brief),
            _ => (LeaseMode::Exclusive, Retention::Pooled),
        };
        let user = random.below(5);
        let wanted = LeaseRequest {
            ticket: Ticket(self.tickets),
            key: (name, mode, retention),
            user: UserId(user),
            holder: Holder(user),
            mode,
            retention,
        };
        self.waiting.insert(wanted.ticket, wanted.clone());
        self.tell(RosterEvent::Requested(wanted));
    }

    fn release(&mut self, ticket: Ticket) {
        if let Some(id) = self.lent.remove(&ticket)
            && let Some(member) = self.members.get_mut(&id)
        {
            member.holders.remove(&ticket);
            member.idle_since = self.now;
        }
        self.tell(RosterEvent::Released(ticket));
    }

    fn set(&mut self, id: MemberId, state: State, soon: bool) {
        let Some(member) = self.members.get_mut(&id) else { return };
        if member.state == State::Starting && state != State::Starting && member.holders.is_empty()
        {
            member.idle_since = self.now;
        }
        member.state = state;
        self.tell(match state {
            State::Up => RosterEvent::Up(id),
            State::Starting | State::Away => RosterEvent::Down { member: id, soon },
        });
    }

    fn gone(&mut self, id: MemberId) {
        self.members.remove(&id);
        self.tell(RosterEvent::Gone(id));
    }

    fn happen(&mut self, random: &mut Random) {
        self.now += Duration::from_millis(match random.below(10) {
            0 => random.below(1_000_000),
            1..4 => random.below(20_000),
            _ => 0,
        });
        let all: Vec<_> = self.members.keys().copied().collect();
        let waiting: Vec<_> = self.waiting.keys().copied().collect();
        let mut lent: Vec<_> = self.lent.keys().copied().collect();
        lent.sort();
        let starting = self.ids(|it| it.state == State::Starting && !it.leaving);
        let leaving = self.ids(|it| it.leaving);
        match random.below(32) {
            0..9 => self.want(random),
            9..15 => random.of(&lent).into_iter().for_each(|ticket| self.release(ticket)),
            15..20 => random.of(&starting).into_iter().for_each(|id| self.set(id, State::Up, true)),
            20..23 => random.of(&leaving).into_iter().for_each(|id| self.gone(id)),
            23 => random.of(&all).into_iter().for_each(|id| self.set(id, State::Starting, true)),
            24 => random.of(&all).into_iter().for_each(|id| self.set(id, State::Away, false)),
            25 => random.of(&waiting).into_iter().for_each(|it| self.tell(RosterEvent::GaveUp(it))),
            26 => {
                if let Some(it) = random.of(&waiting) {
                    self.tell(RosterEvent::Hurried(it));
                }
            }
            27 => {
                let to = random.below(2) == 0;
                if let Some(member) = random.of(&all) {
                    self.members.get_mut(&member).expect("it is there").listened = to;
                    self.tell(RosterEvent::Listened { member, to });
                }
            }
            28 => self.retire(0),
            29 => random.of(&all).into_iter().for_each(|id| self.gone(id)),
            _ => {
                self.now = self.now.max(self.roster.next_deadline().unwrap_or(self.now));
                self.tell(RosterEvent::Tick);
                assert!(self.roster.next_deadline().is_none_or(|at| at > self.now));
            }
        }
    }

    /// Everything that is under way comes to its end: then no ticket waits any more.
    fn come_to_rest(&mut self) {
        for id in self.ids(|it| it.listened) {
            self.members.get_mut(&id).expect("it is there").listened = false;
            self.tell(RosterEvent::Listened { member: id, to: false });
        }
        for _ in 0..200 {
            if self.waiting.is_empty() {
                return;
            }
            self.retire(0);
            for id in self.ids(|it| it.leaving) {
                self.gone(id);
            }
            for id in self.ids(|it| it.state != State::Up && !it.leaving) {
                self.set(id, State::Up, true);
            }
            let lent: Vec<_> = self.lent.keys().copied().collect();
            for ticket in lent {
                self.release(ticket);
            }
        }
        panic!("{:?} wait for ever", self.waiting);
    }

    fn close(&mut self) {
        self.closed = true;
        self.tell(RosterEvent::Close);
        assert!(self.waiting.is_empty() && self.members.values().all(|it| it.leaving));
    }
}

fn run(seed: u64) {
    let mut random = Random(seed);
    let mut world = World::new(&mut random);
    for _ in 0..random.below(STEPS) {
        world.happen(&mut random);
    }
    if random.below(4) > 0 {
        world.come_to_rest();
    }
    world.close();
}

#[test]
fn whatever_happens_the_rules_hold() {
    let given = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect(name));
    if let Some(seed) = given("MAINSTAY_SEED") {
        return run(seed);
    }
    let first = RandomState::new().hash_one(0);
    let schedules = given("MAINSTAY_SCHEDULES").unwrap_or(SCHEDULES);
    for seed in (0..schedules).map(|count| first.wrapping_add(count)) {
        if let Err(panic) = std::panic::catch_unwind(|| run(seed)) {
            eprintln!("MAINSTAY_SEED={seed} shows it again");
            std::panic::resume_unwind(panic);
        }
    }
}
