//! Servers that are available to clients of each era.

use mainstay_testkit::{Client, Daemon, programs};
use serde_json::json;

use super::{Scene, until};

#[tokio::test]
async fn a_client_that_knows_both_falls_back_where_only_the_older_is_spoken() {
    let scene = Scene::start().await;
    for method in ["server/discover", "tools/list"] {
        let (status, answer) = scene.ask("old", method, json!({})).await;
        let code = answer["error"]["code"].as_i64().unwrap();
        assert_eq!(status, 400, "{answer}");
        // None of the three answers that mean "modern", so the client falls back to `initialize`.
        assert!(!(-32022..=-32020).contains(&code) && code < 0, "{answer}");
    }
    let client = scene.daemon.client("old").await.unwrap();
    client.call("echo", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_handshake_where_only_the_newer_is_spoken_is_refused_with_its_name() {
    let scene = Scene::start().await;
    let client = Client::new(&scene.daemon.endpoint("far")).unwrap();
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    let mut reply = client.post(body.to_string(), &[]).await.unwrap();
    let answer = reply.json().await.unwrap();
    assert_eq!(answer["error"]["code"], -32022, "{answer}");
    assert_eq!(answer["error"]["data"]["supported"], json!(["2026-07-28"]), "{answer}");
    assert!(reply.header("mcp-session-id").is_none());
}

#[tokio::test]
async fn a_server_of_both_is_served_to_both_at_once_by_processes_of_their_own() {
    let scene = Scene::start().await;
    let newer = scene.call("near", "stats", json!({})).await;
    let client = scene.daemon.client("near").await.unwrap();
    let older = client.call("stats", json!({})).await.unwrap();
    assert_ne!(newer["structuredContent"]["pid"], older["structuredContent"]["pid"]);
}

#[tokio::test]
async fn everything_says_who_is_not_in_its_lists_and_why() {
    let scene = Scene::start().await;
    let (_, list) = scene.ask("", "tools/list", json!({})).await;
    let missing = list["result"]["_meta"]["mainstay/missing"].clone();
    assert_eq!(missing[0]["server"], "old", "{missing}");
    assert!(missing[0]["why"].as_str().unwrap().contains("2025-11-25"), "{missing}");
    assert_eq!(missing.as_array().unwrap().len(), 1, "{missing}");
    let client = scene.daemon.client("").await.unwrap();
    let list = client.request("tools/list", json!({})).await.unwrap();
    let missing = list["_meta"]["mainstay/missing"].clone();
    assert_eq!(missing[0]["server"], "far", "{missing}");
    // Both eras have the same names.
    let names = |list: &serde_json::Value| -> Vec<String> {
        let tools = list["tools"].as_array().unwrap();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    };
    assert!(names(&list).contains(&"old_echo".to_owned()), "{:?}", names(&list));
    let (_, newer) = scene.ask("", "tools/list", json!({})).await;
    assert!(names(&newer["result"]).contains(&"far_echo".to_owned()));
    assert!(names(&newer["result"]).contains(&"echo".to_owned()));
}

/// A server that is ready but useless to most clients is reported everywhere.
#[tokio::test]
async fn a_server_of_the_newer_only_is_said_to_be_so_wherever_one_looks() {
    const SAID: &str = "supports only 2026-07-28: clients of older revisions can't use it yet";
    let scene = Scene::start().await;
    let client = scene.daemon.client("").await.unwrap();
    let list = client.request("tools/list", json!({})).await.unwrap();
    let missing = &list["_meta"]["mainstay/missing"][0];
    assert_eq!(missing, &json!({"server": "far", "state": "ready", "why": SAID}));
    for path in ["/health/detailed", "/api/servers"] {
        let all = client.plain("GET", path).await.unwrap().json().await.unwrap();
        let note = |name: &str| {
            let servers = all["servers"].as_array().unwrap();
            servers.iter().find(|server| server["name"] == name).unwrap()["note"].clone()
        };
        assert_eq!(
            (note("far"), note("near"), note("old")),
            (json!(SAID), json!(null), json!(null))
        );
    }
    for arguments in [&["status"][..], &["status", "far"], &["tools", "--merged"]] {
        let said = String::from_utf8(scene.daemon.run(arguments).unwrap().stdout).unwrap();
        assert!(said.contains(SAID) && said.contains("far"), "{arguments:?}: {said}");
    }
    let call = json!({"name": "nobody_has_this", "arguments": {}});
    let mut exchange = client.send("tools/call", call).await.unwrap();
    let answer = exchange.answer().await.unwrap();
    let said = answer["error"]["message"].as_str().unwrap();
    assert!(said.contains(&format!("far (ready: it {SAID})")), "{said}");
}

#[tokio::test]
async fn a_process_that_ends_rather_than_initialize_is_asked_what_it_is_in_its_next_life() {
    let fixture = programs::fixture().unwrap();
    let daemon = Daemon::builder(env!("CARGO_BIN_EXE_mainstay"))
        .command_server("only", &[fixture.to_str().unwrap(), "stdio", "--only", "modern"])
        .start()
        .await
        .unwrap();
    let client = Client::new(&daemon.endpoint("only")).unwrap();
    until("it is ready in its own revision", async || {
        let mut health = client.plain("GET", "/health/detailed").await.unwrap();
        let server = health.json().await.unwrap()["servers"][0].clone();
        server["state"] == "ready" && server["revision"] == "2026-07-28"
    })
    .await;
}
