//! A proxy that forwards paths unchanged: the daemon recognizes its own below the public URL.

use mainstay_testkit::{Client, SseClient};
use serde_json::json;

use super::Plan;

#[tokio::test]
async fn public_paths_are_understood_and_own_ones_stay() {
    let plan = Plan::new("http://tools.example/mcp/dev", "").await;
    let daemon = plan.builder().start().await.unwrap();
    let at = |path: &str| format!("{}{path}", daemon.base());
    for path in ["/mcp", "/mcp/tools", "/mcp/dev", "/mcp/dev/", "/mcp/dev/tools"] {
        let client =
            Client::connect(&at(path)).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        client.call("echo", json!({})).await.unwrap();
    }
    // The announced address is a public one, and leads to this daemon anyway.
    for path in ["/sse", "/sse/tools", "/mcp/dev/sse", "/mcp/dev/sse/tools"] {
        let mut client = SseClient::connect(&at(path), &json!({})).await.unwrap();
        assert!(client.first.data.starts_with("/mcp/dev/messages?"), "{}", client.first.data);
        client.call("echo", json!({})).await.unwrap();
    }
    for path in ["/mcp/device", "/mcp/dev/nobody", "/dev", "/mcp/dev/metrics"] {
        let reply = Client::new(&at(path)).unwrap().post("{}", &[]).await.unwrap();
        assert_eq!(reply.status, 404, "{path}");
    }
    for path in ["/health", "/mcp/dev/health", "/mcp/dev/health/live?from=monitor"] {
        let health = Client::new(&at("/mcp")).unwrap().plain("GET", path).await.unwrap();
        assert_eq!(health.status, 200, "{path}");
    }
}
