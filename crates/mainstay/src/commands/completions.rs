//! `mainstay completions`: prints a shell's completion script. The script asks this program for the words,
//! which takes names of servers, groups, tools and clients from the daemon or the configuration.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command, CommandFactory};
use clap_complete::CompleteEnv;
use clap_complete::engine::{
    ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use clap_complete::env::Shells;
use serde_json::json;

use self::candidates::Names;
use self::typed::Typed;
use crate::cli::{Cli, CompletionsArgs, Shell};
use crate::exit::{Exit, Failure};
use crate::output::Output;

mod candidates;
mod typed;

/// The variable in which a script names its shell when it asks for words.
const VARIABLE: &str = "MAINSTAY_COMPLETE";

/// The arguments that are names, by command.
const ARGUMENTS: &[(&str, &str, Names)] = &[
    ("status", "server", Names::All),
    ("start", "names", Names::Runnable),
    ("stop", "names", Names::Runnable),
    ("restart", "names", Names::Runnable),
    ("verify", "names", Names::Checked),
    ("tools", "server", Names::ServersAndGroups),
    ("tools", "tool", Names::Tools),
    ("call", "server", Names::ServersAndGroups),
    ("call", "tool", Names::Tools),
    ("call", "pairs", Names::Arguments),
    ("connect", "name", Names::ServersAndGroups),
    ("export", "client", Names::Clients),
    ("export", "endpoint", Names::ServersAndGroups),
    ("fetch", "servers", Names::Servers),
    ("events", "name", Names::Nodes),
    ("logs", "server", Names::Runnable),
    ("remove", "name", Names::All),
];

/// The same of commands that have commands of their own.
const NESTED: &[(&str, &str, &str, Names)] = &[("breaker", "reset", "names", Names::Nodes)];

/// The arguments that are names of clients or files, by command.
const CLIENTS_OR_FILES: &[(&str, &str)] = &[("import", "files"), ("init", "from")];

pub(super) fn run(args: &CompletionsArgs, out: &Output) -> Result<Exit, Failure> {
    let script = script(args.shell);
    if out.json {
        out.value(&json!({ "shell": args.shell.name(), "script": script }));
    } else {
        out.line(script.trim_end());
    }
    Ok(Exit::Done)
}

/// Answers a completion script that asks for words. False if this run of the program was not started by one.
/// Never prints an error, which would disturb the line that is being typed.
pub(crate) fn answered() -> bool {
    if std::env::var_os(VARIABLE).is_none_or(|shell| shell.is_empty()) {
        return false;
    }
    let line: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
    // The index of the word that is completed; fish cuts the line there.
    let index = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|index| index.parse().ok());
    let before = index.unwrap_or(line.len().saturating_sub(1)).min(line.len());
    let is_flag = line.get(before).is_some_and(|word| word.as_encoded_bytes().starts_with(b"-"));
    let typed = Typed::read(line.into_iter().take(before).skip(1));
    let command = || {
        let whole = with_names(Cli::command(), &typed);
        if is_flag { whole } else { without_flags(whole) }
    };
    let folder = std::env::current_dir().ok();
    let _ = CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .try_complete(std::env::args_os(), folder.as_deref());
    true
}

/// The command line, with a way to find the names that its arguments take.
fn with_names(whole: Command, typed: &Typed) -> Command {
    let whole = CLIENTS_OR_FILES.iter().fold(whole, |whole, (command, argument)| {
        let either = ArgValueCompleter::new(clients_and_files);
        whole.mut_subcommand(command, |own| own.mut_arg(argument, |argument| argument.add(either)))
    });
    let whole = NESTED.iter().fold(whole, |whole, &(command, inner, argument, names)| {
        let typed = typed.clone();
        let names = ArgValueCandidates::new(move || names.find(&typed));
        whole.mut_subcommand(command, |own| {
            own.mut_subcommand(inner, |own| own.mut_arg(argument, |argument| argument.add(names)))
        })
    });
    ARGUMENTS.iter().fold(whole, |whole, &(command, argument, names)| {
        let typed = typed.clone();
        let names = ArgValueCandidates::new(move || names.find(&typed));
        whole.mut_subcommand(command, |own| own.mut_arg(argument, |argument| argument.add(names)))
    })
}

/// The clients whose names begin with the word, then the files whose paths do.
fn clients_and_files(word: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = Names::Clients.find(&Typed::default());
    found.retain(|client| {
        client.get_value().as_encoded_bytes().starts_with(word.as_encoded_bytes())
    });
    found.extend(PathCompleter::file().complete(word));
    found
}

/// Hides flags, which would stand between the names. They are offered once a word begins with `-`, or if
/// there is no name.
fn without_flags(command: Command) -> Command {
    let hidden = |argument: Arg| {
        let is_flag = !argument.is_positional();
        if is_flag { argument.hide(true) } else { argument }
    };
    let command = command.disable_help_flag(true).disable_version_flag(true);
    command.mut_args(hidden).mut_subcommands(without_flags)
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    if let Some(kind) = shells.completer(shell.name()) {
        // Writing to memory can't fail.
        let _ = kind.write_registration(VARIABLE, "mainstay", "mainstay", "mainstay", &mut script);
    }
    let script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        // A program that is no longer there is not reported at every key.
        Shell::Bash => script.replace(r#"-- "${words[@]}""#, r#"-- "${words[@]}" 2>/dev/null"#),
        Shell::Fish => script.replace(
            "(commandline --current-token))",
            "(commandline --current-token) 2>/dev/null)",
        ),
        // zsh reads the file at the first completion, and calls it for that one.
        Shell::Zsh => script.replace(
            "compdef _clap_dynamic_completer_mainstay mainstay",
            "if [[ $funcstack[1] == _mainstay ]]; then\n    \
                 _clap_dynamic_completer_mainstay \"$@\"\nelse\n    \
                 compdef _clap_dynamic_completer_mainstay mainstay\nfi",
        ),
    }
}

// === impl Shell ===

impl Shell {
    fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap_complete::engine::complete;

    use super::{
        ARGUMENTS, CLIENTS_OR_FILES, Cli, CompletionCandidate, Shell, Typed, script, with_names,
    };

    /// The words that complete the last word of a line.
    fn words(line: &str) -> Vec<String> {
        let line: Vec<_> = line.split(' ').map(Into::into).collect();
        let index = line.len() - 1;
        let mut command = with_names(Cli::command(), &Typed::default());
        let candidates = complete(&mut command, line, index, None).unwrap();
        let words = candidates.iter().map(CompletionCandidate::get_value);
        words.map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn commands_and_clients_are_completed_and_hidden_commands_are_not() {
        let commands = words("mainstay ");
        for command in Cli::command().get_subcommands() {
            let is_offered = commands.iter().any(|word| word == command.get_name());
            assert_eq!(is_offered, !command.is_hide_set(), "{}", command.get_name());
        }
        assert_eq!(words("mainstay export cur"), ["cursor"]);
        assert_eq!(words("mainstay init --from cur"), ["cursor"]);
        assert_eq!(words("mainstay tools --mer"), ["--merged"]);
    }

    #[test]
    fn every_argument_that_is_a_name_exists() {
        let names = ARGUMENTS.iter().map(|(command, argument, _)| (command, argument));
        let either = CLIENTS_OR_FILES.iter().map(|(command, argument)| (command, argument));
        for (command, argument) in names.chain(either) {
            let whole = Cli::command();
            let command = whole.find_subcommand(command).unwrap();
            assert!(command.get_arguments().any(|known| known.get_id() == argument), "{argument}");
        }
    }

    #[test]
    fn scripts_keep_their_errors_to_themselves() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            assert!(script.contains("2>/dev/null"), "{script}");
            assert!(script.contains("MAINSTAY_COMPLETE"), "{script}");
        }
        assert!(script(Shell::Zsh).contains("funcstack"));
    }
}
