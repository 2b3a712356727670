//! The handle on one running process.

use std::time::Duration;

use mainstay_model::settings::{StopSignal, StopSpec};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{oneshot, watch};

use super::blocking::blocking;
use super::bounds::SharedBounds;
use super::exit::Exit;
use super::procfs;
use super::remedy::{self, Remedy};
use super::stderr::StderrTail;

/// The time that each gentle way of ending a process gets before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopGraces {
    /// After the server's input was closed, which a server over stdio should take as a request to
    /// end.
    pub stdin: Duration,
    /// After the signal was sent.
    pub term: Duration,
    pub signal: StopSignal,
    /// Whether only the main process gets the signal. The others get TERM when it has ended.
    pub main_only: bool,
}

/// A running process of a server, with its descendants.
///
/// A task of the host minds it: when its main process ends, the rest of its tree is ended; when
/// this handle is dropped, all of it is.
#[derive(Debug)]
pub struct RunningProcess {
    pub(super) pid: u32,
    pub(super) stdin: Option<ChildStdin>,
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: StderrTail,
    /// None without limits.
    pub(super) bounds: Option<SharedBounds>,
    /// Orders the end of the process; dropping the sender does so, too. None once used.
    pub(super) orders: Option<oneshot::Sender<StopGraces>>,
    pub(super) progress: watch::Receiver<Progress>,
}

/// Tells when nothing is left of a process, whoever has its handle.
#[derive(Debug, Clone)]
pub(crate) struct Departure(watch::Receiver<Progress>);

/// How far a process has come towards its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The exit of the main process, once it has ended.
    pub(super) exit: Option<Exit>,
    /// Whether the whole tree has ended, or was given up.
    pub(super) is_over: bool,
}

// === impl StopGraces ===

impl StopGraces {
    /// Graces for a process that is not in use.
    pub const ABANDONED: Self = Self::new(Duration::ZERO, Duration::from_secs(2));

    /// No graces, for a process that can't act on them.
    pub const NONE: Self = Self::new(Duration::ZERO, Duration::ZERO);

    /// The grace after the input was closed, and the one after TERM was sent to all processes.
    pub const fn new(stdin: Duration, term: Duration) -> Self {
        Self { stdin, term, signal: StopSignal::Term, main_only: false }
    }

    /// Those of a server, whose input is closed first.
    pub const fn of_server(stop: StopSpec) -> Self {
        let StopSpec { signal, timeout } = stop;
        Self { stdin: Duration::from_secs(2), term: timeout, signal, main_only: false }
    }

    /// Those of a service. A database wants to end its own processes itself.
    pub const fn of_service(stop: StopSpec) -> Self {
        let StopSpec { signal, timeout } = stop;
        Self { stdin: Duration::ZERO, term: timeout, signal, main_only: true }
    }
}

impl Default for StopGraces {
    fn default() -> Self {
        Self::new(Duration::from_secs(2), Duration::from_secs(3))
    }
}

// === impl RunningProcess ===

impl RunningProcess {
    /// The process id of the main process, which is also the id of its group.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Takes the process's standard input. None when it was taken before.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.stdin.take()
    }

    /// Takes the process's standard output. None when it was taken before.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.stdout.take()
    }

    /// The last lines of standard error. Readable after the process ended.
    pub fn stderr_tail(&self) -> StderrTail {
        self.stderr.clone()
    }

    /// Waits for the main process to end. The tail has its last output by then. Other processes of
    /// its tree may still run; [`stop`](Self::stop) waits for them.
    ///
    /// Cancel safe. There is no deadline: a server may run for months.
    pub async fn wait(&self) -> Exit {
        self.reach(|progress| progress.exit.is_some()).await
    }

    /// Whether the main process has ended, as far as is known by now.
    pub fn has_ended(&self) -> bool {
        self.progress.borrow().exit.is_some()
    }

    /// How the main process ended, as far as is known by now.
    pub fn exit(&self) -> Option<Exit> {
        self.progress.borrow().exit
    }

    /// What the user can do about a failure, as far as the process's last words say what it was.
    pub async fn remedy(&self) -> Option<Remedy> {
        match self.exit()? {
            Exit::Code(0) => None,
            Exit::OutOfMemory { .. } => Some(Remedy::of_memory()),
            Exit::OverMemoryLimit { .. } => Some(Remedy::of_memory_limit()),
            _ => {
                let (words, bounds) = (self.stderr.shown(), self.bounds.clone());
                let reached = move || bounds.as_ref().and_then(|it| it.refused_processes());
                blocking(move || match reached() {
                    Some((limit, refused)) => Some(Remedy::of_processes(limit, refused)),
                    None => remedy::remedy(&words),
                })
                .await
            }
        }
    }

    /// What the main process does, as far as the system shows it, as the rest of a sentence about it. None when
    /// that says nothing.
    pub fn activity(&self) -> Option<&'static str> {
        Some(match self.state()? {
            'T' | 't' => "is stopped, as by SIGSTOP or a debugger",
            'D' => "waits for a disk, a network mount or a device",
            'R' => "is computing",
            'S' | 'I' => "waits for something",
            _ => return None,
        })
    }

    /// Whether the main process is stopped, so that it can't act on TERM.
    pub fn is_halted(&self) -> bool {
        matches!(self.state(), Some('T' | 't'))
    }

    fn state(&self) -> Option<char> {
        let pid = i32::try_from(self.pid).ok()?;
        Some(procfs::stat(pid).ok()??.state)
    }

    /// Ends the whole tree: closes the input (drop what [`take_stdin`](Self::take_stdin) returned
    /// first), then TERM, then KILL. Returns when no process is left and the record is removed, or
    /// some seconds after both graces with [`Exit::Stuck`] when KILL did not help.
    ///
    /// Cancel safe: the tree is ended anyway. May be called again, also after the end.
    pub async fn stop(&mut self, graces: StopGraces) -> Exit {
        self.stdin = None;
        if let Some(orders) = self.orders.take() {
            // Failure means that it has ended already.
            let _ = orders.send(graces);
        }
        self.reach(|progress| progress.is_over).await
    }

    pub(super) fn departure(&self) -> Departure {
        Departure(self.progress.clone())
    }

    async fn reach(&self, there: impl Fn(&Progress) -> bool) -> Exit {
        let mut progress = self.progress.clone();
        let last = match progress.wait_for(there).await {
            Ok(reached) => *reached,
            Err(_) => *self.progress.borrow(),
        };
        last.exit.unwrap_or(Exit::Unknown)
    }
}

// === impl Departure ===

impl Departure {
    /// Waits until no process of the tree is left, also where KILL did not help at first. Returns as well when the
    /// daemon stops.
    pub(crate) async fn gone(&mut self) {
        // Who minds the process keeps the other end until then.
        while self.0.changed().await.is_ok() {}
    }
}
