//! Ids and progress tokens, which come back exactly as the client wrote them.

use serde_json::{Value, json};

use super::{Scene, call};

const IDS: [&str; 14] = [
    "0",
    "-0",
    "-1",
    "1.0",
    "1e2",
    "1E400",
    "9007199254740993",
    "123456789012345678901234567890",
    r#""""#,
    r#""1""#,
    r#""a\u0062\"\\\/""#,
    r#""\ud83d\ude00""#,
    "\"\u{e9}\u{1f600}\"",
    r#""00000000-0000-4000-8000-000000000000""#,
];

#[tokio::test]
async fn ids_come_back_byte_for_byte() {
    let scene = Scene::start().await;
    for name in ["near", "far", ""] {
        let client = scene.client(name).await;
        for id in IDS {
            for body in [
                call(id, "echo", &json!({"id": id})),
                call(id, "no such tool", &json!({})),
                format!(r#"{{"method":"ping","id": {id} ,"jsonrpc":"2.0"}}"#),
                format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list"}}"#),
            ] {
                let mut reply = client.post(body.clone(), &[]).await.unwrap();
                let text = reply.text().await.unwrap();
                assert_eq!(reply.status, 200, "{body}: {text}");
                assert!(text.contains(&format!(r#""id":{id}"#)), "{body}: {text}");
            }
        }
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn the_same_id_may_be_in_flight_many_times() {
    let scene = Scene::with("", &["--delay=20"]).await;
    let mut calls = tokio::task::JoinSet::new();
    for name in ["near", "far"] {
        let shared = scene.client(name).await;
        for number in 0..60 {
            // Requests of one session, and of others with the same id.
            let client = if number % 3 == 0 { scene.client(name).await } else { shared.clone() };
            calls.spawn(async move {
                let mine = json!({"name": name, "number": number});
                let body = call("7", "echo", &mine);
                let answer = client.post(body, &[]).await.unwrap().message().await.unwrap();
                let answer = answer.unwrap();
                assert_eq!(
                    (&answer["id"], &answer["result"]["structuredContent"]["echo"]),
                    (&json!(7), &mine)
                );
            });
        }
    }
    while let Some(done) = calls.join_next().await {
        done.unwrap();
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn progress_tokens_come_back_with_their_type() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let client = scene.client(name).await;
        for token in IDS {
            let params = format!(
                r#"{{"_meta":{{"x":1,"progressToken":{token}}},"name":"progress","arguments":{{"ms":1}}}}"#
            );
            let body =
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
            let mut reply = client.post(body, &[]).await.unwrap();
            let mut steps = Vec::new();
            while let Some(event) = reply.event().await.unwrap() {
                if event.data.is_empty() {
                    continue;
                }
                let message: Value = lenient(&event.data);
                if message["method"] == "notifications/progress" {
                    assert!(
                        event.data.contains(&format!(r#""progressToken":{token}"#)),
                        "{name} {token}: {}",
                        event.data
                    );
                    steps.push(message["params"]["progress"].clone());
                }
            }
            assert_eq!(steps, [1, 2, 3], "{name} {token}");
        }
    }
    scene.undisturbed().await;
}

/// JSON in which a number may exceed every number type.
fn lenient(text: &str) -> Value {
    serde_json::from_str(&text.replace("1E400", "1")).unwrap()
}

#[tokio::test]
async fn equal_tokens_of_many_clients_are_not_mixed_up() {
    let scene = Scene::start().await;
    let mut calls = tokio::task::JoinSet::new();
    for name in ["near", "far"] {
        for steps in 1..=12 {
            let client = scene.client(name).await;
            calls.spawn(async move {
                let params = json!({
                    "name": "progress", "arguments": {"steps": steps, "ms": 3},
                    "_meta": {"progressToken": "same"},
                });
                let mut exchange = client.send("tools/call", params).await.unwrap();
                let (before, answer) = exchange.all().await.unwrap();
                assert!(before.iter().all(|one| one["params"]["progressToken"] == "same"));
                assert!(before.iter().all(|one| one["params"]["total"] == steps), "{before:?}");
                assert_eq!(before.len(), steps, "{before:?}");
                assert_eq!(answer["result"]["structuredContent"]["echo"]["steps"], steps);
            });
        }
    }
    while let Some(done) = calls.join_next().await {
        done.unwrap();
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn progress_that_nobody_asked_for_reaches_nobody() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let client = scene.client(name).await;
        let _open = client.listen(None).await.unwrap();
        for tool in ["progress_unknown", "progress_late", "progress"] {
            let params = json!({"name": tool, "arguments": {"ms": 1}});
            let (before, _) = client.send("tools/call", params).await.unwrap().all().await.unwrap();
            assert!(before.is_empty(), "{name} {tool}: {before:?}");
        }
        // Progress may also decrease. Judging that is up to the client.
        let meta = json!({"progressToken": 1});
        let params = json!({"name": "progress_backwards", "arguments": {}, "_meta": meta});
        let (before, _) = client.send("tools/call", params).await.unwrap().all().await.unwrap();
        assert_eq!(before.len(), 3, "{name}: {before:?}");
    }
    scene.undisturbed().await;
}
