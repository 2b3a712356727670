//! Processes that the daemon started end with it, however it ends.

use std::time::{Duration, Instant};

use mainstay_testkit::daemon::Builder;
use mainstay_testkit::process::{Process, wait_gone};
use mainstay_testkit::{Daemon, HungMount};
use rustix::process::Signal;
use serde_json::json;

use super::{ask, assert_echo, daemon, eventually, in_state, misbehave};

/// Servers that end only when killed, with children that have left their process group.
fn stubborn() -> Builder {
    let flags = ["--ignore-eof", "--ignore-term", "--runaway", "--grandchild"];
    daemon().command_server("stubborn", &misbehave(&flags)).command_server("meek", &misbehave(&[]))
}

/// Returns the servers and their children, without the guard.
async fn family(daemon: &mut Daemon) -> Vec<Process> {
    in_state(daemon, "stubborn", "ready").await;
    in_state(daemon, "meek", "ready").await;
    let mut family = daemon.children();
    let deadline = Instant::now() + super::PATIENCE;
    while !family.iter().any(|one| one.command.ends_with("idle runaway")) {
        assert!(Instant::now() < deadline, "{family:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
        family = daemon.children();
    }
    family.retain(|one| one.command.contains("misbehave"));
    assert_eq!(family.len(), 4, "two servers, two grandchildren: {family:#?}");
    family
}

fn guard(daemon: &mut Daemon) -> Process {
    let mut guards = daemon.children().into_iter().filter(|one| one.command.contains("__guard"));
    guards.next().expect("a guard")
}

#[tokio::test]
async fn a_daemon_told_to_stop_answers_what_it_has_and_leaves_nothing() {
    let mut daemon = stubborn().start().await.unwrap();
    let family = family(&mut daemon).await;
    let client = daemon.client("meek").await.unwrap();
    let late = client.clone();
    let call = tokio::spawn(async move { ask(&client, "slow", json!({"ms": 1000})).await });
    eventually("the call", async || {
        (super::server(&daemon, "meek").await["calls"] == 1).then_some(())
    })
    .await;
    daemon.term().unwrap();
    assert_echo(&call.await.unwrap(), &json!({"ms": 1000}));
    assert!(daemon.wait(Duration::from_secs(20)).await.unwrap().success());
    let left = wait_gone(&family, Duration::ZERO);
    assert!(left.is_empty(), "still there when the daemon had ended: {left:#?}");
    assert!(late.call("echo", json!({})).await.is_err());
}

#[tokio::test]
async fn a_killed_daemon_leaves_nothing() {
    let mut daemon = stubborn().start().await.unwrap();
    let family = family(&mut daemon).await;
    daemon.kill().unwrap();
    let left = wait_gone(&family, Duration::from_secs(15));
    assert!(left.is_empty(), "{left:#?}");
    daemon.wait(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn what_a_killed_daemon_and_a_killed_guard_leave_is_swept_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = stubborn().folder(folder.path()).start().await.unwrap();
    let family = family(&mut first).await;
    let guard = guard(&mut first);
    // The guard is stopped first, so that it never runs without the daemon.
    guard.signal(Signal::STOP);
    first.kill().unwrap();
    guard.signal(Signal::KILL);
    first.wait(Duration::from_secs(5)).await.unwrap();
    let stubborn: Vec<_> = family.iter().filter(|one| one.lives()).cloned().collect();
    assert!(!stubborn.is_empty(), "nothing was left behind: there is nothing to show");
    // An unrelated process of the same name.
    let mut other = std::process::Command::new(mainstay_testkit::programs::misbehave().unwrap())
        .arg("idle")
        .spawn()
        .unwrap();
    let second = daemon()
        .folder(folder.path())
        .command_server("meek", &misbehave(&[]))
        .start()
        .await
        .unwrap();
    let left = wait_gone(&stubborn, Duration::ZERO);
    assert!(left.is_empty(), "swept before it serves: {left:#?}");
    assert!(other.try_wait().unwrap().is_none(), "only what the first had started is swept");
    other.kill().unwrap();
    other.wait().unwrap();
    let client = second.client("meek").await.unwrap();
    assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
    drop(first);
}

#[tokio::test]
async fn a_server_that_dies_takes_its_children_with_it() {
    let mut daemon = daemon()
        .command_server("s", &misbehave(&["--grandchild", "--runaway"]))
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    let family = eventually("the grandchildren", async || {
        let now = Process::below(daemon.pid());
        let idle: Vec<_> = now.into_iter().filter(|one| one.command.contains(" idle")).collect();
        (idle.len() == 2 && idle.iter().any(|one| one.command.ends_with("runaway"))).then_some(idle)
    })
    .await;
    let client = daemon.client("s").await.unwrap();
    let before = super::process(&daemon, "s").await;
    super::kill(&before);
    eventually("the next life", async || {
        let now = Process::below(daemon.pid());
        let next = |one: &Process| one.command == before.command && one.pid != before.pid;
        now.iter().any(next).then_some(())
    })
    .await;
    let deaf = family.iter().find(|one| one.command.ends_with("runaway")).unwrap();
    assert!(deaf.lives(), "the next life does not wait until what ignores TERM is killed");
    assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
    let left = wait_gone(&family, Duration::from_secs(10));
    assert!(left.is_empty(), "{left:#?}");
    daemon.children();
}

#[tokio::test]
async fn a_mount_that_hangs_holds_up_its_own_servers_and_neither_start_nor_stop_of_the_daemon() {
    let Some(hung) = HungMount::try_new() else { return };
    let folder = hung.path().display();
    let program = hung.join("server").display().to_string();
    let mut daemon = daemon()
        .config(&format!("[servers.folder]\ncommand = ['true']\ncwd = '{folder}'"))
        .command_server("program", &[&*program])
        .config(&format!("[servers.searched]\ncommand = ['server']\nenv = {{ PATH = '{folder}' }}"))
        .command_server("meek", &misbehave(&[]))
        .start()
        .await
        .unwrap();
    let client = daemon.client("meek").await.unwrap();
    assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
    for name in ["folder", "program", "searched"] {
        in_state(&daemon, name, "starting").await;
    }
    daemon.term().unwrap();
    assert!(daemon.wait(Duration::from_secs(20)).await.unwrap().success());
}

/// What `/proc/PID/status` says about a process.
fn of_status(pid: i64, name: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.map(|value| value.trim().to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn the_daemon_gives_up_huge_pages_and_its_servers_keep_them() {
    let daemon = daemon().command_server("s", &misbehave(&[])).start().await.unwrap();
    let is = in_state(&daemon, "s", "ready").await;
    let ours = of_status(i64::from(std::process::id()), "THP_enabled");
    let theirs = of_status(is["instances"][0]["pid"].as_i64().unwrap(), "THP_enabled");
    assert_eq!(theirs, ours);
    // Kernels before 5.0 don't say it.
    let given_up = if ours.is_empty() { "" } else { "0" };
    assert_eq!(of_status(i64::from(daemon.pid()), "THP_enabled"), given_up);
}
