//! The probe `command`: a command that exits with code 0.

use std::sync::Arc;
use std::time::Duration;

use mainstay_model::Name;
use mainstay_model::settings::ProcessSpec;
use mainstay_supervisor::probe::Outcome;
use parking_lot::Mutex;
use tokio::io::AsyncReadExt as _;
use tokio::process::ChildStdout;
use tokio::time::timeout;

use super::late::Late;
use crate::process::{Departure, Exit, ProcessHost, RunningProcess, SpawnError, last_line};

/// A command that is run for each check, one at a time.
#[derive(Debug)]
pub(super) struct CommandProbe {
    spec: ProcessSpec,
    owner: Name,
    processes: Arc<ProcessHost>,
    /// What the end of its standard output must contain. `None`: anything.
    output: Option<String>,
    /// The end of the last process. A process that the kernel holds outlives its check, and must not be joined
    /// by another.
    last: Mutex<Option<Departure>>,
}

/// Kept bytes at the end of what a command prints, for the reason of a failure.
const PRINTED_BYTES_MAX: usize = 4 << 10;
/// The same where a text is looked for in it.
const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Longest wait for the rest of what an ended command printed. It is in the pipe already; only a child that
/// holds the pipe open makes this wait run out.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Longest wait for the killed processes of the last check before a check begins. That usually takes milliseconds.
const LEFTOVERS_MAX: Duration = Duration::from_secs(1);

// === impl CommandProbe ===

impl CommandProbe {
    pub(super) fn new(spec: &ProcessSpec, owner: &Name, processes: &Arc<ProcessHost>) -> Self {
        let (spec, owner) = (spec.clone(), owner.clone());
        Self { spec, owner, processes: processes.clone(), output: None, last: Mutex::default() }
    }

    pub(super) fn set_output(&mut self, text: &str) {
        self.output = Some(text.to_owned());
    }

    /// Waits a moment for the processes that the last check has left. They say nothing about the target, so this
    /// is no part of the time that a check has.
    pub(super) async fn settle(&self) {
        // Those that stay hang in the kernel. The check goes on to wait for them.
        let _ = timeout(LEFTOVERS_MAX, self.last_gone()).await;
    }

    async fn last_gone(&self) {
        let last = self.last.lock().clone();
        if let Some(mut last) = last {
            last.gone().await;
        }
    }

    /// Dropping the future ends the command and all that it has started.
    ///
    /// # Errors
    /// The outcome, if the command can't be started, or ends with another code than 0.
    pub(super) async fn check(&self, late: &Late) -> Result<(), Outcome> {
        late.is_silence("the command of an earlier check does not end, even after SIGKILL");
        self.last_gone().await;
        late.is_silence("its command could not be started in time");
        let note = |departure| *self.last.lock() = Some(departure);
        let started = self.processes.spawn_aside(&self.spec, &self.owner, note).await;
        let mut process = started.map_err(|error| not_started(&error))?;
        late.is_silence("its command does not end");
        let kept = if self.output.is_some() { OUTPUT_BYTES_MAX } else { PRINTED_BYTES_MAX };
        let (exit, said, printed) = finish(&mut process, kept).await;
        match exit.is_success() {
            true => self.judge(&printed),
            false => {
                let mut reason = format!("its command {exit}");
                if let Some(said) = said {
                    reason.push_str(&format!(": {said}"));
                }
                Err(Outcome::unfit(reason, format!("its probe command {exit}")))
            }
        }
    }

    /// Compares what a command that succeeded has printed.
    fn judge(&self, printed: &[u8]) -> Result<(), Outcome> {
        let Some(text) = &self.output else { return Ok(()) };
        if memchr::memmem::find(printed, text.as_bytes()).is_some() {
            return Ok(());
        }
        let mut reason = format!("its command prints no {text:?}");
        match last_line(printed) {
            Some(line) => reason.push_str(&format!("; the last line is: {line}")),
            None => reason.push_str(", but nothing at all"),
        }
        Err(Outcome::unfit(reason, "its probe command printed something else"))
    }
}

/// Waits for the end of a command. Returns how it ended, where it failed the last line that it wrote (to standard
/// error, or else to standard output), and the end of its standard output.
async fn finish(process: &mut RunningProcess, kept: usize) -> (Exit, Option<String>, Vec<u8>) {
    drop(process.take_stdin());
    let mut printed = Vec::new();
    let exit = match process.take_stdout() {
        None => process.wait().await,
        Some(mut stdout) => {
            let exit = tokio::select! {
                exit = process.wait() => exit,
                () = keep_end(&mut stdout, &mut printed, kept) => process.wait().await,
            };
            if exit.is_success() && kept == PRINTED_BYTES_MAX {
                return (exit, None, printed);
            }
            let _ = timeout(LAST_WORDS, keep_end(&mut stdout, &mut printed, kept)).await;
            exit
        }
    };
    let said = process.stderr_tail().last_line().or_else(|| last_line(&printed));
    (exit, said, printed)
}

/// Reads to the end and keeps the last bytes. Cancel safe.
async fn keep_end(stdout: &mut ChildStdout, printed: &mut Vec<u8>, kept: usize) {
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = stdout.read(&mut buffer).await {
        printed.extend_from_slice(&buffer[..count]);
        printed.drain(..printed.len().saturating_sub(kept));
    }
}

fn not_started(error: &SpawnError) -> Outcome {
    let mut reason = format!("its command can't be started: {error}");
    if let Some(hint) = error.hint() {
        reason.push_str(&format!(" ({hint})"));
    }
    Outcome::unfit(reason, "its probe command can't be started")
}
