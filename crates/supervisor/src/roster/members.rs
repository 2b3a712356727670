//! The members of a roster, and which of them can serve a ticket or be evicted.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

use super::queue::Queue;
use super::{Counts, Holder, LeaseMode, LeaseRequest, MemberId, Retention, RosterLimits};

/// Whether a member accepts calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberPhase {
    /// Not yet, but expected soon.
    Starting,
    Up,
    /// Down, and not expected back soon.
    Away,
    /// Told to end.
    Leaving,
}

/// An instance that can be lent.
#[derive(Debug)]
pub(super) struct Member<K> {
    pub(super) key: K,
    mode: LeaseMode,
    retention: Retention,
    phase: MemberPhase,
    /// The number of tickets that hold the member.
    leases: usize,
    /// The holder of the latest ticket.
    holder: Option<Holder>,
    /// Whether a session listens to the member's notifications outside of calls.
    is_listened_to: bool,
    /// When the member was last given back, or was started.
    idle_since: Instant,
}

#[derive(Debug)]
pub(super) struct Members<K> {
    all: BTreeMap<MemberId, Member<K>>,
    started: u64,
}

// === impl Member ===

impl<K: Eq> Member<K> {
    fn serves(&self, request: &LeaseRequest<K>) -> bool {
        self.mode == request.mode && self.key == request.key
    }

    /// Whether the member can be lent now, to a ticket that it serves.
    fn is_free(&self) -> bool {
        self.phase == MemberPhase::Up && (self.mode == LeaseMode::Shared || self.leases == 0)
    }

    /// Whether the member was started for one ticket and failed before it was lent.
    pub(super) fn is_spent(&self) -> bool {
        self.mode == LeaseMode::Once && self.phase == MemberPhase::Away && self.leases == 0
    }

    fn is_idle(&self) -> bool {
        self.leases == 0 && matches!(self.phase, MemberPhase::Up | MemberPhase::Away)
    }

    /// Whether the member counts towards [`RosterLimits::idle_min`].
    fn is_for_anybody(&self) -> bool {
        self.retention != Retention::Session
            && self.mode != LeaseMode::Once
            && self.phase != MemberPhase::Leaving
    }

    /// When the idle time of the member is over. `None` while it is in use or listened to.
    fn ends_at(&self, limits: &RosterLimits) -> Option<Instant> {
        if !self.is_idle() || self.is_listened_to {
            return None;
        }
        let idle: Duration = match self.retention {
            Retention::Brief => limits.idle_brief.min(limits.idle),
            Retention::Pooled | Retention::Session => limits.idle,
        };
        Some(self.idle_since + idle)
    }
}

// === impl Members ===

impl<K> Default for Members<K> {
    fn default() -> Self {
        Self { all: BTreeMap::new(), started: 0 }
    }
}

impl<K: Clone + Eq + Hash> Members<K> {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&self, id: MemberId) -> Option<&Member<K>> {
        self.all.get(&id)
    }

    pub(super) fn ids(&self, such: impl Fn(&Member<K>) -> bool) -> Vec<MemberId> {
        self.all.iter().filter(|(_, member)| such(member)).map(|(id, _)| *id).collect()
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for member in self.all.values() {
            match member.phase {
                MemberPhase::Leaving => counts.leaving += 1,
                _ if member.leases > 0 => counts.active += 1,
                MemberPhase::Up if member.retention == Retention::Session => counts.kept += 1,
                MemberPhase::Up => counts.idle += 1,
                MemberPhase::Starting | MemberPhase::Away => counts.starting += 1,
            }
        }
        counts
    }

    /// The number of starting members that are not lent, by key and mode.
    pub(super) fn starting(&self) -> HashMap<(K, LeaseMode), usize> {
        let mut starting = HashMap::new();
        let all = self.all.values();
        for member in all.filter(|it| it.phase == MemberPhase::Starting && it.leases == 0) {
            *starting.entry((member.key.clone(), member.mode)).or_default() += 1;
        }
        starting
    }

    pub(super) fn start(&mut self, now: Instant, request: &LeaseRequest<K>) -> MemberId {
        self.started += 1;
        let id = MemberId(self.started);
        let member = Member {
            key: request.key.clone(),
            mode: request.mode,
            retention: request.retention,
            phase: MemberPhase::Starting,
            leases: 0,
            holder: Some(request.holder),
            is_listened_to: false,
            idle_since: now,
        };
        self.all.insert(id, member);
        id
    }

    pub(super) fn remove(&mut self, id: MemberId) {
        self.all.remove(&id);
    }

    /// Marks a member as leaving. Returns whether it existed and was not leaving yet.
    pub(super) fn leave(&mut self, id: MemberId) -> bool {
        self.all.get_mut(&id).is_some_and(|member| {
            std::mem::replace(&mut member.phase, MemberPhase::Leaving) != MemberPhase::Leaving
        })
    }

    pub(super) fn set_phase(&mut self, now: Instant, id: MemberId, phase: MemberPhase) {
        let Some(member) = self.all.get_mut(&id) else { return };
        if member.phase == MemberPhase::Leaving || member.phase == phase {
            return;
        }
        // A member that is not lent is idle from the moment it comes up.
        if member.phase == MemberPhase::Starting && member.leases == 0 {
            member.idle_since = now;
        }
        member.phase = phase;
    }

    pub(super) fn set_listened(&mut self, id: MemberId, to: bool) {
        if let Some(member) = self.all.get_mut(&id) {
            member.is_listened_to = to;
        }
    }

    pub(super) fn lend(&mut self, now: Instant, id: MemberId, holder: Holder) {
        if let Some(member) = self.all.get_mut(&id) {
            member.leases += 1;
            member.holder = Some(holder);
            member.idle_since = now;
        }
    }

    /// Takes a member back. Returns whether it must end now.
    pub(super) fn give_back(&mut self, now: Instant, id: MemberId) -> bool {
        let Some(member) = self.all.get_mut(&id) else { return false };
        member.leases = member.leases.saturating_sub(1);
        member.idle_since = now;
        member.mode == LeaseMode::Once && member.leases == 0
    }

    /// The member that a ticket gets now: the one that its holder held last, or else one that no session
    /// listens to. A member that another session listens to is lent only if there is no `room` for a new
    /// member.
    pub(super) fn free_for(&self, request: &LeaseRequest<K>, room: bool) -> Option<MemberId> {
        let free = || self.all.iter().filter(|(_, it)| it.serves(request) && it.is_free());
        let had = free().find(|(_, it)| it.holder == Some(request.holder));
        let found = had
            .or_else(|| free().find(|(_, it)| it.mode == LeaseMode::Shared || !it.is_listened_to))
            .or_else(|| free().next().filter(|_| !room));
        found.map(|(id, _)| *id)
    }

    /// A starting member that will serve the ticket.
    pub(super) fn starting_for(&self, request: &LeaseRequest<K>) -> Option<MemberId> {
        self.open_to(request, MemberPhase::Starting)
    }

    /// A member that is away, if no other member serves the ticket now or soon.
    pub(super) fn only_away(&self, request: &LeaseRequest<K>) -> Option<MemberId> {
        let hopeful = |it: &Member<K>| matches!(it.phase, MemberPhase::Starting | MemberPhase::Up);
        if self.all.values().any(|it| it.serves(request) && hopeful(it)) {
            return None;
        }
        self.open_to(request, MemberPhase::Away)
    }

    fn open_to(&self, request: &LeaseRequest<K>, phase: MemberPhase) -> Option<MemberId> {
        let is_open = |it: &Member<K>| it.mode == LeaseMode::Shared || it.leases == 0;
        let mut all = self.all.iter();
        let found = all.find(|(_, it)| it.serves(request) && it.phase == phase && is_open(it));
        found.map(|(id, _)| *id)
    }

    /// The member to evict so that a ticket of another key has room: one that is away, or else the one that
    /// has been idle for longest, or else a starting one that no ticket waits for.
    pub(super) fn to_give_way(&self, to: &LeaseRequest<K>, queue: &Queue<K>) -> Option<MemberId> {
        let is_kept = |it: &Member<K>| it.is_listened_to || it.retention == Retention::Session;
        let rank = |it: &Member<K>| match it.phase {
            _ if it.leases > 0 || is_kept(it) || it.serves(to) => None,
            MemberPhase::Away => Some(0),
            MemberPhase::Up => Some(1),
            MemberPhase::Starting => (!queue.iter().any(|request| it.serves(request))).then_some(2),
            MemberPhase::Leaving => None,
        };
        let ranked = self.all.iter().filter_map(|(id, it)| Some((rank(it)?, it.idle_since, *id)));
        ranked.min().map(|(_, _, id)| id)
    }

    /// So many idle members, those that have been idle for longest.
    pub(super) fn idle_longest(&self, count: usize) -> Vec<MemberId> {
        let mut idle: Vec<_> = self.all.iter().filter(|(_, it)| it.is_idle()).collect();
        idle.sort_by_key(|(id, it)| (it.is_listened_to, it.idle_since, **id));
        idle.into_iter().take(count).map(|(id, _)| *id).collect()
    }

    /// The members whose idle time is over.
    pub(super) fn idle_too_long(&self, now: Instant, limits: &RosterLimits) -> Vec<MemberId> {
        let mut kept = self.for_anybody();
        let mut over: Vec<_> = self.all.iter().collect();
        over.retain(|(_, it)| it.ends_at(limits).is_some_and(|at| at <= now));
        over.sort_by_key(|(id, it)| (it.idle_since, **id));
        let ends = over.into_iter().filter(|(_, it)| {
            let is_spare = !it.is_for_anybody() || kept > limits.idle_min;
            if is_spare && it.is_for_anybody() {
                kept -= 1;
            }
            is_spare
        });
        ends.map(|(id, _)| *id).collect()
    }

    /// When the idle time of the next member is over.
    pub(super) fn next_end(&self, limits: &RosterLimits) -> Option<Instant> {
        let has_spare = self.for_anybody() > limits.idle_min;
        let may_end = |it: &&Member<K>| !it.is_for_anybody() || has_spare;
        self.all.values().filter(may_end).filter_map(|it| it.ends_at(limits)).min()
    }

    fn for_anybody(&self) -> usize {
        self.all.values().filter(|it| it.is_for_anybody()).count()
    }
}
