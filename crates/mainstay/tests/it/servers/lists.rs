//! Merged lists come in time, name missing servers, and follow changes.

use std::time::{Duration, Instant};

use mainstay_testkit::client::Reply;
use mainstay_testkit::{Client, Daemon};
use serde_json::{Value, json};

use super::{ask, daemon, in_state, misbehave};

async fn merged(daemon: &Daemon) -> Client {
    Client::connect(&format!("{}/mcp", daemon.base())).await.unwrap()
}

fn names(listed: &Value) -> Vec<&str> {
    listed["tools"].as_array().unwrap().iter().filter_map(|tool| tool["name"].as_str()).collect()
}

#[tokio::test]
async fn a_slow_server_is_named_as_missing_and_announced_when_it_is_there() {
    let daemon = daemon()
        .config("[gateway]\nlist_timeout = \"200ms\"")
        .command_server("quick", &misbehave(&[]))
        .command_server("late", &misbehave(&["--slow-start=2500"]))
        .start()
        .await
        .unwrap();
    in_state(&daemon, "quick", "ready").await;
    let client = merged(&daemon).await;
    let mut stream = client.listen(None).await.unwrap();
    let begun = Instant::now();
    let listed = client.request("tools/list", json!({})).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(names(&listed).contains(&"echo") && !names(&listed).contains(&"late_echo"));
    let missing = &listed["_meta"]["mainstay/missing"];
    assert_eq!(missing[0]["server"], "late", "{missing}");
    let state = missing[0]["state"].as_str().unwrap();
    assert!(["starting", "handshaking"].contains(&state), "{missing}");
    let mut told = Vec::new();
    while told.len() < 3 {
        told.push(stream.message().await.unwrap().unwrap()["method"].as_str().unwrap().to_owned());
    }
    told.sort();
    let kinds = ["prompts", "resources", "tools"];
    assert_eq!(told, kinds.map(|kind| format!("notifications/{kind}/list_changed")));
    let listed = client.request("tools/list", json!({})).await.unwrap();
    assert!(names(&listed).contains(&"late_echo"));
    assert!(listed["_meta"].is_null(), "{}", listed["_meta"]);
}

#[tokio::test]
async fn dead_servers_are_missing_and_break_nothing() {
    let daemon = daemon()
        .config("[gateway]\nlist_timeout = \"500ms\"")
        .command_server("dies", &misbehave(&["--die-in-handshake"]))
        .command_server("good", &misbehave(&[]))
        .command_server("next", &misbehave(&["--revision=1999-01-01"]))
        .url_server("nowhere", "http://127.0.0.1:9/mcp")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "good", "ready").await;
    in_state(&daemon, "next", "failed").await;
    let client = merged(&daemon).await;
    for (method, member) in [
        ("tools/list", "tools"),
        ("prompts/list", "prompts"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
    ] {
        let begun = Instant::now();
        let listed = client.request(method, json!({})).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(3), "{method}: {:?}", begun.elapsed());
        assert!(!listed[member].as_array().unwrap().is_empty(), "{method}");
        let missing = listed["_meta"]["mainstay/missing"].as_array().unwrap();
        let missing: Vec<_> = missing.iter().map(|one| one["server"].as_str().unwrap()).collect();
        assert_eq!(missing, ["dies", "next", "nowhere"], "{method}");
    }
    assert!(ask(&client, "echo", json!({})).await["result"].is_object());
}

#[tokio::test]
async fn long_lists_come_in_pages_without_loss() {
    let daemon = daemon()
        .command_server("a", &misbehave(&["--tools=1600", "--pages=100"]))
        .command_server("b", &misbehave(&["--tools=900"]))
        .start()
        .await
        .unwrap();
    in_state(&daemon, "a", "ready").await;
    in_state(&daemon, "b", "ready").await;
    let client = merged(&daemon).await;
    let (mut all, mut cursor, mut pages) = (Vec::new(), Value::Null, 0);
    loop {
        let params = if cursor.is_null() { json!({}) } else { json!({"cursor": cursor}) };
        let page = client.request("tools/list", params).await.unwrap();
        let names = names(&page);
        assert!(names.len() <= 1000);
        all.extend(names.into_iter().map(str::to_owned));
        pages += 1;
        if page["nextCursor"].is_null() {
            break;
        }
        cursor = page["nextCursor"].clone();
    }
    let count = all.len();
    assert!(count > 2500 && pages == 3, "{count} in {pages}");
    for name in ["extra_01599", "b_extra_00899", "echo", "b_echo"] {
        assert!(all.iter().any(|other| other == name), "{name}");
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count, "no name comes twice");
    assert!(ask(&client, "b_extra_00899", json!({})).await["result"].is_object());
}

#[tokio::test]
async fn changes_are_passed_on_to_every_session_it_concerns() {
    let daemon = daemon()
        .command_server("a", &misbehave(&[]))
        .command_server("b", &misbehave(&[]))
        .start()
        .await
        .unwrap();
    in_state(&daemon, "a", "ready").await;
    in_state(&daemon, "b", "ready").await;
    let (merged, own) = (merged(&daemon).await, daemon.client("b").await.unwrap());
    let mut streams = [merged.listen(None).await.unwrap(), own.listen(None).await.unwrap()];
    ask(&merged, "change", json!({})).await;
    hears_of(&mut streams[0], &merged, "added_0").await;
    ask(&merged, "b_change", json!({})).await;
    hears_of(&mut streams[0], &merged, "b_added_0").await;
    hears_of(&mut streams[1], &own, "added_0").await;
}

/// Reads until a change is announced and the tool is listed. Announcements of the first lists may come
/// before.
async fn hears_of(stream: &mut Reply, client: &Client, tool: &str) {
    loop {
        let told = stream.message().await.unwrap().expect("the stream goes on");
        let listed = client.request("tools/list", json!({})).await.unwrap();
        if told["method"] == "notifications/tools/list_changed" && names(&listed).contains(&tool) {
            return;
        }
    }
}

#[tokio::test]
async fn a_server_that_never_tells_is_asked_with_each_list() {
    let daemon = daemon().command_server("s", &misbehave(&["--untold"])).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    let client = merged(&daemon).await;
    let before = client.request("tools/list", json!({})).await.unwrap();
    ask(&client, "change", json!({})).await;
    let after = client.request("tools/list", json!({})).await.unwrap();
    assert_eq!(names(&after).len(), names(&before).len() + 1);
    assert!(ask(&client, "added_0", json!({})).await["result"].is_object());
}

#[tokio::test]
async fn a_server_that_comes_back_with_other_tools_is_announced() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tools.json");
    std::fs::write(&file, r#"{"tools":[{"name":"before","inputSchema":{"type":"object"}}]}"#)
        .unwrap();
    let command = misbehave(&[&format!("--tools-from={}", file.display())]);
    let daemon = daemon().command_server("s", &command).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    let client = merged(&daemon).await;
    assert_eq!(names(&client.request("tools/list", json!({})).await.unwrap()), ["before"]);
    let mut stream = client.listen(None).await.unwrap();
    std::fs::write(&file, r#"{"tools":[{"name":"after","inputSchema":{"type":"object"}}]}"#)
        .unwrap();
    super::kill(&super::process(&daemon, "s").await);
    hears_of(&mut stream, &client, "after").await;
    assert_eq!(names(&client.request("tools/list", json!({})).await.unwrap()), ["after"]);
}
