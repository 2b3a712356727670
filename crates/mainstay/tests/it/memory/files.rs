//! Clients that use up the descriptors of the daemon.

use std::time::Duration;

use mainstay_testkit::Client;
use mainstay_testkit::client::Connection;
use serde_json::json;

use super::Arena;
use crate::shared::{daemon, until};

/// Opens connections and leaves them open.
async fn connections(client: &Client, count: usize) -> Vec<Connection> {
    let mut open = Vec::new();
    for _ in 0..count {
        open.extend(client.raw().await);
    }
    open
}

#[tokio::test]
async fn fewer_connections_are_allowed_where_there_are_few_descriptors() {
    let arena = Arena::start(daemon().files(200), "").await;
    arena.daemon.wait_for_log("max_connections", Duration::from_secs(30)).await.unwrap();
    let held = connections(&arena.witness, 300).await;
    until("connections are refused", async || {
        let client = Client::new(&arena.daemon.endpoint("far")).unwrap();
        let refused = client.plain("GET", "/health").await;
        refused.is_ok_and(|reply| reply.status == 503)
    })
    .await;
    // Who is connected goes on, and the operator sees what is the matter.
    arena.witness.call("echo", json!({})).await.unwrap();
    let status = arena.daemon.run(&["status"]).unwrap();
    assert!(status.status.success(), "{status:?}");
    drop(held);
}

#[tokio::test]
async fn only_an_operator_who_set_a_number_is_warned_that_it_is_lowered() {
    for (gateway, level, said) in [
        ("", "INFO", "max_connections is as high as the limit on open files"),
        ("max_connections = 1000", "WARN", "max_connections is more than the limit on open files"),
    ] {
        let arena = Arena::start(daemon().files(200), gateway).await;
        arena.daemon.wait_for_log(said, Duration::from_secs(30)).await.unwrap();
        let log = arena.daemon.log();
        let line = log.lines().find(|line| line.contains(said)).unwrap();
        assert!(line.contains(level), "{line}");
    }
}

#[tokio::test]
async fn the_operator_is_served_when_there_are_no_descriptors_left() {
    let arena = Arena::start(daemon().files(200), "").await;
    // The limit is lowered under the daemon's feet, so that its own bound does not help.
    arena.daemon.limit_files(60);
    let held = connections(&arena.witness, 120).await;
    arena.daemon.wait_for_log("can't accept a connection", Duration::from_secs(30)).await.unwrap();
    for _ in 0..3 {
        let status = arena.daemon.run(&["status"]).unwrap();
        assert!(status.status.success(), "{status:?}");
    }
    // Pauses grow, and the log is throttled.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let lines = arena.daemon.log().matches("can't accept a connection").count();
    assert!(lines <= 5, "{lines} lines");
    drop(held);
    until("clients are served again", async || {
        let client = Client::new(&arena.daemon.endpoint("far")).unwrap();
        client.plain("GET", "/health").await.is_ok_and(|reply| reply.status == 200)
    })
    .await;
}
