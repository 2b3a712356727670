//! Results of every kind and size, byte for byte.

use mainstay_testkit::Client;
use serde_json::json;

use super::{Scene, call};

/// The exact bytes that the server wrote.
const LOSSLESS: &str = r#"{"zebra":1.0,"content":[ {"type":"text","text":"\u00e9\ud83d\ude00\/"} ],"apple":12345678901234567890123,"exponent":1E400,"structuredContent":{"b":0.10,"a":-0,"10":1e2}, "_meta":{"unknown/member":null}}"#;

/// The addresses of a tool and its name there. Of two servers, the first keeps the bare name.
const NAMES: [(&str, &str); 4] =
    [("near", "TOOL"), ("far", "TOOL"), ("", "TOOL"), ("", "far_TOOL")];

/// Returns the answer to a call as text, whether it comes as JSON or in a stream.
async fn text_of(client: &Client, body: String) -> String {
    let mut reply = client.post(body, &[]).await.unwrap();
    assert_eq!(reply.status, 200);
    if !reply.is_stream() {
        return reply.text().await.unwrap();
    }
    let mut last = String::new();
    while let Some(event) = reply.event().await.unwrap() {
        last = event.data;
    }
    last
}

#[tokio::test]
async fn results_come_as_they_were_written() {
    for flags in [&[][..], &["--json"], &["--sse", "--odd-sse"], &["--crlf"]] {
        let scene = Scene::with("", flags).await;
        for (name, tool) in NAMES {
            let client = scene.client(name).await;
            let text =
                text_of(&client, call("1", &tool.replace("TOOL", "lossless"), &json!({}))).await;
            assert_eq!(
                text,
                format!(r#"{{"jsonrpc":"2.0","id":1,"result":{LOSSLESS}}}"#),
                "{name} {flags:?}"
            );
        }
        scene.undisturbed().await;
    }
}

#[tokio::test]
async fn arguments_arrive_as_they_were_written() {
    let scene = Scene::start().await;
    let params = |tool: &str| {
        format!(
            r#"{{ "z":[1.0,-0,1E2,123456789012345678901234567890], "arguments":{{"b":1,"a":"\u0041\/","2":{{}},"1":[ ]}}, "name":"{tool}" , "unknown":null}}"#
        )
    };
    for (name, tool) in NAMES {
        let client = scene.client(name).await;
        let sent = params(&tool.replace("TOOL", "echo_raw"));
        let body = format!(r#"{{"params": {sent},"method":"tools\/call","id":9,"jsonrpc":"2.0"}}"#);
        let answer: serde_json::Value =
            serde_json::from_str(&text_of(&client, body).await).unwrap();
        let arrived =
            answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(arrived, params("echo_raw"), "{name}: only the name may change");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn indented_json_stays_one_event() {
    let scene = Scene::with("", &["--json", "--pretty"]).await;
    let client = scene.client("far").await;
    let text = text_of(&client, call("\"x\"", "contents", &json!({}))).await;
    assert!(text.contains("\n    \"content\": ["), "{text}");
    assert!(text.contains("\"id\": \"x\""), "{text}");
    // The same in a stream, where a line end would end the event.
    let body = call("2", "slow", &json!({"ms": 50}));
    let answer: serde_json::Value = serde_json::from_str(&text_of(&client, body).await).unwrap();
    assert_eq!(answer["result"]["structuredContent"]["echo"]["ms"], 50);
    scene.undisturbed().await;
}

#[tokio::test]
async fn results_of_many_megabytes_come_whole() {
    for flags in [&[][..], &["--json"]] {
        let scene = Scene::with("", flags).await;
        for name in ["near", "far"] {
            let client = scene.client(name).await;
            let text = text_of(&client, call("1", "huge", &json!({"bytes": 10_000_000}))).await;
            let around =
                r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":""}]}}"#;
            assert_eq!(text.len(), 10_000_000 + around.len(), "{name}");
            assert!(text.bytes().filter(|&byte| byte == b'x').count() >= 10_000_000, "{name}");
            let blocks = client.call("blocks", json!({"count": 100})).await.unwrap();
            assert_eq!(blocks["content"].as_array().unwrap().len(), 100, "{name}");
            let deep = text_of(&client, call("1", "deep", &json!({"depth": 120}))).await;
            assert!(deep.contains(&"[".repeat(120)), "{name}");
        }
        scene.undisturbed().await;
    }
}

#[tokio::test]
async fn every_kind_of_content_comes_through() {
    let scene = Scene::start().await;
    for name in ["near", "far", ""] {
        let client = scene.client(name).await;
        let result = client.call("contents", json!({})).await.unwrap();
        let kinds: Vec<_> =
            result["content"].as_array().unwrap().iter().map(|one| &one["type"]).collect();
        assert_eq!(kinds, ["text", "image", "audio", "resource", "resource_link"], "{name}");
        assert_eq!(result["structuredContent"]["kinds"], 5);
        assert_eq!(result["isError"], false);
        let failed = client.call("fail", json!({})).await.unwrap();
        assert_eq!(failed["isError"], true);
        let refused = client.send(
            "tools/call",
            json!({
                "name": "refuse", "arguments": {"code": -31999, "message": "not \"today\""},
            }),
        );
        let refused = refused.await.unwrap().answer().await.unwrap();
        assert_eq!(refused["error"]["code"], -31999, "{name}");
        assert_eq!(refused["error"]["message"], "not \"today\"", "{name}");
        assert_eq!(refused["error"]["data"]["arguments"]["code"], -31999, "{name}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn resources_prompts_and_completions_come_through() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let client = scene.client(name).await;
        let read = client.request("resources/read", json!({"uri": "mis://two"})).await.unwrap();
        assert_eq!(read["contents"][0]["text"], "contents of mis://two");
        let said = json!({"name": "say", "arguments": {"what": "\u{1f600}"}});
        let prompt = client.request("prompts/get", said).await.unwrap();
        assert_eq!(prompt["messages"][0]["content"]["text"], "Say \u{1f600}");
        let of = json!({"ref": {"type": "ref/prompt", "name": "say"}, "argument": {"name": "what", "value": "o"}});
        let completed = client.request("completion/complete", of).await.unwrap();
        assert_eq!(completed["completion"]["values"], json!(["one", "two"]));
        let missing =
            client.send("resources/read", json!({})).await.unwrap().answer().await.unwrap();
        assert!(missing["error"]["code"].is_i64(), "{missing}");
    }
    scene.undisturbed().await;
}
