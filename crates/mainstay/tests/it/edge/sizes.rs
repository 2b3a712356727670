//! Bodies that are too large or too slow.

use std::time::{Duration, Instant};

use mainstay_testkit::Client;
use serde_json::{Value, json};

use super::{Scene, call, whole};

#[track_caller]
fn is_too_large(status: u16, answer: &Value) {
    assert_eq!((status, &answer["error"]["code"]), (413, &json!(1011)), "{answer}");
    assert_eq!(answer["error"]["data"]["limit"], "max_body: 4194304 bytes", "{answer}");
    assert_eq!(answer["error"]["data"]["code"], "LIMIT_EXCEEDED");
}

/// Returns the head of a POST in the client's session, with other headers for its length.
fn head(client: &Client, length: &[(&str, &str)]) -> String {
    client.head("POST", &[("content-type", "application/json")], length)
}

#[tokio::test]
async fn a_body_of_ten_megabytes_is_too_large() {
    let scene = Scene::start().await;
    let client = scene.client("near").await;
    let body = call("1", "echo", &json!({"text": "x".repeat(10_000_000)}));
    let sent = client.post(body, &[("x-request-id", "large-1")]).await.unwrap();
    let (status, answer) = whole(sent).await;
    is_too_large(status, &answer);
    assert_eq!(answer["error"]["data"]["request_id"], "large-1", "{answer}");
    let most = call("1", "echo", &json!({"text": "x".repeat(4_000_000)}));
    assert_eq!(whole(client.post(most, &[]).await.unwrap()).await.0, 200);
    assert_eq!(scene.refused("body_size").await, 1);
    assert_eq!(scene.count("near", "tool echo").await, 1);
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_gigabyte_is_refused_before_it_is_sent() {
    let scene = Scene::start().await;
    let client = scene.client("near").await;
    for length in ["1073741824", "1099511627776"] {
        let mut connection = client.raw().await.unwrap();
        // No byte of the body follows.
        connection.send(head(&client, &[("content-length", length)]).as_bytes()).await.unwrap();
        let reply = connection.reply().await.unwrap();
        assert_eq!(reply.header("connection"), Some("close"));
        let (status, answer) = whole(reply).await;
        is_too_large(status, &answer);
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_body_without_an_end_is_cut_at_the_limit() {
    let scene = Scene::start().await;
    let client = scene.client("near").await;
    let mut connection = client.raw().await.unwrap();
    let chunked = head(&client, &[("transfer-encoding", "chunked")]);
    connection.send(chunked.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
    let mut sent = 0;
    // The daemon stops reading soon after the limit. Its buffers accept little more.
    while sent < 64 << 20 && connection.send(chunk.as_bytes()).await.is_ok() {
        sent += chunk.len();
    }
    assert!(sent < 64 << 20, "{sent} bytes were taken");
    assert_eq!(scene.refused("body_size").await, 1);
    scene.undisturbed().await;
}

#[tokio::test]
async fn slow_senders_are_given_up() {
    let scene = Scene::with("receive_timeout = \"300ms\"", &[]).await;
    let client = scene.client("near").await;
    let begun = Instant::now();
    let pause = Duration::from_millis(50);

    let mut headers = client.raw().await.unwrap();
    let endless = format!("POST /mcp HTTP/1.1\r\nx: {}", "y".repeat(1000));
    let _ = headers.send_slowly(endless.as_bytes(), 10, pause).await;
    // A head that never ends gets no answer, because there is no request.
    let _ = headers.read_to_end().await;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());

    for length in [("content-length", "100"), ("transfer-encoding", "chunked")] {
        let mut body = client.raw().await.unwrap();
        body.send(head(&client, &[length]).as_bytes()).await.unwrap();
        let _ = body.send_slowly(b"1\r\n{\r\n1\r\n", 1, pause).await;
        let (status, answer) = whole(body.reply().await.unwrap()).await;
        assert_eq!((status, &answer["error"]["code"]), (408, &json!(1011)), "{answer}");
        assert_eq!(answer["error"]["data"]["limit"], "receive_timeout: 300ms", "{answer}");
    }
    assert_eq!(scene.refused("slow").await, 2);
    scene.undisturbed().await;
}

#[tokio::test]
async fn many_slow_senders_hold_up_nobody() {
    let scene = Scene::start().await;
    let client = scene.client("near").await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut connection = client.raw().await.unwrap();
        let announced = head(&client, &[("content-length", "1000")]);
        connection.send(announced.as_bytes()).await.unwrap();
        slow.push(connection);
    }
    let begun = Instant::now();
    for _ in 0..20 {
        scene.undisturbed().await;
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(scene.metric("mainstay_connections_open").await >= 200);
}
