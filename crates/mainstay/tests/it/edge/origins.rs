//! Checks of `Origin` and `Host`.

use mainstay_testkit::client::Reply;
use serde_json::json;

use super::{Scene, whole};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[tokio::test]
async fn foreign_hosts_and_origins_stay_outside() {
    let scene = Scene::start().await;
    let client = scene.client("near").await;
    for (header, value, status) in [
        ("host", "localhost", 200),
        ("host", "127.0.0.1:1", 200),
        ("host", "evil.example", 421),
        ("host", "evil.example:8000", 421),
        ("host", "127.0.0.1.evil.example", 421),
        ("host", "localhost@evil.example", 421),
        ("origin", "http://localhost:5173", 200),
        ("origin", "https://127.0.0.1", 200),
        ("origin", "http://evil.example", 403),
        ("origin", "null", 403),
        ("origin", "http://localhost.evil.example", 403),
        ("origin", "file://", 403),
    ] {
        let (got, answer) = whole(client.post(PING, &[(header, value)]).await.unwrap()).await;
        assert_eq!(got, status, "{header}: {value}: {answer}");
        if status != 200 {
            assert_eq!(answer["error"]["code"], 1010, "{header}: {value}: {answer}");
            let says = answer["error"]["message"].as_str().unwrap();
            assert!(says.contains(value) && says.contains(&format!("allowed_{header}s")), "{says}");
        }
    }
    assert_eq!((scene.refused("host").await, scene.refused("origin").await), (4, 4));
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_page_from_elsewhere_reaches_nothing_else_either() {
    let scene = Scene::start().await;
    for path in ["/health", "/metrics", "/api/status", "/nothing"] {
        for (name, value, status) in
            [("host", "evil.example", 421), ("origin", "https://evil.example", 403)]
        {
            let mut connection = scene.stranger("near").raw().await.unwrap();
            let host = if name == "host" { "" } else { "host: localhost\r\n" };
            let head = format!("GET {path} HTTP/1.1\r\n{host}{name}: {value}\r\n\r\n");
            connection.send(head.as_bytes()).await.unwrap();
            let reply = connection.reply().await.unwrap();
            assert_eq!(reply.status, status, "{path} {name}");
            assert_eq!(reply.header("access-control-allow-origin"), None, "{path} {name}");
        }
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn whoever_is_refused_learns_no_name_at_any_address() {
    let scene = Scene::start().await;
    let paths = [
        "/mcp",
        "/mcp/",
        "/mcp/near",
        "/mcp/nobody",
        "/sse",
        "/sse/far",
        "/sse/nobody",
        "/messages?sessionId=x",
        "/health/detailed",
        "/api/sessions",
        "/stats/pool",
        "/metrics",
        "/",
        "/nothing",
    ];
    for (foreign, status) in [
        ("host: evil.example", 421),
        ("host: localhost\r\norigin: https://evil.example", 403),
        ("host: localhost\r\norigin: null", 403),
    ] {
        let mut said = std::collections::BTreeSet::new();
        for path in paths {
            for method in ["GET", "POST", "DELETE", "OPTIONS", "BREW"] {
                let mut connection = scene.stranger("near").raw().await.unwrap();
                let head = format!("{method} {path} HTTP/1.1\r\n{foreign}\r\n\r\n");
                connection.send(head.as_bytes()).await.unwrap();
                let (got, mut answer) = whole(connection.reply().await.unwrap()).await;
                assert_eq!(got, status, "{method} {path}: {answer}");
                assert!(answer["error"]["data"]["request_id"].take().is_string(), "{answer}");
                said.insert(answer.to_string());
            }
        }
        // Every request gets the same answer, which names nothing of the daemon.
        assert_eq!(said.len(), 1, "{said:?}");
        let said = said.first().unwrap();
        assert!(!said.contains("near") && !said.contains("far"), "{said}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn an_allowed_page_may_ask_first_and_read_the_answer() {
    let allowed =
        "allowed_origins = [\"https://app.example\"]\nallowed_hosts = [\"tools.example\"]";
    let scene = Scene::with(allowed, &[]).await;
    let preflight = async |origin: &str| -> Reply {
        let mut connection = scene.stranger("near").raw().await.unwrap();
        let head = format!(
            "OPTIONS /mcp/near HTTP/1.1\r\nhost: tools.example\r\norigin: {origin}\r\n\
             access-control-request-method: POST\r\n\
             access-control-request-headers: content-type, mcp-session-id\r\n\r\n"
        );
        connection.send(head.as_bytes()).await.unwrap();
        connection.reply().await.unwrap()
    };
    let reply = preflight("https://app.example").await;
    let header = |name: &str| reply.header(name).unwrap_or_default();
    assert_eq!(reply.status, 204);
    assert_eq!(header("access-control-allow-origin"), "https://app.example");
    assert!(header("access-control-allow-methods").contains("POST, GET, DELETE"));
    for name in ["content-type", "mcp-session-id", "mcp-protocol-version", "last-event-id"] {
        assert!(header("access-control-allow-headers").contains(name), "{name}");
    }
    assert_eq!(preflight("https://evil.example").await.status, 403);

    let mut page = scene.stranger("near").header("origin", "https://app.example");
    page.initialize("2025-11-25", &json!({})).await.unwrap();
    let reply = page.post(PING, &[]).await.unwrap();
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(reply.header("vary"), Some("origin"));
    let exposed = reply.header("access-control-expose-headers").unwrap_or_default();
    assert!(exposed.contains("mcp-session-id"), "{exposed}");
    scene.undisturbed().await;
}
