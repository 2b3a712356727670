//! Log messages of servers, at the level that each client asks for.

use mainstay_testkit::Client;
use serde_json::json;

use super::{Scene, until};

/// Returns the number of log messages of a call that logs three times at `info`.
async fn heard(client: &Client) -> usize {
    let params = json!({"name": "flood", "arguments": {"count": 3}});
    let (before, answer) = client.send("tools/call", params).await.unwrap().all().await.unwrap();
    assert_eq!(answer["result"]["structuredContent"]["echo"]["count"], 3);
    assert!(before.iter().all(|one| one["method"] == "notifications/message"), "{before:?}");
    before.len()
}

#[tokio::test]
async fn each_session_hears_what_it_asked_for() {
    let scene = Scene::start().await;
    for name in ["near", "far", ""] {
        let (loud, quiet, unasked) =
            (scene.client(name).await, scene.client(name).await, scene.client(name).await);
        for (level, messages) in [
            ("emergency", 0),
            ("warning", 0),
            ("notice", 0),
            ("info", 3),
            ("debug", 3),
            ("error", 0),
        ] {
            quiet.request("logging/setLevel", json!({"level": level})).await.unwrap();
            assert_eq!(heard(&quiet).await, messages, "{name} {level}");
        }
        loud.request("logging/setLevel", json!({"level": "debug"})).await.unwrap();
        assert_eq!(heard(&loud).await, 3, "{name}");
        assert_eq!(heard(&quiet).await, 0, "{name}: still as it was set");
        assert_eq!(heard(&unasked).await, 3, "{name}: what a server sends unasked");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_server_logs_no_more_than_somebody_who_is_there_wants() {
    let scene = Scene::with("session_idle = \"3s\"", &[]).await;
    for name in ["near", "far"] {
        // The client that reads the level asks for none itself.
        let level = async || {
            let stats = scene.client(name).await.call("stats", json!({})).await.unwrap();
            stats["structuredContent"]["level"].clone()
        };
        let [loud, quiet, idle] =
            [scene.client(name).await, scene.client(name).await, scene.client(name).await];
        let stream = quiet.listen(None).await.unwrap();
        let set = async |client: &Client, level: &str| {
            client.request("logging/setLevel", json!({"level": level})).await.unwrap();
        };
        set(&quiet, "error").await;
        assert_eq!(level().await, "error", "{name}");
        set(&loud, "debug").await;
        assert_eq!(level().await, "debug", "{name}");
        loud.delete().await.unwrap();
        until("the loud one is gone", async || level().await == "error").await;
        set(&idle, "notice").await;
        until("the idle one expires", async || level().await == "error").await;
        set(&quiet, "warning").await;
        assert_eq!(level().await, "warning", "{name}");
        quiet.delete().await.unwrap();
        until("nobody wants anything", async || level().await == "info").await;
        drop(stream);
    }
}

#[tokio::test]
async fn a_level_that_is_none_is_told_the_levels() {
    let scene = Scene::start().await;
    for name in ["near", ""] {
        let client = scene.client(name).await;
        for params in
            [json!({"level": "loud"}), json!({"level": 3}), json!({}), json!({"level": "INFO"})]
        {
            let mut sent = client.send("logging/setLevel", params.clone()).await.unwrap();
            let answer = sent.answer().await.unwrap();
            assert_eq!(answer["error"]["code"], -32602, "{params}: {answer}");
        }
        let mut sent = client.send("logging/setLevel", json!({"level": "loud"})).await.unwrap();
        let answer = sent.answer().await.unwrap();
        let says = answer["error"]["message"].as_str().unwrap();
        assert!(says.contains("loud") && says.contains("notice"), "{says}");
    }
    assert_eq!(scene.count("near", "logging/setLevel").await, 0);
    scene.undisturbed().await;
}

#[tokio::test]
async fn where_nobody_logs_there_is_no_level() {
    let scene = Scene::with("", &["--no-capabilities"]).await;
    for name in ["near", "far", ""] {
        let client = scene.client(name).await;
        let mut sent = client.send("logging/setLevel", json!({"level": "info"})).await.unwrap();
        let answer = sent.answer().await.unwrap();
        assert_eq!(answer["error"]["code"], -32601, "{name}: {answer}");
    }
    assert_eq!(scene.count("near", "logging/setLevel").await, 0);
    scene.undisturbed().await;
}

#[tokio::test]
async fn logs_of_a_call_go_to_its_client_or_to_nobody() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let mut calls = tokio::task::JoinSet::new();
        for count in 1..=20 {
            let client = scene.client(name).await;
            calls.spawn(async move {
                let params = json!({"name": "flood", "arguments": {"count": count}});
                let (before, answer) =
                    client.send("tools/call", params).await.unwrap().all().await.unwrap();
                assert_eq!(answer["result"]["structuredContent"]["echo"]["count"], count);
                assert!(before.len() <= count, "{count}: {before:?}");
                before.len()
            });
        }
        let mut heard = 0;
        while let Some(done) = calls.join_next().await {
            heard += done.unwrap();
        }
        // Over HTTP a log message belongs to the exchange of its call. On a pipe its call may be unknown.
        let series = format!(
            "mainstay_dropped_notifications_total{{server=\"{name}\",reason=\"no_owner\"}}"
        );
        let dropped = scene.metric(&series).await;
        assert_eq!(heard as u64 + dropped, 210, "{name}");
        assert!(name == "near" || dropped == 0, "{name}: {dropped}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn what_an_instance_of_one_session_says_is_for_that_session() {
    let scene = Scene::with("", &["--flood=3"]).await;
    for name in ["near", "far"] {
        // This client can't be asked, so it shares an instance. The other one can, so it gets its own.
        let shares = scene.client(name).await;
        let own = scene.able(name, "2025-11-25", json!({"elicitation": {}})).await;
        for client in [&shares, &own] {
            client.request("logging/setLevel", json!({"level": "debug"})).await.unwrap();
        }
        let mut heard = shares.listen(None).await.unwrap();
        let mut stream = own.listen(None).await.unwrap();
        let params = json!({"name": "echo", "arguments": {}});
        let (before, _) = own.send("tools/call", params).await.unwrap().all().await.unwrap();
        for _ in before.len()..3 {
            let message = stream.message().await.unwrap().unwrap();
            assert!(message["params"]["data"].as_str().unwrap().starts_with("flood"), "{message}");
        }
        // The first message for the other client is the one that it waits for.
        shares.request("resources/subscribe", json!({"uri": "mis://one"})).await.unwrap();
        shares.call("touch", json!({"uri": "mis://one"})).await.unwrap();
        let first = heard.message().await.unwrap().unwrap();
        assert_eq!(first["method"], "notifications/resources/updated", "{name}: {first}");
    }
    scene.undisturbed().await;
}
