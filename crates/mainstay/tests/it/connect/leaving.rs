//! The ways in which a client leaves.

use std::time::{Duration, Instant};

use mainstay_testkit::process::Process;
use rustix::process::Signal;
use serde_json::json;
use tempfile::tempdir;

use super::{Client, PATIENCE, assert_echo, assert_once, assert_refused, daemon_with, sessions};

#[tokio::test]
async fn a_call_in_flight_at_the_end_of_input_is_answered() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    let mut client = Client::greeted(&daemon.state(), "s").await;
    let call = client.call("slow", json!({"ms": 300})).await;
    let left = client.leave().await;
    assert_once(&left.messages, [call]);
    assert_echo(&left.messages[0], &json!({"ms": 300}));
    assert_eq!((left.code, sessions(&daemon)), (Some(0), 0));
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_given_up() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    let mut client = Client::greeted(&daemon.state(), "s").await;
    let call = client.call("hang", json!({})).await;
    let begun = Instant::now();
    let left = client.leave().await;
    assert_once(&left.messages, [call]);
    assert_refused(&left.messages[0], 1007, "OUTCOME_UNKNOWN");
    assert!(begun.elapsed() >= Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!((left.code, sessions(&daemon)), (Some(0), 0));
}

#[tokio::test]
async fn a_signal_ends_it_as_the_end_of_input_does() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    for signal in [Signal::TERM, Signal::INT] {
        let mut client = Client::greeted(&daemon.state(), "s").await;
        let call = client.call("slow", json!({"ms": 300})).await;
        // The answer to this call comes after the call was accepted.
        client.request("ping", json!({})).await;
        let pid = i32::try_from(client.child.id().unwrap()).unwrap();
        let process = Process::find(pid).unwrap();
        process.signal(signal);
        let left = client.end().await;
        assert_once(&left.messages, [call]);
        assert_eq!((left.code, sessions(&daemon)), (Some(0), 0));
    }
}

#[tokio::test]
async fn who_asks_again_does_not_have_to_wait() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    let mut client = Client::greeted(&daemon.state(), "s").await;
    let call = client.call("hang", json!({})).await;
    client.request("ping", json!({})).await;
    let pid = i32::try_from(client.child.id().unwrap()).unwrap();
    let process = Process::find(pid).unwrap();
    let begun = Instant::now();
    // Two signals close to each other may be one, so they are repeated until a second one arrives.
    let impatient = tokio::spawn(async move {
        while process.lives() {
            process.signal(Signal::TERM);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let left = client.end().await;
    impatient.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_once(&left.messages, [call]);
    assert_eq!((left.code, sessions(&daemon)), (Some(0), 0));
}

#[tokio::test]
async fn nobody_who_reads_is_the_end() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    let Client { mut child, input, output, .. } = Client::greeted(&daemon.state(), "s").await;
    drop(output);
    let mut input = input.unwrap();
    let ping = b"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"ping\"}\n";
    tokio::io::AsyncWriteExt::write_all(&mut input, ping).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
    assert_eq!(ended.code(), Some(0));
}
