//! The task that watches one process until its whole tree has ended.
//!
//! The main process stays a zombie until all others are gone. The kernel does not reuse the number
//! of a zombie, so its group can be signalled without hitting other processes.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use mainstay_model::settings::StopSignal;
use mainstay_model::{InstanceId, Name};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, waitid};
use tokio::io::unix::AsyncFd;
use tokio::process::Child;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::blocking::blocking;
use super::bounds::{LimitBook, SharedBounds};
use super::ending::{Ending, KILL_WAIT_MAX, Next};
use super::exit::Exit;
use super::oom::OomKills;
use super::procfs::Identity;
use super::records::Folder;
use super::registry::Claim;
use super::running::{Progress, StopGraces};
use super::stderr::LAST_WORDS;
use super::tree::Tree;

/// A look at `/proc` that takes longer hangs on a process the kernel has locked.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// Pause between looks at processes that outlived KILL.
const STUCK_LOOKS_APART: Duration = Duration::from_secs(5);

/// The owner of one process: waits for its end, ends its tree and removes its record.
pub(super) struct Minder {
    pub(super) server: Name,
    pub(super) instance: InstanceId,
    pub(super) child: Child,
    pub(super) claim: Claim,
    pub(super) death: Death,
    pub(super) tree: Looker,
    pub(super) folder: Folder,
    pub(super) oom_kills: OomKills,
    /// None without limits.
    pub(super) bounded: Option<Bounded>,
    pub(super) reader: StderrReader,
    pub(super) orders: oneshot::Receiver<StopGraces>,
    /// For what is left when the main process ended, the handle was dropped or the host closes.
    pub(super) leftovers: StopGraces,
    pub(super) progress: watch::Sender<Progress>,
    /// Ends every process of the host.
    pub(super) closing: CancellationToken,
}

/// The limits of a run, until nothing of it is left.
pub(super) struct Bounded {
    book: LimitBook,
    pid: u32,
    bounds: SharedBounds,
}

/// Notices the death of the main process without reaping it.
pub(super) struct Death(AsyncFd<OwnedFd>);

/// The task that reads standard error; ends with this.
pub(super) struct StderrReader(pub(super) JoinHandle<()>);

/// Looks at a tree without blocking the runtime; a look that hangs is taken up again later
/// instead of starting another that would hang as well.
pub(super) struct Looker {
    main: i32,
    idle: Option<Tree>,
    busy: Option<JoinHandle<(Tree, io::Result<BTreeSet<Identity>>)>>,
}

// === impl Minder ===

impl Minder {
    pub(super) async fn run(mut self) {
        let (graces, ended_itself) = tokio::select! {
            _ = self.death.wait() => (self.leftovers, true),
            order = &mut self.orders => (order.unwrap_or(self.leftovers), false),
            () = self.closing.cancelled() => (self.leftovers, false),
        };
        let exit = tokio::select! {
            biased;
            exit = self.death.wait() => Some(exit),
            () = self.closing.cancelled() => None,
            () = tokio::time::sleep(graces.stdin) => None,
        };
        if let Some(mut exit) = exit {
            if ended_itself {
                exit = self.oom_kills.explain(exit).await;
                if let Some(bounded) = &self.bounded {
                    exit = bounded.explain(exit).await;
                }
            }
            self.reader.drain().await;
            self.tell(exit, false);
        }
        if self.end_tree(graces).await {
            self.finish().await;
        } else {
            self.watch_stuck().await;
        }
    }

    /// Ends the tree. Returns true when only the main process is left, as a zombie.
    async fn end_tree(&mut self, graces: StopGraces) -> bool {
        let StopGraces { mut signal, mut main_only, .. } = graces;
        let mut ending = Ending::new(Instant::now(), graces.term);
        let mut hurried = false;
        loop {
            let living = self.tree.look().await;
            let main = self.tree.main;
            if main_only
                && living.as_ref().is_some_and(|living| living.iter().all(|one| one.pid != main))
            {
                // It has ended. What it left behind is nobody's.
                (signal, main_only) = (StopSignal::Term, false);
                ending = Ending::new(Instant::now(), StopGraces::ABANDONED.term);
            }
            let pause = match ending.next(Instant::now(), living.as_ref()) {
                Next::Gone => return true,
                Next::GiveUp => return false,
                Next::Ask(whom, pause) => {
                    let whom = whom.into_iter().filter(|one| !main_only || one.pid == main);
                    whom.for_each(|identity| identity.signal(number(signal)));
                    pause
                }
                Next::Kill(whom, pause) => {
                    if let Some(bounded) = &self.bounded {
                        bounded.kill().await;
                    }
                    Tree::signal_group(self.tree.main, Signal::KILL);
                    whom.into_iter().for_each(|identity| identity.signal(Signal::KILL));
                    pause
                }
            };
            tokio::select! {
                biased;
                () = self.closing.cancelled(), if !hurried => {
                    hurried = true;
                    ending.hurry(Instant::now(), StopGraces::ABANDONED.term);
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Reaps the main process and removes its record, now that the tree is gone.
    async fn finish(mut self) {
        // The process is a zombie already, so this returns at once; the bound is a precaution.
        let exit = timeout(KILL_WAIT_MAX, self.death.wait()).await.unwrap_or(Exit::Unknown);
        self.reader.drain().await;
        let (folder, main) = (self.folder.clone(), self.tree.main);
        // A disk that hangs must not hide that the process is gone.
        let _ = timeout(KILL_WAIT_MAX, blocking(move || folder.remove(main))).await;
        let Self { mut child, claim, bounded, .. } = self;
        claim.release(|| {
            if let Err(error) = child.try_wait() {
                tracing::warn!(%error, "can't reap a process");
            }
        });
        if let Some(bounded) = bounded {
            bounded.close().await;
        }
        self.progress.send_modify(|progress| {
            *progress = Progress { exit: Some(progress.exit.unwrap_or(exit)), is_over: true };
        });
    }

    /// Watches processes that outlived KILL until they are gone; their record stays until then.
    async fn watch_stuck(self) {
        tracing::error!(
            server = %self.server, instance = %self.instance, pid = self.tree.main,
            "processes outlived SIGKILL; they wait for a device or a mount that hangs"
        );
        self.tell(Exit::Stuck, true);
        let mut this = self;
        loop {
            tokio::select! {
                () = this.closing.cancelled() => return,
                () = tokio::time::sleep(STUCK_LOOKS_APART) => {}
            }
            let Some(living) = this.tree.look().await else { continue };
            if living.is_empty() {
                return this.finish().await;
            }
            living.into_iter().for_each(|identity| identity.signal(Signal::KILL));
        }
    }

    fn tell(&self, exit: Exit, is_over: bool) {
        self.progress.send_modify(|progress| {
            *progress = Progress { exit: progress.exit.or(Some(exit)), is_over };
        });
    }
}

/// The signal of the system.
fn number(signal: StopSignal) -> Signal {
    match signal {
        StopSignal::Term => Signal::TERM,
        StopSignal::Int => Signal::INT,
        StopSignal::Quit => Signal::QUIT,
        StopSignal::Hup => Signal::HUP,
        StopSignal::Usr1 => Signal::USR1,
        StopSignal::Usr2 => Signal::USR2,
        StopSignal::Kill => Signal::KILL,
    }
}

// === impl Bounded ===

impl Bounded {
    pub(super) fn new(book: LimitBook, pid: u32, bounds: SharedBounds) -> Self {
        book.open(pid, &bounds);
        Self { book, pid, bounds }
    }

    async fn explain(&self, exit: Exit) -> Exit {
        let bounds = self.bounds.clone();
        blocking(move || bounds.explain(exit)).await
    }

    async fn kill(&self) {
        let bounds = self.bounds.clone();
        blocking(move || bounds.kill()).await;
    }

    /// Nothing is left in the group.
    async fn close(self) {
        let Self { book, pid, .. } = self;
        blocking(move || book.close(pid)).await;
    }
}

// === impl Death ===

impl Death {
    /// # Errors
    /// When file descriptors have run out, or the kernel is older than 5.3.
    #[expect(
        deprecated,
        reason = "an owned descriptor is what its replacement's contract asks for"
    )]
    pub(super) fn watch(pid: i32) -> io::Result<Self> {
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
        let pinned = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        Ok(Self(AsyncFd::with_interest(pinned, tokio::io::Interest::READABLE)?))
    }

    /// Cancel safe, and may be called again: the zombie stays.
    async fn wait(&self) -> Exit {
        loop {
            let Ok(mut ready) = self.0.readable().await else { return Exit::Unknown };
            match self.look() {
                Some(exit) => return exit,
                None => ready.clear_ready(),
            }
        }
    }

    /// The exit of the process. None while the process lives.
    fn look(&self) -> Option<Exit> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        match waitid(WaitId::PidFd(self.0.get_ref().as_fd()), options) {
            Ok(None) => None,
            Ok(Some(status)) => Some(
                status
                    .exit_status()
                    .map(Exit::Code)
                    .or_else(|| status.terminating_signal().map(Exit::Signal))
                    .unwrap_or(Exit::Unknown),
            ),
            // The process was reaped elsewhere.
            Err(_) => Some(Exit::Unknown),
        }
    }
}

// === impl StderrReader ===

impl StderrReader {
    /// Waits a moment for the rest of the output.
    async fn drain(&mut self) {
        if !self.0.is_finished() {
            let _ = timeout(LAST_WORDS, &mut self.0).await;
        }
    }
}

impl Drop for StderrReader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

// === impl Looker ===

impl Looker {
    pub(super) fn new(main: i32, tree: Tree) -> Self {
        Self { main, idle: Some(tree), busy: None }
    }

    /// The living processes of the tree. None when the look took longer than [`LOOK_MAX`].
    async fn look(&mut self) -> Option<BTreeSet<Identity>> {
        if let Some(mut tree) = self.idle.take() {
            self.busy = Some(tokio::task::spawn_blocking(move || {
                let living = tree.living();
                (tree, living)
            }));
        }
        let busy = self.busy.as_mut()?;
        let (tree, living) = timeout(LOOK_MAX, busy).await.ok()?.ok()?;
        self.busy = None;
        self.idle = Some(tree);
        living.inspect_err(|error| tracing::warn!(%error, "can't look at /proc")).ok()
    }
}
