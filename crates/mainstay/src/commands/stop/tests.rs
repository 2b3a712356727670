use std::time::{Duration, Instant};

use mainstay_admin::Client;
use mainstay_admin::api::actions::ActionDone;
use mainstay_store::Folder;
use tokio::net::UnixListener;
use tokio::time::sleep;

use super::{DRAIN_DEFAULT, Target, drain_timeout, no_answer};
use crate::cli::Shared;
use crate::exit::Exit;
use crate::output::Output;

fn done() -> ActionDone {
    ActionDone {
        action: "stop".to_owned(),
        dry_run: false,
        message: "the daemon is stopping".to_owned(),
        calls: Some(1),
        drain_timeout_ms: Some(7000),
        cut_off: None,
        dependants: Vec::new(),
        reload: None,
    }
}

fn target(folder: &tempfile::TempDir) -> Target {
    let state_dir = folder.path().to_owned();
    Target { client: Client::new(&state_dir, Duration::from_secs(1)), state_dir, pid: None }
}

#[tokio::test]
async fn a_daemon_that_does_not_end_is_waited_for_only_so_long() {
    let folder = tempfile::tempdir().unwrap();
    let _stays = UnixListener::bind(folder.path().join("control.sock")).unwrap();
    let (most, out) = (Duration::from_millis(300), Output::new(&Shared::default()));
    let (begun, target) = (Instant::now(), target(&folder));
    let failure = target.wait_until_gone(&done(), most, &out).await.unwrap_err();
    assert!(begun.elapsed() >= most);
    assert_eq!(failure.exit, Exit::Failed);
    assert_eq!(failure.message(), "the daemon has not stopped within 300 ms");
}

#[tokio::test]
async fn a_daemon_that_ends_late_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let ends = UnixListener::bind(folder.path().join("control.sock")).unwrap();
    let late = Duration::from_millis(300);
    let ending = tokio::spawn(async move {
        sleep(late).await;
        drop(ends);
    });
    let (begun, out) = (Instant::now(), Output::new(&Shared::default()));
    target(&folder).wait_until_gone(&done(), Duration::from_secs(60), &out).await.unwrap();
    assert!(begun.elapsed() >= late);
    ending.await.unwrap();
}

#[tokio::test]
async fn a_daemon_has_not_ended_while_it_holds_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens any more.
    let daemon = Folder::open(folder.path()).unwrap();
    let target = Target { pid: Some(std::process::id()), ..target(&folder) };
    assert!(!target.is_gone().await);
    drop(daemon);
    assert!(target.is_gone().await);
}

#[test]
fn the_daemon_says_how_long_it_waits_for_calls() {
    assert_eq!(drain_timeout(&done()), Duration::from_secs(7));
    let silent = ActionDone { drain_timeout_ms: None, ..done() };
    assert_eq!(drain_timeout(&silent), DRAIN_DEFAULT);
}

#[test]
fn a_daemon_without_a_socket_is_named() {
    let failure = no_answer(std::path::Path::new("/state"), 7);
    assert_eq!(failure.exit, Exit::NoDaemon);
    assert_eq!(failure.message(), "process 7 uses /state, but does not answer commands");
}
