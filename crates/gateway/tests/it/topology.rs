//! Servers and endpoints that are added, changed and removed while clients use them.

use std::time::{Duration, Instant};

use mainstay_gateway::Layout;
use mainstay_model::status::InstanceState;
use mainstay_pool::Pool;
use mainstay_testkit::Client;
use mainstay_testkit::client::Reply;
use serde_json::{Value, json};

use crate::scene::{Scene, until};

/// Longer than any call of these tests takes.
const LONG: Duration = Duration::from_secs(30);

async fn tools(client: &Client) -> Vec<String> {
    let page = client.request("tools/list", json!({})).await.unwrap();
    let tools = page["tools"].as_array().unwrap().iter();
    tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// Returns the id of the process that answers a client of one server.
async fn pid(client: &Client) -> Value {
    client.call("stats", json!({})).await.unwrap()["structuredContent"]["pid"].clone()
}

async fn method(stream: &mut Reply) -> String {
    let message = stream.message().await.unwrap().expect("the stream goes on");
    message["method"].as_str().unwrap().to_owned()
}

/// Returns whether the process has ended.
fn is_stopped(pool: &Pool) -> bool {
    pool.instances().iter().all(|instance| instance.state() == InstanceState::Stopped)
}

async fn status(client: &Client, path: &str) -> (u16, Value) {
    let mut reply = client.plain("POST", path).await.unwrap();
    let text = reply.text().await.unwrap();
    (reply.status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

#[tokio::test]
async fn sessions_of_endpoints_that_stay_go_on() {
    let scene = Scene::start(LONG).await;
    let (a, b) = (scene.pool("a", &[]), scene.pool("b", &[]));
    scene.install(&[&a, &b], &[]);
    let (one, all) = (scene.client("/mcp/a").await, scene.client("/mcp").await);
    assert!(tools(&all).await.contains(&"b_echo".to_owned()));
    let mut stream = all.listen(None).await.unwrap();
    let before = pid(&one).await;

    let c = scene.pool("c", &[]);
    scene.install(&[&c, &a], &[]);
    // The lists lack what is gone at once, and get what is new once it is there.
    assert_eq!(method(&mut stream).await, "notifications/tools/list_changed");
    until("the tools of the new server are listed", async || {
        tools(&all).await.contains(&"c_echo".to_owned())
    })
    .await;
    let listed = tools(&all).await;
    assert!(!listed.iter().any(|name| name.starts_with("b_")), "{listed:?}");
    // A name that was seen stays, although its server no longer comes first.
    for name in ["echo", "c_echo"] {
        all.call(name, json!({"x": 1})).await.unwrap();
    }
    let error = all.call("b_echo", json!({})).await.unwrap_err().to_string();
    assert!(error.contains("unknown tool"), "{error}");
    // Who was not concerned has noticed nothing.
    assert_eq!(pid(&one).await, before);
    let (code, body) = status(&scene.stranger("/mcp/b"), "/mcp/b").await;
    assert_eq!((code, &body["endpoints"]), (404, &json!(["/mcp", "/mcp/a", "/mcp/c"])));
    until("what ran for the other server is stopped", async || is_stopped(&b)).await;
    scene.end().await;
}

#[tokio::test]
async fn calls_in_flight_finish_before_what_they_need_is_stopped() {
    let scene = Scene::start(LONG).await;
    let (a, b) = (scene.pool("a", &[]), scene.pool("b", &[]));
    scene.install(&[&a, &b], &[("work", &["b"]), ("gone", &["a"])]);
    let mut calls = Vec::new();
    // To the server that goes, at each address that has it, and to the one that stays, at a group that goes.
    for (path, name) in
        [("/mcp/b", "slow"), ("/mcp", "b_slow"), ("/mcp/work", "slow"), ("/mcp/gone", "slow")]
    {
        let client = scene.client(path).await;
        tools(&client).await;
        calls.push(tokio::spawn(async move { client.call(name, json!({"ms": 1500})).await }));
    }
    until("all are under way", async || a.in_flight() + b.in_flight() == 4).await;
    scene.install(&[&a], &[("work", &["a"])]);
    // Nobody gets there any more who has not begun.
    assert_eq!(status(&scene.stranger("/mcp/b"), "/mcp/b").await.0, 404);
    for call in calls {
        let answer = call.await.unwrap().unwrap();
        assert_eq!(answer["structuredContent"]["echo"]["ms"], 1500, "{answer}");
    }
    until("it is stopped then", async || is_stopped(&b)).await;
    assert!(a.is_ready());
    scene.end().await;
}

#[tokio::test]
async fn a_call_that_does_not_end_is_not_waited_for_longer_than_a_drain() {
    let scene = Scene::start(Duration::from_millis(300)).await;
    let (a, b) = (scene.pool("a", &[]), scene.pool("b", &[]));
    scene.install(&[&a, &b], &[]);
    let (hung, beside) = (scene.client("/mcp").await, scene.client("/mcp/a").await);
    tools(&hung).await;
    let begun = Instant::now();
    let call = tokio::spawn(async move { hung.call("b_hang", json!({})).await });
    until("it is under way", async || b.in_flight() == 1).await;
    scene.install(&[&a], &[]);
    beside.call("echo", json!({})).await.unwrap();
    let error = call.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("OUTCOME_UNKNOWN"), "{error}");
    // Well before its own deadline, 30 s.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    until("it is stopped", async || is_stopped(&b)).await;
    scene.end().await;
}

#[tokio::test]
async fn a_changed_server_is_asked_again_for_what_sessions_had_asked_for() {
    let scene = Scene::start(LONG).await;
    let old = scene.pool("a", &[]);
    scene.install(&[&old], &[]);
    let (one, other) = (scene.client("/mcp/a").await, scene.client("/mcp").await);
    let before = pid(&one).await;
    one.request("resources/subscribe", json!({"uri": "mis://one"})).await.unwrap();
    one.request("logging/setLevel", json!({"level": "debug"})).await.unwrap();
    let mut stream = one.listen(None).await.unwrap();

    let new = scene.pool("a", &["--tools=1"]);
    scene.install(&[&new], &[]);
    // What may have changed meanwhile is told as changed.
    while method(&mut stream).await != "notifications/resources/updated" {}
    assert_ne!(pid(&one).await, before);
    let stats = one.call("stats", json!({})).await.unwrap();
    let counts = &stats["structuredContent"]["counts"];
    assert_eq!(counts["resources/subscribe"], 1, "{stats}");
    assert_eq!(counts["logging/setLevel"], 1, "{stats}");
    one.call("touch", json!({"uri": "mis://one"})).await.unwrap();
    while method(&mut stream).await != "notifications/resources/updated" {}
    assert!(tools(&one).await.iter().any(|name| name.starts_with("extra_")));
    other.call("echo", json!({})).await.unwrap();
    until("what ran before is stopped", async || is_stopped(&old)).await;
    scene.end().await;
}

#[tokio::test]
async fn a_server_that_is_added_hears_how_loud_clients_want_it() {
    let scene = Scene::start(LONG).await;
    let (a, b) = (scene.pool("a", &[]), scene.pool("b", &[]));
    scene.install(&[&a], &[]);
    let (all, only) = (scene.client("/mcp").await, scene.client("/mcp/a").await);
    for client in [&all, &only] {
        client.request("logging/setLevel", json!({"level": "debug"})).await.unwrap();
    }
    scene.install(&[&a, &b], &[]);
    let told = async |client: &Client, stats: &str| {
        let stats = client.call(stats, json!({})).await.unwrap();
        stats["structuredContent"]["counts"]["logging/setLevel"].as_u64().unwrap_or(0)
    };
    until("its tools are listed", async || tools(&all).await.contains(&"b_stats".to_owned())).await;
    until("it was told", async || told(&all, "b_stats").await == 1).await;
    assert_eq!(told(&only, "stats").await, 1, "who knew is told nothing again");
    scene.end().await;
}

#[tokio::test]
async fn sessions_end_with_their_endpoint() {
    let scene = Scene::start(LONG).await;
    let a = scene.pool("a", &[]);
    scene.install(&[&a], &[("work", &["a"])]);
    let (gone, stays) = (scene.client("/mcp/work").await, scene.client("/mcp/a").await);
    let mut stream = gone.listen(None).await.unwrap();
    scene.install(&[&a], &[]);
    assert!(stream.message().await.unwrap().is_none(), "the stream ends");
    assert_eq!(status(&gone, "/mcp/work").await.0, 404);
    until("the session has ended", async || scene.gateway.sessions_active() == 1).await;
    stays.call("echo", json!({})).await.unwrap();

    // The same name again is another endpoint: nothing of the first one is found there.
    scene.install(&[&a], &[("work", &["a"])]);
    assert!(gone.call("echo", json!({})).await.unwrap_err().to_string().contains("404"));
    scene.client("/mcp/work").await.call("echo", json!({})).await.unwrap();
    scene.end().await;
}

#[tokio::test]
async fn a_group_shows_at_once_what_runs_already() {
    let scene = Scene::start(LONG).await;
    let (a, b) = (scene.pool("a", &[]), scene.pool("b", &[]));
    scene.install(&[&a, &b], &[("work", &["a"])]);
    let client = scene.client("/mcp/work").await;
    assert!(!tools(&client).await.contains(&"b_echo".to_owned()));
    until("both are there", async || a.is_ready() && b.is_ready()).await;
    let mut stream = client.listen(None).await.unwrap();
    scene.install(&[&a, &b], &[("work", &["a", "b"]), ("more", &["b"])]);
    assert_eq!(method(&mut stream).await, "notifications/tools/list_changed");
    client.call("b_echo", json!({})).await.unwrap();
    // Without looking at its lists first.
    scene.client("/mcp/more").await.call("echo", json!({})).await.unwrap();
    scene.end().await;
}

#[tokio::test]
async fn no_call_notices_that_the_topology_is_replaced_again_and_again() {
    let scene = Scene::start(LONG).await;
    let a = scene.pool("a", &[]);
    scene.install(&[&a], &[]);
    let stop = tokio_util::sync::CancellationToken::new();
    let mut calling = tokio::task::JoinSet::new();
    for path in ["/mcp", "/mcp/a", "/mcp", "/mcp/a"] {
        let (client, stop) = (scene.client(path).await, stop.clone());
        calling.spawn(async move {
            let mut calls = 0;
            while !stop.is_cancelled() {
                let answer = client.call("echo", json!({"n": calls})).await.unwrap();
                assert_eq!(answer["structuredContent"]["echo"]["n"], calls);
                calls += 1;
            }
            calls
        });
    }
    for round in 0..20 {
        let b = scene.pool("b", &[]);
        scene.install(&[&a, &b], &[("work", &["b", "a"])]);
        if round % 2 == 0 {
            until("the second server is there", async || b.is_ready()).await;
        }
        scene.install(&[&a], &[]);
    }
    stop.cancel();
    while let Some(calls) = calling.join_next().await {
        assert!(calls.unwrap() > 20);
    }
    scene.end().await;
}

#[tokio::test]
async fn nothing_is_installed_once_the_daemon_stops() {
    let scene = Scene::start(LONG).await;
    let a = scene.pool("a", &[]);
    scene.install(&[&a], &[]);
    scene.gateway.drain_and_stop().await;
    let b = scene.pool("b", &[]);
    let layout = Layout { pools: vec![b.clone()], ..Layout::default() };
    assert!(!scene.gateway.install(layout));
    assert!(b.instances().is_empty() && is_stopped(&a));
    scene.end().await;
}
