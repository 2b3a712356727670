//! What a client over standard input sends before its handshake, and members of `_meta` after it.

use mainstay_testkit::Site;
use serde_json::json;
use tempfile::tempdir;

use super::{Client, assert_echo};

#[tokio::test]
async fn in_a_session_members_of_meta_claim_nothing() {
    let folder = tempdir().unwrap();
    let daemon = super::daemon_with(folder.path(), &["--dual"]).await;
    let site = Site::start(&[]);
    let (url, state) = (site.url(), daemon.state());
    for arguments in [
        vec!["s", "--state", state.to_str().unwrap()],
        vec!["--state", state.to_str().unwrap()],
        vec!["--url", &url],
    ] {
        let mut client = Client::start(&arguments);
        let pong = client.request("ping", json!({})).await;
        assert_eq!(pong["result"], json!({}), "{arguments:?}: {pong}");
        client.shake_hands("2025-11-25", json!({})).await;
        for meta in [
            json!({"io.modelcontextprotocol/logLevel": "info"}),
            json!({"io.modelcontextprotocol/clientCapabilities": {}}),
            json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"}),
            json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {}}),
        ] {
            let listed = client.request("tools/list", json!({"_meta": meta})).await;
            assert!(listed["result"]["tools"].as_array().unwrap().len() > 20, "{meta}: {listed}");
            assert!(listed["result"]["resultType"].is_null(), "{meta}: {listed}");
            let params = json!({"name": "echo", "arguments": {"n": 1}, "_meta": meta});
            assert_echo(&client.request("tools/call", params).await, &json!({"n": 1}));
        }
        assert_eq!(client.leave().await.code, Some(0), "{arguments:?}");
    }
}
