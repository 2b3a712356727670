//! Sessions that are opened and never used.

use serde_json::json;

use super::{Arena, attacks};
use crate::shared::daemon;

#[tokio::test]
async fn sessions_that_are_never_used_give_way_and_can_be_used_after_all() {
    let arena = Arena::start(daemon(), "max_sessions = 20").await;
    // Opened first and never used: it gives way to the strangers.
    let early = arena.able("2025-11-25", json!({})).await;
    assert_eq!(attacks::initializes(&arena.daemon, 100).await, 100);
    assert_eq!(arena.metric("mcp_active_sessions").await, 20);
    assert_eq!(arena.metric("mainstay_sessions_displaced_total").await, 82);
    // Sessions in use stay, new ones are opened, and those that gave way are restored when they are used.
    arena.witness.call("echo", json!({})).await.unwrap();
    let late = arena.able("2025-11-25", json!({})).await;
    for client in [&early, &late] {
        client.call("echo", json!({})).await.unwrap();
    }
}

#[tokio::test]
async fn sessions_that_were_used_do_not_give_way() {
    let arena = Arena::start(daemon(), "max_sessions = 3").await;
    let mut all = Vec::new();
    for _ in 0..2 {
        let client = arena.able("2025-11-25", json!({})).await;
        client.request("ping", json!({})).await.unwrap();
        all.push(client);
    }
    assert_eq!(attacks::initializes(&arena.daemon, 5).await, 0);
    for client in &all {
        client.call("echo", json!({})).await.unwrap();
    }
}
