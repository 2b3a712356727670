//! The vector store is lost: what needs vectors is refused at once, and everything else works.

use std::time::{Duration, Instant};

use mainstay_testkit::Client;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Embedding, Plan};
use crate::shared::eventually_within;

/// The longest that it may take until a frozen store is replaced.
const REPLACED_WITHIN: Duration = Duration::from_secs(120);

/// How often the store is struck until a call comes while it is down: it is back within a second.
const STRIKES_MAX: usize = 10;

async fn call(client: &Client, tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    client.send("tools/call", params).await.unwrap().answer().await.unwrap()
}

async fn search(coordinator: &Client) -> Value {
    let arguments = json!({"query": "bread", "collection": "skills-patterns"});
    call(coordinator, "search_context", arguments).await
}

fn works(answer: &Value) -> bool {
    answer["result"].is_object() && answer["result"]["isError"] != true
}

fn is_refused(answer: &Value) -> bool {
    answer["error"]["data"]["code"] == "DEGRADED"
        && answer["error"]["data"]["needs"][0]["need"] == "service:qdrant"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_vector_store_the_stack_does_what_needs_no_vectors() {
    let mut stack = Plan { probes_often: true, ..Plan::of(Embedding::StandIn) }.start().await;
    stack.all_ready().await;
    let coordinator = stack.daemon.client("hybrid-coordinator").await.unwrap();
    let aidb = stack.daemon.client("aidb").await.unwrap();
    assert!(works(&search(&coordinator).await));

    // For as long as one likes.
    stack.daemon.run(&["stop", "qdrant"]).unwrap();
    let refused = search(&coordinator).await;
    assert!(is_refused(&refused), "{refused}");
    let works_then = &refused["error"]["data"]["works"];
    assert!(works_then["tools"].as_u64().is_some_and(|tools| tools >= 3), "{refused}");
    for _ in 0..5 {
        let skills = call(&aidb, "list_skills", json!({})).await;
        assert!(works(&skills), "{skills}");
        let data = call(&coordinator, "generate_training_data", json!({})).await;
        assert!(works(&data), "{data}");
    }
    stack.daemon.run(&["start", "qdrant"]).unwrap();
    is_back(&coordinator).await;

    // Killed, and hung: refused while it is down, and back by itself.
    for signal in [Signal::KILL, Signal::STOP] {
        let mut was_refused = false;
        for _ in 0..STRIKES_MAX {
            stack.all_ready().await;
            let store = stack.process("qdrant").expect("the vector store runs");
            store.signal(signal);
            let begun = Instant::now();
            while store.lives() || !works(&search(&coordinator).await) {
                assert!(begun.elapsed() < REPLACED_WITHIN, "{signal:?}: it is not back");
                was_refused |= is_refused(&search(&coordinator).await);
            }
            if was_refused {
                break;
            }
        }
        assert!(was_refused, "{signal:?}");
        is_back(&coordinator).await;
    }
}

async fn is_back(coordinator: &Client) {
    eventually_within(REPLACED_WITHIN, "its return by itself", async || {
        works(&search(coordinator).await).then_some(())
    })
    .await;
}
