//! Daemons that die, and what becomes of their servers.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use mainstay_upstream::process::{GuardCommand, ProcessHost};

use crate::limits::{exist, groups};
use crate::support::{
    World, children, eventually, exec_command, guard_command, is_alive, kill, open, records, role,
    stat, until,
};

/// A daemon in a process of its own, with a server that has spread.
struct Daemon {
    process: Child,
    /// The server's processes.
    servers: Vec<i32>,
    guard: i32,
}

impl Daemon {
    fn start(state: &Path) -> Self {
        Self::start_as("daemon", state)
    }

    fn start_as(named: &str, state: &Path) -> Self {
        let mut process = role(named, state).stdout(Stdio::piped()).spawn().expect("starts");
        let output = BufReader::new(process.stdout.take().expect("piped"));
        let ready = output
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("ready ").map(ToOwned::to_owned))
            .expect("the daemon comes up");
        let servers: Vec<i32> = ready.split(' ').map(|pid| pid.parse().unwrap()).collect();
        let pid = process.id().to_string();
        let is_guard = |pid: &i32| !servers.contains(pid) && session(*pid) == Some(*pid);
        let mut guards = BTreeSet::new();
        eventually("its guard has a session of its own", || {
            guards = children_of(&pid).into_iter().filter(is_guard).collect();
            guards.len() == 1
        });
        let guard = *guards.first().expect("counted");
        assert!(servers.iter().all(|pid| is_alive(*pid)));
        Self { process, servers, guard }
    }

    fn kill(&mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it is dead");
    }

    fn has_left(&self) -> bool {
        self.servers.iter().any(|pid| is_alive(*pid))
    }
}

fn session(pid: i32) -> Option<i32> {
    stat(pid)?.get(3)?.parse().ok()
}

fn children_of(parent: &str) -> Vec<i32> {
    let all = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|fields| fields[1] == parent)).collect()
}

#[test]
fn when_the_daemon_is_killed_its_guard_ends_everything() {
    let state = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(state.path());
    assert_eq!(records(state.path()), 1);
    daemon.kill();
    eventually("the guard ended the servers", || !daemon.has_left());
    eventually("the guard ended itself", || !is_alive(daemon.guard));
    assert_eq!(std::fs::read_dir(state.path().join("processes")).unwrap().count(), 0);
}

#[test]
fn the_guard_needs_no_state_folder() {
    let state = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(state.path());
    state.close().unwrap();
    daemon.kill();
    eventually("the guard ended the servers", || !daemon.has_left());
}

#[test]
fn a_guard_can_not_be_asked_to_end() {
    let state = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(state.path());
    let guard = rustix::process::Pid::from_raw(daemon.guard).unwrap();
    // Its handlers are in place: the kernel lists the signals that it catches.
    let catches_term = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.guard)).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap() >> 14 & 1 == 1
    };
    eventually("it ignores TERM", catches_term);
    for signal in [1, 2, 15] {
        let signal = rustix::process::Signal::from_named_raw(signal).unwrap();
        rustix::process::kill_process(guard, signal).unwrap();
    }
    daemon.kill();
    eventually("the guard ended the servers", || !daemon.has_left());
}

#[tokio::test]
async fn the_next_daemon_sweeps_when_the_guard_was_killed_as_well() {
    let state = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(state.path());
    // Stopped, so that it can't start another guard before it is killed.
    let pid = rustix::process::Pid::from_child(&daemon.process);
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    kill(daemon.guard);
    daemon.kill();
    assert!(daemon.has_left(), "somebody else ended them");

    let host = open(state.path()).await;
    assert!(!daemon.has_left());
    let swept: BTreeSet<u32> = host.swept().iter().map(|one| one.pid).collect();
    let expected = daemon.servers.iter().map(|pid| pid.unsigned_abs()).collect();
    assert!(swept.is_superset(&expected), "{:?}", host.swept());
    assert!(host.swept().iter().all(|one| one.ended));
    let of = |pid: i32| {
        let mut found = host.swept().iter().filter(|one| one.pid == pid.unsigned_abs());
        found.next().and_then(|one| one.server.as_ref()).map(ToString::to_string)
    };
    assert_eq!(of(daemon.servers[0]).as_deref(), Some("spreads"));
    host.shutdown().await;
    assert_eq!(records(state.path()), 0);
}

#[test]
fn when_the_daemon_is_killed_its_guard_removes_its_control_groups() {
    let state = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start_as("daemon_with_limits", state.path());
    let groups = groups(state.path());
    daemon.kill();
    eventually("the guard ended the servers", || !daemon.has_left());
    eventually("the guard ended itself", || !is_alive(daemon.guard));
    assert!(exist(&groups).is_empty(), "{groups:?}");
    assert_eq!(std::fs::read_dir(state.path().join("processes")).unwrap().count(), 0);
}

#[test]
fn the_guard_finds_control_groups_without_a_state_folder() {
    let state = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start_as("daemon_with_limits", state.path());
    let groups = groups(state.path());
    state.close().unwrap();
    daemon.kill();
    eventually("the guard ended itself", || !is_alive(daemon.guard));
    assert!(!daemon.has_left());
    assert!(exist(&groups).is_empty(), "{groups:?}");
}

#[tokio::test]
async fn the_next_daemon_removes_control_groups_when_the_guard_was_killed_as_well() {
    let state = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start_as("daemon_with_limits", state.path());
    let groups = groups(state.path());
    let pid = rustix::process::Pid::from_child(&daemon.process);
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    kill(daemon.guard);
    daemon.kill();
    assert_eq!(exist(&groups).len(), groups.len(), "somebody else removed them");
    let host = open(state.path()).await;
    assert!(!daemon.has_left());
    assert!(exist(&groups).is_empty(), "{groups:?}");
    host.shutdown().await;
}

#[tokio::test]
async fn a_number_that_went_to_somebody_else_is_not_touched() {
    let state = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(state.path());
    let pid = rustix::process::Pid::from_child(&daemon.process);
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    kill(daemon.guard);
    daemon.kill();

    // The record of the server now names a stranger's number, and group, with the server's start.
    let mut stranger = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
    let folders = std::fs::read_dir(state.path().join("processes")).unwrap();
    let folder = folders.flatten().next().expect("the dead daemon's").path();
    let record = folder.join(format!("{}.json", daemon.servers[0]));
    let text = std::fs::read_to_string(&record).unwrap();
    let number = format!("\"pid\":{}", daemon.servers[0]);
    assert!(text.contains(&number), "{text}");
    let text = text.replace(&number, &format!("\"pid\":{}", stranger.id()));
    std::fs::write(folder.join(format!("{}.json", stranger.id())), text).unwrap();
    std::fs::remove_file(record).unwrap();

    let host = open(state.path()).await;
    assert!(!daemon.has_left(), "the mark finds what no record names");
    assert!(host.swept().iter().all(|one| one.pid != stranger.id()));
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger was ended");
    assert_eq!(records(state.path()), 0);
    host.shutdown().await;
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn the_folder_of_a_living_daemon_is_left_alone() {
    let state = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(state.path());
    let host = open(state.path()).await;
    assert!(daemon.has_left() && host.swept().is_empty());
    host.shutdown().await;
    assert!(daemon.has_left());
    daemon.kill();
    eventually("its guard ended the servers", || !daemon.has_left());
}

#[tokio::test]
async fn a_guard_that_dies_is_replaced() {
    let world = World::open().await;
    let first = children();
    assert_eq!(first.len(), 1, "only the guard");
    kill(*first.first().unwrap());
    until("another guard comes", || children().len() == 1 && children() != first).await;
    world.close().await;
}

#[tokio::test]
async fn without_a_guard_there_is_no_host() {
    let state = tempfile::tempdir().unwrap();
    let command = GuardCommand { program: "/no/such/guard".into(), args: Vec::new() };
    let refused = ProcessHost::open(state.path(), command, exec_command()).await.unwrap_err();
    assert_eq!(refused.to_string(), "can't start the guard");
    let fine =
        ProcessHost::open(state.path(), guard_command(state.path()), exec_command()).await.unwrap();
    fine.shutdown().await;
}
