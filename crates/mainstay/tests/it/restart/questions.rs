//! Questions that were open when the daemon ended.

use mainstay_testkit::Client;
use mainstay_testkit::client::Exchange;
use serde_json::{Value, json};

use super::{End, Scene};

async fn asked(client: &Client) -> (Exchange, Value) {
    let mut exchange = client.send("tools/call", json!({"name": "ask_user"})).await.unwrap();
    let question = exchange.next().await.unwrap().expect("it is asked");
    assert_eq!(question["method"], "elicitation/create", "{question}");
    (exchange, question["id"].clone())
}

/// A client does not notice the new daemon and answers the old question.
#[tokio::test]
async fn a_late_answer_reaches_nobody_and_the_question_after_it_gets_its_own() {
    let mut scene = Scene::start().await;
    for name in ["near", "far"] {
        let mut client = Client::new(&scene.daemon().endpoint(name)).unwrap();
        client.initialize("2025-11-25", &json!({"elicitation": {}})).await.unwrap();
        let mut late = Vec::new();
        for round in 0..3 {
            let again = scene.again(name, &client);
            let (mut exchange, question) = asked(&again).await;
            assert!(question.as_u64().is_some_and(|id| id < 1 << 31), "{question}");
            for old in &late {
                assert_ne!(*old, question, "{name}");
                again.respond(old, json!({"said": "late"})).await.unwrap();
            }
            if round == 2 {
                again.respond(&question, json!({"said": "now"})).await.unwrap();
                let answer = exchange.answer().await.unwrap();
                let said = &answer["result"]["structuredContent"]["answer"]["said"];
                assert_eq!(said, "now", "{name}: {answer}");
            } else {
                late.push(question);
                scene.restart(End::Kill).await;
            }
        }
    }
    assert_eq!(scene.far_count("answers to nothing").await, 0);
}

/// An answer counts even if the client writes its numeric id differently.
#[tokio::test]
async fn an_answer_is_known_by_its_number_however_it_is_written() {
    let scene = Scene::start().await;
    let mut client = Client::new(&scene.daemon().endpoint("near")).unwrap();
    client.initialize("2025-11-25", &json!({"elicitation": {}})).await.unwrap();
    for spelling in ["\"{}\"", "{}.0", "{}e0"] {
        let (mut exchange, question) = asked(&client).await;
        let id = spelling.replace("{}", &question.to_string());
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"said":"yes"}}}}"#);
        assert_eq!(client.post(body, &[]).await.unwrap().status, 202, "{id}");
        let answer = exchange.answer().await.unwrap();
        assert_eq!(answer["result"]["structuredContent"]["answer"]["said"], "yes", "{id}");
    }
}
