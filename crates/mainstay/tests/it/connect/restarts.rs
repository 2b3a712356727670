//! The daemon stops and comes back while its client continues unaware.

use mainstay_testkit::Daemon;
use serde_json::json;
use tempfile::tempdir;

use super::{Client, PATIENCE, assert_echo, assert_once, assert_refused, daemon_with};

/// Kills a daemon.
async fn kill(mut daemon: Daemon) {
    daemon.kill().unwrap();
    daemon.wait(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn each_call_in_flight_is_answered_once_or_its_outcome_named() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    let mut client = Client::greeted(&daemon.state(), "s").await;
    let (mut calls, mut answers) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        calls.push(client.call("progress", json!({"steps": 1000, "ms": 20})).await);
    }
    for call in &calls {
        client.until(|said| said["params"]["progressToken"] == *call).await;
    }
    let mut lists = vec![client.ask("tools/list", json!({})).await];
    kill(daemon).await;
    lists.push(client.ask("tools/list", json!({})).await);
    let late = client.call("echo", json!({"late": true})).await;
    for call in &calls {
        let answer = client.answer(*call).await;
        assert_refused(&answer, 1007, "OUTCOME_UNKNOWN");
        answers.push(answer);
    }
    let _again = daemon_with(folder.path(), &[]).await;
    for list in &lists {
        let answer = client.answer(*list).await;
        assert!(answer["result"]["tools"].is_array(), "{answer}");
        answers.push(answer);
    }
    let answer = client.answer(late).await;
    assert_echo(&answer, &json!({"late": true}));
    answers.push(answer);
    answers.extend(client.leave().await.messages);
    assert_once(&answers, calls.into_iter().chain(lists).chain([late]));
}

#[tokio::test]
async fn what_the_client_asked_for_is_asked_for_again() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    let mut client = Client::greeted(&daemon.state(), "s").await;
    client.request("logging/setLevel", json!({"level": "debug"})).await;
    client.request("resources/subscribe", json!({"uri": "mis://one"})).await;
    kill(daemon).await;
    let again = daemon_with(folder.path(), &[]).await;
    // The connection returns by itself, and what the client knows may be outdated.
    client.notified("notifications/tools/list_changed").await;
    client.notified("notifications/resources/updated").await;
    assert_eq!(super::sessions(&again), 1);
    let stats = client.call("stats", json!({})).await;
    let stats = client.answer(stats).await["result"]["structuredContent"]["counts"].clone();
    assert_eq!((&stats["resources/subscribe"], &stats["logging/setLevel"]), (&json!(1), &json!(1)));
    client.aside.clear();
    client.call("touch", json!({"uri": "mis://one"})).await;
    client.notified("notifications/resources/updated").await;
    client.call("change", json!({})).await;
    client.notified("notifications/tools/list_changed").await;
}

#[tokio::test]
async fn a_question_of_a_lost_session_is_taken_back() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    let mut client = Client::of(&daemon.state(), "s");
    client.shake_hands("2025-11-25", json!({"elicitation": {}})).await;
    let call = client.call("ask_user", json!({})).await;
    let question = client.notified("elicitation/create").await;
    kill(daemon).await;
    let back = client.notified("notifications/cancelled").await;
    assert_eq!(back["params"]["requestId"], question["id"]);
    assert_refused(&client.answer(call).await, 1007, "OUTCOME_UNKNOWN");

    // The next session also asks its first question, and the late answer does not count for it.
    let _again = daemon_with(folder.path(), &[]).await;
    let call = client.call("ask_user", json!({})).await;
    let next = client.notified("elicitation/create").await;
    assert_ne!(next["id"], question["id"]);
    for (id, said) in [(&question["id"], "late"), (&next["id"], "now")] {
        let reply = json!({"jsonrpc": "2.0", "id": id, "result": {"said": said}});
        client.write(reply.to_string()).await;
    }
    let answer = client.answer(call).await;
    assert_eq!(answer["result"]["structuredContent"]["answer"]["said"], "now", "{answer}");
}

#[tokio::test]
async fn a_daemon_that_stops_in_good_order_is_waited_for() {
    let folder = tempdir().unwrap();
    let mut daemon = daemon_with(folder.path(), &[]).await;
    let mut client = Client::greeted(&daemon.state(), "s").await;
    for n in 0..3 {
        daemon.term().unwrap();
        daemon.wait(PATIENCE).await.unwrap();
        let call = client.call("echo", json!({"n": n})).await;
        drop(daemon);
        daemon = daemon_with(folder.path(), &[]).await;
        assert_echo(&client.answer(call).await, &json!({"n": n}));
    }
}

#[tokio::test]
async fn what_a_stopping_daemon_turns_away_is_sent_to_the_next_one() {
    let folder = tempdir().unwrap();
    let mut daemon = daemon_with(folder.path(), &[]).await;
    let mut busy = Client::greeted(&daemon.state(), "s").await;
    let mut client = Client::greeted(&daemon.state(), "s").await;
    let slow = busy.call("progress", json!({"steps": 30, "ms": 30})).await;
    busy.notified("notifications/progress").await;
    daemon.term().unwrap();
    daemon.wait_for_log("drain", PATIENCE).await.unwrap();
    let call = client.call("echo", json!({"n": 1})).await;
    let progress = json!({"steps": 30, "ms": 30});
    assert_echo(&busy.answer(slow).await, &progress);
    daemon.wait(PATIENCE).await.unwrap();
    drop(daemon);
    let _again = daemon_with(folder.path(), &[]).await;
    assert_echo(&client.answer(call).await, &json!({"n": 1}));
}
