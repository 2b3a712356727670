//! The addresses for streams and messages, and the settings that disable them.

use mainstay_testkit::{Client, SseClient};
use serde_json::json;
use tokio::net::TcpListener;

use super::{Scene, assert_echo, builder, url};

#[tokio::test]
async fn the_first_event_names_the_address_to_post_to() {
    let scene = Scene::start().await;
    let mut seen = std::collections::BTreeSet::new();
    for name in ["", "near", "far"] {
        let client = SseClient::open(&scene.url(name)).await.unwrap();
        assert_eq!(client.stream.header("content-type"), Some("text/event-stream"));
        assert_eq!(client.stream.header("cache-control"), Some("no-cache"));
        let address = &client.first.data;
        let id = address.strip_prefix("/messages?sessionId=").unwrap();
        assert!(id.len() >= 32 && !id.contains(['%', '&', '=', '+', '/']), "{address}");
        assert!(seen.insert(address.clone()), "{address} is given twice");
    }
}

#[tokio::test]
async fn the_address_lies_where_the_proxy_shows_it() {
    for (public, address) in [
        ("https://example.com", "/mcp/messages?"),
        ("https://example.com/mcp", "/mcp/messages?"),
        ("https://example.com/tools/", "/tools/messages?"),
        ("https://example.com/tools/mcp", "/tools/mcp/messages?"),
    ] {
        let public = format!("public_url = \"{public}\"");
        let daemon = builder(&public).start().await.unwrap();
        let client = SseClient::open(&url(daemon.base(), "near")).await.unwrap();
        assert!(client.first.data.starts_with(address), "{public}: {}", client.first.data);
    }
}

#[tokio::test]
async fn what_opens_no_stream_gets_a_clear_answer() {
    let scene = Scene::start().await;
    let at = |path: &str| Client::new(&format!("{}{path}", scene.daemon.base())).unwrap();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
    for (path, allowed) in [("/sse", "GET, OPTIONS"), ("/sse/near", "GET, OPTIONS")] {
        let reply = at(path).post(body, &[]).await.unwrap();
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allowed)), "{path}");
        assert_eq!(at(path).delete().await.unwrap().status, 405, "{path}");
    }
    let reply = at("/messages?sessionId=x").listen(None).await.unwrap();
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST, OPTIONS")));
    let mut unknown = at("/sse/nobody").listen(None).await.unwrap();
    assert_eq!(unknown.status, 404);
    assert!(unknown.text().await.unwrap().contains("near"), "it names what is there");
    let json_only = at("/sse/near").header("accept", "application/json");
    assert_eq!(json_only.listen(None).await.unwrap().status, 406);
    let foreign = at("/sse/near").header("origin", "https://evil.example");
    assert_eq!(foreign.listen(None).await.unwrap().status, 403);
    let misnamed = at("/sse/near").header("host", "evil.example");
    assert!([403, 421].contains(&misnamed.listen(None).await.unwrap().status));
}

#[tokio::test]
async fn only_an_open_stream_can_be_posted_to() {
    let scene = Scene::start().await;
    let mut client = scene.client("near").await;
    let own = client.first.data.clone();
    let ping = r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#;
    let longer = format!("{own}A");
    let addresses =
        ["/messages", "/messages?", "/messages?sessionId=", "/messages?sessionId=made-up"];
    for address in addresses.into_iter().chain([&*longer, &own[..own.len() - 1]]) {
        let stranger = Client::new(&format!("{}{address}", scene.daemon.base())).unwrap();
        let mut reply = stranger.post(ping, &[]).await.unwrap();
        assert_eq!(reply.status, 404, "{address}");
        let answer = reply.json().await.unwrap();
        assert_eq!(answer["error"]["code"], -32001, "{address}: {answer}");
    }
    assert_echo(&client.call("echo", json!({"n": 1})).await.unwrap(), &json!({"n": 1}));
}

#[tokio::test]
async fn each_transport_can_be_switched_off() {
    let status = async |base: &str, path: &str| {
        let client = Client::new(&format!("{base}{path}")).unwrap();
        client.listen(None).await.unwrap().status
    };
    let http_only = builder("sse = false").start().await.unwrap();
    for path in ["/sse", "/sse/near", "/messages?sessionId=x"] {
        assert_eq!(status(http_only.base(), path).await, 404, "{path}");
    }
    http_only.client("near").await.unwrap().call("echo", json!({})).await.unwrap();

    let sse_only = builder("http = false").start().await.unwrap();
    for path in ["/mcp", "/mcp/near"] {
        assert_eq!(status(sse_only.base(), path).await, 404, "{path}");
        let client = Client::new(&format!("{}{path}", sse_only.base())).unwrap();
        let mut reply = client.post("{}", &[]).await.unwrap();
        assert_eq!(reply.status, 404, "{path}");
        assert_eq!(reply.json().await.unwrap()["endpoints"], json!(["/sse", "/sse/near"]));
    }
    sse_only.wait_for_log("/sse/near", super::PATIENCE).await.unwrap();
    let elsewhere = format!("{}/mcp", sse_only.base());
    assert!(!sse_only.log().contains(&elsewhere), "{}", sse_only.log());
    let sse = url(sse_only.base(), "near");
    let mut client = SseClient::connect(&sse, &json!({})).await.unwrap();
    client.call("echo", json!({})).await.unwrap();
    // The daemon's own commands still reach it by the socket.
    let tools = sse_only.run(&["tools"]).unwrap();
    assert!(tools.status.success(), "{}", String::from_utf8_lossy(&tools.stderr));
}

#[tokio::test]
async fn an_address_of_its_own_serves_it_and_nothing_else() {
    // The port is released at once and is not assigned again within this short time.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = free.local_addr().unwrap();
    drop(free);
    let daemon = builder(&format!("sse_listen = \"{own}\"")).start().await.unwrap();
    let base = format!("http://{own}");
    let mut client = SseClient::connect(&url(&base, "near"), &json!({})).await.unwrap();
    client.call("echo", json!({})).await.unwrap();
    for (base, path, expected) in [
        (daemon.base(), "/sse", 404),
        (daemon.base(), "/sse/near", 404),
        (&base, "/mcp", 404),
        (&base, "/mcp/near", 404),
    ] {
        let at = Client::new(&format!("{base}{path}")).unwrap();
        assert_eq!(at.listen(None).await.unwrap().status, expected, "{base}{path}");
        assert_eq!(at.post("{}", &[]).await.unwrap().status, expected, "{base}{path}");
    }
    daemon.client("near").await.unwrap().call("echo", json!({})).await.unwrap();
    let status = daemon.run(&["status"]).unwrap();
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains(&own.to_string()), "{status}");
    daemon.wait_for_log(&format!("{base}/sse"), super::PATIENCE).await.unwrap();
}
