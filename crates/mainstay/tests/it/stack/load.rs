//! Clients that call the servers of the stack without a pause, and what became of their calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_testkit::Client;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Stack;

/// The sessions of a load. Each calls both servers, at the address of all of them or of one.
const SESSIONS: usize = 4;
/// Longer than the longest that a call may take: its deadline of 30 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(45);
/// A pause between calls, so that the programs have the machine.
const PAUSE: Duration = Duration::from_millis(20);

/// What became of calls.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    /// Calls whose tool succeeded, by server.
    pub(super) answered: BTreeMap<&'static str, u64>,
    /// Calls whose tool failed, because something behind it was down.
    pub(super) failed: u64,
    /// Refusals of Mainstay's, by their names.
    pub(super) refused: BTreeMap<String, u64>,
    /// Names of skills whose storing was confirmed.
    pub(super) stored: BTreeSet<String>,
    pub(super) longest: Duration,
}

/// A load that runs until it is ended.
pub(super) struct Load {
    tally: Arc<Mutex<Tally>>,
    stop: CancellationToken,
    clients: JoinSet<()>,
}

// === impl Load ===

impl Load {
    pub(super) async fn start(stack: &Stack) -> Self {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let stop = CancellationToken::new();
        let mut clients = JoinSet::new();
        for number in 0..SESSIONS {
            let base = stack.daemon.base();
            let mut sessions = Vec::new();
            for (server, name) in [("aidb", "aidb"), ("hybrid-coordinator", "hybrid-coordinator")] {
                let path = if number % 2 == 0 { "/mcp".to_owned() } else { format!("/mcp/{name}") };
                let mut client = Client::connect(&format!("{base}{path}")).await.unwrap();
                client.deadline = ANSWER_WITHIN;
                sessions.push((server, client));
            }
            clients.spawn(drive(number, sessions, tally.clone(), stop.clone()));
        }
        Self { tally, stop, clients }
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally.lock().clone()
    }

    /// Waits until each server has answered some more calls with success.
    pub(super) async fn goes_on(&self) {
        let before = self.tally();
        crate::shared::until("calls succeed", async || {
            let now = self.tally();
            ["aidb", "hybrid-coordinator"].iter().all(|server| {
                let count = |tally: &Tally| tally.answered.get(server).copied().unwrap_or(0);
                count(&now) > count(&before) + 2
            })
        })
        .await;
    }

    /// Ends the load after its open calls. Panics if one had no answer, or a session was lost.
    pub(super) async fn end(mut self, stack: &Stack) -> Tally {
        let active = stack.get("/api/sessions").await.1;
        self.stop.cancel();
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        let active = active["active_sessions"].as_array().unwrap().len();
        assert_eq!(active, 2 * SESSIONS, "no session may be lost");
        let tally = self.tally.lock().clone();
        println!("{tally:?}");
        tally
    }
}

/// Skills that were confirmed must be there, whatever was killed meanwhile.
pub(super) async fn assert_nothing_lost(stack: &Stack, tally: &Tally) {
    let client = stack.daemon.client("aidb").await.unwrap();
    let listed = client.call("list_skills", json!({})).await.unwrap();
    let listed: BTreeSet<String> =
        serde_json::from_value(listed["structuredContent"]["skills"].clone()).unwrap();
    let lost: Vec<&String> = tally.stored.difference(&listed).collect();
    assert!(lost.is_empty(), "confirmed, and not there: {lost:?}");
    assert!(!tally.stored.is_empty());
}

async fn drive(
    number: usize,
    sessions: Vec<(&'static str, Client)>,
    tally: Arc<Mutex<Tally>>,
    stop: CancellationToken,
) {
    for count in 0.. {
        for (server, client) in &sessions {
            if stop.is_cancelled() {
                return;
            }
            let (tool, arguments) = call(server, number, count);
            let begun = Instant::now();
            let answer = answer(client, tool, &arguments).await;
            note(&tally, server, &arguments, &answer, begun.elapsed());
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn call(server: &str, number: usize, count: usize) -> (&'static str, Value) {
    let name = format!("skill-{number}-{count}");
    match (server, count % 3) {
        ("aidb", 0) => ("import_skill", json!({"name": name, "content": "how to bake bread"})),
        ("aidb", 1) => ("semantic_search", json!({"query": "bread"})),
        ("aidb", _) => ("discover_tools", json!({})),
        (_, 0) => (
            "track_interaction",
            json!({"query": name, "response": "yes", "agent_type": "it", "model_used": "none"}),
        ),
        (_, 1) => ("search_context", json!({"query": "bread", "collection": "skills-patterns"})),
        (_, _) => ("augment_query", json!({"query": "bread"})),
    }
}

/// The one answer to a call. Panics if there is none, more than one, or the session is not known.
async fn answer(client: &Client, tool: &str, arguments: &Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    let sent = client.send("tools/call", params).await;
    let mut exchange = sent.unwrap_or_else(|error| panic!("{tool} has no answer: {error:#}"));
    let answer = exchange.answer().await;
    let answer = answer.unwrap_or_else(|error| panic!("{tool} has no answer: {error:#}"));
    let more = exchange.reply.message().await;
    assert!(!matches!(more, Ok(Some(_))), "{tool} has a second answer: {more:?}");
    answer
}

fn note(
    tally: &Mutex<Tally>,
    server: &'static str,
    arguments: &Value,
    answer: &Value,
    took: Duration,
) {
    let mut tally = tally.lock();
    tally.longest = tally.longest.max(took);
    if answer["error"].is_object() {
        let code = answer["error"]["data"]["code"].as_str().unwrap_or_default();
        let known = [
            "SERVER_LOADING",
            "SERVER_UNAVAILABLE",
            "DEGRADED",
            "BREAKER_OPEN",
            "OUTCOME_UNKNOWN",
            "DEADLINE_EXCEEDED",
        ];
        assert!(known.contains(&code), "{server}: {answer}");
        *tally.refused.entry(code.to_owned()).or_default() += 1;
    } else if answer["result"]["isError"] == true {
        tally.failed += 1;
    } else {
        *tally.answered.entry(server).or_default() += 1;
        if let Some(stored) = answer["result"]["structuredContent"]["stored"].as_str() {
            assert_eq!(stored, arguments["name"], "{answer}");
            tally.stored.insert(stored.to_owned());
        }
    }
}
