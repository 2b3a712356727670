//! What is made of the declarations: the schema, the starter file, the reference page.

use std::path::Path;

use mainstay_config::{load, reference, schema, template};
use serde_json::Value;

use crate::world::{file, no_file};

#[test]
fn the_starter_file_loads_as_the_defaults() {
    let loaded = file(&template()).loaded();
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.settings, no_file().loaded().settings);
}

#[test]
fn the_starter_file_names_every_key_of_the_gateway() {
    let (schema, template) = (schema(), template());
    for key in schema["properties"]["gateway"]["properties"].as_object().unwrap().keys() {
        let is_named = |line: &str| {
            line.trim_start_matches("# Example: ")
                .trim_start_matches('#')
                .starts_with(&format!("{key} = "))
        };
        assert!(template.lines().any(is_named), "{key} is not in the starter file");
    }
}

#[test]
fn every_setting_that_the_starter_file_offers_can_be_taken() {
    // A comment has a blank after its #, a setting has none.
    let taken: String = template()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let mut loaded = file(&taken).loaded();
    // The program that is told and that of the service are examples.
    let examples = ["notify.1.command", "services.db.command"];
    loaded.warnings.retain(|warning| !examples.contains(&&*warning.key));
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.settings.gateway, no_file().loaded().settings.gateway);
    assert_eq!((loaded.settings.servers.len(), loaded.settings.endpoints.len()), (3, 1));
    let service = &loaded.settings.services[0];
    assert!(service.name.as_str() == "db" && service.probe.is_some());
}

#[test]
fn the_reference_page_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = reference();
    if std::env::var_os("MAINSTAY_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/configuration.md is old: run this test with MAINSTAY_BLESS=1");
}

#[test]
fn the_schema_describes_every_key() {
    let schema = schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["additionalProperties"], false);
    let gateway = &schema["properties"]["gateway"]["properties"];
    assert_eq!(gateway["listen"]["default"], "127.0.0.1:8000");
    let server = &schema["properties"]["servers"]["additionalProperties"];
    assert_eq!(server["additionalProperties"], false);
    assert_eq!(server["properties"]["sharing"]["anyOf"][0]["const"], "user");
    assert_eq!(server["properties"]["pool"]["properties"]["max"]["maximum"], 10_000);
    assert_eq!(server["properties"]["image"], Value::Null);
    for table in [gateway, &server["properties"]] {
        for (name, key) in table.as_object().unwrap() {
            assert!(key["description"].as_str().is_some_and(|doc| !doc.is_empty()), "{name}");
            assert!(!key["examples"][0].is_null(), "{name}");
        }
    }
}

/// Keys that mean something only beside `command`.
const OF_COMMANDS: [&str; 9] = [
    "env",
    "cwd",
    "user",
    "group",
    "limits",
    "fetch_timeout",
    "restart",
    "stop_signal",
    "stop_timeout",
];

/// The other keys that a table with this key needs.
fn lead(path: &str, key: &str) -> &'static str {
    let is_probe = path.ends_with("probe") || path.starts_with("externals");
    match (path, key) {
        ("servers.a", "command" | "url") => "",
        ("servers.a", key) if OF_COMMANDS.contains(&key) => "command = ['npx']",
        ("servers.a", _) => "url = 'http://127.0.0.1/'",
        ("services.a", "command") => "",
        ("services.a", _) => "command = ['npx']",
        ("volumes.archive", "path") => "",
        ("volumes.archive", _) => "path = '/x'",
        ("checks", "tool" | "tools" | "tools_include") => "server = 'search'",
        ("checks", "server") => "tool = 'x'",
        ("checks", "args" | "is_error" | "equals") => "server = 'search'\ntool = 'x'",
        ("checks", "name" | "of" | "timeout") => "tcp = '127.0.0.1:1'",
        (_, "args") => "tool = 'x'",
        (_, "status" | "contains" | "json") => "http = 'http://127.0.0.1/'",
        (_, "query") => "postgres = 'postgres://h/db'",
        (_, "period" | "waiting_period" | "timeout" | "fall" | "rise" | "breaker") if is_probe => {
            "tcp = '127.0.0.1:1'"
        }
        (path, "paths") if path.ends_with("pages") => "target = 'http://127.0.0.1'",
        (path, "target") if path.ends_with("pages") => "paths = ['/x']",
        (path, "methods") if path.ends_with("pages") => {
            "target = 'http://127.0.0.1'\npaths = ['/x']"
        }
        _ => "",
    }
}

/// An example in the declarations is one that the reader takes: each is tried in a file of its own.
#[test]
fn every_example_is_right() {
    let schema = schema();
    let named = |top: &str| schema["properties"][top]["additionalProperties"].clone();
    let (server, service) = (named("servers"), named("services"));
    let inner = |of: &Value, key: &str| of["properties"][key].clone();
    let rule = inner(&server, "tools")["additionalProperties"].clone();
    let sections = [
        ("gateway", schema["properties"]["gateway"].clone()),
        ("servers.a.probe", inner(&server, "probe")),
        ("servers.a.pages", inner(&server, "pages")),
        ("servers.a.tools.x.validate", inner(&rule, "validate")),
        ("servers.a.tools.x", rule),
        ("servers.a.breaker", inner(&server, "breaker")),
        ("servers.a", server),
        ("services.a.probe", inner(&service, "probe")),
        ("services.a.pages", inner(&service, "pages")),
        ("services.a", service),
        ("volumes.archive", named("volumes")),
        ("externals.a", named("externals")),
        ("checks", schema["properties"]["checks"]["items"].clone()),
    ];
    let mut count = 0;
    for (path, section) in sections {
        for (name, key) in section["properties"].as_object().unwrap() {
            let example = toml_of(&key["examples"][0]);
            let of_owner = if path.matches('.').count() >= 2 { "command = ['npx']\n" } else { "" };
            let owner = path.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
            let header = match of_owner {
                "" if path == "checks" => "[[checks]]".to_owned(),
                "" => format!("[{path}]"),
                _ => format!("[{owner}]\n{of_owner}[{path}]"),
            };
            let rest = match &**name {
                "needs" => {
                    "[servers.search]\ncommand = ['npx']\n[services.database]\ncommand = ['npx']\n\
                     [volumes.archive]\npath = '/x'\n[externals.models]\ntcp = 'h:1'"
                }
                _ if path == "checks" => "[servers.search]\ncommand = ['npx']",
                _ => "",
            };
            let lead = lead(path, name);
            let text = format!("{header}\n{lead}\n{name} = {example}\n{rest}");
            let world = file(&text)
                .env("TOKEN", "t")
                .env("API_KEY", "k")
                .env("DATABASE_URL", "postgres://h/db");
            if let Err(problems) = world.load() {
                panic!("{text}\n{problems}");
            }
            count += 1;
        }
    }
    assert!(count > 100, "{count} examples");
}

fn toml_of(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(key, value)| format!("{key:?} = {}", toml_of(value)))
                .collect();
            format!("{{ {} }}", members.join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(toml_of).collect::<Vec<_>>().join(", "))
        }
        scalar => scalar.to_string(),
    }
}

#[test]
fn a_request_of_defaults_needs_no_world() {
    let state =
        mainstay_config::StateDir { path: "/s".into(), origin: mainstay_config::Origin::Default };
    assert!(load(mainstay_config::LoadRequest::new(state)).is_ok());
}
