//! Many calls at once, and messages of servers outside of calls.

use std::collections::HashMap;

use serde_json::json;
use tempfile::tempdir;

use super::{Client, assert_echo, assert_once, daemon_with};

#[tokio::test]
async fn calls_side_by_side_get_their_own_answers_once() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &["--delay=50", "--seed=7"]).await;
    let mut client = Client::greeted(&daemon.state(), "s").await;
    let mut calls = HashMap::new();
    for n in 0..200 {
        calls.insert(client.call("echo", json!({"n": n})).await, json!({"n": n}));
    }
    let mut order = Vec::new();
    for _ in 0..200 {
        let answer = client.next().await;
        let id = answer["id"].as_u64().unwrap();
        assert_echo(&answer, &calls.remove(&id).expect("answered once"));
        order.push(id);
    }
    // The delays are random, so answers in order would mean that calls wait for each other.
    assert!(!order.is_sorted(), "{order:?}");
    assert_once(&client.leave().await.messages, []);
}

#[tokio::test]
async fn ids_come_back_as_they_were_written() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    let mut client = Client::greeted(&daemon.state(), "s").await;
    for id in ["0", "\"0\"", "-1", "1.0", "12345678901234567890123", "\"\\u00e4\""] {
        client.write(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)).await;
        let line = client.output.next_line().await.unwrap().unwrap();
        assert!(line.contains(&format!("\"id\":{id},")), "{id}: {line}");
    }
}

#[tokio::test]
async fn progress_comes_before_the_answer_and_cancelling_ends_a_call() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    let mut client = Client::greeted(&daemon.state(), "s").await;
    let call = client.call("progress", json!({"steps": 3})).await;
    client.answer(call).await;
    let steps: Vec<_> = client.aside.drain(..).map(|said| said["params"].clone()).collect();
    assert_eq!(steps.len(), 3, "{steps:?}");
    assert!(steps.iter().all(|step| step["progressToken"] == call), "{steps:?}");

    let hanging = client.call("hang_until_cancelled", json!({})).await;
    let other = client.call("echo", json!({})).await;
    client.answer(other).await;
    client.notify("notifications/cancelled", json!({"requestId": hanging})).await;
    // No answer is awaited, so the command ends without it.
    assert_once(&client.leave().await.messages, []);
}

#[tokio::test]
async fn changes_of_lists_and_resources_come_through() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    let mut client = Client::greeted(&daemon.state(), "s").await;
    client.request("resources/subscribe", json!({"uri": "mis://one"})).await;
    let call = client.call("change", json!({})).await;
    client.answer(call).await;
    client.notified("notifications/tools/list_changed").await;
    let call = client.call("touch", json!({"uri": "mis://one"})).await;
    client.answer(call).await;
    let update = client.notified("notifications/resources/updated").await;
    assert_eq!(update["params"]["uri"], "mis://one");
}
