//! Unknown addresses, methods and headers.

use serde_json::{Value, json};

use super::{Scene, call, whole};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[tokio::test]
async fn an_unknown_address_names_the_known_ones() {
    let scene = Scene::start().await;
    for path in
        ["/mcp/nobody", "/mcp/near/x", "/nothing", "/mcpx", "/mcp/%6eear", "/mcp/../health", "/api"]
    {
        for method in ["GET", "POST", "DELETE", "PUT"] {
            let sent = scene.stranger("near").plain(method, path).await.unwrap();
            let (status, body) = whole(sent).await;
            assert_eq!(status, 404, "{method} {path}: {body}");
            assert!(body["error"].as_str().unwrap().contains(path), "{path}: {body}");
            let mut names: Vec<_> = body["endpoints"].as_array().unwrap().iter().collect();
            names.sort_by_key(ToString::to_string);
            assert_eq!(names, ["/mcp", "/mcp/far", "/mcp/near"], "{path}");
        }
    }
    assert_eq!(scene.refused("path").await, 28);
    scene.undisturbed().await;
}

#[tokio::test]
async fn unknown_http_methods_are_told_the_known_ones() {
    let scene = Scene::start().await;
    for method in ["PUT", "PATCH", "HEAD", "TRACE", "BREW"] {
        let mut connection = scene.stranger("near").raw().await.unwrap();
        let head =
            format!("{method} /mcp/near HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        connection.send(head.as_bytes()).await.unwrap();
        let text = String::from_utf8(connection.read_to_end().await.unwrap()).unwrap();
        assert!(text.starts_with("HTTP/1.1 405"), "{method}: {text}");
        assert!(text.contains("allow: POST, GET, DELETE, OPTIONS"), "{method}: {text}");
    }
    for path in ["/health", "/metrics"] {
        let reply = scene.stranger("near").plain("POST", path).await.unwrap();
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")), "{path}");
    }
    assert_eq!(scene.refused("http_method").await, 5);
    scene.undisturbed().await;
}

#[tokio::test]
async fn unknown_methods_are_the_servers_to_refuse() {
    let scene = Scene::start().await;
    for name in ["near", "far", ""] {
        let client = scene.client(name).await;
        for method in ["nobody/knows", "", "tools/list/", "TOOLS/LIST", "rpc.discover"] {
            let body = json!({"jsonrpc": "2.0", "id": "u", "method": method, "params": {}});
            let (status, answer) = whole(client.post(body.to_string(), &[]).await.unwrap()).await;
            // The status is never 404, which clients treat as the end of their session.
            assert_eq!((status, &answer["id"]), (200, &json!("u")), "{name} {method}: {answer}");
            assert_eq!(answer["error"]["code"], -32601, "{name} {method}: {answer}");
        }
        // Notifications get no answer, whether they are known or not.
        client.notify("notifications/nobody_knows", json!({"x": 1})).await.unwrap();
        client.respond(&json!(4711), json!({})).await.unwrap();
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_body_of_another_type_is_not_read() {
    let scene = Scene::start().await;
    let client = scene.client("near").await;
    for (kind, status) in [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/jsonp", 415),
        ("text/event-stream", 415),
        ("", 415),
    ] {
        let sent = client.post(PING, &[("content-type", kind)]).await.unwrap();
        let (got, answer) = whole(sent).await;
        assert_eq!(got, status, "{kind}: {answer}");
        if status == 415 {
            assert_eq!(answer["error"]["code"], -32600, "{kind}: {answer}");
            let says = answer["error"]["message"].as_str().unwrap();
            assert!(says.contains("application/json"), "{says}");
        }
    }
    assert_eq!(scene.refused("media_type").await, 5);
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_client_gets_only_what_it_accepts() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let client = scene.client(name).await;
        let params = json!({"name": "progress", "arguments": {}, "_meta": {"progressToken": 1}});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        for (accept, streams) in [
            ("application/json, text/event-stream", true),
            ("text/event-stream", true),
            ("*/*", true),
            ("", true),
            ("application/json", false),
        ] {
            let sent = client.post(body.to_string(), &[("accept", accept)]).await;
            let mut reply = sent.unwrap();
            assert_eq!((reply.status, reply.is_stream()), (200, streams), "{name} {accept:?}");
            while let Some(message) = reply.message().await.unwrap() {
                assert!(message["error"].is_null(), "{name} {accept:?}: {message}");
            }
        }
        // GET is only for streams.
        let mut connection = client.raw().await.unwrap();
        let head = client.head("GET", &[], &[("accept", "application/json")]);
        connection.send(head.as_bytes()).await.unwrap();
        let (status, answer) = whole(connection.reply().await.unwrap()).await;
        assert_eq!((status, &answer["error"]["code"]), (406, &json!(-32600)), "{answer}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_client_that_takes_no_stream_cannot_be_asked_and_need_not_wait_for_it() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let client = scene.able(name, "2025-11-25", json!({"elicitation": {}})).await;
        let accept = [("accept", "application/json")];
        let sent = client.post(call("1", "ask_user", &json!({})), &accept).await.unwrap();
        let (status, answer) = whole(sent).await;
        assert_eq!((status, &answer["error"]), (200, &Value::Null), "{name}: {answer}");
        let heard = &answer["result"]["structuredContent"]["answer"];
        assert_eq!(heard["code"], -32601, "{name}: {answer}");
    }
    scene.undisturbed().await;
}
