use std::sync::Arc;
use std::time::SystemTime;

use mainstay_model::Condition;
use parking_lot::Mutex;

use super::{Change, Changes};

fn change(to: Condition) -> Change {
    Change {
        at: SystemTime::UNIX_EPOCH,
        server: None,
        instance: None,
        from: Condition::Stopped,
        to,
        reason: None,
        brief_reason: None,
    }
}

#[test]
fn every_observer_gets_each_change_in_order() {
    let changes = Changes::default();
    let seen: [Arc<Mutex<Vec<Condition>>>; 2] = Default::default();
    for seen in seen.clone() {
        changes.observe(Box::new(move |change| seen.lock().push(change.to)));
    }
    let all = [Condition::Running, Condition::Draining, Condition::Stopped];
    all.iter().for_each(|to| changes.make_known(&change(*to)));
    assert!(seen.iter().all(|seen| *seen.lock() == all));
}

#[tokio::test]
async fn who_follows_misses_nothing_and_is_told_the_end() {
    let changes = Changes::default();
    let mut follower = changes.follow();
    assert!(follower.catch_up());
    changes.make_known(&change(Condition::Running));
    follower.changed().await;
    assert!(follower.catch_up());
    changes.close();
    follower.changed().await;
    assert!(!follower.catch_up());
}
