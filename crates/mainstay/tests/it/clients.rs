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
        .complains(
            "set GITHUB_TOKEN in the daemon's environment to its value in the imported file: ",
        );
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
    mainstay(home, &["import", "cursr"]).exits(2).complains("did you mean `cursor`?");
    mainstay(home, &["init", "new.toml", "--from", "opencoed"])
        .exits(2)
        .complains("did you mean `opencode`?");
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

#[test]
fn a_client_with_several_files_is_read_and_edited_where_its_servers_are() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::write(home.join("mainstay.toml"), "[gateway]\nlisten = '127.0.0.1:9100'\n").unwrap();
    let folder = home.join(".config/opencode");
    fs::create_dir_all(&folder).unwrap();
    // What OpenCode itself writes at its first start.
    fs::write(
        folder.join("opencode.jsonc"),
        "{\n  \"$schema\": \"https://opencode.ai/config.json\"\n}",
    )
    .unwrap();
    mainstay(home, &["export"]).exits(0).says("opencode.jsonc");
    mainstay(home, &["export", "opencode", "--write"]).exits(0).says("opencode.jsonc");
    assert!(!folder.join("opencode.json").exists());
    mainstay(home, &["export", "opencode", "--remove"]).exits(0).says("no longer has");
    let server = |name: &str| {
        format!(
            "{{ // mine\n  \"mcp\": {{ \"{name}\": {{ \"type\": \"local\", \"command\": [\"sh\"] }} }}\n}}\n"
        )
    };
    fs::write(folder.join("opencode.json"), server("one")).unwrap();
    mainstay(home, &["export", "opencode", "--write"]).exits(0).says("opencode/opencode.json\n");
    mainstay(home, &["export", "opencode", "--remove"]).exits(0);
    assert_eq!(fs::read_to_string(folder.join("opencode.json")).unwrap(), server("one"));
    fs::write(folder.join("opencode.jsonc"), server("two")).unwrap();
    // Servers of a project are named, and imported by their file.
    fs::write(home.join("opencode.json"), server("three")).unwrap();
    let ran = mainstay(home, &["import", "opencode", "--dry-run"])
        .exits(0)
        .says("+ one ")
        .says("+ two ")
        .says("not written: this was a dry run; the servers would go to mainstay.toml")
        .complains(
            "note: OpenCode has servers of this project, too: mainstay import opencode.json",
        );
    assert!(
        !ran.out.contains("three")
            && !fs::read_to_string(home.join("mainstay.toml")).unwrap().contains("one")
    );
    mainstay(home, &["import", "opencode", "opencode.json", "--write"]).exits(0).says("+ three ");
    mainstay(home, &["export", "opencode", "--write", "--replace"])
        .exits(3)
        .complains("OpenCode would be left without one");
    mainstay(home, &["export", "opencode", "--write"])
        .exits(0)
        .says("although Mainstay serves them: one\n")
        .complains("opencode.jsonc, too, which names servers: mainstay export opencode --file ");
}

#[test]
fn a_project_gets_mainstay_in_its_own_file() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::write(home.join("mainstay.toml"), "[gateway]\nlisten = '127.0.0.1:9100'\n").unwrap();
    for (client, file) in [
        ("claude-code", ".mcp.json"),
        ("opencode", "opencode.json"),
        ("qwen", ".qwen/settings.json"),
    ] {
        let ran = mainstay(home, &["export", client, "--project", "--write"]);
        if client == "qwen" {
            // Here, the folder of the project is the home folder, and the file is the user's.
            ran.exits(2).complains("`qwen` has no file in projects");
            continue;
        }
        ran.exits(0).says(&format!("in {file}\n"));
        assert!(fs::read_to_string(home.join(file)).unwrap().contains("127.0.0.1:9100"));
        assert_eq!(mode(&home.join(file)), 0o644);
    }
    mainstay(home, &["export", "windsurf", "--project", "--write"])
        .exits(2)
        .complains("--file FILE");
}

#[test]
fn a_client_can_start_the_bridge_instead_of_connecting_to_an_address() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let stdio = |client| mainstay(home, &["export", client, "--stdio"]).exits(0);
    assert!(stdio("codex").says("command = ").out.contains("args = [\"connect\", \"--state\""));
    stdio("opencode").says("\"type\": \"local\"").says("\"connect\"");
    stdio("qwen").says("\"command\": ");
    // Without a daemon there need not be an address.
    fs::write(home.join("mainstay.toml"), "[gateway]\nlisten = '127.0.0.1:0'\n").unwrap();
    stdio("gemini");
    let ran =
        mainstay(home, &["export", "cursor", "--stdio", "--write", "--file", "a b.json"]).exits(0);
    assert!(ran.out.contains("a b.json"), "{}", ran.out);
}

#[test]
fn a_dry_run_writes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::write(home.join("client.json"), client_file()).unwrap();
    for dry_run in [
        &["import", "client.json", "--dry-run"][..],
        &["import", "client.json", "--write", "--dry-run"],
        &["init", "--from", "client.json", "--dry-run"],
        &["init", "--dry-run"],
    ] {
        let ran = mainstay(home, dry_run).exits(0).says("[servers.");
        assert!(format!("{}{}", ran.out, ran.err).contains("not written: this was a dry run"));
        assert!(!ran.out.contains(TOKEN), "{}", ran.out);
        let json = mainstay(home, &[dry_run, &["--json"]].concat()).exits(0).json();
        assert_eq!((&json["dry_run"], &json["written"]), (&true.into(), &serde_json::Value::Null));
        assert_eq!(fs::read_dir(home).unwrap().count(), 1, "{dry_run:?} wrote something");
    }
    mainstay(home, &["import", "client.json", "--dry-run"]).exits(0).says(
        "secret: env.GITHUB_TOKEN of git-hub would be written to secrets/git-hub.GITHUB_TOKEN",
    );
    fs::write(home.join("mainstay.toml"), "").unwrap();
    mainstay(home, &["init", "--dry-run"]).exits(1).complains("exists already");
}
