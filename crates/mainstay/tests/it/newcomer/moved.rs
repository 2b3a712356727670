//! From a client's own servers to the same servers through Mainstay.

use std::fs;
use std::path::Path;

use mainstay_testkit::Client;
use serde_json::{Value, json};

use super::Up;
use crate::mainstay;

const TOKEN: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";

/// The file of a client with three servers, a comment and a setting of its own.
fn client_file(third: &Value) -> String {
    let program = env!("CARGO_BIN_EXE_mainstay");
    let demo = |kind: &str| json!({ "command": program, "args": ["__demo", kind] });
    format!(
        "{{\n  // mine\n  \"theme\": \"dark\",\n  \"mcpServers\": {{\n    \"my notes\": {},\n    \"clock\": {},\n    \
         // about the third\n    \"third\": {third}\n  }}\n}}\n",
        demo("notes"),
        demo("clock"),
    )
}

fn write_client(home: &Path, third: &Value) -> String {
    let text = client_file(third);
    fs::create_dir_all(home.join(".cursor")).unwrap();
    fs::write(home.join(".cursor/mcp.json"), &text).unwrap();
    text
}

fn with_token() -> Value {
    let program = env!("CARGO_BIN_EXE_mainstay");
    json!({ "command": program, "args": ["__demo", "notes"], "env": { "GITHUB_TOKEN": TOKEN } })
}

#[tokio::test]
async fn three_servers_of_a_client_move_to_mainstay() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let before = write_client(home, &with_token());
    let ran = mainstay(home, &["import", "cursor", "--write"]).exits(0).says("wrote mainstay.toml");
    assert!(!ran.out.contains(TOKEN) && !ran.err.contains(TOKEN));
    mainstay(home, &["check"]).exits(0).says("3 servers");
    let up = Up::start(home, &[]);
    let url = format!("{}/mcp", up.base());
    let file = home.join(".cursor/mcp.json");
    // First without the old entries' removal.
    mainstay(home, &["export", "cursor", "--write", "--dry-run"])
        .exits(0)
        .says("Cursor would have `mainstay` in ")
        .says("not written");
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    mainstay(home, &["export", "cursor", "--write"])
        .exits(0)
        .says("Cursor has `mainstay` in ")
        .says("still starts these itself, although Mainstay serves them: my notes, clock, third")
        .says("`mainstay export cursor --write --replace` removes them, and keeps a backup");
    let replace = ["export", "cursor", "--write", "--replace"];
    let both = fs::read_to_string(&file).unwrap();
    mainstay(home, &[&replace[..], &["--dry-run"]].concat())
        .exits(0)
        .says("would be removed from it, because Mainstay serves them: my notes, clock, third");
    assert_eq!(fs::read_to_string(&file).unwrap(), both);
    let ran = mainstay(home, &replace).exits(0);
    let ran = ran.says("removed from it, because Mainstay serves them: my notes, clock, third");
    let backup = ran.out.lines().find_map(|line| line.strip_prefix("backup: ")).unwrap();
    assert_eq!(fs::read_to_string(backup).unwrap(), both);
    let after = fs::read_to_string(&file).unwrap();
    assert!(
        after.starts_with("{\n  // mine\n  \"theme\": \"dark\",\n  \"mcpServers\": {"),
        "{after}"
    );
    assert!(after.contains(&url) && !after.contains("__demo") && !after.contains(TOKEN), "{after}");
    let json = mainstay(home, &[&replace[..], &["--json"]].concat()).exits(0).json();
    assert_eq!((&json["changed"], &json["replaced"]), (&json!(false), &json!([])));
    // Mainstay is not imported into itself, although the configuration has another address.
    mainstay(home, &["import", "cursor"]).exits(1).complains("- mainstay: it is Mainstay itself");
    fs::write(home.join("more.json"), client_file(&json!({ "command": "sh" }))).unwrap();
    mainstay(home, &["import", "more.json", "--write"])
        .exits(0)
        .says("reload the running daemon: mainstay reload");
    // What the client now has leads to the servers.
    up.server("my-notes", "ready");
    let client = Client::connect(&url).await.unwrap();
    let added = client.call("add_note", json!({ "title": "moved", "text": "here" })).await;
    assert!(added.is_ok(), "{added:?}");
    drop(client);
    up.stop();
}

#[test]
fn servers_of_a_project_in_the_users_file_move_as_well() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let program = env!("CARGO_BIN_EXE_mainstay");
    let demo = |kind: &str| json!({ "command": program, "args": ["__demo", kind] });
    let project = home.join("project");
    fs::create_dir(&project).unwrap();
    let file = json!({
        "mcpServers": { "notes": demo("notes") },
        "projects": { project.to_str().unwrap(): { "mcpServers": { "clock": demo("clock") }, "seen": true } },
    });
    fs::write(home.join(".claude.json"), serde_json::to_string_pretty(&file).unwrap()).unwrap();
    mainstay(home, &["import", "claude-code", "--write"]).exits(0).says("+ clock");
    let shown = format!("notes, clock (in {})", project.display());
    mainstay(home, &["export", "claude-code", "--write"]).exits(0).says(&shown);
    let replace = ["export", "claude-code", "--write", "--replace"];
    // Without a daemon nobody knows which of the servers work.
    let before = fs::read_to_string(home.join(".claude.json")).unwrap();
    mainstay(home, &replace)
        .exits(3)
        .complains(&format!("no daemon is running, so Claude Code would be left without {shown}"))
        .complains(
            "start it with `mainstay up`, and then: mainstay export claude-code --write --replace",
        );
    assert_eq!(fs::read_to_string(home.join(".claude.json")).unwrap(), before);
    // A daemon that has just been started is waited for.
    let up = Up::start(home, &[]);
    mainstay(home, &replace).exits(0).says(&format!("because Mainstay serves them: {shown}\n"));
    up.stop();
    mainstay(home, &["export", "claude-code", "--remove", "--dry-run"])
        .exits(0)
        .complains("Claude Code has no server in it now; those that `--replace` removed are");
    let after = fs::read_to_string(home.join(".claude.json")).unwrap();
    let after: Value = serde_json::from_str(&after).unwrap();
    let servers: Vec<_> = after["mcpServers"].as_object().unwrap().keys().collect();
    assert_eq!(servers, ["mainstay"]);
    assert_eq!(after["projects"][project.to_str().unwrap()], json!({ "seen": true }));
}

#[test]
fn an_entry_stays_as_long_as_mainstay_can_not_serve_it() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    write_client(home, &json!({ "command": "sh", "args": ["-c", "${UNSET_HERE}"] }));
    mainstay(home, &["import", "cursor", "--write"])
        .exits(0)
        .says("set UNSET_HERE in the daemon's environment");
    mainstay(home, &["check"]).exits(0).says("`UNSET_HERE` is not set");
    let up = Up::start(home, &[]);
    up.server("third", "failed");
    let program = env!("CARGO_BIN_EXE_mainstay");
    // The configuration has it, and the daemon does not.
    let text = fs::read_to_string(home.join(".cursor/mcp.json")).unwrap();
    let late = json!({ "command": program, "args": ["__demo", "clock"] });
    let text = text.replace("\"third\"", &format!("\"late\": {late},\n    \"third\""));
    fs::write(home.join(".cursor/mcp.json"), text).unwrap();
    mainstay(home, &["add", "late", "--", program, "__demo", "clock"]).exits(0);
    let one = ["export", "cursor", "--write", "--replace", "--endpoint", "clock", "--dry-run"];
    mainstay(home, &one).exits(0).says("because Mainstay serves them: clock\n");
    mainstay(home, &["export", "cursor", "--write", "--replace"])
        .exits(0)
        .says("because Mainstay serves them: my notes, clock\n")
        .says("kept `late`: the running daemon does not serve it yet")
        .says("kept `third`: it is failed in the daemon: UNSET_HERE is not set");
    let after = fs::read_to_string(home.join(".cursor/mcp.json")).unwrap();
    for there in ["// about the third", "\"third\"", "\"late\"", "\"mainstay\""] {
        assert!(after.contains(there), "{there}:\n{after}");
    }
    up.stop();
}

#[test]
fn the_running_daemon_says_where_clients_connect() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let program = env!("CARGO_BIN_EXE_mainstay");
    let server =
        |name: &str| format!("[servers.{name}]\ncommand = ['{program}', '__demo', 'clock']\n");
    let here = format!("[gateway]\nlisten = '127.0.0.1:9100'\n{}", server("written"));
    fs::write(home.join("mainstay.toml"), here).unwrap();
    let elsewhere = format!("{}[endpoints.group]\nservers = ['run']\n", server("run"));
    fs::write(home.join("elsewhere.toml"), elsewhere).unwrap();
    mainstay(home, &["export", "generic"])
        .exits(0)
        .says("http://127.0.0.1:9100/mcp")
        .complains("note: no daemon is running; the address is that of mainstay.toml");
    let up = Up::with(home, &["--config", "elsewhere.toml", "--listen", "127.0.0.1:0"], &[]);
    let base = up.base();
    mainstay(home, &["export", "generic"])
        .exits(0)
        .says(&format!("\"{base}/mcp\""))
        .complains(&format!("note: the running daemon is at {base}/mcp, and mainstay.toml says"));
    for name in ["run", "group"] {
        mainstay(home, &["export", "generic", "--endpoint", name])
            .exits(0)
            .says(&format!("\"{base}/mcp/{name}\""));
    }
    mainstay(home, &["export", "generic", "--endpoint", "written"])
        .exits(0)
        .complains("the running daemon does not serve `written` yet; reload it, and export again: mainstay reload");
    mainstay(home, &["export", "generic", "--endpoint", "gruop"])
        .exits(2)
        .complains("did you mean `group`?");
    // A broken file keeps nobody from the address of a daemon that runs.
    fs::write(home.join("mainstay.toml"), "[[[").unwrap();
    mainstay(home, &["export", "generic"])
        .exits(0)
        .says(&format!("\"{base}/mcp\""))
        .complains("the configuration is invalid; the address is that of the running daemon");
    up.stop();
    mainstay(home, &["export", "generic"]).exits(2).complains("not valid TOML");
}
