//! Commands that change the daemon.

use std::process::Output;
use std::time::Duration;

use mainstay_testkit::{Daemon, programs};
use serde_json::{Value, json};

use super::{ask, over_the_socket, serving, serving_in};
use crate::shared::{PATIENCE, daemon, misbehave, until};

/// Runs a command that has to succeed and returns what it prints.
#[track_caller]
fn run(daemon: &Daemon, line: &[&str]) -> String {
    let Output { status, stdout, stderr } = daemon.run(line).unwrap();
    let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success(), "{line:?}: {status}\n{out}\n{err}\n{}", daemon.log());
    out
}

#[track_caller]
fn run_json(daemon: &Daemon, line: &[&str]) -> Value {
    serde_json::from_str(&run(daemon, &[line, &["--json"]].concat())).unwrap()
}

/// A daemon with this longest wait for calls, and one call of this length in flight.
async fn with_a_call(
    drain_timeout: &str,
    ms: u64,
) -> (Daemon, tokio::task::JoinHandle<anyhow::Result<()>>) {
    let builder = daemon().config(&format!("[gateway]\ndrain_timeout = \"{drain_timeout}\""));
    let daemon = builder.command_server("slow", &misbehave(&[])).start().await.unwrap();
    let client = daemon.client("slow").await.unwrap();
    let calling = tokio::spawn(async move {
        let answer = client.call("slow", json!({ "ms": ms })).await;
        answer.map(|_| ())
    });
    let operator = over_the_socket(&daemon.state());
    until("the call is under way", async || operator.sessions().await.unwrap().calls == 1).await;
    (daemon, calling)
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_waits_for_a_call_and_for_the_end_of_the_daemon() {
    let (mut daemon, calling) = with_a_call("20s", 1500).await;
    let plan = run(&daemon, &["stop", "--dry-run"]);
    let expected = "the daemon would stop; calls in flight: 1\n\
                    it would end when they have finished, after 20 s at most\n";
    assert_eq!(plan, expected);
    let said = run(&daemon, &["stop"]);
    assert!(said.starts_with("the daemon has stopped, after "), "{said}");
    calling.await.unwrap().unwrap();
    assert!(daemon.wait(PATIENCE).await.unwrap().success());
    assert!(daemon.log().contains("drained") && daemon.log().contains("stopped"));
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_does_not_wait_longer_than_the_daemon_does_for_calls() {
    let (mut daemon, calling) = with_a_call("500ms", 600_000).await;
    let printed = run_json(&daemon, &["stop"]);
    assert_eq!(printed["stopped"], true);
    assert_eq!((&printed["calls"], &printed["drain_timeout_ms"]), (&json!(1), &json!(500)));
    let took = Duration::from_millis(printed["took_ms"].as_u64().unwrap());
    assert!(took >= Duration::from_millis(500), "{took:?}");
    assert!(calling.await.unwrap().is_err());
    assert!(daemon.wait(PATIENCE).await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stop_only_describes_goes_on_and_a_stopped_daemon_leaves_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = serving_in(folder.path()).await;
    let printed = run_json(&first, &["stop", "--dry-run"]);
    let expected = json!({
        "dry_run": true, "stopped": false, "message": "the daemon would stop; calls in flight: 0",
        "calls": 0, "drain_timeout_ms": 30_000,
    });
    assert_eq!(printed, expected);
    let plan = run(&first, &["stop", "--dry-run"]);
    assert_eq!(plan, "the daemon would stop; calls in flight: 0\nit would end at once\n");
    run(&first, &["status"]);
    run(&first, &["stop", "--quiet"]);
    // The next daemon finds the folder free, without any wait.
    let second = serving_in(folder.path()).await;
    assert!(first.wait(PATIENCE).await.unwrap().success());
    run(&second, &["status"]);
}

#[tokio::test]
async fn what_runs_a_server_is_shown_without_arguments_and_paths() {
    let fixture = programs::fixture().unwrap().display().to_string();
    let daemon = daemon()
        .command_server("one", &[fixture.as_str(), "stdio"])
        .url_server("two", "http://127.0.0.1:9/hidden/path?key=hidden")
        .start()
        .await
        .unwrap();
    daemon.client("one").await.unwrap();
    let program = fixture.rsplit('/').next().unwrap();
    for path in ["/api/status", "/api/servers", "/health/detailed"] {
        let (_, _, answer) = ask(&daemon, &format!("GET {path}"), &[], "").await;
        let targets = answer["servers"].as_array().unwrap().iter().map(|server| &server["target"]);
        let targets: Vec<_> = targets.collect();
        assert_eq!(targets, [program, "http://127.0.0.1:9"], "{path}");
        assert!(!answer.to_string().contains("hidden"), "{path}: {answer}");
    }
    // The operator sees all of it.
    let shown = run(&daemon, &["status", "one"]);
    assert!(shown.contains(&format!("process {fixture} stdio\n")), "{shown}");
    let shown = run(&daemon, &["status", "two"]);
    assert!(shown.contains("http://127.0.0.1:9/hidden/path?key=hidden\n"), "{shown}");
}

#[tokio::test]
async fn the_level_of_the_log_is_changed_and_set_back() {
    let daemon = serving().await;
    let debugs = || daemon.log().matches(r#""level":"DEBUG""#).count();
    // That a stream opens is told at `debug`.
    let make_noise = async || {
        let client = daemon.client("one").await.unwrap();
        assert_eq!(client.listen(None).await.unwrap().status, 200);
    };
    let plan = run(&daemon, &["log-level", "debug", "--dry-run"]);
    assert_eq!(plan, "the log level would be debug\n");
    make_noise().await;
    let said = run(&daemon, &["log-level", "debug"]);
    assert_eq!(said, "the log level is now debug\n");
    assert_eq!(debugs(), 0);
    until("debug messages are logged", async || {
        make_noise().await;
        debugs() > 0
    })
    .await;
    let printed = run_json(&daemon, &["log-level", "initial"]);
    let message = "the log level is now the one that the daemon started with";
    assert_eq!(printed, json!({ "action": "log-level", "dry_run": false, "message": message }));
    let wrong = daemon.run(&["log-level", "loud"]).unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    let error = String::from_utf8(wrong.stderr).unwrap();
    assert!(error.contains("error, warn, info, debug, trace, initial"), "{error}");
}
