//! Input of a client that is not a message, or very large.

use serde_json::{Value, json};
use tempfile::tempdir;

use super::{Client, assert_echo, assert_refused, daemon, daemon_with};

#[tokio::test]
async fn garbage_is_answered_and_disturbs_nothing() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    let mut client = Client::greeted(&daemon.state(), "s").await;
    for (line, code) in [
        (&b"hello"[..], -32700),
        (b"{\"jsonrpc\":\"2.0\",", -32700),
        (b"\xff\xfe\x00", -32700),
        (b"7", -32600),
        (b"[]", -32600),
        (b"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}", -32600),
        (b"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}", -32600),
    ] {
        client.write(line).await;
        let answer = client.next().await;
        assert_eq!(answer["error"]["code"], code, "{}", String::from_utf8_lossy(line));
    }
    // Blank lines and unexpected answers are ignored.
    client.write("\r\n\n  \n{\"jsonrpc\":\"2.0\",\"id\":77,\"result\":{}}\r").await;
    let call = client.call("echo", json!({"still": "here"})).await;
    assert_echo(&client.next().await, &json!({"still": "here"}));
    assert_eq!(client.last_id, call);
}

#[tokio::test]
async fn a_batch_is_answered_one_by_one() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    let mut client = Client::of(&daemon.state(), "s");
    client.shake_hands("2025-03-26", json!({})).await;
    let ping = |id: u64| json!({"jsonrpc": "2.0", "id": id, "method": "ping"});
    client.write(json!([ping(50), ping(51)]).to_string()).await;
    for id in [50, 51] {
        assert_eq!(client.answer(id).await["result"], json!({}));
    }
}

#[tokio::test]
async fn large_messages_pass_in_both_directions() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    let mut client = Client::greeted(&daemon.state(), "s").await;
    let sent = json!({"text": "x".repeat(3 << 20)});
    let call = client.call("echo", sent.clone()).await;
    let answer = client.answer(call).await;
    assert!(answer["result"]["structuredContent"]["echo"] == sent);
    let call = client.call("huge", json!({"bytes": 20_000_000})).await;
    let small = client.call("echo", json!({})).await;
    assert_echo(&client.answer(small).await, &json!({}));
    let answer = client.answer(call).await;
    let length = answer["result"]["content"][0]["text"].as_str().map(str::len);
    assert_eq!(length, Some(20_000_000));
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_whoever_minds() {
    let folder = tempdir().unwrap();
    let program = mainstay_testkit::programs::misbehave().unwrap().display().to_string();
    let daemon = daemon(folder.path())
        .config("[gateway]\nmax_body = \"64KiB\"")
        .command_server("s", &[program.as_str(), "stdio"])
        .start()
        .await
        .unwrap();
    let mut client = Client::greeted(&daemon.state(), "s").await;
    // The daemon names the request. The command can't, because it never had the whole line.
    for bytes in [100_000, 5 << 20] {
        let call = client.call("echo", json!({"text": "x".repeat(bytes)})).await;
        assert_refused(&client.answer(call).await, 1011, "LIMIT_EXCEEDED");
    }
    let line = vec![b'x'; (64 << 20) + 1];
    client.write(line).await;
    let answer = client.next().await;
    assert_refused(&answer, 1011, "LIMIT_EXCEEDED");
    assert_eq!(answer["id"], Value::Null);
    let call = client.call("echo", json!({})).await;
    assert_echo(&client.answer(call).await, &json!({}));
}
