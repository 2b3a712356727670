//! `mainstay add` and `mainstay remove`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::Up;
use crate::mainstay;

const TOKEN: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";

/// A file with comments, an order and a format of its own.
const MINE: &str = "# mine\n[gateway]\nlisten = '127.0.0.1:9000' # here\n\n# the first\n[servers.one]\n\
                    command = ['sh',\n  '-c', 'true'] # long\n";

#[test]
fn a_server_is_added_to_a_file_that_keeps_all_it_had() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let real = home.join("real.toml");
    let config = home.join("mainstay.toml");
    fs::write(&real, MINE).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.toml", &config).unwrap();
    let token = format!("GITHUB_TOKEN={TOKEN}");
    let add = ["add", "two", "--env", &token, "--env", "CITY=Oslo", "--env", "PASSED_ON"];
    let command = ["--", "sh", "-c", "exit 0"];
    let dry = mainstay(home, &[&add[..], &["--dry-run"], &command].concat())
        .exits(0)
        .says("+ [servers.two]")
        .says("would be written to secrets/two.GITHUB_TOKEN");
    assert!(!dry.out.contains(TOKEN) && !dry.err.contains(TOKEN));
    assert!(fs::read_to_string(&config).unwrap() == MINE && !home.join("secrets").exists());
    mainstay(home, &[&add[..], &command].concat())
        .exits(0)
        .says("added `two` to mainstay.toml")
        .says("secret: env.GITHUB_TOKEN of two is in secrets/two.GITHUB_TOKEN")
        .says("set PASSED_ON in the daemon's environment: env.PASSED_ON of two uses it");
    let text = fs::read_to_string(&config).unwrap();
    let added = text.strip_prefix(MINE).expect("what was there is there");
    assert!(
        added.starts_with("\n[servers.two]\ncommand = [\"sh\", \"-c\", \"exit 0\"]\n"),
        "{added}"
    );
    for line in ["secret:file:secrets/two.GITHUB_TOKEN", "\"Oslo\"", "\"${PASSED_ON}\""] {
        assert!(added.contains(line) && !added.contains(TOKEN), "{added}");
    }
    assert!(fs::symlink_metadata(&config).unwrap().is_symlink());
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    mainstay(home, &["add", "three", "https://mcp.example.org/mcp", "-H", "X-Kind: a=b"]).exits(0);
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.ends_with("headers = { X-Kind = \"a=b\" }\n"), "{text}");
    mainstay(home, &["check"]).exits(0).says("3 servers");
    // And back again.
    for name in ["three", "two"] {
        mainstay(home, &["remove", name]).exits(0).says(&format!("removed server `{name}`"));
    }
    assert_eq!(fs::read_to_string(&config).unwrap(), MINE);
}

#[test]
fn servers_that_are_added_at_the_same_time_are_all_there() {
    const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    // The first ones find no file, and then one with a server that is removed meanwhile.
    for begin in ["", MINE] {
        if !begin.is_empty() {
            fs::write(home.join("mainstay.toml"), begin).unwrap();
        }
        std::thread::scope(|scope| {
            for name in NAMES {
                let url = format!("https://{name}.example.org/mcp");
                scope.spawn(move || mainstay(home, &["add", name, &url]).exits(0));
            }
            if !begin.is_empty() {
                scope.spawn(move || mainstay(home, &["add", "spare", "http://h.example"]).exits(0));
            }
        });
        let text = fs::read_to_string(home.join("mainstay.toml")).unwrap();
        for name in NAMES {
            assert!(text.contains(&format!("[servers.{name}]")), "{name}:\n{text}");
        }
        mainstay(home, &["check"]).exits(0);
        std::thread::scope(|scope| {
            for name in &NAMES[1..] {
                scope.spawn(move || mainstay(home, &["remove", name]).exits(0));
            }
        });
        let text = fs::read_to_string(home.join("mainstay.toml")).unwrap();
        let left: Vec<_> =
            NAMES.iter().filter(|name| text.contains(&format!("[servers.{name}]"))).collect();
        assert_eq!(left, [&"a"], "{text}");
    }
    // Clients' files as well: nothing but the file and its backups is left.
    std::thread::scope(|scope| {
        for name in ["a", "one", "spare"] {
            let line = ["export", "generic", "--file", "c.json", "--write", "--endpoint", name];
            scope.spawn(move || mainstay(home, &line).exits(0));
        }
    });
    let text = fs::read_to_string(home.join("c.json")).unwrap();
    for name in ["a", "one", "spare"] {
        assert!(text.contains(&format!("\"mainstay-{name}\"")), "{text}");
    }
}

#[test]
fn a_change_that_is_done_prints_nothing_with_quiet() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::write(home.join("mainstay.toml"), MINE).unwrap();
    let client = r#"{"mcpServers": {"four": {"url": "https://four.example.org/mcp"}}}"#;
    fs::write(home.join("client.json"), client).unwrap();
    for line in [
        &["init", "other.toml"][..],
        &["init", "from.toml", "--from", "client.json"],
        &["add", "two", "--env", "UNSET_HERE", "--", "no-such-program"],
        &["remove", "two"],
        &["import", "client.json", "--write"],
        &["export", "cursor", "--file", "c.json", "--write"],
        &["export", "cursor", "--file", "c.json", "--remove"],
    ] {
        let ran = mainstay(home, &[&["-q"], line].concat()).exits(0);
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""), "{line:?}");
    }
    // What was asked for, and why nothing was done, is still printed.
    mainstay(home, &["add", "two", "-q", "--dry-run", "--", "sh"]).exits(0).says("+ [servers.two]");
    let nothing = r#"{"mcpServers": {"off": {"command": "x", "disabled": true}}}"#;
    fs::write(home.join("nothing.json"), nothing).unwrap();
    mainstay(home, &["import", "nothing.json", "--write", "-q"])
        .exits(1)
        .complains("nothing to import");
    let up = Up::start(home, &[]);
    for line in [&["log-level", "debug", "-q"][..], &["stop", "-q"]] {
        let ran = mainstay(home, line).exits(0);
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""), "{line:?}");
    }
    up.ended();
}

#[test]
fn what_can_not_be_added_is_told_and_nothing_is_written() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let config = home.join("mainstay.toml");
    let text = format!("{MINE}\n[endpoints.group]\nservers = ['one']\n");
    fs::write(&config, &text).unwrap();
    for (line, says) in [
        (&["add", "one", "--", "sh"][..], "already has a server `one`"),
        (&["add", "group", "--", "sh"], "already has a group `group`"),
        (&["add", "no good", "--", "sh"], "`no good` is not a name for a server"),
        (
            &["add", "http://h/mcp"],
            "an address comes after the name: mainstay add NAME http://h/mcp",
        ),
        (&["add", "x"], "a server needs a command or an address"),
        (&["add", "x", "npx"], "a command comes after `--`: mainstay add x -- npx"),
        (&["add", "x", "http://h/mcp", "--env", "A=b"], "--env does not apply to a server with an"),
        (&["add", "x", "http://127.0.0.1:9000/mcp"], "it is Mainstay itself"),
        (&["add", "x", "-H", "A: b", "--", "sh"], "--header does not apply to a server with a com"),
        (&["add", "x", "--env", "1=2", "--", "sh"], "does not begin with the name of a variable"),
        (&["add", "x", "-H", "Host: b", "http://h"], "x"),
        (&["remove", "on"], "did you mean \"one\"?"),
        (&["remove", "one"], "group `group` (line 10) has no other server"),
    ] {
        let is_header = line.contains(&"Host: b");
        let ran = mainstay(home, line);
        if is_header {
            // It is added without the header, and says so.
            ran.exits(0).says("the header `Host` is left out");
            fs::write(&config, &text).unwrap();
        } else {
            ran.exits(2).complains(says);
        }
        assert_eq!(fs::read_to_string(&config).unwrap(), text, "{line:?}");
    }
    mainstay(home, &["add", "x", "--", "no-such-program"])
        .exits(0)
        .says("warning: no program `no-such-program` is on the PATH");
    // A file that is invalid already.
    fs::write(&config, "[gateway]\nlisen = 1\n").unwrap();
    mainstay(home, &["add", "x", "--", "sh"]).exits(2).complains("so nothing was added");
    fs::write(&config, "[[[").unwrap();
    mainstay(home, &["add", "x", "--", "sh"]).exits(2).complains("not valid TOML");
    mainstay(home, &["remove", "x"]).exits(2).complains("not valid TOML");
    assert_eq!(fs::read_to_string(&config).unwrap(), "[[[");
}

#[test]
fn what_others_need_is_not_removed() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let config = home.join("mainstay.toml");
    mainstay(home, &["remove", "x"]).exits(2).complains("there is no configuration file");
    fs::write(&config, MINE).unwrap();
    mainstay(home, &["remove", "one"]).exits(2).complains("`one` is the only server of");
    let more = "\n[servers.two]\ncommand = ['sh']\nneeds = [\"server:one\"]\n\n[servers.three]\n\
                command = ['sh']\n\n[endpoints.group]\nservers = ['two', 'three']\n";
    fs::write(&config, format!("{MINE}{more}")).unwrap();
    mainstay(home, &["remove", "one"])
        .exits(2)
        .complains("`one` is needed by server `two` (line 12)")
        .complains("take \"server:one\" out of `needs`");
    mainstay(home, &["remove", "three", "--dry-run"])
        .exits(0)
        .says("- [servers.three]")
        .says("- servers = ['two', 'three']")
        .says("+ servers = ['two']");
    let json = mainstay(home, &["remove", "three", "--json"]).exits(0).json();
    assert_eq!((&json["kind"], &json["groups"][0]), (&"server".into(), &"group".into()));
    mainstay(home, &["remove", "group"]).exits(0).says("removed group `group`");
    mainstay(home, &["check"]).exits(0).says("mainstay.toml: ok: 2 servers, 2 warnings");
}

#[test]
fn a_first_server_makes_the_file_and_a_daemon_is_told() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let program = env!("CARGO_BIN_EXE_mainstay");
    mainstay(home, &["add", "clock", "--", program, "__demo", "clock"])
        .exits(0)
        .says("added `clock` to mainstay.toml");
    let up = Up::start(home, &[]);
    up.server("clock", "ready");
    let ran = mainstay(home, &["add", "notes", "--", program, "__demo", "notes"]).exits(0);
    let ran = ran.says("reload the running daemon to serve `notes`: mainstay reload");
    assert!(!ran.out.contains("not this file"), "{}", ran.out);
    let json = mainstay(home, &["remove", "notes", "--json"]).exits(0).json();
    assert_eq!(json["reload_needed"], true);
    fs::write(home.join("other.toml"), "").unwrap();
    let other = ["add", "x", "--config", "other.toml", "--", program, "__demo", "clock"];
    mainstay(home, &other).exits(0).says("mainstay.toml, not this file");
    up.stop();
}

#[test]
fn a_server_that_a_notification_names_can_be_removed_and_the_way_is_said() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let config = home.join("mainstay.toml");
    let text = "[servers.a]\ncommand = ['sh']\n\n[servers.b]\ncommand = ['sh']\n\n[[notify]]\n\
                url = 'https://hooks.example.org/services/hidden'\nservers = ['a', 'b']\n\n[[notify]]\n\
                command = ['no-such-program']\n";
    fs::write(&config, text).unwrap();
    let checked = mainstay(home, &["check"])
        .exits(0)
        .says("2 servers, 2 notifications")
        .says("warning: no program `no-such-program` is on the PATH");
    assert!(!checked.out.contains("hidden"));
    let resolved = mainstay(home, &["check", "--resolved"])
        .exits(0)
        .says("notify.1.url = \"https://hooks.example.org/***\"");
    assert!(!resolved.out.contains("hidden"));
    mainstay(home, &["remove", "a"])
        .exits(0)
        .says("these notifications no longer name it: notify.1");
    mainstay(home, &["check"]).exits(0).says("1 server, 2 notifications");
    mainstay(home, &["remove", "b"])
        .exits(2)
        .complains("`[[notify]]` (line 4) names no other server")
        .complains("remove that section first");
}
