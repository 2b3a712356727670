//! Clients spread over threads, a moment at which all begin, and an end that does not wait for
//! those who got stuck.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Barrier, Mutex, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::task::{JoinSet, LocalSet};

use super::report::{Clocks, Report};
use super::tally::{Tally, Window};
use super::watched::Watched;
use crate::client::{Connection, Session, Target};

/// An answer may come this long after the window; longer is no answer.
pub(crate) const GRACE: Duration = Duration::from_secs(5);
/// Opening all sessions takes no longer, or the target is no use.
const OPENING: Duration = Duration::from_secs(30);
/// Pause after a failure, so that a dead target is not met with a storm of connects.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);

/// How many, how long.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Size {
    /// Clients, each with a connection of its own.
    #[arg(long, default_value_t = 1)]
    pub(crate) clients: u32,
    /// Length of the measured window, in seconds.
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// Load before the window begins, in seconds.
    #[arg(long, default_value_t = 0.5)]
    pub(crate) warm_up: f64,
}

/// A client that is ready to begin.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) index: u32,
    pub(crate) connection: Connection,
    pub(crate) session: Session,
}

/// The clients of a thread and their shared counters.
#[derive(Debug)]
pub(crate) struct Team {
    pub(crate) members: Vec<Member>,
    /// Threads of the crew, to share a rate.
    pub(crate) threads: u32,
    pub(crate) window: Window,
    pub(crate) tally: Rc<RefCell<Tally>>,
}

/// State that the threads of a run share.
#[derive(Debug)]
struct Crew<'a, W> {
    size: &'a Size,
    target: &'a Target,
    work: W,
    threads: u32,
    /// Passed twice: when all sessions are open, and when the window is agreed upon.
    ready: Barrier,
    window: OnceLock<Window>,
    total: Mutex<Tally>,
    failures: Mutex<Vec<String>>,
}

/// Runs `work` for each thread's team and reports on the window, which ends early when all teams
/// are done.
///
/// `work` spawns local tasks and returns when they are done. It is dropped soon after [`GRACE`],
/// and its counts until then are kept.
pub(crate) fn run<W>(size: &Size, target: &Target, watch: &[Watched], work: W) -> Result<Report>
where
    W: AsyncFn(Team) + Sync,
{
    let threads = thread_count(size.clients);
    let crew = Crew {
        size,
        target,
        work,
        threads,
        ready: Barrier::new(threads as usize + 1),
        window: OnceLock::new(),
        total: Mutex::new(Tally::new()),
        failures: Mutex::default(),
    };
    let seen = std::thread::scope(|scope| {
        let (done, all_done) = mpsc::sync_channel(threads as usize);
        for thread in 0..threads {
            let (crew, done) = (&crew, done.clone());
            scope.spawn(move || {
                if let Err(error) = on_thread(async |set| crew.work_on(thread, set).await) {
                    crew.fail(&error);
                }
                // The receiver is gone once the window is over.
                let _ = done.send(());
            });
        }
        crew.begin().map(|window| watch_window(window, watch, threads, &all_done))
    });
    let failures = crew.failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    ensure!(failures.is_empty(), "{}", failures.join("; "));
    let (length, before, after) = seen.context("the window never began")?;
    let total = crew.total.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Report::new(&total, length, &before, &after))
}

/// Waits for the clients until [`GRACE`] after the window; gives how many are still at it.
pub(crate) async fn finish(mut clients: JoinSet<()>, window: Window) -> u64 {
    let end = tokio::time::Instant::from_std(window.to + GRACE);
    let all = async { while clients.join_next().await.is_some() {} };
    match tokio::time::timeout_at(end, all).await {
        Ok(()) => 0,
        Err(_) => clients.len() as u64,
    }
}

// === impl Crew ===

impl<W: AsyncFn(Team) + Sync> Crew<'_, W> {
    async fn work_on(&self, thread: u32, set: &LocalSet) {
        let opened = set.run_until(self.open_share(thread)).await;
        if let Err(error) = &opened {
            self.fail(error);
        }
        self.ready.wait();
        self.ready.wait();
        let (Ok(members), Some(&window)) = (opened, self.window.get()) else {
            return;
        };
        let tally = Rc::new(RefCell::new(Tally::new()));
        let team = Team { members, threads: self.threads, window, tally: Rc::clone(&tally) };
        let end = tokio::time::Instant::from_std(window.to + GRACE + Duration::from_millis(200));
        // Late answers are counted by the clients; this only ends the wait.
        let _ = tokio::time::timeout_at(end, set.run_until((self.work)(team))).await;
        self.total.lock().unwrap_or_else(PoisonError::into_inner).merge(&tally.borrow());
    }

    /// Agrees on the window once all sessions are open; none when some can't be.
    fn begin(&self) -> Option<Window> {
        self.ready.wait();
        let fine = self.failures.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        let window = fine.then(|| {
            *self.window.get_or_init(|| {
                Window::after(
                    Duration::from_secs_f64(self.size.warm_up),
                    Duration::from_secs_f64(self.size.seconds),
                )
            })
        });
        self.ready.wait();
        window
    }

    fn fail(&self, error: &anyhow::Error) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{error:#}"));
    }

    async fn open_share(&self, thread: u32) -> Result<Vec<Member>> {
        let opening = async {
            let mut members = Vec::new();
            for index in (thread..self.size.clients).step_by(self.threads as usize) {
                let mut connection =
                    Connection::open(self.target.address).await.context("cannot connect")?;
                let session = Session::open(self.target, &mut connection).await?;
                members.push(Member { index, connection, session });
            }
            Ok(members)
        };
        tokio::time::timeout(OPENING, opening)
            .await
            .context("opening the sessions takes too long")?
    }
}

/// Half the cores: the other half is for those who are measured.
fn thread_count(clients: u32) -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u32;
    (cores / 2).clamp(1, clients.max(1))
}

/// Runs `work` on a runtime of this thread alone.
pub(crate) fn on_thread<T>(work: impl AsyncFnOnce(&LocalSet) -> T) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let set = LocalSet::new();
    Ok(runtime.block_on(work(&set)))
}

fn watch_window(
    window: Window,
    watch: &[Watched],
    threads: u32,
    done: &mpsc::Receiver<()>,
) -> (Duration, Clocks, Clocks) {
    std::thread::sleep(window.from.saturating_duration_since(Instant::now()));
    let before = Clocks::read(watch);
    for _ in 0..threads {
        let left = window.to.saturating_duration_since(Instant::now());
        if done.recv_timeout(left).is_err() {
            break;
        }
    }
    let length = Instant::now().min(window.to) - window.from;
    (length, before, Clocks::read(watch))
}

/// Replaces a broken connection; the session lives on if the target lets it.
pub(crate) async fn reconnect(connection: &mut Connection, target: &Target) {
    tokio::time::sleep(PAUSE).await;
    if let Ok(fresh) = Connection::open(target.address).await {
        *connection = fresh;
    }
}
