//! Actions, which change the daemon.

use mainstay_admin::action::LogLevel;
use mainstay_admin::{Action, ClientError};
use serde_json::json;

use super::{ask, over_the_socket, post, serving, token};
use crate::shared::{PATIENCE, daemon, misbehave, until};

#[tokio::test]
async fn stop_lets_calls_finish_and_ends_the_daemon() {
    let mut daemon = daemon().command_server("slow", &misbehave(&[])).start().await.unwrap();
    let client = daemon.client("slow").await.unwrap();
    let calling = tokio::spawn(async move { client.call("slow", json!({"ms": 700})).await });
    let operator = over_the_socket(&daemon.state());
    until("the call is under way", async || operator.sessions().await.unwrap().calls == 1).await;
    let only_said = operator.act(Action::Stop, true).await.unwrap();
    assert_eq!(only_said.message, "the daemon would stop; calls in flight: 1");
    let done = operator.act(Action::Stop, false).await.unwrap();
    assert_eq!(done.message, "the daemon is stopping; calls in flight: 1");
    assert!(calling.await.unwrap().is_ok());
    assert!(daemon.wait(PATIENCE).await.unwrap().success());
    assert!(daemon.log().contains("drained") && daemon.log().contains("stopped"));
}

#[tokio::test]
async fn the_level_of_the_log_changes_while_it_runs() {
    let daemon = serving().await;
    let operator = over_the_socket(&daemon.state());
    let debugs = || daemon.log().matches(r#""level":"DEBUG""#).count();
    // The daemon logs an opened stream at `debug`.
    let make_noise = async || {
        let client = daemon.client("one").await.unwrap();
        assert_eq!(client.listen(None).await.unwrap().status, 200);
    };
    make_noise().await;
    assert_eq!(debugs(), 0);
    let done = operator.act(Action::SetLogLevel(LogLevel::Trace), false).await.unwrap();
    assert_eq!(done.message, "the log level is now trace");
    until("debug messages are logged", async || {
        make_noise().await;
        debugs() > 0
    })
    .await;
    operator.act(Action::SetLogLevel(LogLevel::Error), false).await.unwrap();
    ask(&daemon, "GET /nobody-home", &[], "").await;
    let initial = Action::SetLogLevel(LogLevel::Initial);
    operator.act(initial.clone(), false).await.unwrap();
    // Lines are written in order, so a line that is missing before a later use of the token never comes.
    operator.act(initial, true).await.unwrap();
    daemon.wait_for_log("log-level (dry run)", PATIENCE).await.unwrap();
    let quiet_since = debugs();
    assert!(!daemon.log().contains("nobody-home"), "{}", daemon.log());
    make_noise().await;
    operator.act(Action::Stop, true).await.unwrap();
    daemon.wait_for_log("stop (dry run)", PATIENCE).await.unwrap();
    assert_eq!(debugs(), quiet_since);
}

#[tokio::test]
async fn lists_are_fetched_anew_and_an_unknown_server_is_told_the_known_ones() {
    let daemon = serving().await;
    let operator = over_the_socket(&daemon.state());
    let refresh = |server: &str| Action::Refresh { server: server.to_owned() };
    let done = operator.act(refresh("one"), true).await.unwrap();
    assert_eq!(done.message, "the lists of one would be fetched");
    let done = operator.act(refresh("one"), false).await.unwrap();
    let tools = operator.servers().await.unwrap().servers[0].tools;
    assert!(tools > 0 && done.message.contains(&format!("one lists {tools} tools")), "{done:?}");
    match operator.act(refresh("on"), false).await {
        Err(ClientError::Problem(problem)) => {
            assert_eq!(problem.servers.as_deref(), Some(&["one".to_owned()][..]));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_can_not_be_read_is_refused_and_the_connection_goes_on() {
    let daemon = serving().await;
    let admin = token(&daemon, &[]);
    let (code, problem) = post(&daemon, &admin, "log-level", r#"{"level":"loud"}"#).await;
    assert_eq!(code, 400);
    assert!(problem["error"].as_str().unwrap().contains("expected one of"), "{problem}");
    assert_eq!(problem["at"], "the body, line 1, column 15");
    let (code, problem) = post(&daemon, &admin, "restart", "{}").await;
    assert_eq!(code, 404);
    assert!(problem["paths"].to_string().contains("/api/actions/stop"), "{problem}");
    // The request is refused before a byte of the body is read.
    let large = "x".repeat(100);
    let (code, ..) = ask(&daemon, "POST /api/actions/stop", &[], &large).await;
    assert_eq!(code, 401);
    assert_eq!(post(&daemon, &admin, "stop", r#"{"dry_run":true}"#).await.0, 200);
}

#[tokio::test]
async fn bodies_that_never_come_keep_nobody_from_health_and_from_stopping() {
    let daemon = serving().await;
    let admin = token(&daemon, &[]);
    let client = daemon.client("one").await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..64 {
        let mut connection = client.raw().await.unwrap();
        let head = format!(
            "POST /api/actions/stop HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {admin}\r\n\
             content-type: application/json\r\ncontent-length: 10\r\n\r\n"
        );
        connection.send(head.as_bytes()).await.unwrap();
        waiting.push(connection);
    }
    // As many bodies of this action as may arrive at once are waited for, so a later one is refused.
    until("the places are taken", async || {
        post(&daemon, &admin, "stop", r#"{"dry_run":true}"#).await.0 == 503
    })
    .await;
    for path in ["/health", "/metrics", "/api/status"] {
        assert_eq!(ask(&daemon, &format!("GET {path}"), &[], "").await.0, 200, "{path}");
    }
    let refresh = r#"{"server":"one"}"#;
    assert_eq!(post(&daemon, &admin, "refresh", refresh).await.0, 200);
    let stop = over_the_socket(&daemon.state()).act(Action::Stop, true).await.unwrap();
    assert!(stop.dry_run);
    drop(waiting);
    until("places are free again", async || {
        post(&daemon, &admin, "stop", r#"{"dry_run":true}"#).await.0 == 200
    })
    .await;
}
