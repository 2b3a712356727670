//! Calls: the requests to servers, their answers, and their ends.

use serde_json::{Value, json};

use super::{Scene, until};

#[tokio::test]
async fn a_call_goes_through_and_merged_results_say_what_they_are() {
    let scene = Scene::start().await;
    for name in ["near", "far", ""] {
        let arguments = json!({"of": "ä\u{1F600}", "n": [1, {"a": null}]});
        let result = scene.call(name, "echo", arguments.clone()).await;
        assert_eq!(result["structuredContent"]["echo"], arguments, "{name}");
        let (status, answer) = scene.ask(name, "server/discover", json!({})).await;
        assert_eq!(status, 200, "{name}: {answer}");
        assert_eq!(answer["result"]["supportedVersions"], json!(["2026-07-28"]), "{name}");
    }
    // Answers of the gateway itself contain what a result must contain.
    for method in ["tools/list", "prompts/list", "resources/list", "server/discover"] {
        let (status, answer) = scene.ask("", method, json!({})).await;
        let result = &answer["result"];
        assert_eq!((status, &result["resultType"]), (200, &json!("complete")), "{answer}");
        assert!(result["ttlMs"].is_u64() && result["cacheScope"].is_string(), "{answer}");
    }
}

#[tokio::test]
async fn a_servers_error_keeps_its_code_and_gets_its_status() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        for (code, status) in [(-32601, 404), (-32021, 400), (-32602, 200), (-32050, 200), (7, 200)]
        {
            let params = json!({"name": "refuse", "arguments": {"code": code, "message": "no"}});
            let (got, answer) = scene.ask(name, "tools/call", params).await;
            assert_eq!((got, &answer["error"]["code"]), (status, &json!(code)), "{name}: {answer}");
        }
        let (status, answer) = scene.ask(name, "x/unheard-of", json!({})).await;
        assert_eq!((status, &answer["error"]["code"]), (404, &json!(-32601)), "{name}: {answer}");
    }
}

#[tokio::test]
async fn progress_comes_on_the_stream_of_its_call_under_the_clients_token() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let params =
            json!({"name": "progress", "arguments": {"ms": 1}, "_meta": {"progressToken": "mine"}});
        let mut reply = scene.request(name, "tools/call", params).send().await;
        assert!(reply.is_stream(), "{name}");
        let mut steps = 0;
        let answer = loop {
            let message = reply.message().await.unwrap().expect("an answer");
            if message["method"].is_null() {
                break message;
            }
            assert_eq!(message["params"]["progressToken"], "mine", "{name}");
            steps += 1;
        };
        assert_eq!((steps, &answer["id"]), (3, &json!("q")), "{name}: {answer}");
    }
}

#[tokio::test]
async fn log_messages_come_only_to_requests_that_ask_for_them() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let logs = async |level: Option<&str>| {
            let params = json!({"name": "flood", "arguments": {"count": 3}});
            let request = scene.request(name, "tools/call", params).body(|body| {
                if let Some(level) = level {
                    body["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = json!(level);
                }
            });
            let mut reply = request.send().await;
            let mut logs = 0;
            if reply.is_stream() {
                while let Some(message) = reply.message().await.unwrap() {
                    logs += u64::from(message["method"] == "notifications/message");
                }
            }
            logs
        };
        assert_eq!(logs(None).await, 0, "{name}");
        assert_eq!(logs(Some("debug")).await, 3, "{name}");
        assert_eq!(logs(Some("emergency")).await, 0, "{name}");
    }
}

#[tokio::test]
async fn closing_the_connection_cancels_the_call() {
    let scene = Scene::start().await;
    // Over HTTP the closed stream cancels at the server, too.
    for (name, seen) in [("near", "cancelled calls"), ("far", "calls left")] {
        let before = scene.count(name, seen).await;
        let params = json!({"name": "hang_until_left", "arguments": {}});
        let request = scene.request(name, "tools/call", params);
        let waiting = tokio::spawn(async move { request.send().await.status });
        until("it has begun", async || scene.count(name, "tool hang_until_left").await > 0).await;
        waiting.abort();
        until("it is cancelled", async || scene.count(name, seen).await > before).await;
    }
}

#[tokio::test]
async fn clients_that_share_a_server_and_their_ids_get_their_own_answers() {
    let scene = Scene::start().await;
    for name in ["near", "far", ""] {
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..40 {
            let arguments = json!({"mine": number, "ms": number % 7});
            let params = json!({"name": "slow", "arguments": arguments});
            let request = scene.request(name, "tools/call", params);
            calls.spawn(async move { (number, request.whole().await) });
        }
        for (number, (status, answer)) in calls.join_all().await {
            let echo: &Value = &answer["result"]["structuredContent"]["echo"];
            assert_eq!((status, &echo["mine"]), (200, &json!(number)), "{name}: {answer}");
        }
    }
    // All of them shared one process.
    let pids =
        [scene.call("near", "stats", json!({})).await, scene.call("", "stats", json!({})).await];
    assert_eq!(pids[0]["structuredContent"]["pid"], pids[1]["structuredContent"]["pid"]);
}

#[tokio::test]
async fn a_call_whose_headers_a_server_finds_amiss_is_tried_once_more_from_a_new_list() {
    let scene = Scene::start().await;
    // Once the subscription to its changes is active, the list is fetched again, because a change may have
    // been missed.
    let listed = async || scene.count("far", "tools/list").await;
    until("the list after the subscription", async || listed().await >= 2).await;
    let lists = listed().await;
    let params = json!({"name": "refuse", "arguments": {"code": -32020, "message": "amiss"}});
    let (status, answer) = scene.ask("far", "tools/call", params).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!(-32020)), "{answer}");
    assert_eq!(scene.count("far", "tool refuse").await, 2);
    assert_eq!(listed().await, lists + 1);
}
