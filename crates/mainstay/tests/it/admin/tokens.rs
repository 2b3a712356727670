//! The rights of tokens.

use serde_json::json;

use super::{ask, over_the_socket, post, serving, serving_in, token};
use crate::mainstay;
use crate::shared::{PATIENCE, until};

/// A header that a proxy adds. Loopback then says nothing about the client.
const FAR: (&str, &str) = ("x-forwarded-for", "203.0.113.9");

#[tokio::test]
async fn from_afar_each_token_opens_its_part() {
    let daemon = serving().await;
    let (admin, read) = (token(&daemon, &[]), token(&daemon, &["--read"]));
    assert_ne!(admin, read);
    for (shown, to_read, to_see_all) in [
        ("", 401, 401),
        ("guessed", 401, 401),
        (read.as_str(), 200, 403),
        (admin.as_str(), 200, 200),
    ] {
        let bearer = format!("Bearer {shown}");
        let mut headers = vec![FAR];
        if !shown.is_empty() {
            headers.push(("authorization", bearer.as_str()));
        }
        for path in ["/health/ready", "/metrics", "/stats/pool", "/api/status", "/openapi.json"] {
            let (code, answered, _) = ask(&daemon, &format!("GET {path}"), &headers, "").await;
            assert_eq!(code, to_read, "{path} {shown}");
            let challenged = answered.iter().any(|(name, _)| name == "www-authenticate");
            assert_eq!(challenged, code == 401, "{path} {shown}");
        }
        let (code, ..) = ask(&daemon, "GET /api/audit", &headers, "").await;
        assert_eq!(code, to_see_all, "{shown}");
        let (code, _, live) = ask(&daemon, "GET /health/live", &headers, "").await;
        assert_eq!((code, &live["status"]), (200, &json!("ok")));
    }
    let (code, _, bare) = ask(&daemon, "GET /health", &[FAR], "").await;
    assert_eq!((code, bare), (200, json!({"status": "ok"})));
}

#[tokio::test]
async fn the_gate_stands_before_changes_too() {
    let daemon = serving().await;
    let bearer = format!("Bearer {}", token(&daemon, &[]));
    for (name, value, expected) in
        [("origin", "https://evil.example", 403), ("x-request-id", "from-here", 200)]
    {
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            (name, value),
        ];
        let line = "POST /api/actions/stop";
        let (code, answered, answer) = ask(&daemon, line, &headers, r#"{"dry_run":true}"#).await;
        assert_eq!(code, expected, "{name}: {answer}");
        let named =
            answered.iter().any(|(name, value)| name == "x-request-id" && value == "from-here");
        assert_eq!(named, expected == 200);
    }
}

#[tokio::test]
async fn tokens_and_the_audit_log_outlive_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = serving_in(folder.path()).await;
    let tokens = [token(&first, &[]), token(&first, &["--read"])];
    assert_eq!(post(&first, &tokens[0], "log-level", r#"{"level":"debug"}"#).await.0, 200);
    first.term().unwrap();
    first.wait(PATIENCE).await.unwrap();
    drop(first);
    let second = serving_in(folder.path()).await;
    assert_eq!([token(&second, &[]), token(&second, &["--read"])], tokens);
    assert_eq!(post(&second, &tokens[0], "stop", r#"{"dry_run":true}"#).await.0, 200);
    let client = over_the_socket(&second.state());
    let mut entries = Vec::new();
    until("both uses are told", async || {
        entries = client.audit(100).await.unwrap().entries;
        entries.len() >= 2
    })
    .await;
    let told = |at: usize| (entries[at].action.as_str(), entries[at].target.as_deref());
    let last = entries.iter().position(|entry| entry.action == "stop (dry run)").unwrap();
    assert_eq!(told(last), ("stop (dry run)", None));
    assert_eq!(told(entries.len() - 1), ("log-level", Some("debug")));
    assert_eq!(entries[last].token.as_deref(), Some("admin"));
    // For requests over the socket, the log has the process that sent them.
    let me = rustix::process::getuid().as_raw();
    let mine = client.audit(1).await.unwrap().entries.remove(0);
    assert_eq!((mine.peer, mine.token), (format!("socket (user {me})"), None));
    assert_eq!(mine.action, "read audit");
}

#[test]
fn there_is_no_token_before_the_first_daemon() {
    let home = tempfile::tempdir().unwrap();
    mainstay(home.path(), &["token"])
        .exits(1)
        .complains("there are no tokens in")
        .complains("hint: a daemon makes them");
    assert!(!home.path().join("state/token.key").exists());
}
