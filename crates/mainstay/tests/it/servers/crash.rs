//! A shared process dies. Its sessions continue, and each call is answered exactly once.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    ask, assert_echo, assert_refused, counts, daemon, eventually, in_state, kill, metric,
    misbehave, process, server,
};

#[tokio::test]
async fn a_session_outlives_the_process_behind_it() {
    let daemon = daemon().command_server("s", &misbehave(&[])).start().await.unwrap();
    let client = daemon.client("s").await.unwrap();
    assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
    let first = process(&daemon, "s").await;
    kill(&first);
    let killed = Instant::now();
    assert_echo(&ask(&client, "echo", json!({"n": 2})).await, &json!({"n": 2}));
    assert!(killed.elapsed() < Duration::from_secs(5), "{:?}", killed.elapsed());
    assert_ne!(process(&daemon, "s").await.pid, first.pid);
    assert_eq!(server(&daemon, "s").await["restarts"], 1);
    assert_eq!(metric(&daemon, "mainstay_instance_starts_total", &[r#"server="s""#]).await, 2.0);
}

#[tokio::test]
async fn calls_in_flight_are_repeated_where_they_may_be_and_else_refused() {
    let daemon = daemon().command_server("s", &misbehave(&[])).start().await.unwrap();
    let client = daemon.client("s").await.unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..4_u64 {
        for (tool, arguments) in [
            ("slow", json!({"ms": 700, "number": number})),
            // The tool does not declare itself read-only.
            ("progress", json!({"steps": 200, "ms": 50, "number": number})),
        ] {
            let client = client.clone();
            calls.spawn(async move {
                let params = json!({"name": tool, "arguments": arguments});
                let mut exchange = client.send("tools/call", params).await.unwrap();
                let mut answers = Vec::new();
                while let Some(message) = exchange.next().await.unwrap() {
                    answers.push(message);
                }
                (tool, arguments, answers)
            });
        }
    }
    eventually("all calls in flight", async || {
        (metric(&daemon, "mainstay_calls_in_flight", &[]).await == 8.0).then_some(())
    })
    .await;
    kill(&process(&daemon, "s").await);
    while let Some(ended) = calls.join_next().await {
        let (tool, arguments, answers) = ended.unwrap();
        let [answer] = &answers[..] else { panic!("{tool}: {answers:?}") };
        match tool {
            "slow" => assert_echo(answer, &arguments),
            _ => {
                assert_refused(answer, 1007, "OUTCOME_UNKNOWN");
                assert_eq!(answer["error"]["data"]["server"], "s");
            }
        }
    }
    let seen = counts(&client, "stats").await;
    assert_eq!((&seen["tool slow"], &seen["tool progress"]), (&json!(4), &Value::Null));
    let lost = metric(&daemon, "mcp_errors_total", &[r#"code="OUTCOME_UNKNOWN""#]).await;
    assert_eq!(lost, 4.0);
}

#[tokio::test]
async fn nobody_notices_a_restart_while_calling_what_may_be_repeated() {
    let daemon = daemon().command_server("s", &misbehave(&["--delay=3"])).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    let mut callers = tokio::task::JoinSet::new();
    let stop = tokio_util::sync::CancellationToken::new();
    let made: Arc<[AtomicU64; 8]> = Arc::default();
    for caller in 0..made.len() {
        let (client, stop) = (daemon.client("s").await.unwrap(), stop.clone());
        let made = made.clone();
        callers.spawn(async move {
            while !stop.is_cancelled() {
                let sent = json!({"caller": caller, "call": made[caller].load(Relaxed)});
                assert_echo(&ask(&client, "echo", sent.clone()).await, &sent);
                made[caller].fetch_add(1, Relaxed);
            }
        });
    }
    for kills in 1..=2 {
        kill(&process(&daemon, "s").await);
        eventually("the restart", async || {
            let now = server(&daemon, "s").await;
            (now["restarts"] == kills && now["state"] == "ready").then_some(())
        })
        .await;
        // A call is repeated once, so each gets its answer before the next kill.
        let before = made.each_ref().map(|made| made.load(Relaxed));
        eventually("an answer for each", async || {
            let all = made.iter().zip(before).all(|(made, before)| made.load(Relaxed) > before);
            all.then_some(())
        })
        .await;
    }
    stop.cancel();
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn what_clients_asked_for_is_asked_for_again() {
    let daemon = daemon().command_server("s", &misbehave(&[])).start().await.unwrap();
    let client = daemon.client("s").await.unwrap();
    client.request("resources/subscribe", json!({"uri": "mis://one"})).await.unwrap();
    client.request("logging/setLevel", json!({"level": "debug"})).await.unwrap();
    let mut stream = client.listen(None).await.unwrap();
    kill(&process(&daemon, "s").await);
    // Repeatable calls wait for the restart, however the crash is noticed.
    let seen = counts(&client, "stats").await;
    client.call("touch", json!({"uri": "mis://one"})).await.unwrap();
    assert_eq!((&seen["resources/subscribe"], &seen["logging/setLevel"]), (&json!(1), &json!(1)));
    let updated = loop {
        let message = stream.message().await.unwrap().expect("the stream goes on");
        if message["method"] == "notifications/resources/updated" {
            break message;
        }
    };
    assert_eq!(updated["params"]["uri"], "mis://one");
}

#[tokio::test]
async fn deaths_in_a_row_become_a_crash_loop_that_says_why() {
    // Its breaker would open on the fifth, and keep further calls away.
    let daemon = daemon()
        .command_server("s", &misbehave(&["--stderr=8"]))
        .config("breaker = { enabled = false }")
        .command_server("good", &misbehave(&[]))
        .start()
        .await
        .unwrap();
    let client = daemon.client("s").await.unwrap();
    for deaths in 0..7 {
        eventually("the server again", async || {
            let now = server(&daemon, "s").await;
            (now["state"] == "ready" && now["restarts"] == deaths).then_some(())
        })
        .await;
        let answer = ask(&client, "crash", json!({"code": 42})).await;
        assert_refused(&answer, 1007, "OUTCOME_UNKNOWN");
    }
    let looping = in_state(&daemon, "s", "crash-looping").await;
    assert_eq!(looping["restarts"], 6, "more than five restarts in five minutes");
    let reason = looping["reason"].as_str().unwrap();
    assert_eq!(reason, "it exited with code 42");
    let said = looping["last_output"].as_array().unwrap();
    assert_eq!(said.last().unwrap(), "misbehave stderr 7", "{looping}");
    assert!(looping["retry_in_ms"].as_u64().unwrap() > 60_000, "{looping}");
    let begun = Instant::now();
    let refused = ask(&client, "echo", json!({})).await;
    assert_refused(&refused, 1004, "SERVER_UNAVAILABLE");
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(refused["error"]["data"]["retry_after_ms"].as_u64().unwrap() > 60_000, "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("crash-looping"), "{refused}");
    let good = daemon.client("good").await.unwrap();
    assert_echo(&ask(&good, "echo", json!({"ok": 1})).await, &json!({"ok": 1}));
}

#[tokio::test]
async fn what_can_not_be_started_says_what_is_missing() {
    let daemon = daemon()
        .command_server("program", &["/nowhere/at-all", "x"])
        .command_server("name", &["mainstay-no-such-program"])
        .command_server("folder", &misbehave(&[]))
        .config("cwd = \"/nowhere/else\"")
        .command_server("good", &misbehave(&[]))
        .start()
        .await
        .unwrap();
    in_state(&daemon, "good", "ready").await;
    for (name, missing) in [
        ("program", "/nowhere/at-all"),
        ("name", "mainstay-no-such-program"),
        ("folder", "/nowhere/else"),
    ] {
        let reason = eventually("a reason", async || {
            server(&daemon, name).await["reason"].as_str().map(str::to_owned)
        })
        .await;
        assert!(reason.contains(missing), "{name}: {reason}");
    }
    let all = mainstay_testkit::Client::connect(&format!("{}/mcp", daemon.base())).await.unwrap();
    assert_echo(&ask(&all, "echo", json!({"ok": 1})).await, &json!({"ok": 1}));
}

/// Two daemons with the same server, as replicas have it: their restart delays are scattered by a seed of
/// each daemon.
#[tokio::test]
async fn replicas_do_not_restart_in_step() {
    let mut waits = Vec::new();
    for _ in 0..2 {
        let command = ["sh".to_owned(), "-c".to_owned(), "exit 3".to_owned()];
        let daemon = daemon().command_server("s", &command).start().await.unwrap();
        waits.push(
            eventually("three waits", async || {
                let log = daemon.log();
                let lost = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
                let waits: Vec<u64> = lost
                    .filter_map(|line| line["retry_in_ms"].as_u64())
                    .filter(|wait| *wait > 0)
                    .collect();
                (waits.len() >= 3).then(|| waits[..3].to_vec())
            })
            .await,
        );
    }
    // Equal delays by chance have a probability of one in many millions.
    assert_ne!(waits[0], waits[1]);
}
