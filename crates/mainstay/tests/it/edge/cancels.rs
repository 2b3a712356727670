//! Calls that their clients cancel or abandon.

use serde_json::json;

use super::{Scene, call, until};

#[tokio::test]
async fn a_cancelled_call_is_cancelled_at_the_server_and_gets_no_answer() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let client = scene.client(name).await;
        for (round, id) in [(1, "77"), (2, "\"seventy\\u002dseven\""), (3, "7.70")] {
            let posted = {
                let client = client.clone();
                let body = call(id, "hang_until_cancelled", &json!({}));
                tokio::spawn(async move {
                    let mut reply = client.post(body, &[]).await.unwrap();
                    (reply.status, reply.message().await)
                })
            };
            scene.seen(name, "tool hang_until_cancelled", round).await;
            let params = format!(r#"{{"requestId":{id},"reason":"no longer wanted"}}"#);
            let note = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{params}}}"#
            );
            assert_eq!(client.post(note, &[]).await.unwrap().status, 202);
            scene.seen(name, "cancelled calls", round).await;
            let (status, message) = posted.await.unwrap();
            assert_eq!((status, message.unwrap()), (200, None), "{name} {id}");
            client.call("echo", json!({})).await.unwrap();
        }
    }
    assert_eq!(scene.in_flight().await, 0);
    scene.undisturbed().await;
}

#[tokio::test]
async fn nobody_cancels_the_calls_of_others() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let (one, other) = (scene.client(name).await, scene.client(name).await);
        let slow = {
            let one = one.clone();
            tokio::spawn(async move {
                let params = json!({"name": "slow", "arguments": {"ms": 300}});
                one.send_as(json!(5), "tools/call", params).await.unwrap().answer().await.unwrap()
            })
        };
        scene.seen(name, "tool slow", 1).await;
        for id in [json!(5), json!("5"), json!(1), json!(2), json!(null), json!([5])] {
            other.notify("notifications/cancelled", json!({"requestId": id})).await.unwrap();
        }
        // The right session with a wrong id, or none.
        for params in [json!({"requestId": "5"}), json!({}), json!({"requestId": 6})] {
            one.notify("notifications/cancelled", params).await.unwrap();
        }
        let answer = slow.await.unwrap();
        assert_eq!(answer["result"]["structuredContent"]["echo"]["ms"], 300, "{answer}");
        assert_eq!(scene.count(name, "cancelled calls").await, 0);
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_client_that_goes_away_has_not_cancelled() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let client = scene.client(name).await;
        let mut connection = client.raw().await.unwrap();
        let body = call("1", "slow", &json!({"ms": 200}));
        let length = body.len().to_string();
        let own = [("content-type", "application/json"), ("content-length", length.as_str())];
        connection.send((client.head("POST", &own, &[]) + &body).as_bytes()).await.unwrap();
        scene.seen(name, "tool slow", 1).await;
        drop(connection);
        // No other call in this test uses this tool, and all other tools end normally.
        let labels = format!("server=\"{name}\",tool=\"slow\"");
        let ended = format!("mainstay_tool_duration_seconds_count{{{labels}}}");
        until("the call ends by itself", async || scene.metric(&ended).await == 1).await;
        assert_eq!(scene.in_flight().await, 0, "{name}");
        let labels = format!("server=\"{name}\",method=\"tools/call\"");
        for outcome in ["tool_error", "error", "refused", "cancelled", "timeout", "lost"] {
            let series = format!("mcp_requests_total{{{labels},outcome=\"{outcome}\"}}");
            assert_eq!(scene.metric(&series).await, 0, "{name}: it was answered, not {outcome}");
        }
        assert_eq!(scene.count(name, "notifications/cancelled").await, 0, "{name}");
        assert_eq!(scene.count(name, "cancelled calls").await, 0, "{name}");
        client.call("echo", json!({})).await.unwrap();
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_stream_that_is_cut_has_not_cancelled_either() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let client = scene.client(name).await;
        let params = json!({
            "name": "progress", "arguments": {"steps": 20, "ms": 10},
            "_meta": {"progressToken": "p"},
        });
        let mut exchange = client.send("tools/call", params).await.unwrap();
        assert_eq!(exchange.next().await.unwrap().unwrap()["method"], "notifications/progress");
        drop(exchange);
        until("the call ends by itself", async || scene.in_flight().await == 0).await;
        assert_eq!(scene.count(name, "notifications/cancelled").await, 0, "{name}");
        client.call("echo", json!({})).await.unwrap();
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_and_progress_moves_it() {
    let limits = "call_timeout = \"400ms\"\ncall_timeout_max = \"1500ms\"";
    let scene = Scene::with(limits, &[]).await;
    tokio::join!(meets_its_deadline(&scene, "near"), meets_its_deadline(&scene, "far"));
    scene.undisturbed().await;
}

async fn meets_its_deadline(scene: &Scene, name: &str) {
    let client = scene.client(name).await;
    let body = call("\"late\"", "hang_until_cancelled", &json!({}));
    let headers = [("x-request-id", "late-1")];
    let answer = client.post(body, &headers).await.unwrap().message().await.unwrap().unwrap();
    let error = &answer["error"];
    assert_eq!((&error["code"], &answer["id"]), (&json!(1006), &json!("late")), "{answer}");
    assert_eq!(error["data"]["code"], "DEADLINE_EXCEEDED");
    assert_eq!(error["data"]["server"], name);
    assert_eq!(error["data"]["limit"], "call_timeout: 400ms");
    assert_eq!(error["data"]["request_id"], "late-1");
    scene.seen(name, "cancelled calls", 1).await;

    let report = |steps: u64| {
        let arguments = json!({"steps": steps, "ms": 100});
        json!({"name": "progress", "arguments": arguments, "_meta": {"progressToken": 1}})
    };
    client.request("tools/call", report(8)).await.unwrap();
    let endless = client.send("tools/call", report(1000)).await.unwrap().answer().await.unwrap();
    assert_eq!(endless["error"]["code"], 1006, "{endless}");
}
