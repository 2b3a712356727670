//! Sessions that end without the client's knowledge.

use mainstay_testkit::Site;
use serde_json::json;

use super::{Client, assert_echo, assert_once};

#[tokio::test]
async fn a_session_that_is_gone_is_opened_again_and_no_call_is_lost() {
    // The server forgets every session after a few messages.
    let site = Site::start(&["--lose-session-after=6"]);
    let mut client = Client::start(&["--url", &site.url()]);
    client.shake_hands("2025-11-25", json!({})).await;
    let (mut calls, mut answers) = (Vec::new(), Vec::new());
    for n in 0..20 {
        let call = client.call("echo", json!({"n": n})).await;
        let answer = client.answer(call).await;
        assert_echo(&answer, &json!({"n": n}));
        calls.push(call);
        answers.push(answer);
    }
    answers.extend(client.leave().await.messages);
    assert_once(&answers, calls);
}

#[tokio::test]
async fn calls_that_find_it_gone_at_once_share_one_new_session() {
    let site = Site::start(&["--lose-session-after=40"]);
    let mut client = Client::start(&["--url", &site.url()]);
    client.shake_hands("2025-11-25", json!({})).await;
    let mut calls = Vec::new();
    for n in 0..60 {
        calls.push((client.call("echo", json!({"n": n})).await, json!({"n": n})));
    }
    for (call, sent) in calls {
        assert_echo(&client.answer(call).await, &sent);
    }
    let stats = client.call("stats", json!({})).await;
    let stats = client.answer(stats).await["result"]["structuredContent"]["counts"].clone();
    assert_eq!(stats["initialize"], 2, "{stats}");
}
