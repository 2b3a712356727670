//! Listens are acknowledged first, notified of what they asked for only, and ended in order.

use std::time::{Duration, Instant};

use mainstay_testkit::client::Reply;
use serde_json::{Value, json};

use super::Scene;

const ID: &str = "io.modelcontextprotocol/subscriptionId";

async fn listen(scene: &Scene, name: &str, wanted: Value) -> (Reply, Value) {
    let request = scene.request(name, "subscriptions/listen", json!({"notifications": wanted}));
    let mut reply = request.send().await;
    assert!(reply.is_stream(), "{}", reply.status);
    let first = reply.message().await.unwrap().expect("an acknowledgement");
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
    assert_eq!(first["params"]["_meta"][ID], "q", "{first}");
    (reply, first["params"]["notifications"].clone())
}

async fn next(reply: &mut Reply) -> Value {
    reply.message().await.unwrap().expect("the stream goes on")
}

#[tokio::test]
async fn changes_come_to_whoever_asked_for_them() {
    let scene = Scene::start().await;
    for name in ["near", "far", ""] {
        let uri = "test://watched";
        let (mut all, honoured) =
            listen(&scene, name, json!({"toolsListChanged": true, "resourceSubscriptions": [uri]}))
                .await;
        assert_eq!(honoured["toolsListChanged"], true, "{name}: {honoured}");
        let (mut tools, honoured) = listen(&scene, name, json!({"toolsListChanged": true})).await;
        assert_eq!(honoured, json!({"toolsListChanged": true}), "{name}");
        scene.call(name, "change", json!({})).await;
        for reply in [&mut all, &mut tools] {
            let told = next(reply).await;
            assert_eq!(told["method"], "notifications/tools/list_changed", "{name}: {told}");
            assert_eq!(told["params"]["_meta"][ID], "q", "{name}: {told}");
        }
    }
}

#[tokio::test]
async fn updates_of_a_resource_come_to_its_listener_only() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let (mut one, honoured) =
            listen(&scene, name, json!({"resourceSubscriptions": ["test://one"]})).await;
        assert_eq!(honoured, json!({"resourceSubscriptions": ["test://one"]}), "{name}");
        let (mut two, _) =
            listen(&scene, name, json!({"resourceSubscriptions": ["test://two"]})).await;
        scene.call(name, "touch", json!({"uri": "test://two"})).await;
        scene.call(name, "touch", json!({"uri": "test://one"})).await;
        for (reply, uri) in [(&mut one, "test://one"), (&mut two, "test://two")] {
            let told = next(reply).await;
            assert_eq!(told["method"], "notifications/resources/updated", "{name}: {told}");
            assert_eq!(
                (&told["params"]["uri"], &told["params"]["_meta"][ID]),
                (&json!(uri), &json!("q"))
            );
        }
    }
}

#[tokio::test]
async fn a_filter_of_the_wrong_shape_is_refused() {
    let scene = Scene::start().await;
    for wanted in
        [json!(7), json!({"toolsListChanged": "yes"}), json!({"resourceSubscriptions": [1]})]
    {
        let (status, answer) =
            scene.ask("near", "subscriptions/listen", json!({"notifications": wanted})).await;
        assert_eq!((status, &answer["error"]["code"]), (200, &json!(-32602)), "{answer}");
    }
    let request = scene.request("near", "subscriptions/listen", json!({"notifications": {}}));
    assert_eq!(request.header("accept", Some("application/json")).send().await.status, 406);
}

#[tokio::test]
async fn a_listen_outlives_the_process_behind_it() {
    let scene = Scene::start().await;
    let (mut reply, _) =
        listen(&scene, "near", json!({"resourceSubscriptions": ["test://one"]})).await;
    let params = json!({"name": "crash", "arguments": {}});
    scene.ask("near", "tools/call", params).await;
    // Changes that may have been missed are reported as changes.
    let told = next(&mut reply).await;
    assert_eq!(
        (&told["method"], &told["params"]["uri"]),
        (&json!("notifications/resources/updated"), &json!("test://one"))
    );
    scene.call("near", "touch", json!({"uri": "test://one"})).await;
    let told = next(&mut reply).await;
    assert_eq!(told["params"]["uri"], "test://one", "{told}");
}

#[tokio::test]
async fn a_server_whose_breaker_is_open_holds_no_listen_up() {
    let breaker = "[servers.near.breaker]\nfailures = 1\nrecovery = '1h'\n";
    let scene = Scene::with(breaker, &[]).await;
    let crash = json!({"name": "crash", "arguments": {}});
    scene.ask("near", "tools/call", crash.clone()).await;
    let (_, refused) = scene.ask("near", "tools/call", crash).await;
    assert_eq!(refused["error"]["data"]["code"], "BREAKER_OPEN", "{refused}");
    // The server gets five seconds for its acknowledgement.
    let begun = Instant::now();
    let wanted = json!({"toolsListChanged": true, "resourceSubscriptions": ["test://one"]});
    let (_reply, honoured) = listen(&scene, "near", wanted).await;
    assert_eq!(honoured, json!({"toolsListChanged": true}));
    // Where nothing else was asked for, it is an error.
    let wanted = json!({"notifications": {"resourceSubscriptions": ["test://one"]}});
    let (_, answer) = scene.ask("near", "subscriptions/listen", wanted).await;
    assert_eq!(answer["error"]["data"]["code"], "BREAKER_OPEN", "{answer}");
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_list_that_is_asked_for_again_and_is_the_same_has_not_changed() {
    let mut scene = Scene::with("", &["--untold"]).await;
    let list = async || scene.ask("", "tools/list", json!({})).await.0;
    assert_eq!(list().await, 200);
    let (mut reply, _) = listen(&scene, "", json!({"toolsListChanged": true})).await;
    assert_eq!((list().await, list().await), (200, 200));
    scene.call("", "change", json!({})).await;
    assert_eq!((list().await, list().await), (200, 200));
    let told = next(&mut reply).await;
    assert_eq!(told["method"], "notifications/tools/list_changed", "{told}");
    // Once, and nothing else before the end.
    scene.daemon.term().unwrap();
    assert_eq!(next(&mut reply).await["result"]["resultType"], "complete");
}

#[tokio::test]
async fn a_daemon_that_stops_ends_listens_with_an_answer() {
    let mut scene = Scene::start().await;
    let (mut reply, _) = listen(&scene, "near", json!({"toolsListChanged": true})).await;
    scene.daemon.term().unwrap();
    let last = next(&mut reply).await;
    assert_eq!(
        (&last["id"], &last["result"]["resultType"]),
        (&json!("q"), &json!("complete")),
        "{last}"
    );
    assert_eq!(last["result"]["_meta"][ID], "q", "{last}");
    assert!(reply.message().await.unwrap().is_none());
}
