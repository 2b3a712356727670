//! Pages of merged lists, names that are made to fit, and items that clients would refuse.

use mainstay_testkit::{Client, Daemon, SseClient};
use serde_json::{Value, json};

use super::{PATIENCE, ask, assert_echo, daemon, eventually, in_state, misbehave, server};

const TOOL: &str = r#""inputSchema":{"type":"object"}"#;

/// Returns a server that answers list methods with these results, as text.
fn with_lists(folder: &std::path::Path, name: &str, lists: &[(&str, &str)]) -> Vec<String> {
    let flags: Vec<_> = lists
        .iter()
        .map(|(kind, result)| {
            let file = folder.join(format!("{name}-{kind}.json"));
            std::fs::write(&file, result).unwrap();
            format!("--{kind}-from={}", file.display())
        })
        .collect();
    misbehave(&flags.iter().map(String::as_str).collect::<Vec<_>>())
}

fn with_tools(folder: &std::path::Path, name: &str, tools: &[String]) -> Vec<String> {
    let result = format!(r#"{{"tools":[{}]}}"#, tools.join(","));
    with_lists(folder, name, &[("tools", &result)])
}

async fn merged(daemon: &Daemon) -> Client {
    Client::connect(&format!("{}/mcp", daemon.base())).await.unwrap()
}

fn keys(page: &Value, member: &str, key: &str) -> Vec<String> {
    let items = page[member].as_array().unwrap().iter();
    items.map(|item| item[key].as_str().unwrap().to_owned()).collect()
}

fn names(page: &Value) -> Vec<String> {
    keys(page, "tools", "name")
}

/// Returns a page of the tools, and the cursor of the next one.
async fn page(client: &Client, cursor: &Value) -> (Vec<String>, Value) {
    let params = if cursor.is_null() { json!({}) } else { json!({"cursor": cursor}) };
    let page = client.request("tools/list", params).await.unwrap();
    (names(&page), page["nextCursor"].clone())
}

async fn all_names(client: &Client) -> Vec<String> {
    let (mut all, mut cursor) = page(client, &Value::Null).await;
    while !cursor.is_null() {
        let (more, next) = page(client, &cursor).await;
        all.extend(more);
        cursor = next;
    }
    all
}

#[tokio::test]
async fn pages_fit_together_although_the_list_changes_meanwhile() {
    let daemon = daemon()
        .command_server("a", &misbehave(&["--tools=10"]))
        .command_server("b", &misbehave(&["--tools=1500"]))
        .start()
        .await
        .unwrap();
    in_state(&daemon, "a", "ready").await;
    in_state(&daemon, "b", "ready").await;
    let client = merged(&daemon).await;
    let before = all_names(&client).await;
    let (mut got, cursor) = page(&client, &Value::Null).await;
    // The first server gains a tool, which moves everything behind it.
    ask(&client, "change", json!({})).await;
    let after = eventually("the new tool", async || {
        Some(all_names(&client).await).filter(|names| names.contains(&"added_0".to_owned()))
    })
    .await;
    assert_eq!(after.len(), before.len() + 1);
    let (rest, end) = page(&client, &cursor).await;
    got.extend(rest);
    assert_eq!((got, end), (before, Value::Null));
}

#[tokio::test]
async fn a_cursor_continues_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let begin = async |tools: &str| {
        let builder = daemon().folder(folder.path()).command_server("a", &misbehave(&[tools]));
        let daemon = builder.start().await.unwrap();
        in_state(&daemon, "a", "ready").await;
        daemon
    };
    let first = begin("--tools=1500").await;
    let client = merged(&first).await;
    let (mut got, cursor) = page(&client, &Value::Null).await;
    let all = all_names(&client).await;
    drop(client);
    drop(first);
    let second = begin("--tools=1500").await;
    got.extend(page(&merged(&second).await, &cursor).await.0);
    assert_eq!(got, all);
    drop(second);
    // With another list, it continues behind the last item of its page, if that is still there.
    let third = begin("--tools=1502").await;
    let client = merged(&third).await;
    let (rest, _) = page(&client, &cursor).await;
    assert_eq!(rest.last().map(String::as_str), Some("extra_01501"));
    assert_eq!(rest[..rest.len() - 2], all[1000..]);
    drop(client);
    drop(third);
    let fourth = begin("--tools=3").await;
    let client = merged(&fourth).await;
    let mut sent = client.send("tools/list", json!({"cursor": cursor})).await.unwrap();
    let answer = sent.answer().await.unwrap();
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}

#[tokio::test]
async fn pages_over_an_event_stream_stay_below_what_its_readers_bear() {
    let folder = tempfile::tempdir().unwrap();
    let text = "x".repeat(1500);
    let tools: Vec<_> = (0..738)
        .map(|number| format!(r#"{{"name":"tool_{number}","description":"{text}",{TOOL}}}"#))
        .collect();
    let daemon = daemon()
        .command_server("s", &with_tools(folder.path(), "s", &tools))
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    let mut client =
        SseClient::connect(&format!("{}/sse", daemon.base()), &json!({})).await.unwrap();
    let (mut all, mut params, mut pages) = (Vec::new(), json!({}), 0);
    loop {
        let page = client.request("tools/list", params).await.unwrap();
        assert!(page.to_string().len() < 600 << 10, "{}", page.to_string().len());
        all.extend(names(&page));
        pages += 1;
        if page["nextCursor"].is_null() {
            break;
        }
        params = json!({"cursor": page["nextCursor"]});
    }
    assert_eq!((pages, all.len()), (3, 738));
    // Clients that read any size get as much as fits, because many read only the first page.
    assert_eq!(page(&merged(&daemon).await, &Value::Null).await.0, all);
}

#[tokio::test]
async fn a_list_that_was_just_fetched_is_not_fetched_with_each_page() {
    let daemon = daemon()
        .command_server("s", &misbehave(&["--untold", "--tools=2500"]))
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    let client = merged(&daemon).await;
    let fetched = async || {
        let stats = ask(&daemon.client("s").await.unwrap(), "stats", json!({})).await;
        stats["result"]["structuredContent"]["counts"]["tools/list"].as_u64().unwrap()
    };
    let before = fetched().await;
    for _ in 0..10 {
        all_names(&client).await;
    }
    // The call that counts is a reason to list once more. On a slow machine, time is another.
    let fetched = fetched().await - before;
    assert!((1..10).contains(&fetched), "{fetched} fetches for 30 pages");
}

#[tokio::test]
async fn names_are_made_to_fit_and_lead_back_to_their_tools() {
    let folder = tempfile::tempdir().unwrap();
    let tool = |name: &str| format!(r#"{{"name":"{name}",{TOOL}}}"#);
    let own = ["notes/read", "say hi", "v1.2", "", "plain"];
    let tools: Vec<_> = own.iter().map(|own| tool(own)).collect();
    let daemon = daemon()
        .command_server("s", &with_tools(folder.path(), "s", &tools))
        .config(
            "[endpoints.strict]\nservers = [\"s\"]\nnames = \"strict\"\n\
             [endpoints.bare]\nservers = [\"s\"]\nnames = \"as-is\"",
        )
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    for (endpoint, expected) in [
        ("/mcp", ["notes_read", "say_hi", "v1.2", "s", "plain"]),
        ("/mcp/strict", ["notes_read", "say_hi", "v1_2", "s", "plain"]),
        ("/mcp/bare", own),
        ("/mcp/s", own),
    ] {
        let client = Client::connect(&format!("{}{endpoint}", daemon.base())).await.unwrap();
        assert_eq!(page(&client, &Value::Null).await.0, expected, "{endpoint}");
        for name in expected {
            assert_echo(&ask(&client, name, json!({"n": name})).await, &json!({"n": name}));
        }
    }
}

#[tokio::test]
async fn names_of_an_earlier_version_stay_until_strict_ones_are_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let tools = [format!(r#"{{"name":"notes/read",{TOOL}}}"#)];
    let command = with_tools(folder.path(), "s", &tools);
    let begin = async |config: &str| {
        let builder = daemon().folder(folder.path()).config(config).command_server("s", &command);
        let daemon = builder.start().await.unwrap();
        in_state(&daemon, "s", "ready").await;
        daemon
    };
    // Earlier versions published names as they are.
    let daemon = begin("[gateway]\nnames = \"as-is\"").await;
    assert_eq!(all_names(&merged(&daemon).await).await, ["notes/read"]);
    drop(daemon);
    let daemon = begin("").await;
    assert_eq!(all_names(&merged(&daemon).await).await, ["notes/read"]);
    drop(daemon);
    let daemon = begin("[gateway]\nnames = \"strict\"").await;
    let client = merged(&daemon).await;
    assert_eq!(all_names(&client).await, ["notes_read"]);
    for name in ["notes_read", "notes/read"] {
        assert_echo(&ask(&client, name, json!({"n": 1})).await, &json!({"n": 1}));
    }
}

#[tokio::test]
async fn an_item_that_clients_would_refuse_is_left_out_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let tools = [
        format!(r#"{{"name":"fine",{TOOL}}}"#),
        r#"{"name":"no_schema"}"#.to_owned(),
        r#"{"name":"null_schema","inputSchema":null}"#.to_owned(),
        r#"{"name":"string_schema","inputSchema":{"type":"string"}}"#.to_owned(),
        format!(r#"{{"name":"odd","description":7,{TOOL}}}"#),
        format!(r#"{{"name":"nulls","description":null,"annotations":null,{TOOL}}}"#),
        format!(r#"{{{TOOL}}}"#),
    ];
    let lists = [
        ("tools", format!(r#"{{"tools":[{}]}}"#, tools.join(","))),
        ("prompts", r#"{"prompts":[{"name":"p"},{"name":"q","arguments":7}]}"#.to_owned()),
        (
            "resources",
            r#"{"resources":[{"uri":"x://1","name":"n"},{"uri":"x://2"},{"uri":"bare","name":"n"}]}"#
                .to_owned(),
        ),
        (
            "templates",
            r#"{"resourceTemplates":[{"uriTemplate":"x://{n}","name":"n"},{"uriTemplate":"y://{n}"}]}"#
                .to_owned(),
        ),
    ];
    let lists = lists.each_ref().map(|(kind, result)| (*kind, result.as_str()));
    let daemon = daemon()
        .command_server("good", &misbehave(&[]))
        .command_server("bad", &with_lists(folder.path(), "bad", &lists))
        .start()
        .await
        .unwrap();
    in_state(&daemon, "good", "ready").await;
    in_state(&daemon, "bad", "ready").await;
    let client = merged(&daemon).await;
    for (method, member, key, there, left_out) in [
        (
            "tools/list",
            "tools",
            "name",
            &["fine", "nulls"][..],
            &["no_schema", "null_schema", "string_schema", "odd"][..],
        ),
        ("prompts/list", "prompts", "name", &["p"], &["q"]),
        ("resources/list", "resources", "uri", &["x://1"], &["x://2", "bare"]),
        (
            "resources/templates/list",
            "resourceTemplates",
            "uriTemplate",
            &["x://{n}"],
            &["y://{n}"],
        ),
    ] {
        let listed = client.request(method, json!({})).await.unwrap();
        let keys = keys(&listed, member, key);
        for item in there {
            assert!(keys.iter().any(|key| key == item), "{method}: {item}: {listed}");
        }
        let missing = listed["_meta"]["mainstay/missing"].as_array().unwrap();
        assert!(missing.iter().all(|one| one["server"] == "bad"), "{listed}");
        let missing = listed["_meta"].to_string();
        for item in left_out {
            assert!(!keys.iter().any(|key| key == item), "{method}: {item}: {listed}");
            assert!(missing.contains(&format!("\"{item}\"")), "{method}: {item}: {missing}");
        }
    }
    let listed = client.request("tools/list", json!({})).await.unwrap();
    let nulls = listed["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == "nulls");
    assert_eq!(*nulls.unwrap(), json!({"name": "nulls", "inputSchema": {"type": "object"}}));
    // Clients that know the name can use it.
    assert_echo(&ask(&client, "no_schema", json!({"n": 1})).await, &json!({"n": 1}));
    // The address of the server is not concerned.
    let own = daemon.client("bad").await.unwrap();
    let own = own.request("tools/list", json!({})).await.unwrap();
    assert_eq!(own["tools"].as_array().unwrap().len(), tools.len());
    let note = server(&daemon, "bad").await["note"].as_str().unwrap().to_owned();
    assert!(note.contains("no_schema") && note.contains("`inputSchema` is missing"), "{note}");
    daemon.wait_for_log("no_schema", PATIENCE).await.unwrap();
    let printed = daemon.run(&["tools", "bad"]).unwrap();
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    for words in
        ["fine", "no_schema", "(no name)", "clients refuse odd: `description` is not a string"]
    {
        assert!(printed.contains(words), "{words}: {printed}");
    }
}
