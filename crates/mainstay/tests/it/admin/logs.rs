//! What servers wrote, as `mainstay logs` and the API show it.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use mainstay_testkit::Daemon;
use mainstay_testkit::process::Process;
use rustix::process::Signal;
use serde_json::Value;

use super::{ask, over_the_socket, token};
use crate::shared::{PATIENCE, daemon, misbehave, until};

async fn talkative() -> Daemon {
    let talks = misbehave(&["--stderr=3"]);
    let quiet = misbehave(&[]);
    let both = daemon().command_server("talks", &talks).command_server("quiet", &quiet);
    let daemon = both.start().await.unwrap();
    daemon.client("talks").await.unwrap();
    daemon.client("quiet").await.unwrap();
    until("it is kept", async || logs(&daemon, &["talks"]).0.contains("misbehave stderr 2")).await;
    daemon
}

/// The output, the errors and the exit code of `mainstay logs`.
fn logs(daemon: &Daemon, more: &[&str]) -> (String, String, Option<i32>) {
    let ran = daemon.run(&[&["logs"], more].concat()).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(ran.stdout), text(ran.stderr), ran.status.code())
}

#[tokio::test]
async fn what_a_server_wrote_is_shown_with_time_and_instance() {
    let daemon = talkative().await;
    let (text, _, code) = logs(&daemon, &[]);
    assert_eq!((text.lines().count(), code), (3, Some(0)), "{text}");
    let first = text.lines().next().unwrap();
    assert!(first.ends_with("  misbehave stderr 0") && first.contains("Z talks i"), "{first}");
    let (_, remark, code) = logs(&daemon, &["quiet"]);
    assert!(remark.contains("quiet has not written anything") && code == Some(0), "{remark}");
    assert!(logs(&daemon, &["--since", "2100-01-01T00:00:00Z"]).0.is_empty());
    assert_eq!(logs(&daemon, &["--since", "1h"]).0, text);
    let page: Value = serde_json::from_str(&logs(&daemon, &["--json"]).0).unwrap();
    assert_eq!((&page["cut"], page["lines"].as_array().unwrap().len()), (&false.into(), 3));
    assert_eq!(page["lines"][2]["text"], "misbehave stderr 2");
    assert_eq!(page["lines"][2]["stream"], "stderr");
    let (_, wrong, code) = logs(&daemon, &["talk"]);
    assert!(wrong.contains("did you mean \"talks\"?") && code == Some(1), "{wrong}");
    let (_, wrong, code) = logs(&daemon, &["--since", "soon"]);
    assert!(wrong.contains("neither a duration nor a time") && code == Some(2), "{wrong}");
}

#[tokio::test]
async fn who_follows_sees_new_lines_and_the_end_of_the_daemon() {
    let mut daemon = talkative().await;
    let mut following = Command::new(env!("CARGO_BIN_EXE_mainstay"))
        .args(["logs", "--follow", "--json", "--state"])
        .arg(daemon.state())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = || -> Option<Value> {
        lines.next().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
    };
    for number in 0..3 {
        assert_eq!(next().unwrap()["text"], format!("misbehave stderr {number}"));
    }
    // The next run of the server writes again.
    let servers = over_the_socket(&daemon.state()).servers().await.unwrap().servers;
    let talks = servers.iter().find(|server| server.name.as_str() == "talks").unwrap();
    let pid = i32::try_from(talks.instances[0].pid.unwrap()).unwrap();
    Process::find(pid).unwrap().signal(Signal::KILL);
    let again = next().unwrap();
    assert_eq!((&again["text"], &again["number"]), (&"misbehave stderr 0".into(), &4.into()));
    daemon.term().unwrap();
    while next().is_some() {}
    assert!(following.wait().unwrap().success());
    assert!(daemon.wait(PATIENCE).await.unwrap().success());
}

#[tokio::test]
async fn lines_are_for_the_operator_and_a_read_is_audited_once() {
    let daemon = talkative().await;
    let (code, ..) = ask(&daemon, "GET /api/logs", &[], "").await;
    assert_eq!(code, 401);
    let bearer = format!("Bearer {}", token(&daemon, &[]));
    let admin = [("authorization", bearer.as_str())];
    let (code, _, page) = ask(&daemon, "GET /api/logs?server=talks&limit=1", &admin, "").await;
    assert_eq!((code, &page["cut"]), (200, &true.into()));
    assert_eq!(page["lines"][0]["text"], "misbehave stderr 2");
    for wrong in ["limit=0", "limit=10001", "since=soon"] {
        let (code, ..) = ask(&daemon, &format!("GET /api/logs?{wrong}"), &admin, "").await;
        assert_eq!(code, 400, "{wrong}");
    }
    let (code, _, problem) = ask(&daemon, "GET /api/logs?server=none", &admin, "").await;
    assert_eq!((code, &problem["servers"][0]), (404, &"talks".into()));
    let (_, _, page) = ask(&daemon, "GET /api/audit", &admin, "").await;
    assert_eq!(page["entries"][1]["action"], "read logs", "{page}");
}

#[tokio::test]
async fn the_log_has_what_servers_write_for_those_who_ask_for_details() {
    let server = misbehave(&["--stderr=1"]);
    for (argument, expected) in [("-v", true), ("--json", false)] {
        let builder = daemon().command_server("talks", &server).argument(argument);
        let daemon = builder.start().await.unwrap();
        daemon.client("talks").await.unwrap();
        let kept = async || logs(&daemon, &[]).0.contains("misbehave stderr 0");
        until("it is kept", kept).await;
        if expected {
            daemon.wait_for_log("misbehave stderr 0", PATIENCE).await.unwrap();
        }
        assert_eq!(daemon.log().contains("misbehave stderr 0"), expected, "{argument}");
    }
}
