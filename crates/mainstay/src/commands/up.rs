//! `mainstay up`: runs the daemon in the foreground, or has one run in the background.

#![expect(clippy::disallowed_methods, reason = "a command of its own, which nobody else waits for")]

use std::path::Path;
use std::time::{Duration, Instant};

use mainstay_admin::api::commands::UpPrinted;
use mainstay_admin::api::status::DaemonStatus;
use mainstay_admin::{Client, ClientError};
use mainstay_config::Loaded;
use mainstay_store::Folder;
use tokio::time::sleep;

use super::{daemon, running, stop};
use crate::cli::{Shared, UpArgs};
use crate::compose;
use crate::exit::{Exit, Failure};
use crate::output::Output;

mod background;
pub(super) mod ready;
#[cfg(test)]
mod tests;

use self::background::Started;

/// How long a daemon that is starting or ending is waited for.
const SETTLED_WITHIN: Duration = Duration::from_secs(40);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(50);

pub(super) fn run(shared: &Shared, args: &UpArgs, out: &Output) -> Result<Exit, Failure> {
    if args.detached || (!args.detach && args.wait.is_none()) {
        return compose::up(shared, args);
    }
    let loaded = mainstay_config::for_daemon(shared.request(args.listen.as_deref()))?;
    for warning in &loaded.warnings {
        out.remark(format!("warning: {}: {}", warning.place, warning.message));
    }
    let state_dir = loaded.settings.state_dir.clone();
    let client = daemon::client_of(&state_dir);
    let running = daemon::block_on(running_daemon(&client, &state_dir, out))?;
    let (pid, is_new) = match running {
        Some(status) => (take_over(&status, &loaded, args, shared, out)?, false),
        None => match background::start(shared, args, &client, out)? {
            Started::Serves { pid, announcement } => {
                if !out.json && !out.is_quiet() {
                    announcement.lines().for_each(|line| out.line(line));
                }
                (pid, true)
            }
            Started::Ended(ended) => {
                // Another command may have started the same daemon in this moment.
                let running = daemon::block_on(running_daemon(&client, &state_dir, out));
                let taken = running.ok().flatten();
                let taken = taken.map(|status| take_over(&status, &loaded, args, shared, out));
                match taken {
                    Some(Ok(pid)) => (pid, false),
                    _ => return ended.tell(out),
                }
            }
        },
    };
    let log_file = Folder::log_file(&state_dir);
    if is_new && !out.json {
        let log = log_file.display();
        out.done(&format!("the daemon runs in the background, as process {pid}; its log is {log}"));
    }
    if let Some(most) = args.wait {
        daemon::block_on(ready::wait(&client, most, out))?;
    }
    if out.json {
        let log_file = log_file.display().to_string();
        out.value(&UpPrinted { pid, started: is_new, ready: args.wait.map(|_| true), log_file });
    } else {
        out.next(&["mainstay status", "mainstay stop"]);
    }
    Ok(Exit::Done)
}

/// The daemon of the state folder. One that is starting or ending is waited for.
async fn running_daemon(
    client: &Client,
    state_dir: &Path,
    out: &Output,
) -> Result<Option<DaemonStatus>, Failure> {
    let waiting = out.waiting("waiting for the daemon that uses the state folder");
    waiting.during(settled(client, state_dir)).await
}

async fn settled(client: &Client, state_dir: &Path) -> Result<Option<DaemonStatus>, Failure> {
    let begun = Instant::now();
    loop {
        match client.status().await {
            Ok(status) => return Ok(Some(status)),
            Err(ClientError::NoDaemon { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        // What can't be read is found by the start, which says so in better words.
        let Some(pid) = Folder::daemon(state_dir).unwrap_or_default() else { return Ok(None) };
        if begun.elapsed() >= SETTLED_WITHIN {
            return Err(stop::no_answer(state_dir, pid));
        }
        sleep(LOOK).await;
    }
}

/// Leaves a running daemon as it is, if it is the one that was to be started. Returns its process id.
fn take_over(
    status: &DaemonStatus,
    loaded: &Loaded,
    args: &UpArgs,
    shared: &Shared,
    out: &Output,
) -> Result<u32, Failure> {
    check_same(status, loaded, args, shared)?;
    say_it_runs(status, shared, out);
    Ok(status.pid)
}

/// Checks that a running daemon was started with the same file and listens where it should.
fn check_same(
    status: &DaemonStatus,
    loaded: &Loaded,
    args: &UpArgs,
    shared: &Shared,
) -> Result<(), Failure> {
    let is_same_file = match &loaded.file {
        Some(file) => running::uses(status, file),
        None => status.config_file.is_none(),
    };
    let file = status.config_file.as_deref().unwrap_or("no configuration file");
    let other = if !is_same_file {
        format!("it was started with {file}")
    } else if let Some(listen) = args.listen.as_deref().filter(|at| !listens_at(status, at)) {
        format!("it listens on {} and not on {listen}", status.listen.join(", "))
    } else {
        return Ok(());
    };
    let pid = status.pid;
    let state = Shared { state: shared.state.clone(), ..Shared::default() }.repeated();
    let message = format!("another daemon uses the state folder, process {pid}: {other}");
    Err(Failure::new(Exit::Failed, message)
        .hint(format!(
            "`mainstay status{state}` shows that daemon, and `mainstay stop{state}` stops it"
        ))
        .hint("only one daemon can use a state folder; select another with --state DIR"))
}

/// Whether the daemon listens at an address as `--listen` has it. Port 0 is any port.
fn listens_at(status: &DaemonStatus, wanted: &str) -> bool {
    let wanted = wanted.replacen("localhost:", "127.0.0.1:", 1);
    let any_port = wanted.strip_suffix(":0");
    status.listen.iter().any(|url| {
        let at = url.strip_prefix("http://").unwrap_or(url);
        let host = at.rsplit_once(':').map(|(host, _)| host);
        at == wanted || (any_port.is_some() && host == any_port)
    })
}

/// Says that the daemon runs already, and whether it runs with an older state of its file.
fn say_it_runs(status: &DaemonStatus, shared: &Shared, out: &Output) {
    if out.json {
        return;
    }
    out.done(&format!("the daemon runs already, as process {}", status.pid));
    if let Some(note) = running::note_newer_file(status, shared) {
        out.remark(note);
    }
}
