//! The second era of a slow server is found out before a client asks for it.

use std::time::{Duration, Instant};

use mainstay_testkit::Client;
use serde_json::json;

use super::{PATIENCE, daemon, eventually, in_state, misbehave, server};

const REVISION: &str = "2026-07-28";

/// Asks for `server/discover` as a client of both eras does first. Returns the status of the response.
async fn discover(base: &str, path: &str) -> u16 {
    let client = Client::new(&format!("{base}{path}")).unwrap();
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": REVISION,
        "io.modelcontextprotocol/clientInfo": {"name": "it", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": meta},
    });
    let headers = [("mcp-protocol-version", REVISION), ("mcp-method", "server/discover")];
    client.post(body.to_string(), &headers).await.unwrap().status
}

#[tokio::test]
async fn the_first_client_of_a_slow_server_of_both_eras_gets_the_newer_one() {
    let daemon = daemon()
        .command_server("slow", &misbehave(&["--dual", "--pinned", "--slow-start=4000"]))
        .start()
        .await
        .unwrap();
    let found = eventually("the second era", async || {
        let now = server(&daemon, "slow").await;
        now["second_revision"].as_str().map(ToOwned::to_owned)
    })
    .await;
    assert_eq!(found, REVISION);
    for path in ["/mcp/slow", "/mcp"] {
        let begun = Instant::now();
        assert_eq!(discover(daemon.base(), path).await, 200, "{path}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{path}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_slow_server_of_one_era_is_asked_once_for_all_daemons() {
    let folder = tempfile::tempdir().unwrap();
    let start = async || {
        daemon()
            .folder(folder.path())
            .command_server("slow", &misbehave(&["--slow-start=1200"]))
            .start()
            .await
            .unwrap()
    };
    let starts = async |daemon: &mainstay_testkit::Daemon| {
        super::metric(daemon, "mainstay_instance_starts_total", &[r#"server="slow""#]).await
    };
    let mut first = start().await;
    in_state(&first, "slow", "ready").await;
    eventually("the second start", async || (starts(&first).await == 2.0).then_some(())).await;
    eventually("its end", async || {
        let now = server(&first, "slow").await;
        (now["instances"].as_array().unwrap().len() == 1).then_some(())
    })
    .await;
    first.term().unwrap();
    first.wait(PATIENCE).await.unwrap();
    let second = start().await;
    in_state(&second, "slow", "ready").await;
    // The second start would begin at once; a client that asks for the other era would begin it.
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(starts(&second).await, 1.0, "what was found out is remembered");
    assert_eq!(discover(second.base(), "/mcp/slow").await, 400);
    assert_eq!(server(&second, "slow").await["state"], "ready");
}
