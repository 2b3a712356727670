//! Import of servers from clients, and export of Mainstay to clients.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::mainstay;

const TOKEN: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";

fn client_file() -> String {
    format!(
        r#"{{ // a client's file
  "mcpServers": {{
    "git hub": {{ "command": "sh", "args": ["-c", "true"], "env": {{ "GITHUB_TOKEN": "{TOKEN}" }} }},
    "off": {{ "command": "x", "disabled": true }},
  }},
}}"#
    )
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn backups(folder: &Path) -> usize {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().contains(".bak-")).count()
}

#[test]
fn printed_servers_name_the_variables_to_set_and_no_secret() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::write(home.join("client.json"), client_file()).unwrap();
    let ran = mainstay(home, &["import", "client.json"])
        .exits(0)
        .says("[servers.git-hub]\n")
        .says("GITHUB_TOKEN = \"secret:env:GITHUB_TOKEN\"")
        .complains("+ git-hub, renamed from git hub")
        .complains("- off: its file disables it")
        .complains("set: GITHUB_TOKEN, to the value in the file");
    assert!(!ran.out.contains(TOKEN) && !ran.err.contains(TOKEN));
    let json = mainstay(home, &["import", "client.json", "--json"]).exits(0);
    assert!(!json.out.contains(TOKEN));
    assert_eq!(json.json()["skipped"][0]["name"], "off");
    assert_eq!(fs::read_dir(home).unwrap().count(), 1, "something was written");
}

#[test]
fn written_servers_run_as_they_did_and_are_written_once() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let config = home.join("mainstay.toml");
    fs::write(home.join("client.json"), client_file()).unwrap();
    fs::write(&config, "# mine\n[gateway]\nlisten = '127.0.0.1:9000' # here\n").unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o640)).unwrap();
    let import = ["import", "client.json", "--write"];
    let ran = mainstay(home, &import).exits(0).says("wrote mainstay.toml, backup: ");
    assert!(!ran.out.contains(TOKEN) && !ran.err.contains(TOKEN));
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.starts_with("# mine\n[gateway]\nlisten = '127.0.0.1:9000' # here\n\n"), "{text}");
    let secret = home.join("secrets/git-hub.GITHUB_TOKEN");
    assert_eq!(fs::read_to_string(&secret).unwrap(), format!("{TOKEN}\n"));
    assert_eq!((mode(&secret), mode(&home.join("secrets")), mode(&config)), (0o600, 0o700, 0o640));
    mainstay(home, &["check"]).exits(0).says("1 server");
    mainstay(home, &import).exits(0).says("= git-hub: exists already").says("nothing to import");
    assert_eq!(fs::read_to_string(&config).unwrap(), text);
    assert_eq!(backups(home), 1);
}

#[test]
fn what_was_exported_is_not_imported() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::write(home.join("mainstay.toml"), "gateway.listen = '127.0.0.1:9000'\n").unwrap();
    let before =
        "GOOSE_MODEL: x # mine\nextensions:\n  # mine, too\n  other:\n    enabled: false\n";
    for (client, text) in [("goose", before), ("codex", ""), ("junie", "{}")] {
        let file = home.join(client);
        fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        mainstay(home, &["export", client, "--write", "--file", file]).exits(0);
        mainstay(home, &["import", file]).exits(1).complains("- mainstay: it is Mainstay itself");
        mainstay(home, &["export", client, "--remove", "--file", file]).exits(0);
        assert_eq!(fs::read_to_string(file).unwrap().trim_end(), text.trim_end(), "{client}");
    }
    assert_eq!(fs::read_to_string(home.join("goose")).unwrap(), before);
    // If the name of a client is given instead of a file, the error says where that client's file is.
    mainstay(home, &["import", "goose-cli", "cursor"])
        .exits(2)
        .complains("Cursor has its servers in ");
}

#[test]
fn a_configuration_that_would_not_hold_is_not_written() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::write(home.join("client.json"), client_file()).unwrap();
    for (text, complaint) in
        [("[gateway]\nlisen = 1\n", "mainstay.toml:2:1"), ("broken", "mainstay.toml:1:")]
    {
        fs::write(home.join("mainstay.toml"), text).unwrap();
        mainstay(home, &["import", "client.json", "--write"]).exits(2).complains(complaint);
        assert_eq!(fs::read_to_string(home.join("mainstay.toml")).unwrap(), text);
        assert!(!home.join("secrets").exists());
    }
    fs::write(home.join("bad.json"), "{ \"mcpServers\": { \"a\": } }").unwrap();
    mainstay(home, &["import", "bad.json", "none.json"])
        .exits(2)
        .complains("bad.json:1:24: error: this is not valid JSON")
        .complains("none.json: error: can't read it");
}

#[test]
fn a_client_is_given_mainstay_once_and_loses_it_again() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let folder = home.join(".cursor");
    let file = folder.join("mcp.json");
    let before = "{\n  // mine\n  \"mcpServers\": {\n    \"a\": { \"command\": \"a\" },\n  }\n}\n";
    fs::create_dir(&folder).unwrap();
    fs::write(&file, before).unwrap();
    fs::write(home.join("mainstay.toml"), "[gateway]\nlisten = '127.0.0.1:9100'\n").unwrap();
    mainstay(home, &["export"]).exits(0).says("cursor          no ");
    mainstay(home, &["export", "cursor"])
        .exits(0)
        .says("\"url\": \"http://127.0.0.1:9100/mcp\"")
        .complains("for Cursor: ");
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    mainstay(home, &["export", "cursor", "--write"]).exits(0).says("backup: ");
    mainstay(home, &["export", "cursor", "--write"]).exits(0).says("had already");
    mainstay(home, &["export"]).exits(0).says("cursor          mainstay ");
    assert!(fs::read_to_string(&file).unwrap().contains("127.0.0.1:9100"));
    mainstay(home, &["export", "cursor", "--remove"]).exits(0).says("no longer has");
    mainstay(home, &["export", "cursor", "--remove"]).exits(0).says("did not have");
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    assert_eq!(backups(&folder), 2);
}

#[test]
fn a_client_that_can_only_start_a_command_gets_one_named_in_full() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let config = "[servers.files]\ncommand = ['sh']\nenv = { A = '${ONLY_THE_DAEMON_HAS_IT}' }\n";
    fs::write(home.join("mainstay.toml"), config).unwrap();
    let export = ["export", "claude-desktop", "--endpoint", "files", "--file", "new/desktop.json"];
    mainstay(home, &[&export[..], &["--write"]].concat()).exits(0);
    let file = home.join("new/desktop.json");
    let text = fs::read_to_string(&file).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let entry = &json["mcpServers"]["mainstay-files"];
    let program = Path::new(entry["command"].as_str().unwrap());
    assert!(program.is_absolute() && program.is_file(), "{text}");
    let state = home.join("state");
    let expected = serde_json::json!(["connect", "files", "--state", state]);
    assert_eq!(entry["args"], expected);
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn wrong_clients_names_and_files_are_told() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    mainstay(home, &["export", "cursr"]).exits(2).complains("did you mean `cursor`?");
    mainstay(home, &["export", "zed", "--endpoint", "x"]).exits(2).complains("called `x`");
    mainstay(home, &["export", "generic", "--write"]).exits(2).complains("--file FILE");
    fs::write(home.join("odd.json"), "[1, 2]").unwrap();
    let write = ["export", "generic", "--file", "odd.json", "--write"];
    mainstay(home, &write).exits(1).complains("odd.json:1:1: error: expected the file to be");
    assert_eq!(fs::read_to_string(home.join("odd.json")).unwrap(), "[1, 2]");
    fs::write(home.join("mainstay.toml"), "[gateway]\nlisten = '127.0.0.1:0'\n").unwrap();
    mainstay(home, &["export", "cursor"]).exits(2).complains("port 0");
}
