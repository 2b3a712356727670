//! The daemon's handle, with shell scripts in the place of the program.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use mainstay_testkit::Daemon;
use tempfile::TempDir;

/// A program that runs the script; `$3` is the configuration file.
fn program(script: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    (folder, path)
}

#[tokio::test]
async fn it_waits_for_the_address_and_keeps_the_log() {
    let script = "echo starting >&2; cat $3; echo serving at http://127.0.0.1:4711; exec sleep 60";
    let (_folder, path) = program(script);
    let builder = Daemon::builder(path).command_server("a", &["run", "it \"so\""]);
    let mut daemon =
        builder.url_server("b", "http://127.0.0.1/mcp").start().await.unwrap_or_else(|error| {
            panic!("{error:#}");
        });
    assert_eq!(daemon.base(), "http://127.0.0.1:4711");
    assert_eq!(daemon.endpoint("a"), "http://127.0.0.1:4711/mcp/a");
    daemon.wait_for_log("starting", Duration::from_secs(10)).await.unwrap();
    assert!(daemon.log().contains(r#"command = ["run","it \"so\""]"#), "{}", daemon.log());
    daemon.term().unwrap();
    let status = daemon.wait(Duration::from_secs(10)).await.unwrap();
    assert_eq!(status.code(), None, "ended by the signal");
}

#[tokio::test]
async fn a_program_that_ends_early_is_reported_with_its_log() {
    let (_folder, path) = program("echo it is broken >&2; exit 3");
    let error = Daemon::builder(path).start().await.err().unwrap().to_string();
    assert!(error.contains("exit status: 3") && error.contains("it is broken"), "{error}");
}

#[tokio::test]
async fn children_left_behind_fail_the_test() {
    let (_folder, path) = program("sleep 61 & echo http://127.0.0.1:1; wait");
    let builder = Daemon::builder(path).gone_within(Duration::from_millis(100));
    let mut daemon = builder.start().await.unwrap();
    let children = daemon.children();
    assert_eq!(children.len(), 1, "{children:?}");
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(daemon)));
    assert!(dropped.is_err());
    assert!(!children[0].lives(), "it is ended all the same");
}
