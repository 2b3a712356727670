//! Short forms of the attacks, with a small budget.

use std::time::Duration;

use mainstay_testkit::Site;
use serde_json::{Value, json};

use super::Arena;
use super::attacks::{self, Held};
use crate::shared::{PATIENCE, daemon, eventually_within, until};

const MIB: u64 = 1 << 20;

/// The budget of these tests, and what the process may hold beside it: copies that last a moment, the
/// buffers of connections, and what the allocator keeps.
const BUDGET: &str = "memory_budget = \"64MiB\"";
const BUDGET_BYTES: u64 = 64 * MIB;
const BESIDE: u64 = 80 * MIB;

/// How close to its beginning the memory comes back. Sessions stay, and so do connections for a while.
const BACK_TO: u64 = 32 * MIB;

/// Three times the second that a call of another client may take.
const CALL_MAX: Duration = Duration::from_secs(3);

/// Runs an attack that would need several times the memory that is allowed, and checks that it
/// stays within bounds, is refused, disturbs nobody and leaves nothing behind.
async fn withstands(kinds: &[&str], attack: impl AsyncFnOnce(&Arena) -> Held) {
    let arena = Arena::start(daemon(), BUDGET).await;
    let before = arena.memory();
    let held = attack(&arena).await;
    until("something is refused", async || {
        let mut refused = 0;
        for kind in kinds {
            refused += arena.refusals(kind).await;
        }
        refused > 0
    })
    .await;
    let longest = arena.longest_call().await;
    assert!(longest < CALL_MAX, "another client's call took {longest:?}");
    assert!(arena.used("whole").await <= BUDGET_BYTES);
    drop(held);
    arena.given_back().await;
    // It does at the next look of `compose::release`.
    eventually_within(3 * PATIENCE, "the memory returns", async || {
        (arena.memory().now < before.now + BACK_TO).then_some(())
    })
    .await;
    let after = arena.memory();
    let most = after.most - before.now;
    assert!(most < BUDGET_BYTES + BESIDE, "{} MiB at once", most / MIB);
    let status = arena.daemon.run(&["status"]).unwrap();
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("refused for lack of memory: "), "{status}");
}

#[tokio::test]
async fn unfinished_bodies_are_refused_before_they_are_read() {
    withstands(&["bodies"], async |arena| {
        let mut held = attacks::unfinished_bodies(arena, 100, 4 << 20).await;
        let last = held.connections.pop().unwrap();
        let mut reply = last.reply().await.unwrap();
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
        assert_eq!(reply.header("connection"), Some("close"));
        let answer: Value = reply.json().await.unwrap();
        let data = &answer["error"]["data"];
        assert_eq!(
            (&answer["error"]["code"], &data["code"]),
            (&json!(1011), &json!("LIMIT_EXCEEDED"))
        );
        assert_eq!(data["limit"], "memory_budget (bodies): 16777216 bytes", "{answer}");
        assert!(data["hint"].as_str().unwrap().contains("gateway.memory_budget"), "{answer}");
        assert!(arena.metric("mainstay_refused_total{reason=\"memory\"}").await > 0);
        held
    })
    .await;
}

#[tokio::test]
async fn answers_that_nobody_reads_are_refused() {
    withstands(&["answers"], async |arena| attacks::unread_answers(arena, 60, 8 << 20).await).await;
}

#[tokio::test]
async fn streams_that_nobody_reads_are_refused() {
    withstands(&["answers", "streams"], async |arena| {
        attacks::unread_streams(arena, 60, 8 << 20).await
    })
    .await;
}

#[tokio::test]
async fn a_batch_of_large_answers_is_answered_in_part() {
    withstands(&["answers"], async |arena| {
        let mut held = attacks::batch(arena, 60, 8 << 20).await;
        let mut reply = held.connections.pop().unwrap().reply().await.unwrap();
        let answers: Vec<Value> = reply.json().await.unwrap().as_array().unwrap().clone();
        assert_eq!(answers.len(), 60, "each call has its answer");
        let refused: Vec<_> = answers.iter().filter(|answer| !answer["error"].is_null()).collect();
        assert!((1..60).contains(&refused.len()), "{} are refused", refused.len());
        for answer in refused {
            assert_eq!(answer["error"]["code"], 1011, "{answer}");
            assert_eq!(answer["error"]["data"]["server"], "far", "{answer}");
        }
        held
    })
    .await;
}

#[tokio::test]
async fn questions_that_nobody_reads_are_refused() {
    withstands(&["questions", "streams", "answers"], async |arena| {
        let clients = attacks::interactive_sessions(arena, 30).await;
        attacks::unread_questions(&clients, (4, 4), 1_000_000).await
    })
    .await;
}

#[tokio::test]
async fn lists_without_an_end_are_cut_and_that_is_said() {
    // Each page has 20 MB, and there is always another one.
    let fat = Site::start(&["--fat=20", "--endless"]);
    let fat = daemon().url_server("fat", &fat.url());
    let arena = Arena::start(fat, BUDGET).await;
    let status = || {
        let output = arena.daemon.run(&["status", "fat"]).unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    until("the list is cut", async || status().contains("memory budget for lists")).await;
    let longest = arena.longest_call().await;
    assert!(longest < CALL_MAX, "another client's call took {longest:?}");
    assert!(arena.used("lists").await <= BUDGET_BYTES / 2);
    assert!(arena.refusals("lists").await > 0);
    let most = arena.memory().most;
    assert!(most < BUDGET_BYTES + 2 * BESIDE, "{} MiB at once", most / MIB);
}
