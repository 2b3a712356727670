//! Bodies that are not messages, or not the right ones.

use serde_json::{Value, json};

use super::{Scene, whole};

/// A body with the expected HTTP status, code, id of the answer, and a part of its message.
type Case<'a> = (&'a [u8], u16, i64, Value, &'a str);

#[tokio::test]
async fn what_is_no_message_is_refused_by_what_is_wrong_with_it() {
    let scene = Scene::start().await;
    let client = scene.client("near").await;
    let null = || Value::Null;
    let cases: [Case<'_>; 24] = [
        (b"", 400, -32700, null(), "not JSON"),
        (b"{", 400, -32700, null(), "not JSON"),
        (b"hello", 400, -32700, null(), "not JSON"),
        (br#"{"jsonrpc":"2.0","id":1,"method":"ping"} x"#, 400, -32700, null(), "not JSON"),
        (br#"{"jsonrpc":"2.0","id":01,"method":"ping"}"#, 400, -32700, null(), "not JSON"),
        (br#"{"jsonrpc":"2.0","id":1,"method":"ping",}"#, 400, -32700, null(), "not JSON"),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"p\xffng\"}", 400, -32700, null(), "UTF-8"),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":\"\xed\xa0\x80\",\"method\":\"ping\"}",
            400,
            -32700,
            null(),
            "UTF-8",
        ),
        (b"17", 400, -32600, null(), "object"),
        (b"\"ping\"", 400, -32600, null(), "object"),
        (b"null", 400, -32600, null(), "object"),
        (b"[]", 400, -32600, null(), "batch"),
        (br#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, 400, -32600, null(), "batch"),
        (br#"{"id":1,"method":"ping"}"#, 400, -32600, json!(1), "jsonrpc"),
        (br#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, 400, -32600, json!(1), "jsonrpc"),
        (br#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, 400, -32600, json!(1), "jsonrpc"),
        (br#"{"jsonrpc":"2.0","id":"a"}"#, 400, -32600, json!("a"), "missing"),
        (br#"{"jsonrpc":"2.0","id":1,"method":7}"#, 400, -32600, json!(1), "method"),
        (br#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, 400, -32600, null(), "null"),
        (br#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, 400, -32600, null(), "id"),
        (br#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, 400, -32600, null(), "id"),
        (br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, 400, -32600, null(), "duplicate"),
        (
            br#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"x"}"#,
            400,
            -32600,
            null(),
            "duplicate",
        ),
        (br#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, 400, -32600, json!(1), "only one"),
    ];
    let before = scene.refused("malformed").await;
    for (body, status, code, id, says) in &cases {
        let shown = String::from_utf8_lossy(body);
        let (got, answer) = whole(client.post(*body, &[]).await.unwrap()).await;
        assert_eq!((got, &answer["error"]["code"]), (*status, &json!(code)), "{shown}: {answer}");
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), id), "{shown}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(says), "{shown}: {answer}");
    }
    assert_eq!(scene.refused("malformed").await, before + cases.len() as u64);
    assert_eq!(client.request("ping", json!({})).await.unwrap(), json!({}));
    scene.undisturbed().await;
}

#[tokio::test]
async fn parameters_of_the_wrong_shape_are_errors_of_the_request() {
    let scene = Scene::start().await;
    for name in ["near", ""] {
        let client = scene.client(name).await;
        for params in ["[]", "7", "\"x\"", r#"{"name":"echo","name":"crash"}"#, r#"{"_meta":7}"#] {
            let body =
                format!(r#"{{"jsonrpc":"2.0","id":"p","method":"tools/call","params":{params}}}"#);
            let (status, answer) = whole(client.post(body, &[]).await.unwrap()).await;
            assert_eq!((status, &answer["id"]), (200, &json!("p")), "{params}: {answer}");
            assert_eq!(answer["error"]["code"], -32602, "{params}: {answer}");
        }
    }
    assert_eq!(scene.count("near", "tool crash").await, 0);
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_message_may_nest_so_deep_and_no_deeper() {
    let scene = Scene::with("max_depth = 32", &[]).await;
    let client = scene.client("near").await;
    let nested = |depth: usize| {
        // The message, its parameters and the arguments are three levels.
        let value = format!("{}{}", "[".repeat(depth - 3), "]".repeat(depth - 3));
        let params = format!(r#"{{"name":"echo","arguments":{{"deep":{value}}}}}"#);
        format!(r#"{{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{params}}}"#)
    };
    let (status, answer) = whole(client.post(nested(28), &[]).await.unwrap()).await;
    assert_eq!((status, &answer["error"]), (200, &Value::Null), "{answer}");
    // The request is not too deep, but the server puts its arguments deeper into its result.
    let (status, answer) = whole(client.post(nested(32), &[]).await.unwrap()).await;
    assert_eq!((status, &answer["error"]["data"]["server"]), (200, &json!("near")), "{answer}");
    assert_eq!(scene.count("near", "tool echo").await, 2);
    for body in [nested(33), nested(100_000), "[".repeat(1 << 20)] {
        let sent = client.post(body, &[("x-request-id", "deep-1")]).await.unwrap();
        let (status, answer) = whole(sent).await;
        let error = &answer["error"];
        assert_eq!((status, &error["code"]), (400, &json!(1011)), "{answer}");
        assert_eq!(error["data"]["code"], "LIMIT_EXCEEDED");
        assert_eq!(error["data"]["limit"], "max_depth: 32");
        assert_eq!(error["data"]["request_id"], "deep-1");
    }
    // Brackets in a string do not nest.
    let text = json!({"text": "[".repeat(1000)});
    client.call("echo", text).await.unwrap();
    assert_eq!(scene.refused("depth").await, 3);
    scene.undisturbed().await;
}
