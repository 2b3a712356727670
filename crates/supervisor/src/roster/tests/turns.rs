//! Whose ticket is next.

use super::{Decision, RefusalReason, RosterEvent, Scene, started};

#[test]
fn users_take_turns_and_each_is_served_in_order() {
    let mut scene = Scene::new(1);
    let (mut has, member) = scene.lent("a", 9);
    let greedy: Vec<_> = (0..4).map(|_| scene.want("a", 1).0).collect();
    let modest = scene.want("a", 2).0;
    let late = scene.want("a", 3).0;
    let mut order = Vec::new();
    for _ in 0..6 {
        let done = scene.tell(RosterEvent::Released(has));
        let [Decision::Hand { ticket, member: of }] = done[..] else { panic!("{done:?}") };
        assert_eq!(of, member);
        order.push(ticket);
        has = ticket;
    }
    assert_eq!(order, [greedy[0], modest, late, greedy[1], greedy[2], greedy[3]]);
}

#[test]
fn a_user_who_goes_on_asking_stays_behind_its_own_tickets_and_new_users() {
    let mut scene = Scene::new(1);
    let (mut has, _) = scene.lent("a", 9);
    let mut greedy: Vec<_> = (0..3).map(|_| scene.want("a", 1).0).collect();
    let mut order = Vec::new();
    let mut serve = |scene: &mut Scene| {
        let done = scene.tell(RosterEvent::Released(has));
        let [Decision::Hand { ticket, .. }] = done[..] else { panic!("{done:?}") };
        order.push(ticket);
        has = ticket;
    };
    serve(&mut scene);
    greedy.push(scene.want("a", 1).0);
    let modest = scene.want("a", 2).0;
    for _ in 0..4 {
        serve(&mut scene);
    }
    assert_eq!(order, [greedy[0], greedy[1], modest, greedy[2], greedy[3]]);
}

#[test]
fn a_stream_of_new_users_does_not_keep_an_old_one_waiting() {
    let mut scene = Scene::new(1);
    let (mut has, _) = scene.lent("a", 0);
    scene.want("a", 1);
    let second = scene.want("a", 1).0;
    let mut served = 0;
    for user in 2..100 {
        scene.want("a", user);
        let done = scene.tell(RosterEvent::Released(has));
        let [Decision::Hand { ticket, .. }] = done[..] else { panic!("{done:?}") };
        has = ticket;
        served += 1;
        if ticket == second {
            break;
        }
    }
    assert!(served <= 4, "served after {served}");
}

#[test]
fn a_key_whose_tickets_never_end_does_not_keep_another_waiting() {
    let mut scene = Scene::new(1);
    let (one, first) = scene.lent("a", 1);
    let other = scene.want("b", 2).0;
    scene.want("a", 1);
    assert_eq!(scene.tell(RosterEvent::Released(one)), [Decision::Evict(first)]);
    let second = started(&scene.tell(RosterEvent::Gone(first)));
    assert_eq!(
        scene.tell(RosterEvent::Up(second)),
        [Decision::Hand { ticket: other, member: second }]
    );
}

#[test]
fn so_many_wait_and_no_more() {
    let mut scene = Scene::new(1);
    scene.lent("a", 1);
    for _ in 0..10 {
        assert_eq!(scene.want("a", 1).1, []);
    }
    let (ticket, done) = scene.want("a", 2);
    assert_eq!(done, [Decision::Refuse { ticket, reason: RefusalReason::QueueFull }]);
    assert_eq!(scene.counts().waiting, 10);
}
