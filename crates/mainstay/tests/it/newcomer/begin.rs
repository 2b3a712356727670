//! The first configuration, and servers that can't start.

use std::fs;

use serde_json::json;

use super::Up;
use crate::mainstay;

#[test]
fn the_first_file_has_a_server_that_runs_everywhere() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    mainstay(home, &["init"]).exits(0).says("wrote mainstay.toml");
    mainstay(home, &["check"]).exits(0).says("mainstay.toml: ok: 1 server");
    let up = Up::start(home, &[]);
    up.server("notes", "ready");
    mainstay(home, &["call", "notes", "add_note", "title=hello", "text=there"]).exits(0);
    up.stop();
}

#[test]
fn check_and_up_agree_about_what_can_not_run() {
    for (text, says) in [
        (None, "no server is configured: no configuration file was found"),
        (Some(""), "no server is configured: mainstay.toml has no [servers.NAME]"),
        (Some("[gateway]\nmax_depth = 64\n"), "no server is configured: mainstay.toml"),
        (Some("[gateway]\nlisten = \"${NO_SUCH_ADDRESS}\"\n"), "`NO_SUCH_ADDRESS` is not set"),
        (Some("[servers.a]\n"), "has neither `command` nor `url`"),
        (Some("[[["), "not valid TOML"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        if let Some(text) = text {
            fs::write(home.join("mainstay.toml"), text).unwrap();
        }
        mainstay(home, &["check"]).exits(2).says(says);
        let json = mainstay(home, &["check", "--json"]).exits(2).json();
        assert_eq!(json["ok"], false);
        mainstay(home, &["up", "--listen", "127.0.0.1:0"]).exits(2);
    }
}

#[test]
fn an_unset_variable_or_a_lost_secret_keeps_only_its_own_server_from_starting() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    mainstay(home, &["init"]).exits(0);
    let mut text = fs::read_to_string(home.join("mainstay.toml")).unwrap();
    text.push_str(
        "\n[servers.weather]\ncommand = [\"sh\", \"-c\", \"${MY_CITY}\"]\nenv = { KEY = \"${MY_KEY}\" }\n\
         \n[servers.files]\ncommand = [\"sh\"]\nenv = { KEY = \"secret:file:lost\" }\n",
    );
    fs::write(home.join("mainstay.toml"), text).unwrap();
    mainstay(home, &["check"])
        .exits(0)
        .says("warning: the variable `MY_KEY` is not set, so server `weather` can't start")
        .says("can't read the secret in ")
        .says("mainstay.toml: ok: 3 servers");
    let up = Up::start(home, &[]);
    up.server("notes", "ready");
    let weather = up.server("weather", "failed");
    let reason = weather["reason"].as_str().unwrap();
    assert!(reason.contains("MY_CITY and MY_KEY are not set; set them in"), "{reason}");
    let files = up.server("files", "failed");
    assert!(files["reason"].as_str().unwrap().contains("lost can't be read"), "{files}");
    mainstay(home, &["call", "notes", "list_notes"]).exits(0);
    // Retrying is useless, and no command says otherwise.
    for (server, remedy) in [
        (
            "weather",
            "set MY_CITY and MY_KEY in the daemon's environment, and restart it: `mainstay stop",
        ),
        (
            "files",
            "`mainstay status files` names the secret; when it can be read: `mainstay reload`",
        ),
    ] {
        let ran = mainstay(home, &["tools", server])
            .exits(1)
            .complains("a variable or a secret that its configuration names is missing")
            .complains(remedy);
        assert!(!ran.err.contains("try again") && !ran.err.contains("lost"), "{}", ran.err);
    }
    assert_eq!(weather["retry_in_ms"], json!(null));
    let shown = mainstay(home, &["status", "weather"]).exits(0).says("MY_KEY are not set");
    assert!(!shown.out.contains("tried again"), "{}", shown.out);
    up.stop();
    // With the variables, it is started.
    let up = Up::start(home, &[("MY_CITY", "exit 7"), ("MY_KEY", "k"), ("PATH", "/usr/bin:/bin")]);
    let begun = std::time::Instant::now();
    loop {
        let status = mainstay(home, &["status", "weather", "--json"]).exits(0).json();
        if status.to_string().contains("7") && !status.to_string().contains("not set") {
            break;
        }
        assert!(begun.elapsed() < crate::shared::PATIENCE, "{status}");
    }
    up.stop();
}

#[test]
fn a_first_file_with_the_servers_of_a_client() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let program = env!("CARGO_BIN_EXE_mainstay");
    let client = json!({ "mcpServers": {
        "notes": { "command": program, "args": ["__demo", "notes"] },
        "needy": { "command": "sh", "args": ["-c", "${NEEDED}"] },
    } });
    fs::create_dir(home.join(".cursor")).unwrap();
    fs::write(home.join(".cursor/mcp.json"), client.to_string()).unwrap();
    mainstay(home, &["init", "--from", "cursor"])
        .exits(0)
        .says("+ notes")
        .says("set NEEDED in the daemon's environment: command of needy uses it")
        .says("wrote mainstay.toml");
    let text = fs::read_to_string(home.join("mainstay.toml")).unwrap();
    assert!(text.starts_with("# Mainstay's configuration.") && text.contains("[servers.needy]"));
    mainstay(home, &["init", "--from", "cursor"]).exits(1).complains("exists already");
    mainstay(home, &["check"]).exits(0).says("2 servers");
    let up = Up::start(home, &[]);
    up.server("notes", "ready");
    up.server("needy", "failed");
    up.stop();
    fs::write(home.join("none.json"), "{\"mcpServers\": {}}").unwrap();
    mainstay(home, &["init", "new.toml", "--from", "none.json"]).exits(1);
    assert!(!home.join("new.toml").exists());
}
