//! A model that takes its time to load: everything else serves meanwhile, and who needs it says so at once.

use std::time::{Duration, Instant};

use mainstay_testkit::Client;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Embedding, Plan, Stack};
use crate::shared::eventually_within;

/// What a refusal takes on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn while_the_model_loads_all_else_serves_and_a_killed_attempt_is_repeated() {
    load_slowly(Embedding::StandIn, 8).await;
}

pub(super) async fn load_slowly(embedding: Embedding, seconds: u64) {
    let folder = tempfile::tempdir().unwrap();
    let state = Some(folder.path().to_owned());
    let plan = Plan { embedding_loads_for: seconds, state, ..Plan::of(embedding) };
    let mut stack = plan.start().await;
    without_the_model(&stack).await;
    // The first attempt at loading ends in the middle.
    let victim = eventually_within(super::ALL_READY_WITHIN, "the embedding server", async || {
        stack.process("embeddings-service")
    })
    .await;
    victim.signal(Signal::KILL);
    refused_while_loading(&stack).await;
    stack.all_ready().await;
    assert!(!victim.lives());
    let node = stack.node("hybrid-coordinator").await;
    assert_eq!(node.state.as_str(), "ready", "{node:#?}");
    stack.daemon.term().unwrap();
    stack.daemon.wait(Duration::from_secs(60)).await.unwrap();
    // Now it is known how long it usually takes.
    drop(stack);
    let stack = plan.start().await;
    without_the_model(&stack).await;
    let refusal = refused_while_loading(&stack).await;
    let hint = refusal["error"]["data"]["hint"].as_str().unwrap_or_default();
    assert!(hint.contains("usually takes"), "{refusal}");
    stack.all_ready().await;
}

/// All are ready that do not need the model, and work.
async fn without_the_model(stack: &Stack) {
    let later = [
        "embeddings-model",
        "embeddings-program",
        "embeddings-service",
        "hybrid-coordinator",
        "health-monitor",
        "ralph-wiggum",
    ];
    stack.ready_but(&later).await;
    let client = stack.daemon.client("aidb").await.unwrap();
    let found = client.call("discover_tools", json!({})).await.unwrap();
    assert_eq!(found["structuredContent"]["source"], "live", "{found}");
}

/// A call to a server that waits for the model is refused at once, with the reason.
async fn refused_while_loading(stack: &Stack) -> Value {
    let begun = Instant::now();
    let mut client = Client::new(&stack.daemon.endpoint("hybrid-coordinator")).unwrap();
    client.deadline = Duration::from_secs(30);
    let initialize = json!({
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "it", "version": "0"},
    });
    let refusal = client.send("initialize", initialize).await.unwrap().answer().await.unwrap();
    assert_eq!(refusal["error"]["data"]["code"], "SERVER_LOADING", "{refusal}");
    assert_eq!(refusal["error"]["data"]["server"], "hybrid-coordinator", "{refusal}");
    assert!(begun.elapsed() < AT_ONCE, "{:?}: {refusal}", begun.elapsed());
    let node = stack.node("hybrid-coordinator").await;
    assert_eq!(node.state.as_str(), "waiting", "{node:#?}");
    assert_eq!(node.waiting_for[0].need.name.as_str(), "embeddings-service", "{node:#?}");
    refusal
}
