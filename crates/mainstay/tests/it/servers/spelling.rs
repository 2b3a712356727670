//! Servers that give ids and progress tokens back in another spelling than they got, as official SDKs accept.

use std::time::Duration;

use mainstay_testkit::{Client, Daemon, Site};
use serde_json::{Value, json};

use super::{ask, assert_echo, daemon, in_state, metric, misbehave};

const SPELLINGS: [&str; 3] = ["string", "float", "exponent"];

/// A daemon with a server for each spelling and transport, and the names of these servers.
async fn respelled(spelling: &str, more: &[&str]) -> (Vec<Site>, Daemon, Vec<&'static str>) {
    let ids = format!("--ids={spelling}");
    let flags = |own: &[&'static str]| [&[&*ids], more, own].concat();
    let sites: Vec<_> = [&[][..], &["--json"], &["--sse"], &["--only-sse=405"]]
        .iter()
        .map(|own| Site::start(&flags(own)))
        .collect();
    let mut builder = daemon().command_server("pipe", &misbehave(&flags(&[])));
    let names = ["site", "bodies", "streams", "older"];
    for (name, site) in names.iter().zip(&sites) {
        builder = builder.url_server(name, &site.url());
    }
    let daemon = builder.start().await.unwrap();
    (sites, daemon, [&["pipe"], &names[..]].concat())
}

#[tokio::test]
async fn an_id_of_ours_is_known_in_any_spelling_in_handshakes_lists_and_calls() {
    for spelling in SPELLINGS {
        let (_sites, daemon, names) = respelled(spelling, &[]).await;
        for name in names {
            let ready = in_state(&daemon, name, "ready").await;
            assert_eq!(ready["restarts"], 0, "{spelling} {name}");
            let client = daemon.client(name).await.unwrap();
            assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
            assert_eq!(ask(&client, "refuse", json!({})).await["error"]["code"], -32603);
            check_client_ids(&client).await;
            if name != "bodies" {
                check_progress(&client, spelling, name).await;
            }
            let late = metric(&daemon, "mainstay_late_answers_total", &[]).await;
            assert_eq!(late, 0.0, "{spelling} {name}");
        }
    }
}

/// A client gets its own ids back byte for byte.
async fn check_client_ids(client: &Client) {
    for id in [json!(7), json!("7"), json!(7.0), json!("7.0"), json!(-1)] {
        let params = json!({"name": "echo", "arguments": {"n": id}});
        let mut exchange = client.send_as(id.clone(), "tools/call", params).await.unwrap();
        let answer = exchange.next().await.unwrap().unwrap();
        assert_eq!(answer["id"].to_string(), id.to_string());
        assert_echo(&answer, &json!({"n": id}));
    }
}

async fn check_progress(client: &Client, spelling: &str, name: &str) {
    let params = json!({
        "name": "progress", "arguments": {"steps": 3}, "_meta": {"progressToken": "mine"},
    });
    let mut exchange = client.send("tools/call", params).await.unwrap();
    let (events, answer) = exchange.all().await.unwrap();
    let steps: Vec<_> = events.iter().map(|event| &event["params"]["progress"]).collect();
    assert_eq!(steps, [1, 2, 3], "{spelling} {name}");
    assert_eq!(events[0]["params"]["progressToken"], "mine");
    assert_echo(&answer, &json!({"steps": 3}));
}

/// The server names the listen in its acknowledgement, its marks and its cancellation.
#[tokio::test]
async fn listens_of_a_modern_server_are_known_in_any_spelling() {
    for spelling in SPELLINGS {
        let ids = format!("--ids={spelling}");
        let flags = ["--modern-only", &ids];
        let site = Site::start(&flags);
        let daemon = daemon()
            .command_server("pipe", &misbehave(&flags))
            .url_server("site", &site.url())
            .start()
            .await
            .unwrap();
        for name in ["pipe", "site"] {
            let before = in_state(&daemon, name, "ready").await["tools"].as_u64().unwrap();
            // The tool is called by the command, which speaks to servers of either era.
            let called = daemon.run(&["call", name, "change"]).unwrap();
            assert!(called.status.success(), "{called:?}");
            let grown = async || {
                let now: Value = super::server(&daemon, name).await;
                (now["tools"].as_u64().unwrap() > before).then_some(())
            };
            super::eventually(&format!("{spelling} {name}: the new tool"), grown).await;
        }
    }
}

#[tokio::test]
async fn a_listen_that_is_cancelled_in_another_spelling_ends() {
    let flags = ["--modern-only", "--ids=string", "--drop-listens=100"];
    let daemon = daemon().command_server("pipe", &misbehave(&flags)).start().await.unwrap();
    in_state(&daemon, "pipe", "ready").await;
    // It is opened again each time it ends.
    super::eventually("a second listen", async || {
        let stats = daemon.run(&["call", "pipe", "stats"]).unwrap();
        let text = String::from_utf8_lossy(&stats.stdout).into_owned();
        text.contains("\"listens dropped\":2").then_some(())
    })
    .await;
}

/// Mainstay also numbers the questions to clients. Here a client answers them.
#[tokio::test]
async fn an_answer_of_a_client_is_known_in_any_spelling() {
    let (_site, daemon) = super::both_ways(&[]);
    let daemon = daemon.start().await.unwrap();
    for name in ["pipe", "site"] {
        in_state(&daemon, name, "ready").await;
        let mut client = Client::new(&daemon.endpoint(name)).unwrap();
        client.initialize("2025-11-25", &json!({"roots": {}})).await.unwrap();
        for spelling in ["\"N\"", "N.0", "Ne0"] {
            let params = json!({"name": "ask_roots", "arguments": {}});
            let mut exchange = client.send("tools/call", params).await.unwrap();
            let question = exchange.next().await.unwrap().unwrap();
            assert_eq!(question["method"], "roots/list", "{question}");
            let id = spelling.replace('N', &question["id"].to_string());
            let id: Value = serde_json::from_str(&id).unwrap();
            client.respond(&id, json!({"roots": []})).await.unwrap();
            let answer = tokio::time::timeout(Duration::from_secs(20), exchange.answer());
            let answer = answer.await.expect("in time").unwrap();
            let echoed = &answer["result"]["structuredContent"]["answer"];
            assert_eq!(*echoed, json!({"roots": []}), "{name} {spelling}: {answer}");
        }
    }
}
