//! The parts of a session that survive a restart of the daemon.

use serde_json::json;

use super::{End, Scene, echo, heard, ping, stored, until};

#[tokio::test]
async fn a_session_goes_on_under_its_id() {
    let mut scene = Scene::start().await;
    let mut clients = Vec::new();
    for name in ["near", "far", ""] {
        clients.push((name, scene.client(name).await));
    }
    for (how, restored) in [(End::Term, 3), (End::Kill, 3), (End::Kill, 3), (End::Term, 3)] {
        scene.restart(how).await;
        assert_eq!(scene.metric("mcp_active_sessions").await, 0, "nobody has been seen yet");
        for (name, client) in &clients {
            echo(&scene.again(name, client)).await;
        }
        assert_eq!(scene.metric("mcp_active_sessions").await, 3, "{how:?}");
        assert_eq!(scene.metric("mainstay_sessions_restored_total").await, restored, "{how:?}");
    }
    for (name, client) in &clients {
        assert_eq!(scene.again(name, client).delete().await.unwrap().status, 200);
    }
    assert_eq!(scene.metric("mcp_active_sessions").await, 0);
}

#[tokio::test]
async fn many_requests_at_once_restore_it_once() {
    let mut scene = Scene::start().await;
    let client = scene.client("near").await;
    client.request("logging/setLevel", json!({"level": "debug"})).await.unwrap();
    scene.restart(End::Kill).await;
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let again = scene.again("near", &client);
        requests.spawn(async move { ping(&again).await });
    }
    while let Some(answer) = requests.join_next().await {
        assert_eq!(answer.unwrap(), (200, None));
    }
    assert_eq!(scene.metric("mcp_active_sessions").await, 1);
    assert_eq!(scene.metric("mainstay_sessions_restored_total").await, 1);
}

#[tokio::test]
async fn subscriptions_are_asked_for_again_and_nothing_is_missed() {
    for how in [End::Kill, End::Term] {
        for name in ["near", "far", ""] {
            let mut scene = Scene::start().await;
            let client = scene.client(name).await;
            // An item that the client has not seen may belong to another server after a restart.
            client.request("tools/list", json!({})).await.unwrap();
            for uri in ["mis://one", "mis://two", "mis://three"] {
                client.request("resources/subscribe", json!({"uri": uri})).await.unwrap();
            }
            client.request("resources/unsubscribe", json!({"uri": "mis://two"})).await.unwrap();
            let before = scene.far_count("resources/subscribe").await;
            scene.restart(how).await;
            let again = scene.again(name, &client);
            // A client that only listens is first notified of what may have changed.
            let mut stream = again.listen(None).await.unwrap();
            heard(&mut stream, "notifications/tools/list_changed").await;
            let mut updated = Vec::new();
            for _ in 0..2 {
                let message = heard(&mut stream, "notifications/resources/updated").await;
                updated.push(message["params"]["uri"].as_str().unwrap().to_owned());
            }
            updated.sort();
            assert_eq!(updated, ["mis://one", "mis://three"], "{name} {how:?}");
            // By the time of a call, the server has been asked once for each subscription.
            for uri in ["mis://two", "mis://three"] {
                again.call("touch", json!({"uri": uri})).await.unwrap();
            }
            let message = heard(&mut stream, "notifications/resources/updated").await;
            assert_eq!(message["params"]["uri"], "mis://three", "{name} {how:?}");
            let asked = match name {
                "far" => scene.far_count("resources/subscribe").await - before,
                _ => {
                    let stats = again.call("stats", json!({})).await.unwrap();
                    stats["structuredContent"]["counts"]["resources/subscribe"].as_u64().unwrap()
                }
            };
            assert_eq!(asked, 2, "{name} {how:?}");
        }
    }
}

#[tokio::test]
async fn all_subscriptions_of_a_restored_session_are_told_of() {
    const MANY: usize = 150;
    let mut scene = Scene::start().await;
    let client = scene.client("near").await;
    let uris = (0..MANY).map(|number| format!("mis://{number:03}"));
    for uri in uris.clone() {
        client.request("resources/subscribe", json!({"uri": uri})).await.unwrap();
    }
    scene.restart(End::Kill).await;
    let mut stream = scene.again("near", &client).listen(None).await.unwrap();
    let mut updated = Vec::new();
    for _ in 0..MANY {
        let message = heard(&mut stream, "notifications/resources/updated").await;
        updated.push(message["params"]["uri"].as_str().unwrap().to_owned());
    }
    updated.sort();
    assert_eq!(updated, uris.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_session_with_an_instance_of_its_own_gets_its_subscription_back() {
    let mut scene = Scene::start().await;
    for name in ["far", "near"] {
        let mut client = mainstay_testkit::Client::new(&scene.daemon().endpoint(name)).unwrap();
        client.initialize("2025-11-25", &json!({"elicitation": {}})).await.unwrap();
        client.request("resources/subscribe", json!({"uri": "mis://own"})).await.unwrap();
        scene.restart(End::Kill).await;
        let again = scene.again(name, &client);
        let mut stream = again.listen(None).await.unwrap();
        heard(&mut stream, "notifications/resources/updated").await;
        again.call("touch", json!({"uri": "mis://own"})).await.unwrap();
        let message = heard(&mut stream, "notifications/resources/updated").await;
        assert_eq!(message["params"]["uri"], "mis://own", "{name}");
    }
}

#[tokio::test]
async fn a_tool_that_only_some_clients_see_is_still_theirs() {
    let mut scene = Scene::start().await;
    scene.near_flags = &["--more-for-asked"];
    scene.restart(End::Term).await;
    let mut client = mainstay_testkit::Client::new(&scene.daemon().endpoint("")).unwrap();
    client.initialize("2025-11-25", &json!({"elicitation": {}})).await.unwrap();
    let list = client.request("tools/list", json!({})).await.unwrap();
    let tools = list["tools"].as_array().unwrap();
    assert!(tools.iter().any(|tool| tool["name"] == "added_0"), "{list}");
    for how in [End::Kill, End::Term] {
        scene.restart(how).await;
        let called = scene.again("", &client).call("added_0", json!({"n": 1})).await.unwrap();
        assert_eq!(called["structuredContent"]["echo"]["n"], 1, "{how:?}");
    }
}

#[tokio::test]
async fn the_log_level_stays() {
    for (how, level, messages) in [(End::Kill, "emergency", 0), (End::Term, "debug", 3)] {
        let mut scene = Scene::start().await;
        for name in ["near", "far", ""] {
            let client = scene.client(name).await;
            client.request("logging/setLevel", json!({"level": level})).await.unwrap();
            scene.restart(how).await;
            let again = scene.again(name, &client);
            let params = json!({"name": "flood", "arguments": {"count": 3}});
            let mut sent = again.send("tools/call", params).await.unwrap();
            let (before, _) = sent.all().await.unwrap();
            assert_eq!(before.len(), messages, "{name} {level}: {before:?}");
            let counts = again.call("stats", json!({})).await.unwrap();
            let counts = &counts["structuredContent"]["counts"];
            assert!(counts["logging/setLevel"].as_u64() >= Some(1), "{name}: {counts}");
        }
    }
}

#[tokio::test]
async fn a_level_that_came_back_goes_with_its_session() {
    let mut scene = Scene::start().await;
    for name in ["near", "far"] {
        let loud = scene.client(name).await;
        loud.request("logging/setLevel", json!({"level": "debug"})).await.unwrap();
        scene.restart(End::Kill).await;
        let again = scene.again(name, &loud);
        let level = async |client: &mainstay_testkit::Client| {
            client.call("stats", json!({})).await.unwrap()["structuredContent"]["level"].clone()
        };
        assert_eq!(level(&again).await, "debug", "{name}");
        let other = scene.client(name).await;
        again.delete().await.unwrap();
        until("it is quieter", async || level(&other).await == "info").await;
    }
}

#[tokio::test]
async fn a_tool_that_was_seen_is_waited_for() {
    let mut scene = Scene::start().await;
    let client = scene.client("").await;
    client.request("tools/list", json!({})).await.unwrap();
    // Longer than a list waits.
    scene.near_flags = &["--slow-handshake=4500"];
    scene.restart(End::Kill).await;
    let again = scene.again("", &client);
    echo(&again).await;
    // A name that was not published before is not guessed.
    let params = json!({"name": "never_seen", "arguments": {}});
    let answer = again.send("tools/call", params).await.unwrap().answer().await.unwrap();
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    // Restores that fail are reported, too.
    scene.near_flags = &["--die-in-handshake"];
    scene.restart(End::Kill).await;
    let again = scene.again("", &client);
    let params = json!({"name": "echo", "arguments": {}});
    let answer = again.send("tools/call", params).await.unwrap().answer().await.unwrap();
    let code = &answer["error"]["data"]["code"];
    assert!(*code == "SERVER_UNAVAILABLE" || *code == "SERVER_LOADING", "{answer}");
    // The same tool of the other server is there under its published name.
    again.call("far_echo", json!({})).await.unwrap();
}

#[tokio::test]
async fn capabilities_and_revision_are_what_they_were() {
    let mut scene = Scene::start().await;
    let mut old = mainstay_testkit::Client::new(&scene.daemon().endpoint("near")).unwrap();
    old.initialize("2025-03-26", &json!({"roots": {}})).await.unwrap();
    scene.restart(End::Kill).await;
    let again = scene.again("near", &old);
    // Only 2025-03-26 has batches.
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#;
    let mut reply = again.post(batch, &[]).await.unwrap();
    assert_eq!((reply.status, reply.text().await.unwrap().starts_with('[')), (200, true));
    // The session can still be asked for its roots, and for nothing else.
    let params = json!({"name": "ask_roots", "arguments": {}});
    let mut sent = again.send("tools/call", params).await.unwrap();
    let question = sent.next().await.unwrap().unwrap();
    assert_eq!(question["method"], "roots/list", "{question}");
    again.respond(&question["id"], json!({"roots": []})).await.unwrap();
    let answer = sent.answer().await.unwrap();
    assert_eq!(answer["result"]["structuredContent"]["answer"]["roots"], json!([]), "{answer}");
}

#[tokio::test]
async fn a_session_that_listens_is_in_use() {
    let mut scene = Scene::with("session_idle = \"5s\"").await;
    let [listening, idle] = [scene.client("near").await, scene.client("near").await];
    let stream = listening.listen(None).await.unwrap();
    until("the idle one expires", async || scene.metric("mcp_active_sessions").await == 1).await;
    stored(&scene.state(), &["used"]).await;
    scene.restart(End::Kill).await;
    drop(stream);
    echo(&scene.again("near", &listening)).await;
    super::lost(&scene.again("near", &idle)).await;
}
