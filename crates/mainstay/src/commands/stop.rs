//! `mainstay stop`: stops the daemon and waits until it has ended.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mainstay_admin::api::actions::ActionDone;
use mainstay_admin::api::commands::StopPrinted;
use mainstay_admin::{Action, Client, ClientError};
use mainstay_store::Folder;
use tokio::time::sleep;

use super::daemon;
use crate::cli::{Shared, StopArgs};
use crate::exit::{Exit, Failure};
use crate::output::{Output, format};

/// What a daemon may need beside the wait for calls: its servers end, and its files are written.
const MARGIN: Duration = Duration::from_secs(30);
/// The wait of a daemon for calls, if it doesn't say how long that is.
const DRAIN_DEFAULT: Duration = Duration::from_secs(30);
/// How often the command looks whether the daemon has ended.
const LOOK: Duration = Duration::from_millis(50);
/// How often the command asks the daemon for its calls in flight, to show progress.
const ASK: Duration = Duration::from_millis(500);
/// Deadline for that question: progress is not worth a longer wait.
const ASK_WITHIN: Duration = Duration::from_secs(1);

mod manager;
#[cfg(test)]
mod tests;

use self::manager::RunningUnit;

/// The daemon to stop.
struct Target {
    client: Client,
    state_dir: PathBuf,
    /// The process that uses the state folder, if the folder says so.
    pid: Option<u32>,
}

pub(super) fn run(shared: &Shared, args: &StopArgs, out: &Output) -> Result<Exit, Failure> {
    let state_dir = mainstay_config::state_dir(shared.state.as_deref())?.path;
    let client = daemon::client(shared)?;
    // A folder that can't be read belongs to another user. The socket says so in better words.
    let pid = Folder::daemon(&state_dir).unwrap_or_default();
    let target = Target { client, state_dir, pid };
    daemon::block_on(async {
        let asked = Instant::now();
        let unit = target.pid.and_then(RunningUnit::of);
        let act = target.client.act(Action::Stop, args.dry_run).await;
        let done = act.map_err(|error| target.not_reached(error))?;
        if args.dry_run {
            print_plan(&done, out);
            warn_of_return(unit.as_ref(), out);
            return Ok(Exit::Done);
        }
        target.wait_until_gone(&done, drain_timeout(&done) + MARGIN, out).await?;
        print_end(&done, asked.elapsed(), out);
        warn_of_return(unit.as_ref(), out);
        Ok(Exit::Done)
    })
}

// === impl Target ===

impl Target {
    /// Waits until the daemon has ended, for `most` at most.
    async fn wait_until_gone(
        &self,
        done: &ActionDone,
        most: Duration,
        out: &Output,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        if out.progress {
            out.remark(format!("{} …", done.message));
        }
        let (mut shown, mut next_ask) = (done.calls, begun + ASK);
        while !self.is_gone().await {
            if begun.elapsed() >= most {
                return Err(self.too_slow(most));
            }
            if out.progress && Instant::now() >= next_ask {
                let calls = self.calls().await;
                if calls.is_some() && calls != shown {
                    out.remark(format!("calls in flight: {}", calls.unwrap_or_default()));
                    shown = calls;
                }
                next_ask = Instant::now() + ASK;
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Whether the daemon has released the state folder, which is the last thing that it does. Another
    /// daemon may use the folder by then.
    async fn is_gone(&self) -> bool {
        match self.pid {
            Some(pid) => Folder::daemon(&self.state_dir).is_ok_and(|now| now != Some(pid)),
            None => !self.client.is_running().await,
        }
    }

    /// The calls in flight, while the daemon still answers.
    async fn calls(&self) -> Option<usize> {
        let sessions = self.client.with_deadline(ASK_WITHIN).sessions().await;
        sessions.ok().map(|sessions| sessions.calls)
    }

    fn not_reached(&self, error: ClientError) -> Failure {
        match (&error, self.pid) {
            (ClientError::NoDaemon { .. }, Some(pid)) => no_answer(&self.state_dir, pid),
            (ClientError::NoDaemon { .. }, None) => Failure::new(Exit::NoDaemon, error.to_string())
                .hint("there is nothing to stop")
                .hint("use --state DIR for a daemon with another state folder"),
            _ => error.into(),
        }
    }

    fn too_slow(&self, most: Duration) -> Failure {
        let most = format::duration(most);
        let failure =
            Failure::new(Exit::Failed, format!("the daemon has not stopped within {most}"));
        let failure = failure.hint("its log says what it is waiting for");
        match self.pid {
            Some(pid) => failure.hint(format!("`kill {pid}` stops it at once")),
            None => failure,
        }
    }
}

/// A daemon uses the folder, and nobody listens on its command socket.
pub(super) fn no_answer(state_dir: &Path, pid: u32) -> Failure {
    let folder = state_dir.display();
    let message = format!("process {pid} uses {folder}, but does not answer commands");
    Failure::new(Exit::NoDaemon, message)
        .hint("it is starting or ending: run the command again in a few seconds")
        .hint(format!("`kill {pid}` stops it, too"))
}

fn drain_timeout(done: &ActionDone) -> Duration {
    done.drain_timeout_ms.map_or(DRAIN_DEFAULT, Duration::from_millis)
}

fn print_plan(done: &ActionDone, out: &Output) {
    if out.json {
        return out.value(&printed(done, None));
    }
    out.line(&done.message);
    out.line(match done.calls {
        Some(0) => "it would end at once".to_owned(),
        _ => format!("it would end when they have finished, after {} at most", longest(done)),
    });
}

fn print_end(done: &ActionDone, took: Duration, out: &Output) {
    if out.json {
        out.value(&printed(done, Some(took)));
    } else {
        out.done(&stopped(took));
    }
}

/// Says that the daemon does not stay stopped.
fn warn_of_return(unit: Option<&RunningUnit>, out: &Output) {
    if let Some(unit) = unit {
        let stop = unit.stop_command();
        out.remark(format!("note: systemd starts the daemon again; `{stop}` keeps it stopped"));
    }
}

fn longest(done: &ActionDone) -> String {
    format::duration(drain_timeout(done))
}

fn stopped(took: Duration) -> String {
    format!("the daemon has stopped, after {}", format::duration(took))
}

/// The answer for programs. `took`: until the daemon had ended.
fn printed(done: &ActionDone, took: Option<Duration>) -> StopPrinted {
    StopPrinted {
        dry_run: done.dry_run,
        stopped: took.is_some(),
        message: took.map_or_else(|| done.message.clone(), stopped),
        calls: done.calls,
        drain_timeout_ms: done.drain_timeout_ms,
        took_ms: took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
    }
}
