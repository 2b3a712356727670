//! Mainstay in the files of clients: put in, left alone, taken out.

use std::path::Path;

use mainstay_config::export::{CLIENTS, Client, Target, entry_name, find};
use mainstay_config::import::{
    ImportFile, ImportPlan, Parsed, PlanRequest, SecretHome, parse, plan,
};

const URL: &str = "http://127.0.0.1:8000/mcp";

fn url() -> Target {
    Target::Url(URL.to_owned())
}

fn command() -> Target {
    Target::Command { program: "/opt/mainstay".to_owned(), args: vec!["connect".to_owned()] }
}

fn target(client: &Client) -> Target {
    if client.takes_url { url() } else { command() }
}

fn put(client: &Client, text: &str, target: &Target) -> String {
    client.put(Path::new("file"), text, "mainstay", target).unwrap_or_else(|e| panic!("{e}"))
}

fn take_out(client: &Client, text: &str) -> String {
    client.take_out(Path::new("file"), text, "mainstay").unwrap_or_else(|e| panic!("{e}"))
}

fn planned(parsed: Parsed, own: Option<&str>) -> ImportPlan {
    let env = std::collections::BTreeMap::new();
    let request = PlanRequest { config: None, home: SecretHome::Environment, own, env: &env };
    plan(vec![parsed], &request).unwrap()
}

fn named(id: &str) -> &'static Client {
    find(id).unwrap()
}

#[test]
fn what_each_client_is_given() {
    for (id, expected) in [
        (
            "claude-desktop",
            "{\n  \"mcpServers\": {\n    \"mainstay\": {\n      \"command\": \"/opt/mainstay\",\n      \"args\": [\"connect\"]\n    }\n  }\n}\n",
        ),
        (
            "claude-code",
            "{\n  \"mcpServers\": {\n    \"mainstay\": {\n      \"type\": \"http\",\n      \"url\": \"http://127.0.0.1:8000/mcp\"\n    }\n  }\n}\n",
        ),
        ("codex", "[mcp_servers.mainstay]\nurl = \"http://127.0.0.1:8000/mcp\"\n"),
        (
            "goose",
            "extensions:\n  mainstay:\n    type: streamable_http\n    uri: http://127.0.0.1:8000/mcp\n    \
             name: mainstay\n    description: \"\"\n    enabled: true\n",
        ),
    ] {
        let client = named(id);
        assert_eq!(client.snippet("mainstay", &target(client)), expected, "{id}");
    }
    for (id, table, key) in [
        ("cursor", "mcpServers", "url"),
        ("vscode", "servers", "url"),
        ("windsurf", "mcpServers", "serverUrl"),
        ("zed", "context_servers", "url"),
        ("gemini", "mcpServers", "httpUrl"),
        ("copilot-cli", "mcpServers", "url"),
        ("cline", "mcpServers", "url"),
        ("continue", "mcpServers", "url"),
        ("lm-studio", "mcpServers", "url"),
        ("inspector", "mcpServers", "url"),
        ("generic", "mcpServers", "url"),
    ] {
        let text = named(id).snippet("mainstay", &url());
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json[table]["mainstay"][key], URL, "{id}: {text}");
    }
}

/// Files as people have them; each lacks what its client is given.
const FILES: [(&str, &str); 14] = [
    (
        "cursor",
        "{\n  // mine\n  \"mcpServers\": {\n    \"a\": { \"command\": \"x\" }, // why\n  },\n  \"other\": [1, 2,],\n}\n",
    ),
    ("cursor", "{\n\t\"mcpServers\": {\n\t\t\"a\": {\n\t\t\t\"command\": \"x\"\n\t\t}\n\t}\n}"),
    ("cursor", "{\"mcpServers\":{\"a\":{\"command\":\"x\"}}}"),
    ("claude-desktop", "{\r\n  \"theme\": \"dark\"\r\n}\r\n"),
    ("claude-code", "{}"),
    (
        "zed",
        "// Zed settings\n//\n{\n  /* a */ \"theme\": \"One\", // b\n  \"vim_mode\": true\n}\n",
    ),
    (
        "vscode",
        "{\n    \"inputs\": [],\n    \"servers\": {\n        \"a\": { \"url\": \"http://a/\" }\n    }\n}\n",
    ),
    ("gemini", "{ \"general\": { \"x\": 1.50 } }\n"),
    ("codex", "# mine\nmodel = 'o5' # why\n\n[mcp_servers.a]\ncommand = \"x\"\n# the end\n"),
    ("codex", "model = 'o5'\n"),
    ("codex", "[mcp_servers]\na = { command = \"x\" }"),
    ("codex", ""),
    (
        "goose",
        "GOOSE_MODEL: x # mine\nextensions:\n  # builtin\n  developer:\n    enabled: true\n    type: builtin\nlast: [1]\n",
    ),
    ("goose", "# nothing yet\n"),
];

#[test]
fn everything_else_stays_byte_for_byte() {
    for (id, text) in FILES {
        let client = named(id);
        let with = put(client, text, &target(client));
        assert_ne!(with, text);
        assert_eq!(put(client, &with, &target(client)), with, "twice: {id}");
        assert_eq!(client.mentions(Path::new("f"), &with).unwrap().names, ["mainstay"]);
        assert!(client.mentions(Path::new("f"), text).unwrap().names.is_empty());
        // One piece was added, and nothing else touched.
        let before = text.bytes().zip(with.bytes()).take_while(|(a, b)| a == b).count();
        let behind = text[before..].bytes().rev().zip(with.bytes().rev());
        let behind = behind.take_while(|(a, b)| a == b).count();
        assert_eq!(before + behind, text.len(), "{with}");
        let without = take_out(client, &with);
        assert_eq!(without.trim_end(), text.trim_end(), "{id}");
        assert_eq!(take_out(client, text), text, "nothing to take out: {id}");
    }
}

#[test]
fn an_entry_of_before_is_brought_up_to_date_and_keeps_what_else_it_says() {
    let text = "{ \"mcpServers\": { \"mainstay\": { \"command\": \"old\", \"args\": [], \"disabled\": true /* mine */ } } }";
    let with = put(named("cursor"), text, &url());
    assert_eq!(
        with.split_whitespace().collect::<String>(),
        format!(
            "{{\"mcpServers\":{{\"mainstay\":{{\"disabled\":true,/*mine*/\"url\":\"{URL}\"}}}}}}"
        ),
    );
    let text = put(named("copilot-cli"), "", &command()).replace("[\"*\"]", "[\"one\"]");
    let with = put(named("copilot-cli"), &text, &url());
    let json: serde_json::Value = serde_json::from_str(&with).unwrap();
    let expected = serde_json::json!({ "type": "http", "url": URL, "tools": ["one"] });
    assert_eq!(json["mcpServers"]["mainstay"], expected);
    let text = "[mcp_servers.mainstay]\ncommand = 'old' # was\nstartup_timeout_sec = 5 # mine\n\n[tui]\nx = 1\n";
    let with = put(named("codex"), text, &url());
    assert_eq!(
        with,
        format!(
            "[mcp_servers.mainstay]\nstartup_timeout_sec = 5 # mine\nurl = \"{URL}\"\n\n[tui]\nx = 1\n"
        )
    );
    assert_eq!(take_out(named("codex"), &with), "\n[tui]\nx = 1\n");
}

#[test]
fn files_that_hold_something_else_are_left_alone() {
    for (id, text, expected) in [
        ("cursor", "{ \"mcpServers\": [] }", "file:1:3: error: expected mcpServers to be"),
        ("cursor", "[]", "expected the file to be"),
        ("cursor", "{ \"a\": }", "file:1:"),
        ("codex", "mcp_servers = 3", "expected mcp_servers to be a table"),
        ("codex", "a = \n", "file:1:"),
    ] {
        let error = named(id).put(Path::new("file"), text, "mainstay", &url()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn what_is_exported_is_known_when_it_is_imported() {
    for client in &CLIENTS {
        for target in [url(), command()] {
            let name = entry_name(Some("files"));
            let text = client.snippet(&name, &target);
            let file = ImportFile::new(Path::new("f"), Path::new("/home/user/f"), None, &text);
            let parsed =
                parse(&file).unwrap_or_else(|problems| panic!("{}: {problems}", client.id));
            let plan = planned(parsed, None);
            let parsed = parse(&file).unwrap();
            let ours = planned(parsed, Some(URL));
            let is_ours = |reason: &str| reason == "it is Mainstay itself";
            let expected = format!("[servers.mainstay-files]\nurl = \"{URL}\"\n");
            match &target {
                Target::Url(_) => {
                    assert_eq!(plan.toml, format!("# from f\n{expected}"), "{}", client.id);
                    assert!(plan.added[0].notes.is_empty(), "{plan:?}");
                }
                Target::Command { .. } => assert!(is_ours(&plan.skipped[0].reason), "{plan:?}"),
            }
            assert!(ours.added.is_empty() && is_ours(&ours.skipped[0].reason), "{ours:?}");
        }
    }
}
