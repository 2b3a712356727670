//! Answers of the API and output of the commands match `openapi.json`.

use std::path::Path;

use mainstay_testkit::{Daemon, schema};
use serde_json::Value;

use super::{ask, over_the_socket, serving};
use crate::mainstay;
use crate::shared::daemon;

fn described() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[track_caller]
fn fits(name: &str, value: &Value) {
    schema::check(&described(), name, value).unwrap_or_else(|wrong| panic!("{wrong}\n{value:#}"));
}

/// Returns what a command prints with `--json`.
fn printed(daemon: &Daemon, line: &[&str]) -> Value {
    let output = daemon.run(&[line, &["--json"]].concat()).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line:?}: {error}: {text}"))
}

#[tokio::test]
async fn the_daemon_serves_the_description_that_is_in_the_repository() {
    let daemon = serving().await;
    let (code, _, served) = ask(&daemon, "GET /openapi.json", &[], "").await;
    assert_eq!((code, served), (200, described()));
}

#[tokio::test]
async fn every_answer_is_as_described() {
    let daemon = serving().await;
    over_the_socket(&daemon.state()).audit(1).await.unwrap();
    for (path, name) in [
        ("/health", "HealthReport"),
        ("/health/ready", "HealthReport"),
        ("/health/live", "HealthReport"),
        ("/health/detailed", "DaemonStatus"),
        ("/api/status", "DaemonStatus"),
        ("/api/servers", "Servers"),
        ("/api/services", "Services"),
        ("/api/services?name=nobody", "Problem"),
        ("/api/graph", "Graph"),
        ("/api/sessions", "SessionList"),
        ("/stats/pool", "PoolNumbers"),
        ("/stats/pool?server=one", "PoolNumbers"),
        ("/stats/pool?server=nobody", "Problem"),
        ("/api/events", "EventPage"),
        ("/api/events?name=nobody", "Problem"),
        ("/api/audit", "Problem"),
        ("/api/logs", "Problem"),
    ] {
        let (_, _, answer) = ask(&daemon, &format!("GET {path}"), &[], "").await;
        fits(name, &answer);
    }
    let bearer = format!("Bearer {}", super::token(&daemon, &[]));
    let (_, _, page) = ask(&daemon, "GET /api/audit", &[("authorization", &bearer)], "").await;
    assert_eq!(page["entries"].as_array().unwrap().len(), 1);
    fits("AuditPage", &page);
    let (_, _, page) = ask(&daemon, "GET /api/logs", &[("authorization", &bearer)], "").await;
    fits("LogPage", &page);
    let (code, done) = super::post(&daemon, &bearer[7..], "stop", r#"{"dry_run":true}"#).await;
    assert_eq!(code, 200);
    fits("ActionDone", &done);
}

#[tokio::test]
async fn what_commands_print_is_as_described() {
    let failing = daemon()
        .command_server("gone", &["/nonexistent/program"])
        .config("[servers.gone.env]\nX = \"1\"")
        .start()
        .await
        .unwrap();
    fits("DaemonStatus", &printed(&failing, &["status"]));
    fits("Server", &printed(&failing, &["status", "gone"]));
    fits("ToolsPrinted", &printed(&failing, &["tools"]));
    fits("MergedToolsPrinted", &printed(&failing, &["tools", "--merged"]));
    fits("FailurePrinted", &printed(&failing, &["call", "gone", "x"]));
    let daemon = serving().await;
    for (line, name) in [
        (&["status"][..], "DaemonStatus"),
        (&["status", "one"], "Server"),
        (&["status", "on"], "FailurePrinted"),
        (&["graph"], "Graph"),
        (&["start", "one", "--dry-run"], "NodesPrinted"),
        (&["stop", "one", "--dry-run"], "NodesPrinted"),
        (&["restart", "one", "--dry-run"], "NodesPrinted"),
        (&["stop", "on"], "FailurePrinted"),
        (&["restart"], "FailurePrinted"),
        (&["restart", "one"], "NodesPrinted"),
        (&["verify"], "VerifyReport"),
        (&["verify", "on"], "FailurePrinted"),
        (&["tools"], "ToolsPrinted"),
        (&["tools", "one"], "ToolsPrinted"),
        (&["tools", "on"], "FailurePrinted"),
        (&["tools", "--merged"], "MergedToolsPrinted"),
        (&["events"], "EventPage"),
        (&["events", "one", "--since", "1h"], "EventPage"),
        (&["events", "on"], "FailurePrinted"),
        (&["call", "on", "x"], "FailurePrinted"),
        (&["token"], "TokenPrinted"),
        (&["token", "--read"], "TokenPrinted"),
        (&["log-level", "info", "--dry-run"], "ActionDone"),
        (&["stop", "--dry-run"], "StopPrinted"),
        (&["stop"], "StopPrinted"),
        (&["stop"], "FailurePrinted"),
    ] {
        fits(name, &printed(&daemon, line));
    }
    let home = tempfile::tempdir().unwrap();
    let alone = |line: &[&str]| mainstay(Path::new(home.path()), line).exits(3).json();
    fits("FailurePrinted", &alone(&["status", "--json"]));
}
