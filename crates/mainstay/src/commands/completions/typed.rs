//! Reads a command line that is still being typed.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Command, CommandFactory};

use crate::cli::{Cli, Shared};

/// What is on the line before the word that is completed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Typed {
    pub(super) config: Option<PathBuf>,
    pub(super) state: Option<PathBuf>,
    /// The words that are neither flags nor their values: the command, then its arguments.
    pub(super) words: Vec<String>,
}

// === impl Typed ===

impl Typed {
    /// Reads the words of a line, without the program's name.
    pub(super) fn read(line: impl IntoIterator<Item = OsString>) -> Self {
        let whole = Cli::command();
        let mut typed = Self::default();
        let mut line = line.into_iter().map(|word| plain(&word.to_string_lossy()));
        while let Some(word) = line.next() {
            let Some(flag) = word.strip_prefix("--").filter(|flag| !flag.is_empty()) else {
                if !word.starts_with('-') {
                    typed.words.push(word);
                }
                continue;
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None if takes_value(&whole, typed.words.first(), flag) => (flag, line.next()),
                None => continue,
            };
            match name {
                "config" => typed.config = value.map(PathBuf::from),
                "state" => typed.state = value.map(PathBuf::from),
                _ => {}
            }
        }
        typed
    }

    /// The flags that choose the daemon and its configuration.
    pub(super) fn shared(&self) -> Shared {
        let (config, state) = (self.config.clone(), self.state.clone());
        Shared { config, state, ..Shared::default() }
    }

    /// The server or group that is named after the command.
    pub(super) fn server(&self) -> Option<&str> {
        self.words.get(1).map(String::as_str)
    }

    /// The tool that is named after the server.
    pub(super) fn tool(&self) -> Option<&str> {
        self.words.get(2).map(String::as_str)
    }
}

/// Whether a long flag of a command has a value of its own.
fn takes_value(whole: &Command, command: Option<&String>, flag: &str) -> bool {
    let own = command.and_then(|name| whole.find_subcommand(name));
    let flags = whole.get_arguments().chain(own.into_iter().flat_map(Command::get_arguments));
    let mut named = flags.filter(|argument| argument.get_long() == Some(flag));
    named.any(|argument| argument.get_action().takes_values())
}

/// A word without the quotes and the `~` that a shell would have resolved.
fn plain(word: &str) -> String {
    let word: String = word.chars().filter(|c| !matches!(c, '\'' | '"' | '\\')).collect();
    let home = word.strip_prefix("~/").and_then(|rest| Some(std::env::home_dir()?.join(rest)));
    home.map_or(word, |home| home.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::Typed;

    fn typed(line: &str) -> Typed {
        Typed::read(line.split(' ').map(Into::into))
    }

    #[test]
    fn flags_may_stand_anywhere() {
        let expected = Typed {
            config: None,
            state: Some("/mystate".into()),
            words: ["call", "weather", "forecast"].map(str::to_owned).to_vec(),
        };
        for line in [
            "--state /mystate call weather forecast",
            "call --out d --state=/mystate -v weather --json forecast",
            "call weather --state \"/mystate\" forecast --args {}",
        ] {
            assert_eq!(typed(line), expected, "{line}");
        }
        assert_eq!(typed("tools").server(), None);
        assert_eq!(typed("tools weather").server(), Some("weather"));
        assert_eq!(typed("status --state").state, None);
    }
}
