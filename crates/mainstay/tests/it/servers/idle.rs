//! Servers that rest while nobody uses them: some end themselves, others are stopped.

use std::time::Duration;

use serde_json::{Value, json};

use super::{ask, assert_echo, daemon, eventually, get, in_state, metric, misbehave, server};
use mainstay_testkit::{Client, Daemon};

/// Waits until a server rests, and checks that everything that shows its state agrees.
async fn rests(daemon: &Daemon, name: &str) -> Value {
    let idle = in_state(daemon, name, "idle").await;
    assert_eq!(idle["tools"].as_u64().map(|tools| tools > 0), Some(true), "{idle}");
    assert_eq!(idle["retry_in_ms"], Value::Null, "{idle}");
    let (_, open) = get(daemon.base(), "/health/detailed").await;
    let open: Value = serde_json::from_str(&open).unwrap();
    let shown = open["servers"].as_array().unwrap().iter().find(|server| server["name"] == name);
    assert_eq!(shown.unwrap()["reason"], idle["reason"], "{open}");
    for path in ["/health", "/health/ready"] {
        let (status, body) = get(daemon.base(), path).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["status"]), (200, &json!("ok")), "{path}: {body}");
        assert!(body["waiting_for"].is_null(), "{path}: {body}");
    }
    let (server, state) = (format!(r#"server="{name}""#), r#"state="idle""#);
    eventually("the metric", async || {
        let idle = metric(daemon, "mainstay_instance_state", &[&server, state]).await;
        (idle == 1.0).then_some(())
    })
    .await;
    idle
}

#[tokio::test]
async fn a_server_that_ends_itself_when_idle_is_no_crash_loop_and_starts_when_it_is_wanted() {
    let daemon = daemon()
        .command_server("s", &misbehave(&["--exit-when-idle=1100"]))
        .config("required = true")
        .start()
        .await
        .unwrap();
    // It is restarted once, so that its lists stay live. After that nobody has asked for it.
    assert_eq!(rests(&daemon, "s").await["restarts"], 1);
    let client = Client::connect(&format!("{}/mcp", daemon.base())).await.unwrap();
    let tools = client.request("tools/list", json!({})).await.unwrap();
    assert!(tools["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "echo"));
    assert!(tools["_meta"].is_null(), "nothing is missing: {}", tools["_meta"]);
    assert_eq!(server(&daemon, "s").await["state"], "idle", "known lists start nothing");
    for round in 0..4 {
        assert_echo(&ask(&client, "echo", json!({"n": round})).await, &json!({"n": round}));
        assert_eq!(rests(&daemon, "s").await["restarts"], 1, "round {round}");
    }
    let starts = metric(&daemon, "mainstay_instance_starts_total", &[r#"server="s""#]).await;
    assert_eq!(starts, 6.0, "one at first, one again, and one for each call");
    // The lists of the server's own address are its own, so it is started for them.
    let alone = daemon.client("s").await.unwrap();
    let tools = alone.request("tools/list", json!({})).await.unwrap();
    assert!(!tools["tools"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn subscriptions_and_log_levels_are_there_again_when_it_starts() {
    let daemon =
        daemon().command_server("s", &misbehave(&["--exit-when-idle=1100"])).start().await.unwrap();
    let client = daemon.client("s").await.unwrap();
    client.request("resources/subscribe", json!({"uri": "mis://one"})).await.unwrap();
    client.request("logging/setLevel", json!({"level": "debug"})).await.unwrap();
    rests(&daemon, "s").await;
    let seen = super::counts(&client, "stats").await;
    assert_eq!(seen["resources/subscribe"], 1, "{seen}");
    assert_eq!(seen["logging/setLevel"], 1, "{seen}");
}

#[tokio::test]
async fn an_end_while_a_call_is_in_flight_is_a_loss() {
    let daemon =
        daemon().command_server("s", &misbehave(&["--exit-when-idle=1100"])).start().await.unwrap();
    let client = daemon.client("s").await.unwrap();
    // The server reads nothing during this call, so it considers itself idle and exits.
    let answer = ask(&client, "progress", json!({"steps": 40, "ms": 100})).await;
    super::assert_refused(&answer, 1007, "OUTCOME_UNKNOWN");
}

#[tokio::test]
async fn a_server_that_is_stopped_when_idle_starts_when_it_is_wanted() {
    let daemon = daemon()
        .command_server("s", &misbehave(&[]))
        .config("idle = \"stop\"\npool = { idle_timeout = \"1s\" }\nrequired = true")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    let client = Client::connect(&format!("{}/mcp", daemon.base())).await.unwrap();
    for round in 0..2 {
        assert_echo(&ask(&client, "echo", json!({"n": round})).await, &json!({"n": round}));
        let idle = rests(&daemon, "s").await;
        assert_eq!(idle["restarts"], 0, "{idle}");
        assert_eq!(idle["reason"], "nobody used it for 1s", "{idle}");
        eventually("the end of its process", async || {
            server(&daemon, "s").await["instances"][0]["pid"].is_null().then_some(())
        })
        .await;
    }
    // A call that takes longer than the idle timeout counts as use.
    let answer = ask(&client, "slow", json!({"ms": 2500})).await;
    assert_echo(&answer, &json!({"ms": 2500}));
}

#[tokio::test]
async fn a_server_is_ready_while_any_of_its_instances_works() {
    let daemon = daemon()
        .command_server("s", &misbehave(&[]))
        .config("idle = \"stop\"\nsharing = \"session\"\npool = { idle_timeout = \"1s\", min = 0 }")
        .start()
        .await
        .unwrap();
    rests(&daemon, "s").await;
    let client = daemon.client("s").await.unwrap();
    let work = tokio::spawn(async move { ask(&client, "slow", json!({"ms": 1500})).await });
    eventually("a ready server with an instance at work", async || {
        let now = server(&daemon, "s").await;
        let states: Vec<_> =
            now["instances"].as_array().unwrap().iter().map(|one| &one["state"]).collect();
        let works = now["calls"] == 1 && states == ["idle", "ready"];
        assert!(!works || (now["state"] == "ready" && now["reason"].is_null()), "{now}");
        works.then_some(())
    })
    .await;
    assert_echo(&work.await.unwrap(), &json!({"ms": 1500}));
}

#[tokio::test]
async fn a_pool_is_healthy_while_its_server_rests() {
    let daemon = daemon()
        .command_server("s", &misbehave(&[]))
        .config("idle = \"stop\"\npool = { idle_timeout = \"1s\", max = 3 }")
        .start()
        .await
        .unwrap();
    rests(&daemon, "s").await;
    let (_, open) = get(daemon.base(), "/health/detailed").await;
    let open: Value = serde_json::from_str(&open).unwrap();
    let pool = &open["connection_pool"];
    assert_eq!((&pool["status"], &pool["max"]), (&json!("healthy"), &json!(3)), "{pool}");
}

#[tokio::test]
async fn calls_that_come_while_it_goes_to_rest_are_answered() {
    let daemon =
        daemon().command_server("s", &misbehave(&["--exit-when-idle=1100"])).start().await.unwrap();
    let client = daemon.client("s").await.unwrap();
    rests(&daemon, "s").await;
    // Each call arrives at about the moment when the server exits.
    for round in 0..6_u64 {
        assert_echo(&ask(&client, "echo", json!({"n": round})).await, &json!({"n": round}));
        tokio::time::sleep(Duration::from_millis(1080 + round * 8)).await;
    }
    let state = server(&daemon, "s").await["state"].clone();
    assert_ne!(state, "crash-looping");
}

#[tokio::test]
async fn an_instance_for_clients_that_can_be_asked_is_replaced_when_it_is_wanted() {
    let daemon =
        daemon().command_server("s", &misbehave(&["--exit-when-idle=1100"])).start().await.unwrap();
    let mut client = Client::new(&daemon.endpoint("s")).unwrap();
    client.initialize("2025-11-25", &json!({"elicitation": {}})).await.unwrap();
    for round in 0..2 {
        assert_echo(&ask(&client, "echo", json!({"n": round})).await, &json!({"n": round}));
        eventually("only the instance that supplies the lists", async || {
            let now = server(&daemon, "s").await;
            (now["instances"].as_array().unwrap().len() == 1).then_some(())
        })
        .await;
    }
    rests(&daemon, "s").await;
}
