//! The members of a roster and what each of them is fit for.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

use super::queue::Queue;
use super::{Counts, Holder, Limits, MemberId, Tenure, Use, Wanted};

/// Whether a member takes calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not yet, but soon.
    Starting,
    Up,
    /// Not now, and not soon.
    Away,
    /// It was told to end.
    Leaving,
}

/// An instance that can be lent.
#[derive(Debug)]
pub(super) struct Member<K> {
    pub(super) key: K,
    usage: Use,
    tenure: Tenure,
    phase: Phase,
    /// Tickets that have it.
    leases: usize,
    /// Whose ticket had it last.
    holder: Option<Holder>,
    /// A session waits for what it says of its own accord.
    is_listened_to: bool,
    /// Since when nobody has it, or when it was started.
    idle_since: Instant,
}

#[derive(Debug)]
pub(super) struct Members<K> {
    all: BTreeMap<MemberId, Member<K>>,
    started: u64,
}

// === impl Member ===

impl<K: Eq> Member<K> {
    fn serves(&self, wanted: &Wanted<K>) -> bool {
        self.usage == wanted.usage && self.key == wanted.key
    }

    /// Whether a ticket that it serves can have it now.
    fn is_free(&self) -> bool {
        self.phase == Phase::Up && (self.usage == Use::Shared || self.leases == 0)
    }

    /// Whether it was started for one ticket and has failed before it was lent.
    pub(super) fn is_spent(&self) -> bool {
        self.usage == Use::Once && self.phase == Phase::Away && self.leases == 0
    }

    fn is_idle(&self) -> bool {
        self.leases == 0 && matches!(self.phase, Phase::Up | Phase::Away)
    }

    /// Whether it counts towards the members that are kept however long they are idle.
    fn is_for_anybody(&self) -> bool {
        self.tenure != Tenure::Session && self.usage != Use::Once && self.phase != Phase::Leaving
    }

    /// When it has been idle for long enough; none while it is kept.
    fn ends_at(&self, limits: &Limits) -> Option<Instant> {
        if !self.is_idle() || self.is_listened_to {
            return None;
        }
        let idle: Duration = match self.tenure {
            Tenure::Brief => limits.idle_brief.min(limits.idle),
            Tenure::Pooled | Tenure::Session => limits.idle,
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
                Phase::Leaving => counts.leaving += 1,
                _ if member.leases > 0 => counts.active += 1,
                Phase::Up => counts.idle += 1,
                Phase::Starting | Phase::Away => counts.starting += 1,
            }
        }
        counts
    }

    /// How many members are starting that nobody has, by what they are for.
    pub(super) fn starting(&self) -> HashMap<(K, Use), usize> {
        let mut starting = HashMap::new();
        let all = self.all.values();
        for member in all.filter(|it| it.phase == Phase::Starting && it.leases == 0) {
            *starting.entry((member.key.clone(), member.usage)).or_default() += 1;
        }
        starting
    }

    pub(super) fn start(&mut self, now: Instant, wanted: &Wanted<K>) -> MemberId {
        self.started += 1;
        let id = MemberId(self.started);
        let member = Member {
            key: wanted.key.clone(),
            usage: wanted.usage,
            tenure: wanted.tenure,
            phase: Phase::Starting,
            leases: 0,
            holder: Some(wanted.holder),
            is_listened_to: false,
            idle_since: now,
        };
        self.all.insert(id, member);
        id
    }

    pub(super) fn remove(&mut self, id: MemberId) {
        self.all.remove(&id);
    }

    /// Whether the member was there and was not leaving yet.
    pub(super) fn leave(&mut self, id: MemberId) -> bool {
        self.all.get_mut(&id).is_some_and(|member| {
            std::mem::replace(&mut member.phase, Phase::Leaving) != Phase::Leaving
        })
    }

    pub(super) fn set_phase(&mut self, now: Instant, id: MemberId, phase: Phase) {
        let Some(member) = self.all.get_mut(&id) else { return };
        if member.phase == Phase::Leaving || member.phase == phase {
            return;
        }
        // A member that nobody has is idle from the moment it comes up.
        if member.phase == Phase::Starting && member.leases == 0 {
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

    /// Takes a member back; whether it ends now.
    pub(super) fn give_back(&mut self, now: Instant, id: MemberId) -> bool {
        let Some(member) = self.all.get_mut(&id) else { return false };
        member.leases = member.leases.saturating_sub(1);
        member.idle_since = now;
        member.usage == Use::Once && member.leases == 0
    }

    /// The member that a ticket gets now: the one its holder had last, else one that no session
    /// listens to. One that another session listens to is lent only where there is no `room` for a
    /// new one.
    pub(super) fn free_for(&self, wanted: &Wanted<K>, room: bool) -> Option<MemberId> {
        let free = || self.all.iter().filter(|(_, it)| it.serves(wanted) && it.is_free());
        let had = free().find(|(_, it)| it.holder == Some(wanted.holder));
        let found = had
            .or_else(|| free().find(|(_, it)| it.usage == Use::Shared || !it.is_listened_to))
            .or_else(|| free().next().filter(|_| !room));
        found.map(|(id, _)| *id)
    }

    /// A member that is starting and will serve the ticket.
    pub(super) fn starting_for(&self, wanted: &Wanted<K>) -> Option<MemberId> {
        self.open_to(wanted, Phase::Starting)
    }

    /// A member that is away, where no other serves the ticket now or soon.
    pub(super) fn only_away(&self, wanted: &Wanted<K>) -> Option<MemberId> {
        let hopeful = |it: &Member<K>| matches!(it.phase, Phase::Starting | Phase::Up);
        if self.all.values().any(|it| it.serves(wanted) && hopeful(it)) {
            return None;
        }
        self.open_to(wanted, Phase::Away)
    }

    fn open_to(&self, wanted: &Wanted<K>, phase: Phase) -> Option<MemberId> {
        let is_open = |it: &Member<K>| it.usage == Use::Shared || it.leases == 0;
        let mut all = self.all.iter();
        let found = all.find(|(_, it)| it.serves(wanted) && it.phase == phase && is_open(it));
        found.map(|(id, _)| *id)
    }

    /// The member that ends so that a ticket of another key has room: one that is away, else the one
    /// that has been idle for longest, else one that is starting for nobody.
    pub(super) fn to_give_way(&self, to: &Wanted<K>, queue: &Queue<K>) -> Option<MemberId> {
        let is_kept = |it: &Member<K>| it.is_listened_to || it.tenure == Tenure::Session;
        let rank = |it: &Member<K>| match it.phase {
            _ if it.leases > 0 || is_kept(it) || it.serves(to) => None,
            Phase::Away => Some(0),
            Phase::Up => Some(1),
            Phase::Starting => (!queue.iter().any(|wanted| it.serves(wanted))).then_some(2),
            Phase::Leaving => None,
        };
        let ranked = self.all.iter().filter_map(|(id, it)| Some((rank(it)?, it.idle_since, *id)));
        ranked.min().map(|(_, _, id)| id)
    }

    /// The members that have been idle for longer than they are kept.
    pub(super) fn idle_too_long(&self, now: Instant, limits: &Limits) -> Vec<MemberId> {
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

    /// When the next member has been idle for longer than it is kept.
    pub(super) fn next_end(&self, limits: &Limits) -> Option<Instant> {
        let has_spare = self.for_anybody() > limits.idle_min;
        let may_end = |it: &&Member<K>| !it.is_for_anybody() || has_spare;
        self.all.values().filter(may_end).filter_map(|it| it.ends_at(limits)).min()
    }

    fn for_anybody(&self) -> usize {
        self.all.values().filter(|it| it.is_for_anybody()).count()
    }
}
