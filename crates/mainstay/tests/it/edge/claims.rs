//! Members of `_meta` that 2026-07-28 has, in requests of older sessions.

use serde_json::{Value, json};

use super::{Scene, whole};

/// What clients of both eras put into `_meta`, alone and together.
fn metas() -> Vec<Value> {
    let level = json!({"io.modelcontextprotocol/logLevel": "info"});
    let info = json!({"io.modelcontextprotocol/clientInfo": {"name": "x", "version": "1"}});
    let capabilities = json!({"io.modelcontextprotocol/clientCapabilities": {}});
    let version = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    let mut all = json!({});
    for one in [&level, &info, &capabilities, &version] {
        all.as_object_mut().unwrap().extend(one.as_object().unwrap().clone());
    }
    vec![level, info, capabilities, version, all]
}

#[tokio::test]
async fn in_a_session_the_session_decides() {
    // A server of both eras could serve such a request without the session, and would answer otherwise.
    for flags in [&[][..], &["--dual"]] {
        let scene = Scene::with("", flags).await;
        for (name, revision) in
            [("near", "2025-06-18"), ("far", "2025-11-25"), ("", "2025-03-26"), ("", "2025-11-25")]
        {
            let client = scene.able(name, revision, json!({})).await;
            for meta in metas() {
                let params = json!({"_meta": meta});
                let listed = client.request("tools/list", params).await.unwrap();
                assert!(listed["tools"].as_array().unwrap().len() > 20, "{name} {meta}");
                assert_eq!(listed["resultType"], Value::Null, "{name} {meta}: {listed}");
                let params = json!({"name": "echo", "arguments": {"n": 1}, "_meta": meta});
                let answer = client.request("tools/call", params).await.unwrap();
                assert_eq!(answer["structuredContent"]["echo"]["n"], 1, "{name} {meta}");
                client.request("ping", json!({"_meta": meta})).await.unwrap();
                client.notify("notifications/x", json!({"_meta": meta})).await.unwrap();
            }
        }
        scene.undisturbed().await;
    }
}

#[tokio::test]
async fn without_a_session_only_the_revision_is_a_claim() {
    let scene = Scene::with("", &["--dual"]).await;
    for meta in metas() {
        let claims = meta["io.modelcontextprotocol/protocolVersion"].is_string();
        let body =
            json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}});
        let sent = scene.stranger("near").post(body.to_string(), &[]).await.unwrap();
        let (status, answer) = whole(sent).await;
        assert_eq!(status, 400, "{answer}");
        let says = answer["error"]["message"].as_str().unwrap();
        assert_eq!(!claims, says.contains("send initialize"), "{meta}: {says}");
    }
    // Members of `_meta` in a handshake of older revisions change nothing about it.
    for meta in &metas()[..3] {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "_meta": meta,
            "clientInfo": {"name": "x", "version": "1"}});
        let opened = scene.stranger("near").request("initialize", params).await.unwrap();
        assert_eq!(opened["protocolVersion"], "2025-11-25", "{meta}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_header_claims_in_a_session_too() {
    let scene = Scene::with("", &["--dual"]).await;
    let client = scene.client("").await;
    let meta = metas().pop().unwrap();
    let body =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}});
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")];
    let (status, answer) = whole(client.post(body.to_string(), &headers).await.unwrap()).await;
    assert_eq!((status, &answer["result"]["resultType"]), (200, &json!("complete")), "{answer}");
    scene.undisturbed().await;
}

#[tokio::test]
async fn methods_that_older_revisions_lack_are_unknown_in_their_sessions() {
    let scene = Scene::with("", &["--dual"]).await;
    for name in ["near", "far", ""] {
        let client = scene.client(name).await;
        for method in ["server/discover", "subscriptions/listen", "tasks/update"] {
            let sent = client.send(method, json!({})).await.unwrap();
            let (status, answer) = whole(sent.reply).await;
            assert_eq!((status, &answer["error"]["code"]), (200, &json!(-32601)), "{answer}");
        }
    }
    scene.undisturbed().await;
}
