use std::time::Duration;

use mainstay_testkit::process::{Process, wait_gone};
use mainstay_testkit::programs;
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

#[test]
fn programs_are_found_where_cargo_puts_them() {
    let own = [env!("CARGO_BIN_EXE_mainstay-misbehave"), env!("CARGO_BIN_EXE_mainstay-fixture")];
    let found = [programs::misbehave().unwrap(), programs::fixture().unwrap()];
    assert_eq!(
        found.map(|path| path.canonicalize().unwrap()),
        own.map(|path| path.parse::<std::path::PathBuf>().unwrap().canonicalize().unwrap())
    );
}
