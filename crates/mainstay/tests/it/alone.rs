//! Commands without a daemon.

use std::fs;

use crate::mainstay;

#[test]
fn help_and_version_are_there_and_wrong_usage_is_two() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    mainstay(home, &["--help"]).exits(0).says("Examples:").says("Exit codes:");
    mainstay(home, &["--version"]).exits(0).says("mainstay ");
    mainstay(home, &["stauts"]).exits(2).complains("'status'");
    let start = mainstay(home, &["start"]).exits(2).complains("`mainstay up` starts the daemon");
    assert!(!start.err.contains("similar"), "{}", start.err);
    let json = mainstay(home, &["ps", "--json"]).exits(2).json();
    assert_eq!(json["error"]["message"], "unrecognized subcommand 'ps'");
    let hint = json["error"]["hints"][0].as_str().unwrap();
    assert!(hint.starts_with("`mainstay status` lists servers"), "{hint}");
    mainstay(home, &[]).exits(2).complains("Usage:");
}

#[test]
fn no_daemon_is_three_in_words_and_in_json() {
    let home = tempfile::tempdir().unwrap();
    for command in [&["status"][..], &["tools"], &["events"], &["call", "time", "now"]] {
        let ran = mainstay(home.path(), command)
            .exits(3)
            .complains("no daemon is running for")
            .complains("mainstay up");
        assert_eq!(ran.out, "");
        let json = mainstay(home.path(), &[command, &["--json"]].concat()).exits(3).json();
        let message = json["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("no daemon is running for"), "{message}");
    }
}

#[test]
fn without_a_daemon_there_is_nothing_to_stop() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    for command in [&["stop"][..], &["stop", "--dry-run"]] {
        mainstay(home, command)
            .exits(3)
            .complains("no daemon is running for")
            .complains("hint: there is nothing to stop");
    }
    let json = mainstay(home, &["stop", "--json"]).exits(3).json();
    assert_eq!(json["error"]["hints"][0], "there is nothing to stop");
    mainstay(home, &["log-level", "debug"]).exits(3).complains("no daemon is running for");
    // The folder is in use, and nobody listens: a daemon that starts or ends.
    fs::create_dir(home.join("state")).unwrap();
    fs::write(home.join("state/lock"), "4711\n").unwrap();
    let lock = fs::File::open(home.join("state/lock")).unwrap();
    lock.lock().unwrap();
    mainstay(home, &["stop"]).exits(3).complains("process 4711 uses").complains("`kill 4711`");
    drop(lock);
    mainstay(home, &["stop"]).exits(3).complains("there is nothing to stop");
}

#[test]
fn init_writes_what_check_accepts() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    mainstay(home, &["init"]).exits(0).says("wrote mainstay.toml");
    mainstay(home, &["check"]).exits(0).says("mainstay.toml: ok");
    fs::write(home.join("mainstay.toml"), "mine").unwrap();
    mainstay(home, &["init"]).exits(1).complains("exists already").complains("--force");
    assert_eq!(fs::read_to_string(home.join("mainstay.toml")).unwrap(), "mine");
    mainstay(home, &["init", "--force"]).exits(0);
    let resolved = mainstay(home, &["check", "--resolved"]).exits(0);
    let resolved = resolved.says("gateway.listen = ").says("# default");
    // Values that depend on the machine are shown as a daemon would use them.
    let budget = resolved.out.lines().find(|line| line.starts_with("gateway.memory_budget = "));
    let budget = budget.expect("the memory budget");
    assert!(
        budget.contains("B\"") && budget.contains("# default, from the memory limit"),
        "{budget}"
    );
}

#[test]
fn check_tells_every_problem_with_its_place() {
    let home = tempfile::tempdir().unwrap();
    let text = "[gateway]\nlisen = \"x\"\n\n[servers.a]\ncommand = \"one\"\n";
    fs::write(home.path().join("mainstay.toml"), text).unwrap();
    mainstay(home.path(), &["check"])
        .exits(2)
        .says("mainstay.toml:2:1: error:")
        .says("did you mean `listen`?")
        .says("mainstay.toml:5:11: error:")
        .says("          ^^^")
        .says("2 errors");
    let json = mainstay(home.path(), &["check", "--json"]).exits(2).json();
    assert_eq!(json["ok"], false);
    assert_eq!(json["problems"][1]["line"], 5);
    fs::rename(home.path().join("mainstay.toml"), home.path().join("other.toml")).unwrap();
    mainstay(home.path(), &["check", "other.toml"]).exits(2).says("other.toml:2:1: error:");
    mainstay(home.path(), &["check", "other.toml", "--config", "x"]).exits(2).complains("both");
    mainstay(home.path(), &["check", "--config", "none.toml"]).exits(2).says("none.toml");
}

#[test]
fn a_broken_configuration_keeps_nobody_from_asking_for_the_status() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("mainstay.toml"), "[[[").unwrap();
    mainstay(home.path(), &["status"]).exits(3).complains("no daemon is running");
}

#[test]
fn schema_and_completions_print_themselves() {
    let home = tempfile::tempdir().unwrap();
    let schema = mainstay(home.path(), &["schema"]).exits(0).json();
    assert!(schema["properties"]["servers"].is_object());
    for shell in ["bash", "zsh", "fish"] {
        mainstay(home.path(), &["completions", shell]).exits(0).says("mainstay");
    }
    mainstay(home.path(), &["completions", "tcsh"]).exits(2);
}

/// Whether systemd takes a unit; none: systemd is not on this machine.
fn systemd_takes(unit: &std::path::Path, scope: &str) -> Option<std::process::Output> {
    let mut command = std::process::Command::new("systemd-analyze");
    command.env("XDG_RUNTIME_DIR", unit.parent()?);
    command.args(["verify", "--man=no", "--recursive-errors=no", scope]).arg(unit).output().ok()
}

#[test]
fn units_name_this_program_and_systemd_takes_them() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    mainstay(home, &["service", "show", "systemd"])
        .exits(2)
        .complains("write one with `mainstay init`");
    let folder = home.join("a b%c $d");
    fs::create_dir(&folder).unwrap();
    let config = folder.join("mainstay.toml");
    fs::write(&config, "[servers.a]\nurl = \"${BASE}/mcp\"\n").unwrap();
    let own = ["--config", config.to_str().unwrap()];
    let show =
        |arguments: &[&str]| mainstay(home, &[&["service", "show"], arguments, &own].concat());
    let unit = show(&["systemd"])
        .exits(0)
        .says(env!("CARGO_BIN_EXE_mainstay"))
        .says("StartLimitBurst=5")
        .complains("systemctl")
        .complains("NAME=VALUE lines for BASE into");
    let json = show(&["systemd", "--json"]).exits(0).json();
    assert_eq!(json["text"].as_str().unwrap().trim_end(), unit.out.trim_end());
    let system = show(&["systemd", "--system"]).exits(0).says("WantedBy=multi-user.target").out;
    for (scope, text) in [("--user", &unit.out), ("--system", &system)] {
        let file = home.join("mainstay.service");
        fs::write(&file, text).unwrap();
        if let Some(output) = systemd_takes(&file, scope) {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!said.contains("mainstay.service"), "{scope}: {said}\n{text}");
        }
    }
    mainstay(home, &["service", "show", "nginx", "--system"]).exits(2).complains("`--system`");
    show(&["compose", "--with", "x.toml"]).exits(2).complains("`--with`");
}

/// The reader of compose files is the judge of the one that is printed.
#[test]
fn a_compose_file_can_be_read_and_needs_no_more_than_its_image() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let text =
        "[gateway]\nlisten = '127.0.0.1:8123'\n[servers.a]\ncommand = ['npx', '-y', 'a@1']\n";
    fs::write(home.join("mainstay.toml"), text).unwrap();
    let shown = mainstay(home, &["service", "show", "compose"])
        .exits(0)
        .says("127.0.0.1:8123:8123")
        .complains("so `a` can't start `npx` in it");
    let labelled =
        shown.out.replace("    restart:", "    labels: { mcp.transport: http }\n    restart:");
    // Under its own name it is known as Mainstay, and is not imported.
    let labelled = labelled.replace("\n  mainstay:\n", "\n  another:\n");
    fs::create_dir(home.join("other")).unwrap();
    fs::write(home.join("compose.yaml"), labelled).unwrap();
    mainstay(&home.join("other"), &["import", "../compose.yaml"])
        .exits(0)
        .says("url = \"http://127.0.0.1:8123/mcp\"");
}

#[test]
fn what_can_be_shown_is_listed_and_nginx_needs_a_public_address() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    mainstay(home, &["service", "show"]).exits(0).says("nginx");
    let json = mainstay(home, &["service", "show", "--json"]).exits(0).json();
    assert_eq!(json["services"][2]["name"], "nginx");
    mainstay(home, &["service", "show", "nginx"]).exits(2).complains("public_url = \"https://");
    let text = "[gateway]\npublic_url = 'https://tools.example/mcp'\n";
    fs::write(home.join("mainstay.toml"), text).unwrap();
    mainstay(home, &["service", "show", "nginx"])
        .exits(0)
        .says("server_name tools.example;")
        .says("ssl_certificate \"/etc/letsencrypt/live/tools.example/fullchain.pem\";")
        .complains("trusted_proxies = [\"127.0.0.1\"]");
    fs::write(home.join("dev.toml"), text).unwrap();
    mainstay(home, &["service", "show", "nginx", "--with", "dev.toml"])
        .exits(2)
        .complains("two configurations have https://tools.example/mcp");
}

#[test]
fn a_daemon_that_can_not_start_says_what_helps() {
    let home = tempfile::tempdir().unwrap();
    let text = "[servers.a]\ncommand = [\"true\"]\n";
    fs::write(home.path().join("mainstay.toml"), text).unwrap();
    let deep = "x".repeat(108);
    for (arguments, says, helps) in [
        (["--state", "mainstay.toml"], "can't make the state folder", "select another folder"),
        (["--state", "/dev/null/x"], "can't make the state folder", "select another folder"),
        (["--state", &deep], "can't make the command socket", "at most 107 bytes"),
        // An address that is reserved for examples, so no machine has it.
        (["--listen", "192.0.2.1:8000"], "can't listen on 192.0.2.1:8000", "no interface"),
    ] {
        let all = [&["up", "--listen", "127.0.0.1:0"][..], &arguments].concat();
        let up = if arguments[0] == "--listen" { [&["up"][..], &arguments].concat() } else { all };
        let ran = mainstay(home.path(), &up).exits(1).complains(says).complains(helps);
        assert_eq!(ran.out, "");
    }
}

#[test]
fn check_warns_of_sizes_for_which_there_is_never_memory() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let check = |gateway: &str| {
        let text = format!(
            "[gateway]\nmemory_budget = \"64MiB\"\n{gateway}\n[servers.a]\ncommand = [\"/bin/sh\"]\n"
        );
        fs::write(home.join("mainstay.toml"), text).unwrap();
        mainstay(home, &["check"]).exits(0)
    };
    check("max_body = \"20MiB\"\nmax_message = \"40MiB\"")
        .says("gateway.max_body is 20.0 MiB, and the memory budget has room for 16.0 MiB of bodies")
        .says("gateway.max_message is 40.0 MiB, and the memory budget has room for 32.0 MiB of answers")
        .says("raise gateway.memory_budget")
        .says("2 warnings");
    let fits = check("max_body = \"16MiB\"\nmax_message = \"32MiB\"");
    assert!(!fits.out.contains("warning"), "{}", fits.out);
    // The operator did not ask for the default of 64 MiB, so there is no warning.
    let default = check("");
    assert!(!default.out.contains("warning"), "{}", default.out);
}

#[test]
fn check_knows_the_users_and_groups_of_this_machine() {
    let home = tempfile::tempdir().unwrap();
    let text = "[servers.a]\ncommand = [\"/bin/sh\"]\nuser = \"nobody-of-that-name\"\n\
                [servers.b]\ncommand = [\"/bin/sh\"]\ngroup = \"no-group-of-that-name\"\n\
                [servers.c]\ncommand = [\"/bin/sh\"]\nuser = \"root\"\n";
    fs::write(home.path().join("mainstay.toml"), text).unwrap();
    mainstay(home.path(), &["check"])
        .exits(0)
        .says("servers.a.user: there is no user \"nobody-of-that-name\" on this machine")
        .says("servers.b.group: there is no group \"no-group-of-that-name\" on this machine")
        .says("2 warnings");
}
