//! Servers that support only HTTP+SSE of 2024-11-05.

use mainstay_testkit::{Client, Daemon, Site};
use serde_json::{Value, json};

use super::{assert_echo, until};

/// The path of the stream, which such servers have at a separate address.
fn url(site: &Site) -> String {
    site.url_of("/tools/sse")
}

async fn behind(site: &Site) -> Daemon {
    let binary = env!("CARGO_BIN_EXE_mainstay");
    Daemon::builder(binary).url_server("s", &url(site)).start().await.unwrap()
}

/// Returns what `status` reports about the server.
fn server(daemon: &Daemon) -> Value {
    let run = daemon.run(&["status", "--json"]).unwrap();
    let mut status: Value = serde_json::from_slice(&run.stdout).unwrap();
    status["servers"][0].take()
}

async fn ready(daemon: &Daemon) {
    until("the server is ready", async || server(daemon)["state"] == "ready").await;
}

/// Returns why a server is not ready, once the reason contains these words.
async fn reason(daemon: &Daemon, words: &str) {
    until(words, async || {
        server(daemon)["reason"].as_str().is_some_and(|reason| reason.contains(words))
    })
    .await;
}

#[tokio::test]
async fn it_is_found_out_whichever_way_the_server_refuses_a_post() {
    for status in ["400", "404", "405"] {
        for odd in [&["--odd-sse"][..], &[]] {
            let flag = format!("--only-sse={status}");
            let site = Site::start(&[&[flag.as_str()], odd].concat());
            let daemon = behind(&site).await;
            ready(&daemon).await;
            let now = server(&daemon);
            assert_eq!(now["transport"], "HTTP+SSE", "{now}");
            assert_eq!(now["revision"], "2025-11-25", "{now}");
            let page = daemon.run(&["status", "s"]).unwrap();
            let page = String::from_utf8(page.stdout).unwrap();
            assert!(page.contains("HTTP+SSE"), "{page}");
            let client = daemon.client("s").await.unwrap();
            assert_echo(&client.call("echo", json!({"n": 1})).await.unwrap(), &json!({"n": 1}));
            // With 400 it may have refused the revision, so the other three are tried first.
            let posts = if status == "400" { 4 } else { 1 };
            assert_eq!(site.stats().await["counts"]["refused"], posts, "one POST too many");
        }
    }
}

#[tokio::test]
async fn other_refusals_are_no_reason_to_try_it() {
    for status in ["401", "403", "406", "500", "503"] {
        let site = Site::start(&[&format!("--only-sse={status}")]);
        let daemon = behind(&site).await;
        reason(&daemon, status).await;
        let seen = site.stats().await;
        assert_eq!(seen["counts"]["GET"], Value::Null, "{status}: {seen}");
    }
}

#[tokio::test]
async fn what_is_neither_is_said_to_be() {
    for (flags, words) in [
        (&["--only-sse=404", "--no-get"][..], "it is not HTTP+SSE either: a GET was answered"),
        (&["--only-sse=404", "--endpoint=http://evil.example/m"], "http://evil.example"),
        (&["--only-sse=404", "--endpoint=//127.0.0.1:1/m"], "not where it comes from"),
    ] {
        let site = Site::start(flags);
        let daemon = behind(&site).await;
        reason(&daemon, words).await;
    }
}

#[tokio::test]
async fn calls_at_once_and_what_comes_during_them_find_their_clients() {
    let site = Site::start(&["--only-sse=405"]);
    let daemon = behind(&site).await;
    ready(&daemon).await;
    let (one, two) = (daemon.client("s").await.unwrap(), daemon.client("s").await.unwrap());
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..100 {
        let client = [&one, &two][n % 2].clone();
        calls.spawn(async move {
            let sent = json!({"n": n, "ms": n % 50});
            assert_echo(&client.call("slow", sent.clone()).await.unwrap(), &sent);
        });
    }
    while let Some(ended) = calls.join_next().await {
        ended.unwrap();
    }
    let params = json!({"name": "progress", "arguments": {"steps": 4, "ms": 20},
        "_meta": {"progressToken": "mine"}});
    let mut exchange = one.send("tools/call", params).await.unwrap();
    let (before, _) = exchange.all().await.unwrap();
    assert_eq!(before.len(), 4, "{before:?}");
    assert!(before.iter().all(|message| message["params"]["progressToken"] == "mine"));
    let huge = one.call("huge", json!({"bytes": 3_000_000})).await.unwrap();
    assert_eq!(huge["content"][0]["text"].as_str().unwrap().len(), 3_000_000);
    // Messages that the server sends outside of calls.
    let mut stream = two.listen(None).await.unwrap();
    one.call("change", json!({})).await.unwrap();
    let said = stream.message().await.unwrap().unwrap();
    assert_eq!(said["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn two_clients_are_asked_at_once_and_neither_hears_the_other() {
    let site = Site::start(&["--only-sse=405"]);
    let daemon = behind(&site).await;
    ready(&daemon).await;
    for (tool, capability) in
        [("ask_user", "elicitation"), ("ask_model", "sampling"), ("ask_roots", "roots")]
    {
        let mut asked = Vec::new();
        for _ in 0..2 {
            let mut client = Client::new(&daemon.endpoint("s")).unwrap();
            client.initialize("2025-11-25", &json!({capability: {}})).await.unwrap();
            let call = json!({"name": tool, "arguments": {}});
            let mut exchange = client.send("tools/call", call).await.unwrap();
            let question = exchange.next().await.unwrap().unwrap();
            asked.push((client, exchange, question));
        }
        for (n, (client, exchange, question)) in asked.iter_mut().enumerate().rev() {
            client.respond(&question["id"], json!({"said": n})).await.unwrap();
            let answer = exchange.answer().await.unwrap();
            let heard = &answer["result"]["structuredContent"]["answer"];
            assert_eq!(heard["said"], n, "{tool}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_cancellation_follows_its_call() {
    let site = Site::start(&["--only-sse=405"]);
    let daemon = behind(&site).await;
    ready(&daemon).await;
    let client = daemon.client("s").await.unwrap();
    for n in 1..=20 {
        let id = json!(format!("c{n}"));
        let call = client.clone();
        let sent = id.clone();
        let running = tokio::spawn(async move {
            let params = json!({"name": "hang_until_cancelled", "arguments": {}});
            call.send_as(sent, "tools/call", params).await
        });
        until("the call is under way", async || server(&daemon)["calls"] == 1).await;
        client.notify("notifications/cancelled", json!({"requestId": id})).await.unwrap();
        let _ = running.await.unwrap();
        until("the server heard", async || site.stats().await["counts"]["cancelled calls"] == n)
            .await;
    }
}

#[tokio::test]
async fn a_restart_is_invisible_to_the_session_and_needs_no_second_trial() {
    let mut site = Site::start(&["--only-sse=405"]);
    let daemon = behind(&site).await;
    ready(&daemon).await;
    let client = daemon.client("s").await.unwrap();
    client.request("resources/subscribe", json!({"uri": "mis://one"})).await.unwrap();
    for n in 0..3 {
        assert_echo(&client.call("echo", json!({"n": n})).await.unwrap(), &json!({"n": n}));
        site.kill();
        site.revive();
    }
    assert_echo(&client.call("echo", json!({"n": 3})).await.unwrap(), &json!({"n": 3}));
    until("the subscription", async || site.stats().await["counts"]["resources/subscribe"] == 1)
        .await;
    assert_eq!(site.stats().await["counts"]["refused"], Value::Null);
    // The server may also end the stream and continue.
    site.forget().await;
    assert_echo(&client.call("echo", json!({"n": 4})).await.unwrap(), &json!({"n": 4}));
    assert_eq!(site.stats().await["counts"]["initialize"], 2);
}

#[tokio::test]
async fn calls_cut_off_by_a_restart_are_answered_once() {
    let mut site = Site::start(&["--only-sse=405"]);
    let daemon = behind(&site).await;
    ready(&daemon).await;
    let client = daemon.client("s").await.unwrap();
    let call = |tool: &'static str, arguments: Value| {
        let client = client.clone();
        tokio::spawn(async move {
            let params = json!({"name": tool, "arguments": arguments});
            client.send("tools/call", params).await.unwrap().answer().await.unwrap()
        })
    };
    let reads = call("slow", json!({"ms": 500}));
    let changes = call("progress", json!({"steps": 100, "ms": 50}));
    until("both calls at the server", async || {
        let seen = site.stats().await["counts"].take();
        seen["tool slow"] == 1 && seen["tool progress"] == 1
    })
    .await;
    site.kill();
    site.revive();
    let answer = reads.await.unwrap();
    assert_echo(&answer["result"], &json!({"ms": 500}));
    let answer = changes.await.unwrap();
    assert_eq!(answer["error"]["data"]["code"], "OUTCOME_UNKNOWN", "{answer}");
}

#[tokio::test]
async fn headers_go_with_the_stream_and_with_every_message() {
    let site = Site::start(&["--only-sse=404", "--wants-header=x-key:s3cret"]);
    // A client without the token is refused.
    let without = behind(&site).await;
    reason(&without, "401").await;
    let binary = env!("CARGO_BIN_EXE_mainstay");
    let config =
        format!("[servers.s]\nurl = \"{}\"\nheaders = {{ x-key = \"s3cret\" }}", url(&site));
    let daemon = Daemon::builder(binary).config(&config).start().await.unwrap();
    ready(&daemon).await;
    let client = daemon.client("s").await.unwrap();
    assert_echo(&client.call("echo", json!({"n": 1})).await.unwrap(), &json!({"n": 1}));
    assert!(!daemon.log().contains("s3cret"));
}

#[tokio::test]
async fn the_stream_ends_with_the_daemon() {
    let site = Site::start(&["--only-sse=405"]);
    let mut daemon = behind(&site).await;
    ready(&daemon).await;
    daemon.term().unwrap();
    assert!(daemon.wait(super::PATIENCE).await.unwrap().success());
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let seen = site.stats().await;
    assert_eq!(seen["counts"]["GET"], 1, "{seen}");
    let stale = Client::new(&site.url_of("/messages?sessionId=x")).unwrap();
    assert_eq!(stale.post(ping, &[]).await.unwrap().status, 404);
}
