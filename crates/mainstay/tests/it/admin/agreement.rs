//! Checks that a figure which several answers show is the same in all of them.

use std::collections::BTreeMap;

use mainstay_testkit::{Client, Daemon};
use serde_json::{Value, json};

use super::{ask, over_the_socket};
use crate::shared::{daemon, misbehave, until};

/// All answers that show numbers, taken while nothing changes.
struct Answers {
    pool: Value,
    /// `/stats/pool` of one server: the one with a pool, and the one without.
    pooled: Value,
    alone: Value,
    detailed: Value,
    status: Value,
    servers: Value,
    sessions: Value,
    /// What `mainstay status --json` prints.
    printed: Value,
    /// What `mainstay status` prints.
    text: String,
    metrics: String,
}

impl Answers {
    async fn of(daemon: &Daemon) -> Self {
        let get = async |path: &str| ask(daemon, &format!("GET {path}"), &[], "").await.2;
        let run =
            |arguments: &[&str]| String::from_utf8(daemon.run(arguments).unwrap().stdout).unwrap();
        Self {
            pool: get("/stats/pool").await,
            pooled: get("/stats/pool?server=pooled").await,
            alone: get("/stats/pool?server=alone").await,
            detailed: get("/health/detailed").await,
            status: get("/api/status").await,
            servers: get("/api/servers").await,
            sessions: get("/api/sessions").await,
            printed: serde_json::from_str(&run(&["status", "--json"])).unwrap(),
            text: run(&["status"]),
            metrics: get("/metrics").await.as_str().unwrap().to_owned(),
        }
    }

    /// The sum of the samples of a metric whose labels hold this text.
    fn metric(&self, name: &str, label: &str) -> u64 {
        let lines = self.metrics.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && line.contains(label)
        });
        let values: Vec<f64> =
            lines.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
        assert!(!values.is_empty(), "{name} with {label:?} is missing");
        values.iter().sum::<f64>() as u64
    }

    /// The answers that show the whole status.
    fn statuses(&self) -> [&Value; 3] {
        [&self.detailed, &self.status, &self.printed]
    }
}

fn sum(list: &Value, member: &str) -> u64 {
    list.as_array().unwrap().iter().map(|item| item[member].as_u64().unwrap()).sum()
}

/// Holds six sessions, four calls and two streams open, on a server with a pool and one without. Two more calls
/// wait for their turn.
async fn busy() -> (Daemon, Vec<Client>, Vec<tokio::task::JoinHandle<()>>) {
    let daemon = daemon()
        .command_server("alone", &misbehave(&[]))
        .config("concurrency = 3")
        .command_server("pooled", &misbehave(&[]))
        .config("sharing = \"session\"\n[servers.pooled.pool]\nmax = 3\nmin = 1")
        .start()
        .await
        .unwrap();
    let mut clients = Vec::new();
    for name in ["alone", "alone", "alone", "pooled", "pooled"] {
        clients.push(daemon.client(name).await.unwrap());
    }
    clients.push(Client::connect(&format!("{}/mcp", daemon.base())).await.unwrap());
    // The instance of this session stays its own after the call.
    clients[3].call("echo", json!({})).await.unwrap();
    let mut held = Vec::new();
    for at in [0, 0, 1, 4, 2, 2] {
        let client = clients[at].clone();
        held.push(tokio::spawn(async move {
            let _ = client.call("slow", json!({"ms": 25_000})).await;
        }));
    }
    for at in [0, 5] {
        let stream = clients[at].listen(None).await.unwrap();
        held.push(tokio::spawn(async move {
            let _open = stream;
            std::future::pending::<()>().await;
        }));
    }
    let operator = over_the_socket(&daemon.state());
    until("all calls are with their servers", async || {
        let status = operator.status().await.unwrap();
        let calls: usize = status.servers.iter().map(|server| server.calls).sum();
        let waiting: usize = status.servers.iter().map(|server| server.waiting).sum();
        (calls, waiting) == (4, 2)
            && status.sessions.streams == 2
            && status.connection_pool.active == 2
    })
    .await;
    (daemon, clients, held)
}

#[tokio::test]
async fn every_number_is_the_same_wherever_it_is_shown() {
    let (daemon, _clients, held) = busy().await;
    let all = Answers::of(&daemon).await;
    sessions_agree(&all);
    pools_agree(&all);
    servers_agree(&all);
    memory_agrees(&all);
    for task in held {
        task.abort();
    }
}

fn sessions_agree(all: &Answers) {
    for status in all.statuses() {
        let sessions = &status["sessions"];
        assert_eq!((&sessions["active"], &sessions["calls"]), (&json!(6), &json!(6)));
        assert_eq!((&sessions["streams"], &sessions["listens"]), (&json!(2), &json!(0)));
        assert_eq!(sum(&status["endpoints"], "streams"), 2);
        assert_eq!(sum(&status["servers"], "calls"), 4);
        assert_eq!(sum(&status["servers"], "waiting"), 2);
    }
    let of = &all.sessions;
    let list = &of["active_sessions"];
    assert_eq!((&of["active"], list.as_array().unwrap().len()), (&json!(6), 6));
    assert_eq!((&of["calls"], sum(list, "calls")), (&json!(6), 6));
    assert_eq!((&of["streams"], sum(list, "streams")), (&json!(2), 2));
    assert_eq!(of["max"], all.detailed["sessions"]["max"]);
    assert_eq!(all.metric("mcp_active_sessions", ""), 6);
    assert_eq!(all.metric("mainstay_calls_in_flight", ""), 4);
    assert_eq!(all.metric("mainstay_calls_waiting", ""), 2);
    assert!(all.text.contains("3 + 2 waiting"), "{}", all.text);
    assert_eq!(all.metric("mainstay_streams_open", "kind=\"get\""), 2);
    let mut endpoints = BTreeMap::new();
    for session in list.as_array().unwrap() {
        *endpoints.entry(session["endpoint"].as_str().unwrap()).or_insert(0) += 1;
    }
    assert_eq!(endpoints, BTreeMap::from([("/mcp", 1), ("/mcp/alone", 3), ("/mcp/pooled", 2)]));
    let line = format!("6 sessions of {}, 0 listens, 2 open streams, 6 calls in flight", of["max"]);
    assert!(all.text.contains(&line), "{}", all.text);
}

/// One instance is in use, one is kept by a session, and a third one may still be started.
fn pools_agree(all: &Answers) {
    let expected = json!({"idle": 0, "active": 2, "total": 2, "maxPoolSize": 3, "minPoolSize": 1});
    assert_eq!(all.pool, expected);
    assert_eq!(all.pooled, expected);
    let nothing = json!({"idle": 0, "active": 0, "total": 0, "maxPoolSize": 0, "minPoolSize": 0});
    assert_eq!(all.alone, nothing, "a server without a pool");
    for status in all.statuses() {
        let pool = &status["connection_pool"];
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&pool[name], value, "{name}");
        }
        assert_eq!((&pool["status"], &pool["max"]), (&json!("healthy"), &json!(3)));
        assert!((pool["utilization"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-9, "{pool}");
    }
    for (part, pooled) in [("active", 2), ("idle", 0), ("max", 3)] {
        let name = format!("mcp_db_connections_{part}");
        assert_eq!(all.metric(&name, "server=\"pooled\""), pooled, "{name}");
        assert_eq!(all.metric(&name, "server=\"alone\""), 0, "{name}");
    }
}

fn servers_agree(all: &Answers) {
    assert_eq!(all.servers["servers"].as_array().unwrap().len(), 2);
    for status in all.statuses().into_iter().chain([&all.servers]) {
        for server in status["servers"].as_array().unwrap() {
            let name = format!("server=\"{}\"", server["name"].as_str().unwrap());
            let instances = server["instances"].as_array().unwrap();
            assert_eq!(all.metric("mainstay_calls_in_flight", &name), server["calls"]);
            assert_eq!(all.metric("mainstay_calls_waiting", &name), server["waiting"]);
            assert_eq!(sum(&server["instances"], "calls"), server["calls"]);
            let starts = server["restarts"].as_u64().unwrap() + instances.len() as u64;
            assert_eq!(all.metric("mainstay_instance_starts_total", &name), starts);
            let ready = instances.iter().filter(|it| it["state"] == "ready").count() as u64;
            let states = all.metrics.lines().filter(|line| {
                line.starts_with("mainstay_instance_state{")
                    && line.contains(&name)
                    && line.contains("state=\"ready\"")
            });
            let count = states.map(|line| line.rsplit(' ').next().unwrap()).collect::<Vec<_>>();
            assert_eq!(count, [ready.to_string()], "{server}");
            assert_eq!(all.metric("mcp_circuit_breaker_state", ""), 0);
            assert_eq!(all.metric("mcp_circuit_breaker_failures_total", ""), 0);
        }
        if let Some(breakers) = status.get("circuit_breakers") {
            let breakers = breakers.as_object().unwrap();
            for server in status["servers"].as_array().unwrap() {
                assert_eq!(breakers[server["name"].as_str().unwrap()], "CLOSED", "{status}");
            }
        }
    }
}

fn memory_agrees(all: &Answers) {
    // The daemon's own memory changes between two answers.
    const DRIFT: u64 = 64 << 20;
    for status in all.statuses() {
        let memory = &status["memory_usage"];
        let of = |name: &str| memory[name].as_u64().unwrap();
        assert_eq!(of("resident_bytes") + of("servers_bytes"), of("usage_bytes"));
        assert_eq!(all.metric("mcp_memory_limit_bytes", ""), of("limit_bytes"));
        let usage = all.metric("mcp_memory_usage_bytes", "");
        assert!(usage.abs_diff(of("usage_bytes")) < DRIFT, "{usage} {memory}");
        let servers = sum(&status["servers"], "memory_bytes");
        assert!(servers.abs_diff(of("servers_bytes")) < DRIFT, "{servers} {memory}");
    }
}

#[tokio::test]
async fn a_call_that_reaches_no_server_counts_once() {
    let daemon = daemon()
        .command_server("one", &misbehave(&[]))
        .command_server("two", &misbehave(&[]))
        .start()
        .await
        .unwrap();
    let client = Client::connect(&format!("{}/mcp", daemon.base())).await.unwrap();
    let unknown = json!({ "name": "nothing", "arguments": {} });
    let answer = client.send("tools/call", unknown).await.unwrap().answer().await.unwrap();
    assert!(answer["error"].is_object(), "{answer}");
    let all = Answers::of(&daemon).await;
    let requests = "server=\"*\",method=\"tools/call\",outcome=\"error\"";
    assert_eq!(all.metric("mcp_requests_total", requests), 1);
    assert_eq!(all.metric("mcp_errors_total", "server=\"*\",code=\"NO_ROUTE\""), 1);
    assert_eq!(all.metric("mcp_errors_total", ""), 1);
    let crash = json!({ "name": "crash", "arguments": {} });
    let one = daemon.client("one").await.unwrap();
    let answer = one.send("tools/call", crash).await.unwrap().answer().await.unwrap();
    assert_eq!(answer["error"]["code"], 1007, "{answer}");
    let all = Answers::of(&daemon).await;
    assert_eq!(all.metric("mcp_errors_total", "server=\"one\""), 1);
    let requests = "server=\"one\",method=\"tools/call\"";
    assert_eq!(all.metric("mcp_requests_total", requests), 1);
}
