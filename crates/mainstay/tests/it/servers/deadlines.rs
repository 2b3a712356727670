//! A call that takes too long ends at its deadline, at the server too.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{ask, assert_refused, both_ways, daemon, eventually, in_state, metric, misbehave};

const LIMITS: &str = "[gateway]\ncall_timeout = \"600ms\"\ncall_timeout_max = \"2500ms\"";

#[tokio::test]
async fn a_hanging_tool_ends_at_the_deadline_and_is_cancelled() {
    let (_site, daemon) = both_ways(&[]);
    let daemon = daemon.config(LIMITS).start().await.unwrap();
    for name in ["pipe", "site"] {
        in_state(&daemon, name, "ready").await;
        let client = daemon.client(name).await.unwrap();
        for tool in ["hang", "hang_until_cancelled"] {
            let begun = Instant::now();
            let params = json!({"name": tool, "arguments": {}});
            let mut exchange = client.send("tools/call", params).await.unwrap();
            let answer = exchange.answer().await.unwrap();
            assert_refused(&answer, 1006, "DEADLINE_EXCEEDED");
            let took = begun.elapsed();
            assert!(took >= Duration::from_millis(600), "{took:?}");
            assert!(took < Duration::from_secs(5), "{took:?}");
            let error = &answer["error"];
            assert!(error["message"].as_str().unwrap().contains(name), "{error}");
            assert!(error["data"]["request_id"].is_string(), "{error}");
            assert_eq!(exchange.next().await.unwrap(), None, "one answer and no more");
        }
        let cancelled = eventually("word of the cancellation", async || {
            let seen = super::counts(&client, "stats").await;
            (seen["notifications/cancelled"] == 2).then_some(seen["cancelled calls"].clone())
        });
        assert_eq!(cancelled.await, 2);
        let label = format!("server=\"{name}\"");
        let labels = [label.as_str(), r#"code="DEADLINE_EXCEEDED""#];
        assert_eq!(metric(&daemon, "mcp_errors_total", &labels).await, 2.0);
    }
    // Answers after the cancellation are counted and reach no client.
    eventually("the late answer", async || {
        let late = metric(&daemon, "mainstay_late_answers_total", &[r#"server="pipe""#]).await;
        (late == 1.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn progress_gives_a_call_more_time_up_to_a_bound() {
    let (_site, daemon) = both_ways(&[]);
    let daemon = daemon.config(LIMITS).start().await.unwrap();
    for name in ["pipe", "site"] {
        in_state(&daemon, name, "ready").await;
    }
    let (pipe, site) = tokio::join!(both_ends(&daemon, "pipe"), both_ends(&daemon, "site"));
    for (enough, too_much) in [pipe, site] {
        let (seen, answer, took) = enough;
        assert!(answer["result"].is_object(), "{answer}");
        assert!(took > Duration::from_millis(900), "{took:?}");
        let steps: Vec<_> = seen.iter().map(|one| one["params"]["progress"].clone()).collect();
        assert_eq!(steps, (1..=10).map(|step| json!(step)).collect::<Vec<_>>());
        assert!(seen.iter().all(|one| one["params"]["progressToken"] == "mine"), "{seen:?}");
        let (_, answer, took) = too_much;
        assert_refused(&answer, 1006, "DEADLINE_EXCEEDED");
        assert!(took >= Duration::from_millis(2500), "{took:?}");
        assert!(took < Duration::from_secs(8), "{took:?}");
    }
}

type Took = (Vec<Value>, Value, Duration);

/// One call that reports progress and ends in time, and one that takes too long.
async fn both_ends(daemon: &mainstay_testkit::Daemon, name: &str) -> (Took, Took) {
    let client = daemon.client(name).await.unwrap();
    let call = async |steps: u64| {
        let begun = Instant::now();
        let arguments = json!({"steps": steps, "ms": 100});
        let meta = json!({"progressToken": "mine"});
        let params = json!({"name": "progress", "arguments": arguments, "_meta": meta});
        let mut exchange = client.send("tools/call", params).await.unwrap();
        let (before, answer) = exchange.all().await.unwrap();
        (before, answer, begun.elapsed())
    };
    tokio::join!(call(10), call(100))
}

#[tokio::test]
async fn progress_nobody_asked_for_is_dropped_and_counted() {
    let daemon = daemon().command_server("s", &misbehave(&[])).start().await.unwrap();
    let client = daemon.client("s").await.unwrap();
    for tool in ["progress_unknown", "progress_late"] {
        let params = json!({"name": tool, "arguments": {}, "_meta": {"progressToken": 7}});
        let mut exchange = client.send("tools/call", params).await.unwrap();
        let (before, answer) = exchange.all().await.unwrap();
        assert_eq!(before, Vec::<Value>::new(), "{tool}");
        assert!(answer["result"].is_object(), "{answer}");
    }
    eventually("three dropped reports", async || {
        let dropped = metric(&daemon, "mainstay_dropped_notifications_total", &[]).await;
        (dropped == 3.0).then_some(())
    })
    .await;
    assert!(ask(&client, "echo", json!({})).await["result"].is_object());
}

#[tokio::test]
async fn the_status_tells_commands_how_long_calls_may_take() {
    let limits = "[gateway]\ncall_timeout_max = \"20m\"";
    let server = daemon().config(limits).command_server("slow", &misbehave(&[]));
    let daemon = server.start().await.unwrap();
    let status: Value =
        serde_json::from_slice(&daemon.run(&["status", "--json"]).unwrap().stdout).unwrap();
    assert_eq!(status["call_timeout_max_ms"], 1_200_000);
}
