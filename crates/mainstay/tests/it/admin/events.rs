//! What changed, as `mainstay events` and the API show it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use mainstay_testkit::Daemon;
use mainstay_testkit::process::Process;
use rustix::process::Signal;
use serde_json::Value;

use super::{ask, over_the_socket, token};
use crate::shared::{PATIENCE, daemon, eventually, misbehave, until};

/// The output, the errors and the exit code of `mainstay events`.
fn events(daemon: &Daemon, more: &[&str]) -> (String, String, Option<i32>) {
    let ran = daemon.run(&[&["events"], more].concat()).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(ran.stdout), text(ran.stderr), ran.status.code())
}

/// All events, as `mainstay events --json` prints them.
pub(crate) fn all_events(daemon: &Daemon, name: Option<&str>) -> Vec<Value> {
    let name = name.as_slice();
    let (text, errors, code) = events(daemon, &[&["--json", "--since", "1d"], name].concat());
    assert_eq!(code, Some(0), "{errors}");
    let page: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(page["cut"], false);
    page["events"].as_array().unwrap().clone()
}

/// What the events of a server are called, oldest first.
pub(crate) fn words(daemon: &Daemon, name: &str) -> Vec<String> {
    let events = all_events(daemon, Some(name));
    events.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
}

async fn wait_for(daemon: &Daemon, name: &str, last: &str) {
    until(last, async || words(daemon, name).last().is_some_and(|word| word == last)).await;
}

pub(crate) async fn pid(daemon: &Daemon, name: &str) -> i32 {
    eventually("a process", async || {
        let servers = over_the_socket(&daemon.state()).servers().await.unwrap().servers;
        let server = servers.into_iter().find(|server| server.name.as_str() == name)?;
        let pid = server.instances.first()?.pid?;
        (server.state.as_str() == "ready").then(|| i32::try_from(pid).unwrap())
    })
    .await
}

/// Follows the events of a daemon, as JSON lines.
fn follow(state: &Path) -> (Child, impl FnMut() -> Option<Value> + use<>) {
    let mut following = Command::new(env!("CARGO_BIN_EXE_mainstay"))
        .args(["events", "-f", "--json", "--state"])
        .arg(state)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let next = move || lines.next().map(|line| serde_json::from_str(&line.unwrap()).unwrap());
    (following, next)
}

#[tokio::test]
async fn who_follows_sees_a_kill_and_the_return_and_the_end_of_the_daemon() {
    let mut daemon = daemon().command_server("files", &misbehave(&[])).start().await.unwrap();
    let pid = pid(&daemon, "files").await;
    let (mut following, mut next) = follow(&daemon.state());
    let mut seen = |expected: &str| {
        let event = next().unwrap();
        assert_eq!(event["event"], expected, "{event}");
        event
    };
    let started = seen("started");
    assert_eq!((&started["of"], &started["name"]), (&"daemon".into(), &Value::Null));
    for word in ["starting", "ready"] {
        assert_eq!(seen(word)["name"], "files");
    }
    Process::find(pid).unwrap().signal(Signal::KILL);
    let lost = seen("not-ready");
    let reason = lost["reason"].as_str().unwrap();
    assert!(reason.contains("killed by signal 9") || reason.contains("KILL"), "{lost}");
    assert_eq!((&lost["from"], &lost["to"]), (&"ready".into(), &"not-ready".into()));
    let back = seen("back");
    assert!(back["reason"].as_str().unwrap().starts_with("after "), "{back}");
    daemon.term().unwrap();
    seen("draining");
    assert!(following.wait().unwrap().success());
    assert!(daemon.wait(PATIENCE).await.unwrap().success());
}

#[tokio::test]
async fn events_survive_a_restart_and_a_kill_of_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let begin = async || {
        let builder = daemon().folder(folder.path()).command_server("files", &misbehave(&[]));
        let daemon = builder.start().await.unwrap();
        wait_for(&daemon, "files", "ready").await;
        daemon
    };
    let mut first = begin().await;
    first.term().unwrap();
    assert!(first.wait(PATIENCE).await.unwrap().success());
    let mut second = begin().await;
    second.kill().unwrap();
    second.wait(PATIENCE).await.unwrap();
    let third = begin().await;
    let all = all_events(&third, None);
    let ids: Vec<_> = all.iter().map(|event| event["id"].as_u64().unwrap()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    let of_daemon: Vec<_> = all.iter().filter(|event| event["of"] == "daemon").collect();
    let said: Vec<_> = of_daemon.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(said, ["started", "draining", "stopped", "started", "started"]);
    let was_killed = |event: &Value| {
        event["reason"].as_str().unwrap().contains("the daemon before it was killed")
    };
    assert_eq!([3, 4].map(|at: usize| was_killed(of_daemon[at])), [false, true]);
    let expected = ["starting", "ready", "stopped", "starting", "ready", "starting", "ready"];
    assert_eq!(words(&third, "files"), expected);
}

#[tokio::test]
async fn events_are_shown_to_people_in_columns() {
    let folder = tempfile::tempdir().unwrap();
    let builder = daemon().folder(folder.path()).command_server("works", &misbehave(&[]));
    let mut first = builder.start().await.unwrap();
    wait_for(&first, "works", "ready").await;
    first.term().unwrap();
    first.wait(PATIENCE).await.unwrap();
    // A server that is no longer configured has events.
    let gone = daemon().folder(folder.path()).command_server("missing", &["/nowhere/at-all"]);
    let daemon = gone.start().await.unwrap();
    wait_for(&daemon, "missing", "failed").await;
    let (text, _, code) = events(&daemon, &["missing"]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines.len(), code), (2, Some(0)), "{text}");
    let columns: Vec<_> = lines[1].split_whitespace().collect();
    assert_eq!((columns[0].len(), &columns[1..3]), (20, &["missing", "failed"][..]), "{text}");
    assert!(lines[1].contains("/nowhere/at-all"), "{text}");
    assert_eq!(events(&daemon, &["works"]).0.lines().count(), 3);
    let (text, ..) = events(&daemon, &[]);
    let first: Vec<_> = text.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(first[1..4], ["(daemon)", "started", "version"], "{text}");
    let (nothing, remark, code) = events(&daemon, &["--since", "2100-01-01T00:00:00Z"]);
    assert_eq!((nothing.as_str(), remark.trim_end(), code), ("", "no event is kept", Some(0)));
    let (_, wrong, code) = events(&daemon, &["missin"]);
    assert!(wrong.contains("did you mean \"missing\"?") && code == Some(1), "{wrong}");
    let (_, wrong, code) = events(&daemon, &["--since", "soon"]);
    assert!(wrong.contains("neither a duration nor a time") && code == Some(2), "{wrong}");
}

#[tokio::test]
async fn everybody_near_sees_events_and_only_the_operator_whole_reasons() {
    let daemon = daemon().command_server("missing", &["/nowhere/at-all"]).start().await.unwrap();
    wait_for(&daemon, "missing", "failed").await;
    let path = "GET /api/events?name=missing&limit=1";
    let (code, _, open) = ask(&daemon, path, &[], "").await;
    assert_eq!((code, &open["events"][0]["event"]), (200, &"failed".into()));
    assert!(!open.to_string().contains("nowhere"), "{open}");
    assert!(open["events"][0]["reason"].is_string() && open["cut"] == true, "{open}");
    let bearer = format!("Bearer {}", token(&daemon, &[]));
    let (_, _, whole) = ask(&daemon, path, &[("authorization", &bearer)], "").await;
    assert!(whole["events"][0]["reason"].as_str().unwrap().contains("/nowhere/at-all"), "{whole}");
    // Page by page.
    let (_, _, first) = ask(&daemon, "GET /api/events?after=0&limit=1", &[], "").await;
    let id = first["events"][0]["id"].as_u64().unwrap();
    assert_eq!(first["cut"], true);
    let path = format!("GET /api/events?after={id}&limit=1");
    let (_, _, second) = ask(&daemon, &path, &[], "").await;
    assert_eq!(second["events"][0]["id"], id + 1);
    let (code, _, problem) = ask(&daemon, "GET /api/events?name=none", &[], "").await;
    assert_eq!((code, &problem["servers"][0]), (404, &"missing".into()));
}

/// A server that dies as soon as it starts is three events, and no more while it is tried again.
#[tokio::test]
async fn a_crash_loop_is_told_once_and_not_at_each_start() {
    let hangs = misbehave(&["--hang-in-handshake"]);
    let builder = daemon().command_server("stuck", &hangs).config("start_timeout = \"300ms\"");
    let daemon = builder.start().await.unwrap();
    wait_for(&daemon, "stuck", "crash-loop").await;
    let servers = over_the_socket(&daemon.state()).servers().await.unwrap().servers;
    assert!(servers[0].restarts >= 2, "{servers:?}");
    assert_eq!(words(&daemon, "stuck"), ["starting", "not-ready", "crash-loop"]);
}
