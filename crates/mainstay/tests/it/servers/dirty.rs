//! Servers that send unexpected messages, none, or nonsense. Mainstay tolerates them where possible, counts
//! and reports them otherwise, and other servers are not affected.

use std::time::{Duration, Instant};

use mainstay_testkit::Daemon;
use serde_json::{Value, json};

use super::{
    Site, ask, assert_echo, both_ways, daemon, eventually, get, in_state, metric, misbehave, server,
};

#[tokio::test]
async fn banners_and_log_lines_are_passed_over_and_counted() {
    let daemon = daemon()
        .command_server("banner", &misbehave(&["--banner", "--noise", "--stderr=50"]))
        .command_server("bom", &misbehave(&["--bom", "--crlf"]))
        .start()
        .await
        .unwrap();
    for (name, strays) in [("banner", true), ("bom", false)] {
        in_state(&daemon, name, "ready").await;
        let client = daemon.client(name).await.unwrap();
        assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
        let counted = server(&daemon, name).await["stray_lines"].as_u64().unwrap();
        assert_eq!(counted > 5, strays, "{name}: {counted}");
        let label = format!("server=\"{name}\"");
        let metric = metric(&daemon, "mainstay_stray_lines_total", &[&label]).await;
        assert_eq!(metric as u64, counted, "{name}");
    }
    let client = daemon.client("bom").await.unwrap();
    assert_echo(&ask(&client, "garbage", json!({"n": 2})).await, &json!({"n": 2}));
    let counted = server(&daemon, "bom").await["stray_lines"].as_u64().unwrap();
    assert!(counted >= 5, "{counted}");
}

#[tokio::test]
async fn answers_nobody_waits_for_reach_nobody() {
    let site = Site::start(&["--unknown-ids"]);
    let daemon = daemon()
        .command_server("twice", &misbehave(&["--twice"]))
        .command_server("unknown", &misbehave(&["--unknown-ids"]))
        .url_server("far", &site.url())
        .start()
        .await
        .unwrap();
    for name in ["twice", "unknown", "far"] {
        let client = daemon.client(name).await.unwrap();
        for n in 0..20 {
            let params = json!({"name": "echo", "arguments": {"n": n}});
            let mut exchange = client.send_as(json!(0), "tools/call", params).await.unwrap();
            assert_echo(&exchange.next().await.unwrap().unwrap(), &json!({"n": n}));
            assert_eq!(exchange.next().await.unwrap(), None);
        }
        let label = format!("server=\"{name}\"");
        eventually("twenty late answers", async || {
            let late = metric(&daemon, "mainstay_late_answers_total", &[&label]).await;
            (late == 20.0).then_some(())
        })
        .await;
    }
}

/// Messages that are invalid in themselves, sent during a call.
#[tokio::test]
async fn wrong_answers_disturb_only_the_call_they_are_for() {
    let (_site, daemon) = both_ways(&[]);
    let daemon = daemon.config("[gateway]\ncall_timeout = \"800ms\"").start().await.unwrap();
    for name in ["pipe", "site"] {
        in_state(&daemon, name, "ready").await;
        let client = daemon.client(name).await.unwrap();
        for tool in ["unknown_id", "twice", "progress_backwards"] {
            let answer = ask(&client, tool, json!({"n": tool})).await;
            assert_echo(&answer, &json!({"n": tool}));
        }
        // An id as a string is the same id, so the first answer counts.
        let respelt = ask(&client, "wrong_id_type", json!({})).await;
        assert_eq!(respelt["result"], json!({"content": []}), "{name}: {respelt}");
        assert_eq!(ask(&client, "wrong_type", json!({})).await["result"], 17);
        let nothing = ask(&client, "no_result", json!({})).await;
        assert_eq!(nothing["error"]["data"]["code"], "OUTCOME_UNKNOWN", "{name}: {nothing}");
        assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
    }
    assert_eq!(server(&daemon, "pipe").await["restarts"], 0);
}

#[tokio::test]
async fn servers_that_die_or_hang_in_the_handshake_say_why() {
    let daemon = daemon()
        .command_server("dies", &misbehave(&["--die-in-handshake", "--stderr=3"]))
        .command_server("exits", &misbehave(&["--exit-after=1"]))
        .command_server("hangs", &misbehave(&["--hang-in-handshake"]))
        .config("start_timeout = \"400ms\"")
        .command_server("deaf", &misbehave(&["--deaf"]))
        .config("start_timeout = \"400ms\"")
        .command_server("good", &misbehave(&[]))
        .start()
        .await
        .unwrap();
    for (name, says) in [
        ("dies", &["7", "misbehave stderr 2"][..]),
        ("exits", &["9"]),
        ("hangs", &["handshake", "400ms"]),
        ("deaf", &["handshake", "400ms"]),
    ] {
        let reason = eventually(&format!("the reason of {name}"), async || {
            let now = server(&daemon, name).await;
            let reason = now["reason"].as_str().map(|it| format!("{it}\n{}", now["last_output"]));
            assert_ne!(now["state"], "ready", "{now}");
            reason.filter(|reason| says.iter().all(|part| reason.contains(part)))
        })
        .await;
        let refused = match daemon.client(name).await {
            Ok(client) => ask(&client, "echo", json!({})).await.to_string(),
            Err(error) => error.to_string(),
        };
        assert!(refused.contains("SERVER_"), "{name} {reason}: {refused}");
    }
    let good = daemon.client("good").await.unwrap();
    assert_echo(&ask(&good, "echo", json!({"n": 1})).await, &json!({"n": 1}));
}

#[tokio::test]
async fn a_flood_of_notifications_drowns_nobody() {
    let daemon = daemon()
        .command_server("flood", &misbehave(&["--flood=30000"]))
        .command_server("good", &misbehave(&[]))
        .start()
        .await
        .unwrap();
    let good = daemon.client("good").await.unwrap();
    let flood = daemon.client("flood").await.unwrap();
    // No client reads the first flood, and a slow reader gets the second.
    let params = json!({"name": "flood", "arguments": {"count": 30000}});
    flood.request("logging/setLevel", json!({"level": "debug"})).await.unwrap();
    let mut exchange = flood.send("tools/call", params).await.unwrap();
    for n in 0..50 {
        assert_echo(&ask(&good, "echo", json!({"n": n})).await, &json!({"n": n}));
    }
    let answer = exchange.answer().await.unwrap();
    assert_echo(&answer, &json!({"count": 30000}));
    assert!(resident_bytes(&daemon).await < 300 << 20);
    assert_eq!(server(&daemon, "flood").await["restarts"], 0);
}

#[tokio::test]
async fn a_server_that_reads_nothing_is_given_a_bounded_amount() {
    // The server reads nothing after the handshake: initialize, initialized and four lists.
    let daemon = daemon()
        .config("[gateway]\ncall_timeout = \"1500ms\"\nmax_body = \"2MiB\"")
        .command_server("deaf", &misbehave(&["--deaf-after=6"]))
        .command_server("good", &misbehave(&[]))
        .start()
        .await
        .unwrap();
    in_state(&daemon, "deaf", "ready").await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let client = daemon.client("deaf").await.unwrap();
        calls.spawn(async move { ask(&client, "echo", json!({"pad": "x".repeat(1 << 20)})).await });
    }
    let good = daemon.client("good").await.unwrap();
    for n in 0..20 {
        assert_echo(&ask(&good, "echo", json!({"n": n})).await, &json!({"n": n}));
    }
    let mut refused = 0;
    while let Some(answer) = calls.join_next().await {
        let answer = answer.unwrap();
        match answer["error"]["data"]["code"].as_str() {
            // Calls within the bound wait for their deadline. Others are refused at once.
            Some("DEADLINE_EXCEEDED") => {}
            Some("SERVER_UNAVAILABLE") => {
                // Once its calls have reached their deadlines, it counts as hung.
                let message = answer["error"]["message"].as_str().unwrap();
                let is_hung = message.contains("being replaced");
                assert!(is_hung || message.contains("does not read its input"), "{message}");
                refused += 1;
            }
            // It was begun to be sent.
            Some("OUTCOME_UNKNOWN") => {
                let message = answer["error"]["message"].as_str().unwrap();
                assert!(message.contains("does not read its input"), "{message}");
                refused += 1;
            }
            _ => panic!("{answer}"),
        }
    }
    assert!(refused >= 20, "{refused} of 40 MiB were refused");
    assert!(resident_bytes(&daemon).await < 300 << 20);
}

#[tokio::test]
async fn a_message_beyond_the_bound_costs_one_call_and_nothing_else() {
    let site = Site::start(&["--json"]);
    let streams = Site::start(&["--sse"]);
    let older = Site::start(&["--only-sse=405"]);
    let daemon = daemon()
        .config("[gateway]\nmax_message = \"64KiB\"")
        .command_server("pipe", &misbehave(&[]))
        .url_server("site", &site.url())
        .url_server("streams", &streams.url())
        .url_server("older", &older.url())
        .start()
        .await
        .unwrap();
    for name in ["pipe", "site", "streams", "older"] {
        in_state(&daemon, name, "ready").await;
        let client = daemon.client(name).await.unwrap();
        let before = super::life(&daemon, name).await;
        let (huge, id_last, small) = tokio::join!(
            ask(&client, "huge", json!({"bytes": 5_000_000})),
            ask(&client, "huge", json!({"bytes": 5_000_000, "id_last": true})),
            ask(&client, "slow", json!({"ms": 100})),
        );
        for huge in [huge, id_last] {
            let data = &huge["error"]["data"];
            assert_eq!(huge["error"]["code"], 1011, "{name}: {huge}");
            assert_eq!(data["limit"], "max_message: 65536 bytes", "{name}: {huge}");
            assert_eq!(data["server"], name, "{huge}");
        }
        assert_echo(&small, &json!({"ms": 100}));
        assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
        assert_eq!(super::life(&daemon, name).await, before, "{name} goes on");
    }
    assert_eq!(server(&daemon, "pipe").await["stray_lines"], 0);
    assert!(resident_bytes(&daemon).await < 200 << 20);
}

#[tokio::test]
async fn pages_instead_of_answers_are_refusals_that_say_so() {
    let statuses = ["200", "403", "404", "500", "502"];
    let sites: Vec<_> = statuses.iter().map(|it| Site::start(&[&format!("--html={it}")])).collect();
    let mut builder = daemon();
    for (status, site) in statuses.iter().zip(&sites) {
        builder = builder.url_server(&format!("s{status}"), &site.url());
    }
    let daemon = builder.start().await.unwrap();
    for status in statuses {
        let name = format!("s{status}");
        in_state(&daemon, &name, "ready").await;
        let client = daemon.client(&name).await.unwrap();
        let begun = Instant::now();
        let answer = ask(&client, "change", json!({})).await;
        let code = answer["error"]["data"]["code"].as_str().unwrap_or_default();
        assert!(["SERVER_UNAVAILABLE", "OUTCOME_UNKNOWN"].contains(&code), "{status}: {answer}");
        assert!(!answer.to_string().contains("<html>"), "{answer}");
        assert!(begun.elapsed() < Duration::from_secs(15), "{status}: {:?}", begun.elapsed());
        // Everything but tool calls works there.
        let tools = client.request("tools/list", json!({})).await.unwrap();
        assert!(!tools["tools"].as_array().unwrap().is_empty());
    }
}

#[tokio::test]
async fn endless_and_refused_lists_end() {
    let daemon = daemon()
        .command_server("endless", &misbehave(&["--endless"]))
        .command_server("nothing", &misbehave(&["--no-capabilities"]))
        .command_server("storm", &misbehave(&["--storm=2000"]))
        .start()
        .await
        .unwrap();
    for name in ["endless", "nothing", "storm"] {
        in_state(&daemon, name, "ready").await;
    }
    assert_eq!(server(&daemon, "nothing").await["tools"], 0);
    let storm = daemon.client("storm").await.unwrap();
    assert_echo(&ask(&storm, "echo", json!({"n": 1})).await, &json!({"n": 1}));
    let asked = super::counts(&storm, "stats").await["tools/list"].as_u64().unwrap();
    assert!(asked < 50, "2000 changes in a row were answered by {asked} questions");
}

async fn resident_bytes(daemon: &Daemon) -> u64 {
    let (_, body) = get(daemon.base(), "/health/detailed").await;
    let detailed: Value = serde_json::from_str(&body).unwrap();
    detailed["memory_usage"]["resident_bytes"].as_u64().unwrap()
}
