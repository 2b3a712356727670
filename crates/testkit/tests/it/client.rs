//! The raw client against answers in every form.

use std::time::Duration;

use mainstay_testkit::Client;
use serde_json::json;

use crate::running::{request, site};

#[tokio::test]
async fn answers_are_the_same_however_they_are_sent() {
    for flags in
        [&[][..], &["--json"], &["--json", "--pretty"], &["--sse"], &["--odd-sse", "--sse"]]
    {
        let (url, _guard) = site(flags).await;
        let client = Client::connect(&url).await.unwrap();
        for number in 0..7 {
            let result = client.call("echo", json!({"n": number, "s": "é😀"})).await.unwrap();
            assert_eq!(result["structuredContent"]["echo"]["n"], number, "{flags:?}");
            assert_eq!(result["structuredContent"]["echo"]["s"], "é😀", "{flags:?}");
        }
        let huge = client.call("huge", json!({"bytes": 300_000})).await.unwrap();
        assert_eq!(huge["content"][0]["text"].as_str().unwrap().len(), 300_000, "{flags:?}");
        assert_eq!(client.delete().await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn what_is_no_proper_http_can_be_sent() {
    let (url, _guard) = site(&[]).await;
    let client = Client::connect(&url).await.unwrap();
    let body = request(5, "ping", json!({})).to_string();
    let length = body.len().to_string();
    let head = client.head("POST", &[("content-length", &length)], &[]);

    let mut slow = client.raw().await.unwrap();
    let bytes = format!("{head}{body}");
    slow.send_slowly(bytes.as_bytes(), 40, Duration::from_millis(1)).await.unwrap();
    slow.half_close().await.unwrap();
    assert_eq!(slow.reply().await.unwrap().json().await.unwrap()["id"], 5);

    let mut broken = client.raw().await.unwrap();
    broken.send(b"POST /mcp HTTP/9.9\r\nnonsense\r\n\r\n").await.unwrap();
    assert!(broken.read_to_end().await.unwrap().starts_with(b"HTTP/1.1 400"));
}

#[tokio::test]
async fn headers_can_be_replaced_and_left_out() {
    let (url, _guard) = site(&[]).await;
    let client = Client::connect(&url).await.unwrap();
    let head = client.head("POST", &[], &[("Accept", "*/*"), ("mcp-session-id", "")]);
    assert!(head.contains("Accept: */*\r\n") && !head.contains("accept:"), "{head}");
    assert!(!head.contains("mcp-session-id"), "{head}");
    assert!(head.contains("mcp-protocol-version: 2025-11-25\r\n"), "{head}");
}
