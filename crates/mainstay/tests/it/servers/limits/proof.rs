//! What other servers notice of one that misbehaves within its limits: `cargo xtask proof limits`.
//!
//! `MAINSTAY_PROOF_BINARY` names another program to try it on.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use mainstay_testkit::{Client, Daemon};
use serde_json::{Value, json};

use super::super::{ask, in_state};
use super::{is_of_group, limit};
use crate::shared::misbehave;

/// Half of a machine with two CPUs would be too much to share with clients and the other server.
const LIMITS: &str = "limits = { memory = '256MiB', memory_reservation = '64MiB', cpus = 0.5, \
                      processes = 128, files = 1024 }";

/// How much longer the slowest call of a hundred may take.
const RATIO_MAX: f64 = 2.0;

/// Quiet and busy times alternate, because the machine itself is not always equally busy.
const ROUNDS: usize = 5;
const CALLS: usize = 2_000;

/// What the server with limits is made to do, over and over while others call.
const KINDS: [(&str, &str); 3] =
    [("fork bomb", "fork_bomb"), ("memory hog", "hog"), ("busy loops", "spin")];

fn binary() -> PathBuf {
    let own = || PathBuf::from(env!("CARGO_BIN_EXE_mainstay"));
    std::env::var_os("MAINSTAY_PROOF_BINARY").map_or_else(own, PathBuf::from)
}

/// The time that 99 of 100 calls take at most.
async fn p99(client: &Client) -> Duration {
    let mut took = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let begun = Instant::now();
        client.call("echo", json!({"a": 1})).await.unwrap();
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    took[CALLS * 99 / 100]
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn arguments() -> Value {
    json!({"bytes": 1_u64 << 30, "threads": 8, "ms": 60_000, "nonce": "limits-proof"})
}

/// Makes the server misbehave, again whenever it has been killed for it, until dropped.
fn misbehaving(daemon: &Daemon, tool: &'static str) -> tokio::task::JoinHandle<()> {
    let endpoint = daemon.endpoint("greedy");
    tokio::spawn(async move {
        loop {
            let mut client = Client::new(&endpoint).unwrap();
            if client.initialize("2025-11-25", &json!({})).await.is_ok() {
                let answer = ask(&client, tool, arguments()).await;
                if answer["error"].is_null() {
                    // It goes on by itself.
                    tokio::time::sleep(Duration::from_secs(50)).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures for minutes; `cargo xtask proof limits` runs it"]
async fn others_hardly_notice_a_server_that_misbehaves_within_its_limits() {
    println!("misbehaviour  p99 quiet  p99 meanwhile  ratio  reached");
    let mut worst: f64 = 0.0;
    for (name, tool) in KINDS {
        let mut ratios = Vec::new();
        let mut shown = (Duration::ZERO, Duration::ZERO);
        let mut reached = Vec::new();
        for _ in 0..ROUNDS {
            let builder = Daemon::builder(binary())
                .command_server("greedy", &misbehave(&[]))
                .config(LIMITS)
                .command_server("calm", &misbehave(&[]));
            let daemon = builder.start().await.unwrap();
            for server in ["greedy", "calm"] {
                in_state(&daemon, server, "ready").await;
            }
            if !is_of_group(&limit(&daemon, "processes").await) {
                return;
            }
            let calm = daemon.client("calm").await.unwrap();
            p99(&calm).await;
            let quiet = p99(&calm).await;
            let misbehaves = misbehaving(&daemon, tool);
            // Until it has reached its limit.
            tokio::time::sleep(Duration::from_secs(3)).await;
            let meanwhile = p99(&calm).await;
            misbehaves.abort();
            shown = (quiet, meanwhile);
            ratios.push(meanwhile.as_secs_f64() / quiet.as_secs_f64());
            reached = super::super::server(&daemon, "greedy").await["instances"][0]["limits"]
                .as_array()
                .map(|limits| limits.iter().map(|it| it["reached"].to_string()).collect())
                .unwrap_or_default();
        }
        let ratio = median(ratios);
        worst = worst.max(ratio);
        let (quiet, meanwhile) = shown;
        let reached = reached.join("/");
        println!("{name:<12}  {quiet:>9.1?}  {meanwhile:>13.1?}  {ratio:>5.2}  {reached}");
    }
    assert!(worst <= RATIO_MAX, "p99 of another server is {worst:.2} times that of quiet times");
}
