//! Sessions of an earlier daemon, with a store that answers late, with an error, or never.

use std::time::Duration;

use futures_util::future::join_all;
use mainstay_testkit::{Client, MemoryStore};
use serde_json::{Value, json};

use crate::scene::{Scene, until};

const LONG: Duration = Duration::from_secs(30);
const PING: &str = r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#;

/// Starts a daemon with one server.
async fn begin(store: &MemoryStore) -> Scene {
    let scene = Scene::with_store(LONG, store).await;
    scene.install(&[&scene.pool("a", &[])], &[]);
    scene
}

fn again(scene: &Scene, session: &str) -> Client {
    let mut client = scene.stranger("/mcp/a");
    client.set_session(Some(session));
    client
}

/// Returns the id of a session of a daemon that has ended.
async fn earlier(store: &MemoryStore) -> String {
    let scene = begin(store).await;
    let session = scene.client("/mcp/a").await.session().unwrap().to_owned();
    scene.end().await;
    session
}

async fn ping(client: &Client) -> (u16, Value) {
    let mut reply = client.post(PING, &[]).await.unwrap();
    (reply.status, reply.json().await.unwrap())
}

#[tokio::test]
async fn requests_that_come_at_once_restore_a_session_once() {
    let store = MemoryStore::default();
    let session = earlier(&store).await;
    let scene = begin(&store).await;
    store.hang(true);
    let clients: Vec<_> = (0..16).map(|_| again(&scene, &session)).collect();
    let pings = tokio::spawn(async move { join_all(clients.iter().map(ping)).await });
    store.hang(false);
    for (status, answer) in pings.await.unwrap() {
        assert_eq!((status, &answer["result"]), (200, &json!({})), "{answer}");
    }
    assert_eq!(scene.metric("mainstay_sessions_restored_total"), 1);
    assert_eq!(scene.gateway.sessions_active(), 1);
    scene.end().await;
}

#[tokio::test]
async fn a_session_is_not_lost_because_the_store_can_not_be_read() {
    let store = MemoryStore::default();
    let session = earlier(&store).await;
    let scene = begin(&store).await;
    let client = again(&scene, &session);
    store.hang(true);
    let (status, answer) = ping(&client).await;
    assert_eq!((status, &answer["error"]["code"]), (200, &json!(1008)), "{answer}");
    assert_eq!(answer["error"]["data"]["retry_after_ms"], 2000, "{answer}");
    store.hang(false);
    store.fail(Some("the service is away"));
    let (_, answer) = ping(&client).await;
    let said = answer["error"]["message"].as_str().unwrap();
    assert!(said.contains("the service is away"), "{answer}");
    // A request without an answer of its own gets a status.
    let listen = client.listen(None).await.unwrap();
    assert_eq!((listen.status, listen.header("retry-after")), (503, Some("2")));
    assert_eq!(scene.metric("mainstay_refused_total{reason=\"store\"}"), 3);
    store.fail(None);
    assert_eq!(ping(&client).await.1["result"], json!({}));
    scene.end().await;
}

#[tokio::test]
async fn a_request_that_is_given_up_gives_the_place_to_the_next() {
    let store = MemoryStore::default();
    let session = earlier(&store).await;
    let scene = begin(&store).await;
    store.hang(true);
    let first = again(&scene, &session);
    let given_up = tokio::spawn(async move { ping(&first).await });
    until("somebody asks", async || store.waiting() > 0).await;
    given_up.abort();
    store.hang(false);
    assert_eq!(ping(&again(&scene, &session)).await.1["result"], json!({}));
    scene.end().await;
}

#[tokio::test]
async fn what_was_ended_stays_ended() {
    let store = MemoryStore::default();
    let session = earlier(&store).await;
    let scene = begin(&store).await;
    let client = again(&scene, &session);
    assert_eq!(client.delete().await.unwrap().status, 200);
    let clients: Vec<_> = (0..4).map(|_| again(&scene, &session)).collect();
    for (status, answer) in join_all(clients.iter().map(ping)).await {
        assert_eq!((status, &answer["error"]["code"]), (404, &json!(-32001)), "{answer}");
    }
    scene.end().await;
    store.crash();
    let scene = begin(&store).await;
    assert_eq!(ping(&again(&scene, &session)).await.0, 404);
    scene.end().await;
}
