use clap::{CommandFactory, Parser};

use super::{Cli, Command};

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

/// What a line means, in brief.
fn meaning(line: &str) -> String {
    match parse(line) {
        Ok(Cli { shared, command }) => {
            let shared = format!(
                "config={:?} state={:?} json={} v={} q={}",
                shared.config, shared.state, shared.json, shared.verbose, shared.quiet
            );
            format!("{command:?} {shared}")
        }
        Err(error) => format!("{:?} exit {}", error.kind(), error.exit_code()),
    }
}

const PLAIN: &str = "config=None state=None json=false v=0 q=false";

#[test]
fn the_declaration_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_reads_as_declared() {
    for (line, expected) in [
        ("mainstay up", "Up(UpArgs { listen: None, detach: false, wait: None, detached: false })"),
        (
            "mainstay up --listen [::1]:9 -d",
            "Up(UpArgs { listen: Some(\"[::1]:9\"), detach: true, wait: None, detached: false })",
        ),
        (
            "mainstay up --wait",
            "Up(UpArgs { listen: None, detach: false, wait: Some(180s), detached: false })",
        ),
        (
            "mainstay up --detach --wait 90s",
            "Up(UpArgs { listen: None, detach: true, wait: Some(90s), detached: false })",
        ),
        ("mainstay demo", "Demo(DemoArgs { listen: None })"),
        ("mainstay check --resolved", "Check(CheckArgs { file: None, resolved: true })"),
        ("mainstay check a", "Check(CheckArgs { file: Some(\"a\"), resolved: false })"),
        ("mainstay status", "Status(StatusArgs { server: None, healthy: false, watch: false })"),
        ("mainstay graph --mermaid", "Graph(GraphArgs { mermaid: true })"),
        ("mainstay start a b", "Start(NodesArgs { names: [\"a\", \"b\"], dry_run: false })"),
        (
            "mainstay restart a",
            "Restart(RestartArgs { nodes: NodesArgs { names: [\"a\"], dry_run: false }, no_verify: false })",
        ),
        (
            "mainstay verify a b --timeout 30s",
            "Verify(VerifyArgs { names: [\"a\", \"b\"], timeout: Some(30s) })",
        ),
        ("mainstay stop server:a", "Stop(StopArgs { names: [\"a\"], dry_run: false })"),
        (
            "mainstay verify service:a x:b",
            "Verify(VerifyArgs { names: [\"a\", \"x:b\"], timeout: None })",
        ),
        ("mainstay stop", "Stop(StopArgs { names: [], dry_run: false })"),
        ("mainstay stop a --dry-run", "Stop(StopArgs { names: [\"a\"], dry_run: true })"),
        (
            "mainstay log-level debug --dry-run",
            "LogLevel(LogLevelArgs { level: Debug, dry_run: true })",
        ),
        (
            "mainstay tools time",
            "Tools(ToolsArgs { server: Some(\"time\"), tool: None, merged: false })",
        ),
        (
            "mainstay tools time now",
            "Tools(ToolsArgs { server: Some(\"time\"), tool: Some(\"now\"), merged: false })",
        ),
        ("mainstay tools --merged", "Tools(ToolsArgs { server: None, tool: None, merged: true })"),
        (
            "mainstay call time now zone=UTC n=-1",
            "Call(CallArgs { server: \"time\", tool: \"now\", pairs: [\"zone=UTC\", \"n=-1\"], \
             args: None, out: None })",
        ),
        (
            "mainstay call time now --args {} --out d",
            "Call(CallArgs { server: \"time\", tool: \"now\", pairs: [], args: Some(\"{}\"), \
             out: Some(\"d\") })",
        ),
        (
            "mainstay connect",
            "Connect(ConnectArgs { name: None, url: None, ca: None, token_file: None })",
        ),
        (
            "mainstay connect time --url https://h:1 --ca c --token-file t",
            "Connect(ConnectArgs { name: Some(\"time\"), url: Some(\"https://h:1\"), \
             ca: Some(\"c\"), token_file: Some(\"t\") })",
        ),
        (
            "mainstay import a b --write",
            "Import(ImportArgs { files: [\"a\", \"b\"], write: true, dry_run: false })",
        ),
        (
            "mainstay export",
            "Export(ExportArgs { client: None, write: false, replace: false, remove: false, \
             dry_run: false, file: None, project: false, stdio: false, endpoint: None })",
        ),
        (
            "mainstay export zed --remove --file f --endpoint e",
            "Export(ExportArgs { client: Some(\"zed\"), write: false, replace: false, remove: true, \
             dry_run: false, file: Some(\"f\"), project: false, stdio: false, endpoint: Some(\"e\") })",
        ),
        ("mainstay fetch a b", "Fetch(FetchArgs { servers: [\"a\", \"b\"] })"),
        (
            "mainstay service show nginx --with d.toml",
            "Service(ServiceArgs { command: Show(ShowArgs { service: Some(Nginx), system: false, \
             with: [\"d.toml\"], certificate: None, certificate_key: None }) })",
        ),
        (
            "mainstay init",
            "Init(InitArgs { file: None, from: None, force: false, dry_run: false })",
        ),
        (
            "mainstay init a.toml --force",
            "Init(InitArgs { file: Some(\"a.toml\"), from: None, force: true, dry_run: false })",
        ),
        ("mainstay schema", "Schema"),
        ("mainstay completions fish", "Completions(CompletionsArgs { shell: Fish })"),
        ("mainstay __guard /s", "Guard { state_dir: \"/s\" }"),
        ("mainstay __exec", "Exec"),
        ("mainstay __demo time", "DemoServer { kind: \"time\" }"),
    ] {
        assert_eq!(meaning(line), format!("{expected} {PLAIN}"), "{line}");
    }
}

#[test]
fn shared_flags_stand_before_or_after_the_command() {
    let expected = "Schema config=Some(\"c\") state=Some(\"s\") json=true v=2 q=false".to_owned();
    assert_eq!(meaning("mainstay --config c --state s --json -vv schema"), expected);
    assert_eq!(meaning("mainstay schema --json -v --state s -v --config c"), expected);
}

#[test]
fn wrong_usage_is_two_and_help_is_none() {
    for (line, expected) in [
        ("mainstay", "DisplayHelpOnMissingArgumentOrSubcommand exit 2"),
        ("mainstay stauts", "InvalidSubcommand exit 2"),
        ("mainstay up extra", "UnknownArgument exit 2"),
        ("mainstay -v -q status", "ArgumentConflict exit 2"),
        ("mainstay up --wait soon", "ValueValidation exit 2"),
        ("mainstay status --watch one", "ArgumentConflict exit 2"),
        ("mainstay log-level", "MissingRequiredArgument exit 2"),
        ("mainstay log-level loud", "InvalidValue exit 2"),
        ("mainstay call time", "MissingRequiredArgument exit 2"),
        ("mainstay call time now a=1 --args {}", "ArgumentConflict exit 2"),
        ("mainstay import", "MissingRequiredArgument exit 2"),
        ("mainstay export --write", "MissingRequiredArgument exit 2"),
        ("mainstay export zed --write --remove", "ArgumentConflict exit 2"),
        ("mainstay service", "DisplayHelpOnMissingArgumentOrSubcommand exit 2"),
        ("mainstay service show apache", "InvalidValue exit 2"),
        ("mainstay completions tcsh", "InvalidValue exit 2"),
        ("mainstay --help", "DisplayHelp exit 0"),
        ("mainstay call --help", "DisplayHelp exit 0"),
        ("mainstay --version", "DisplayVersion exit 0"),
    ] {
        assert_eq!(meaning(line), expected, "{line}");
    }
}

#[test]
fn each_command_shows_examples_and_hidden_ones_stay_hidden() {
    let mut command = Cli::command();
    let help = command.render_long_help().to_string();
    assert!(!help.contains("__"), "{help}");
    for sub in command.get_subcommands_mut().filter(|sub| !sub.is_hide_set()) {
        let name = sub.get_name().to_owned();
        let help = sub.render_long_help().to_string();
        if name != "help" {
            assert!(help.contains(&format!("  mainstay {name}")), "{help}");
        }
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }
}

#[test]
fn help_is_wrapped_once_whatever_the_width_of_the_terminal() {
    for width in [60, 80, 100] {
        let mut command = Cli::command().term_width(width);
        command.build();
        let subs = command.get_subcommands_mut().filter(|sub| !sub.is_hide_set());
        for sub in subs {
            let help = sub.clone().term_width(width).render_long_help().to_string();
            let lines: Vec<_> = help.lines().collect();
            for pair in lines.windows(2) {
                let [line, next] = pair else { continue };
                let is_text = |line: &str| !line.is_empty() && !line.starts_with(' ');
                if !is_text(line) || !is_text(next) || line.ends_with(':') {
                    continue;
                }
                let first = next.split(' ').next().unwrap();
                let together = line.chars().count() + 1 + first.chars().count();
                assert!(together > width, "{} at {width}: {line:?}, {next:?}", sub.get_name());
            }
        }
    }
}

#[test]
fn listen_becomes_a_flag_of_the_configuration() {
    let cli = parse("mainstay up --state s --listen 127.0.0.1:1").unwrap();
    let Command::Up(args) = &cli.command else { panic!("{cli:?}") };
    let request = cli.shared.request(args.listen.as_deref());
    assert_eq!(request.state.as_deref(), Some(std::path::Path::new("s")));
    assert_eq!(
        (request.flags[0].flag.as_str(), request.flags[0].key.as_str()),
        ("--listen", "gateway.listen")
    );
    assert!(cli.shared.request(None).flags.is_empty());
}
