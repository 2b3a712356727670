//! Questions of servers, which go to the client of the call, if it declared that it can be asked.

use mainstay_testkit::Client;
use mainstay_testkit::client::Exchange;
use serde_json::{Value, json};

use super::{Scene, call, until};

/// Each tool that asks, the capability that it requires, and the question.
const ASKING: [(&str, &str, &str); 3] = [
    ("ask_user", "elicitation", "elicitation/create"),
    ("ask_model", "sampling", "sampling/createMessage"),
    ("ask_roots", "roots", "roots/list"),
];

async fn asking(client: &Client, tool: &str) -> Exchange {
    let params = json!({"name": tool, "arguments": {"of": client.session()}});
    client.send("tools/call", params).await.unwrap()
}

async fn next(exchange: &mut Exchange) -> Value {
    exchange.next().await.unwrap().expect("the exchange goes on")
}

/// Returns the client's answer as the server received it, from the answer of a tool that asked.
#[track_caller]
fn heard(client: &Client, answer: &Value) -> Value {
    let structure = &answer["result"]["structuredContent"];
    assert_eq!(structure["echo"]["of"], json!(client.session()), "{answer}");
    structure["answer"].clone()
}

#[tokio::test]
async fn a_question_comes_in_its_call_and_the_answer_goes_back() {
    let scene = Scene::start().await;
    for name in ["near", "far", ""] {
        for revision in ["2025-06-18", "2025-11-25"] {
            for (tool, capability, method) in ASKING {
                let client = scene.able(name, revision, json!({capability: {}})).await;
                let mut exchange = asking(&client, tool).await;
                let question = next(&mut exchange).await;
                assert_eq!(question["method"], method, "{name}");
                let said = json!({"said": client.session(), "n": [1, {"a": null}]});
                client.respond(&question["id"], said.clone()).await.unwrap();
                assert_eq!(heard(&client, &next(&mut exchange).await), said, "{name} {tool}");
                // A question is answered only once.
                client.respond(&question["id"], json!({"late": true})).await.unwrap();
                client.delete().await.unwrap();
            }
        }
    }
    assert_eq!(scene.count("far", "answers to nothing").await, 0);
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_client_that_did_not_say_so_is_never_asked() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        for (tool, capability, _) in ASKING {
            let others: serde_json::Map<_, _> = ASKING
                .iter()
                .filter(|(_, other, _)| *other != capability)
                .map(|(_, other, _)| ((*other).to_owned(), json!({})))
                .collect();
            for capabilities in [json!({}), Value::Object(others)] {
                let client = scene.able(name, "2025-11-25", capabilities).await;
                let _open = client.listen(None).await.unwrap();
                let (before, answer) = asking(&client, tool).await.all().await.unwrap();
                assert!(before.is_empty(), "{name} {tool}: {before:?}");
                assert_eq!(heard(&client, &answer)["code"], -32601, "{name} {tool}: {answer}");
            }
        }
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn two_clients_are_asked_at_once_and_neither_hears_the_other() {
    let scene = Scene::start().await;
    for name in ["near", "far", ""] {
        for (tool, capability, _) in ASKING {
            let one = scene.able(name, "2025-11-25", json!({capability: {}})).await;
            let two = scene.able(name, "2025-11-25", json!({capability: {}})).await;
            let bystander = scene.client(name).await;
            let _open = bystander.listen(None).await.unwrap();
            let (mut first, mut second) = (asking(&one, tool).await, asking(&two, tool).await);
            let (of_one, of_two) = (next(&mut first).await, next(&mut second).await);
            // While users think, other clients and the server's other calls are served.
            bystander.call("echo", json!({})).await.unwrap();
            scene.undisturbed().await;
            // Strangers can't answer for the client, whatever id they try.
            for id in [&of_one["id"], &of_two["id"], &json!(0), &json!("1")] {
                bystander.respond(id, json!({"said": "stranger"})).await.unwrap();
            }
            two.respond(&of_two["id"], json!({"said": "two"})).await.unwrap();
            assert_eq!(heard(&two, &next(&mut second).await)["said"], "two", "{name} {tool}");
            one.respond(&of_one["id"], json!({"said": "one"})).await.unwrap();
            assert_eq!(heard(&one, &next(&mut first).await)["said"], "one", "{name} {tool}");
        }
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn one_call_may_ask_twice_at_once() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let client = scene.able(name, "2025-11-25", json!({"roots": {"listChanged": true}})).await;
        let mut exchange = asking(&client, "ask_twice_at_once").await;
        let (first, second) = (next(&mut exchange).await, next(&mut exchange).await);
        assert_ne!(first["id"], second["id"]);
        client.respond(&second["id"], json!({"roots": ["second"]})).await.unwrap();
        client.respond(&first["id"], json!({"roots": ["first"]})).await.unwrap();
        let answer = next(&mut exchange).await;
        let answers = &answer["result"]["structuredContent"]["answer"];
        assert_eq!(*answers, json!([{"roots": ["first"]}, {"roots": ["second"]}]), "{name}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_refusal_of_the_client_reaches_the_server() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let client = scene.able(name, "2025-11-25", json!({"sampling": {}})).await;
        let mut exchange = asking(&client, "ask_model").await;
        let question = next(&mut exchange).await;
        let error = json!({"code": -1, "message": "the user said no", "data": {"x": 1}});
        let body = json!({"jsonrpc": "2.0", "id": question["id"], "error": error});
        assert_eq!(client.post(body.to_string(), &[]).await.unwrap().status, 202);
        assert_eq!(heard(&client, &next(&mut exchange).await), error, "{name}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn pings_are_answered_here() {
    let scene = Scene::with("", &["--ping"]).await;
    for name in ["near", "far"] {
        let client = scene.client(name).await;
        let (before, answer) = asking(&client, "ask_ping").await.all().await.unwrap();
        assert!(before.is_empty(), "{name}: {before:?}");
        assert_eq!(heard(&client, &answer), json!({}), "{name}");
        scene.seen(name, "pongs", 1).await;
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_question_ends_with_its_call() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let client = scene.able(name, "2025-11-25", json!({"elicitation": {}})).await;
        let mut exchange = asking(&client, "ask_user").await;
        let question = next(&mut exchange).await;
        client.notify("notifications/cancelled", json!({"requestId": exchange.id})).await.unwrap();
        assert_eq!(exchange.next().await.unwrap(), None, "{name}");
        // The answer is too late and is dropped silently.
        client.respond(&question["id"], json!({"said": "late"})).await.unwrap();
        let mut again = asking(&client, "ask_user").await;
        let question = next(&mut again).await;
        client.respond(&question["id"], json!({"said": "now"})).await.unwrap();
        assert_eq!(heard(&client, &next(&mut again).await)["said"], "now", "{name}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_client_that_went_away_keeps_no_question_waiting() {
    // The tools wait before they ask, equally long in each run.
    let scene = Scene::with("", &["--delay=400", "--seed=2"]).await;
    for name in ["near", "far"] {
        let client = scene.able(name, "2025-11-25", json!({"elicitation": {}})).await;
        let mut connection = client.raw().await.unwrap();
        let body = call("1", "ask_user", &json!({}));
        let length = body.len().to_string();
        let own = [("content-type", "application/json"), ("content-length", length.as_str())];
        connection.send((client.head("POST", &own, &[]) + &body).as_bytes()).await.unwrap();
        until("it is under way", async || scene.in_flight().await == 1).await;
        drop(connection);
        until("nothing waits", async || scene.in_flight().await == 0).await;
        // A client that returns is asked as before.
        let mut exchange = asking(&client, "ask_user").await;
        let question = next(&mut exchange).await;
        client.respond(&question["id"], json!({"said": "here"})).await.unwrap();
        assert_eq!(heard(&client, &next(&mut exchange).await)["said"], "here", "{name}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_question_outside_of_calls_ends_soon_after_its_stream() {
    let scene = Scene::start().await;
    let held = async || scene.metric("mainstay_memory_used_bytes{kind=\"questions\"}").await;
    let client = scene.able("near", "2025-11-25", json!({"roots": {}})).await;
    let mut stream = client.listen(None).await.unwrap();
    let mut exchange = client
        .send("tools/call", json!({"name": "ask_roots", "arguments": {"late": true}}))
        .await
        .unwrap();
    exchange.answer().await.unwrap();
    let question = stream.message().await.unwrap().unwrap();
    assert_eq!(question["method"], "roots/list", "{question}");
    assert!(held().await > 0);
    drop(stream);
    // Nobody may ever ask this client again.
    until("it is refused", async || held().await == 0).await;
    scene.undisturbed().await;
}

/// Refused questions are counted by the bound that refused them.
async fn refused(scene: &Scene, server: &str) -> u64 {
    let mut all = 0;
    for reason in ["call_limit", "session_limit", "bytes_limit", "slow_client"] {
        let labels = format!("server=\"{server}\",reason=\"{reason}\"");
        all += scene.metric(&format!("mainstay_questions_refused_total{{{labels}}}")).await;
    }
    all
}

#[tokio::test]
async fn a_flood_of_questions_costs_a_bounded_amount_and_ends_with_its_call() {
    const QUESTIONS: usize = 20_000;
    let limits = "call_timeout = \"3s\"\ncall_timeout_max = \"4s\"";
    for name in ["near", "far"] {
        let scene = Scene::with(limits, &[]).await;
        let client = scene.able(name, "2025-11-25", json!({"elicitation": {}})).await;
        let before = scene.memory().await;
        let arguments = json!({"count": QUESTIONS, "bytes": 4096});
        let mut unread = client.post(call("1", "ask_flood", &arguments), &[]).await.unwrap();
        scene.undisturbed().await;
        let mut most = 0;
        until("the call ends", async || {
            most = most.max(scene.memory().await);
            scene.in_flight().await == 0
        })
        .await;
        assert!(most < before + (32 << 20), "{name}: {before} bytes became {most}");
        assert!(refused(&scene, name).await > 0, "{name}");
        let mut asked = 0;
        let answer = loop {
            let message = unread.message().await.unwrap().expect("the answer is to come");
            if message["id"] == 1 {
                break message;
            }
            asked += usize::from(message["method"] == "elicitation/create");
        };
        assert_eq!(asked, 16, "{name}: as many as may wait");
        assert_eq!(answer["error"]["data"]["code"], "DEADLINE_EXCEEDED", "{name}: {answer}");
        scene.undisturbed().await;
    }
}

#[tokio::test]
async fn a_server_is_told_at_once_what_is_not_asked() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let client = scene.able(name, "2025-11-25", json!({"elicitation": {}})).await;
        let params = json!({"name": "ask_flood", "arguments": {"count": 20}});
        let mut exchange = client.send("tools/call", params).await.unwrap();
        let mut ids = Vec::new();
        for _ in 0..16 {
            ids.push(next(&mut exchange).await["id"].clone());
        }
        until("the rest is refused", async || refused(&scene, name).await == 4).await;
        // The first answered question makes room for one more, and so on.
        for id in &ids {
            client.respond(id, json!({"said": "yes"})).await.unwrap();
        }
        let answer = exchange.answer().await.unwrap();
        assert!(answer["result"].is_object(), "{name}: {answer}");
        // Each call starts with an empty count.
        let mut exchange = asking(&client, "ask_user").await;
        let question = next(&mut exchange).await;
        client.respond(&question["id"], json!({"said": "here"})).await.unwrap();
        assert_eq!(heard(&client, &next(&mut exchange).await)["said"], "here", "{name}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn the_time_of_people_is_not_the_servers() {
    let limits = "call_timeout = \"2s\"\ncall_timeout_max = \"60s\"";
    let scene = Scene::with(limits, &[]).await;
    for name in ["near", "far"] {
        let client = scene.able(name, "2025-11-25", json!({"elicitation": {}})).await;
        let mut exchange = asking(&client, "ask_user").await;
        let question = next(&mut exchange).await;
        // Longer than a call may take.
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        client.respond(&question["id"], json!({"said": "slowly"})).await.unwrap();
        assert_eq!(heard(&client, &next(&mut exchange).await)["said"], "slowly", "{name}");
        // After its answer, the call continues with the server's remaining time.
        let params = json!({"name": "ask_user", "arguments": {"then_hang": true}});
        let mut exchange = client.send("tools/call", params).await.unwrap();
        let question = next(&mut exchange).await;
        client.respond(&question["id"], json!({"said": "at once"})).await.unwrap();
        let soon = std::time::Duration::from_secs(30);
        let answer = tokio::time::timeout(soon, exchange.answer()).await.expect(name).unwrap();
        assert_eq!(answer["error"]["data"]["code"], "DEADLINE_EXCEEDED", "{name}: {answer}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_question_that_is_taken_back_is_so_under_the_clients_id() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let able = json!({"elicitation": {}, "roots": {}});
        let client = scene.able(name, "2025-11-25", able).await;
        let mut exchange = asking(&client, "ask_and_take_back").await;
        let question = next(&mut exchange).await;
        let taken_back = next(&mut exchange).await;
        assert_eq!(taken_back["method"], "notifications/cancelled", "{name}: {taken_back}");
        assert_eq!(taken_back["params"]["requestId"], question["id"], "{name}");
        let roots = next(&mut exchange).await;
        client.respond(&question["id"], json!({"said": "too late"})).await.unwrap();
        client.respond(&roots["id"], json!({"roots": []})).await.unwrap();
        assert_eq!(heard(&client, &next(&mut exchange).await)["roots"], json!([]), "{name}");
        assert_eq!(scene.count(name, "answers to nothing").await, 0, "{name}");
    }
    scene.undisturbed().await;
}
