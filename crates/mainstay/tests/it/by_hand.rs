//! Servers and services by hand: `start`, `stop` and `restart` with names, and what `graph` and `status` say of it.

use std::time::Duration;

use mainstay_testkit::Daemon;
use mainstay_testkit::daemon::Builder;
use serde_json::{Value, json};

use crate::shared::{daemon, misbehave, until};

/// A service, a server that needs it, one that needs that one, and one that needs nothing.
fn chain() -> Builder {
    daemon()
        .config("[services.db]\ncommand = [\"sleep\", \"100000\"]\n")
        .command_server("store", &misbehave(&[]))
        .config("needs = [\"service:db\"]\non_lost_need = \"stop\"\n")
        .command_server("search", &misbehave(&[]))
        .config("needs = [\"server:store\"]\n")
        .command_server("alone", &misbehave(&[]))
}

#[track_caller]
fn run(daemon: &Daemon, line: &[&str], code: i32) -> (String, String) {
    let output = daemon.run(line).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(code), "{line:?}\n{out}\n{err}\n{}", daemon.log());
    (out, err)
}

fn states(daemon: &Daemon) -> Value {
    let graph: Value = serde_json::from_str(&run(daemon, &["graph", "--json"], 0).0).unwrap();
    let nodes = graph["nodes"].as_array().unwrap().iter();
    nodes.map(|node| (node["name"].as_str().unwrap().to_owned(), node["state"].clone())).collect()
}

async fn all_are(daemon: &Daemon, expected: Value) {
    let what = expected.to_string();
    until(&what, async || states(daemon) == expected).await;
}

fn ready() -> Value {
    json!({ "db": "ready", "store": "ready", "search": "ready", "alone": "ready" })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stopped_by_hand_stays_stopped_and_what_needs_it_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = chain().folder(folder.path()).start().await.unwrap();
    all_are(&first, ready()).await;
    let plan = run(&first, &["stop", "db", "--dry-run"], 0).0;
    assert!(plan.contains("service:db would be stopped"), "{plan}");
    assert!(plan.contains("would be degraded or held: server:store, server:search"), "{plan}");
    assert_eq!(states(&first), ready());
    let said = run(&first, &["stop", "db"], 0).0;
    assert!(said.contains("are degraded or held: server:store, server:search"), "{said}");
    let stopped =
        json!({ "db": "stopped", "store": "held", "search": "degraded", "alone": "ready" });
    all_are(&first, stopped).await;
    let page = run(&first, &["status"], 0).0;
    assert!(page.contains("db was stopped by hand"), "{page}");
    assert!(page.contains("store, held: service:db is stopped by hand for "), "{page}");
    assert!(page.contains("`mainstay start db` starts it"), "{page}");
    let search = run(&first, &["status", "search"], 0).0;
    assert!(search.contains("search, degraded: server:store is held for "), "{search}");
    assert!(search.contains("because service:db is stopped by hand"), "{search}");
    run(&first, &["stop"], 0);
    first.wait(Duration::from_secs(30)).await.unwrap();
    // The next daemon remembers it, and starts neither what was stopped nor what needs it.
    let second = chain().folder(folder.path()).start().await.unwrap();
    let held = json!({ "db": "stopped", "store": "held", "search": "held", "alone": "ready" });
    all_are(&second, held).await;
    let (out, err) = run(&second, &["up", "--wait", "30s"], 0);
    assert!(format!("{out}{err}").contains("not waited for: "), "{out}\n{err}");
    run(&second, &["start", "db"], 0);
    all_are(&second, ready()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_drained_before_it_stops_and_others_go_on() {
    let daemon = chain().start().await.unwrap();
    all_are(&daemon, ready()).await;
    let (alone, other) =
        (daemon.client("alone").await.unwrap(), daemon.client("store").await.unwrap());
    let calling = tokio::spawn(async move { alone.call("slow", json!({ "ms": 1500 })).await });
    let calls = async || {
        let status = run(&daemon, &["status", "alone", "--json"], 0).0;
        serde_json::from_str::<Value>(&status).unwrap()["calls"].as_u64().unwrap()
    };
    until("the call is under way", async || calls().await == 1).await;
    let said = run(&daemon, &["stop", "alone", "--json"], 0).0;
    let said: Value = serde_json::from_str(&said).unwrap();
    let done = &said["nodes"][0]["done"];
    assert_eq!((&done["calls"], &done["cut_off"]), (&json!(1), &json!(0)), "{said}");
    calling.await.unwrap().expect("a call in flight is answered");
    other.call("echo", json!({ "text": "x" })).await.expect("another server goes on");
    let refused = run(&daemon, &["call", "alone", "echo", "text=x"], 1).1;
    assert!(refused.contains("stopped"), "{refused}");
    run(&daemon, &["start", "alone"], 0);
    all_are(&daemon, ready()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_do_not_finish_in_time_are_cut_off_and_counted() {
    let daemon = chain().config("[gateway]\ndrain_timeout = \"300ms\"").start().await.unwrap();
    all_are(&daemon, ready()).await;
    let alone = daemon.client("alone").await.unwrap();
    let calling = tokio::spawn(async move { alone.call("slow", json!({ "ms": 600_000 })).await });
    let operator = crate::admin::over_the_socket(&daemon.state());
    until("the call is under way", async || operator.sessions().await.unwrap().calls == 1).await;
    let said = run(&daemon, &["restart", "alone"], 0).0;
    assert!(said.contains("1 call did not finish in time"), "{said}");
    assert!(calling.await.unwrap().is_err());
    all_are(&daemon, ready()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_names_are_checked_before_anything_is_done() {
    let daemon = chain().start().await.unwrap();
    all_are(&daemon, ready()).await;
    let (_, err) = run(&daemon, &["stop", "alone", "stor"], 1);
    assert!(err.contains("did you mean \"store\"?"), "{err}");
    assert_eq!(states(&daemon), ready());
    let pid = || {
        let status = run(&daemon, &["status", "db", "--json"], 0).0;
        serde_json::from_str::<Value>(&status).unwrap()["pid"].clone()
    };
    let before = pid();
    run(&daemon, &["restart", "db", "alone"], 0);
    all_are(&daemon, ready()).await;
    assert_ne!(pid(), before);
    let page = run(&daemon, &["status", "db"], 0).0;
    assert!(
        page.contains("runs       sleep 100000\n") && page.contains("needs      nothing"),
        "{page}"
    );
}
