//! Servers that die at once: how often they are started, and what is said about it.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::{daemon, eventually, get, misbehave, server};
use crate::shared::eventually_within;

/// The waits between seven starts take a minute, with jitter. The rest is for a busy machine.
const LOOPING_WITHIN: Duration = Duration::from_secs(150);

/// The starts that are allowed before a crash loop: the first one, and more than five restarts.
const STARTS_MAX: usize = 7;

/// A shell script that notes each start in a file, as a command.
fn noting(folder: &Path, name: &str, script: &str) -> Vec<String> {
    let file = folder.join(name);
    let script = format!("echo started >> '{}'; {script}", file.display());
    ["/bin/sh".to_owned(), "-c".to_owned(), script].to_vec()
}

fn starts(folder: &Path, name: &str) -> usize {
    std::fs::read_to_string(folder.join(name)).unwrap_or_default().lines().count()
}

/// A service once looped 109,000 times unseen. One wait for all: it takes as long as for one.
#[tokio::test]
async fn s3_1_who_dies_at_once_is_started_seven_times_and_then_crash_looping_and_the_cause_is_told()
{
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let taken =
        format!("echo 'Error: listen EADDRINUSE: address already in use :::{port}' >&2; exit 1");
    let looping = [
        (
            "dies",
            "echo 'no key in the environment' >&2; exit 3".to_owned(),
            "it exited with code 3",
        ),
        ("port", taken, "it exited with code 1; process "),
        (
            "permission",
            "echo \"PermissionError: [Errno 13] Permission denied: '/data'\" >&2; exit 1"
                .to_owned(),
            "it exited with code 1; its user lacks a permission",
        ),
        (
            "memory",
            "echo 'FATAL ERROR: JavaScript heap out of memory' >&2; kill -6 0".to_owned(),
            "it crashed with signal 6 (ABRT: it aborted itself); it ran out of memory",
        ),
        (
            "missing",
            "mainstay-no-such-program".to_owned(),
            "it exited with code 127 (a command was not found)",
        ),
        (
            "child",
            "exit 137".to_owned(),
            "it exited with code 137 (128 + 9: a program that it started ended by signal KILL)",
        ),
    ];
    let mut builder = daemon().command_server("good", &misbehave(&[]));
    for (name, script, _) in &looping {
        builder = builder.command_server(name, &noting(folder.path(), name, script));
    }
    let daemon = builder.start().await.unwrap();
    for (name, _, reason) in &looping {
        let shown = eventually_within(LOOPING_WITHIN, "a crash loop", async || {
            Some(server(&daemon, name).await).filter(|shown| shown["state"] == "crash-looping")
        })
        .await;
        assert_eq!(starts(folder.path(), name), STARTS_MAX, "{shown}");
        let said = shown["reason"].as_str().unwrap();
        assert!(said.starts_with(reason), "{name}: {said}");
        assert!(shown["retry_in_ms"].as_u64().unwrap() > 60_000, "{shown}");
    }
    let dies = server(&daemon, "dies").await;
    assert_eq!(dies["last_output"], json!(["no key in the environment"]));
    let port_said = server(&daemon, "port").await["reason"].as_str().unwrap().to_owned();
    let holder = format!("process {} (", std::process::id());
    assert!(port_said.contains(&holder), "{port_said}");
    assert!(port_said.contains(&format!("listens on port {port} already")), "{port_said}");
    // The log repeats no output that it has.
    let log = daemon.log();
    let with_output = log.lines().filter(|line| line.contains("no key in the environment")).count();
    assert_eq!(with_output, 1, "{log}");
    // It is not seen by everybody who can see the health.
    let (_, health) = get(daemon.base(), "/health/detailed").await;
    let health: Value = serde_json::from_str(&health).unwrap();
    assert_eq!(health["status"], "degraded", "{health}");
    assert!(!health.to_string().contains("no key in the environment"), "{health}");
}

/// A data folder that can't be written to: no further start can help.
#[tokio::test]
async fn s3_16_a_rejected_write_path_fails_the_start_once_and_clearly_and_does_not_loop() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo \"OSError: [Errno 30] Read-only file system: '/data/pools'\" >&2; exit 1";
    let daemon = daemon()
        .command_server("s", &noting(folder.path(), "s", script))
        .command_server("program", &["mainstay-no-such-program"])
        .start()
        .await
        .unwrap();
    for (name, said) in
        [("s", "mounted read-only; give it a writable folder"), ("program", "was not found")]
    {
        let shown = eventually("the failure", async || {
            Some(server(&daemon, name).await).filter(|shown| shown["state"] == "failed")
        })
        .await;
        assert!(shown["reason"].as_str().unwrap().contains(said), "{shown}");
        assert!(shown["retry_in_ms"].as_u64().unwrap() > 60_000, "{shown}");
        assert_eq!(shown["restarts"], 0, "{shown}");
    }
    assert_eq!(starts(folder.path(), "s"), 1);
    let log = daemon.log();
    assert_eq!(log.matches("\"instance failed\"").count(), 2, "{log}");
}
