//! The revision of a session.

use serde_json::{Value, json};

use super::{Scene, call, whole};

#[tokio::test]
async fn each_revision_is_spoken_as_it_was_asked_for() {
    let scene = Scene::start().await;
    for name in ["near", "far", ""] {
        for (asked, spoken) in [
            ("2025-03-26", "2025-03-26"),
            ("2025-06-18", "2025-06-18"),
            ("2025-11-25", "2025-11-25"),
            ("2026-07-28", "2025-11-25"),
            ("1999-12-31", "2025-11-25"),
            ("", "2025-11-25"),
        ] {
            let mut client = scene.stranger(name);
            let result = client.initialize(asked, &json!({})).await.unwrap();
            assert_eq!(result["protocolVersion"], spoken, "{name} {asked}");
            assert!(client.session().unwrap().bytes().all(|byte| byte.is_ascii_graphic()));
            if !name.is_empty() {
                // The address of one server forwards the server's own text.
                assert_eq!(result["serverInfo"], json!({"name": "misbehave", "version": "0"}));
                assert_eq!(result["capabilities"]["resources"]["subscribe"], true);
            }
            let tools = client.request("tools/list", json!({})).await.unwrap();
            assert!(tools["tools"].as_array().unwrap().len() > 20, "{name} {asked}");
            client.call("echo", json!({"asked": asked})).await.unwrap();
        }
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_handshake_that_cannot_be_read_opens_nothing() {
    let scene = Scene::start().await;
    let before = scene.metric("mcp_active_sessions").await;
    for params in [
        "null",
        "[]",
        "{}",
        r#"{"protocolVersion":7}"#,
        r#"{"protocolVersion":"a","protocolVersion":"b"}"#,
    ] {
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":"i","method":"initialize","params":{params}}}"#);
        let reply = scene.stranger("near").post(body, &[]).await.unwrap();
        assert_eq!(reply.header("mcp-session-id"), None);
        let (status, answer) = whole(reply).await;
        assert_eq!((status, &answer["id"]), (200, &json!("i")), "{params}: {answer}");
        assert_eq!(answer["error"]["code"], -32602, "{params}: {answer}");
    }
    let client = scene.client("near").await;
    let again = json!({"protocolVersion": "2025-11-25", "capabilities": {}});
    let refused = client.send("initialize", again).await.unwrap().answer().await.unwrap();
    // A second handshake on the same connection opens another session or is an error.
    assert!(refused["error"].is_object() || refused["result"].is_object());
    assert!(scene.metric("mcp_active_sessions").await <= before + 2);
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_wrong_revision_header_is_told_the_right_ones() {
    let scene = Scene::start().await;
    let client = scene.client("near").await;
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    for (version, status) in [
        ("2025-11-25", 200),
        ("2025-06-18", 200),
        ("2025-03-26", 200),
        ("", 200),
        ("1999-12-31", 400),
        ("latest", 400),
        ("2026-07-28", 400),
        ("\u{e9}", 400),
    ] {
        let sent = client.post(ping, &[("mcp-protocol-version", version)]).await.unwrap();
        let (got, answer) = whole(sent).await;
        assert_eq!(got, status, "{version}: {answer}");
        if status == 400 {
            assert_eq!(answer["error"]["code"], -32600, "{version}: {answer}");
            assert_eq!(answer["id"], 1, "{version}: {answer}");
            let says = answer["error"]["message"].as_str().unwrap();
            assert!(says.contains("2025-06-18") && says.contains("initialize"), "{says}");
        }
    }
    assert_eq!(scene.refused("revision").await, 4);
    scene.undisturbed().await;
}

/// Clients of both eras try the newer era first and fall back to the older one after any error that only a
/// newer server would not send.
#[tokio::test]
async fn requests_of_the_next_revision_send_clients_back_to_initialize() {
    let scene = Scene::start().await;
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    for name in ["near", "far", ""] {
        let mut client = scene.stranger(name);
        for (method, header) in [
            ("server/discover", "2026-07-28"),
            ("server/discover", ""),
            ("tools/list", "2026-07-28"),
            ("tools/call", "2026-07-28"),
        ] {
            let params = json!({"_meta": meta, "name": "echo", "arguments": {}});
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
            let headers = [("mcp-protocol-version", header), ("mcp-method", method)];
            let (status, answer) =
                whole(client.post(body.to_string(), &headers).await.unwrap()).await;
            assert_eq!((status, &answer["result"]), (400, &Value::Null), "{method}: {answer}");
            let code = answer["error"]["code"].as_i64().unwrap();
            assert!(!(-32022..=-32020).contains(&code), "{method}: {answer}");
            let says = answer["error"]["message"].as_str().unwrap();
            assert!(says.contains("initialize"), "{says}");
        }
        let result = client.initialize("2026-07-28", &json!({})).await.unwrap();
        assert_eq!(result["protocolVersion"], "2025-11-25");
        client.call("echo", json!({})).await.unwrap();
    }
    assert_eq!(scene.count("near", "tool echo").await, 2);
    scene.undisturbed().await;
}

#[tokio::test]
async fn batches_are_for_the_one_revision_that_has_them() {
    let scene = Scene::start().await;
    let batch = format!(
        r#"[{},{{"jsonrpc":"2.0","method":"notifications/x"}},{},7,{{"jsonrpc":"2.0","id":3,"method":"ping"}}]"#,
        call("\"a\"", "slow", &json!({"ms": 20})),
        call("\"a\"", "echo", &json!({"n": 2})),
    );
    for name in ["near", "far"] {
        let old = scene.able(name, "2025-03-26", json!({})).await;
        for header in ["2025-03-26", ""] {
            let sent = old.post(batch.clone(), &[("mcp-protocol-version", header)]).await.unwrap();
            let (status, answer) = whole(sent).await;
            let answers = answer.as_array().unwrap_or_else(|| panic!("{status}: {answer}"));
            let count = |id: Value| answers.iter().filter(|answer| answer["id"] == id).count();
            assert_eq!((status, answers.len()), (200, 4), "{answer}");
            assert_eq!(
                (count(json!("a")), count(Value::Null), count(json!(3))),
                (2, 1, 1),
                "{answer}"
            );
        }
        let nothing = r#"[{"jsonrpc":"2.0","method":"notifications/x"}]"#;
        assert_eq!(old.post(nothing, &[]).await.unwrap().status, 202);
        for bad in ["[]", r#"[{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}]"#] {
            let (_, answer) = whole(old.post(bad, &[]).await.unwrap()).await;
            let error = if answer.is_array() { &answer[0]["error"] } else { &answer["error"] };
            assert_eq!(error["code"], -32600, "{bad}: {answer}");
        }
        // All of them run at once, so they are counted.
        let many = vec![r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#; 101];
        let most = format!("[{}]", many[1..].join(","));
        assert_eq!(
            whole(old.post(most, &[]).await.unwrap()).await.1.as_array().unwrap().len(),
            100
        );
        let more = format!("[{}]", many.join(","));
        let (status, answer) = whole(old.post(more, &[]).await.unwrap()).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &json!(1011)), "{answer}");
        for revision in ["2025-06-18", "2025-11-25"] {
            let client = scene.able(name, revision, json!({})).await;
            let (status, answer) = whole(client.post(batch.clone(), &[]).await.unwrap()).await;
            assert_eq!((status, &answer["error"]["code"]), (400, &json!(-32600)), "{answer}");
        }
    }
    scene.undisturbed().await;
}
