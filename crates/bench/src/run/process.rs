//! Started programs: each tied to this one's life, its words in a log file.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// A program that was asked to end is killed after this.
const ENDING: Duration = Duration::from_secs(5);
const STARTING: Duration = Duration::from_secs(10);
/// Time between two checks of something without an event.
pub(crate) const LOOK: Duration = Duration::from_millis(5);

/// A running program. Dropped, it is killed, or asked to end if that is how it ends.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) pid: u32,
    log: PathBuf,
    ending: Ending,
}

/// How a program ends when its handle is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Killed,
    /// With TERM, because the processes it started would outlive its kill.
    Asked,
}

// === impl Process ===

impl Process {
    /// Starts `words`, a program and its arguments; `bench` is the wrapper that ties it to this
    /// process.
    pub(crate) fn start<W: AsRef<OsStr>>(
        bench: &Path,
        words: &[W],
        log: PathBuf,
        ending: Ending,
    ) -> Result<Self> {
        let [program, args @ ..] = words else {
            bail!("no program to start");
        };
        let program = Path::new(program);
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = tied_with(bench, program, args, ending)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let pid = child.id().context("it ended at once")?;
        Ok(Self { child, pid, log, ending })
    }

    /// Waits for the line in which the bench's own servers print their address.
    pub(crate) async fn listening(&mut self) -> Result<SocketAddr> {
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(&self.log).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("listening on "));
            if let Some(address) = line.filter(|_| text.ends_with('\n')) {
                return Ok(address.parse()?);
            }
            self.still_there()?;
            if begun.elapsed() > STARTING {
                bail!("it does not say where it listens");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// An error with the program's last words when it has ended.
    pub(crate) fn still_there(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("it ended ({status}): {}", self.last_words()),
        }
    }

    pub(crate) fn last_words(&self) -> String {
        let text = fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default();
        let lines: Vec<&str> = text.trim_end().lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
    }

    pub(crate) fn terminate(&self) -> Result<()> {
        signal(self.pid, Signal::TERM)
    }

    /// Waits for the end, at most `limit`; none when it goes on.
    pub(crate) async fn ended(&mut self, limit: Duration) -> Option<ExitStatus> {
        tokio::time::timeout(limit, self.child.wait()).await.ok()?.ok()
    }

    /// Asks it to end, and makes it.
    pub(crate) async fn stop(mut self) {
        if self.terminate().is_ok() && self.ended(ENDING).await.is_some() {
            return;
        }
        // The process is dead or about to be; nothing is left to do.
        let _ = self.child.kill().await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Once it has been waited for, its id may be another's.
        if self.ending == Ending::Asked && self.child.id().is_some() {
            // The process is about to end by itself otherwise.
            let _ = self.terminate();
        }
    }
}

/// A command that dies with this process.
pub(crate) fn tied<A: AsRef<OsStr>>(bench: &Path, program: &Path, args: &[A]) -> Command {
    tied_with(bench, program, args, Ending::Killed)
}

fn tied_with<A: AsRef<OsStr>>(bench: &Path, program: &Path, args: &[A], ending: Ending) -> Command {
    let mut command = Command::new(bench);
    let words: Vec<OsString> = args.iter().map(|arg| arg.as_ref().to_owned()).collect();
    command.arg("exec");
    if ending == Ending::Asked {
        command.arg("--gently");
    }
    command.arg("--").arg(program).args(words).kill_on_drop(ending == Ending::Killed);
    // Errors are shown in one line.
    command.env("RUST_BACKTRACE", "0");
    command
}

pub(crate) fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("no process id")?;
    kill_process(pid, signal)?;
    Ok(())
}
