//! Reads the configuration again while the daemon serves, and changes what differs. `config::diff` says what that
//! is, `supervisor::reload` decides in which order and what stays as it is, and [`carrying`] carries it out.
//!
//! One reload is under way at a time, and at most one waits: it reads the configuration when its turn comes, so
//! whoever asks meanwhile joins it.

mod board;
mod carrying;
mod ended;
pub(super) mod read;
mod tasks;
mod watch;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mainstay_admin::View;
use mainstay_admin::api::configuration::{AskedReload, Configuration, Reload};
use mainstay_config::{Loaded, Plan, Problem, Problems, Severity, diff};
use mainstay_fleet::Fleet;
use mainstay_gateway::Gateway;
use mainstay_model::settings::{ReloadChoice, Settings};
use mainstay_telemetry::Metrics;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::board::Board;
pub(super) use self::carrying::Means;
use self::carrying::{Carrying, Carryout};
use self::read::{Origin, Reading, Unread};
use self::watch::Watcher;

/// Who asks for a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AskedBy {
    Command,
    Signal,
    Change,
}

/// Reloads the configuration of one daemon.
#[derive(Debug, Clone)]
pub(super) struct Reloader(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    origin: Origin,
    gateway: Arc<Gateway>,
    fleet: Arc<Fleet>,
    metrics: Arc<Metrics>,
    carrying: Carrying,
    board: Mutex<Board>,
    /// What is in force. Only the worker changes it.
    in_force: Mutex<Settings>,
    asked: Notify,
    stop: CancellationToken,
    over: CancellationToken,
    watcher: Mutex<Option<Watcher>>,
}

/// What a daemon was started with.
pub(super) struct Begun {
    pub(super) origin: Origin,
    pub(super) settings: Settings,
    pub(super) print: u64,
    pub(super) files: BTreeSet<PathBuf>,
}

/// How long it is waited, after a change of a file, for the files that belong to it.
const TOGETHER: Duration = Duration::from_millis(200);

// === impl AskedBy ===

impl AskedBy {
    fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Signal => "signal",
            Self::Change => "change",
        }
    }
}

// === impl Reloader ===

impl Reloader {
    /// Waits for wishes from now on, and watches the files of the configuration.
    pub(super) fn start(
        begun: Begun,
        means: Means,
        gateway: &Arc<Gateway>,
        fleet: &Arc<Fleet>,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let Begun { origin, settings, print, files } = begun;
        let board = Board::new(&settings, print, files.clone(), origin.file());
        let reloader = Self(Arc::new(Inner {
            origin: origin.clone(),
            carrying: Carrying::new(means),
            gateway: gateway.clone(),
            fleet: fleet.clone(),
            metrics: metrics.clone(),
            board: Mutex::new(board),
            in_force: Mutex::new(settings),
            asked: Notify::new(),
            stop: CancellationToken::new(),
            over: CancellationToken::new(),
            watcher: Mutex::new(None),
        }));
        let (send, prints) = tokio::sync::watch::channel(print);
        match Watcher::start(&origin, files, send) {
            Ok(watcher) => *reloader.0.watcher.lock() = Some(watcher),
            Err(error) => tracing::warn!(
                target: "mainstay", %error, "changes of the configuration are not noticed"
            ),
        }
        tokio::spawn(reloader.0.clone().look_at_changes(prints));
        tokio::spawn(reloader.0.clone().work());
        reloader
    }

    /// Asks for a reload. Returns its number: that of one that waits already, if there is one.
    pub(super) fn ask(&self, by: AskedBy) -> u64 {
        self.0.ask(by)
    }

    /// What a reload would change now, or what is wrong.
    pub(super) async fn preview(&self) -> Result<Reload, Unread> {
        let known = self.0.board.lock().files.clone();
        let reading = self.0.origin.read(known).await?;
        let mut report = Reload::default();
        if let Some((_, plan)) = self.0.plan(reading.result, &mut report) {
            board::show_plan(&plan, &mut report);
        }
        Ok(report)
    }

    pub(super) fn configuration(&self, view: View) -> Configuration {
        self.0.board.lock().show(view)
    }

    /// The reload of this number.
    pub(super) fn find(&self, number: u64, view: View) -> AskedReload {
        self.0.board.lock().find(number, view)
    }

    /// Begins no reload any more, and ends what one has started that is not in force.
    pub(super) fn stop(&self) {
        self.0.stop.cancel();
    }

    /// Waits until nothing of a reload is under way after [`stop`](Self::stop).
    pub(super) async fn until_over(&self) {
        self.0.over.cancelled().await;
        *self.0.watcher.lock() = None;
    }
}

// === impl Inner ===

impl Inner {
    fn ask(&self, by: AskedBy) -> u64 {
        let number = self.board.lock().ask(by);
        self.asked.notify_one();
        number
    }

    /// Carries out one reload after the other.
    async fn work(self: Arc<Self>) {
        let _over = self.over.clone().drop_guard();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.asked.notified() => {}
            }
            loop {
                let next = self.board.lock().begin();
                let Some(by) = next else { break };
                self.reload(by).await;
                if self.stop.is_cancelled() {
                    return;
                }
            }
        }
    }

    async fn reload(&self, by: AskedBy) {
        let known = self.board.lock().files.clone();
        let reading = match self.origin.read(known).await {
            Ok(reading) => reading,
            Err(error) => {
                tracing::error!(target: "mainstay", %error, "the configuration was not reloaded");
                self.board.lock().unread(&error);
                return self.tell();
            }
        };
        let Reading { result, print, files } = reading;
        let is_valid = result.is_ok();
        self.board.lock().tried(print, files.clone());
        if let Some(watcher) = &*self.watcher.lock() {
            watcher.watch(files);
        }
        let mut report = self.board.lock().report();
        let planned = self.plan(result, &mut report);
        self.board.lock().set(report);
        if let Some((loaded, plan)) = planned {
            debug_assert!(is_valid);
            self.carry_out(by, loaded, &plan).await;
        }
        self.tell();
    }

    async fn carry_out(&self, by: AskedBy, loaded: Loaded, plan: &Plan) {
        self.board.lock().read(&loaded.settings);
        if plan.is_empty() {
            tracing::info!(
                target: "mainstay", by = by.as_str(), "the configuration was read: nothing changes"
            );
            return;
        }
        tracing::info!(target: "mainstay", by = by.as_str(), "the configuration has changed:\n{plan}");
        let mut report = self.board.lock().report();
        board::show_plan(plan, &mut report);
        self.board.lock().set(report);
        let carryout = Carryout {
            carrying: &self.carrying,
            gateway: &self.gateway,
            fleet: &self.fleet,
            metrics: &self.metrics,
            in_force: &self.in_force,
            stop: &self.stop,
        };
        carryout.run(&loaded, plan, |reload| self.board.lock().progress(reload)).await;
    }

    /// Plans the change to a configuration that was read. None if it is wrong: then the report says what.
    fn plan(
        &self,
        result: Result<Loaded, Problems>,
        report: &mut Reload,
    ) -> Option<(Loaded, Plan)> {
        let (loaded, problems) = match result {
            Ok(loaded) => {
                let problems = loaded.warnings.iter().cloned().chain(loaded.no_server());
                let problems: Vec<_> = problems.collect();
                (Some(loaded), problems)
            }
            Err(Problems { problems }) => (None, problems),
        };
        report.problems = problems.iter().map(board::problem).collect();
        let is_wrong = |problem: &Problem| problem.severity == Severity::Error;
        let loaded = loaded.filter(|_| !problems.iter().any(is_wrong));
        if loaded.is_none() && report.number > 0 {
            for problem in problems.iter().filter(|problem| is_wrong(problem)) {
                tracing::error!(
                    target: "mainstay",
                    "the configuration is wrong, and was not reloaded: {problem}"
                );
            }
        }
        let loaded = loaded?;
        let plan = diff(&self.in_force.lock(), &loaded.settings);
        Some((loaded, plan))
    }

    /// Ends the reload that is under way, and makes known how.
    fn tell(&self) {
        let report = self.board.lock().ended();
        let Some(report) = report else { return };
        // First, so that whoever sees that it has ended finds its events.
        ended::tell(&report, &self.metrics);
        self.board.lock().end(report);
    }

    /// Takes note of changes of files, and reloads where the configuration says so. The watcher tells the state of
    /// the files again and again: a change that could not be read is tried until it could be.
    async fn look_at_changes(self: Arc<Self>, mut prints: tokio::sync::watch::Receiver<u64>) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                changed = prints.changed() => if changed.is_err() { return },
            }
            let print = *prints.borrow_and_update();
            let is_news = self.board.lock().seen(print);
            let watches = self.in_force.lock().gateway.reload == ReloadChoice::Watch;
            if is_news && watches && !self.origin.is_slow() {
                tokio::time::sleep(TOGETHER).await;
                // A reload that was asked for meanwhile has read it.
                if self.board.lock().is_untried(*prints.borrow()) {
                    self.ask(AskedBy::Change);
                }
            }
        }
    }
}
