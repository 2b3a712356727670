//! Parses commands of package runners: the registry, the package and its version.
//!
//! Only forms that are fully understood are accepted; for others, the reason is returned. No
//! registry is asked here.

mod npm;
mod package;
mod pypi;

use std::path::Path;

use self::package::base;
pub use self::package::{Package, Registry, Runner, Unclear};
use crate::import::shell;

/// A command of a package runner, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageCommand {
    pub runner: Runner,
    /// The package of the program, then those that it needs beside it. Never empty.
    pub packages: Vec<Package>,
    /// Options of the runner about registries and installing.
    pub options: Vec<String>,
    /// The program; none: the package's only one, or that of its own name.
    pub program: Option<String>,
    /// Words before the server's own arguments.
    words: usize,
    is_in_shell: bool,
}

// === impl PackageCommand ===

impl PackageCommand {
    /// Parses a command. None when it is no package runner.
    ///
    /// # Errors
    /// Why the command of a package runner is not understood.
    pub fn parse(command: &[String]) -> Option<Result<Self, Unclear>> {
        let (words, is_in_shell) = match script(command) {
            Some(script) => (shell::split(script)?, true),
            None => (command.to_vec(), false),
        };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (runner, own) = Runner::at_start(&words)?;
        let found = match runner {
            Runner::Npx | Runner::NpmExec | Runner::PnpmDlx | Runner::Bunx => {
                npm::find(&words[own..], runner)
            }
            Runner::Uvx | Runner::UvToolRun | Runner::PipxRun => pypi::find(&words[own..]),
        };
        Some(found.map(|found| Self {
            runner,
            packages: found.packages,
            options: found.options,
            program: found.program,
            words: own + found.words,
            is_in_shell,
        }))
    }

    pub fn registry(&self) -> Registry {
        self.packages[0].registry
    }

    /// Whether every package is named with its exact version.
    pub fn is_pinned(&self) -> bool {
        self.packages.iter().all(|package| package.version.is_some())
    }

    /// The command with `program` in place of the runner and its words. None where that would need
    /// a shell to be understood.
    pub fn started_by(&self, command: &[String], program: &Path) -> Option<Vec<String>> {
        let program = program.to_str()?;
        let Some(script) = script(command).filter(|_| self.is_in_shell) else {
            let rest = command.get(self.words..)?.iter().cloned();
            return Some(std::iter::once(program.to_owned()).chain(rest).collect());
        };
        let words = shell::split(script)?;
        // Only words without quotes can be found in the text.
        let plain: Vec<_> = words.iter().take(self.words).map(|word| shell::quote(word)).collect();
        let rest = script.strip_prefix(&plain.join(" "))?;
        if !rest.is_empty() && !rest.starts_with(' ') {
            return None;
        }
        let mut command = command.to_vec();
        command[2] = format!("exec {}{rest}", shell::quote(program));
        Some(command)
    }
}

/// The script of `sh -c 'exec …'`.
fn script(command: &[String]) -> Option<&str> {
    let [program, option, script, ..] = command else { return None };
    let is_shell = matches!(base(program), "sh" | "bash" | "dash" | "zsh");
    script.strip_prefix("exec ").filter(|_| is_shell && option == "-c")
}

#[cfg(test)]
mod tests;
