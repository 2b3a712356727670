//! Files of clients as they look: every one in `tests/import` gives what stands beside it.
//!
//! `MAINSTAY_BLESS=1` writes what stands beside it anew.

use std::collections::BTreeMap;
use std::path::Path;

use mainstay_config::import::{
    ImportFile, ImportPlan, Parsed, PlanRequest, SecretHome, parse, plan,
};

use crate::world::file;

mod merge;
mod secrets;
mod wrong;

/// Every sample, and where it is on the disk of its user.
const SAMPLES: [(&str, &str); 22] = [
    ("claude_desktop_config.json", "/home/user/.config/Claude/claude_desktop_config.json"),
    ("claude.json", "/home/user/.claude.json"),
    ("cursor.json", "/srv/shop/.cursor/mcp.json"),
    ("windsurf.json", "/home/user/.codeium/windsurf/mcp_config.json"),
    ("gemini.json", "/home/user/.gemini/settings.json"),
    ("vscode.json", "/srv/shop/.vscode/mcp.json"),
    ("vscode_settings.json", "/home/user/.config/Code/User/settings.json"),
    ("zed.json", "/home/user/.config/zed/settings.json"),
    ("codex.toml", "/home/user/.codex/config.toml"),
    ("compose.yaml", "/srv/shop/compose.yaml"),
    ("stack.yml", "/srv/shop/stack.yml"),
    ("project.mcp.json", "/srv/shop/.mcp.json"),
    ("bare.json", "/srv/plugin/servers.json"),
    ("windows.json", "/home/user/windows.json"),
    ("copilot.json", "/home/user/.copilot/mcp-config.json"),
    ("amp.json", "/home/user/.config/amp/settings.json"),
    ("opencode.json", "/home/user/.config/opencode/opencode.json"),
    ("opencode_2.jsonc", "/home/user/.config/opencode/opencode.jsonc"),
    ("opencode_both.jsonc", "/srv/shop/opencode.jsonc"),
    ("qwen.json", "/srv/shop/.qwen/settings.json"),
    ("continue.yaml", "/home/user/.continue/config.yaml"),
    ("goose.yaml", "/home/user/.config/goose/config.yaml"),
];

/// What is secret in the samples.
const SECRETS: [&str; 22] = [
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "hunter22",
    "ntn_48213abcDEF",
    "lin_api_Zx81Kq",
    "plain-words-key",
    "t0k3n",
    "NTc4YzQxZmEtMjE3Mi00ZjA4LWI2Zjk6M2ZkYzE",
    "p%40ss",
    "p@ss",
    "dXNlcjpwQHNz",
    "qwertz",
    "s3cr3t!",
    "abc123",
    "secretpw",
    "kkkk",
    "hunter2",
    "tok-4711",
    "swordfish",
    "sk-4f9aB2c8D1e7F6a5B4",
    "user:p",
    "goose-key-1",
    "continue-key-1",
];

fn sample(name: &str) -> ImportFile {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import");
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    let (_, full) = SAMPLES.iter().find(|(sample, _)| *sample == name).unwrap();
    text_file(name, full, &text)
}

fn text_file(name: &str, full: &str, text: &str) -> ImportFile {
    ImportFile::new(Path::new(name), Path::new(full), Some(Path::new("/home/user")), text)
}

fn parsed(text: &str) -> Parsed {
    parse(&text_file("servers.json", "/home/user/servers.json", text))
        .unwrap_or_else(|problems| panic!("{problems}"))
}

fn in_files() -> SecretHome {
    SecretHome::Files { folder: "secrets".to_owned(), there: BTreeMap::new() }
}

fn planned(files: Vec<Parsed>, config: Option<&str>, home: SecretHome) -> ImportPlan {
    let config = config.map(|text| (Path::new("mainstay.toml"), text));
    let env = BTreeMap::new();
    let request = PlanRequest { config, home, own: &[], env: &env };
    plan(files, &request).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The problems of the configuration once secrets are written and variables set.
fn check(plan: &ImportPlan, text: &str) -> Result<(), String> {
    let mut world = file(text).env("HOME", "/home/user");
    for variable in plan.variables.iter().filter(|variable| variable.name != "HOME") {
        world = world.env(&variable.name, "1");
    }
    for secret in &plan.secrets {
        let path = format!("/etc/mainstay/{}", secret.path);
        world = world.secret(&path, &format!("{}\n", secret.value.expose()), false);
    }
    world.load().map(|_| ()).map_err(|problems| problems.to_string())
}

fn show(plan: &ImportPlan) -> String {
    let json = serde_json::to_value(plan).unwrap();
    let mut text = plan.toml.clone();
    for key in ["added", "already", "skipped", "variables", "secrets"] {
        for item in json[key].as_array().unwrap() {
            text.push_str(&format!("## {key} {item}\n"));
        }
    }
    text
}

#[test]
fn each_sample_gives_what_stands_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import");
    let mut wrong = Vec::new();
    for (name, _) in SAMPLES {
        let read = || vec![parse(&sample(name)).unwrap_or_else(|problems| panic!("{problems}"))];
        let printed = planned(read(), None, SecretHome::Environment);
        let written = planned(read(), None, in_files());
        check(&printed, &printed.toml).unwrap_or_else(|why| panic!("{name}: {why}"));
        check(&written, &written.config).unwrap_or_else(|why| panic!("{name}: {why}"));
        let found = format!("# printed\n{}\n# written\n{}", show(&printed), show(&written));
        for secret in SECRETS {
            assert!(!found.contains(secret), "{name} shows {secret}:\n{found}");
        }
        let beside = folder.join(format!("{name}.out"));
        if std::env::var_os("MAINSTAY_BLESS").is_some() {
            std::fs::write(&beside, &found).unwrap();
        }
        if std::fs::read_to_string(&beside).unwrap_or_default() != found {
            wrong.push(format!("{name} gives\n{found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
