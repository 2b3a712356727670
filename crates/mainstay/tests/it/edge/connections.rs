//! Connections that end unexpectedly or carry several requests at a time.

use mainstay_testkit::Client;
use serde_json::json;

use super::{PATIENCE, Scene, call, until};

fn posted(client: &Client, body: &str, headers: &[(&str, &str)]) -> String {
    let length = body.len().to_string();
    let own = [("content-type", "application/json"), ("content-length", length.as_str())];
    client.head("POST", &own, headers) + body
}

#[tokio::test]
async fn requests_may_follow_each_other_without_waiting() {
    let scene = Scene::start().await;
    let client = scene.client("near").await;
    let mut connection = client.raw().await.unwrap();
    // The first request takes longest, and answers still come in the order of the requests.
    let slow = posted(&client, &call("\"first\"", "slow", &json!({"ms": 100})), &[]);
    let quick = posted(&client, &call("\"second\"", "echo", &json!({})), &[]);
    let ping = r#"{"jsonrpc":"2.0","id":"third","method":"ping"}"#;
    let last = posted(&client, ping, &[("connection", "close")]);
    connection.send((slow + &quick + &last).as_bytes()).await.unwrap();
    let text = String::from_utf8(connection.read_to_end().await.unwrap()).unwrap();
    let at = |id: &str| text.find(&format!(r#""id":"{id}""#)).unwrap_or_else(|| panic!("{text}"));
    assert!(at("first") < at("second") && at("second") < at("third"), "{text}");
    assert_eq!(text.matches("HTTP/1.1 200").count(), 3, "{text}");
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_connection_cut_in_a_request_is_the_end_of_that_request_only() {
    let scene = Scene::start().await;
    let client = scene.client("near").await;
    let whole = posted(&client, &call("1", "echo", &json!({"text": "x".repeat(1000)})), &[]);
    let head = whole.find("\r\n\r\n").unwrap() + 4;
    for part in [1, 20, head, head + 1, head + 500, whole.len() - 1] {
        let mut cut = client.raw().await.unwrap();
        cut.send(&whole.as_bytes()[..part]).await.unwrap();
        drop(cut);
        // The same with half of the connection still open: it gets the answer, or the connection ends.
        let mut half = client.raw().await.unwrap();
        half.send(&whole.as_bytes()[..part]).await.unwrap();
        half.half_close().await.unwrap();
        let text = String::from_utf8(half.read_to_end().await.unwrap()).unwrap();
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 400"), "{part}: {text}");
    }
    assert_eq!(scene.count("near", "tool echo").await, 0);
    until("connections close", async || scene.metric("mainstay_connections_open").await <= 5).await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_half_closed_connection_holds_nothing() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let client = scene.client(name).await;
        let mut half = client.raw().await.unwrap();
        let slow = posted(&client, &call("1", "slow", &json!({"ms": 200})), &[]);
        half.send(slow.as_bytes()).await.unwrap();
        scene.seen(name, "tool slow", 1).await;
        half.half_close().await.unwrap();
        // The answer may still come. If it does it is complete, and then the connection ends.
        let text = String::from_utf8(half.read_to_end().await.unwrap()).unwrap();
        assert!(text.is_empty() || text.ends_with('}'), "{text}");
        until("the call ends", async || scene.in_flight().await == 0).await;
        client.call("echo", json!({})).await.unwrap();
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_connection_cut_in_an_answer_disturbs_nobody() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let client = scene.client(name).await;
        for _ in 0..3 {
            let sent = client.send("tools/call", json!({"name": "huge", "arguments": {}})).await;
            let mut exchange = sent.unwrap();
            assert!(exchange.reply.bytes().await.unwrap().is_some());
            // The connection is dropped with nearly all of the 10 MB unread.
        }
        // The session whose answer was cut continues, too.
        client.call("echo", json!({})).await.unwrap();
    }
    until("nothing hangs", async || scene.in_flight().await == 0).await;
    scene.undisturbed().await;
}

#[tokio::test]
async fn what_is_no_http_is_turned_away() {
    let scene = Scene::start().await;
    let client = scene.stranger("near");
    let huge = format!("GET /mcp HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    let many: String = (0..2000).map(|at| format!("x{at}: y\r\n")).collect();
    let many = format!("GET /mcp HTTP/1.1\r\n{many}\r\n");
    for bytes in
        ["\0\u{1}\u{2}\u{3}\r\n\r\n", "{\"jsonrpc\":\"2.0\"}\n\n", "GET\r\n\r\n", &huge, &many]
    {
        let mut connection = client.raw().await.unwrap();
        // The daemon may close before it has read everything.
        let _ = connection.send(bytes.as_bytes()).await;
        let read = tokio::time::timeout(PATIENCE, connection.read_to_end()).await;
        let text = read.expect("the connection is closed").unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn past_the_most_connections_there_is_a_quick_503() {
    let scene = Scene::with("max_connections = 8", &[]).await;
    let stranger = scene.stranger("near");
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(stranger.raw().await.unwrap());
    }
    let last = silent.pop().unwrap().read_to_end().await.unwrap();
    let text = String::from_utf8(last).unwrap();
    assert!(text.starts_with("HTTP/1.1 503"), "{text}");
    assert!(
        text.contains("retry-after: 1\r\n") && text.contains("connection: close\r\n"),
        "{text}"
    );
    // Existing clients are served as before.
    scene.undisturbed().await;
    // Only the question whether the process lives is answered: who asks it would end the daemon.
    for (method, path, expected) in [
        ("GET", "/health/live", "HTTP/1.1 200"),
        ("HEAD", "/health/live", "HTTP/1.1 200"),
        ("GET", "/health", "HTTP/1.1 503"),
    ] {
        let mut asked = stranger.raw().await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        asked.send(request.as_bytes()).await.unwrap();
        let text = String::from_utf8(asked.read_to_end().await.unwrap()).unwrap();
        assert!(text.starts_with(expected), "{method} {path}: {text}");
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body.is_empty(), method == "HEAD", "{text}");
        assert!(
            body.is_empty() || body.contains("\"status\"") == text.contains("200 OK"),
            "{text}"
        );
    }
    drop(silent);
    until("there is room again", async || {
        let asked = stranger.plain("GET", "/health/live").await;
        asked.is_ok_and(|reply| reply.status == 200)
    })
    .await;
    assert!(scene.refused("connection_limit").await >= 12);
    scene.undisturbed().await;
}
