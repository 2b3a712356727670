//! Servers that stop answering are told apart from slow ones, and replaced.

use std::time::{Duration, Instant};

use mainstay_testkit::process::Process;
use mainstay_testkit::{Client, Daemon};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    Site, ask, assert_echo, assert_refused, daemon, eventually, get, in_state, life, metric,
    misbehave, process, server,
};
use crate::shared::eventually_within;

/// A hang is noticed within a minute. The rest is for a busy machine.
const NOTICED: Duration = Duration::from_secs(100);

/// Returns the reason for which an instance of a server was lost first, as the log has it.
fn lost_because(daemon: &Daemon, server: &str) -> Option<String> {
    let log = daemon.log();
    let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lost = lines.find(|line| line["message"] == "instance lost" && line["server"] == server);
    lost?["reason"].as_str().map(str::to_owned)
}

/// Waits until an instance of a server was lost because it hung, and returns the reason.
async fn hung(daemon: &Daemon, server: &str) -> String {
    let what = format!("word that {server} hangs");
    let reason = eventually_within(NOTICED, &what, async || lost_because(daemon, server)).await;
    assert!(reason.starts_with("it hangs: nothing came from it for "), "{server}: {reason}");
    reason
}

/// Calls a server without a pause until told to stop. Returns the number of answers.
fn keep_calling(client: Client, stop: CancellationToken) -> tokio::task::JoinHandle<u64> {
    tokio::spawn(async move {
        let mut made = 0;
        while !stop.is_cancelled() {
            assert_echo(&ask(&client, "echo", json!({"n": made})).await, &json!({"n": made}));
            made += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        made
    })
}

/// One wait for all of them: it takes as long as for one.
#[tokio::test]
async fn every_way_to_hang_without_calls_is_noticed_within_a_minute_and_by_nobody_else() {
    let far = [
        ("http", Site::start(&[])),
        ("no_stream", Site::start(&["--no-get"])),
        ("modern", Site::start(&["--modern-only", "--no-listen"])),
        ("old", Site::start(&["--only-sse=405"])),
    ];
    let mut builder = daemon()
        .command_server("good", &misbehave(&[]))
        .command_server("silent", &misbehave(&["--no-pings"]))
        .command_server("frozen", &misbehave(&[]))
        .command_server("frozen_modern", &misbehave(&["--modern-only"]))
        .command_server("frozen_silent", &misbehave(&["--no-pings"]))
        .command_server("resting", &misbehave(&[]))
        .config("idle = \"stop\"")
        .command_server("lent", &misbehave(&[]))
        .config("sharing = \"session\"")
        .command_server("deaf", &misbehave(&[]));
    for (name, site) in &far {
        builder = builder.url_server(name, &site.url()).config("required = true");
    }
    let daemon = builder.start().await.unwrap();
    let near = ["frozen", "frozen_modern", "frozen_silent", "resting"];
    for name in
        near.into_iter().chain(["good", "silent", "deaf"]).chain(far.each_ref().map(|far| far.0))
    {
        in_state(&daemon, name, "ready").await;
    }
    assert_eq!(get(daemon.base(), "/health").await.0, 200);
    let lives = [life(&daemon, "good").await, life(&daemon, "silent").await];
    let stop = CancellationToken::new();
    let calling = keep_calling(daemon.client("good").await.unwrap(), stop.clone());

    let mut frozen: Vec<Process> = Vec::new();
    for name in near {
        frozen.push(process(&daemon, name).await);
    }
    // The instance that a session has for itself.
    let lender = daemon.client("lent").await.unwrap();
    let stats = lender.call("stats", json!({})).await.unwrap();
    let pid = stats["structuredContent"]["pid"].as_i64().expect("it says which process it is");
    frozen.push(Process::find(i32::try_from(pid).unwrap()).unwrap());
    let deaf = daemon.client("deaf").await.unwrap();
    ask(&deaf, "go_deaf", json!({})).await;
    frozen.iter().for_each(|process| process.signal(Signal::STOP));
    far.iter().for_each(|(_, site)| site.signal(Signal::STOP));

    for name in near.into_iter().chain(["lent"]) {
        let reason = hung(&daemon, name).await;
        assert!(reason.contains("its process is stopped, as by SIGSTOP"), "{name}: {reason}");
        let asked = match name {
            "frozen_silent" => "tools/list",
            "frozen_modern" => "server/discover",
            _ => "",
        };
        assert!(reason.contains(asked), "{name}: {reason}");
    }
    assert!(hung(&daemon, "deaf").await.contains("its process waits for something"));
    for (name, _) in &far {
        hung(&daemon, name).await;
        let shown = server(&daemon, name).await;
        assert_ne!(shown["state"], "ready", "{shown}");
    }
    let (status, health) = get(daemon.base(), "/health").await;
    assert_eq!(status, 503, "a server that is required hangs: {health}");
    assert!(frozen.iter().all(|process| !process.lives()), "they were replaced");
    for name in near.into_iter().chain(["deaf"]) {
        let client = daemon.client(name).await;
        match name {
            "frozen_modern" => _ = in_state(&daemon, name, "ready").await,
            _ => assert_echo(&ask(&client.unwrap(), "echo", json!({})).await, &json!({})),
        }
    }
    assert_echo(&ask(&lender, "echo", json!({})).await, &json!({}));
    far.iter().for_each(|(_, site)| site.signal(Signal::CONT));
    for (name, _) in &far {
        eventually_within(NOTICED, "its return", async || {
            (server(&daemon, name).await["state"] == "ready").then_some(())
        })
        .await;
    }
    assert_eq!(get(daemon.base(), "/health").await.0, 200);
    stop.cancel();
    assert!(calling.await.unwrap() > 100, "each call of the others was answered");
    assert_eq!([life(&daemon, "good").await, life(&daemon, "silent").await], lives);
}

/// A frozen server that clients call again and again: each call gets one answer, and the server is replaced.
#[tokio::test]
async fn a_server_that_freezes_under_load_is_replaced_and_each_call_is_answered_once() {
    let daemon = daemon()
        .config("[gateway]\ncall_timeout = \"3s\"")
        .command_server("s", &misbehave(&[]))
        // Its breaker would keep calls away for longer than the replacement takes.
        .config("breaker = { enabled = false }")
        .start()
        .await
        .unwrap();
    let first = process(&daemon, "s").await;
    let stop = CancellationToken::new();
    let mut callers = JoinSet::new();
    for caller in 0..6 {
        let (client, stop) = (daemon.client("s").await.unwrap(), stop.clone());
        callers.spawn(async move {
            let mut number = 0;
            while !stop.is_cancelled() {
                let tool = if caller % 2 == 0 { "echo" } else { "record" };
                let arguments = json!({"nonce": format!("{caller}-{number}")});
                let params = json!({"name": tool, "arguments": arguments});
                let mut exchange = client.send("tools/call", params).await.unwrap();
                let answer = exchange.answer().await.unwrap();
                assert_eq!(exchange.next().await.unwrap(), None, "one answer and no more");
                match answer["error"]["data"]["code"].as_str() {
                    None => assert!(answer["result"].is_object(), "{answer}"),
                    Some("DEADLINE_EXCEEDED" | "OUTCOME_UNKNOWN" | "SERVER_UNAVAILABLE") => {}
                    Some(_) => panic!("{answer}"),
                }
                number += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }
    eventually("calls", async || {
        (metric(&daemon, "mcp_requests_total", &[r#"outcome="ok""#]).await > 50.0).then_some(())
    })
    .await;
    first.signal(Signal::STOP);
    let reason = hung(&daemon, "s").await;
    assert!(reason.contains("; calls got no answer by their deadlines"), "{reason}");
    let again = in_state(&daemon, "s", "ready").await;
    assert_eq!(again["restarts"], 1);
    assert!(!first.lives());
    let client = daemon.client("s").await.unwrap();
    assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
    stop.cancel();
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
}

/// One that works on one request after the other answers no ping meanwhile.
#[tokio::test]
async fn a_server_that_computes_for_25_s_and_answers_no_ping_is_busy_and_not_hung() {
    let daemon = daemon().command_server("s", &misbehave(&["--single"])).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    let before = life(&daemon, "s").await;
    let client = daemon.client("s").await.unwrap();
    let begun = Instant::now();
    let arguments = json!({"ms": 25_000});
    let (slow, behind) = tokio::join!(
        ask(&client, "slow", arguments.clone()),
        ask(&client, "echo", json!({"n": 2})),
    );
    assert_echo(&slow, &arguments);
    assert_echo(&behind, &json!({"n": 2}));
    assert!(begun.elapsed() >= Duration::from_secs(25));
    assert_eq!(life(&daemon, "s").await, before);
}

#[tokio::test]
async fn a_server_that_closes_its_output_and_lives_on_is_replaced() {
    let daemon = daemon()
        .command_server("s", &misbehave(&["--ignore-eof", "--ignore-term"]))
        .start()
        .await
        .unwrap();
    let first = process(&daemon, "s").await;
    let client = daemon.client("s").await.unwrap();
    assert_refused(&ask(&client, "close_output", json!({})).await, 1007, "OUTCOME_UNKNOWN");
    assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
    let reason = lost_because(&daemon, "s").expect("it was lost");
    assert!(reason.starts_with("the server closed its output"), "{reason}");
    eventually("its end", async || (!first.lives()).then_some(())).await;
}

/// A daemon that was stopped itself, as on a laptop that slept, concludes nothing from the silence.
#[tokio::test]
async fn a_daemon_that_was_stopped_itself_takes_no_server_for_hung() {
    let site = Site::start(&["--no-get"]);
    let daemon = daemon()
        .command_server("near", &misbehave(&[]))
        .url_server("far", &site.url())
        .start()
        .await
        .unwrap();
    for name in ["near", "far"] {
        in_state(&daemon, name, "ready").await;
    }
    let lives = [life(&daemon, "near").await, life(&daemon, "far").await];
    let us = Process::find(daemon.pid()).unwrap();
    for _ in 0..2 {
        us.signal(Signal::STOP);
        // As long as two questions wait for their answers.
        tokio::time::sleep(Duration::from_secs(11)).await;
        us.signal(Signal::CONT);
        for name in ["near", "far"] {
            let client = daemon.client(name).await.unwrap();
            assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
        }
    }
    assert_eq!([life(&daemon, "near").await, life(&daemon, "far").await], lives);
}
