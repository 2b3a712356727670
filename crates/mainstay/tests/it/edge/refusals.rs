//! Refused requests: each says in JSON what was wrong, what helps, and under which id the log has it.

use std::time::Duration;

use mainstay_testkit::Client;
use serde_json::{Value, json};

use super::{Scene, until, whole};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// Sends a head without a body and returns the answer.
async fn answer_to(scene: &Scene, head: &str) -> (u16, Value) {
    let mut connection = scene.stranger("near").raw().await.unwrap();
    connection.send(format!("{head}\r\n\r\n").as_bytes()).await.unwrap();
    whole(connection.reply().await.unwrap()).await
}

fn assert_says_why(data: &Value, code: &str, what: &str) {
    assert_eq!(data["code"], code, "{what}: {data}");
    assert!(!data["hint"].as_str().unwrap_or_default().is_empty(), "{what}: {data}");
    assert!(!data["request_id"].as_str().unwrap_or_default().is_empty(), "{what}: {data}");
}

#[tokio::test]
async fn a_request_that_is_refused_by_its_head_is_told_why() {
    let scene = Scene::start().await;
    for (head, status, number, code) in [
        ("POST /mcp HTTP/1.1\r\nhost: evil.example", 421, 1010, "FORBIDDEN"),
        (
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\norigin: http://evil.example",
            403,
            1010,
            "FORBIDDEN",
        ),
        ("POST /mcp HTTP/1.1", 400, -32600, "INVALID_REQUEST"),
        ("BREW /mcp HTTP/1.1\r\nhost: localhost", 405, -32600, "INVALID_REQUEST"),
        ("BREW /sse HTTP/1.1\r\nhost: localhost", 405, -32600, "INVALID_REQUEST"),
        ("GET /messages HTTP/1.1\r\nhost: localhost", 405, -32600, "INVALID_REQUEST"),
        (
            "GET /mcp HTTP/1.1\r\nhost: localhost\r\naccept: text/html",
            406,
            -32600,
            "INVALID_REQUEST",
        ),
        (
            "GET /sse HTTP/1.1\r\nhost: localhost\r\naccept: text/html",
            406,
            -32600,
            "INVALID_REQUEST",
        ),
        ("GET /mcp HTTP/1.1\r\nhost: localhost", 400, -32600, "INVALID_REQUEST"),
        ("DELETE /mcp HTTP/1.1\r\nhost: localhost", 400, -32600, "INVALID_REQUEST"),
        (
            "GET /mcp HTTP/1.1\r\nhost: localhost\r\nmcp-session-id: x",
            404,
            -32001,
            "SESSION_NOT_FOUND",
        ),
        (
            "POST /messages?sessionId=x HTTP/1.1\r\nhost: localhost",
            404,
            -32001,
            "SESSION_NOT_FOUND",
        ),
        ("POST /mcp HTTP/1.1\r\nhost: localhost", 415, -32600, "INVALID_REQUEST"),
    ] {
        let (got, answer) = answer_to(&scene, head).await;
        assert_eq!((got, &answer["error"]["code"]), (status, &json!(number)), "{head}: {answer}");
        assert_says_why(&answer["error"]["data"], code, head);
    }
    let (status, answer) = answer_to(&scene, "GET /mcp/none HTTP/1.1\r\nhost: localhost").await;
    assert_eq!(status, 404, "{answer}");
    assert!(answer["endpoints"].as_array().unwrap().contains(&json!("/mcp/near")), "{answer}");
    assert_says_why(&answer["data"], "NOT_FOUND", "an unknown path");
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_request_that_is_refused_by_its_body_is_told_why() {
    let scene = Scene::with("max_body = \"64KiB\"\nmax_depth = 16", &[]).await;
    let client = scene.client("near").await;
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    let large = format!("\"{}\"", "x".repeat(70_000));
    let modern = [("mcp-protocol-version", "2026-07-28")];
    for (body, headers, status, code) in [
        ("{", &[][..], 400, "PARSE_ERROR"),
        ("{}", &[], 400, "INVALID_REQUEST"),
        (&deep, &[], 400, "LIMIT_EXCEEDED"),
        (&large, &[], 413, "LIMIT_EXCEEDED"),
        (PING, &[("mcp-protocol-version", "1999-01-01")], 400, "INVALID_REQUEST"),
        (PING, &[("mcp-session-id", "x")], 404, "SESSION_NOT_FOUND"),
        (PING, &modern, 400, "INVALID_REQUEST"),
    ] {
        let (got, answer) = whole(client.post(body.to_owned(), headers).await.unwrap()).await;
        assert_eq!(got, status, "{answer}");
        let data = &answer["error"]["data"];
        assert_eq!(data["code"], code, "{answer}");
        assert!(!data["request_id"].as_str().unwrap_or_default().is_empty(), "{answer}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_connection_too_many_is_told_so_in_json() {
    let scene = Scene::with("max_connections = 6", &[]).await;
    let open = async || scene.metric("mainstay_connections_open").await;
    let before = open().await;
    let held = std::cell::RefCell::new(Vec::new());
    for _ in before..6 {
        let connection = scene.stranger("near").raw().await.unwrap();
        held.borrow_mut().push(connection);
    }
    let stranger: Client = scene.stranger("near");
    until("a connection is one too many", async || {
        // One of those that were counted may have ended, so a place may be free: then it is taken.
        let other = scene.stranger("near").raw().await.unwrap();
        held.borrow_mut().push(other);
        let Ok(connection) = stranger.raw().await else { return false };
        let reply = tokio::time::timeout(Duration::from_secs(2), connection.reply()).await;
        let Ok(Ok(reply)) = reply else { return false };
        if reply.status != 503 {
            return false;
        }
        assert_eq!(reply.header("retry-after"), Some("1"));
        let (_, answer) = whole(reply).await;
        let data = &answer["error"]["data"];
        assert_eq!(
            (&answer["error"]["code"], &data["code"]),
            (&json!(1011), &json!("LIMIT_EXCEEDED"))
        );
        assert_eq!(data["limit"], "max_connections: 6", "{answer}");
        assert!(data["hint"].is_string() && data["retry_after_ms"].is_u64(), "{answer}");
        true
    })
    .await;
    drop(held);
    until("connections are free again", async || {
        let reply = stranger.plain("GET", "/health").await;
        reply.is_ok_and(|reply| reply.status == 200)
    })
    .await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_head_without_an_end_is_refused_before_it_takes_much_memory() {
    let scene = Scene::start().await;
    let mut connection = scene.stranger("near").raw().await.unwrap();
    let line = format!("x-long: {}\r\n", "a".repeat(1000));
    connection.send(b"GET /mcp HTTP/1.1\r\nhost: localhost\r\n").await.unwrap();
    for _ in 0..40 {
        // The connection may be closed already.
        if connection.send(line.as_bytes()).await.is_err() {
            break;
        }
    }
    let reply = tokio::time::timeout(Duration::from_secs(10), connection.reply()).await.unwrap();
    assert!(reply.is_err() || reply.unwrap().status == 431, "a head of 40 KiB");
    scene.undisturbed().await;
}
