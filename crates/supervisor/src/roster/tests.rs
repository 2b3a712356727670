mod idle;
mod turns;

use std::time::{Duration, Instant};

use super::{
    Counts, Decision, Holder, LeaseMode, LeaseRequest, MemberId, RefusalReason, Retention, Roster,
    RosterEvent, RosterLimits, Ticket, UserId,
};

type Done = Vec<Decision<&'static str>>;

/// A roster, and a clock that is set by hand.
struct Scene {
    roster: Roster<&'static str>,
    now: Instant,
    tickets: u64,
}

const SECOND: Duration = Duration::from_secs(1);

impl Scene {
    fn new(members_max: usize) -> Self {
        Self::with(RosterLimits {
            members_max,
            idle_min: 0,
            idle: 900 * SECOND,
            idle_brief: 60 * SECOND,
            waiting_max: 10,
        })
    }

    fn with(limits: RosterLimits) -> Self {
        Self { roster: Roster::new(limits), now: Instant::now(), tickets: 0 }
    }

    fn tell(&mut self, event: RosterEvent<&'static str>) -> Done {
        let mut out = Vec::new();
        self.roster.step(self.now, event, &mut out);
        out
    }

    fn want_as(
        &mut self,
        key: &'static str,
        user: u64,
        (mode, retention): (LeaseMode, Retention),
    ) -> (Ticket, Done) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let (holder, user) = (Holder(user), UserId(user));
        let done = self.tell(RosterEvent::Requested(LeaseRequest {
            ticket,
            key,
            user,
            holder,
            mode,
            retention,
        }));
        (ticket, done)
    }

    /// Of a kind of clients that use an instance one after the other.
    fn want(&mut self, key: &'static str, user: u64) -> (Ticket, Done) {
        self.want_as(key, user, (LeaseMode::Exclusive, Retention::Brief))
    }

    /// A member with this key that a ticket has.
    fn lent(&mut self, key: &'static str, user: u64) -> (Ticket, MemberId) {
        let (ticket, done) = self.want(key, user);
        if let [Decision::Hand { member, .. }] = done[..] {
            return (ticket, member);
        }
        let [Decision::Start { member, .. }] = done[..] else { panic!("{done:?}") };
        assert_eq!(self.tell(RosterEvent::Up(member)), [Decision::Hand { ticket, member }]);
        (ticket, member)
    }

    fn counts(&self) -> Counts {
        self.roster.counts()
    }
}

fn started(done: &Done) -> MemberId {
    let [Decision::Start { member, .. }] = done[..] else { panic!("{done:?}") };
    member
}

#[test]
fn the_first_ticket_starts_a_member_and_the_next_finds_it() {
    let mut scene = Scene::new(2);
    let (one, done) = scene.want("a", 1);
    let member = started(&done);
    let mode = LeaseMode::Exclusive;
    assert_eq!(done, [Decision::Start { member, key: "a", holder: Holder(1), mode }]);
    assert_eq!(scene.counts(), Counts { starting: 1, waiting: 1, ..Counts::default() });
    assert_eq!(scene.tell(RosterEvent::Up(member)), [Decision::Hand { ticket: one, member }]);
    assert_eq!(scene.counts(), Counts { active: 1, ..Counts::default() });
    assert_eq!(scene.tell(RosterEvent::Released(one)), []);
    assert_eq!(scene.counts(), Counts { idle: 1, ..Counts::default() });
    let (two, done) = scene.want("a", 2);
    assert_eq!(done, [Decision::Hand { ticket: two, member }]);
}

#[test]
fn a_ticket_takes_what_is_free_first_and_not_what_was_started_for_it() {
    let mut scene = Scene::new(2);
    let (one, first) = scene.lent("a", 1);
    let (two, done) = scene.want("a", 2);
    let second = started(&done);
    assert_eq!(
        scene.tell(RosterEvent::Released(one)),
        [Decision::Hand { ticket: two, member: first }]
    );
    assert_eq!(scene.tell(RosterEvent::Up(second)), []);
    assert_eq!(scene.counts(), Counts { active: 1, idle: 1, ..Counts::default() });
}

#[test]
fn each_ticket_that_finds_nothing_on_its_way_starts_a_member_of_its_own() {
    let mut scene = Scene::new(3);
    let (one, done) = scene.want("a", 1);
    let first = started(&done);
    let (two, done) = scene.want("a", 2);
    let second = started(&done);
    // One that nobody waits for any more is enough for the next.
    scene.tell(RosterEvent::GaveUp(one));
    let (three, done) = scene.want("a", 3);
    assert_eq!(done, []);
    assert_eq!(scene.tell(RosterEvent::Up(first)), [Decision::Hand { ticket: two, member: first }]);
    assert_eq!(
        scene.tell(RosterEvent::Up(second)),
        [Decision::Hand { ticket: three, member: second }]
    );
}

#[test]
fn a_holder_finds_the_member_it_had() {
    let mut scene = Scene::new(2);
    let (one, first) = scene.lent("a", 1);
    let (two, second) = scene.lent("a", 2);
    scene.tell(RosterEvent::Released(one));
    scene.tell(RosterEvent::Released(two));
    assert_eq!(scene.lent("a", 2).1, second);
    assert_eq!(scene.lent("a", 1).1, first);
}

#[test]
fn an_idle_member_of_another_key_gives_way_and_room_is_counted_until_it_is_gone() {
    let mut scene = Scene::new(1);
    let (one, first) = scene.lent("a", 1);
    scene.tell(RosterEvent::Released(one));
    let (two, done) = scene.want("b", 2);
    assert_eq!(done, [Decision::Evict(first)]);
    assert_eq!(scene.counts(), Counts { leaving: 1, waiting: 1, ..Counts::default() });
    // Nobody gets what is leaving, and it is told so once.
    assert_eq!(scene.want("a", 1).1, []);
    let done = scene.tell(RosterEvent::Gone(first));
    let second = started(&done);
    assert_eq!(
        scene.tell(RosterEvent::Up(second)),
        [Decision::Hand { ticket: two, member: second }]
    );
}

#[test]
fn the_member_that_was_idle_for_longest_gives_way_and_one_that_is_away_before_it() {
    let mut scene = Scene::new(3);
    let lent: Vec<_> = ["a", "b", "c"].into_iter().map(|key| scene.lent(key, 1)).collect();
    for at in [1, 0, 2] {
        scene.now += SECOND;
        scene.tell(RosterEvent::Released(lent[at].0));
    }
    assert_eq!(scene.want("d", 2).1, [Decision::Evict(lent[1].1)]);
    scene.tell(RosterEvent::Down { member: lent[2].1, soon: false });
    assert_eq!(scene.want("e", 2).1, [Decision::Evict(lent[2].1)]);
    assert_eq!(scene.want("f", 2).1, [Decision::Evict(lent[0].1)]);
    assert_eq!(scene.want("g", 2).1, []);
}

#[test]
fn a_member_that_is_starting_for_nobody_gives_way_last() {
    let mut scene = Scene::new(2);
    let (one, done) = scene.want("a", 1);
    let starting = started(&done);
    let (two, idle) = scene.lent("b", 2);
    scene.tell(RosterEvent::Released(two));
    assert_eq!(
        scene.tell(RosterEvent::GaveUp(one)),
        [Decision::Refuse { ticket: one, reason: RefusalReason::Starting(starting) }]
    );
    assert_eq!(scene.want("c", 3).1, [Decision::Evict(idle)]);
    assert_eq!(scene.want("d", 3).1, [Decision::Evict(starting)]);
    // One that is starting for somebody does not.
    let mut scene = Scene::new(1);
    scene.want("a", 1);
    assert_eq!(scene.want("b", 2).1, []);
}

#[test]
fn what_holds_the_state_of_a_session_gives_way_to_nobody_and_ends_with_it() {
    let mut scene = Scene::new(1);
    let (one, done) = scene.want_as("session 1", 1, (LeaseMode::Shared, Retention::Session));
    let own = started(&done);
    scene.tell(RosterEvent::Up(own));
    scene.tell(RosterEvent::Released(one));
    let (two, done) = scene.want("b", 2);
    assert_eq!(done, []);
    let mut out = Vec::new();
    scene.roster.retire(scene.now, |key| *key == "session 1", &mut out);
    assert_eq!(out, [Decision::Evict(own)]);
    let member = started(&scene.tell(RosterEvent::Gone(own)));
    assert_eq!(scene.tell(RosterEvent::Up(member)), [Decision::Hand { ticket: two, member }]);
}

#[test]
fn no_member_is_started_for_a_ticket_whose_session_has_ended() {
    let mut scene = Scene::new(2);
    let session = (LeaseMode::Shared, Retention::Session);
    let (one, done) = scene.want_as("session 1", 1, session);
    let own = started(&done);
    // Both wait for the member that is starting when the session ends.
    let (two, _) = scene.want_as("session 1", 1, session);
    let mut out = Vec::new();
    scene.roster.retire(scene.now, |key| *key == "session 1", &mut out);
    let refused = |ticket| Decision::Refuse { ticket, reason: RefusalReason::Retired };
    assert_eq!(out, [refused(one), refused(two), Decision::Evict(own)]);
    assert_eq!(scene.tell(RosterEvent::GaveUp(one)), []);
    assert_eq!(scene.tell(RosterEvent::Gone(own)), []);
    assert_eq!(scene.roster.counts(), Counts::default());
}

#[test]
fn what_a_session_listens_to_is_lent_to_others_only_where_there_is_no_room() {
    let mut scene = Scene::new(2);
    let (one, first) = scene.lent("a", 1);
    scene.tell(RosterEvent::Listened { member: first, to: true });
    scene.tell(RosterEvent::Released(one));
    let (two, done) = scene.want("a", 2);
    let second = started(&done);
    scene.tell(RosterEvent::Up(second));
    let (three, done) = scene.want("a", 3);
    assert_eq!(done, [Decision::Hand { ticket: three, member: first }]);
    // It neither gives way nor is it ended for being idle, until nobody listens.
    scene.tell(RosterEvent::Released(three));
    scene.now += 100 * SECOND;
    assert_eq!(scene.want("b", 4).1, []);
    assert_eq!(scene.tell(RosterEvent::Tick), []);
    assert_eq!(
        scene.tell(RosterEvent::Listened { member: first, to: false }),
        [Decision::Evict(first)],
        "now it gives way"
    );
    scene.tell(RosterEvent::Released(two));
}

#[test]
fn all_with_one_key_share_a_member_and_wait_for_one_start() {
    let mut scene = Scene::new(3);
    let shared = (LeaseMode::Shared, Retention::Pooled);
    let (one, done) = scene.want_as("user", 1, shared);
    let member = started(&done);
    let (two, done) = scene.want_as("user", 2, shared);
    assert_eq!(done, []);
    let both = [one, two].map(|ticket| Decision::Hand { ticket, member });
    assert_eq!(scene.tell(RosterEvent::Up(member)), both);
    let (three, done) = scene.want_as("user", 3, shared);
    assert_eq!(done, [Decision::Hand { ticket: three, member }]);
    assert_eq!(scene.counts(), Counts { active: 1, ..Counts::default() });
    // While it is being restarted its tickets wait, and no second one is started.
    scene.tell(RosterEvent::Down { member, soon: true });
    let (four, done) = scene.want_as("user", 4, shared);
    assert_eq!(done, []);
    assert_eq!(scene.tell(RosterEvent::Up(member)), [Decision::Hand { ticket: four, member }]);
    for ticket in [one, two, three] {
        assert_eq!(scene.tell(RosterEvent::Released(ticket)), []);
        assert_eq!(scene.counts().active, 1);
    }
    scene.tell(RosterEvent::Released(four));
    assert_eq!(scene.counts(), Counts { idle: 1, ..Counts::default() });
}

#[test]
fn two_that_share_a_key_make_room_once() {
    let mut scene = Scene::new(2);
    let (one, _) = scene.lent("a", 1);
    let (two, _) = scene.lent("b", 1);
    scene.tell(RosterEvent::Released(one));
    scene.tell(RosterEvent::Released(two));
    let shared = (LeaseMode::Shared, Retention::Pooled);
    assert_eq!(scene.want_as("user", 2, shared).1.len(), 1);
    assert_eq!(scene.want_as("user", 3, shared).1, []);
    assert_eq!(scene.counts(), Counts { leaving: 1, idle: 1, waiting: 2, ..Counts::default() });
}

#[test]
fn a_member_for_one_call_ends_after_it() {
    let mut scene = Scene::new(1);
    let once = (LeaseMode::Once, Retention::Brief);
    let (one, done) = scene.want_as("a", 1, once);
    let first = started(&done);
    scene.tell(RosterEvent::Up(first));
    let (two, done) = scene.want_as("a", 1, once);
    assert_eq!(done, [], "there is no room");
    assert_eq!(scene.tell(RosterEvent::Released(one)), [Decision::Evict(first)]);
    let second = started(&scene.tell(RosterEvent::Gone(first)));
    assert_ne!(first, second);
    assert_eq!(
        scene.tell(RosterEvent::Up(second)),
        [Decision::Hand { ticket: two, member: second }]
    );
    // Giving it back twice changes nothing.
    scene.tell(RosterEvent::Released(two));
    assert_eq!(scene.tell(RosterEvent::Released(two)), []);
}

#[test]
fn one_that_fails_before_its_call_costs_that_call_and_its_place() {
    let mut scene = Scene::new(1);
    let once = (LeaseMode::Once, Retention::Brief);
    let (one, done) = scene.want_as("a", 1, once);
    let member = started(&done);
    let (two, _) = scene.want_as("a", 2, once);
    assert_eq!(scene.tell(RosterEvent::Down { member, soon: true }), [], "it is tried again");
    assert_eq!(
        scene.tell(RosterEvent::Down { member, soon: false }),
        [
            Decision::Refuse { ticket: one, reason: RefusalReason::Away(member) },
            Decision::Evict(member),
        ]
    );
    let next = started(&scene.tell(RosterEvent::Gone(member)));
    assert_eq!(scene.tell(RosterEvent::Up(next)), [Decision::Hand { ticket: two, member: next }]);
}

#[test]
fn one_that_fails_before_its_call_costs_no_call_of_another_key_or_use() {
    let mut scene = Scene::new(3);
    let once = (LeaseMode::Once, Retention::Brief);
    scene.want_as("b", 1, once);
    scene.want_as("a", 1, (LeaseMode::Exclusive, Retention::Brief));
    let (ticket, done) = scene.want_as("a", 1, once);
    let member = started(&done);
    assert_eq!(
        scene.tell(RosterEvent::Down { member, soon: false }),
        [Decision::Refuse { ticket, reason: RefusalReason::Away(member) }, Decision::Evict(member)]
    );
    assert_eq!(scene.counts().waiting, 2);
}

#[test]
fn a_member_that_is_away_refuses_its_own_tickets_at_once_and_no_others() {
    let mut scene = Scene::new(3);
    let (one, done) = scene.want("a", 1);
    let member = started(&done);
    assert_eq!(
        scene.tell(RosterEvent::Down { member, soon: false }),
        [Decision::Refuse { ticket: one, reason: RefusalReason::Away(member) }]
    );
    let (two, done) = scene.want("a", 2);
    assert_eq!(done, [Decision::Refuse { ticket: two, reason: RefusalReason::Away(member) }]);
    scene.lent("b", 2);
    // Back again, it is lent as before.
    scene.tell(RosterEvent::Down { member, soon: true });
    let (three, done) = scene.want("a", 3);
    assert_eq!(done, []);
    assert_eq!(scene.tell(RosterEvent::Up(member)), [Decision::Hand { ticket: three, member }]);
    // While another with this key is there, its end is waited for.
    let (four, done) = scene.want("a", 4);
    let other = started(&done);
    scene.tell(RosterEvent::Up(other));
    scene.tell(RosterEvent::Released(four));
    scene.tell(RosterEvent::Down { member: other, soon: false });
    assert_eq!(scene.want("a", 5).1, [], "a member that is in use comes back to this ticket");
}

#[test]
fn a_lost_member_that_is_still_lent_is_not_lent_to_others() {
    let mut scene = Scene::new(1);
    let (one, member) = scene.lent("a", 1);
    scene.tell(RosterEvent::Down { member, soon: true });
    let (two, done) = scene.want("a", 2);
    assert_eq!(done, []);
    assert_eq!(scene.tell(RosterEvent::Up(member)), []);
    assert_eq!(scene.tell(RosterEvent::Released(one)), [Decision::Hand { ticket: two, member }]);
}

#[test]
fn a_start_may_hold_up_a_ticket_for_so_long_and_a_busy_member_until_the_deadline() {
    let mut scene = Scene::new(1);
    let (one, done) = scene.want("a", 1);
    let member = started(&done);
    let hurried = Decision::Refuse { ticket: one, reason: RefusalReason::Starting(member) };
    assert_eq!(scene.tell(RosterEvent::Hurried(one)), [hurried]);
    assert_eq!(scene.tell(RosterEvent::Hurried(one)), []);
    let two = scene.want("a", 2).0;
    scene.tell(RosterEvent::Up(member));
    let three = scene.want("a", 3).0;
    assert_eq!(scene.tell(RosterEvent::Hurried(three)), []);
    assert_eq!(
        scene.tell(RosterEvent::GaveUp(three)),
        [Decision::Refuse { ticket: three, reason: RefusalReason::Busy }]
    );
    // Who gives up what was handed over in the same moment gives it back.
    assert_eq!(scene.tell(RosterEvent::GaveUp(two)), []);
    assert_eq!(scene.counts(), Counts { idle: 1, ..Counts::default() });
}

#[test]
fn the_end_refuses_all_that_wait_and_ends_all_members() {
    let mut scene = Scene::new(1);
    let (one, member) = scene.lent("a", 1);
    let two = scene.want("a", 2).0;
    assert_eq!(
        scene.tell(RosterEvent::Close),
        [Decision::Refuse { ticket: two, reason: RefusalReason::Closed }, Decision::Evict(member)]
    );
    let (three, done) = scene.want("a", 3);
    assert_eq!(done, [Decision::Refuse { ticket: three, reason: RefusalReason::Closed }]);
    assert_eq!(scene.tell(RosterEvent::Released(one)), []);
    assert_eq!(scene.tell(RosterEvent::Gone(member)), []);
    assert_eq!(scene.counts(), Counts::default());
}

#[test]
fn there_is_room_for_one_at_least() {
    let mut scene = Scene::new(0);
    scene.lent("a", 1);
}

#[test]
fn what_leaves_stays_so_whatever_is_heard_of_it() {
    let mut scene = Scene::new(1);
    let (one, member) = scene.lent("a", 1);
    scene.tell(RosterEvent::Released(one));
    scene.want("b", 2);
    scene.tell(RosterEvent::Up(member));
    scene.tell(RosterEvent::Down { member, soon: true });
    assert_eq!(scene.counts(), Counts { leaving: 1, waiting: 1, ..Counts::default() });
    // What is heard of one that is gone changes nothing.
    scene.tell(RosterEvent::Gone(member));
    scene.tell(RosterEvent::Up(member));
    scene.tell(RosterEvent::Listened { member, to: true });
    assert_eq!(scene.counts(), Counts { starting: 1, waiting: 1, ..Counts::default() });
}
