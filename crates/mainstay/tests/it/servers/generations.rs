//! The era of a server is detected without harm, and reported if it can't be served.

use serde_json::json;

use super::{ask, assert_echo, daemon, in_state, misbehave};

#[tokio::test]
async fn a_server_that_a_probe_would_kill_is_never_probed() {
    let daemon = daemon()
        .command_server("auto", &misbehave(&["--die-on-discover"]))
        .command_server("legacy", &misbehave(&["--die-on-discover"]))
        .config("revision = \"legacy\"")
        .start()
        .await
        .unwrap();
    for name in ["auto", "legacy"] {
        let ready = in_state(&daemon, name, "ready").await;
        assert_eq!((&ready["restarts"], &ready["revision"]), (&json!(0), &json!("2025-11-25")));
        let client = daemon.client(name).await.unwrap();
        assert!(super::counts(&client, "stats").await["server/discover"].is_null());
    }
}

#[tokio::test]
async fn every_revision_before_is_served_and_one_nobody_published_is_not() {
    let revisions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
    let mut builder = daemon();
    for revision in revisions {
        let flag = format!("--revision={revision}");
        builder = builder.command_server(&format!("r{revision}"), &misbehave(&[&flag]));
    }
    let daemon = builder
        .command_server("odd", &misbehave(&["--revision=1999-01-01"]))
        .start()
        .await
        .unwrap();
    for revision in revisions {
        let name = format!("r{revision}");
        assert_eq!(in_state(&daemon, &name, "ready").await["revision"], revision);
        // The revision agreed with the server does not concern the client.
        let client = daemon.client(&name).await.unwrap();
        assert_eq!(client.server["protocolVersion"], "2025-11-25");
        assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
    }
    let odd = in_state(&daemon, "odd", "failed").await;
    assert!(odd["reason"].as_str().unwrap().contains("1999-01-01"), "{odd}");
}
