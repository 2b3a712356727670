//! Messages of servers outside of calls: which clients receive them, and what is counted if none does.

use std::time::Duration;

use mainstay_testkit::Client;
use mainstay_testkit::client::Reply;
use serde_json::{Value, json};

use crate::scene::{Scene, until};

/// Longer than any call of these tests takes.
const LONG: Duration = Duration::from_secs(30);

async fn next(stream: &mut Reply) -> Value {
    stream.message().await.unwrap().expect("the stream goes on")
}

/// Makes the server send a message outside of calls. No other call may run until it arrives, because the
/// gateway assigns messages during a call to that call's client.
async fn say(client: &Client, messages: &[(&str, Value)]) {
    let messages =
        messages.iter().map(|(method, params)| json!({"method": method, "params": params}));
    let messages: Vec<_> = messages.collect();
    client.call("chatter", json!({"messages": messages})).await.unwrap();
}

/// A method that is not a log message.
fn numbered(number: u64) -> (&'static str, Value) {
    ("notifications/misbehave/chatter", json!({"number": number}))
}

fn logged(level: &str) -> (&'static str, Value) {
    ("notifications/message", json!({"level": level, "data": level}))
}

/// Returns the number in the next message that is not a log message.
async fn number(stream: &mut Reply) -> Value {
    next(stream).await["params"]["number"].clone()
}

#[tokio::test]
async fn what_a_server_says_is_heard_wherever_it_is_and_nowhere_else() {
    let scene = Scene::start(LONG).await;
    let (a, b) = (scene.pool("a", &[]), scene.pool("b", &[]));
    scene.install(&[&a, &b], &[]);
    let (of_a, of_b) = (scene.client("/mcp/a").await, scene.client("/mcp/b").await);
    say(&of_a, &[numbered(0)]).await;
    until("it is counted that nobody hears it", async || scene.unheard("a") == 1).await;
    let all = scene.client("/mcp").await;
    let mut hears_a = of_a.listen(None).await.unwrap();
    let mut hears_b = of_b.listen(None).await.unwrap();
    let mut hears_all = all.listen(None).await.unwrap();
    say(&of_a, &[numbered(1)]).await;
    assert_eq!((number(&mut hears_a).await, number(&mut hears_all).await), (json!(1), json!(1)));
    say(&of_b, &[numbered(2)]).await;
    assert_eq!((number(&mut hears_b).await, number(&mut hears_all).await), (json!(2), json!(2)));
    assert_eq!((scene.unheard("a"), scene.unheard("b")), (1, 0));
    scene.end().await;
}

#[tokio::test]
async fn what_one_misses_whose_stream_broke_off_is_counted_and_others_hear_it() {
    let scene = Scene::start(LONG).await;
    let a = scene.pool("a", &[]);
    scene.install(&[&a], &[]);
    let old = async || scene.client_of("/mcp/a", "2024-11-05", &json!({})).await;
    let (stays, leaves, talks) = (scene.client("/mcp/a").await, old().await, old().await);
    let mut hears = stays.listen(None).await.unwrap();
    let mut broken = leaves.listen(None).await.unwrap();
    say(&talks, &[numbered(1)]).await;
    assert_eq!((number(&mut hears).await, number(&mut broken).await), (json!(1), json!(1)));
    assert_eq!(scene.unheard("a"), 0);
    drop(broken);
    // When it is noticed that nobody reads any more is up to the connection.
    let mut said = 1;
    until("what it misses is counted", async || {
        said += 1;
        say(&talks, &[numbered(said)]).await;
        assert_eq!(number(&mut hears).await, json!(said));
        scene.unheard("a") > 0
    })
    .await;
    scene.end().await;
}

#[tokio::test]
async fn lines_of_a_log_are_for_those_who_asked_for_such_and_cost_nothing_else() {
    let scene = Scene::start(LONG).await;
    let a = scene.pool("a", &[]);
    scene.install(&[&a], &[]);
    let (never, loud, quiet) =
        (scene.client("/mcp/a").await, scene.client("/mcp/a").await, scene.client("/mcp/a").await);
    // Nobody hears these, and only what is in no log is counted.
    say(&never, &[logged("error"), numbered(0)]).await;
    until("it is counted", async || scene.unheard("a") > 0).await;
    let mut streams = Vec::new();
    for client in [&never, &loud, &quiet] {
        streams.push(client.listen(None).await.unwrap());
    }
    for (client, level) in [(&loud, "info"), (&quiet, "error")] {
        client.request("logging/setLevel", json!({"level": level})).await.unwrap();
    }
    let said = [logged("debug"), logged("info"), logged("error"), numbered(1)];
    say(&never, &said).await;
    for (stream, wanted) in
        streams.iter_mut().zip([&[][..], &["info", "error"][..], &["error"][..]])
    {
        for level in wanted {
            assert_eq!(next(stream).await["params"]["level"], *level);
        }
        assert_eq!(number(stream).await, json!(1), "{wanted:?}");
    }
    assert_eq!(scene.unheard("a"), 1);
    scene.end().await;
}

#[tokio::test]
async fn a_question_outside_of_calls_goes_to_the_client_that_has_the_instance_if_it_listens() {
    let scene = Scene::start(LONG).await;
    let a = scene.pool("a", &[]);
    scene.install(&[&a], &[]);
    let client = scene.client_of("/mcp/a", "2025-11-25", &json!({"roots": {}})).await;
    let beside = scene.client_of("/mcp/a", "2025-11-25", &json!({"roots": {}})).await;
    let mut others = beside.listen(None).await.unwrap();
    let late = json!({"late": true});
    let asked = |method, refused| json!({"method": method, "refused": refused});
    client.call("ask_roots", late.clone()).await.unwrap();
    until("it is refused, which nobody hears either", async || scene.unheard("a") == 1).await;
    let mut stream = client.listen(None).await.unwrap();
    client.call("ask_roots", late.clone()).await.unwrap();
    let question = next(&mut stream).await;
    assert_eq!(question["method"], "roots/list");
    client.respond(&question["id"], json!({"roots": []})).await.unwrap();
    assert_eq!(next(&mut stream).await["params"], asked("roots/list", false));
    // What the client can't do it is not asked.
    client.call("ask_user", late).await.unwrap();
    assert_eq!(next(&mut stream).await["params"], asked("elicitation/create", true));
    // Who only listens there was not asked.
    say(&beside, &[numbered(1)]).await;
    assert_eq!(number(&mut others).await, json!(1));
    scene.end().await;
}

#[tokio::test]
async fn what_is_said_by_and_to_an_instance_concerns_the_session_that_has_it() {
    let scene = Scene::start(LONG).await;
    let a = scene.pool("a", &[]);
    scene.install(&[&a], &[]);
    let plain = scene.client("/mcp/a").await;
    let with_roots = async || scene.client_of("/mcp/a", "2025-11-25", &json!({"roots": {}})).await;
    let (one, other) = (with_roots().await, with_roots().await);
    let mut streams = Vec::new();
    for client in [&plain, &one, &other] {
        streams.push(client.listen(None).await.unwrap());
    }
    // Both have an instance at the same time: each has its own from then on.
    let ask = async |client: &Client| {
        let params = json!({"name": "ask_roots", "arguments": {}});
        let mut exchange = client.send("tools/call", params).await.unwrap();
        let question = exchange.next().await.unwrap().unwrap();
        (exchange, question["id"].clone())
    };
    let asked = [(&one, ask(&one).await), (&other, ask(&other).await)];
    for (client, (mut exchange, id)) in asked {
        client.respond(&id, json!({"roots": []})).await.unwrap();
        assert!(exchange.answer().await.unwrap()["error"].is_null());
    }
    for (said, (client, stream)) in (1..).zip([&plain, &one, &other].into_iter().zip(&mut streams))
    {
        say(client, &[numbered(said)]).await;
        assert_eq!(number(stream).await, json!(said), "and nothing of the others");
    }
    let told = "notifications/roots/list_changed";
    one.notify(told, json!({})).await.unwrap();
    let told_to = async |client: &Client| {
        let stats = client.call("stats", json!({})).await.unwrap();
        stats["structuredContent"]["counts"][told].clone()
    };
    // The server handles messages at the same time, so its counts may be older than the notification.
    until("the notification is counted", async || told_to(&one).await == json!(1)).await;
    assert_eq!((told_to(&other).await, told_to(&plain).await), (Value::Null, Value::Null));
    scene.end().await;
}

#[tokio::test]
async fn a_list_that_depends_on_the_client_is_that_of_its_own_kind() {
    let scene = Scene::start(LONG).await;
    let a = scene.pool("a", &["--more-for-asked"]);
    scene.install(&[&a], &[]);
    let asked = scene.client_of("/mcp/a", "2025-11-25", &json!({"elicitation": {}})).await;
    let tools = async |client: &Client| {
        client.request("tools/list", json!({})).await.unwrap()["tools"].to_string()
    };
    assert!(tools(&asked).await.contains("added_0"));
    assert!(!tools(&scene.client("/mcp/a").await).await.contains("added_0"));
    scene.end().await;
}

#[tokio::test]
async fn a_question_outside_of_calls_is_taken_back_under_the_number_that_its_client_knows() {
    let scene = Scene::start(LONG).await;
    let a = scene.pool("a", &[]);
    scene.install(&[&a], &[]);
    let can = json!({"roots": {}, "elicitation": {}});
    let client = scene.client_of("/mcp/a", "2025-11-25", &can).await;
    let mut stream = client.listen(None).await.unwrap();
    client.call("ask_and_take_back", json!({"late": true, "ms": 1})).await.unwrap();
    let question = next(&mut stream).await;
    assert_eq!(question["method"], "elicitation/create");
    let taken_back = next(&mut stream).await;
    assert_eq!(taken_back["method"], "notifications/cancelled");
    assert_eq!(taken_back["params"]["requestId"], question["id"]);
    assert_eq!(next(&mut stream).await["method"], "roots/list");
    // One that was never asked is nothing to anybody.
    let stray = ("notifications/cancelled", json!({"requestId": "own id"}));
    say(&client, &[stray, numbered(1)]).await;
    assert_eq!(number(&mut stream).await, json!(1));
    scene.end().await;
}
