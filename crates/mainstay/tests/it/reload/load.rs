//! Fifty reloads under load: no call to a server that does not change fails, no session ends, and no process is left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mainstay_testkit::Client;
use serde_json::{Value, json};

use super::{Scene, server};
use crate::shared::{eventually_within, until};

/// Reloads, and sessions with calls meanwhile.
const RELOADS: usize = 50;
const SESSIONS: usize = 200;
/// Calls at the same time: each of these goes through its sessions, one after the other.
const CALLERS: usize = 10;

/// Servers that come, go and change.
const OTHERS: [&str; 4] = ["v0", "v1", "v2", "v3"];

/// Numbers from a seed.
struct Random(u64);

/// What the configuration says of the servers that change: the value of a variable of each one that is there.
type Wanted = BTreeMap<&'static str, u64>;

// === impl Random ===

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

fn config(wanted: &Wanted, needs_db: bool) -> String {
    // The first one keeps its bare names at /mcp.
    let mut text = server("steady", &[], "") + &server("calm", &[], "");
    text.push_str("[services.db]\ncommand = ['sleep', '100000']\n");
    for (name, value) in wanted {
        let needs = if needs_db { "needs = ['service:db']" } else { "" };
        text += &server(name, &[], &format!("{needs}\nenv = {{ VALUE = '{value}' }}"));
    }
    text
}

/// Calls servers that do not change, through all of its sessions, until it is told to end. Returns the number of calls.
async fn call_on(clients: Vec<Client>, is_over: Arc<AtomicBool>, calls: Arc<AtomicUsize>) {
    for client in clients.iter().cycle() {
        if is_over.load(Ordering::Acquire) {
            return;
        }
        let number = calls.fetch_add(1, Ordering::AcqRel);
        let answer = client.call("echo", json!({ "number": number })).await;
        let answer = answer.unwrap_or_else(|error| panic!("call {number}: {error:#}"));
        assert_eq!(answer["structuredContent"]["echo"]["number"], number, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_reloads_under_load_fail_no_call_and_end_no_session() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = std::env::var("RELOAD_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or(u64::from(now.subsec_nanos()) | 1);
    println!("RELOAD_SEED={seed}");
    let mut random = Random(seed);
    let mut wanted = Wanted::new();
    let mut scene = Scene::start(&config(&wanted, false)).await;
    let (is_over, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let mut clients = Vec::new();
        for session in 0..SESSIONS / CALLERS {
            let endpoint = ["", "steady", "calm"][(caller + session) % 3];
            clients.push(scene.client(endpoint).await);
        }
        callers.spawn(call_on(clients, is_over.clone(), calls.clone()));
    }
    let sessions = |scene: &Scene| {
        scene.json(&["status", "--json"], 0)["sessions"]["active"].as_u64().unwrap()
    };
    assert_eq!(sessions(&scene), SESSIONS as u64);
    let mut needs_db = false;
    for round in 0..RELOADS {
        if random.below(8) == 0 {
            scene.write("[servers.steady\n");
            tokio::task::block_in_place(|| scene.run(&["reload"], 2));
        }
        for name in OTHERS {
            match random.below(4) {
                0 => _ = wanted.remove(name),
                1 => _ = wanted.insert(name, random.below(1000)),
                _ => {}
            }
        }
        needs_db ^= random.below(10) == 0;
        scene.write(&config(&wanted, needs_db));
        let report = tokio::task::block_in_place(|| scene.reload(0));
        assert!(
            ["applied", "unchanged"].contains(&report["outcome"].as_str().unwrap()),
            "round {round}: {report}"
        );
        let touched = |name: &str| {
            report["nodes"].as_array().unwrap().iter().any(|node| node["node"] == name)
        };
        assert!(!touched("server:steady") && !touched("server:calm"), "{report}");
        if let Some(ended) = callers.try_join_next() {
            panic!("round {round}: a caller ended: {ended:?}");
        }
        let status = tokio::task::block_in_place(|| scene.json(&["status", "--json"], 0));
        let names: Vec<_> = names(&status);
        let expected = ["steady", "calm"].into_iter().chain(wanted.keys().copied());
        assert_eq!(names, expected.collect::<Vec<_>>(), "round {round}");
    }
    let made = calls.load(Ordering::Acquire);
    assert!(made > RELOADS, "there was hardly any load: {made} calls");
    is_over.store(true, Ordering::Release);
    while let Some(ended) = callers.join_next().await {
        ended.expect("all calls were answered");
    }
    assert_eq!(sessions(&scene), SESSIONS as u64, "sessions have ended");

    // The servers that never changed are still the first ones, and nothing else is left.
    let status = scene.json(&["status", "--json"], 0);
    for server in status["servers"].as_array().unwrap() {
        let is_steady = ["steady", "calm"].contains(&server["name"].as_str().unwrap());
        assert!(!is_steady || server["restarts"] == 0, "{server}");
    }
    let expected = wanted.len() + 2 + 1;
    let within = Duration::from_secs(60);
    eventually_within(
        within,
        "nothing but the servers, the service and the guard runs",
        async || {
            let below = scene.daemon.children();
            (below.len() == expected + 1).then_some(())
        },
    )
    .await;
    until("all is well", async || scene.json(&["status", "--json"], 0)["status"] == "ok").await;
}

fn names(status: &Value) -> Vec<&str> {
    let servers = status["servers"].as_array().unwrap().iter();
    servers.map(|server| server["name"].as_str().unwrap()).collect()
}
