//! The daemon is restarted repeatedly while sessions call without a pause. No session is lost, no answer
//! goes astray or is repeated, and no call is carried out twice.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use mainstay_testkit::Client;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{End, Scene};

/// The outcomes of calls by their numbers. Each number is used once.
#[derive(Debug, Default)]
struct Tally {
    answered: HashSet<String>,
    /// Refused with a code, so not carried out.
    refused: HashSet<String>,
    /// The connection was cut, or the outcome is reported as unknown: carried out once or not at all.
    unknown: HashSet<String>,
    /// No daemon accepted the connection.
    away: u64,
}

/// The data that a client needs.
#[derive(Clone)]
struct Shared {
    /// The present address of the daemon.
    base: Arc<Mutex<String>>,
    tally: Arc<Mutex<Tally>>,
    stop: CancellationToken,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_restarts_under_load_lose_nothing() {
    trial(50, 100).await;
}

async fn trial(restarts: usize, sessions: usize) {
    let mut scene = Scene::start().await;
    // Names are decided when clients first see them, so they must see both servers.
    super::until("both servers are ready", async || {
        scene.get("/health").await.contains(r#""status":"ok""#)
    })
    .await;
    let shared = Shared {
        base: Arc::new(Mutex::new(scene.daemon().base().to_owned())),
        tally: Arc::default(),
        stop: CancellationToken::new(),
    };
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..sessions {
        let (path, tool) =
            [("/mcp/far", "record"), ("/mcp", "far_record"), ("/mcp/near", "echo")][number % 3];
        let client = Client::connect(&format!("{}{path}", scene.daemon().base())).await.unwrap();
        // Published names stay, and a call under one waits for its server.
        client.request("tools/list", json!({})).await.unwrap();
        let session = client.session().unwrap().to_owned();
        clients.spawn(drive(number, path, tool, session, shared.clone()));
    }
    for round in 0..restarts {
        let before = answered(&shared);
        super::until("calls go on", async || answered(&shared) > before + 3 * sessions).await;
        let how = if round % 2 == 0 { End::Kill } else { End::Term };
        scene.restart(how).await;
        scene.daemon().base().clone_into(&mut shared.base.lock());
    }
    let before = answered(&shared);
    super::until("calls go on", async || answered(&shared) > before + 3 * sessions).await;
    shared.stop.cancel();
    let mut restored = 0;
    while let Some(ended) = clients.join_next().await {
        restored += ended.unwrap();
    }
    assert_eq!(scene.metric("mcp_active_sessions").await, sessions as u64);
    let tally = std::mem::take(&mut *shared.tally.lock());
    judge(&scene, &tally).await;
    println!("{restarts} restarts, {sessions} sessions, {restored} reconnects");
}

fn answered(shared: &Shared) -> usize {
    shared.tally.lock().answered.len()
}

/// Returns the calls that the server has carried out, which outlived every daemon.
async fn judge(scene: &Scene, tally: &Tally) {
    let counts = scene.site.counts().await;
    let counts = counts.as_object().unwrap();
    let recorded: HashSet<&str> =
        counts.keys().filter_map(|what| what.strip_prefix("recorded ")).collect();
    for number in &recorded {
        assert_eq!(counts[&format!("recorded {number}")], 1, "{number} was carried out twice");
    }
    let of_far = |number: &&String| number.starts_with("far");
    for number in tally.answered.iter().filter(of_far) {
        assert!(recorded.contains(&**number), "{number} was answered and not carried out");
    }
    for number in tally.refused.iter().filter(of_far) {
        assert!(!recorded.contains(&**number), "{number} was refused and carried out");
    }
    println!(
        "{} answered, {} refused, {} unknown, {} connections refused",
        tally.answered.len(),
        tally.refused.len(),
        tally.unknown.len(),
        tally.away
    );
    // Between two restarts each client gets three answers, and at most one call is cut.
    assert!(tally.answered.len() > 2 * tally.unknown.len(), "{tally:?}");
}

/// Runs one client, which calls in the same session whatever happens to the daemon. Returns how often it
/// had to reconnect.
async fn drive(number: usize, path: &str, tool: &str, session: String, shared: Shared) -> usize {
    let (mut moves, mut base, mut client) = (0, String::new(), None);
    for count in 0.. {
        if shared.stop.is_cancelled() {
            break;
        }
        let now = shared.base.lock().clone();
        if now != base {
            let mut again = Client::new(&format!("{now}{path}")).unwrap();
            again.set_session(Some(&session));
            (client, base) = (Some(again), now);
            moves += 1;
        }
        let Some(client) = &client else { break };
        let nonce =
            format!("{}-{number}-{count}", if path == "/mcp/near" { "near" } else { "far" });
        one(client, tool, nonce, &shared).await;
    }
    moves
}

async fn one(client: &Client, tool: &str, nonce: String, shared: &Shared) {
    let params = json!({"name": tool, "arguments": {"nonce": nonce}});
    let body = json!({"jsonrpc": "2.0", "id": nonce, "method": "tools/call", "params": params})
        .to_string();
    let mut reply = match client.post(body, &[]).await {
        Ok(reply) => reply,
        Err(error) => {
            let text = format!("{error:#}");
            if text.contains("refused") {
                shared.tally.lock().away += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            } else {
                shared.tally.lock().unknown.insert(nonce);
            }
            return;
        }
    };
    if reply.status != 200 {
        let (status, text) = (reply.status, reply.text().await);
        panic!("{nonce}: a session is lost: {status} {text:?}");
    }
    let mut messages = Vec::new();
    let cut = loop {
        match reply.message().await {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    let answers: Vec<&Value> = messages.iter().filter(|message| !message["id"].is_null()).collect();
    assert!(answers.iter().all(|answer| answer["id"] == *nonce), "{nonce} got {answers:?}");
    let mut tally = shared.tally.lock();
    match answers[..] {
        [] if cut || reply.is_stream() => drop(tally.unknown.insert(nonce)),
        [answer] if answer["error"].is_object() => {
            let code = answer["error"]["data"]["code"].as_str().unwrap_or_default();
            match code {
                "MAINTENANCE" | "SERVER_LOADING" | "SERVER_UNAVAILABLE" => {
                    tally.refused.insert(nonce);
                }
                "OUTCOME_UNKNOWN" => drop(tally.unknown.insert(nonce)),
                _ => panic!("{nonce} got {answer}"),
            }
        }
        [answer] => {
            let echoed = &answer["result"]["structuredContent"]["echo"]["nonce"];
            assert_eq!(*echoed, *nonce, "{answer}");
            tally.answered.insert(nonce);
        }
        _ => panic!("{nonce} got {messages:?}"),
    }
}
