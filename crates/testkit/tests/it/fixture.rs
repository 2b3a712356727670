//! The fixture through the raw client and over lines; the suite itself checks the rest.

use mainstay_testkit::Client;
use mainstay_testkit::client::Reply;
use mainstay_testkit::fixture::{self, Speaks};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::running::{Lines, request};

async fn serve() -> (String, DropGuard) {
    serve_only(Speaks::All).await
}

async fn serve_only(speaks: Speaks) -> (String, DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    tokio::spawn(fixture::serve_http(listener, speaks, shutdown.clone()));
    (url, shutdown.drop_guard())
}

#[tokio::test]
async fn it_asks_and_reports_over_http() {
    let (url, _guard) = serve().await;
    let mut client = Client::new(&url).unwrap();
    client.initialize("2025-06-18", &json!({"elicitation": {}})).await.unwrap();
    let params = json!({"name": "test_elicitation", "arguments": {"message": "Who?"}});
    let mut exchange = client.send("tools/call", params).await.unwrap();
    let question = exchange.next().await.unwrap().unwrap();
    assert_eq!(question["method"], "elicitation/create");
    let answer = json!({"action": "accept", "content": {"username": "a", "email": "b"}});
    client.respond(&question["id"], answer).await.unwrap();
    let text = exchange.answer().await.unwrap()["result"]["content"][0]["text"].clone();
    assert_eq!(text, r#"User response: action=accept, content={"email":"b","username":"a"}"#);

    let params = json!({"name": "test_tool_with_progress", "_meta": {"progressToken": 7}});
    let (before, _) = client.send("tools/call", params).await.unwrap().all().await.unwrap();
    let steps: Vec<_> = before.iter().map(|one| one["params"]["progress"].as_f64()).collect();
    assert_eq!(steps, [Some(0.0), Some(50.0), Some(100.0)]);
}

#[tokio::test]
async fn changes_reach_the_side_stream() {
    let (url, _guard) = serve().await;
    let client = Client::connect(&url).await.unwrap();
    let mut side = client.listen(None).await.unwrap();
    client.request("resources/subscribe", json!({"uri": "test://watched-resource"})).await.unwrap();
    client.call("test_trigger_resource_change", json!({})).await.unwrap();
    let news = side.message().await.unwrap().unwrap();
    assert_eq!(news["method"], "notifications/resources/updated");
    let params = json!({"uri": "test://watched-resource"});
    let read = client.request("resources/read", params).await.unwrap();
    assert_eq!(read["contents"][0]["text"], "Watched resource, revision 2");
    assert_eq!(client.delete().await.unwrap().status, 202);
    let gone = client.post(request(9, "ping", json!({})).to_string(), &[]).await.unwrap();
    assert_eq!(gone.status, 404);
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused() {
    let (url, _guard) = serve().await;
    let client = Client::new(&url).unwrap();
    for header in [("host", "evil.example"), ("origin", "http://evil.example")] {
        let reply = client.post("{}", &[header]).await.unwrap();
        assert_eq!(reply.status, 403, "{header:?}");
    }
}

async fn first(mut reply: Reply) -> Value {
    reply.message().await.unwrap().unwrap()
}

/// How a fixture answers `initialize` and `server/discover`: with a result, or an error's code.
#[tokio::test]
async fn it_speaks_one_generation_where_told_so() {
    const UNSUPPORTED: i64 = -32022;
    let initialize = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "0"},
    });
    let discover = json!({"_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }});
    let modern = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "server/discover")];
    for (speaks, old, new) in [
        (Speaks::All, None, None),
        (Speaks::Legacy, None, Some(UNSUPPORTED)),
        (Speaks::Modern, Some(UNSUPPORTED), None),
    ] {
        let (url, _guard) = serve_only(speaks).await;
        let client = Client::new(&url).unwrap();
        let greeting = request(1, "initialize", initialize.clone()).to_string();
        let said = first(client.post(greeting, &[]).await.unwrap()).await;
        assert_eq!(said["error"]["code"].as_i64(), old, "{speaks:?}: {said}");
        let question = request(2, "server/discover", discover.clone()).to_string();
        let said = first(client.post(question, &modern).await.unwrap()).await;
        assert_eq!(said["error"]["code"].as_i64(), new, "{speaks:?}: {said}");
    }
}

#[test]
fn it_speaks_over_lines() {
    let mut fixture = Lines::start(env!("CARGO_BIN_EXE_mainstay-fixture"), &["stdio"]);
    let params = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "0"},
    });
    fixture.send(&request(0, "initialize", params));
    assert_eq!(fixture.message()["result"]["serverInfo"]["name"], "mainstay-fixture");
    fixture.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    fixture.call(1, "test_simple_text", json!({}));
    let answer = fixture.message();
    assert_eq!(answer["result"]["content"][0]["type"], "text");
    fixture.close();
    assert_eq!(fixture.exit(), Some(0));
}
