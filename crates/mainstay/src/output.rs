//! Printing: text for people on a terminal or in a pipe, JSON for programs.
//!
//! Results go to standard output, everything else to standard error. A reader that stops reading
//! (`| head`) is no error.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::OnceLock;

use mainstay_admin::api::commands::{FailurePrinted, FailureText};
use rustix::fs::fstat;
use serde::Serialize;

use self::terminal::StandardStream;
use crate::cli::Shared;
use crate::exit::{Exit, Failure};

pub(crate) mod difference;
pub(crate) mod format;
pub(crate) mod table;
mod terminal;
mod waiting;

pub(crate) use terminal::colours_on;
pub(crate) use waiting::Waiting;

/// How this run of the program prints.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) json: bool,
    quiet: bool,
    pub(crate) verbose: bool,
    stdout: StandardStream,
    stderr: StandardStream,
    /// Whether progress may be shown on standard error.
    pub(crate) progress: bool,
    /// The flags that choose the daemon, as another command needs them, with a blank before each.
    flags: String,
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
        let (stdout, stderr) =
            (StandardStream::of(&io::stdout()), StandardStream::of(&io::stderr()));
        let can_redraw = stderr.is_terminal && terminal::can_redraw();
        Self {
            json: shared.json,
            quiet: shared.quiet,
            verbose: shared.verbose > 0,
            stdout,
            stderr,
            progress: can_redraw && !shared.json && !shared.quiet,
            flags: shared.repeated(),
        }
    }

    /// Prints without colours, in lines of at most `columns`.
    #[cfg(test)]
    pub(crate) fn plain(columns: Option<usize>) -> Self {
        let stdout = StandardStream { is_terminal: columns.is_some(), colour: false, columns };
        let stderr = StandardStream::default();
        let flags = String::new();
        Self { json: false, quiet: false, verbose: false, stdout, stderr, progress: false, flags }
    }

    /// Whether standard output is a terminal on which a page can be drawn in place.
    pub(crate) fn can_redraw(&self) -> bool {
        self.stdout.is_terminal && terminal::can_redraw()
    }

    /// The columns of the terminal. `None`: standard output is no terminal, and lines have no limit.
    pub(crate) fn columns(&self) -> Option<usize> {
        self.stdout.columns
    }

    /// The flags that another command needs to reach the same daemon, with a blank before each.
    pub(crate) fn flags(&self) -> &str {
        &self.flags
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
        if self.stdout.is_terminal {
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

    /// Prints a sentence of the result, in lines that fit the terminal.
    pub(crate) fn sentence(&self, text: &str) {
        self.line(format::wrap(&format::harmless(text), self.stdout.columns, 2));
    }

    /// Says in a sentence what a command changed, unless `--quiet` was given.
    pub(crate) fn done(&self, text: &str) {
        if !self.quiet {
            self.sentence(text);
        }
    }

    /// Prints a sentence beside the result on standard error, in lines that fit the terminal.
    pub(crate) fn aside(&self, text: &str) {
        self.note(format::wrap(&format::harmless(text), self.stderr.columns, 2));
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

    /// Suggests what to do next, unless `--quiet` was given. Commands get the flags of this one.
    pub(crate) fn next(&self, steps: &[&str]) {
        if self.json || self.quiet || !self.stdout.is_terminal {
            return;
        }
        let steps = steps.iter().map(|step| {
            let flags = if step.starts_with("mainstay ") { self.flags.as_str() } else { "" };
            format!("{step}{flags}")
        });
        self.line("");
        let steps: Vec<_> = steps.collect();
        let text = format!("next: {}", steps.join("  ·  "));
        let fits = self.stdout.columns.is_none_or(|columns| format::width(&text) <= columns);
        let text = if fits { text } else { format!("next: {}", steps.join("\n      ")) };
        self.line(self.paint(Look::Faint, &text));
    }

    /// Prints why a command failed: for people on standard error, for programs on standard output.
    pub(crate) fn failure(&self, failure: &Failure) -> Exit {
        let Failure { exit, message, hints, details } = failure;
        if self.json {
            let (message, hints, details) = (message.clone(), hints.clone(), details.clone());
            self.value(&FailurePrinted { error: FailureText { message, hints, details } });
            return *exit;
        }
        let label = painted(self.stderr.colour, Look::Bad, "error");
        let mut text = format!("error: {}", format::harmless(message));
        // Several lines may show a place in a file, where blanks count.
        if !text.contains('\n') {
            text = format::wrap(&text, self.stderr.columns, 2);
        }
        self.note(text.replacen("error", &label, 1));
        for hint in hints {
            self.aside(&format!("  hint: {hint}"));
        }
        *exit
    }

    /// Text of standard output in a colour, if standard output shows colours.
    pub(crate) fn paint(&self, look: Look, text: &str) -> String {
        painted(self.stdout.colour, look, text)
    }
}

fn painted(colour: bool, look: Look, text: &str) -> String {
    let code = match look {
        Look::Good => "32",
        Look::Doubtful => "33",
        Look::Bad => "31",
        Look::Faint => "2",
        Look::Strong => "1",
    };
    if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Prints a line of the daemon. The daemon continues even if standard output is closed. Where the log has
/// the same file, the line becomes a line of the log.
pub(crate) fn announce(text: impl AsRef<str>) {
    let text = text.as_ref();
    if is_logged_as_json() && tracing::enabled!(target: "mainstay", tracing::Level::INFO) {
        if !text.trim().is_empty() {
            tracing::info!(target: "mainstay", "{}", text.trim());
        }
        return;
    }
    // Losing the terminal or the reader must not end a daemon.
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Whether standard output is the file or pipe that the log is written to as JSON.
fn is_logged_as_json() -> bool {
    let file = |stream: &dyn AsFd| fstat(stream.as_fd()).ok().map(|of| (of.st_dev, of.st_ino));
    let (stdout, stderr) = (file(&io::stdout()), file(&io::stderr()));
    !io::stderr().is_terminal() && stdout.is_some() && stdout == stderr
}

/// Prints help, a version or a wrong usage, and returns the exit code.
pub(crate) fn parsed(error: &clap::Error, out: &Output) -> Exit {
    if out.json && error.use_stderr() {
        return out.failure(&Failure::from(error));
    }
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
