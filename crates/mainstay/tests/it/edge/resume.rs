//! Streams that are cut and resumed. Nothing is lost or repeated, and no client waits for a message that
//! can't come.

mod cutter;

use mainstay_testkit::Client;
use mainstay_testkit::client::{Event, Reply};
use serde_json::{Value, json};

use super::{Scene, until};
use cutter::Cutter;

const REVISIONS: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];

/// A client behind a proxy that can cut its connections.
async fn cuttable(scene: &Scene, name: &str, revision: &str, can: Value) -> (Client, Cutter) {
    let endpoint = scene.daemon.endpoint(name);
    let rest = endpoint.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let cutter = Cutter::before(host).await;
    let mut client = Client::new(&format!("http://{}/{path}", cutter.address)).unwrap();
    client.initialize(revision, &can).await.unwrap();
    (client, cutter)
}

/// Calls a tool that sends messages before it answers.
async fn call(client: &Client, id: &str, tool: &str, mut arguments: Value) -> Reply {
    arguments["of"] = json!(client.session());
    let params = json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": "t"}});
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{params}}}"#);
    let reply = client.post(body, &[]).await.unwrap();
    assert!(reply.is_stream(), "{:?}", reply.headers);
    reply
}

/// Returns the next event with a message, and stores its id.
async fn next(stream: &mut Reply, last: &mut String) -> Option<Value> {
    loop {
        let event = stream.event().await.unwrap()?;
        assert!(!event.id.is_empty(), "every event has an id: {event:?}");
        last.clone_from(&event.id);
        if !event.data.is_empty() {
            return Some(serde_json::from_str(&event.data).unwrap());
        }
    }
}

async fn all(stream: &mut Reply, last: &mut String) -> Vec<Value> {
    let mut messages = Vec::new();
    while let Some(message) = next(stream, last).await {
        messages.push(message);
    }
    messages
}

/// Returns a short description of a message.
fn gist(message: &Value) -> Value {
    match &message["method"] {
        Value::Null if message["error"].is_null() => message["result"]["structuredContent"].clone(),
        Value::Null => message["error"]["data"]["code"].clone(),
        method if method == "notifications/progress" => message["params"]["progress"].clone(),
        method if message["params"]["uri"].is_null() => method.clone(),
        _ => message["params"]["uri"].clone(),
    }
}

fn gists(messages: &[Value]) -> Vec<Value> {
    messages.iter().map(gist).collect()
}

async fn hear(stream: &mut Reply, last: &mut String) -> Value {
    gist(&next(stream, last).await.expect("the stream goes on"))
}

#[track_caller]
fn is_event_stream(reply: &Reply) {
    assert_eq!(reply.status, 200);
    assert!(reply.is_stream());
    assert_eq!(reply.header("cache-control"), Some("no-cache"));
    assert_eq!(reply.header("x-accel-buffering"), Some("no"));
}

#[tokio::test]
async fn an_answer_that_is_cut_comes_whole_however_often_it_is_cut() {
    const STEPS: usize = 12;
    let scene = Scene::start().await;
    for (name, revision) in ["near", "far", ""].into_iter().zip(REVISIONS) {
        let (client, cutter) = cuttable(&scene, name, revision, json!({})).await;
        let mut stream =
            call(&client, "\"one\"", "progress", json!({"steps": STEPS, "ms": 30})).await;
        is_event_stream(&stream);
        let (mut heard, mut last) = (Vec::new(), String::new());
        for _ in 0..4 {
            heard.push(hear(&mut stream, &mut last).await);
            cutter.cut();
            stream = client.listen(Some(&last)).await.unwrap();
            is_event_stream(&stream);
        }
        let rest = all(&mut stream, &mut last).await;
        assert_eq!(rest.last().unwrap()["id"], "one", "{revision}");
        heard.extend(gists(&rest));
        let mut expected: Vec<_> = (1..=STEPS).map(|step| json!(step)).collect();
        expected.push(rest.last().unwrap()["result"]["structuredContent"].clone());
        assert_eq!(heard, expected, "{revision}");
        assert_eq!(heard[STEPS]["echo"]["of"], json!(client.session()), "{revision}");
        // The stream is complete, and nothing else ever comes on it.
        let over = client.listen(Some(&last)).await.unwrap();
        assert_eq!(over.status, 405, "{revision}");
        assert!(!over.header("allow").unwrap().contains("GET"), "{revision}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_call_ends_while_its_client_is_away_and_the_answer_waits() {
    let scene = Scene::start().await;
    for (name, revision) in ["near", "far"].into_iter().zip(&REVISIONS[1..]) {
        let (client, cutter) = cuttable(&scene, name, revision, json!({})).await;
        let mut stream = call(&client, "7", "progress", json!({"steps": 5, "ms": 20})).await;
        let mut first = String::new();
        assert_eq!(hear(&mut stream, &mut first).await, 1);
        cutter.cut();
        until("it is answered", async || scene.in_flight().await == 0).await;
        // Events that were in transit when the connection was cut can be requested repeatedly.
        for _ in 0..3 {
            let mut last = first.clone();
            let mut stream = client.listen(Some(&first)).await.unwrap();
            let rest = all(&mut stream, &mut last).await;
            assert_eq!(gists(&rest)[..4], [2, 3, 4, 5], "{name}");
            assert_eq!((rest.len(), &rest[4]["id"]), (5, &json!(7)), "{name}");
        }
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn priming_is_for_clients_that_know_it() {
    let scene = Scene::start().await;
    for revision in REVISIONS {
        let knows = revision == "2025-11-25";
        let (client, cutter) = cuttable(&scene, "near", revision, json!({})).await;
        let primed = |event: &Event| event.data.is_empty() && !event.id.is_empty();
        let mut stream = call(&client, "1", "progress", json!({"steps": 50, "ms": 20})).await;
        let first = stream.event().await.unwrap().unwrap();
        assert_eq!(primed(&first), knows, "{revision}: {first:?}");
        assert_eq!(!first.retry.is_empty(), knows, "{revision}: {first:?}");
        if knows {
            // The connection is cut before any message. The priming event makes this resumable, and again.
            for _ in 0..2 {
                cutter.cut();
                stream = client.listen(Some(&first.id)).await.unwrap();
                assert!(primed(&stream.event().await.unwrap().unwrap()), "{revision}");
            }
            assert_eq!(hear(&mut stream, &mut String::new()).await, 1);
            let mut standing = client.listen(None).await.unwrap();
            assert!(primed(&standing.event().await.unwrap().unwrap()), "{revision}");
        }
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_standing_stream_goes_on_where_it_was_cut() {
    let scene = Scene::start().await;
    for (name, revision) in ["near", "far"].into_iter().zip(&REVISIONS[1..]) {
        let (client, cutter) = cuttable(&scene, name, revision, json!({})).await;
        let uris = ["mis://one", "mis://two", "mis://three", "mis://four"];
        for uri in uris {
            client.request("resources/subscribe", json!({"uri": uri})).await.unwrap();
        }
        let touch = async |uri: &str| {
            scene.client(name).await.call("touch", json!({"uri": uri})).await.unwrap();
        };
        let mut last = String::new();
        let mut stream = client.listen(None).await.unwrap();
        for uri in &uris[..2] {
            touch(uri).await;
            assert_eq!(hear(&mut stream, &mut last).await, *uri, "{name}");
        }
        cutter.cut();
        touch("mis://three").await;
        let mut stream = client.listen(Some(&last)).await.unwrap();
        is_event_stream(&stream);
        touch("mis://four").await;
        for uri in &uris[2..] {
            assert_eq!(hear(&mut stream, &mut last).await, *uri, "{name}");
        }
        // Events that were lost with the connection are repeated for a client that asks.
        let before: Vec<_> = last.split('.').collect();
        let number: u64 = before[1].parse().unwrap();
        let mut stream =
            client.listen(Some(&format!("{}.{}", before[0], number - 3))).await.unwrap();
        for uri in &uris[1..] {
            assert_eq!(hear(&mut stream, &mut last).await, *uri, "{name}");
        }
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn whoever_comes_back_reads_instead_of_a_connection_nobody_knows_is_dead() {
    let scene = Scene::start().await;
    let (client, cutter) = cuttable(&scene, "near", "2025-11-25", json!({})).await;
    let mut last = String::new();
    client.request("resources/subscribe", json!({"uri": "mis://one"})).await.unwrap();
    let mut standing = client.listen(None).await.unwrap();
    last.clone_from(&standing.event().await.unwrap().unwrap().id);
    let mut stream = call(&client, "1", "progress", json!({"steps": 20, "ms": 20})).await;
    let mut of_call = String::new();
    assert_eq!(hear(&mut stream, &mut of_call).await, 1);
    cutter.silence();
    scene.client("near").await.call("touch", json!({"uri": "mis://one"})).await.unwrap();
    let mut standing = client.listen(Some(&last)).await.unwrap();
    assert_eq!(hear(&mut standing, &mut last).await, "mis://one");
    let mut stream = client.listen(Some(&of_call)).await.unwrap();
    let rest = all(&mut stream, &mut of_call).await;
    assert_eq!(rest.len(), 20, "nineteen steps and the answer: {rest:?}");
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_question_waits_for_a_client_that_is_back_at_once() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let can = json!({"elicitation": {}});
        let (client, cutter) = cuttable(&scene, name, "2025-11-25", can).await;
        let mut stream = call(&client, "1", "ask_user", json!({})).await;
        let mut last = stream.event().await.unwrap().unwrap().id;
        // The question was sent and did not arrive.
        cutter.cut();
        let mut stream = client.listen(Some(&last)).await.unwrap();
        let question = next(&mut stream, &mut last).await.unwrap();
        assert_eq!(question["method"], "elicitation/create", "{name}");
        cutter.cut();
        client.respond(&question["id"], json!({"action": "accept"})).await.unwrap();
        let mut stream = client.listen(Some(&last)).await.unwrap();
        let answer = hear(&mut stream, &mut last).await;
        assert_eq!(answer["answer"]["action"], "accept", "{name}: {answer}");
    }
    scene.undisturbed().await;
}

/// Event ids of streams that have ended, belong to others, or never existed.
#[tokio::test]
async fn an_id_that_leads_nowhere_leaves_nobody_waiting() {
    let scene = Scene::start().await;
    let one = scene.client("near").await;
    let mut of_call = String::new();
    let mut stream = call(&one, "\"mine\"", "progress", json!({"steps": 2, "ms": 1})).await;
    hear(&mut stream, &mut of_call).await;
    let mut standing = one.listen(None).await.unwrap();
    let of_standing = standing.event().await.unwrap().unwrap().id;
    for revision in REVISIONS {
        let mut other = scene.stranger("near");
        other.initialize(revision, &json!({})).await.unwrap();
        // Also the id of another session's call opens an ordinary stream: it is no call of this client.
        other.request("resources/subscribe", json!({"uri": "mis://one"})).await.unwrap();
        for id in
            [of_call.as_str(), of_standing.as_str(), "nonsense", "g0.0", "p1.2.%%", "\u{e9}", "7"]
        {
            let mut stream = other.listen(Some(id)).await.unwrap();
            is_event_stream(&stream);
            one.call("touch", json!({"uri": "mis://one"})).await.unwrap();
            assert_eq!(hear(&mut stream, &mut String::new()).await, "mis://one", "{id}");
        }
    }
    scene.undisturbed().await;
}

/// A client that was disconnected because it does not read can return for the rest.
#[tokio::test]
async fn a_slow_reader_is_given_up_and_can_come_back() {
    const MESSAGES: usize = 40_000;
    let scene = Scene::with("receive_timeout = \"1s\"\n", &[]).await;
    let client = scene.client("near").await;
    let mut stream = call(&client, "1", "flood", json!({"count": MESSAGES})).await;
    let mut last = String::new();
    next(&mut stream, &mut last).await.unwrap();
    // The call is answered while the client does not read, with more than all buffers in between can take.
    let open = steady(&scene, "mainstay_connections_open").await;
    until("it is answered", async || scene.in_flight().await == 0).await;
    until("it is given up", async || scene.metric("mainstay_connections_open").await < open).await;
    let mut count = 1;
    while let Ok(event) = stream.event().await {
        let event = event.expect("the stream is cut off, and does not end");
        count += usize::from(!event.data.is_empty());
        last.clone_from(&event.id);
    }
    let mut stream = client.listen(Some(&last)).await.unwrap();
    let rest = all(&mut stream, &mut last).await;
    let answer = rest.last().expect("the answer was kept");
    assert_eq!(answer["result"]["structuredContent"]["echo"]["count"], MESSAGES);
    assert!(rest.len() > 1 && count + rest.len() < MESSAGES, "{count}, then {}", rest.len());
    scene.undisturbed().await;
}

/// Returns a number once it stops changing, because reading it also opens connections.
async fn steady(scene: &Scene, series: &str) -> u64 {
    let (mut last, mut same) = (0, 0);
    until("it stays the same", async || {
        let now = scene.metric(series).await;
        same = if now == last { same + 1 } else { 0 };
        last = now;
        same >= 4
    })
    .await;
    last
}
