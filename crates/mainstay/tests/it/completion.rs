//! Completion in the shells that are installed.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use mainstay_testkit::programs;
use serde_json::json;

use crate::shared::{daemon, misbehave};

/// A shell, and a script that prints what it offers for the line `$LINE`.
const SHELLS: [(&str, &[&str], &str); 3] = [
    (
        "bash",
        &["--norc", "--noprofile", "-c"],
        r#"source <(mainstay completions bash)
read -ra COMP_WORDS <<< "$LINE"
[[ $LINE == *' ' ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_TYPE=9
_clap_complete_mainstay mainstay "${COMP_WORDS[COMP_CWORD]}" ""
printf '%s\n' "${COMPREPLY[@]}""#,
    ),
    (
        "zsh",
        &["-f", "-c"],
        r#"compdef() { }
_describe() { print -l -- "${(@P)3}" }
source <(mainstay completions zsh)
words=(${(z)LINE}) 
[[ $LINE == *' ' ]] && words+=("")
CURRENT=$#words
_clap_dynamic_completer_mainstay"#,
    ),
    ("fish", &["--no-config", "-c"], "mainstay completions fish | source; complete -C \"$LINE\""),
];

/// Runs a script in a shell that finds the program on its path.
fn run(folder: &Path, shell: &str, arguments: &[&str], line: &str) -> std::io::Result<Output> {
    let program = Path::new(env!("CARGO_BIN_EXE_mainstay")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(shell);
    command.args(arguments).current_dir(folder).env_clear().env("HOME", folder).env("PATH", path);
    command.env("LINE", line).env("MAINSTAY_STATE", folder.join("state"));
    command.output()
}

/// What each installed shell offers for a line. Asserts that nothing else is printed.
fn offered(folder: &Path, line: &str) -> Vec<(&'static str, Vec<String>)> {
    let shells = SHELLS.iter().filter_map(|&(shell, arguments, script)| {
        let arguments = [arguments, &[script]].concat();
        // A shell that is not installed is not tried.
        let output = run(folder, shell, &arguments, line).ok()?;
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell}: {line}");
        let text = String::from_utf8(output.stdout).unwrap();
        let name = |line: &str| line.split(['\t', ':']).next().unwrap_or_default().to_owned();
        let names = text.lines().map(name).filter(|name| !name.is_empty());
        Some((shell, names.collect()))
    });
    let shells: Vec<_> = shells.collect();
    assert!(shells.iter().any(|(shell, _)| *shell == "bash"), "bash is not installed");
    shells
}

#[track_caller]
fn offers(folder: &Path, line: &str, expected: &[&str]) {
    for (shell, mut names) in offered(folder, line) {
        names.sort();
        // Where there are no names, flags are offered.
        names.retain(|name| !name.starts_with('-') || !expected.is_empty());
        assert_eq!(names, expected, "{shell}: {line}");
    }
}

#[tokio::test]
async fn shells_know_servers_tools_arguments_and_clients() {
    let fixture = programs::fixture().unwrap().display().to_string();
    let program = env!("CARGO_BIN_EXE_mainstay");
    let daemon = daemon()
        .command_server("notes", &[program, "__demo", "notes"])
        .command_server("one", &[fixture.as_str(), "stdio"])
        .config("[endpoints.both]\nservers = [\"one\", \"notes\"]")
        .start()
        .await
        .unwrap();
    daemon.client("notes").await.unwrap();
    let folder = daemon.folder();
    offers(folder, "mainstay call ", &["both", "notes", "one"]);
    offers(folder, "mainstay status no", &["notes"]);
    offers(folder, "mainstay call notes add", &["add_note"]);
    offers(folder, "mainstay tools notes add", &["add_note"]);
    offers(folder, "mainstay call notes add_note ti", &["title="]);
    offers(folder, "mainstay export cur", &["cursor"]);
    offers(folder, "mainstay fetch ", &["notes", "one"]);
}

/// bash inserts what it is offered as it is, so that a name could be run by the next Enter.
#[tokio::test]
async fn a_tool_whose_name_a_shell_would_run_or_take_for_a_flag_is_not_offered() {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "good-one",
        "good$(touch run)",
        "good;touch run",
        "good\ntouch run",
        "good `id`",
        "--state=/x",
    ];
    let schema = |name: &str| json!({ "type": "object", "properties": { name: {} } });
    let tools = names.map(|name| json!({ "name": name, "inputSchema": schema(name) }));
    let list = folder.path().join("tools.json");
    std::fs::write(&list, json!({ "tools": tools }).to_string()).unwrap();
    let server = misbehave(&[&format!("--tools-from={}", list.display())]);
    let daemon = daemon().command_server("hostile", &server).start().await.unwrap();
    daemon.client("hostile").await.unwrap();
    offers(daemon.folder(), "mainstay call hostile goo", &["good-one"]);
    offers(daemon.folder(), "mainstay tools hostile ", &["good-one"]);
    offers(daemon.folder(), "mainstay call hostile good-one goo", &["good-one="]);
}

#[test]
fn without_a_daemon_the_configuration_is_asked_and_nothing_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let text = "[servers.weather]\ncommand = [\"/bin/true\"]\n[servers.files]\nurl = \"http://127.0.0.1:1/mcp\"\n\
                [services.db]\ncommand = [\"/bin/true\"]\n[externals.api]\ntcp = \"127.0.0.1:1\"\n\
                [endpoints.both]\nservers = [\"weather\", \"files\"]\n";
    std::fs::write(folder.join("mainstay.toml"), text).unwrap();
    offers(folder, "mainstay call ", &["both", "files", "weather"]);
    offers(folder, "mainstay remove ", &["api", "both", "db", "files", "weather"]);
    offers(folder, "mainstay events ", &["api", "db", "files", "weather"]);
    offers(folder, "mainstay stop db ", &["files", "weather"]);
    offers(folder, "mainstay call weather ", &[]);
    std::fs::write(folder.join("mainstay.toml"), "[[[").unwrap();
    offers(folder, "mainstay status ", &[]);
}

#[test]
fn a_daemon_that_does_not_answer_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::create_dir(folder.join("state")).unwrap();
    let _silent = std::os::unix::net::UnixListener::bind(folder.join("state/control.sock"));
    let text = "[servers.weather]\ncommand = [\"/bin/true\"]\n";
    std::fs::write(folder.join("mainstay.toml"), text).unwrap();
    let begun = Instant::now();
    let shells = offered(folder, "mainstay status we");
    assert!(shells.iter().all(|(_, names)| names == &["weather"]), "{shells:?}");
    // Much less than the deadline of any other question to the daemon.
    assert!(begun.elapsed() < Duration::from_secs(8 * 3), "{:?}", begun.elapsed());
}
