//! The end of sessions and of the daemon while calls are in flight.

use std::time::Duration;

use mainstay_model::settings::Sharing;
use serde_json::json;

use crate::scene::{Scene, until};

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn calls_that_a_stop_cuts_off_are_answered() {
    let scene = Scene::start(Duration::from_millis(300)).await;
    let a = scene.pool("a", &[]);
    scene.install(&[&a], &[]);
    let client = scene.client("/mcp/a").await;
    let call = || json!({"name": "slow", "arguments": {"ms": 60_000}});
    let alone = tokio::spawn(async move {
        client.send("tools/call", call()).await.unwrap().answer().await.unwrap()
    });
    let batching = scene.client_of("/mcp/a", "2025-03-26", &json!({})).await;
    let request =
        |id, method| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": call()});
    let batch = json!([request(1, "tools/call"), request(2, "ping")]).to_string();
    let posted = tokio::spawn(async move { batching.post(batch, &[]).await.unwrap().json().await });
    until("both calls are in flight", async || scene.gateway.calls_in_flight() == 2).await;
    assert_eq!(scene.gateway.drain_and_stop().await, 2);
    let answer = alone.await.unwrap();
    assert_eq!(answer["error"]["data"]["code"], "OUTCOME_UNKNOWN", "{answer}");
    let answers = posted.await.unwrap().unwrap();
    assert_eq!(answers[0]["error"]["data"]["code"], "OUTCOME_UNKNOWN", "{answers}");
    assert_eq!(answers[1]["result"], json!({}), "{answers}");
    scene.end().await;
}

#[tokio::test]
async fn calls_without_a_session_that_a_stop_cuts_off_are_answered_too() {
    let scene = Scene::start(Duration::from_millis(300)).await;
    let a = scene.pool("a", &["--modern-only"]);
    scene.install(&[&a], &[]);
    let call = |tool: &str, token: &str| {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "progressToken": token,
        });
        let arguments = json!({"ms": 60_000, "steps": 2});
        let params = json!({"name": tool, "arguments": arguments, "_meta": meta});
        let body = json!({"jsonrpc": "2.0", "id": tool, "method": "tools/call", "params": params});
        let (client, tool) = (scene.stranger("/mcp/a"), tool.to_owned());
        tokio::spawn(async move {
            let headers = [
                ("mcp-protocol-version", "2026-07-28"),
                ("mcp-method", "tools/call"),
                ("mcp-name", &*tool),
            ];
            let mut reply = client.post(body.to_string(), &headers).await.unwrap();
            let mut last = serde_json::Value::Null;
            while let Some(message) = reply.message().await.unwrap() {
                last = message;
            }
            (reply.status, last)
        })
    };
    // The answer of one is a body, and that of the other a stream that has begun.
    let (plain, streamed) = (call("slow", "a"), call("progress", "b"));
    until("both calls are in flight", async || scene.gateway.calls_in_flight() == 2).await;
    assert_eq!(scene.gateway.drain_and_stop().await, 2);
    for cut_off in [plain, streamed] {
        let (status, answer) = cut_off.await.unwrap();
        assert_eq!(
            (status, &answer["error"]["data"]["code"]),
            (200, &json!("OUTCOME_UNKNOWN")),
            "{answer}"
        );
        assert_eq!(answer["error"]["data"]["limit"], "drain_timeout", "{answer}");
    }
    scene.end().await;
}

#[tokio::test]
async fn no_instance_is_left_of_a_session_that_ends_while_it_starts() {
    let scene = Scene::start(LONG).await;
    let a = scene.pool_with("a", &["--slow-handshake=60"], |spec| spec.sharing = Sharing::Session);
    scene.install(&[&a], &[]);
    until("the server is ready", async || a.is_ready()).await;
    for pause in 0..12 {
        let client = scene.client("/mcp/a").await;
        let leaves = async {
            tokio::time::sleep(Duration::from_millis(8 * pause)).await;
            client.delete().await.unwrap();
        };
        let _ = tokio::join!(client.send("tools/call", json!({"name": "echo"})), leaves);
    }
    until("all have ended", async || a.pool_status().total == 0).await;
    // Nothing is started afterwards either.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(a.pool_status().total, 0);
    scene.end().await;
}
