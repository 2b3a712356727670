//! Clients that all use the same ids over shared servers: every answer reaches its caller.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_testkit::{Client, Daemon};
use serde_json::{Value, json};

use super::{Site, daemon, eventually, kill, misbehave, server};

const CLIENTS: u64 = 24;
/// The number of calls in flight for each client, under the ids 0, 1, 2 …
const AT_ONCE: u64 = 4;
const ROUNDS: u64 = 210;
const CALLS: u64 = CLIENTS * ROUNDS * AT_ONCE;

/// The addresses of calls, and the names of the tools there.
const ADDRESSES: [(&str, [&str; 2]); 3] = [
    ("/mcp/pipe", ["echo", "echo_raw"]),
    ("/mcp/site", ["echo", "echo_raw"]),
    ("/mcp", ["echo", "site_echo"]),
];

#[derive(Debug, Default)]
struct Tally {
    begun: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
    taken_back: AtomicU64,
}

/// Splitmix, which returns the same numbers for the same seed.
struct Dice(u64);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_goes_astray() {
    let seed = std::env::var("MAINSTAY_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("seed: MAINSTAY_SEED={seed}");
    let mut site = Site::start(&["--delay=4", &format!("--seed={seed}")]);
    let daemon = daemon()
        .command_server("pipe", &misbehave(&["--delay=4", &format!("--seed={seed}")]))
        .url_server("site", &site.url())
        .start()
        .await
        .unwrap();
    super::in_state(&daemon, "pipe", "ready").await;
    super::in_state(&daemon, "site", "ready").await;
    let tally = Arc::new(Tally::default());
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let mut sessions = Vec::new();
        for (path, tools) in ADDRESSES {
            let url = format!("{}{path}", daemon.base());
            sessions.push((Client::connect(&url).await.unwrap(), tools));
        }
        let dice = Dice(seed.wrapping_mul(1000) + number);
        clients.spawn(drive(number, sessions, dice, tally.clone()));
    }
    disturb(&daemon, &mut site, &tally).await;
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    let sum = |one: &AtomicU64| one.load(Ordering::Relaxed);
    println!("{tally:?}");
    assert_eq!(sum(&tally.answered) + sum(&tally.refused) + sum(&tally.taken_back), CALLS);
    assert!(sum(&tally.answered) > CALLS * 8 / 10, "{tally:?}");
    assert!(sum(&tally.taken_back) > 0, "{tally:?}");
    assert_eq!(server(&daemon, "pipe").await["restarts"], 3);
    eventually("the end of all calls", async || {
        let left = super::metric(&daemon, "mainstay_calls_in_flight", &[]).await;
        (left == 0.0).then_some(())
    })
    .await;
}

/// Kills the process three times and the remote server five times while calls continue.
async fn disturb(daemon: &Daemon, site: &mut Site, tally: &Tally) {
    for step in 1..=8 {
        let at = CALLS * step / 10;
        eventually("progress", async || (tally.begun.load(Ordering::Relaxed) >= at).then_some(()))
            .await;
        if step % 3 == 2 {
            kill(&super::process(daemon, "pipe").await);
        } else {
            site.kill();
            site.revive();
        }
    }
}

/// Runs one client: rounds of calls under the same few ids, in its own sessions.
async fn drive(
    number: u64,
    sessions: Vec<(Client, [&'static str; 2])>,
    mut dice: Dice,
    tally: Arc<Tally>,
) {
    for round in 0..ROUNDS {
        let (client, tools) = &sessions[dice.below(3) as usize];
        let mut calls = tokio::task::JoinSet::new();
        for id in 0..AT_ONCE {
            let nonce = format!("{number}/{round}/{id}");
            let tool = tools[usize::from(dice.below(4) == 0)];
            let take_back = (dice.below(10) == 0).then(|| Duration::from_micros(dice.below(4000)));
            tally.begun.fetch_add(1, Ordering::Relaxed);
            calls.spawn(one(client.clone(), id, tool, nonce, take_back, tally.clone()));
        }
        while let Some(ended) = calls.join_next().await {
            ended.unwrap();
        }
    }
}

/// Runs one call. Expects exactly one answer, with the nonce of the caller, or a refusal with a code; none
/// only if the call was cancelled.
async fn one(
    client: Client,
    id: u64,
    tool: &str,
    nonce: String,
    take_back: Option<Duration>,
    tally: Arc<Tally>,
) {
    let params = json!({"name": tool, "arguments": {"nonce": nonce, "message": nonce}});
    let cancel = async {
        if let Some(after) = take_back {
            tokio::time::sleep(after).await;
            client.notify("notifications/cancelled", json!({"requestId": id})).await.unwrap();
        }
    };
    let call = async {
        let mut exchange = client.send_as(json!(id), "tools/call", params).await.unwrap();
        let mut messages = Vec::new();
        while let Some(message) = exchange.next().await.unwrap() {
            messages.push(message);
        }
        messages
    };
    let (messages, ()) = tokio::join!(call, cancel);
    let counter = match &messages[..] {
        [] if take_back.is_some() => &tally.taken_back,
        [answer] if answer["error"].is_object() => {
            let code = answer["error"]["data"]["code"].as_str().unwrap_or_default();
            assert!(["SERVER_UNAVAILABLE", "OUTCOME_UNKNOWN"].contains(&code), "{answer}");
            &tally.refused
        }
        [answer] => {
            assert_eq!(answer["id"], id, "{answer}");
            assert!(is_own(answer, tool, &nonce), "{nonce} got {answer}");
            &tally.answered
        }
        _ => panic!("{nonce} got {messages:?}"),
    };
    counter.fetch_add(1, Ordering::Relaxed);
}

fn is_own(answer: &Value, tool: &str, nonce: &str) -> bool {
    match tool {
        "echo_raw" => {
            let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
            serde_json::from_str::<Value>(text)
                .is_ok_and(|sent| sent["arguments"]["nonce"] == nonce)
        }
        _ => answer["result"]["structuredContent"]["echo"]["nonce"] == nonce,
    }
}

// === impl Dice ===

impl Dice {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}
