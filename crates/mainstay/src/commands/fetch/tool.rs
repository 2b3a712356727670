//! Runs the package manager of a runner with the server's environment. Ends it with all its
//! children when its future is dropped.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Stdio;

use mainstay_config::packages::Runner;
use mainstay_model::settings::ProcessSpec;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// Most bytes of an answer. Real answers are a few lines.
const ANSWER_BYTES_MAX: u64 = 8 << 20;
/// Most of the last lines of output that are shown.
const LINES_MAX: usize = 6;

/// A package manager, and how to run it.
pub(super) struct PackageManager<'a> {
    program: String,
    process: &'a ProcessSpec,
}

/// How a package manager failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ToolError {
    #[error("{program} installs the package of the server, and is not on the PATH")]
    Missing { program: String },
    #[error("{program} can't be started")]
    Start { program: String, source: std::io::Error },
    #[error("{program} {step} ended with {status}{}", said(words))]
    Failed { program: String, step: String, status: std::process::ExitStatus, words: String },
    #[error("can't read the output of {program}")]
    Answer { program: String, source: std::io::Error },
}

/// A process group that is killed on drop, unless it has ended.
struct Group(Option<Pid>);

// === impl PackageManager ===

impl<'a> PackageManager<'a> {
    /// The package manager of a runner: `npm` for `npx`, `uv` for `uvx`, in the runner's folder if
    /// its path names one.
    pub(super) fn new(runner: Runner, process: &'a ProcessSpec) -> Self {
        let name = match runner {
            Runner::Uvx | Runner::UvToolRun | Runner::PipxRun => "uv",
            _ => "npm",
        };
        let runner = process.command.first().map_or("", String::as_str);
        let is_shell = process.command.get(1).is_some_and(|word| word == "-c");
        let program = if runner.contains('/') && !is_shell {
            Path::new(runner).with_file_name(name).to_string_lossy().into_owned()
        } else {
            name.to_owned()
        };
        Self { program, process }
    }

    /// Runs the package manager to its end in a folder, with `input` on standard input. Returns its
    /// standard output.
    pub(super) async fn run(
        &self,
        arguments: &[String],
        folder: &Path,
        variables: &[(&str, &Path)],
        input: &str,
    ) -> Result<String, ToolError> {
        let program = || self.program.clone();
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .envs(self.process.env.iter().map(|(name, value)| (name, value.expose())))
            .envs(variables.iter().copied())
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|source| match source.kind() {
            ErrorKind::NotFound if !self.program.contains('/') => {
                ToolError::Missing { program: program() }
            }
            _ => ToolError::Start { program: program(), source },
        })?;
        let mut group = Group::of(&child);
        let unreadable = |source| ToolError::Answer { program: program(), source };
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read its input fails with a message of its own.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (out, err) = tokio::try_join!(read(out), read(err)).map_err(unreadable)?;
        let status = child.wait().await.map_err(unreadable)?;
        group.0 = None;
        if !status.success() {
            let words = if err.trim().is_empty() { &out } else { &err };
            let step = arguments.first().cloned().unwrap_or_default();
            return Err(ToolError::Failed { program: program(), step, status, words: last(words) });
        }
        Ok(out)
    }
}

async fn read(from: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn last(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LINES_MAX)..].join("\n")
}

fn said(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(":\n{words}") }
}

// === impl Group ===

impl Group {
    fn of(child: &Child) -> Self {
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        Self(pid.and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}
