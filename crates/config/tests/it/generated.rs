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
    // The program that is told is an example.
    loaded.warnings.retain(|warning| warning.key != "notify.1.command");
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.settings.gateway, no_file().loaded().settings.gateway);
    assert_eq!((loaded.settings.servers.len(), loaded.settings.endpoints.len()), (3, 1));
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

/// An example in the declarations is one that the reader takes: each is tried in a file of its own.
/// Keys that mean something only beside `command`.
const OF_COMMANDS: [&str; 6] = ["env", "cwd", "user", "group", "limits", "fetch_timeout"];

#[test]
fn every_example_is_right() {
    let schema = schema();
    let sections = [
        ("gateway", &schema["properties"]["gateway"], ""),
        (
            "servers.a",
            &schema["properties"]["servers"]["additionalProperties"],
            "url = 'http://127.0.0.1/'",
        ),
        (
            "volumes.archive",
            &schema["properties"]["volumes"]["additionalProperties"],
            "path = '/x'",
        ),
        ("externals.a", &schema["properties"]["externals"]["additionalProperties"], ""),
    ];
    let mut count = 0;
    for (path, section, other) in sections {
        for (name, key) in section["properties"].as_object().unwrap() {
            let example = toml_of(&key["examples"][0]);
            let needs_other = !other.is_empty()
                && !other.starts_with(name)
                && !["command"].iter().chain(&OF_COMMANDS).any(|of| of == name);
            let lead = match (&**name, needs_other) {
                (_, true) => other,
                (of, _) if OF_COMMANDS.contains(&of) => "command = ['npx']",
                _ => "",
            };
            let rest = if name == "needs" {
                "[servers.database]\ncommand = ['npx']\n[volumes.archive]\npath = '/x'"
            } else {
                ""
            };
            let text = format!("[{path}]\n{lead}\n{name} = {example}\n{rest}");
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
    assert!(count > 35, "{count} examples");
}

fn toml_of(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<_> =
                members.iter().map(|(key, value)| format!("{key} = {}", toml_of(value))).collect();
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
