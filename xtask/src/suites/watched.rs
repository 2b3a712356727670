//! A command whose output is shown as it comes, while the lines it ends with are kept.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::thread;

use anyhow::{Context, ensure};

use crate::programs::command;

/// Enough for every test binary of the workspace to say its line.
const CLOSING_LINES_MAX: usize = 100;

/// Runs a command in a folder and gives back what its runners said in closing.
pub(super) fn run(
    folder: &Path,
    program: &Path,
    arguments: &[&str],
) -> anyhow::Result<Vec<String>> {
    let shown = format!("{} {}", program.display(), arguments.join(" "));
    let mut child = command(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("can't start {shown}"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let closing = thread::scope(|scope| {
        let errors = scope.spawn(|| pass_on(err, std::io::stderr()));
        let mut closing = pass_on(out, std::io::stdout());
        closing.extend(errors.join().unwrap_or_default());
        closing
    });
    let status = child.wait().with_context(|| format!("lost {shown}"))?;
    ensure!(status.success(), "{shown}: {status}{}", listed(&closing));
    Ok(closing)
}

/// Copies line by line, to the end, and gives back how it closed.
fn pass_on(from: Option<impl Read>, mut to: impl Write) -> Vec<String> {
    let mut closing = Closing::default();
    let lines = from.into_iter().flat_map(|from| BufReader::new(from).split(b'\n'));
    for line in lines.map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        // Nobody may be reading any more; the command goes on all the same.
        let _ = writeln!(to, "{line}");
        closing.hear(&line);
    }
    closing.lines
}

/// What is kept of an output: the lines that sum up, and those that say what failed.
#[derive(Debug, Default)]
pub(super) struct Closing {
    pub(super) lines: Vec<String>,
    /// Test names follow the summary, checks of conformance follow "what failed:".
    tells_failures: bool,
}

// === impl Closing ===

impl Closing {
    pub(super) fn hear(&mut self, line: &str) {
        let sums_up = is_closing(line);
        let told = self.tells_failures && !line.trim().is_empty();
        if (sums_up || told) && self.lines.len() < CLOSING_LINES_MAX {
            self.lines.push(line.trim().to_owned());
        }
        if line.trim().starts_with("Summary [") || line == "what failed:" {
            self.tells_failures = true;
        } else if sums_up {
            self.tells_failures = false;
        }
    }
}

/// The lines with which test runners and the conformance suite sum up.
pub(super) fn is_closing(line: &str) -> bool {
    let line = line.trim();
    let tally = || {
        let mut words = line.split_whitespace();
        let number = |word: Option<&str>| word.is_some_and(|word| word.parse::<u32>().is_ok());
        number(words.next()) && words.next() == Some("passed,")
    };
    line.starts_with("Summary [") || line.starts_with("test result:") || tally()
}

fn listed(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  {line}")).collect()
}
