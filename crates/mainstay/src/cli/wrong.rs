//! Hints for commands of other programs that people type out of habit.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::shell::quoted;

/// Words that are no commands, and what does what they probably mean.
const HABITS: &[(&[&str], &str)] = &[
    (
        &["serve", "run", "server", "daemon", "launch"],
        "`mainstay up` starts the daemon; `mainstay demo` tries it out, without any configuration",
    ),
    (
        &["ps", "ls", "list", "servers", "show", "info", "health"],
        "`mainstay status` lists servers, `mainstay tools` their tools",
    ),
    (&["kill", "down", "quit", "shutdown", "halt"], "`mainstay stop` stops the daemon"),
    (&["refresh", "apply"], "`mainstay reload` has the daemon read its configuration again"),
    (&["validate", "lint", "config"], "`mainstay check` checks the configuration"),
    (&["describe", "inspect"], "`mainstay tools SERVER TOOL` describes a tool"),
    (&["exec", "invoke"], "`mainstay call SERVER TOOL` calls a tool"),
    (&["install", "setup"], "`mainstay export CLIENT --write` connects a client"),
    (&["download", "pull", "update"], "`mainstay fetch` installs the packages of servers"),
    (
        &["uninstall", "delete", "rm"],
        "`mainstay remove NAME` takes a server out of the configuration",
    ),
    (&["tree", "deps", "depends"], "`mainstay graph` shows what needs what"),
    (&["top", "watch"], "`mainstay status --watch` shows the state again at each change"),
    (&["log", "tail"], "`mainstay logs` shows what servers write"),
    (&["version"], "`mainstay --version` prints it"),
];

/// Flags of `mainstay add`, and of every command, that are followed by a value.
const VALUED: [&str; 7] = ["-e", "--env", "-H", "--header", "--cwd", "--config", "--state"];

/// The error, with a hint that fits what was typed. `words`: the command line.
pub(crate) fn with_hint(error: clap::Error, words: &[String]) -> clap::Error {
    match error.kind() {
        ErrorKind::InvalidSubcommand => with_habit(error),
        ErrorKind::UnknownArgument => with_dashes(error, words),
        ErrorKind::MissingRequiredArgument if is_add(words) => {
            let hint = "a server is added by its name: `mainstay add NAME -- COMMAND`, or \
                        `mainstay add NAME URL`";
            suggested(error, hint)
        }
        _ => error,
    }
}

/// Says where `--` belongs, instead of the advice to write it before a flag, which is never right here.
fn with_dashes(mut error: clap::Error, words: &[String]) -> clap::Error {
    error.remove(ContextKind::Suggested);
    if !is_add(words) || error.get(ContextKind::SuggestedArg).is_some() {
        return error;
    }
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let hint = dashed(words, unknown);
    suggested(error, &hint)
}

fn suggested(mut error: clap::Error, hint: &str) -> clap::Error {
    let hint = ContextValue::StyledStrs(vec![hint.to_owned().into()]);
    error.insert(ContextKind::Suggested, hint);
    error
}

fn is_add(words: &[String]) -> bool {
    plain(words).next().is_some_and(|(_, word)| word == "add")
}

/// The words of a command line that are no flags and no values of flags, with their places.
fn plain(words: &[String]) -> impl Iterator<Item = (usize, &str)> {
    let is_value = |at: usize| at > 0 && VALUED.contains(&words[at - 1].as_str());
    let words = words.iter().enumerate().skip(1);
    words
        .filter(move |(at, word)| !word.starts_with('-') && !is_value(*at))
        .map(|(at, word)| (at, &**word))
}

/// How `mainstay add` is written with a command whose flag was taken for one of its own. The words after that
/// flag may be secrets.
fn dashed(words: &[String], unknown: &str) -> String {
    let of_command = words.iter().position(|word| word.starts_with(unknown)).unwrap_or_default();
    let before: Vec<_> = plain(words).skip(1).take_while(|(at, _)| *at < of_command).collect();
    let more = if of_command + 1 < words.len() { " …" } else { "" };
    let line = match &*before {
        [(_, name), (program, _), ..] => {
            let command: Vec<_> =
                words[*program..=of_command].iter().map(|word| quoted(word)).collect();
            format!("mainstay add {} -- {}{more}", quoted(name), command.join(" "))
        }
        _ => "mainstay add NAME -- COMMAND".to_owned(),
    };
    format!("a command comes after `--`: {line}")
}

/// A hint for a word that is known from other programs.
fn with_habit(mut error: clap::Error) -> clap::Error {
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
        said_of(&["mainstay", word])
    }

    fn said_of(words: &[&str]) -> String {
        let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
        with_hint(Cli::try_parse_from(&words).unwrap_err(), &words).to_string()
    }

    #[test]
    fn a_command_without_dashes_is_shown_with_them() {
        for (line, tip) in [
            ("add y npx -y foo", "a command comes after `--`: mainstay add y -- npx -y …"),
            ("add --env A=b y npx -y", "a command comes after `--`: mainstay add y -- npx -y"),
            (
                "--state s add y sh run -c x",
                "a command comes after `--`: mainstay add y -- sh run …",
            ),
            ("add npx -y foo", "a command comes after `--`: mainstay add NAME -- COMMAND"),
            ("add -- npx -y foo", "a server is added by its name: `mainstay add NAME -- COMMAND`"),
            ("add y --dryrun", "a similar argument exists: '--dry-run'"),
            ("init --from x --dryrun", "a similar argument exists: '--dry-run'"),
        ] {
            let words: Vec<_> = std::iter::once("mainstay").chain(line.split(' ')).collect();
            let said = said_of(&words);
            assert!(said.contains(&format!("tip: {tip}")), "{line}: {said}");
            assert!(!said.contains("as a value"), "{said}");
            assert_eq!(said.matches("tip:").count(), 1, "{said}");
        }
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
        assert!(said("eventz").contains("a similar subcommand exists: 'events'"));
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
