//! Clients that use up the descriptors of the daemon.

use std::time::Duration;

use mainstay_testkit::client::Connection;
use mainstay_testkit::{Client, Daemon, Site};
use serde_json::json;

use super::Arena;
use super::attacks::{call, posted};
use crate::shared::{PATIENCE, daemon, eventually, until};

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
    // Connected clients continue, and the operator sees the reason.
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
    // The limit is lowered while the daemon runs, so that `max_connections` does not protect it.
    arena.daemon.limit_files(60);
    let held = connections(&arena.witness, 120).await;
    arena.daemon.wait_for_log("can't accept a connection", Duration::from_secs(30)).await.unwrap();
    for _ in 0..3 {
        let status = arena.daemon.run(&["status"]).unwrap();
        assert!(status.status.success(), "{status:?}");
    }
    // Pauses grow, and the log is throttled: without that there would be twenty lines.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let lines = arena.daemon.log().matches("can't accept a connection").count();
    assert!(lines <= 5, "{lines} lines");
    // What asks whether the process lives would end it otherwise.
    let client = Client::new(&arena.daemon.endpoint("far")).unwrap();
    until("the process says that it lives", async || {
        let asked = client.plain("GET", "/health/live");
        let alive = tokio::time::timeout(Duration::from_secs(1), asked).await;
        alive.is_ok_and(|reply| reply.is_ok_and(|reply| reply.status == 200))
    })
    .await;
    drop(held);
    until("clients are served again", async || {
        let client = Client::new(&arena.daemon.endpoint("far")).unwrap();
        client.plain("GET", "/health").await.is_ok_and(|reply| reply.status == 200)
    })
    .await;
}

/// That there is no descriptor for a connection says nothing about the server.
#[tokio::test]
async fn a_server_is_not_lost_because_the_daemon_has_no_descriptor_left() {
    let older = Site::start(&["--only-sse=405"]);
    let arena = Arena::start(daemon().files(200).url_server("older", &older.url()), "").await;
    let daemon = &arena.daemon;
    let mut clients = Vec::new();
    for server in ["far", "older"] {
        let mut client = Client::new(&daemon.endpoint(server)).unwrap();
        client.initialize("2025-03-26", &json!({})).await.unwrap();
        client.call("echo", json!({})).await.unwrap();
        let before = descriptors(daemon);
        let connection = client.raw().await.unwrap();
        until("the connection is accepted", async || descriptors(daemon) > before).await;
        clients.push((server, client, connection));
    }
    daemon.limit_files(1);
    for (server, client, mut connection) in clients {
        // Each call needs a connection to the server, and few are left from before.
        let calls: Vec<_> = (0..32).map(|id| call(id, "slow", &json!({"ms": 300}))).collect();
        let batch = posted(&client, &format!("[{}]", calls.join(",")));
        connection.send(batch.as_bytes()).await.unwrap();
        let answers = connection.reply().await.unwrap().text().await.unwrap();
        for word in ["LIMIT_EXCEEDED", "Too many open files", "LimitNOFILE"] {
            assert!(answers.contains(word), "{server}: {answers}");
        }
    }
    daemon.limit_files(200);
    for server in ["far", "older"] {
        let client = eventually("a session", async || daemon.client(server).await.ok()).await;
        client.call("echo", json!({})).await.unwrap();
        let asked = mainstay_admin::Client::new(&daemon.state(), PATIENCE);
        let status = asked.status().await.unwrap();
        let now = status.servers.iter().find(|one| one.name.as_str() == server).unwrap();
        let now = serde_json::to_value(now).unwrap();
        assert_eq!((&now["state"], &now["restarts"]), (&json!("ready"), &json!(0)), "{now}");
    }
}

/// Descriptors that the daemon has open.
fn descriptors(daemon: &Daemon) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count()
}
