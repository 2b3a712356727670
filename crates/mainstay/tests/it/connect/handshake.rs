//! From the start to the first answer.

use mainstay_testkit::Site;
use serde_json::json;
use tempfile::tempdir;

use super::{Client, assert_echo, assert_refused, daemon_with};

#[tokio::test]
async fn a_client_of_each_revision_is_served() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut client = Client::of(&daemon.state(), "s");
        let result = client.shake_hands(revision, json!({})).await;
        assert_eq!(result["protocolVersion"], revision);
        let tools = client.request("tools/list", json!({})).await;
        assert!(tools["result"]["tools"].as_array().unwrap().len() > 5, "{tools}");
        let call = client.call("echo", json!({"r": revision})).await;
        assert_echo(&client.answer(call).await, &json!({"r": revision}));
        let left = client.leave().await;
        assert_eq!((left.code, left.complaints.as_str()), (Some(0), ""), "{:?}", left.messages);
    }
}

#[tokio::test]
async fn every_server_and_a_url_are_ways_to_the_same() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    let (state, base) = (daemon.state(), daemon.base().to_owned());
    let state = state.to_str().unwrap();
    let endpoint = daemon.endpoint("s");
    for arguments in [
        vec!["--state", state],
        vec!["--url", &base],
        vec!["s", "--url", &base],
        vec!["--url", &endpoint],
    ] {
        let mut client = Client::start(&arguments);
        client.shake_hands("2025-11-25", json!({})).await;
        let call = client.call("echo", json!({"n": 1})).await;
        assert_echo(&client.answer(call).await, &json!({"n": 1}));
        assert_eq!(client.leave().await.code, Some(0), "{arguments:?}");
    }
}

#[tokio::test]
async fn messages_that_do_not_wait_for_answers_are_taken_in_their_order() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    let mut client = Client::of(&daemon.state(), "s");
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {}});
    let hello = client.ask("initialize", params).await;
    client.notify("notifications/initialized", json!({})).await;
    let list = client.ask("tools/list", json!({})).await;
    let call = client.call("echo", json!({})).await;
    let left = client.leave().await;
    super::assert_once(&left.messages, [hello, list, call]);
    assert!(left.messages.iter().all(|message| message.get("result").is_some()));
    assert_eq!((left.code, super::sessions(&daemon)), (Some(0), 0));
}

#[tokio::test]
async fn without_a_daemon_the_handshake_is_refused_after_a_while() {
    let folder = tempdir().unwrap();
    let mut client = Client::of(folder.path(), "s");
    let hello = client.ask("initialize", json!({"protocolVersion": "2025-06-18"})).await;
    assert_refused(&client.answer(hello).await, 1004, "SERVER_UNAVAILABLE");
    let left = client.end().await;
    assert_eq!(left.code, Some(3));
    assert!(left.complaints.contains("mainstay up"), "{}", left.complaints);
}

#[tokio::test]
async fn a_daemon_that_is_started_a_little_later_is_waited_for() {
    let folder = tempdir().unwrap();
    let mut client = Client::of(&folder.path().join("state"), "s");
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {}});
    let hello = client.ask("initialize", params).await;
    let _daemon = daemon_with(folder.path(), &[]).await;
    assert_eq!(client.answer(hello).await["result"]["protocolVersion"], "2025-06-18");
}

#[tokio::test]
async fn a_wrong_name_is_answered_with_the_right_ones() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    let mut client = Client::of(&daemon.state(), "other");
    let answer = client.request("initialize", json!({"protocolVersion": "2025-06-18"})).await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("/mcp/other") && message.contains("/mcp/s"), "{message}");

    for wrong in [vec!["../s"], vec!["--url", "there"], vec!["s", "--url", "http://h/mcp/s"]] {
        let left = Client::start(&wrong).end().await;
        assert_eq!(left.code, Some(2), "{wrong:?}: {}", left.complaints);
        assert!(left.messages.is_empty() && left.complaints.starts_with("error: "));
    }
}

#[tokio::test]
async fn answers_come_through_in_whatever_form_they_travel() {
    for flags in [&["--sse"][..], &["--json"], &["--odd-sse"], &["--no-get"], &["--get-404"]] {
        let site = Site::start(flags);
        let mut client = Client::start(&["--url", &site.url()]);
        client.shake_hands("2025-11-25", json!({})).await;
        for n in 0..3 {
            let call = client.call("echo", json!({"n": n})).await;
            assert_echo(&client.answer(call).await, &json!({"n": n}));
        }
        assert_eq!(client.leave().await.code, Some(0), "{flags:?}");
    }
}
