//! Printing: text for people on a terminal or in a pipe, JSON for programs.
//!
//! Results go to standard output, everything else to standard error. A reader that stops reading
//! (`| head`) is no error.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::cli::Shared;
use crate::exit::Exit;

pub(crate) mod difference;
pub(crate) mod format;

/// How this run of the program prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
    quiet: bool,
    pub(crate) verbose: bool,
    /// Whether standard output is a terminal. Control characters in foreign text are escaped then.
    terminal: bool,
    /// Whether progress may be shown on standard error.
    pub(crate) progress: bool,
    colour: bool,
}

/// The first error of standard output in this run of the program.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// The colour of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Good,
    Doubtful,
    Bad,
    Faint,
    Strong,
}

// === impl Output ===

impl Output {
    pub(crate) fn new(shared: &Shared) -> Self {
        let (stdout, stderr) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self {
            json: shared.json,
            quiet: shared.quiet,
            verbose: shared.verbose > 0,
            terminal: stdout,
            progress: stderr && !shared.json && !shared.quiet,
            colour: stdout && colours_wanted(),
        }
    }

    /// Prints a line of the result. [`Output::finish`] reports what could not be written.
    #[expect(clippy::unused_self, reason = "all printing goes through one value")]
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        let mut out = io::stdout().lock();
        written(writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush()));
    }

    /// Returns the exit code of a command whose result has been printed. A result that could not be written
    /// is a failure. A reader that has what it wants (`| head`) is not told anything.
    pub(crate) fn finish(&self, exit: Exit) -> Exit {
        match UNWRITTEN.get() {
            None => exit,
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => match exit {
                Exit::Done => Exit::PipeClosed,
                failed => failed,
            },
            Some(error) => {
                self.note(format!("error: standard output can't be written: {error}"));
                if exit == Exit::Done { Exit::Failed } else { exit }
            }
        }
    }

    /// Prints text of a server and one line break. On a terminal, control characters are escaped.
    pub(crate) fn foreign(&self, text: &str) {
        if self.terminal {
            self.line(format::harmless(text).trim_end_matches('\n'));
        } else {
            self.line(text.trim_end_matches('\n'));
        }
    }

    /// Prints the result as JSON.
    pub(crate) fn value(&self, value: &impl Serialize) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.line(text),
            Err(error) => self.note(format!("error: the answer can't be written as JSON: {error}")),
        }
    }

    /// Prints a value as one line of JSON.
    pub(crate) fn json_line(&self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(text) => self.line(text),
            Err(error) => self.note(format!("error: the answer can't be written as JSON: {error}")),
        }
    }

    /// Whether all that was printed could be written.
    #[expect(clippy::unused_self, reason = "all printing goes through one value")]
    pub(crate) fn is_written(&self) -> bool {
        UNWRITTEN.get().is_none()
    }

    /// Prints a remark on standard error, unless `--quiet` was given.
    pub(crate) fn remark(&self, text: impl AsRef<str>) {
        if !self.quiet {
            self.note(text);
        }
    }

    /// Whether only results and errors are printed.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Prints a line on standard error.
    #[expect(clippy::unused_self, reason = "all printing goes through one value")]
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
    }

    /// Suggests the next commands, unless `--quiet` was given.
    pub(crate) fn next(&self, commands: &[&str]) {
        if !self.json && !self.quiet && self.terminal {
            self.line("");
            self.line(self.paint(Look::Faint, &format!("next: {}", commands.join("  ·  "))));
        }
    }

    pub(crate) fn paint(&self, look: Look, text: &str) -> String {
        let code = match look {
            Look::Good => "32",
            Look::Doubtful => "33",
            Look::Bad => "31",
            Look::Faint => "2",
            Look::Strong => "1",
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Prints a line of the daemon. The daemon continues even if standard output is closed.
pub(crate) fn announce(text: impl AsRef<str>) {
    // Losing the terminal or the reader must not end a daemon.
    let _ = writeln!(io::stdout().lock(), "{}", text.as_ref());
}

/// Prints help, a version or a wrong usage, and returns the exit code.
pub(crate) fn parsed(error: &clap::Error, out: &Output) -> Exit {
    let printed = error.print().and_then(|()| io::stdout().flush());
    if error.use_stderr() {
        return Exit::Usage;
    }
    written(printed);
    out.finish(Exit::Done)
}

/// Notes the first error of standard output.
fn written(result: io::Result<()>) {
    if let Err(error) = result {
        // Only the first one matters.
        let _ = UNWRITTEN.set(error);
    }
}

/// Whether colours are wanted: <https://no-color.org>.
pub(crate) fn colours_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A table without lines. Columns are two blanks apart, and no cell is cut.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header.to_vec());
    for row in rows {
        table.add_row(row.to_vec());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn a_table_is_plain_columns() {
        let rows = vec![["a".to_owned(), "1".to_owned()], ["longer".to_owned(), String::new()]];
        assert_eq!(table(["NAME", "N"], rows), "NAME    N\na       1\nlonger");
    }
}
