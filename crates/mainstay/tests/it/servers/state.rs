//! One daemon for each state folder.

use std::time::Duration;

use serde_json::json;

use super::{ask, assert_echo, daemon, in_state, misbehave};

#[tokio::test]
async fn a_second_daemon_is_refused_and_told_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let first =
        daemon().folder(folder.path()).command_server("s", &misbehave(&[])).start().await.unwrap();
    let second = daemon().folder(folder.path()).command_server("s", &misbehave(&[])).start().await;
    let error = second.err().expect("a second daemon must not start").to_string();
    assert!(error.contains(&first.pid().to_string()), "{error}");
    assert!(error.contains("--state"), "{error}");
    in_state(&first, "s", "ready").await;
    let client = first.client("s").await.unwrap();
    assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
    assert!(first.run(&["status"]).unwrap().status.success());
}

#[tokio::test]
async fn what_a_killed_daemon_left_in_the_folder_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let start = || daemon().folder(folder.path()).command_server("s", &misbehave(&[])).start();
    let mut first = start().await.unwrap();
    in_state(&first, "s", "ready").await;
    first.kill().unwrap();
    first.wait(Duration::from_secs(5)).await.unwrap();
    assert!(first.state().join("control.sock").exists(), "a socket is left behind");
    assert_eq!(first.run(&["status"]).unwrap().status.code(), Some(3), "and nobody listens");
    let second = start().await.unwrap();
    in_state(&second, "s", "ready").await;
    assert!(second.run(&["status"]).unwrap().status.success());
    drop(second);
    drop(first);
}
