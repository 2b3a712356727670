//! Clients that return for a stream of an earlier daemon.

use serde_json::json;

use super::{End, Scene, until};

/// Streams do not outlive their daemon, but their ids tell what the client waits for.
#[tokio::test]
async fn a_call_whose_stream_is_gone_has_its_outcome_named() {
    let mut scene = Scene::start().await;
    for how in [End::Kill, End::Term] {
        let client = scene.client("far").await;
        let mut standing = client.listen(None).await.unwrap();
        let standing = standing.event().await.unwrap().unwrap().id;
        let params = json!({
            "name": "progress", "arguments": {"steps": 5, "ms": 20},
            "_meta": {"progressToken": 1},
        });
        let mut call = client.send_as(json!("mine"), "tools/call", params).await.unwrap();
        let last = call.reply.event().await.unwrap().unwrap().id;
        drop(call);
        if how == End::Term {
            // The call was answered while the client was away, and the answer waits.
            let labels = r#"server="far",method="tools/call",outcome="ok""#;
            let answered = format!("mcp_requests_total{{{labels}}}");
            until("it is answered", async || scene.metric(&answered).await > 0).await;
        }
        scene.restart(how).await;
        let again = scene.again("far", &client);
        let mut stream = again.listen(Some(&last)).await.unwrap();
        let said = stream.message().await.unwrap().unwrap();
        assert_eq!(said["id"], "mine", "{how:?}");
        assert_eq!(said["error"]["data"]["code"], "OUTCOME_UNKNOWN", "{how:?}");
        assert_eq!(stream.message().await.unwrap(), None, "{how:?}: and nothing more");
        // Messages outside of calls come on another stream, with everything that may have changed.
        let mut stream = again.listen(Some(&standing)).await.unwrap();
        let changed = stream.message().await.unwrap().unwrap();
        let method = changed["method"].as_str().unwrap_or_default();
        assert!(method.ends_with("list_changed"), "{how:?}: {changed}");
    }
    let lost = "mainstay_streams_resumed_total{outcome=\"lost\"}";
    assert_eq!(scene.metric(lost).await, 1, "of the present daemon");
}
