//! Health reports are correct and cheap.

use serde_json::{Value, json};

use super::{Site, daemon, eventually, get, in_state, kill, misbehave, process, server};

async fn word(base: &str, path: &str) -> (u16, String) {
    let (status, body) = get(base, path).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    (status, body["status"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn it_is_loading_until_what_is_required_is_ready() {
    let daemon = daemon()
        .command_server("slow", &misbehave(&["--slow-start=1500"]))
        .config("required = true")
        .command_server("quick", &misbehave(&[]))
        .config("required = true")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "quick", "ready").await;
    for path in ["/health", "/health/ready"] {
        let (status, body) = get(daemon.base(), path).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["status"]), (503, &json!("loading")), "{path}: {body}");
        assert_eq!(body["waiting_for"], json!(["slow"]), "{path}");
        assert_eq!(
            body["circuit_breakers"],
            json!({"quick": "CLOSED", "slow": "CLOSED"}),
            "{path}"
        );
    }
    assert_eq!(get(daemon.base(), "/health/live").await.0, 200);
    assert_eq!(word(daemon.base(), "/health/detailed").await, (200, "loading".to_owned()));
    in_state(&daemon, "slow", "ready").await;
    for path in ["/health", "/health/ready", "/health/detailed"] {
        assert_eq!(word(daemon.base(), path).await, (200, "ok".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn it_is_an_error_while_what_is_required_is_lost() {
    let mut site = Site::start(&[]);
    let daemon = daemon()
        .url_server("far", &site.url())
        .config("required = true")
        .command_server("next", &misbehave(&["--slow-start=300", "--revision=1999-01-01"]))
        .start()
        .await
        .unwrap();
    in_state(&daemon, "far", "ready").await;
    in_state(&daemon, "next", "failed").await;
    assert_eq!(word(daemon.base(), "/health").await, (200, "degraded".to_owned()));
    site.kill();
    eventually("the loss", async || {
        (word(daemon.base(), "/health").await == (503, "error".to_owned())).then_some(())
    })
    .await;
    assert_eq!(get(daemon.base(), "/health/live").await.0, 200);
    assert_eq!(word(daemon.base(), "/health/detailed").await, (200, "error".to_owned()));
    site.revive();
    eventually("its return", async || {
        (word(daemon.base(), "/health").await == (200, "degraded".to_owned())).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_required_server_that_is_given_up_is_an_error_from_the_start() {
    let daemon = daemon()
        .command_server("next", &misbehave(&["--revision=1999-01-01"]))
        .config("required = true")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "next", "failed").await;
    assert_eq!(word(daemon.base(), "/health").await, (503, "error".to_owned()));
    assert_eq!(get(daemon.base(), "/health/live").await.0, 200);
}

#[tokio::test]
async fn while_a_server_restarts_it_is_degraded() {
    let daemon =
        daemon().command_server("s", &misbehave(&["--slow-start=500"])).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    assert_eq!(word(daemon.base(), "/health").await, (200, "ok".to_owned()));
    kill(&process(&daemon, "s").await);
    eventually("the restart to show", async || {
        (word(daemon.base(), "/health").await == (200, "degraded".to_owned())).then_some(())
    })
    .await;
    in_state(&daemon, "s", "ready").await;
    assert_eq!(word(daemon.base(), "/health").await, (200, "ok".to_owned()));
}

#[tokio::test]
async fn ten_thousand_questions_start_nothing() {
    let mut daemon = daemon().command_server("s", &misbehave(&[])).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    let before = daemon.children();
    let mut askers = tokio::task::JoinSet::new();
    for asker in 0..10 {
        let client = mainstay_testkit::Client::new(daemon.base()).unwrap();
        let path =
            ["/health", "/health/live", "/health/ready", "/metrics", "/stats/pool"][asker % 5];
        askers.spawn(async move {
            for _ in 0..1000 {
                let mut reply = client.plain("GET", path).await.unwrap();
                assert_eq!(reply.status, 200, "{path}");
                reply.text().await.unwrap();
            }
        });
    }
    askers.join_all().await;
    assert_eq!(daemon.children(), before);
    let now = server(&daemon, "s").await;
    assert_eq!((&now["restarts"], &now["calls"]), (&json!(0), &json!(0)));
    assert_eq!(super::metric(&daemon, "mcp_active_sessions", &[]).await, 0.0);
}
