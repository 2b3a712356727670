//! Servers over HTTP that forget their sessions, restart or stay away.

use std::time::{Duration, Instant};

use mainstay_testkit::Client;
use serde_json::{Value, json};

use super::{Site, ask, assert_echo, assert_refused, daemon, eventually, get, in_state, server};

#[tokio::test]
async fn a_lost_session_is_opened_anew_however_the_server_says_so() {
    let ways =
        ["404", "400-session", "400-init", "400-text", "404-code", "400-other", "410", "200-error"];
    let sites: Vec<_> =
        ways.iter().map(|way| Site::start(&[&format!("--lost={way}"), "--no-get"])).collect();
    let mut builder = daemon();
    for (way, site) in ways.iter().zip(&sites) {
        builder = builder.url_server(&format!("s{way}"), &site.url());
    }
    let daemon = builder.start().await.unwrap();
    for (way, site) in ways.iter().zip(&sites) {
        let name = format!("s{way}");
        in_state(&daemon, &name, "ready").await;
        let client = daemon.client(&name).await.unwrap();
        assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
        get(&site.url(), "/control/forget").await;
        // Many calls notice at once, and one of them opens the new session.
        let mut calls = tokio::task::JoinSet::new();
        for n in 2..10 {
            let (client, tool) = (client.clone(), ["echo", "fail"][n % 2]);
            calls.spawn(async move { (n, tool, ask(&client, tool, json!({"n": n})).await) });
        }
        while let Some(ended) = calls.join_next().await {
            let (n, tool, answer) = ended.unwrap();
            match tool {
                "echo" => assert_echo(&answer, &json!({"n": n})),
                _ => assert_eq!(answer["result"]["isError"], true, "{way}: {answer}"),
            }
        }
        let seen = site.counts().await;
        assert_eq!(seen["initialize"], 2, "{way}: {seen}");
        // Refused calls were not carried out, so nothing was done twice.
        assert_eq!((&seen["tool echo"], &seen["tool fail"]), (&json!(5), &json!(4)), "{way}");
    }
}

/// A refusal in words for which there is no rule is compared with that of a ping.
#[tokio::test]
async fn a_lost_session_is_opened_anew_where_the_server_does_not_say_so() {
    let ways = ["page", "302", "202", "empty", "stream", "400-calls"];
    let sites: Vec<_> =
        ways.iter().map(|way| Site::start(&[&format!("--lost={way}"), "--no-get"])).collect();
    let mut builder = daemon();
    for (way, site) in ways.iter().zip(&sites) {
        builder = builder.url_server(&format!("s{way}"), &site.url());
    }
    let daemon = builder.start().await.unwrap();
    for (way, site) in ways.iter().zip(&sites) {
        let name = format!("s{way}");
        in_state(&daemon, &name, "ready").await;
        let client = daemon.client(&name).await.unwrap();
        assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
        site.forget().await;
        // The tool changes something, so it is not called again unless it can't have been called.
        let mut refused = 0;
        let answer = loop {
            let answer = ask(&client, "fail", json!({})).await;
            match answer["error"]["code"].as_i64() {
                Some(1007 | 1004) if refused < 4 => refused += 1,
                _ => break answer,
            }
        };
        assert_eq!(answer["result"]["isError"], true, "{way}: {answer}");
        let expected = match *way {
            "302" => 0,
            "400-calls" => 3,
            _ => 1,
        };
        assert_eq!(refused, expected, "{way}");
        let seen = site.counts().await;
        assert_eq!((&seen["initialize"], &seen["tool fail"]), (&json!(2), &json!(1)), "{way}");
    }
}

/// A session that other clients use is not given up for calls of one client.
#[tokio::test]
async fn calls_that_are_refused_for_their_own_sake_cost_nobody_the_session() {
    let ways = ["400", "403", "404", "422"];
    let sites: Vec<_> =
        ways.iter().map(|way| Site::start(&[&format!("--html={way}"), "--no-get"])).collect();
    let mut builder = daemon();
    for (way, site) in ways.iter().zip(&sites) {
        builder = builder.url_server(&format!("s{way}"), &site.url());
    }
    let daemon = builder.start().await.unwrap();
    for (way, site) in ways.iter().zip(&sites) {
        let name = format!("s{way}");
        in_state(&daemon, &name, "ready").await;
        let client = daemon.client(&name).await.unwrap();
        for n in 0..8 {
            let answer = ask(&client, "echo", json!({"n": n})).await;
            assert!(answer["error"]["message"].as_str().unwrap().contains(way), "{way}: {answer}");
        }
        let seen = site.counts().await;
        assert_eq!(seen["initialize"], 1, "{way}: {seen}");
        let now = in_state(&daemon, &name, "ready").await;
        assert_eq!(now["restarts"], 0, "{way}");
    }
}

#[tokio::test]
async fn a_server_that_takes_nothing_is_not_ready() {
    let site = Site::start(&["--no-get"]);
    let daemon = daemon().url_server("s", &site.url()).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    let client = daemon.client("s").await.unwrap();
    site.sign_out().await;
    assert_refused(&ask(&client, "fail", json!({})).await, 1007, "OUTCOME_UNKNOWN");
    let now = in_state(&daemon, "s", "backing-off").await;
    assert!(now["reason"].as_str().unwrap().contains("Please log in"), "{now}");
    site.sign_out().await;
    in_state(&daemon, "s", "ready").await;
    assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
}

#[tokio::test]
async fn a_restart_is_invisible_to_the_session() {
    let mut site = Site::start(&[]);
    let daemon = daemon().url_server("s", &site.url()).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    let client = daemon.client("s").await.unwrap();
    client.request("resources/subscribe", json!({"uri": "mis://one"})).await.unwrap();
    for n in 0..3 {
        assert_echo(&ask(&client, "echo", json!({"n": n})).await, &json!({"n": n}));
        site.kill();
        site.revive();
    }
    assert_echo(&ask(&client, "echo", json!({"n": 3})).await, &json!({"n": 3}));
    eventually("the subscription", async || {
        (site.counts().await["resources/subscribe"] == 1).then_some(())
    })
    .await;
    assert_eq!(server(&daemon, "s").await["state"], "ready");
}

/// Servers end sessions that nobody has used for some minutes.
#[tokio::test]
async fn a_session_that_ends_while_nobody_uses_it_is_no_loss() {
    let site = Site::start(&[]);
    let daemon = daemon().url_server("s", &site.url()).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    // An end within the first second would be a failed start.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    get(&site.url(), "/control/forget").await;
    eventually("a new session", async || (site.counts().await["initialize"] == 2).then_some(()))
        .await;
    in_state(&daemon, "s", "ready").await;
    let client = daemon.client("s").await.unwrap();
    assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
    let log = daemon.log();
    assert!(log.contains("instance ended itself while idle"), "{log}");
    assert!(!log.contains("instance lost"), "{log}");
}

#[tokio::test]
async fn a_call_waits_for_a_server_that_is_away_for_two_seconds() {
    let mut site = Site::start(&[]);
    let daemon = daemon().url_server("s", &site.url()).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    let client = daemon.client("s").await.unwrap();
    site.kill();
    let back = tokio::time::sleep(Duration::from_secs(2));
    // This call may not be repeated, so it must not have been sent before.
    let call = ask(&client, "fail", json!({}));
    let (answer, ()) = tokio::join!(call, async {
        back.await;
        site.revive();
    });
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(site.counts().await["tool fail"], 1);
}

#[tokio::test]
async fn a_server_that_stays_away_is_said_to_be() {
    let mut site = Site::start(&[]);
    let daemon = daemon().url_server("s", &site.url()).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    let client = daemon.client("s").await.unwrap();
    site.kill();
    let first = ask(&client, "echo", json!({})).await;
    assert_refused(&first, 1004, "SERVER_UNAVAILABLE");
    // After that, calls no longer wait.
    let quick = eventually("a quick refusal", async || {
        let begun = Instant::now();
        let answer = ask(&client, "echo", json!({})).await;
        (begun.elapsed() < Duration::from_millis(500)).then_some(answer)
    })
    .await;
    assert_refused(&quick, 1004, "SERVER_UNAVAILABLE");
    assert!(quick["error"]["data"]["retry_after_ms"].is_u64(), "{quick}");
    let message = quick["error"]["message"].as_str().unwrap();
    assert!(message.contains("the connection to it failed"), "{message}");
    site.revive();
    in_state(&daemon, "s", "ready").await;
    assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
}

#[tokio::test]
async fn calls_cut_off_by_a_restart_are_answered_once() {
    let mut site = Site::start(&[]);
    let daemon = daemon().url_server("s", &site.url()).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    let client = daemon.client("s").await.unwrap();
    let reads = tokio::spawn(ask_owned(client.clone(), "slow", json!({"ms": 500})));
    let changes =
        tokio::spawn(ask_owned(client.clone(), "progress", json!({"steps": 100, "ms": 50})));
    eventually("both calls at the server", async || {
        let seen = site.counts().await;
        (seen["tool slow"] == 1 && seen["tool progress"] == 1).then_some(())
    })
    .await;
    site.kill();
    site.revive();
    assert_echo(&reads.await.unwrap(), &json!({"ms": 500}));
    assert_refused(&changes.await.unwrap(), 1007, "OUTCOME_UNKNOWN");
    let seen = site.counts().await;
    assert_eq!((&seen["tool slow"], &seen["tool progress"]), (&json!(1), &Value::Null));
}

async fn ask_owned(client: Client, tool: &'static str, arguments: Value) -> Value {
    ask(&client, tool, arguments).await
}
