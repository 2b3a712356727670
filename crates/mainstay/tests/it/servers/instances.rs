//! Sharing of processes among clients, and the number of processes.

use std::collections::BTreeSet;

use mainstay_testkit::process::Process;
use mainstay_testkit::{Client, Daemon};
use serde_json::{Value, json};

use super::{ask, assert_echo, daemon, eventually, get, in_state, metric, misbehave, server};

/// Returns the process that answers a client.
async fn pid(client: &Client) -> u64 {
    let stats = client.call("stats", json!({})).await.unwrap();
    stats["structuredContent"]["pid"].as_u64().unwrap()
}

/// Opens a session that supports elicitation.
async fn interactive(daemon: &Daemon, name: &str) -> Client {
    let mut client = Client::new(&daemon.endpoint(name)).unwrap();
    client.initialize("2025-11-25", &json!({"elicitation": {}})).await.unwrap();
    client
}

fn servers(daemon: &mut Daemon) -> Vec<Process> {
    let children = daemon.children();
    children.into_iter().filter(|child| child.command.contains("misbehave stdio")).collect()
}

async fn has_instances(daemon: &Daemon, name: &str, count: usize) {
    eventually(&format!("{count} instances"), async || {
        let now = server(daemon, name).await;
        (now["instances"].as_array().unwrap().len() == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn two_hundred_sessions_share_one_process() {
    let mut daemon = daemon().command_server("s", &misbehave(&[])).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    let mut sessions = tokio::task::JoinSet::new();
    for number in 0..200 {
        let url = daemon.endpoint("s");
        sessions.spawn(async move {
            let client = Client::connect(&url).await.unwrap();
            let sent = json!({"number": number});
            assert_echo(&ask(&client, "echo", sent.clone()).await, &sent);
            client
        });
    }
    let clients = sessions.join_all().await;
    let ids: BTreeSet<_> = clients.iter().map(|client| client.session().unwrap()).collect();
    assert_eq!(ids.len(), 200);
    assert_eq!(servers(&mut daemon).len(), 1);
    assert_eq!(server(&daemon, "s").await["instances"].as_array().unwrap().len(), 1);
    assert_eq!(metric(&daemon, "mcp_active_sessions", &[]).await, 200.0);
}

#[tokio::test]
async fn clients_that_can_be_asked_lease_processes_of_which_there_are_so_many() {
    let mut daemon = daemon()
        .command_server("s", &misbehave(&[]))
        .config("[servers.s.pool]\nmin = 0\nmax = 2\nidle_timeout = \"1s\"")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    let plain = daemon.client("s").await.unwrap();
    let shared = pid(&plain).await;
    let one = interactive(&daemon, "s").await;
    let first = pid(&one).await;
    assert_ne!(first, shared);
    assert_eq!(pid(&one).await, first, "a client finds the process it had before");
    assert_eq!(pid(&interactive(&daemon, "s").await).await, first, "a free one is used again");
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..8 {
        let client = interactive(&daemon, "s").await;
        calls.spawn(async move {
            let sent = json!({"ms": 100, "number": number});
            assert_echo(&ask(&client, "slow", sent.clone()).await, &sent);
            pid(&client).await
        });
    }
    let used: BTreeSet<_> = calls.join_all().await.into_iter().collect();
    assert!(used.len() <= 2 && !used.contains(&shared), "{used:?}, not {shared}");
    assert!(servers(&mut daemon).len() <= 3);
    let (_, pool) = get(daemon.base(), "/stats/pool?server=s").await;
    let pool: Value = serde_json::from_str(&pool).unwrap();
    assert_eq!((&pool["maxPoolSize"], &pool["minPoolSize"]), (&json!(2), &json!(0)));
    // Unused for a second, the instances end. The one with the lists stays.
    has_instances(&daemon, "s", 1).await;
    assert_eq!(pid(&plain).await, shared);
    eventually("the end of the processes", async || {
        Process::find(i32::try_from(first).unwrap()).is_none().then_some(())
    })
    .await;
    assert_eq!(servers(&mut daemon).len(), 1);
}

#[tokio::test]
async fn a_question_goes_to_the_client_whose_call_it_belongs_to() {
    let daemon = daemon().command_server("s", &misbehave(&[])).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..6 {
        let client = interactive(&daemon, "s").await;
        calls.spawn(async move {
            let arguments = json!({"number": number});
            let params = json!({"name": "ask_user", "arguments": arguments});
            let mut exchange = client.send_as(json!(0), "tools/call", params).await.unwrap();
            let question = exchange.next().await.unwrap().unwrap();
            assert_eq!(question["method"], "elicitation/create");
            let content = json!({"name": format!("user {number}")});
            let given = json!({"action": "accept", "content": content});
            client.respond(&question["id"], given.clone()).await.unwrap();
            let answer = exchange.answer().await.unwrap();
            let result = &answer["result"]["structuredContent"];
            assert_eq!((&result["answer"], &result["echo"]), (&given, &arguments), "{answer}");
        });
    }
    calls.join_all().await;
    // A client that can't be asked is not asked. The server is told and continues.
    let plain = daemon.client("s").await.unwrap();
    let answer = ask(&plain, "ask_user", json!({})).await;
    assert_eq!(answer["result"]["structuredContent"]["answer"]["code"], -32601, "{answer}");
}

#[tokio::test]
async fn a_session_of_its_own_ends_with_its_session() {
    let daemon = daemon()
        .command_server("s", &misbehave(&[]))
        .config("sharing = \"session\"")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    let (one, other) = (daemon.client("s").await.unwrap(), daemon.client("s").await.unwrap());
    let pids = [pid(&one).await, pid(&other).await];
    assert_ne!(pids[0], pids[1]);
    assert_eq!([pid(&one).await, pid(&other).await], pids);
    has_instances(&daemon, "s", 3).await;
    assert_eq!(one.delete().await.unwrap().status, 200);
    has_instances(&daemon, "s", 2).await;
    eventually("the end of its process", async || {
        Process::find(i32::try_from(pids[0]).unwrap()).is_none().then_some(())
    })
    .await;
    assert_eq!(pid(&other).await, pids[1]);
}

#[tokio::test]
async fn a_call_of_its_own_leaves_nothing_behind() {
    let daemon = daemon()
        .command_server("s", &misbehave(&[]))
        .config("sharing = \"call\"")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    let client = daemon.client("s").await.unwrap();
    let mut pids = BTreeSet::new();
    for _ in 0..3 {
        pids.insert(pid(&client).await);
    }
    let calls = (0..3).map(|_| {
        let client = client.clone();
        async move { pid(&client).await }
    });
    pids.extend(calls.collect::<tokio::task::JoinSet<_>>().join_all().await);
    assert_eq!(pids.len(), 6, "each call has a process of its own");
    has_instances(&daemon, "s", 1).await;
    eventually("the end of all six", async || {
        let gone = |pid: &u64| Process::find(i32::try_from(*pid).unwrap()).is_none();
        pids.iter().all(gone).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_busy_pool_refuses_by_name_once_the_deadline_is_there() {
    let daemon = daemon()
        .config("[gateway]\ncall_timeout = \"1s\"")
        .command_server("s", &misbehave(&[]))
        .config("[servers.s.pool]\nmin = 0\nmax = 1")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    let holder = interactive(&daemon, "s").await;
    let waiter = interactive(&daemon, "s").await;
    pid(&holder).await;
    // Progress keeps the call alive far beyond the deadline of the other.
    let held = tokio::spawn(async move {
        let meta = json!({"progressToken": 1});
        let arguments = json!({"steps": 25, "ms": 100});
        let params = json!({"name": "progress", "arguments": arguments, "_meta": meta});
        holder.send("tools/call", params).await.unwrap().answer().await.unwrap()
    });
    eventually("the pool to be busy", async || {
        (server(&daemon, "s").await["calls"] == 1).then_some(())
    })
    .await;
    let refused = ask(&waiter, "echo", json!({"n": 1})).await;
    super::assert_refused(&refused, 1002, "QUEUE_TIMEOUT");
    assert_eq!(refused["error"]["data"]["limit"], "pool.max: 1");
    assert!(held.await.unwrap()["result"].is_object());
    assert_echo(&ask(&waiter, "echo", json!({"n": 2})).await, &json!({"n": 2}));
}

/// Opens a session with these capabilities.
async fn declaring(daemon: &Daemon, name: &str, capabilities: Value) -> Client {
    let mut client = Client::new(&daemon.endpoint(name)).unwrap();
    client.initialize("2025-11-25", &capabilities).await.unwrap();
    client
}

async fn pool_of(daemon: &Daemon, name: &str) -> Value {
    let (_, pool) = get(daemon.base(), &format!("/stats/pool?server={name}")).await;
    serde_json::from_str(&pool).unwrap()
}

#[tokio::test]
async fn one_kind_of_clients_does_not_lock_out_another() {
    for min in [0, 1] {
        let daemon = daemon()
            .config("[gateway]\ncall_timeout = \"20s\"")
            .command_server("s", &misbehave(&[]))
            .config(&format!("[servers.s.pool]\nmin = {min}\nmax = 1"))
            .start()
            .await
            .unwrap();
        in_state(&daemon, "s", "ready").await;
        let one = declaring(&daemon, "s", json!({"sampling": {}})).await;
        let other = declaring(&daemon, "s", json!({"elicitation": {}})).await;
        let first = pid(&one).await;
        let second = pid(&other).await;
        assert_ne!(first, second, "what is idle gives way");
        assert_ne!(pid(&one).await, second);
        let pool = pool_of(&daemon, "s").await;
        assert!(pool["total"].as_u64() <= pool["maxPoolSize"].as_u64(), "{pool}");
    }
}

#[tokio::test]
async fn sessions_with_processes_of_their_own_wait_as_others_do() {
    let daemon = daemon()
        .config("[gateway]\ncall_timeout = \"1s\"")
        .command_server("s", &misbehave(&[]))
        .config("sharing = \"session\"\n[servers.s.pool]\nmin = 0\nmax = 1")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    let holder = daemon.client("s").await.unwrap();
    let waiter = daemon.client("s").await.unwrap();
    pid(&holder).await;
    // The state of a session in its process lasts as long as the session.
    let refused = ask(&waiter, "echo", json!({"n": 1})).await;
    super::assert_refused(&refused, 1002, "QUEUE_TIMEOUT");
    let answer = tokio::spawn(async move { ask(&waiter, "echo", json!({"n": 2})).await });
    assert_eq!(holder.delete().await.unwrap().status, 200);
    assert_echo(&answer.await.unwrap(), &json!({"n": 2}));
}

#[tokio::test]
async fn six_kinds_of_clients_share_the_processes_that_there_are() {
    const SERVERS: usize = 20;
    let mut builder = daemon();
    for number in 0..SERVERS {
        builder = builder.command_server(&format!("s{number}"), &misbehave(&[]));
    }
    let mut daemon = builder.start().await.unwrap();
    for number in 0..SERVERS {
        in_state(&daemon, &format!("s{number}"), "ready").await;
    }
    let kinds = [
        json!({}),
        json!({"roots": {}}),
        json!({"sampling": {}}),
        json!({"elicitation": {}}),
        json!({"roots": {"listChanged": true}, "sampling": {}}),
        json!({"roots": {}, "sampling": {}, "elicitation": {}}),
    ];
    let calls = kinds.len() - 1;
    for kind in kinds {
        let mut client = Client::new(&format!("{}/mcp", daemon.base())).unwrap();
        client.initialize("2025-11-25", &kind).await.unwrap();
        let list = client.request("tools/list", json!({})).await.unwrap();
        assert!(!list["tools"].as_array().unwrap().is_empty());
        // One more at a time, to detect whether lists differ.
        assert!(servers(&mut daemon).len() <= SERVERS + calls + 1, "{kind}");
        let own = declaring(&daemon, "s0", kind).await;
        own.request("tools/list", json!({})).await.unwrap();
        pid(&own).await;
    }
    eventually("the end of what found out", async || {
        (servers(&mut daemon).len() <= SERVERS + calls).then_some(())
    })
    .await;
    let now = server(&daemon, "s0").await;
    let instances = now["instances"].as_array().unwrap();
    assert_eq!(instances.len(), 1 + calls, "one for all, and one for each kind that called: {now}");
    assert_eq!(server(&daemon, "s1").await["instances"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_that_asks_nothing_is_shared_by_all() {
    let mut daemon = daemon()
        .command_server("s", &misbehave(&[]))
        .config("asks = \"never\"")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    let plain = pid(&daemon.client("s").await.unwrap()).await;
    let able = interactive(&daemon, "s").await;
    assert_eq!(pid(&able).await, plain);
    able.request("tools/list", json!({})).await.unwrap();
    assert_eq!(servers(&mut daemon).len(), 1);
}

/// Returns the five numbers of a server, and checks that they add up.
async fn numbers(daemon: &Daemon, query: &str) -> [u64; 5] {
    let (_, pool) = get(daemon.base(), &format!("/stats/pool{query}")).await;
    let pool: Value = serde_json::from_str(&pool).unwrap();
    let members = ["idle", "active", "total", "maxPoolSize", "minPoolSize"];
    let numbers = members.map(|member| pool[member].as_u64().unwrap());
    assert_eq!(numbers[0] + numbers[1], numbers[2], "idle and active are all: {pool}");
    numbers
}

#[tokio::test]
async fn numbers_of_the_pool_are_those_of_its_processes() {
    let pool = |name: &str| format!("[servers.{name}.pool]\nmin = 0\nmax = 3\n");
    let mut daemon = daemon()
        .command_server("one", &misbehave(&[]))
        .command_server("two", &misbehave(&[]))
        .config(&format!("{}{}", pool("one"), pool("two")))
        .start()
        .await
        .unwrap();
    for name in ["one", "two"] {
        in_state(&daemon, name, "ready").await;
        assert_eq!(numbers(&daemon, &format!("?server={name}")).await[1], 0, "nobody calls");
    }
    // Each call of such a client has its own process.
    let (mut calls, mut callers) = (tokio::task::JoinSet::new(), Vec::new());
    for (name, times) in [("one", 3), ("two", 2)] {
        for _ in 0..times {
            let client = interactive(&daemon, name).await;
            callers.push(client.clone());
            calls.spawn(async move {
                let _ = client.call("hang_until_cancelled", json!({})).await;
            });
        }
    }
    // Instances for detection come and go before that. Instances that supply lists are not counted in the
    // pool.
    eventually("the numbers of five calls", async || {
        let [one, two, all] = [
            numbers(&daemon, "?server=one").await,
            numbers(&daemon, "?server=two").await,
            numbers(&daemon, "").await,
        ];
        let processes = servers(&mut daemon).len();
        let expected = [[0, 3, 3, 3, 0], [0, 2, 2, 3, 0], [0, 5, 5, 6, 0]];
        // All reports name the same instances.
        let mut instances = Vec::new();
        for name in ["one", "two"] {
            let listed = server(&daemon, name).await["instances"].as_array().unwrap().len();
            let labels = [&*format!("server=\"{name}\""), "state=\"ready\""];
            let counted = metric(&daemon, "mainstay_instance_state", &labels).await;
            let calls = metric(&daemon, "mainstay_calls_in_flight", &labels[..1]).await;
            instances.push((listed, counted, calls));
        }
        let seen = [one, two, all] == expected
            && processes == 5 + 2
            && instances == [(3 + 1, 4.0, 3.0), (2 + 1, 3.0, 2.0)];
        seen.then_some(())
    })
    .await;
    for caller in callers {
        caller.delete().await.unwrap();
    }
    calls.join_all().await;
    for query in ["?server=one", "?server=two", ""] {
        eventually("the end of the calls", async || {
            (numbers(&daemon, query).await[1] == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn what_an_instance_holds_is_shown() {
    let daemon = daemon().command_server("s", &misbehave(&[])).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    pid(&declaring(&daemon, "s", json!({"roots": {}, "sampling": {}})).await).await;
    let instances = eventually("the memory of both", async || {
        let now = server(&daemon, "s").await;
        let instances = now["instances"].as_array().unwrap().clone();
        let seen = instances.iter().filter(|it| it["memory_bytes"].as_u64() > Some(100_000));
        (seen.count() == 2).then_some(instances)
    })
    .await;
    assert_eq!(instances[0].get("asks"), None, "all clients share it");
    assert_eq!(instances[1]["asks"], json!(["roots", "sampling"]));
    let sum: u64 = instances.iter().map(|it| it["memory_bytes"].as_u64().unwrap()).sum();
    let (_, body) = get(daemon.base(), "/health/detailed").await;
    let detailed: Value = serde_json::from_str(&body).unwrap();
    let memory = &detailed["memory_usage"];
    let (own, servers) = (&memory["resident_bytes"], &memory["servers_bytes"]);
    assert!(servers.as_u64().unwrap() >= sum / 2, "{memory} of {sum}");
    let usage = metric(&daemon, "mcp_memory_usage_bytes", &[]).await;
    assert!(usage > own.as_u64().unwrap() as f64 / 2.0 + sum as f64 / 2.0, "{usage}: {memory}");
}

/// After ten seconds without output a call is answered as a stream and keeps its place in the queue.
#[tokio::test]
async fn a_call_that_waits_for_long_keeps_its_turn() {
    let daemon = daemon()
        .command_server("s", &misbehave(&[]))
        .config("[servers.s.pool]\nmin = 0\nmax = 1")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    let [holder, first, second] = [
        interactive(&daemon, "s").await,
        interactive(&daemon, "s").await,
        interactive(&daemon, "s").await,
    ];
    pid(&holder).await;
    let waiting = async |count: u64| {
        eventually("the calls that wait", async || {
            let (_, body) = get(daemon.base(), "/health/detailed").await;
            let detailed: Value = serde_json::from_str(&body).unwrap();
            (detailed["sessions"]["calls"] == count).then_some(())
        })
        .await;
    };
    let mut calls = tokio::task::JoinSet::new();
    for (number, client, ms) in [(0, holder, 12_000), (1, first, 10), (2, second, 10)] {
        calls.spawn(async move {
            let answer = ask(&client, "slow", json!({"ms": ms, "number": number})).await;
            answer["result"]["structuredContent"]["echo"]["number"].as_u64()
        });
        waiting(number + 1).await;
    }
    let mut order = Vec::new();
    while let Some(answered) = calls.join_next().await {
        order.push(answered.unwrap());
    }
    assert_eq!(order, [Some(0), Some(1), Some(2)]);
}
