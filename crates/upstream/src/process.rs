//! Processes of servers: started without a shell, watched, and ended with all their descendants,
//! however the daemon ends.
//!
//! ```text
//!   daemon ──┬── minder ── main process ── its children, and theirs   (one group, one mark, one label)
//!            │             begins as a helper (`exec`) that becomes the server's program
//!            ├── reaper ── orphans, which the daemon inherits
//!            └── guard     waits for the daemon's death, then sweeps by record, mark and label
//! ```
//!
//! A process that leaves its instance is still known by its label. One that has given up its label, too, is a
//! stray: the daemon inherits it, and ends it when the instances that may have started it have ended.
//!
//! Invariants: a process is identified by its number *and* start, never by its name; its identity is
//! compared right before every signal; each child is reaped by its owner only. Linux only, kernel
//! 5.3 or later.

mod blocking;
mod bounds;
mod cgroup;
mod ending;
mod environment;
mod exec;
mod exit;
mod guard;
mod label;
mod memory;
mod minder;
mod oom;
mod pages;
mod ports;
mod procfs;
mod reaper;
mod records;
mod registry;
mod remedy;
mod running;
mod service;
mod spawn;
mod stderr;
mod strays;
mod sweep;
mod tree;

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_model::resource::{LimitKind, LimitStatus};
use mainstay_model::settings::ProcessSpec;
use mainstay_model::{InstanceId, Name};
use mainstay_telemetry::ServerOutput;
use mainstay_telemetry::output::Written;
use parking_lot::Mutex;
use rustix::process::{Resource, Rlimit, getpid, getrlimit, set_child_subreaper};
use tokio::process::{Child, ChildStdin};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::blocking::blocking;
use self::bounds::{Bounds, LimitBook, SharedBounds};
use self::cgroup::GroupHost;
pub use self::exec::exec_main;
pub use self::exit::Exit;
pub use self::guard::{GuardCommand, guard_main};
pub use self::pages::use_small_pages;
pub use self::records::MARK_VARIABLE;
pub use self::remedy::Remedy;
pub(crate) use self::running::Departure;
pub use self::running::{RunningProcess, StopGraces};
pub use self::service::ServiceProcess;
pub use self::spawn::{ExecCommand, SpawnError, check_account};
pub(crate) use self::stderr::last_line;
pub use self::stderr::{StderrTail, TAIL_LINE_BYTES_MAX, TAIL_LINES_MAX};
pub use self::sweep::Swept;

use self::exec::{Channel, Offer};
use self::guard::Guard;
use self::label::Label;
use self::memory::Sampler;
use self::minder::{Bounded, Death, Looker, Minder, StderrReader};
use self::oom::OomKills;
use self::procfs::Identity;
use self::records::{Folder, Mark, Record};
use self::registry::{Claim, Kind, Starting};
use self::running::Progress;
use self::strays::StrayFinder;
use self::tree::Tree;
use crate::secrets::Secrets;

/// Starts the processes of servers and owns every task that watches them. A daemon has one host.
#[derive(Debug)]
pub struct ProcessHost {
    folder: Folder,
    /// The part of the daemon's environment that every process inherits, taken when the host was
    /// opened.
    base: Vec<(OsString, OsString)>,
    /// The limit on open files for processes: the one in force when the host was opened, even if
    /// the daemon raises its own later.
    files: Rlimit,
    helper: ExecCommand,
    /// What processes wrote to standard error.
    output: ServerOutput,
    sampler: Sampler,
    swept: Vec<Swept>,
    strays: StrayFinder,
    oom_kills: OomKills,
    groups: GroupHost,
    limit_book: LimitBook,
    /// Bounds the processes that are being started at the same time.
    starts: Arc<Semaphore>,
    /// Number of processes ever started; part of each process's mark.
    runs_started: AtomicU64,
    minders: TaskTracker,
    /// Ends every process.
    closing: CancellationToken,
    /// Ends reaper and guard, which must outlast the processes.
    closing_keepers: CancellationToken,
    keepers: Mutex<Vec<JoinHandle<()>>>,
}

/// Why no process can be started at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("can't inherit the orphans of servers")]
    Subreaper { source: io::Error },
    #[error("can't sweep the processes of an earlier daemon")]
    Sweep { source: io::Error },
    #[error("can't keep records of processes in the state folder")]
    Records { source: io::Error },
    #[error("can't watch for the end of processes")]
    Signals { source: io::Error },
    #[error("can't start the guard")]
    Guard { source: io::Error },
}

/// Longest time for ending all processes when the daemon stops: the graces of TERM and KILL, and a
/// reserve for a busy machine.
const SHUTDOWN_MAX: Duration = Duration::from_secs(12);

/// Stands in records for processes that belong to no instance.
const NO_INSTANCE: InstanceId = InstanceId(0);

/// Processes that are started at the same time. Each takes a thread for some milliseconds, and every thread
/// leaves memory behind, so a hundred servers at once would cost megabytes. What a start waits for is the
/// same for all of them, so none is held up by a slow one.
const STARTS_MAX: usize = 4;

// === impl ProcessHost ===

impl ProcessHost {
    /// Sweeps the processes of earlier daemons, makes this process inherit orphans, and starts the
    /// guard and the reaper. A sweep takes some seconds.
    ///
    /// Hold the folder open (`mainstay_store::Folder`). Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// Names the step that failed. Nothing is left running then.
    pub async fn open(
        state_dir: &Path,
        guard_command: GuardCommand,
        helper: ExecCommand,
    ) -> Result<Arc<Self>, OpenError> {
        Self::open_on(state_dir, guard_command, helper, Path::new("/")).await
    }

    /// As [`open`](Self::open), on a machine whose control groups are below `root`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_on(
        state_dir: &Path,
        guard_command: GuardCommand,
        helper: ExecCommand,
        root: &Path,
    ) -> Result<Arc<Self>, OpenError> {
        set_child_subreaper(Some(getpid()))
            .map_err(|error| OpenError::Subreaper { source: error.into() })?;
        let deaths = signal(SignalKind::child()).map_err(|source| OpenError::Signals { source })?;
        let dir = state_dir.to_owned();
        let (folder, swept, strays) = blocking(move || prepare(&dir)).await?;
        let guard = match Guard::start(&guard_command, folder.mark()).await {
            Ok(guard) => guard,
            Err(source) => {
                // No process was started, so the folder's records are not needed.
                let _ = blocking(move || folder.delete()).await;
                return Err(OpenError::Guard { source });
            }
        };

        let closing_keepers = CancellationToken::new();
        let oom_kills = blocking(|| OomKills::new(Path::new("/"))).await;
        let limit_book = LimitBook::default();
        let keepers = vec![
            tokio::spawn(limit_book.clone().keep_watch(closing_keepers.clone())),
            tokio::spawn(oom_kills.clone().keep_watch(closing_keepers.clone())),
            tokio::spawn(reaper::run(deaths, strays.clone(), closing_keepers.clone())),
            tokio::spawn(guard::keep(
                guard,
                guard_command,
                folder.mark().clone(),
                closing_keepers.clone(),
            )),
        ];
        Ok(Arc::new(Self {
            groups: GroupHost::new(root, folder.clone()),
            limit_book,
            folder,
            base: environment::base(std::env::vars_os()),
            files: getrlimit(Resource::Nofile),
            helper,
            output: ServerOutput::new(),
            sampler: Sampler::new(),
            swept,
            strays,
            oom_kills,
            starts: Arc::new(Semaphore::new(STARTS_MAX)),
            runs_started: AtomicU64::new(0),
            minders: TaskTracker::new(),
            closing: CancellationToken::new(),
            closing_keepers,
            keepers: Mutex::new(keepers),
        }))
    }

    /// Processes of earlier daemons that [`open`](Self::open) ended, for the log.
    pub fn swept(&self) -> &[Swept] {
        &self.swept
    }

    /// Starts a process. Its environment is the part that `environment.rs` lists, then `spec.env`.
    ///
    /// There is no deadline: a helper process waits for a working folder or a program on a mount
    /// that hangs. Dropping the future ends what was started by then.
    ///
    /// # Errors
    ///
    /// Names the step that failed, with a [hint](SpawnError::hint). Nothing is left running then.
    pub async fn spawn(
        &self,
        spec: &ProcessSpec,
        server: &Name,
        instance: InstanceId,
    ) -> Result<RunningProcess, SpawnError> {
        let rules = Rules { output: self.output.clone(), leftovers: StopGraces::ABANDONED };
        self.spawn_with(spec, server, instance, rules, |_| {}).await
    }

    /// Starts a process that is no instance, such as a probe's command. Its output is not kept with that of
    /// `owner`, and what is left of it is killed at once. `note` gets its [`Departure`] as soon as there is a
    /// process, so that a caller who drops the future knows when nothing is left of it.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    pub(crate) async fn spawn_aside(
        &self,
        spec: &ProcessSpec,
        owner: &Name,
        note: impl FnOnce(Departure),
    ) -> Result<RunningProcess, SpawnError> {
        let rules = Rules { output: ServerOutput::new(), leftovers: StopGraces::NONE };
        self.spawn_with(spec, owner, NO_INSTANCE, rules, note).await
    }

    async fn spawn_with(
        &self,
        spec: &ProcessSpec,
        server: &Name,
        instance: InstanceId,
        rules: Rules,
        note: impl FnOnce(Departure),
    ) -> Result<RunningProcess, SpawnError> {
        // Shutdown waits for processes that are being started here.
        let _token = self.minders.token();
        if self.closing.is_cancelled() {
            return Err(SpawnError::Stopping);
        }
        if spec.command.is_empty() {
            return Err(SpawnError::NoCommand);
        }
        let turn = tokio::select! {
            turn = self.starts.clone().acquire_owned() => turn,
            () = self.closing.cancelled() => return Err(SpawnError::Stopping),
        };
        let leftovers = rules.leftovers;
        let life = self.runs_started.fetch_add(1, Ordering::Relaxed);
        let start = Start {
            plan: spawn::plan(spec, &self.files),
            spec: spec.clone(),
            helper: self.helper.clone(),
            rules,
            base: self.base.clone(),
            server: server.clone(),
            instance,
            mark: self.folder.mark().of(instance, life),
            label: Label::new(self.folder.mark(), life),
            folder: self.folder.clone(),
            group_name: bounds::group_name(server, instance, life),
            groups: self.groups.clone(),
            limit_book: self.limit_book.clone(),
            oom_kills: self.oom_kills.clone(),
            closing: self.closing.clone(),
            minders: self.minders.clone(),
        };
        let (mut process, channel, plan) = blocking(move || {
            let _turn = turn;
            start.carry_out()
        })
        .await?;
        note(process.departure());
        let settled = tokio::select! {
            settled = channel.settle(&plan) => settled,
            () = self.closing.cancelled() => return Err(SpawnError::Stopping),
        };
        if let Err(failure) = settled {
            process.stop(leftovers).await;
            return Err(failure.into());
        }
        Ok(process)
    }

    /// The last lines that servers wrote, of those that are running and those that have ended.
    pub fn output(&self) -> &ServerOutput {
        &self.output
    }

    /// The resident memory in bytes of a process that this host started, with its group and its
    /// descendants. Takes a second at most; none when it is gone or can't be looked at in that time.
    pub async fn memory(&self, pid: u32) -> Option<u64> {
        self.memory_of_all(vec![pid]).await.pop().flatten()
    }

    /// [`memory`](Self::memory) of several processes with one look at `/proc`, in their order.
    pub async fn memory_of_all(&self, pids: Vec<u32>) -> Vec<Option<u64>> {
        self.sampler.sample(pids).await
    }

    /// The limits of processes that this host started, in their order: what keeps each, and how much of it is used.
    /// `None` for a process without limits, and for one that is gone. Takes a second at most.
    pub async fn limits_of_all(&self, pids: Vec<u32>) -> Vec<Option<Vec<LimitStatus>>> {
        let book = self.limit_book.clone();
        let unknown = vec![None; pids.len()];
        self.sampler.look(move || Some(book.status(&pids))).await.unwrap_or(unknown)
    }

    /// How often each limit of each server was reached since the host was opened.
    pub fn limit_hits(&self) -> Vec<(Name, LimitKind, u64)> {
        self.limit_book.hits()
    }

    /// Ends every process that still runs, then the reaper and the guard. Only a process that
    /// survives SIGKILL is left. May be called again.
    pub async fn shutdown(&self) {
        self.closing.cancel();
        self.minders.close();
        if timeout(SHUTDOWN_MAX, self.minders.wait()).await.is_err() {
            tracing::error!("some processes did not end in time; the guard continues to end them");
        } else {
            self.tidy().await;
        }
        self.closing_keepers.cancel();
        let keepers = std::mem::take(&mut *self.keepers.lock());
        for keeper in keepers {
            // Each ends within seconds. A panic in one was logged.
            let _ = keeper.await;
        }
    }

    /// Ends strays, orphans of instances that ended long before, and removes the records.
    async fn tidy(&self) {
        let (folder, strays) = (self.folder.clone(), self.strays.clone());
        let ended = blocking(move || {
            strays.end_all();
            sweep::sweep(&folder)
        });
        match ended.await {
            Ok(strays) if strays.is_empty() => {}
            Ok(strays) => tracing::info!(?strays, "ended processes that had left their servers"),
            Err(error) => tracing::warn!(%error, "can't remove the records of processes"),
        }
    }
}

impl Drop for ProcessHost {
    /// Ends all processes without waiting for them, unless [`shutdown`](Self::shutdown) has
    /// already.
    fn drop(&mut self) {
        self.closing.cancel();
        self.closing_keepers.cancel();
    }
}

/// Sweeps after every dead daemon, then makes the folder of this one.
fn prepare(state_dir: &Path) -> Result<(Folder, Vec<Swept>, StrayFinder), OpenError> {
    let mut swept = Vec::new();
    let failed = |source| OpenError::Sweep { source };
    for folder in Folder::all(state_dir).map_err(failed)? {
        if !folder.is_in_use() {
            swept.extend(sweep::sweep(&folder).map_err(failed)?);
        }
    }
    let folder = Mark::random()
        .and_then(|mark| Folder::create(state_dir, mark))
        .map_err(|source| OpenError::Records { source })?;
    let strays =
        StrayFinder::new(folder.clone()).map_err(|source| OpenError::Records { source })?;
    Ok((folder, swept, strays))
}

/// How a process is treated that is an instance, or is not.
struct Rules {
    /// Where its standard error is kept.
    output: ServerOutput,
    /// For what is left when its main process has ended, or nobody wants it any more.
    leftovers: StopGraces,
}

/// The inputs of one start of a process.
struct Start {
    plan: exec::Plan,
    spec: ProcessSpec,
    helper: ExecCommand,
    rules: Rules,
    base: Vec<(OsString, OsString)>,
    server: Name,
    instance: InstanceId,
    mark: String,
    label: Label,
    folder: Folder,
    group_name: String,
    groups: GroupHost,
    limit_book: LimitBook,
    oom_kills: OomKills,
    closing: CancellationToken,
    minders: TaskTracker,
}

// === impl Start ===

impl Start {
    /// Starts the helper and spawns the task that minds it. Reads and writes files, so it must not
    /// run on a thread of the runtime.
    fn carry_out(mut self) -> Result<(RunningProcess, Channel, exec::Plan), SpawnError> {
        let watch = |source| SpawnError::Watch { source };
        let _starting = Starting::begin();
        let Offer { channel, helper_end, input } = Offer::new().map_err(watch)?;
        let child = spawn::start(&self.helper, helper_end, &self.spec, &self.base, &self.mark)?;
        let bounds = self.bound(&child);
        let plan = self.plan.clone();
        let process = self.mind(child, input, bounds).map_err(watch)?;
        Ok((process, channel, plan))
    }

    /// Puts the helper under the limits of the process that it becomes. It waits for its plan meanwhile, and has
    /// started nothing.
    fn bound(&mut self, child: &Child) -> Option<SharedBounds> {
        let pid = i32::try_from(child.id()?).ok()?;
        let mut bounds = Bounds::set(&self.spec, &self.server, &self.group_name, &self.groups)?;
        bounds.enter(pid, &self.spec);
        self.plan.rlimits = bounds.rlimits();
        Some(Arc::new(bounds))
    }

    /// Spawns the task that minds `child`. On failure `child` is dropped, which kills it.
    fn mind(
        self,
        mut child: Child,
        input: OwnedFd,
        bounds: Option<SharedBounds>,
    ) -> io::Result<RunningProcess> {
        let missing = || io::Error::other("the process has no number");
        let pid = child.id().ok_or_else(missing)?;
        let main = i32::try_from(pid).map_err(io::Error::other)?;
        let claim = Claim::new(main, Kind::Main(self.label));
        if let Err(error) = self.label.put_on(main) {
            tracing::debug!(%error, "can't label a process");
        }
        let identity = Identity::of(main)?.ok_or_else(missing)?;
        let death = Death::watch(main)?;
        let record =
            Record { identity, server: Some(self.server.clone()), instance: Some(self.instance) };
        if let Err(error) = self.folder.add(&record) {
            // The process is also found by its mark, and a full disk should not stop servers.
            tracing::warn!(%error, server = %self.server, "can't record a process");
        }

        let stderr = StderrTail::default();
        let from = child.stderr.take().ok_or_else(missing)?;
        let secrets = Secrets::of_process(&self.spec);
        let writer = stderr::Writer {
            server: self.server.clone(),
            instance: self.instance,
            secrets,
            written: Written::Stderr,
        };
        let read = stderr::keep_tail(from, stderr.clone(), writer, self.rules.output);
        let (orders, ordered) = oneshot::channel();
        let (tell, progress) = watch::channel(Progress::default());
        let stdin = Some(ChildStdin::from_std(std::process::ChildStdin::from(input))?);
        let stdout = child.stdout.take();
        let bounded = bounds.clone().map(|bounds| Bounded::new(self.limit_book, pid, bounds));
        let minder = Minder {
            server: self.server,
            instance: self.instance,
            child,
            claim,
            death,
            tree: Looker::new(main, Tree::new(main, self.mark, self.label, bounds.clone())),
            folder: self.folder,
            oom_kills: self.oom_kills,
            bounded,
            reader: StderrReader(tokio::spawn(read)),
            orders: ordered,
            leftovers: self.rules.leftovers,
            progress: tell,
            closing: self.closing,
        };
        self.minders.spawn(minder.run());
        let orders = Some(orders);
        Ok(RunningProcess { pid, stdin, stdout, stderr, bounds, orders, progress })
    }
}
