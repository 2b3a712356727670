//! Clients that know only nginx.

use std::process::Command;
use std::time::Duration;

use mainstay_testkit::{Client, SseClient};
use serde_json::{Value, json};

use super::{Plan, Scene, free_address, nginx, shown};

#[tokio::test]
async fn two_environments_live_under_one_host() {
    let scene = Scene::start().await;
    let own = async |path: &str| -> i64 {
        let client = Client::connect(&scene.url(path)).await.unwrap();
        let stats = client.call("stats", json!({})).await.unwrap();
        stats["structuredContent"]["pid"].as_i64().unwrap()
    };
    let (production, development) = (own("/mcp").await, own("/mcp/dev").await);
    assert_ne!(production, development, "each has a server of its own");
    assert_eq!(own("/mcp/tools").await, production);
    assert_eq!(own("/mcp/dev/tools").await, development);
    // The printed addresses are the ones that clients call.
    let expected = scene.url("/mcp/dev/tools");
    assert!(scene.development.log().contains(&expected), "{}", scene.development.log());
    let mut unknown =
        Client::new(&scene.url("/mcp/dev/nobody")).unwrap().post("{}", &[]).await.unwrap();
    assert_eq!(unknown.status, 404);
    let there = unknown.json().await.unwrap();
    assert_eq!(there["endpoints"], json!(["/mcp/dev", "/mcp/dev/tools"]));
}

#[tokio::test]
async fn monitors_see_the_health_and_no_more() {
    let scene = Scene::start().await;
    let client = Client::new(&scene.url("/mcp")).unwrap();
    for path in ["/health", "/mcp/health", "/mcp/dev/health"] {
        let mut health = client.plain("GET", path).await.unwrap();
        assert_eq!(health.status, 200, "{path}");
        let health = health.json().await.unwrap();
        assert_eq!(
            health,
            json!({"status": health["status"]}),
            "{path}: without a token, one word"
        );
    }
    for (path, status) in
        [("/health/live", 200), ("/mcp/dev/health/live", 200), ("/health/detailed", 401)]
    {
        assert_eq!(client.plain("GET", path).await.unwrap().status, status, "{path}");
    }
}

/// The server continues only after its question is answered, so nothing may hold the question back until
/// the stream ends.
#[tokio::test]
async fn a_stream_arrives_piece_by_piece() {
    let scene = Scene::start().await;
    let mut client = Client::new(&scene.url("/mcp/dev/tools")).unwrap();
    client.initialize("2025-11-25", &json!({"elicitation": {}})).await.unwrap();
    let params = json!({"name": "ask_user", "arguments": {}, "_meta": {"progressToken": 1}});
    let mut exchange = client.send("tools/call", params).await.unwrap();
    let question = exchange.next().await.unwrap().unwrap();
    assert_eq!(question["method"], "elicitation/create", "{question}");
    let answer = json!({"action": "accept", "content": {"colour": "green"}});
    client.respond(&question["id"], answer).await.unwrap();
    let result = exchange.answer().await.unwrap();
    assert!(result.to_string().contains("green"), "{result}");
}

#[tokio::test]
async fn the_older_transport_finds_its_way_back() {
    let scene = Scene::start().await;
    for (path, messages) in [
        ("/mcp/sse", "/mcp/messages?"),
        ("/mcp/sse/tools", "/mcp/messages?"),
        ("/mcp/dev/sse", "/mcp/dev/messages?"),
        ("/mcp/dev/sse/tools", "/mcp/dev/messages?"),
    ] {
        let mut client = SseClient::connect(&scene.url(path), &json!({})).await.unwrap();
        assert!(client.first.data.starts_with(messages), "{path}: {}", client.first.data);
        let sent = json!({"from": path});
        let answer = client.call("echo", sent.clone()).await.unwrap();
        assert_eq!(answer["structuredContent"]["echo"], sent, "{path}");
    }
}

#[tokio::test]
async fn a_daemon_that_comes_back_is_found_again() {
    let front = free_address().await;
    let plan = Plan::new(&format!("http://{front}/mcp"), "").await;
    let nginx = nginx::Nginx::start(&shown(&plan, &[]), front).await;
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = plan.builder().folder(folder.path()).start().await.unwrap();
    let url = format!("http://{}/mcp/tools", nginx.address());
    let before = Client::connect(&url).await.unwrap();
    before.call("echo", json!({})).await.unwrap();
    daemon.term().unwrap();
    daemon.wait(Duration::from_secs(30)).await.unwrap();
    drop(daemon);
    let away = Client::new(&url).unwrap().post("{}", &[]).await.unwrap();
    assert_eq!(away.status, 502);
    let _daemon = plan.builder().folder(folder.path()).start().await.unwrap();
    // The next request arrives at once: nginx does not mark the daemon as failed.
    let after = Client::connect(&url).await.unwrap();
    let sent = json!({"after": true});
    assert_eq!(after.call("echo", sent.clone()).await.unwrap()["structuredContent"]["echo"], sent);
    // Earlier sessions continue, too.
    before.call("echo", json!({})).await.unwrap();
}

#[tokio::test]
async fn strangers_are_turned_away_behind_it_too() {
    let scene = Scene::start().await;
    let client = Client::connect(&scene.url("/mcp/tools")).await.unwrap();
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let own_origin = format!("http://{}", scene.nginx.address());
    for (header, value, status) in [
        ("host", "evil.example", 421),
        ("host", "127.0.0.1.evil.example", 421),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("origin", &*own_origin, 200),
        // nginx replaces these headers, whatever a client sends.
        ("x-forwarded-host", "evil.example", 200),
        ("forwarded", "for=198.51.100.1;host=evil.example", 200),
    ] {
        let reply = client.post(ping, &[(header, value)]).await.unwrap();
        assert_eq!(reply.status, status, "{header}: {value}");
    }
}

#[tokio::test]
async fn a_body_may_be_as_large_as_the_daemon_takes_it() {
    let front = free_address().await;
    let plan = Plan::new(&format!("http://{front}/mcp"), "max_body = \"3MiB\"").await;
    let nginx = nginx::Nginx::start(&shown(&plan, &[]), front).await;
    let _daemon = plan.builder().start().await.unwrap();
    let client = Client::connect(&format!("http://{}/mcp/tools", nginx.address())).await.unwrap();
    let of = |length: usize| json!({"text": "x".repeat(length)});
    let answer = client.call("echo", of(2 << 20)).await.unwrap();
    assert_eq!(answer["structuredContent"]["echo"]["text"].as_str().unwrap().len(), 2 << 20);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": of(4 << 20)});
    assert_eq!(client.post(body.to_string(), &[]).await.unwrap().status, 413);
}

#[tokio::test]
async fn nginx_takes_what_is_printed_for_every_kind_of_address() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "1", "-subj", "/CN=tools.example", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl is here");
    assert!(made.status.success(), "{}", nginx::said(&made));
    let front = free_address().await.port();
    let own = free_address().await;
    for (url, more) in [
        (format!("https://tools.example:{front}/mcp"), String::new()),
        (format!("https://[::1]:{front}/a-b/c.d~e_f"), format!("sse_listen = \"{own}\"")),
        (format!("http://tools.example:{front}"), "sse = false".to_owned()),
        (format!("http://tools.example:{front}/mcp"), "http = false".to_owned()),
    ] {
        let plan = Plan::new(&url, &more).await;
        std::fs::write(folder.path().join("mainstay.toml"), &plan.config).unwrap();
        let arguments = ["service", "show", "nginx", "--certificate", "c.pem"];
        let arguments = [&arguments[..], &["--certificate-key", "k.pem", "--json"]].concat();
        let shown: Value = crate::mainstay(folder.path(), &arguments).exits(0).json();
        // The files have absolute paths, because nginx would search its own folder.
        let text = shown["text"].as_str().unwrap();
        let checked = nginx::check(text);
        assert!(checked.status.success(), "{url} {more}: {}\n{text}", nginx::said(&checked));
    }
}
