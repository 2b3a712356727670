//! Calls and other messages on the one stream of a session.

use mainstay_testkit::SseClient;
use serde_json::{Value, json};

use super::{Scene, assert_echo, until};

#[tokio::test]
async fn the_handshake_settles_what_the_client_asked_for() {
    let scene = Scene::start().await;
    for name in ["", "near", "far"] {
        for (asked, settled) in [
            ("2024-11-05", "2024-11-05"),
            ("2025-03-26", "2025-03-26"),
            ("2025-11-25", "2025-11-25"),
            ("2026-07-28", "2025-11-25"),
        ] {
            let mut client = SseClient::open(&scene.url(name)).await.unwrap();
            let result = client.initialize(asked, &json!({})).await.unwrap();
            assert_eq!(result["protocolVersion"], settled, "{name}");
            assert!(result["capabilities"]["tools"].is_object(), "{result}");
            assert_eq!(client.request("ping", json!({})).await.unwrap(), json!({}));
        }
    }
}

#[tokio::test]
async fn calls_at_once_are_answered_each_under_its_own_id() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let mut client = scene.client(name).await;
        let mut ids = vec![json!("a"), json!(""), json!("1"), json!(-7), json!(9_007_199_254u64)];
        ids.extend((100..160).map(|n| json!(n)));
        for (n, id) in ids.iter().enumerate() {
            // The first calls are answered last.
            let arguments = json!({"of": id, "ms": 300 - n});
            let params = json!({"name": "slow", "arguments": arguments});
            client.send_as(id, "tools/call", params).await.unwrap();
        }
        for (n, id) in ids.iter().enumerate() {
            let answer = client.answer(id).await.unwrap();
            assert_echo(&answer["result"], &json!({"of": id, "ms": 300 - n}));
        }
        assert!(client.kept().is_empty(), "{name}: nothing comes twice");
    }
}

#[tokio::test]
async fn answers_of_any_size_arrive_whole() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let mut client = scene.client(name).await;
        // More than a slow reader may leave unread, several times at once.
        let params = json!({"name": "huge", "arguments": {"bytes": 3_000_000}});
        let mut ids = Vec::new();
        for _ in 0..4 {
            ids.push(client.send("tools/call", params.clone()).await.unwrap());
        }
        for id in ids {
            let answer = client.answer(&id).await.unwrap();
            let text = answer["result"]["content"][0]["text"].as_str().unwrap();
            assert_eq!(text.len(), 3_000_000, "{name}");
        }
    }
}

#[tokio::test]
async fn progress_and_log_messages_come_before_the_answer() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let mut client = scene.client(name).await;
        for token in [json!("mine"), json!(7)] {
            let arguments = json!({"steps": 5, "ms": 1});
            let params = json!({"name": "progress", "arguments": arguments,
                "_meta": {"progressToken": token}});
            let id = client.send("tools/call", params).await.unwrap();
            let answer = client.answer(&id).await.unwrap();
            assert_echo(&answer["result"], &arguments);
            let before = client.kept();
            assert_eq!(before.len(), 5, "{name}: {before:?}");
            for message in before {
                assert_eq!(message["method"], "notifications/progress", "{name}");
                assert_eq!(message["params"]["progressToken"], token, "{name}");
            }
        }
        let id = client
            .send("tools/call", json!({"name": "flood", "arguments": {"count": 50}}))
            .await
            .unwrap();
        client.answer(&id).await.unwrap();
        let before = client.kept();
        assert!(before.iter().all(|message| message["method"] == "notifications/message"));
        assert_eq!(before.len(), 50, "{name}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_notifications_and_no_answer() {
    let scene = Scene::with("call_timeout = \"2m\"").await;
    let mut client = scene.client("near").await;
    let flood = json!({"name": "flood", "arguments": {"count": 100_000}});
    let id = client.send("tools/call", flood).await.unwrap();
    let series = r#"mainstay_dropped_notifications_total{server="near",reason="slow_client"}"#;
    until("some are dropped", async || scene.metric(series).await > 0).await;
    // Other clients are served meanwhile.
    scene.client("near").await.call("echo", json!({})).await.unwrap();
    assert_echo(&client.answer(&id).await.unwrap()["result"], &json!({"count": 100_000}));
}

#[tokio::test]
async fn a_question_comes_on_the_stream_and_the_answer_goes_back() {
    let scene = Scene::start().await;
    for (revision, tool, capability, method) in [
        ("2025-06-18", "ask_user", "elicitation", "elicitation/create"),
        ("2024-11-05", "ask_model", "sampling", "sampling/createMessage"),
        ("2024-11-05", "ask_roots", "roots", "roots/list"),
    ] {
        for name in ["near", "far", ""] {
            let mut client = scene.able(name, revision, json!({capability: {}})).await;
            let call = json!({"name": tool, "arguments": {}});
            let id = client.send("tools/call", call.clone()).await.unwrap();
            let question = client.heard(method).await.unwrap();
            let said = json!({"said": [name, 1]});
            client.poster.respond(&question["id"], said.clone()).await.unwrap();
            let answer = client.answer(&id).await.unwrap();
            assert_eq!(answer["result"]["structuredContent"]["answer"], said, "{name} {tool}");
            // A client that did not declare the capability is not asked.
            let mut other = scene.client(name).await;
            let id = other.send("tools/call", call).await.unwrap();
            let answer = other.answer(&id).await.unwrap();
            let heard = &answer["result"]["structuredContent"]["answer"];
            assert_eq!(heard["code"], -32601, "{name} {tool}: {answer}");
            assert!(other.kept().is_empty());
        }
    }
}

#[tokio::test]
async fn a_cancelled_call_is_not_answered_and_the_server_hears_of_it() {
    let scene = Scene::start().await;
    let mut client = scene.client("near").await;
    let hang = json!({"name": "hang_until_cancelled", "arguments": {}});
    let id = client.send("tools/call", hang).await.unwrap();
    scene.seen("tool hang_until_cancelled", 1).await;
    let params = json!({"requestId": id});
    client.poster.notify("notifications/cancelled", params).await.unwrap();
    scene.seen("cancelled calls", 1).await;
    client.call("echo", json!({})).await.unwrap();
    assert!(client.kept().is_empty());
}

#[tokio::test]
async fn what_servers_say_of_their_own_accord_comes_too() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let (mut one, mut all) = (scene.client(name).await, scene.client("").await);
        one.request("resources/subscribe", json!({"uri": "mis://one"})).await.unwrap();
        one.call("change", json!({})).await.unwrap();
        one.heard("notifications/tools/list_changed").await.unwrap();
        all.heard("notifications/tools/list_changed").await.unwrap();
        one.call("touch", json!({"uri": "mis://one"})).await.unwrap();
        let updated = one.heard("notifications/resources/updated").await.unwrap();
        assert_eq!(updated["params"]["uri"], "mis://one", "{name}");
        all.call("echo", json!({})).await.unwrap();
        let rest = all.kept();
        assert!(
            rest.iter().all(|message| message["method"] != "notifications/resources/updated"),
            "{rest:?}"
        );
    }
}

#[tokio::test]
async fn the_merged_address_has_both_servers_and_each_own_address_its_own() {
    let scene = Scene::start().await;
    let mut all = scene.client("").await;
    let names = async |client: &mut SseClient| {
        let page = client.request("tools/list", json!({})).await.unwrap();
        let tools = page["tools"].as_array().unwrap();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let merged = names(&mut all).await;
    assert!(["echo", "far_echo"].iter().all(|name| merged.iter().any(|other| other == name)));
    for tool in ["echo", "far_echo"] {
        assert_echo(&all.call(tool, json!({"via": tool})).await.unwrap(), &json!({"via": tool}));
    }
    let mut far = scene.client("far").await;
    let own = names(&mut far).await;
    assert!(own.iter().all(|name| !name.starts_with("far_")), "{own:?}");
    far.call("echo", json!({})).await.unwrap();
    // A missing tool is answered with an error.
    let id = far.send("tools/call", json!({"name": "nothing"})).await.unwrap();
    let answer: Value = far.answer(&id).await.unwrap();
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}
