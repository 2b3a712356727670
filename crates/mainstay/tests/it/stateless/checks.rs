//! Checks of a request before it has any effect.

use serde_json::{Value, json};

use super::Scene;

const META: &str = "io.modelcontextprotocol/";

fn forget(member: &'static str) -> impl FnOnce(&mut Value) {
    move |body| {
        let meta = body["params"]["_meta"].as_object_mut().unwrap();
        meta.remove(&format!("{META}{member}")).unwrap();
    }
}

#[tokio::test]
async fn each_fault_has_its_status_and_its_code() {
    let scene = Scene::start().await;
    for name in ["near", "far", ""] {
        let list = || scene.request(name, "tools/list", json!({}));
        let call = || scene.request(name, "tools/call", json!({"name": "echo", "arguments": {}}));
        let method = |method| scene.request(name, method, json!({}));
        for (what, request, status, code) in [
            ("no version in _meta", list().body(forget("protocolVersion")), 400, -32602),
            ("no capabilities", list().body(forget("clientCapabilities")), 400, -32602),
            ("no _meta", list().body(|body| body["params"] = json!({})), 400, -32602),
            ("no version header", list().header("mcp-protocol-version", None), 400, -32020),
            ("another", list().header("mcp-protocol-version", Some("2025-11-25")), 400, -32020),
            ("no method header", list().header("mcp-method", None), 400, -32020),
            ("another method", list().header("mcp-method", Some("tools/call")), 400, -32020),
            ("no name header", call().header("mcp-name", None), 400, -32020),
            ("another name", call().header("mcp-name", Some("hang")), 400, -32020),
            ("not base64", call().header("mcp-name", Some("=?base64?!?=")), 400, -32020),
            ("a method of old", method("ping"), 404, -32601),
            ("another", method("logging/setLevel"), 404, -32601),
            ("a handshake", method("initialize"), 404, -32601),
            ("a server's question", method("sampling/createMessage"), 404, -32601),
        ] {
            let (got, answer) = request.whole().await;
            assert_eq!(
                (got, &answer["error"]["code"]),
                (status, &json!(code)),
                "{name} {what}: {answer}"
            );
            assert_eq!(answer["id"], "q", "{name} {what}");
        }
        let later = |body: &mut Value| {
            body["params"]["_meta"][format!("{META}protocolVersion")] = json!("2031-01-01");
        };
        let unknown = list().body(later).header("mcp-protocol-version", Some("2031-01-01"));
        let (status, answer) = unknown.whole().await;
        assert_eq!(status, 400, "{answer}");
        let data = json!({"supported": ["2026-07-28"], "requested": "2031-01-01"});
        assert_eq!((&answer["error"]["code"], &answer["error"]["data"]), (&json!(-32022), &data));
    }
}

#[tokio::test]
async fn a_session_id_is_ignored_and_none_is_given() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let request = scene.request(name, "tools/list", json!({}));
        let mut reply = request.header("mcp-session-id", Some("stale")).send().await;
        assert_eq!(reply.status, 200);
        assert!(reply.header("mcp-session-id").is_none());
        assert!(reply.json().await.unwrap()["result"]["tools"].is_array());
    }
    let mut metrics =
        scene.request("near", "x", json!({})).to.plain("GET", "/metrics").await.unwrap();
    assert!(metrics.text().await.unwrap().contains("mcp_active_sessions 0"));
}

#[tokio::test]
async fn answers_are_refused_and_notifications_taken() {
    let scene = Scene::start().await;
    let answer = scene.request("near", "x", json!({})).body(|body| {
        *body = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
    });
    assert_eq!(answer.whole().await.0, 400);
    let note = scene.request("near", "notifications/cancelled", json!({"requestId": "q"}));
    let mut reply = note.body(|body| drop(body.as_object_mut().unwrap().remove("id"))).send().await;
    assert_eq!((reply.status, reply.text().await.unwrap().as_str()), (202, ""));
}

#[tokio::test]
async fn arguments_repeated_as_headers_are_checked_and_sent_on() {
    let scene = Scene::with("", &["--mirrors"]).await;
    let (_, list) = scene.ask("far", "tools/list", json!({})).await;
    let tools = list["result"]["tools"].as_array().unwrap();
    let mirrored = tools.iter().find(|tool| tool.to_string().contains("x-mcp-header"));
    let tool = mirrored.expect("one that repeats an argument")["name"].as_str().unwrap().to_owned();
    let property = mirrored.unwrap()["inputSchema"]["properties"].as_object().unwrap().clone();
    let (argument, header) = property
        .iter()
        .find_map(|(name, schema)| {
            Some((name.clone(), schema["x-mcp-header"].as_str()?.to_lowercase()))
        })
        .expect("at the top");
    let header = format!("mcp-param-{header}");
    let call = || {
        scene.request(
            "far",
            "tools/call",
            json!({"name": tool, "arguments": {argument.clone(): "Übersee"}}),
        )
    };
    let (status, answer) = call().whole().await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!(-32020)), "{answer}");
    let (status, answer) = call().header(&header, Some("elsewhere")).whole().await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!(-32020)), "{answer}");
    // "Übersee", encoded as the transport requires for text that is not plain ASCII.
    let (status, answer) = call().header(&header, Some("=?base64?w5xiZXJzZWU=?=")).whole().await;
    assert_eq!((status, answer["error"].is_null()), (200, true), "{answer}");
}
