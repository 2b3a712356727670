//! A server with a limit on calls at the same time.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mainstay_testkit::{Client, Daemon};
use serde_json::{Value, json};
use tokio::task::{JoinSet, LocalSet};

use super::modern::Modern;
use super::{
    Site, ask, assert_echo, assert_refused, counts, daemon, eventually, in_state, kill, metric,
    misbehave, process, server,
};

/// Calls a tool that takes some time, and keeps the answers in the order in which they come.
fn call_slowly(calls: &mut JoinSet<(usize, Value)>, client: &Arc<Client>, number: usize) {
    let client = client.clone();
    let arguments = json!({"ms": 200, "number": number});
    calls.spawn(async move { (number, ask(&client, "slow", arguments).await) });
}

#[tokio::test]
async fn calls_are_carried_out_one_after_the_other_in_the_order_in_which_they_came() {
    let daemon = daemon()
        .command_server("s", &misbehave(&[]))
        .config("concurrency = 1")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    let clients =
        [Arc::new(daemon.client("s").await.unwrap()), Arc::new(daemon.client("s").await.unwrap())];
    let most = Arc::new(AtomicUsize::new(0));
    let (seen, watched) = (most.clone(), daemon.base().to_owned());
    let watch = tokio::spawn(async move {
        loop {
            let (_, text) = super::get(&watched, "/metrics").await;
            let of = |line: &&str| line.starts_with("mainstay_calls_in_flight{");
            let now = text.lines().find(of).and_then(|line| line.rsplit(' ').next());
            let now = now.and_then(|now| now.parse::<f64>().ok()).unwrap_or_default();
            seen.fetch_max(now as usize, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let mut calls = JoinSet::new();
    for number in 0..6 {
        call_slowly(&mut calls, &clients[number % 2], number);
        // So that they come in this order.
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    let mut order = Vec::new();
    while let Some(ended) = calls.join_next().await {
        let (number, answer) = ended.unwrap();
        assert_echo(&answer, &json!({"ms": 200, "number": number}));
        order.push(number);
    }
    watch.abort();
    assert_eq!(order, [0, 1, 2, 3, 4, 5]);
    assert_eq!(most.load(Ordering::SeqCst), 1, "calls in flight at the server");
}

#[tokio::test]
async fn a_call_that_waits_for_its_turn_is_refused_at_its_deadline() {
    let daemon = daemon()
        .config("[gateway]\ncall_timeout = \"2s\"\ncall_timeout_max = \"60s\"")
        .command_server("s", &misbehave(&[]))
        .config("concurrency = 1")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    let (first, second) = (daemon.client("s").await.unwrap(), daemon.client("s").await.unwrap());
    // It reports progress, so it may take longer than its deadline.
    let long = tokio::spawn(async move {
        let arguments = json!({"steps": 60, "ms": 100});
        let params = json!({
            "name": "progress", "arguments": arguments, "_meta": {"progressToken": "long"},
        });
        first.send("tools/call", params).await.unwrap().answer().await.unwrap()
    });
    eventually("the long call is there", async || {
        (metric(&daemon, "mainstay_calls_in_flight", &[]).await == 1.0).then_some(())
    })
    .await;
    let refused = ask(&second, "echo", json!({})).await;
    assert_refused(&refused, 1002, "QUEUE_TIMEOUT");
    assert_eq!(refused["error"]["data"]["limit"], "concurrency: 1", "{refused}");
    let said = refused["error"]["message"].as_str().unwrap();
    assert!(said.starts_with("the call was not sent: it waited for its turn 1.8"), "{said}");
    assert!(said.ends_with(" behind 1 other call"), "{said}");
    let answer = long.await.unwrap();
    assert!(answer["result"].is_object(), "{answer}");
    assert_echo(&ask(&second, "echo", json!({"n": 1})).await, &json!({"n": 1}));
}

#[tokio::test]
async fn the_answer_to_a_question_needs_no_turn() {
    let daemon = daemon()
        .command_server("s", &misbehave(&[]))
        .config("concurrency = 1")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    let mut client = Client::new(&daemon.endpoint("s")).unwrap();
    client.initialize("2025-11-25", &json!({"elicitation": {}})).await.unwrap();
    let params = json!({"name": "ask_user", "arguments": {}});
    let mut exchange = client.send("tools/call", params).await.unwrap();
    let question = exchange.next().await.unwrap().expect("a question");
    client.respond(&question["id"], json!({"action": "decline"})).await.unwrap();
    let answer = exchange.next().await.unwrap().expect("an answer");
    assert_eq!(answer["result"]["structuredContent"]["answer"]["action"], "decline", "{answer}");
}

/// A daemon with the same server behind each kind of transport, which is to have one call at a time.
async fn one_at_a_time(call_timeout: &str) -> (Daemon, Vec<Site>) {
    let sites: Vec<_> = [&[][..], &["--modern-only"], &["--only-sse=405"]].map(Site::start).into();
    let one = "concurrency = 1";
    let daemon = daemon()
        .config(&format!("[gateway]\ncall_timeout = \"{call_timeout}\""))
        .command_server("pipe", &misbehave(&[]))
        .config(one)
        .command_server("modern_pipe", &misbehave(&["--modern-only"]))
        .config(one)
        .url_server("site", &sites[0].url())
        .config(one)
        .url_server("modern_site", &sites[1].url())
        .config(one)
        .url_server("sse", &sites[2].url())
        .config(one)
        .start()
        .await
        .unwrap();
    for name in TRANSPORTS {
        in_state(&daemon, name, "ready").await;
    }
    (daemon, sites)
}

const TRANSPORTS: [&str; 5] = ["pipe", "modern_pipe", "site", "modern_site", "sse"];

/// A client of the era that the server speaks.
#[derive(Clone)]
enum Caller {
    Legacy(Client),
    Modern(Modern),
}

// === impl Caller ===

impl Caller {
    async fn of(daemon: &Daemon, name: &str) -> Self {
        if name.starts_with("modern") {
            return Self::Modern(Modern::of(daemon, name));
        }
        Self::Legacy(daemon.client(name).await.unwrap())
    }

    async fn ask(&self, tool: &str, arguments: Value) -> Value {
        match self {
            Self::Legacy(client) => ask(client, tool, arguments).await,
            Self::Modern(client) => client.ask(tool, arguments).await,
        }
    }

    async fn counts(&self) -> Value {
        match self {
            Self::Legacy(client) => counts(client, "stats").await,
            Self::Modern(client) => client.counts().await,
        }
    }

    /// Starts a call that the server works on for a while, and cancels it.
    async fn begin_and_cancel(&self, daemon: &Daemon, name: &str, arguments: Value) {
        match self.clone() {
            Self::Legacy(client) => {
                let long = begin_work(&client, arguments);
                is_in_flight(daemon, name).await;
                client.notify("notifications/cancelled", json!({"requestId": 77})).await.unwrap();
                assert_eq!(long.await.unwrap(), Value::Null, "{name}");
            }
            Self::Modern(client) => {
                let long = tokio::spawn(async move { client.ask("work", arguments).await });
                is_in_flight(daemon, name).await;
                // The end of the connection cancels.
                long.abort();
            }
        }
    }
}

/// Runs a check at the servers of [`one_at_a_time`], all at the same time.
async fn at_each_transport(
    daemon: Daemon,
    check: impl AsyncFn(Rc<Daemon>, &'static str) + 'static,
) {
    let (daemon, check) = (Rc::new(daemon), Rc::new(check));
    let local = LocalSet::new();
    let mut all = JoinSet::new();
    for name in TRANSPORTS {
        let (daemon, check) = (daemon.clone(), check.clone());
        all.spawn_local_on(async move { check(daemon, name).await }, &local);
    }
    local.run_until(all.join_all()).await;
}

async fn is_in_flight(daemon: &Daemon, name: &str) {
    eventually("the call is with the server", async || {
        (server(daemon, name).await["calls"] == 1).then_some(())
    })
    .await;
}

/// Starts a call that the server works on for a while, whatever is cancelled.
fn begin_work(client: &Client, arguments: Value) -> tokio::task::JoinHandle<Value> {
    let client = client.clone();
    tokio::spawn(async move {
        let params = json!({"name": "work", "arguments": arguments});
        let mut exchange = client.send_as(json!(77), "tools/call", params).await.unwrap();
        exchange.next().await.unwrap().unwrap_or_default()
    })
}

#[tokio::test]
async fn a_call_that_was_cancelled_keeps_its_turn_until_the_server_is_done_with_it() {
    let (daemon, _sites) = one_at_a_time("30s").await;
    at_each_transport(daemon, async |daemon, name| {
        let (first, second) = (Caller::of(&daemon, name).await, Caller::of(&daemon, name).await);
        first.begin_and_cancel(&daemon, name, json!({"ms": 1500})).await;
        let sent = json!({"ms": 10, "n": 1});
        assert_echo(&second.ask("work", sent.clone()).await, &sent);
        let seen = second.counts().await;
        assert_eq!(seen["worked at once"], Value::Null, "{name}: {seen}");
        assert_eq!(seen["tool work"], 2, "{name}: {seen}");
    })
    .await;
}

#[tokio::test]
async fn a_call_that_reached_its_deadline_keeps_its_turn_until_the_server_is_done_with_it() {
    let (daemon, _sites) = one_at_a_time("2s").await;
    at_each_transport(daemon, async |daemon, name| {
        let (first, second) = (Caller::of(&daemon, name).await, Caller::of(&daemon, name).await);
        let answer = first.ask("work", json!({"ms": 3000})).await;
        assert_refused(&answer, 1006, "DEADLINE_EXCEEDED");
        assert_eq!(server(&daemon, name).await["calls"], u8::from(name != "modern_site"));
        let answer = loop {
            let answer = second.ask("work", json!({"ms": 10})).await;
            if answer["error"].is_null() {
                break answer;
            }
            assert_refused(&answer, 1002, "QUEUE_TIMEOUT");
            let said = answer["error"]["message"].as_str().unwrap();
            let why = format!("; {name} may still work on one that was given up");
            assert!(said.ends_with(&why), "{said}");
        };
        assert_echo(&answer, &json!({"ms": 10}));
        let seen = second.counts().await;
        assert_eq!(seen["worked at once"], Value::Null, "{name}: {seen}");
        assert_eq!(server(&daemon, name).await["calls"], 0, "{name}");
    })
    .await;
}

#[tokio::test]
async fn the_end_of_an_instance_is_the_end_of_the_turns_that_are_kept() {
    let daemon = daemon()
        .command_server("s", &misbehave(&[]))
        .config("concurrency = 1")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    let (first, second) = (Caller::of(&daemon, "s").await, daemon.client("s").await.unwrap());
    first.begin_and_cancel(&daemon, "s", json!({"ms": 60_000, "silent": true})).await;
    let next = tokio::spawn(async move { ask(&second, "echo", json!({"n": 1})).await });
    eventually("the next call waits", async || {
        let now = server(&daemon, "s").await;
        ((&now["calls"], &now["waiting"]) == (&json!(1), &json!(1))).then_some(())
    })
    .await;
    kill(&process(&daemon, "s").await);
    assert_echo(&next.await.unwrap(), &json!({"n": 1}));
}

#[tokio::test]
async fn a_call_that_waited_long_for_its_turn_and_was_sent_is_told_of_its_wait() {
    let daemon = daemon()
        .config("[gateway]\ncall_timeout = \"4s\"")
        .command_server("s", &misbehave(&[]))
        .config("concurrency = 1")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    let (first, second) = (daemon.client("s").await.unwrap(), daemon.client("s").await.unwrap());
    let long = begin_work(&first, json!({"ms": 2000}));
    is_in_flight(&daemon, "s").await;
    let late = ask(&second, "work", json!({"ms": 60_000})).await;
    assert_refused(&late, 1006, "DEADLINE_EXCEEDED");
    let said = late["error"]["message"].as_str().unwrap();
    assert!(said.starts_with("the call waited "), "{said}");
    assert!(said.contains("before it could be sent to s"), "{said}");
    assert_echo(&long.await.unwrap(), &json!({"ms": 2000}));
}
