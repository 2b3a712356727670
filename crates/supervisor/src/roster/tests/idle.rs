//! When members that nobody uses end, and which are kept.

use super::{
    Counts, Decision, LeaseMode, Retention, RosterEvent, RosterLimits, SECOND, Scene, started,
};

#[test]
fn idle_members_end_by_their_tenure_and_the_least_are_kept() {
    let mut scene = Scene::with(RosterLimits {
        members_max: 9,
        idle_min: 1,
        idle: 900 * SECOND,
        idle_brief: 60 * SECOND,
        waiting_max: 10,
    });
    assert_eq!(scene.roster.next_deadline(), None);
    let pooled = (LeaseMode::Exclusive, Retention::Pooled);
    let mut members = Vec::new();
    for (key, kind) in [
        ("kind", (LeaseMode::Exclusive, Retention::Brief)),
        ("one", pooled),
        ("two", pooled),
        ("session", (LeaseMode::Shared, Retention::Session)),
    ] {
        let (ticket, done) = scene.want_as(key, 1, kind);
        members.push(started(&done));
        scene.tell(RosterEvent::Up(started(&done)));
        scene.now += SECOND;
        scene.tell(RosterEvent::Released(ticket));
    }
    let begin = scene.now;
    assert_eq!(scene.roster.next_deadline(), Some(begin + 57 * SECOND));
    scene.now = begin + 56 * SECOND;
    assert_eq!(scene.tell(RosterEvent::Tick), []);
    scene.now = begin + 57 * SECOND;
    assert_eq!(scene.tell(RosterEvent::Tick), [Decision::Evict(members[0])]);
    assert_eq!(scene.roster.next_deadline(), Some(begin + 898 * SECOND));
    scene.now = begin + 899 * SECOND;
    assert_eq!(scene.tell(RosterEvent::Tick), [Decision::Evict(members[1])], "the older one");
    scene.now = begin + 2000 * SECOND;
    assert_eq!(scene.tell(RosterEvent::Tick), [Decision::Evict(members[3])]);
    assert_eq!(scene.roster.next_deadline(), None, "the least that are kept stay");
    assert_eq!(scene.counts(), Counts { idle: 1, leaving: 3, ..Counts::default() });
}

#[test]
fn a_brief_tenure_is_never_longer_than_the_usual_one() {
    let mut scene = Scene::with(RosterLimits {
        members_max: 1,
        idle_min: 0,
        idle: SECOND,
        idle_brief: 60 * SECOND,
        waiting_max: 1,
    });
    let (ticket, member) = scene.lent("a", 1);
    scene.tell(RosterEvent::Released(ticket));
    scene.now += SECOND;
    assert_eq!(scene.tell(RosterEvent::Tick), [Decision::Evict(member)]);
}

#[test]
fn a_member_is_idle_from_the_moment_it_is_up() {
    let mut scene = Scene::new(1);
    let (ticket, done) = scene.want("a", 1);
    let member = started(&done);
    scene.tell(RosterEvent::GaveUp(ticket));
    scene.now += 100 * SECOND;
    assert_eq!(scene.tell(RosterEvent::Tick), [], "it is not up yet");
    scene.tell(RosterEvent::Up(member));
    scene.now += 59 * SECOND;
    assert_eq!(scene.tell(RosterEvent::Tick), []);
    scene.now += SECOND;
    assert_eq!(scene.tell(RosterEvent::Tick), [Decision::Evict(member)]);
}

#[test]
fn an_idle_member_that_is_away_for_a_while_is_kept_no_longer_for_it() {
    let mut scene = Scene::new(1);
    let (ticket, member) = scene.lent("a", 1);
    scene.tell(RosterEvent::Released(ticket));
    scene.now += 30 * SECOND;
    scene.tell(RosterEvent::Down { member, soon: false });
    scene.now += 20 * SECOND;
    scene.tell(RosterEvent::Up(member));
    assert_eq!(scene.roster.next_deadline(), Some(scene.now + 10 * SECOND));
    scene.now += 10 * SECOND;
    assert_eq!(scene.tell(RosterEvent::Tick), [Decision::Evict(member)]);
}

#[test]
fn the_least_that_are_kept_are_those_that_anybody_can_use() {
    let mut scene = Scene::with(RosterLimits {
        members_max: 9,
        idle_min: 2,
        idle: 900 * SECOND,
        idle_brief: 60 * SECOND,
        waiting_max: 10,
    });
    let kinds = ["one", "two", "three"].map(|key| scene.lent(key, 1));
    let (session, done) = scene.want_as("session", 1, (LeaseMode::Shared, Retention::Session));
    let own = started(&done);
    scene.tell(RosterEvent::Up(own));
    for (ticket, _) in kinds {
        scene.now += SECOND;
        scene.tell(RosterEvent::Released(ticket));
    }
    scene.tell(RosterEvent::Released(session));
    scene.now += 10_000 * SECOND;
    let over = [Decision::Evict(kinds[0].1), Decision::Evict(own)];
    assert_eq!(scene.tell(RosterEvent::Tick), over, "the two that were used last stay");
    scene.now += 10_000 * SECOND;
    assert_eq!(scene.tell(RosterEvent::Tick), []);
    // They give way all the same.
    scene.tell(RosterEvent::Gone(kinds[0].1));
    scene.tell(RosterEvent::Gone(own));
    for key in ["a", "b", "c", "d", "e", "g", "h"] {
        scene.lent(key, 2);
    }
    assert_eq!(scene.want("f", 2).1, [Decision::Evict(kinds[1].1)]);
}

#[test]
fn a_member_that_ended_itself_makes_room_for_another_one() {
    let mut scene = Scene::new(1);
    let (ticket, member) = scene.lent("a", 1);
    scene.tell(RosterEvent::Released(ticket));
    assert_eq!(scene.tell(RosterEvent::Down { member, soon: true }), []);
    assert_eq!(scene.tell(RosterEvent::Finished(member)), [Decision::Evict(member)]);
    let (_, done) = scene.want("a", 1);
    assert_eq!(done, [], "it waits for the room");
    assert_ne!(started(&scene.tell(RosterEvent::Gone(member))), member);
}
