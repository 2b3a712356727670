//! Hints for commands of other programs that people type out of habit.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Words that are no commands, and what does what they probably mean.
const HABITS: &[(&[&str], &str)] = &[
    (
        &["start", "serve", "run", "server", "daemon", "launch"],
        "`mainstay up` starts the daemon; `mainstay demo` tries it out, without any configuration",
    ),
    (
        &["ps", "ls", "list", "servers", "show", "info", "health"],
        "`mainstay status` lists servers, `mainstay tools` their tools",
    ),
    (&["kill", "down", "quit", "shutdown", "halt"], "`mainstay stop` stops the daemon"),
    (&["validate", "lint", "config"], "`mainstay check` checks the configuration"),
    (&["describe", "inspect"], "`mainstay tools SERVER TOOL` describes a tool"),
    (&["exec", "invoke"], "`mainstay call SERVER TOOL` calls a tool"),
    (&["install", "setup"], "`mainstay export CLIENT --write` connects a client"),
    (&["download", "pull", "update"], "`mainstay fetch` installs the packages of servers"),
    (
        &["uninstall", "delete", "rm"],
        "`mainstay remove NAME` takes a server out of the configuration",
    ),
    (&["log", "tail"], "`mainstay logs` shows what servers write"),
    (&["version"], "`mainstay --version` prints it"),
];

/// The error, with a hint that fits a word that is known from other programs.
pub(crate) fn with_hint(mut error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return error;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    let habit = HABITS.iter().find(|(words, _)| words.contains(&word.as_str()));
    if let Some((_, hint)) = habit {
        error.remove(ContextKind::SuggestedSubcommand);
        let hint = ContextValue::StyledStrs(vec![(*hint).into()]);
        error.insert(ContextKind::Suggested, hint);
    }
    error
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{HABITS, with_hint};
    use crate::cli::Cli;

    fn said(word: &str) -> String {
        with_hint(Cli::try_parse_from(["mainstay", word]).unwrap_err()).to_string()
    }

    #[test]
    fn a_habit_from_another_program_gets_a_fitting_hint() {
        for (words, hint) in HABITS {
            for word in *words {
                let said = said(word);
                assert!(said.contains(&format!("tip: {hint}")), "{said}");
                assert!(!said.contains("similar"), "{said}");
            }
        }
        assert!(said("stauts").contains("a similar subcommand exists: 'status'"));
    }

    #[test]
    fn the_hints_name_commands_that_exist() {
        for (words, hint) in HABITS {
            for quoted in hint.split('`').skip(1).step_by(2) {
                let name = quoted.split(' ').nth(1).unwrap();
                let known = Cli::command().find_subcommand(name).is_some();
                assert!(known || name.starts_with("--"), "{hint}");
            }
            assert!(words.iter().all(|word| Cli::command().find_subcommand(word).is_none()));
        }
    }
}
