//! A server with a limit on calls at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{ask, assert_echo, assert_refused, daemon, in_state, metric, misbehave};

/// Calls a tool that takes some time, and keeps the answers in the order in which they come.
fn call_slowly(
    calls: &mut JoinSet<(usize, Value)>,
    client: &Arc<mainstay_testkit::Client>,
    number: usize,
) {
    let client = client.clone();
    let arguments = json!({"ms": 200, "number": number});
    calls.spawn(async move { (number, ask(&client, "slow", arguments).await) });
}

#[tokio::test]
async fn calls_are_carried_out_one_after_the_other_in_the_order_in_which_they_came() {
    let daemon = daemon()
        .command_server("s", &misbehave(&[]))
        .config("concurrency = 1")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    let clients =
        [Arc::new(daemon.client("s").await.unwrap()), Arc::new(daemon.client("s").await.unwrap())];
    let most = Arc::new(AtomicUsize::new(0));
    let (seen, watched) = (most.clone(), daemon.base().to_owned());
    let watch = tokio::spawn(async move {
        loop {
            let (_, text) = super::get(&watched, "/metrics").await;
            let of = |line: &&str| line.starts_with("mainstay_calls_in_flight{");
            let now = text.lines().find(of).and_then(|line| line.rsplit(' ').next());
            let now = now.and_then(|now| now.parse::<f64>().ok()).unwrap_or_default();
            seen.fetch_max(now as usize, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let mut calls = JoinSet::new();
    for number in 0..6 {
        call_slowly(&mut calls, &clients[number % 2], number);
        // So that they come in this order.
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    let mut order = Vec::new();
    while let Some(ended) = calls.join_next().await {
        let (number, answer) = ended.unwrap();
        assert_echo(&answer, &json!({"ms": 200, "number": number}));
        order.push(number);
    }
    watch.abort();
    assert_eq!(order, [0, 1, 2, 3, 4, 5]);
    assert_eq!(most.load(Ordering::SeqCst), 1, "calls in flight at the server");
}

#[tokio::test]
async fn a_call_that_waits_for_its_turn_is_refused_at_its_deadline() {
    let daemon = daemon()
        .config("[gateway]\ncall_timeout = \"2s\"\ncall_timeout_max = \"60s\"")
        .command_server("s", &misbehave(&[]))
        .config("concurrency = 1")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    let (first, second) = (daemon.client("s").await.unwrap(), daemon.client("s").await.unwrap());
    // It reports progress, so it may take longer than its deadline.
    let long = tokio::spawn(async move {
        let arguments = json!({"steps": 60, "ms": 100});
        let params = json!({
            "name": "progress", "arguments": arguments, "_meta": {"progressToken": "long"},
        });
        first.send("tools/call", params).await.unwrap().answer().await.unwrap()
    });
    super::eventually("the long call is there", async || {
        (metric(&daemon, "mainstay_calls_in_flight", &[]).await == 1.0).then_some(())
    })
    .await;
    let refused = ask(&second, "echo", json!({})).await;
    assert_refused(&refused, 1002, "QUEUE_TIMEOUT");
    assert_eq!(refused["error"]["data"]["limit"], "concurrency: 1", "{refused}");
    let answer = long.await.unwrap();
    assert!(answer["result"].is_object(), "{answer}");
    assert_echo(&ask(&second, "echo", json!({"n": 1})).await, &json!({"n": 1}));
}

#[tokio::test]
async fn the_answer_to_a_question_needs_no_turn() {
    let daemon = daemon()
        .command_server("s", &misbehave(&[]))
        .config("concurrency = 1")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    let mut client = mainstay_testkit::Client::new(&daemon.endpoint("s")).unwrap();
    client.initialize("2025-11-25", &json!({"elicitation": {}})).await.unwrap();
    let params = json!({"name": "ask_user", "arguments": {}});
    let mut exchange = client.send("tools/call", params).await.unwrap();
    let question = exchange.next().await.unwrap().expect("a question");
    client.respond(&question["id"], json!({"action": "decline"})).await.unwrap();
    let answer = exchange.next().await.unwrap().expect("an answer");
    assert_eq!(answer["result"]["structuredContent"]["answer"]["action"], "decline", "{answer}");
}
