//! Mainstay in the files of clients: put in, left alone, taken out.

use std::path::Path;

use mainstay_config::export::{CLIENTS, Client, Folders, Target, entry_name, find};
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

fn planned(parsed: Parsed, own: &[String]) -> ImportPlan {
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
        ("qwen", "mcpServers", "httpUrl"),
        ("opencode", "mcp", "url"),
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
const FILES: [(&str, &str); 18] = [
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
    (
        "qwen",
        "{ // mine\n  \"ui\": {},\n  \"mcpServers\": { \"a\": { \"httpUrl\": \"http://a/\" } }\n}\n",
    ),
    ("opencode", "{\n  \"$schema\": \"https://opencode.ai/config.json\"\n}"),
    (
        "opencode",
        "{\n  // mine\n  \"mcp\": {\n    \"a\": { \"type\": \"local\", \"command\": [\"x\"] }, // why\n  },\n}\n",
    ),
    (
        "opencode",
        "{\n  \"mcp\": {\n    \"timeout\": 5,\n    \"servers\": {\n      \"a\": { \"type\": \"remote\", \"url\": \"http://a/\" },\n    },\n  },\n}\n",
    ),
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
fn line_ends_of_windows_stay_when_an_entry_is_written_again() {
    for text in ["model = 'o5'\r\n", "[mcp_servers]\r\na = { command = \"x\" }\r\n", ""] {
        let once = put(named("codex"), text, &command());
        let twice = put(named("codex"), &once, &url());
        assert_eq!(twice.contains('\r'), !text.is_empty(), "{twice:?}");
        assert!(text.is_empty() || !twice.replace("\r\n", "").contains('\n'), "{twice:?}");
        assert_eq!(put(named("codex"), &twice, &url()), twice, "a third time changes nothing");
    }
}

#[test]
fn servers_are_found_and_removed_in_every_table_of_the_file() {
    let text = r#"{
  "mcp": {
    "old": { "type": "remote", "url": "http://old/" },
    "timeout": { "startup": 5 },
    // since the second version
    "servers": { "new": { "type": "local", "command": ["x"] }, "mainstay": { "type": "remote", "url": "http://was/" } }
  }
}
"#;
    let (client, path) = (named("opencode"), Path::new("f"));
    let servers = client.servers(path, text).unwrap();
    let shown: Vec<_> = servers.iter().map(|server| (&*server.name, server.within.len())).collect();
    assert_eq!(shown, [("new", 2), ("mainstay", 2), ("old", 0)]);
    // Mainstay is brought up to date where it is.
    let with = put(client, text, &url());
    assert_eq!(with, text.replace("http://was/", URL));
    let without = servers.iter().filter(|server| server.name != "mainstay");
    let without = without.fold(with, |text, server| client.remove(path, &text, server).unwrap());
    let left = client.servers(path, &without).unwrap();
    assert_eq!(left.iter().map(|server| &*server.name).collect::<Vec<_>>(), ["mainstay"]);
    assert!(without.contains("\"timeout\": { \"startup\": 5 }"), "{without}");

    let text = r#"{
  "mcpServers": { "a": { "command": "a" } },
  "projects": {
    "/home/user/p": { "mcpServers": { "a": { "command": "b" } }, "allowedTools": [] },
    "/home/user/q": { "mcpServers": {} }
  }
}
"#;
    let client = named("claude-code");
    let servers = client.servers(path, text).unwrap();
    let shown: Vec<_> = servers.iter().map(mainstay_config::export::ClientServer::shown).collect();
    assert_eq!(shown, ["a", "a (in /home/user/p)"]);
    let text = client.remove(path, text, &servers[1]).unwrap();
    let left: Vec<_> = client.servers(path, &text).unwrap();
    assert_eq!(left, servers[..1]);
    assert!(text.contains("\"/home/user/p\": { \"allowedTools\": [] }"), "{text}");
}

#[test]
fn a_file_of_opencode_is_known_without_its_schema() {
    for (text, expected) in [
        (r#"{"mcp": {"servers": {"a": {"type": "remote", "url": "http://${X}/{env:Y}"}}}}"#, true),
        (
            r#"{"mcp": {"a": {"enabled": false}, "b": {"type": "remote", "url": "http://{env:Y}"}}}"#,
            true,
        ),
        (r#"{"mcp": {"servers": {"a": {"type": "http", "url": "http://${env:Y}"}}}}"#, false),
    ] {
        let file = ImportFile::new(Path::new("f"), Path::new("/f"), None, text);
        let parsed = parse(&file).unwrap();
        assert_eq!(parsed.format == "OpenCode", expected, "{text}");
        let plan = planned(parsed, &[]);
        assert!(plan.toml.contains("${Y}"), "{}", plan.toml);
    }
}

#[test]
fn the_files_of_clients_are_looked_for_where_the_clients_do() {
    let home = Path::new("/home/user");
    let folders = |name: &'static str, value: &'static str| {
        Folders::new(home.to_owned(), move |key| (key == name).then(|| value.to_owned()))
    };
    let first = |id, folders: &Folders| named(id).places(folders)[0].display().to_string();
    let usual = folders("", "");
    for (id, expected) in [
        ("qwen", "/home/user/.qwen/settings.json"),
        ("opencode", "/home/user/.config/opencode/opencode.json"),
        ("gemini", "/home/user/.gemini/settings.json"),
    ] {
        assert_eq!(first(id, &usual), expected);
    }
    assert_eq!(first("opencode", &folders("OPENCODE_CONFIG", "/o.json")), "/o.json");
    let elsewhere = folders("XDG_CONFIG_HOME", "/c");
    assert_eq!(first("opencode", &elsewhere), "/c/opencode/opencode.json");
    let in_project = |id| named(id).places_in(Path::new("/p"));
    assert_eq!(in_project("qwen"), [Path::new("/p/.qwen/settings.json")]);
    assert_eq!(in_project("opencode")[1], Path::new("/p/opencode.jsonc"));
    assert!(in_project("windsurf").is_empty());
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
    const ELSEWHERE: &str = "https://tools.example.org/mcp";
    let is_ours = |plan: &ImportPlan| {
        plan.added.is_empty() && plan.skipped[0].reason == "it is Mainstay itself"
    };
    for client in &CLIENTS {
        for target in [url(), command(), Target::Url(ELSEWHERE.to_owned())] {
            let name = entry_name(Some("files"));
            let text = client.snippet(&name, &target);
            let file = ImportFile::new(Path::new("f"), Path::new("/home/user/f"), None, &text);
            let parsed =
                || parse(&file).unwrap_or_else(|problems| panic!("{}: {problems}", client.id));
            let ours = planned(parsed(), &[ELSEWHERE.to_owned()]);
            assert!(is_ours(&ours), "{}: {ours:?}", client.id);
            // Without any address, what is on this machine is known by its name and its path.
            let plan = planned(parsed(), &[]);
            if target == Target::Url(ELSEWHERE.to_owned()) {
                let expected = format!("[servers.mainstay-files]\nurl = \"{ELSEWHERE}\"\n");
                assert_eq!(plan.toml, format!("# from f\n{expected}"), "{}", client.id);
                assert!(plan.added[0].notes.is_empty(), "{plan:?}");
            } else {
                assert!(is_ours(&plan), "{}: {plan:?}", client.id);
            }
        }
    }
    for (name, url) in [
        ("files", "http://127.0.0.1:8000/mcp"),
        ("mainstay", "http://127.0.0.1:8000/other"),
        ("mainstay", "http://192.0.2.1:8000/mcp"),
    ] {
        let text = format!(r#"{{"mcpServers": {{"{name}": {{"url": "{url}"}}}}}}"#);
        let file = ImportFile::new(Path::new("f"), Path::new("/home/user/f"), None, &text);
        assert_eq!(planned(parse(&file).unwrap(), &[]).added.len(), 1, "{text}");
    }
}

#[test]
fn line_ends_and_byte_order_marks_stay_and_a_second_time_changes_nothing() {
    let codex = "# mine\r\nmodel = \"x\"\r\n[mcp_servers.files]\r\ncommand = \"npx\"\r\n";
    let cursor =
        "\u{feff}{\r\n  \"mcpServers\": {\r\n    \"a\": { \"command\": \"a\" }\r\n  }\r\n}\r\n";
    for (id, text) in [("codex", codex), ("cursor", cursor)] {
        let client = named(id);
        let with = put(client, text, &target(client));
        assert!(with != text && with.starts_with(&text[..6]), "{with:?}");
        assert!(!with.replace("\r\n", "").contains('\n'), "{with:?}");
        assert_eq!(put(client, &with, &target(client)), with, "{id}");
        assert_eq!(client.mentions(Path::new("file"), &with).unwrap().names, ["mainstay"]);
        assert_eq!(take_out(client, &with), text, "{id}");
    }
    // An entry of another shape is edited where it stands.
    let other = format!("{codex}[mcp_servers.mainstay]\r\nurl = \"http://old\" # mine\r\n");
    let with = put(named("codex"), &other, &url());
    assert_eq!(with, other.replace("http://old", URL));
}

#[test]
fn what_is_written_twice_is_not_edited() {
    let client = named("cursor");
    for (text, says) in [
        (
            "{\"mcpServers\": {}, \"x\": 1, \"mcpServers\": {}}",
            "file:1:28: error: \"mcpServers\" is written twice",
        ),
        ("{\"mcpServers\": {\"a\": {}, \"a\": {}}}", "\"a\" is written twice"),
    ] {
        let error = client.put(Path::new("file"), text, "mainstay", &url()).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    put(client, "{\"x\": 1, \"x\": 2}", &url());
}
