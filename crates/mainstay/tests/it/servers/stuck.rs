//! A server that is stuck in its handshake delays nobody for long, and is named.

use std::time::{Duration, Instant};

use mainstay_testkit::Client;
use serde_json::{Value, json};

use super::{ask, assert_echo, assert_refused, daemon, eventually, in_state, misbehave, server};

/// What a request takes on a busy machine when it waits for nothing. The wait for a list is 3 s.
const AT_ONCE: Duration = Duration::from_millis(1500);

#[tokio::test]
async fn only_the_first_request_waits_for_a_server_that_is_stuck() {
    let daemon = daemon()
        .command_server("well", &misbehave(&[]))
        .command_server("stuck", &misbehave(&["--hang-in-handshake"]))
        .start()
        .await
        .unwrap();
    in_state(&daemon, "well", "ready").await;
    let merged = format!("{}/mcp", daemon.base());
    // The first client waits for it.
    let client = Client::connect(&merged).await.unwrap();
    client.request("tools/list", json!({})).await.unwrap();
    for round in 0..3 {
        let begun = Instant::now();
        let client = Client::connect(&merged).await.unwrap();
        for method in ["tools/list", "prompts/list", "resources/list"] {
            let list = client.request(method, json!({})).await.unwrap();
            assert_eq!(list["_meta"]["mainstay/missing"][0]["server"], "stuck", "{list}");
        }
        assert_echo(&ask(&client, "echo", json!({"n": round})).await, &json!({"n": round}));
        // It may be a tool of the server that is stuck.
        let unknown = ask(&client, "nobody_has_this", json!({})).await;
        assert_refused(&unknown, 1003, "SERVER_LOADING");
        assert_eq!(unknown["error"]["data"]["server"], "stuck", "{unknown}");
        assert!(begun.elapsed() < AT_ONCE, "round {round}: {:?}", begun.elapsed());
    }
    let shown = eventually("a reason", async || {
        let shown = server(&daemon, "stuck").await;
        shown["reason"].as_str().map(ToOwned::to_owned)
    })
    .await;
    assert!(shown.starts_with("it has not finished the handshake for"), "{shown}");
}

#[tokio::test]
async fn starts_that_time_out_are_a_crash_loop_and_then_names_are_unknown() {
    let daemon = daemon()
        .command_server("well", &misbehave(&[]))
        .command_server("stuck", &misbehave(&["--hang-in-handshake"]))
        .config("start_timeout = \"1s\"")
        .start()
        .await
        .unwrap();
    let looping = in_state(&daemon, "stuck", "crash-looping").await;
    let reason = looping["reason"].as_str().unwrap();
    assert!(reason.starts_with("it did not finish the handshake within 1s"), "{looping}");
    assert_eq!(looping["restarts"], 2, "{looping}");
    let client = Client::connect(&format!("{}/mcp", daemon.base())).await.unwrap();
    let unknown = ask(&client, "nobody_has_this", json!({})).await;
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    assert!(unknown["error"]["message"].as_str().unwrap().contains("stuck"), "{unknown}");
}

#[tokio::test]
async fn a_call_to_a_server_that_is_loading_is_told_so_soon() {
    let daemon = daemon()
        .command_server("stuck", &misbehave(&["--hang-in-handshake"]))
        .start()
        .await
        .unwrap();
    let begun = Instant::now();
    let refused = Client::new(&format!("{}/mcp/stuck", daemon.base())).unwrap();
    let initialize = json!({
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "it", "version": "0"},
    });
    let answer = refused.send("initialize", initialize).await.unwrap().answer().await.unwrap();
    assert_refused(&answer, 1003, "SERVER_LOADING");
    assert_eq!(answer["error"]["data"]["server"], "stuck", "{answer}");
    assert!(answer["error"]["data"]["hint"].as_str().unwrap().contains("120 s"), "{answer}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(server(&daemon, "stuck").await["retry_in_ms"], Value::Null);
}
