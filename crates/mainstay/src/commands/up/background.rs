//! Starts a daemon in the background: a process in a session of its own, whose output is its log file once it
//! serves. Until then this command reads its output, so that whoever starts a daemon sees why it does not.

use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use mainstay_admin::Client;
use tokio::time::sleep;

use super::LOOK;
use crate::cli::{Shared, UpArgs};
use crate::commands::daemon;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// The longest wait for a start. Each of its steps on the disk may take 20 s.
const START_MAX: Duration = Duration::from_secs(90);
/// Most bytes of a stream that are read.
const OUTPUT_BYTES_MAX: u64 = 1 << 20;

/// What became of a start.
#[derive(Debug)]
pub(super) enum Started {
    /// The daemon serves. It has said where.
    Serves {
        pid: u32,
        announcement: String,
    },
    Ended(Ended),
}

/// A process that has ended without serving, and what it said.
#[derive(Debug)]
pub(super) struct Ended {
    status: ExitStatus,
    said: Said,
}

/// What the process said before it served or ended.
#[derive(Debug)]
struct Said {
    out: String,
    err: String,
}

/// Starts a daemon and waits until it serves or has ended.
pub(super) fn start(
    shared: &Shared,
    args: &UpArgs,
    client: &Client,
    out: &Output,
) -> Result<Started, Failure> {
    let failed = |error: io::Error| {
        Failure::new(Exit::Failed, format!("the daemon can't be started: {error}"))
    };
    let mut child = command(shared, args).and_then(|mut it| it.spawn()).map_err(failed)?;
    let begun = Instant::now();
    let said = said(&mut child);
    let waiting = out.waiting("starting the daemon");
    let outcome = daemon::block_on(waiting.during(async {
        let said = loop {
            match said.try_recv() {
                Ok(said) => break said,
                Err(_) if begun.elapsed() >= START_MAX => return Err(too_slow(&mut child)),
                Err(_) => sleep(LOOK).await,
            }
        };
        loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                return Ok((Some(status), said));
            }
            // It may be another daemon that answers, if this one is about to end.
            if client.status().await.is_ok_and(|status| status.pid == child.id()) {
                return Ok((None, said));
            }
            if begun.elapsed() >= START_MAX {
                return Err(too_slow(&mut child));
            }
            sleep(LOOK).await;
        }
    }));
    match outcome? {
        (None, said) => Ok(Started::Serves { pid: child.id(), announcement: said.out }),
        (Some(status), said) => Ok(Started::Ended(Ended { status, said })),
    }
}

/// The command line of the process in the background.
fn command(shared: &Shared, args: &UpArgs) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["up", "--detached"]);
    if let Some(listen) = &args.listen {
        command.args(["--listen", listen]);
    }
    for (flag, path) in [("--config", &shared.config), ("--state", &shared.state)] {
        if let Some(path) = path {
            command.arg(flag).arg(path);
        }
    }
    command.args(shared.json.then_some("--json"));
    command.args(shared.quiet.then_some("--quiet"));
    command.args((0..shared.verbose).map(|_| "-v"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

/// Reads both streams of the process to their ends.
fn said(child: &mut Child) -> Receiver<Said> {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let err = thread::spawn(move || text(err));
        let out = text(out);
        let err = err.join().unwrap_or_default();
        // The command may have given up.
        let _ = sender.send(Said { out, err });
    });
    receiver
}

fn text(stream: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What has come until the stream breaks is all there is.
        let _ = stream.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Ends a process that neither serves nor ends.
fn too_slow(child: &mut Child) -> Failure {
    let _ = child.kill();
    let _ = child.try_wait();
    let seconds = START_MAX.as_secs();
    Failure::new(Exit::Failed, format!("the daemon has not started within {seconds} s"))
        .hint("its log may say why: daemon.log in the state folder")
}

// === impl Ended ===

impl Ended {
    /// Prints what the process said, and returns its exit code.
    ///
    /// # Errors
    /// When it said nothing.
    pub(super) fn tell(&self, out: &Output) -> Result<Exit, Failure> {
        let Self { status, said } = self;
        let exit = match status.code() {
            Some(2) => Exit::Usage,
            Some(3) => Exit::NoDaemon,
            _ => Exit::Failed,
        };
        let (result, reason) = (said.out.trim_end(), said.err.trim_end());
        if !result.is_empty() {
            out.line(result);
        }
        if !reason.is_empty() {
            out.note(reason);
        }
        if !result.is_empty() || !reason.is_empty() {
            return Ok(exit);
        }
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => format!("with exit code {code}"),
            (None, Some(signal)) => format!("by signal {signal}"),
            (None, None) => "for an unknown reason".to_owned(),
        };
        Err(Failure::new(exit, format!("the daemon ended {how} before it served"))
            .hint("its log may say more: daemon.log in the state folder"))
    }
}
