//! Questions of servers to the client.

use serde_json::json;
use tempfile::tempdir;

use super::{Client, assert_once, daemon_with};

#[tokio::test]
async fn a_question_goes_to_the_client_and_its_answer_back() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    let mut client = Client::of(&daemon.state(), "s");
    let able = json!({"elicitation": {}, "sampling": {}, "roots": {}});
    client.shake_hands("2025-11-25", able).await;
    for (tool, method) in [
        ("ask_user", "elicitation/create"),
        ("ask_model", "sampling/createMessage"),
        ("ask_roots", "roots/list"),
    ] {
        let call = client.call(tool, json!({})).await;
        let question = client.notified(method).await;
        // The client's own ids are numbered separately.
        let mine = client.request("ping", json!({})).await;
        assert_eq!(mine["result"], json!({}));
        let reply = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"said": tool}});
        client.write(reply.to_string()).await;
        let answer = client.answer(call).await;
        assert_eq!(answer["result"]["structuredContent"]["answer"]["said"], tool, "{answer}");
    }
    assert_once(&client.leave().await.messages, []);
}

#[tokio::test]
async fn a_question_whose_call_is_over_is_taken_back() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    let mut client = Client::of(&daemon.state(), "s");
    client.shake_hands("2025-11-25", json!({"elicitation": {}})).await;
    let call = client.call("ask_user", json!({})).await;
    let question = client.notified("elicitation/create").await;
    client.notify("notifications/cancelled", json!({"requestId": call})).await;
    let back = client.notified("notifications/cancelled").await;
    assert_eq!(back["params"]["requestId"], question["id"]);
    // An answer that comes too late does no harm.
    let reply = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"said": "late"}});
    client.write(reply.to_string()).await;
    assert_eq!(client.request("ping", json!({})).await["result"], json!({}));
}
