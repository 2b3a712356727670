//! `mainstay completions`: prints a shell's completion script.

use clap::{Command, CommandFactory};
use clap_complete::{Shell as Kind, generate};

use crate::cli::{Cli, CompletionsArgs, Shell};
use crate::exit::{Exit, Failure};
use crate::output::Output;

pub(super) fn run(args: &CompletionsArgs, out: &Output) -> Result<Exit, Failure> {
    out.line(script(args.shell).trim_end());
    Ok(Exit::Done)
}

fn script(shell: Shell) -> String {
    let kind = match shell {
        Shell::Bash => Kind::Bash,
        Shell::Zsh => Kind::Zsh,
        Shell::Fish => Kind::Fish,
    };
    let mut script = Vec::new();
    generate(kind, &mut visible(), "mainstay", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The command line without hidden commands, which completion scripts would show.
fn visible() -> Command {
    let whole = Cli::command();
    let commands = whole.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    Command::new("mainstay").args(whole.get_arguments().cloned()).subcommands(commands)
}

#[cfg(test)]
mod tests {
    use super::{Shell, script};

    #[test]
    fn every_shell_learns_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            assert!(!script.contains("__guard"), "{shell:?}");
            assert!(!script.contains("__exec"), "{shell:?}");
            for word in [
                "up",
                "demo",
                "check",
                "status",
                "stop",
                "log-level",
                "tools",
                "call",
                "init",
                "schema",
            ] {
                assert!(script.contains(word), "{shell:?} {word}");
            }
        }
    }
}
