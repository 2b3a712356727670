//! From closed over open and half-open to closed again, seen everywhere.

use super::{
    Dependency, Instant, Mood, call, code, eventually, failures, get, health, json, metric, state,
    until, with_remote,
};
use futures_util::future::join_all;

/// The states that the log names, in order.
fn logged(log: &str) -> Vec<&str> {
    let line = |line: &str| {
        ["circuit breaker opened", "circuit breaker is half-open", "circuit breaker closed"]
            .into_iter()
            .position(|text| line.contains(text))
    };
    log.lines().filter_map(line).map(|at| ["open", "half-open", "closed"][at]).collect()
}

#[tokio::test]
async fn t4_1_t4_2_a_breaker_is_asked_before_each_call_and_opens_half_opens_and_closes() {
    let dependency = Dependency::start();
    let (daemon, client) = with_remote(&dependency, "failures = 3, recovery = '2s'", "").await;
    assert_eq!((state(&daemon, "far").await, failures(&daemon, "far").await), (0, 0));
    assert_eq!(health(&daemon).await.0, json!({"far": "CLOSED"}));
    call(&client, "plain", json!({})).await;

    dependency.set(Mood::Status(500));
    for nth in 1..=3 {
        let before = dependency.calls();
        assert_ne!(code(&call(&client, "plain", json!({})).await), "BREAKER_OPEN");
        assert!(dependency.calls() > before, "the call reaches it");
        let expected = if nth < 3 { 0 } else { 2 };
        assert_eq!(state(&daemon, "far").await, expected, "after {nth} failures");
    }
    assert_eq!(failures(&daemon, "far").await, 3);
    assert_eq!(health(&daemon).await, (json!({"far": "OPEN"}), "degraded".to_owned()));

    // Open: whatever is refused has not reached it.
    let (before, mut reached, mut refused) = (dependency.calls(), 0, Vec::new());
    let begun = Instant::now();
    for _ in 0..50 {
        let answer = call(&client, "plain", json!({})).await;
        match code(&answer) {
            "BREAKER_OPEN" => refused.push(answer),
            _ => reached += 1,
        }
    }
    assert_eq!(dependency.calls() - before, reached);
    assert!(!refused.is_empty());
    assert!(begun.elapsed().as_secs() < 30, "refusals wait for nothing");
    let data = &refused[0]["error"]["data"];
    assert_eq!(refused[0]["error"]["code"], 1005);
    assert!(data["retry_after_ms"].as_u64().is_some_and(|ms| (1..=2000).contains(&ms)), "{data}");
    assert!(data["since"].is_string() && data["hint"].is_string(), "{data}");
    let message = refused[0]["error"]["message"].as_str().unwrap();
    assert!(message.contains("3 failures in a row") && message.contains("HTTP 500"), "{message}");

    // Half-open by time alone, and closed by the first success.
    dependency.set(Mood::Well);
    until("half-open", async || state(&daemon, "far").await == 1).await;
    assert_eq!(health(&daemon).await.0, json!({"far": "HALF_OPEN"}));
    let answer = call(&client, "plain", json!({})).await;
    assert!(answer["result"].is_object(), "{answer}");
    assert_eq!(state(&daemon, "far").await, 0);
    assert_eq!(health(&daemon).await, (json!({"far": "CLOSED"}), "ok".to_owned()));
    until("the last line", async || daemon.log().contains("circuit breaker closed")).await;
    let log = daemon.log();
    let seen = logged(&log);
    assert_eq!(seen.first(), Some(&"open"), "{log}");
    assert_eq!(&seen[seen.len() - 2..], ["half-open", "closed"], "{log}");
    // Events are stored shortly after.
    until("all events", async || {
        let events = get(&daemon, "/api/events").await;
        ["\"breaker-open\"", "\"breaker-half-open\"", "\"breaker-closed\""]
            .iter()
            .all(|word| events.contains(word))
    })
    .await;
}

#[tokio::test]
async fn t4_6_of_fifty_callers_at_a_half_open_breaker_one_reaches_the_server() {
    let dependency = Dependency::start();
    let (daemon, client) = with_remote(&dependency, "failures = 1, recovery = '1s'", "").await;
    dependency.set(Mood::Status(500));
    call(&client, "plain", json!({})).await;
    until("half-open", async || state(&daemon, "far").await == 1).await;
    // The trial is under way until all others have been refused.
    dependency.set(Mood::Waiting);
    let before = dependency.calls();
    let answers = join_all((0..50).map(|_| async {
        let answer = call(&client, "plain", json!({})).await;
        if code(&answer) == "BREAKER_OPEN" { None } else { Some(answer) }
    }));
    let let_go = async {
        eventually("the trial", async || (dependency.calls() > before).then_some(())).await;
        // All refusals have been counted.
        until("49 refusals", async || metric_of_refusals(&daemon).await >= 49).await;
        assert_eq!(state(&daemon, "far").await, 1, "while the trial is under way");
        dependency.set(Mood::Well);
    };
    let (answers, ()) = tokio::join!(answers, let_go);
    assert_eq!(answers.iter().flatten().count(), 1);
    assert_eq!(dependency.calls() - before, 1, "one of them reached it");
    assert_eq!(state(&daemon, "far").await, 0);
}

async fn metric_of_refusals(daemon: &super::Daemon) -> u64 {
    let metrics = get(daemon, "/metrics").await;
    let of = |line: &str| {
        let is = line.starts_with("mcp_errors_total{")
            && line.contains("server=\"far\"")
            && line.contains("code=\"BREAKER_OPEN\"");
        is.then(|| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
    };
    metrics.lines().filter_map(of).sum()
}

#[tokio::test]
async fn a_failed_trial_opens_it_for_another_period() {
    let dependency = Dependency::start();
    let (daemon, client) = with_remote(&dependency, "failures = 2, recovery = '500ms'", "").await;
    dependency.set(Mood::Status(502));
    call(&client, "plain", json!({})).await;
    call(&client, "plain", json!({})).await;
    for trials in 1..=2 {
        until("half-open", async || state(&daemon, "far").await == 1).await;
        let before = dependency.calls();
        call(&client, "plain", json!({})).await;
        assert!(dependency.calls() > before);
        // The log comes through a pipe.
        until("the line about it", async || {
            let log = daemon.log();
            log.matches("circuit breaker opened").count() == 1 + trials
        })
        .await;
    }
    assert!(daemon.log().contains("the trial failed"));
    assert_eq!(metric(&daemon, "mcp_circuit_breaker_failures_total", "far").await, 4);
}
