use std::time::Duration;

use mainstay_testkit::process::{Process, wait_gone};
use rustix::process::Signal;

use crate::running::Lines;

#[test]
fn grandchildren_are_seen_and_survive_their_parent() {
    let mut parent = Lines::misbehave(&["--grandchild"]);
    parent.handshake();
    let below = Process::below(parent.pid());
    assert_eq!(below.len(), 1, "{below:?}");
    assert!(below[0].command.ends_with("idle"), "{below:?}");
    parent.close();
    parent.exit();
    assert!(below[0].lives(), "nobody ended it");
    below[0].signal(Signal::KILL);
    assert_eq!(wait_gone(&below, Duration::from_secs(10)), []);
}
