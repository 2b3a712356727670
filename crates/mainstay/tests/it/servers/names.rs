//! Names in merged lists: their servers, their shortening and their stability.

use mainstay_testkit::{Client, Daemon};
use serde_json::json;

use super::{ask, assert_echo, daemon, in_state, misbehave};

/// Returns a server with exactly these tools, as text.
fn with_tools(folder: &std::path::Path, name: &str, tools: &str, more: &[&str]) -> Vec<String> {
    let file = folder.join(format!("{name}.json"));
    std::fs::write(&file, format!(r#"{{"tools":[{tools}]}}"#)).unwrap();
    let from = format!("--tools-from={}", file.display());
    misbehave(&[&[from.as_str()], more].concat())
}

/// Returns the tools at `/mcp` as text, once these servers are ready.
async fn listed(daemon: &Daemon, servers: &[&str]) -> String {
    for name in servers {
        in_state(daemon, name, "ready").await;
    }
    let client = Client::connect(&format!("{}/mcp", daemon.base())).await.unwrap();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    client.post(body, &[]).await.unwrap().text().await.unwrap()
}

fn names(listed: &str) -> Vec<String> {
    let listed: serde_json::Value = serde_json::from_str(listed).unwrap();
    let tools = listed["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn items_are_the_servers_own_but_for_a_name_that_collides() {
    let folder = tempfile::tempdir().unwrap();
    let rest = r#""inputSchema":{ "type":"object", "x":1.0, "big":12345678901234567890123 },"zebra":[1E300,-0],"description":"\u00e9 name \"echo\"" }"#;
    let tool = |name: &str| format!(r#"{{  "title":"T", "name" : "{name}",{rest}"#);
    let (long, name) = ("l".repeat(70), "o".repeat(60));
    let tools = [tool("echo"), tool(&long), tool(&name)].join(" , ");
    let daemon = daemon()
        .command_server("a", &with_tools(folder.path(), "a", &tools, &[]))
        .command_server("b", &with_tools(folder.path(), "b", &tools, &[]))
        .config("[endpoints.b-too]\nservers = [\"b\"]")
        .start()
        .await
        .unwrap();
    let listed = listed(&daemon, &["a", "b"]).await;
    let published = names(&listed);
    // The rule, worked out by hand: 55 characters, `_`, 8 digits of the SHA-256 of the full name.
    assert_eq!(published[0], "echo");
    assert!(published[1].starts_with(&format!("{}_", "l".repeat(55))), "{published:?}");
    assert_eq!((published[1].len(), published[2].as_str()), (64, name.as_str()));
    assert_eq!(published[3], "b_echo");
    assert!(published[4].starts_with(&format!("b_{}_", "l".repeat(53))), "{published:?}");
    assert_eq!((published[4].len(), published[5].clone()), (64, format!("b_{name}")));
    for name in &published {
        assert!(listed.contains(&tool(name)), "{name} is not as the server lists it:\n{listed}");
    }
    let client = Client::connect(&format!("{}/mcp", daemon.base())).await.unwrap();
    for name in &published {
        assert_echo(&ask(&client, name, json!({"n": name})).await, &json!({"n": name}));
    }
    // The address of one server changes no name, whatever its length.
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let alone = daemon.client("b").await.unwrap();
    let text = alone.post(body, &[]).await.unwrap().text().await.unwrap();
    assert!(text.contains(&format!("[{tools}]")), "{text}");
}

#[tokio::test]
async fn names_stay_whoever_comes_first_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let tool = r#"{"name":"echo","inputSchema":{"type":"object"}}"#;
    let fast = |name| with_tools(folder.path(), name, tool, &[]);
    let late = |name| with_tools(folder.path(), name, tool, &["--slow-start=700"]);
    let begin = |first: Vec<String>, second: Vec<String>, swapped: bool| {
        let mut servers = [("a", first), ("b", second)];
        if swapped {
            servers.reverse();
        }
        let [(one, first), (other, second)] = servers;
        let builder = daemon().folder(folder.path()).config("[gateway]\nlist_timeout = \"100ms\"");
        builder.command_server(one, &first).command_server(other, &second).start()
    };
    // On the first start, the second server of the file is ready long before the first.
    let daemon = begin(late("a"), fast("b"), false).await.unwrap();
    in_state(&daemon, "b", "ready").await;
    assert_eq!(names(&listed(&daemon, &["b"]).await), ["echo"]);
    assert_eq!(names(&listed(&daemon, &["a", "b"]).await), ["a_echo", "echo"]);
    drop(daemon);
    for (a, b, swapped, expected) in [
        (fast("a"), fast("b"), false, ["a_echo", "echo"]),
        (fast("a"), late("b"), false, ["a_echo", "echo"]),
        (fast("a"), fast("b"), true, ["echo", "a_echo"]),
    ] {
        let daemon = begin(a, b, swapped).await.unwrap();
        let early = names(&listed(&daemon, &["a"]).await);
        assert!(early.contains(&"a_echo".to_owned()), "swapped: {swapped}: {early:?}");
        assert_eq!(names(&listed(&daemon, &["a", "b"]).await), expected, "swapped: {swapped}");
    }
}

/// A client that uses an old name is answered by the server itself.
#[tokio::test]
async fn a_name_that_was_seen_leads_to_its_server_whatever_that_lists_now() {
    let folder = tempfile::tempdir().unwrap();
    let begin = |tool: &str| {
        let builder = daemon().folder(folder.path());
        let one = with_tools(
            folder.path(),
            "a",
            &format!(r#"{{"name":"{tool}","inputSchema":{{"type":"object"}}}}"#),
            &[],
        );
        builder.command_server("a", &one).command_server("b", &misbehave(&[])).start()
    };
    let daemon = begin("before").await.unwrap();
    assert_eq!(names(&listed(&daemon, &["a", "b"]).await)[0], "before");
    drop(daemon);
    let daemon = begin("after").await.unwrap();
    assert_eq!(names(&listed(&daemon, &["a", "b"]).await)[0], "after");
    let client = Client::connect(&format!("{}/mcp", daemon.base())).await.unwrap();
    // This server answers everything.
    assert_echo(&ask(&client, "before", json!({"n": 1})).await, &json!({"n": 1}));
    let answer = ask(&client, "never", json!({})).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}

#[tokio::test]
async fn the_order_of_the_file_decides_as_long_as_nobody_has_looked() {
    let folder = tempfile::tempdir().unwrap();
    let tool = r#"{"name":"echo","inputSchema":{"type":"object"}}"#;
    let daemon = daemon()
        .command_server("a", &with_tools(folder.path(), "a", tool, &["--slow-start=300"]))
        .command_server("b", &with_tools(folder.path(), "b", tool, &[]))
        .start()
        .await
        .unwrap();
    in_state(&daemon, "b", "ready").await;
    assert_eq!(names(&listed(&daemon, &["a", "b"]).await), ["echo", "b_echo"]);
}
