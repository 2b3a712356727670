//! Servers with limits: what one that misbehaves costs itself and nobody else.

mod proof;

use std::path::PathBuf;

use mainstay_testkit::Daemon;
use mainstay_testkit::daemon::Builder;
use rustix::process::getuid;
use serde_json::{Value, json};

use super::{ask, assert_refused, in_state, metric, server};
use crate::shared::{daemon, eventually, misbehave, until};

/// A daemon with a server that has these limits, and one without.
fn with_limits(limits: &str) -> Builder {
    daemon()
        .command_server("greedy", &misbehave(&[]))
        .config(&format!("limits = {{ {limits} }}"))
        .command_server("calm", &misbehave(&[]))
}

/// A limit of the first instance, once it was seen.
async fn limit(daemon: &Daemon, name: &str) -> Value {
    eventually(&format!("the limit on {name}"), async || {
        let now = server(daemon, "greedy").await;
        let limits = now["instances"][0]["limits"].as_array()?.clone();
        limits.into_iter().find(|limit| limit["limit"] == name)
    })
    .await
}

/// Whether a control group keeps it here. Says so if not.
fn is_of_group(limit: &Value) -> bool {
    let is = limit["limits_by"].as_str().is_some_and(|by| by.starts_with("cgroup"));
    if !is {
        eprintln!("skipped: {}", limit["note"]);
    }
    is
}

fn page(daemon: &Daemon, name: &str) -> String {
    let output = daemon.run(&["status", name]).unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The folders of the daemon's control groups.
fn groups(daemon: &Daemon) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(daemon.state().join("processes")).unwrap().flatten();
    let texts = folders.filter_map(|folder| std::fs::read(folder.path().join("groups")).ok());
    texts.flat_map(|text| serde_json::from_slice::<Vec<PathBuf>>(&text).unwrap()).collect()
}

/// The processes with this argument.
fn processes_with(nonce: &str) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let texts = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    texts.filter(|text| text.split(|byte| *byte == 0).any(|word| word == nonce.as_bytes())).count()
}

#[tokio::test]
async fn a_fork_bomb_is_bounded_and_named_and_others_answer() {
    let daemon = with_limits("processes = 64").start().await.unwrap();
    in_state(&daemon, "greedy", "ready").await;
    if !is_of_group(&limit(&daemon, "processes").await) {
        return;
    }
    let nonce = format!("bomb-{}", daemon.folder().display());
    let greedy = daemon.client("greedy").await.unwrap();
    greedy.call("fork_bomb", json!({"nonce": nonce})).await.unwrap();
    let calm = daemon.client("calm").await.unwrap();
    let seen = eventually("the bomb is at its limit", async || {
        calm.call("echo", json!({})).await.unwrap();
        Some(limit(&daemon, "processes").await).filter(|it| it["reached"].as_u64() > Some(1000))
    })
    .await;
    assert!(seen["used"].as_u64() <= Some(64), "{seen}");
    assert!(processes_with(&nonce) <= 64);
    let page = page(&daemon, "greedy");
    assert!(page.contains("of 64, ") && page.contains(" refused (cgroup v"), "{page}");
    assert!(daemon.log().contains("as many as `limits.processes` allows"), "{}", daemon.log());
    let labels = [r#"server="greedy""#, r#"limit="processes""#];
    assert!(metric(&daemon, "mainstay_limit_reached_total", &labels).await > 1000.0);
    assert_eq!(metric(&daemon, "mainstay_limit_processes", &labels[..1]).await, 64.0);
    let stopped = daemon.run(&["stop", "greedy"]).unwrap();
    assert!(stopped.status.success(), "{stopped:?}");
    assert_eq!(processes_with(&nonce), 0, "some have outlived their server");
    calm.call("echo", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_memory_hog_is_killed_for_its_limit_and_starts_again() {
    let daemon = with_limits("memory = '128MiB'").start().await.unwrap();
    in_state(&daemon, "greedy", "ready").await;
    if !is_of_group(&limit(&daemon, "memory").await) {
        return;
    }
    let greedy = daemon.client("greedy").await.unwrap();
    let answer = ask(&greedy, "hog", json!({"bytes": 512 << 20})).await;
    assert_refused(&answer, 1007, "OUTCOME_UNKNOWN");
    in_state(&daemon, "greedy", "ready").await;
    greedy.call("echo", json!({})).await.unwrap();
    let events = String::from_utf8(daemon.run(&["events", "greedy"]).unwrap().stdout).unwrap();
    assert!(events.contains("more memory than its limit"), "{events}");
    let log = daemon.log();
    assert!(log.contains("more memory than its limit (`limits.memory` = 128.0 MiB)"), "{log}");
    assert!(log.contains("raise `limits.memory`"), "{log}");
    let labels = [r#"server="greedy""#, r#"limit="memory""#];
    until("the kill is counted", async || {
        metric(&daemon, "mainstay_limit_reached_total", &labels).await > 0.0
    })
    .await;
    // Others go on as before.
    daemon.client("calm").await.unwrap().call("echo", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_server_that_stays_down_says_that_it_was_its_memory_limit() {
    let never = "memory = '128MiB' }\nrestart = 'never'\nenv = {";
    let daemon = with_limits(never).start().await.unwrap();
    in_state(&daemon, "greedy", "ready").await;
    if !is_of_group(&limit(&daemon, "memory").await) {
        return;
    }
    let greedy = daemon.client("greedy").await.unwrap();
    ask(&greedy, "hog", json!({"bytes": 512 << 20})).await;
    let refused = eventually("a refusal with the reason", async || {
        let answer = ask(&greedy, "echo", json!({})).await;
        let message = answer["error"]["message"].as_str()?.to_owned();
        message.contains("more memory than its limit").then_some(message)
    })
    .await;
    assert!(refused.contains("`limits.memory` = 128.0 MiB"), "{refused}");
    let page = page(&daemon, "greedy");
    assert!(page.contains("raise `limits.memory`"), "{page}");
}

#[tokio::test]
async fn a_busy_loop_is_slowed_down_and_named() {
    let daemon = with_limits("cpus = 0.5").start().await.unwrap();
    in_state(&daemon, "greedy", "ready").await;
    if !is_of_group(&limit(&daemon, "cpus").await) {
        return;
    }
    let greedy = daemon.client("greedy").await.unwrap();
    greedy.call("spin", json!({"threads": 2, "ms": 60_000})).await.unwrap();
    let seen = eventually("it is slowed down", async || {
        let seen = limit(&daemon, "cpus").await;
        (seen["reached"].as_u64() > Some(20) && seen["used"].as_f64() > Some(0.2)).then_some(seen)
    })
    .await;
    // What a period may be too long; without the limit it would be two.
    assert!(seen["used"].as_f64() < Some(0.75), "{seen}");
    assert_eq!(seen["max"], 0.5);
    let page = page(&daemon, "greedy");
    assert!(page.contains("of 0.5, had to wait "), "{page}");
}

#[tokio::test]
async fn a_killed_daemon_leaves_no_control_group_and_no_process() {
    let mut daemon = with_limits("processes = 64").start().await.unwrap();
    in_state(&daemon, "greedy", "ready").await;
    let nonce = format!("bomb-{}", daemon.folder().display());
    if !is_of_group(&limit(&daemon, "processes").await) {
        return;
    }
    let groups = groups(&daemon);
    assert!(!groups.is_empty() && groups.iter().all(|group| group.exists()));
    let greedy = daemon.client("greedy").await.unwrap();
    greedy.call("fork_bomb", json!({"nonce": nonce})).await.unwrap();
    until("the bomb has gone off", async || processes_with(&nonce) > 10).await;
    daemon.kill().unwrap();
    until("no process is left", async || processes_with(&nonce) == 0).await;
    until("no group is left", async || groups.iter().all(|group| !group.exists())).await;
}

/// The same daemon where something else is mounted in the place of control groups.
#[tokio::test]
async fn where_there_are_no_control_groups_it_is_said_what_does_not_hold() {
    if !getuid().is_root() {
        eprintln!("skipped: only root can mount something in their place");
        return;
    }
    let away = r#"exec unshare -m sh -c 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"' sh "$@""#;
    let limits = "memory = '1GiB', cpus = 0.5, processes = 64, files = 256";
    let daemon = with_limits(limits).script(away).start().await.unwrap();
    in_state(&daemon, "greedy", "ready").await;
    let memory = limit(&daemon, "memory").await;
    assert_eq!(memory["limits_by"], "rlimit");
    let cpus = limit(&daemon, "cpus").await;
    assert_eq!(cpus.get("limits_by"), None);
    let page = page(&daemon, "greedy");
    assert!(page.contains("is not in force: the daemon can't make a control group"), "{page}");
    assert!(page.contains("bounds the data of each process by itself"), "{page}");
    let log = daemon.log();
    assert!(
        log.contains("not all of its limits hold as configured: `limits.memory` bounds"),
        "{log}"
    );
    let greedy = daemon.client("greedy").await.unwrap();
    greedy.call("echo", json!({})).await.unwrap();
}
