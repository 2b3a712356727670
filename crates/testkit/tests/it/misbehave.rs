//! Each fault has the effect that its help describes.

use std::collections::BTreeSet;
use std::time::Duration;

use mainstay_testkit::Client;
use mainstay_testkit::misbehave::{Flags, help};
use serde_json::{Value, json};

use crate::running::{Lines, request, site};

#[test]
fn help_names_everything_and_wrong_flags_are_refused() {
    let help = help();
    for name in ["--modern-only", "--lose-session-after=N", "echo", "hang", "ask_user"] {
        assert!(help.contains(name), "{name} is missing");
    }
    for (flag, says) in [
        ("--nonsense", "unknown flag: --nonsense (see --help)"),
        ("--pages", "--pages is written --pages=N"),
        ("--pages=many", "--pages wants a number, not many"),
        ("--bom=1", "--bom is written --bom"),
        ("bom", "not a flag: bom (see --help)"),
    ] {
        assert_eq!(Flags::parse(&[flag]).unwrap_err().to_string(), says);
    }
}

#[test]
fn output_is_dirty_as_told() {
    let mut server = Lines::misbehave(&["--bom", "--banner", "--crlf", "--noise"]);
    assert!(server.line().starts_with("\u{feff}Starting server"));
    server.handshake();
    server.call(1, "echo", json!({"a": 1}));
    let mut line = server.line();
    while !line.starts_with('{') {
        assert!(line.ends_with("\r\n"), "{line:?}");
        line = server.line();
    }
    let answer: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(answer["result"]["structuredContent"]["echo"], json!({"a": 1}));
}

#[test]
fn it_ends_as_told() {
    for (flags, code) in [("--die-in-handshake", 7), ("--exit-after=1", 9)] {
        let mut server = Lines::misbehave(&[flags]);
        server.send(&request(0, "initialize", json!({})));
        assert_eq!(server.exit(), Some(code), "{flags}");
    }
    let mut server = Lines::misbehave(&["--die-on-discover"]);
    server.send(&request(0, "server/discover", json!({})));
    assert_eq!(server.exit(), Some(8));
    let mut server = Lines::misbehave(&[]);
    server.call(1, "crash", json!({"code": 42}));
    assert_eq!(server.exit(), Some(42));
    let mut server = Lines::misbehave(&[]);
    server.call(1, "slow", json!({"ms": 50}));
    server.close();
    assert_eq!(server.message()["id"], 1, "a call in flight is answered");
    assert_eq!(server.exit(), Some(0));
}

#[test]
fn generations_are_refused_as_told() {
    let mut server = Lines::misbehave(&["--modern-only"]);
    server.send(&request(1, "initialize", json!({"protocolVersion": "2025-11-25"})));
    let refused = server.message();
    assert_eq!(refused["error"]["code"], -32022);
    assert_eq!(refused["error"]["data"]["supported"], json!(["2026-07-28"]));
    server.send(&request(2, "server/discover", json!({})));
    assert_eq!(server.message()["error"]["code"], -32602);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    server.send(&request(3, "server/discover", json!({"_meta": meta})));
    assert_eq!(server.message()["result"]["supportedVersions"], json!(["2026-07-28"]));

    let mut server = Lines::misbehave(&["--discover-code=-32602"]);
    server.send(&request(1, "server/discover", json!({})));
    assert_eq!(server.message()["error"]["code"], -32602);
    assert_eq!(server.handshake()["result"]["protocolVersion"], "2025-06-18");

    let mut server = Lines::misbehave(&["--silent-discover"]);
    server.send(&request(1, "server/discover", json!({})));
    assert!(server.is_silent_for(Duration::from_millis(100)));
    server.handshake();
}

#[test]
fn answers_go_wrong_as_told() {
    let mut server = Lines::misbehave(&[]);
    server.handshake();
    for (tool, lines) in [
        ("twice", vec![json!(1), json!(1)]),
        ("unknown_id", vec![json!(424_242), json!("nobody"), Value::Null, json!([1]), json!(1)]),
        ("wrong_id_type", vec![json!("1"), json!(1)]),
        ("wrong_type", vec![json!(1)]),
        ("no_result", vec![json!(1)]),
    ] {
        server.call(1, tool, json!({}));
        let ids: Vec<Value> = lines.iter().map(|_| server.message()["id"].clone()).collect();
        assert_eq!(ids, lines, "{tool}");
    }
    server.call(2, "lossless", json!({}));
    assert!(server.line().contains(r#""apple":12345678901234567890123,"exponent":1E400"#));
    server.send(
        &serde_json::from_str(
            r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo_raw"}}"#,
        )
        .unwrap(),
    );
    assert_eq!(server.message()["result"]["content"][0]["text"], r#"{"name":"echo_raw"}"#);
}

#[test]
fn hanging_calls_do_not_hold_up_others() {
    let mut server = Lines::misbehave(&["--delay=20", "--seed=7"]);
    server.handshake();
    server.call(1, "hang", json!({}));
    server.call(2, "hang_until_cancelled", json!({}));
    for id in 3..20 {
        server.call(id, "echo", json!({"id": id}));
    }
    let mut seen = BTreeSet::new();
    for _ in 3..20 {
        let answer = server.message();
        assert_eq!(answer["id"], answer["result"]["structuredContent"]["echo"]["id"]);
        seen.insert(answer["id"].as_u64().unwrap());
    }
    assert_eq!(seen, (3..20).collect());
    let params = json!({"requestId": 2});
    server.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}));
    assert_eq!(server.message()["id"], 2);
    server.call(30, "stats", json!({}));
    let stats = server.message()["result"]["structuredContent"].clone();
    assert_eq!(stats["counts"]["cancelled calls"], 1);
    assert_eq!(stats["counts"]["tool echo"], 17);
}

#[test]
fn the_client_is_asked_as_told() {
    let mut server = Lines::misbehave(&["--ping"]);
    server.handshake();
    assert_eq!(server.message()["method"], "ping");
    for (tool, method) in [
        ("ask_user", "elicitation/create"),
        ("ask_model", "sampling/createMessage"),
        ("ask_roots", "roots/list"),
        ("ask_unknown", "misbehave/unknown"),
    ] {
        server.call(1, tool, json!({"for": tool}));
        let question = server.message();
        assert_eq!(question["method"], method);
        let result = json!({"said": tool});
        server.send(&json!({"jsonrpc": "2.0", "id": question["id"], "result": result}));
        let answer = server.message()["result"]["structuredContent"].clone();
        assert_eq!(answer, json!({"answer": result, "echo": {"for": tool}}));
    }
}

#[tokio::test]
async fn lists_come_in_pages_and_change() {
    let (url, _guard) = site(&["--pages=7", "--tools=10"]).await;
    let client = Client::connect(&url).await.unwrap();
    let all = names(&client).await;
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    let mut side = client.listen(None).await.unwrap();
    client.call("change", json!({})).await.unwrap();
    let news = side.message().await.unwrap().unwrap();
    assert_eq!(news["method"], "notifications/tools/list_changed");
    assert_eq!(names(&client).await.len(), all.len() + 1);
    client.call("added_0", json!({})).await.unwrap();
    client.call("extra_00009", json!({})).await.unwrap();
    client.call("extra", json!({})).await.unwrap_err();
}

#[tokio::test]
async fn sessions_are_lost_in_every_way() {
    for (how, status, says) in [
        ("404", 404, "Not Found"),
        ("404-code", 404, "-32001"),
        ("400-session", 400, "No valid session ID"),
        ("400-init", 400, "Server not initialized"),
        ("400-text", 400, "Invalid session ID"),
    ] {
        // Three: both messages of the handshake, and one call.
        let (url, _guard) = site(&["--lose-session-after=3", &format!("--lost={how}")]).await;
        let mut client = Client::connect(&url).await.unwrap();
        client.call("echo", json!({})).await.unwrap();
        let mut lost = client.post(request(9, "ping", json!({})).to_string(), &[]).await.unwrap();
        assert_eq!(lost.status, status, "{how}");
        assert!(lost.text().await.unwrap().contains(says), "{how}");
        client.initialize("2025-11-25", &json!({})).await.unwrap();
    }
    let (url, _guard) = site(&[]).await;
    let client = Client::connect(&url).await.unwrap();
    assert_eq!(client.plain("POST", "/control/forget").await.unwrap().status, 200);
    client.call("echo", json!({})).await.unwrap_err();
}

#[tokio::test]
async fn pages_of_html_come_instead_of_answers() {
    let (url, _guard) = site(&["--html=502", "--no-get", "--no-delete"]).await;
    let client = Client::connect(&url).await.unwrap();
    let refused = client.call("echo", json!({})).await.unwrap_err().to_string();
    assert!(refused.contains("502") && refused.contains("<html>"), "{refused}");
    assert_eq!(client.listen(None).await.unwrap().status, 405);
    assert_eq!(client.delete().await.unwrap().status, 405);
    let mut broken = client.post("{oh", &[]).await.unwrap();
    assert!(broken.text().await.unwrap().starts_with("<!DOCTYPE html>"));
}

async fn names(client: &Client) -> Vec<String> {
    let mut names = Vec::new();
    let mut params = json!({});
    loop {
        let page = client.request("tools/list", params).await.unwrap();
        let tools = page["tools"].as_array().unwrap();
        names.extend(tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()));
        if page["nextCursor"].is_null() {
            return names;
        }
        params = json!({"cursor": page["nextCursor"]});
    }
}
