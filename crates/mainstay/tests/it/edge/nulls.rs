//! Members that are `null` or empty because a serialiser writes absent members that way.

use serde_json::{Value, json};

use super::{Scene, whole};

#[tokio::test]
async fn null_params_and_cursors_ask_for_the_first_page() {
    let scene = Scene::start().await;
    for name in ["near", "far", ""] {
        let client = scene.client(name).await;
        for method in ["tools/list", "resources/list", "resources/templates/list", "prompts/list"] {
            let expected = client.request(method, json!({})).await.unwrap();
            for params in [
                Value::Null,
                json!({"cursor": null}),
                json!({"cursor": ""}),
                json!({"_meta": null}),
                json!({"_meta": {"progressToken": null}}),
                json!({"cursor": null, "_meta": null}),
            ] {
                let listed = client.request(method, params.clone()).await;
                let listed =
                    listed.unwrap_or_else(|error| panic!("{name} {method} {params}: {error}"));
                assert_eq!(listed, expected, "{name} {method} {params}");
            }
        }
        client.request("ping", Value::Null).await.unwrap();
        client.notify("notifications/roots/list_changed", Value::Null).await.unwrap();
        client.notify("notifications/progress", Value::Null).await.unwrap();
        let initialized =
            r#"{"jsonrpc":"2.0","id":null,"method":"notifications/initialized","params":null}"#;
        assert_eq!(client.post(initialized, &[]).await.unwrap().status, 202, "{name}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_server_gets_what_every_server_understands() {
    let scene = Scene::start().await;
    for name in ["near", "far", ""] {
        let client = scene.client(name).await;
        for (params, expected) in [
            (
                r#"{"name":"echo_raw","arguments":null,"_meta":null}"#,
                r#"{"name":"echo_raw","arguments":{},"_meta":{}}"#,
            ),
            (
                r#"{"name":"echo_raw","_meta":{"progressToken":null,"a":null},"arguments":{"b":null}}"#,
                r#"{"name":"echo_raw","_meta":{"a":null},"arguments":{"b":null}}"#,
            ),
        ] {
            let body =
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
            let (status, answer) = whole(client.post(body, &[]).await.unwrap()).await;
            assert_eq!(status, 200, "{answer}");
            let said = answer["result"]["content"][0]["text"].as_str().unwrap();
            assert_eq!(said, expected, "{name}");
        }
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_handshake_with_odd_capabilities_opens_a_session() {
    let scene = Scene::start().await;
    for (capabilities, info) in [
        (Value::Null, Value::Null),
        (json!([]), json!("x")),
        (json!({"sampling": null, "elicitation": false}), json!({})),
        (json!({"roots": {"listChanged": null}, "experimental": null, "x": 1}), json!([])),
    ] {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": capabilities,
            "clientInfo": info, "_meta": null});
        let opened = scene.stranger("near").request("initialize", params).await.unwrap();
        assert_eq!(opened["protocolVersion"], "2025-11-25", "{capabilities}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn requests_without_a_session_may_have_nulls_too() {
    let scene = Scene::with("", &["--dual"]).await;
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/logLevel": null,
        "progressToken": null,
    });
    for name in ["near", "far", ""] {
        for (method, about, params) in [
            ("tools/list", None, json!({"cursor": null, "_meta": meta})),
            ("tools/list", None, json!({"cursor": "", "_meta": meta})),
            ("tools/call", Some("echo"), json!({"name": "echo", "arguments": null, "_meta": meta})),
        ] {
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
            let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
            headers.extend(about.map(|about| ("mcp-name", about)));
            let sent = scene.stranger(name).post(body.to_string(), &headers).await.unwrap();
            let (status, answer) = whole(sent).await;
            assert_eq!(
                (status, &answer["error"]),
                (200, &Value::Null),
                "{name} {params}: {answer}"
            );
        }
    }
    scene.undisturbed().await;
}
