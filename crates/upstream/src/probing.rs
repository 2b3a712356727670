//! Probes one target again and again, and shows the newest result.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use mainstay_model::settings::ProbeSpec;
use mainstay_model::{InstanceId, Name};
use mainstay_supervisor::backoff::Jitter;
use mainstay_supervisor::probe::{Failure, Outcome, ProbeShift, ProbeTimes, ProbeWatch};
use mainstay_telemetry::{ServerOutput, Sighting};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::probe::{ProbedRun, Prober};
use crate::process::ProcessHost;

/// The probe of one target over all its runs.
pub struct Probe {
    prober: Prober,
    times: ProbeTimes,
    newest: Mutex<Newest>,
    /// Notified when a check is wanted at once.
    wanted: Notify,
    seed: u64,
    hook: OnceLock<CheckHook>,
}

/// Is called with the result of each check of a target that was fit before in its run. It must not block.
pub type CheckHook = Box<dyn Fn(&Outcome) + Send + Sync>;

/// The newest result.
#[derive(Debug, Clone, Default)]
pub struct Newest {
    /// The newest check's result and when it ended. `None` before the first.
    pub result: Option<(Outcome, SystemTime)>,
    /// Failed checks in a row, up to the newest one.
    pub failures: u32,
}

/// The probe of one run of a target.
#[derive(Debug)]
pub struct Probing<'a> {
    probe: &'a Probe,
    watch: ProbeWatch,
    run: ProbedRun,
}

/// What a check has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeNews {
    Shift(ProbeShift),
    /// The target was not fit yet in this run, and the check failed.
    NotYet(Failure),
}

// === impl Probe ===

impl Probe {
    /// The probe of the target `owner`. `seed` varies the times of its checks.
    pub fn new(spec: &ProbeSpec, owner: &Name, processes: &Arc<ProcessHost>, seed: u64) -> Self {
        Self {
            prober: Prober::new(spec, owner, processes),
            times: ProbeTimes::from(spec),
            newest: Mutex::default(),
            wanted: Notify::new(),
            seed,
            hook: OnceLock::new(),
        }
    }

    /// Calls `hook` after each check, except those of a target that is starting. Only the first hook is used.
    pub fn on_check(&self, hook: CheckHook) {
        let _ = self.hook.set(hook);
    }

    /// Begins to look for the line of a `log` probe. Call it before the run is started.
    pub fn watch_output(
        &self,
        output: &ServerOutput,
        owner: &Name,
        instance: InstanceId,
    ) -> Option<Sighting> {
        self.prober.watch_output(output, owner, instance)
    }

    /// Probes a run from now on, for as long as the result lives.
    pub fn begin(&self, run: ProbedRun) -> Probing<'_> {
        self.newest.lock().failures = 0;
        let watch = ProbeWatch::new(Instant::now(), self.times, Jitter::seeded(self.seed));
        Probing { probe: self, watch, run }
    }

    /// Makes the next check come at once, because there is a reason to doubt what is known.
    pub fn hasten(&self) {
        self.wanted.notify_one();
    }

    /// The newest result.
    pub fn newest(&self) -> Newest {
        self.newest.lock().clone()
    }

    fn note(&self, outcome: &Outcome) {
        let mut newest = self.newest.lock();
        newest.failures = match outcome {
            Outcome::Passed => 0,
            Outcome::Unfit(_) | Outcome::Silent(_) => newest.failures.saturating_add(1),
        };
        newest.result = Some((outcome.clone(), SystemTime::now()));
    }
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").field("newest", &self.newest).finish_non_exhaustive()
    }
}

// === impl Probing ===

impl Probing<'_> {
    /// Checks until a check shows something. Dropping the future ends a check that is in progress.
    pub async fn next(&mut self) -> ProbeNews {
        loop {
            self.wait().await;
            let check = self.watch.begin(Instant::now());
            let was_busy = self.is_busy();
            let outcome = self.probe.prober.check(&self.run).await;
            let is_silent = matches!(outcome, Outcome::Silent(_));
            if is_silent && self.watch.is_fit() && (was_busy || self.is_busy()) {
                // It may be computing, and a server with a single thread answers nothing meanwhile.
                self.watch.step(Instant::now(), check, &Outcome::Passed);
                continue;
            }
            self.probe.note(&outcome);
            if let Some(hook) = self.probe.hook.get().filter(|_| !self.watch.is_waiting()) {
                hook(&outcome);
            }
            let shift = self.watch.step(Instant::now(), check, &outcome);
            match (shift, outcome) {
                (Some(shift), _) => return ProbeNews::Shift(shift),
                (None, Outcome::Unfit(failure) | Outcome::Silent(failure))
                    if self.watch.is_waiting() =>
                {
                    return ProbeNews::NotYet(failure);
                }
                (None, _) => {}
            }
        }
    }

    /// Whether calls of clients are in flight.
    fn is_busy(&self) -> bool {
        self.run.link.as_ref().is_some_and(|link| link.client_calls() > 0)
    }

    /// Waits until the next check is due.
    async fn wait(&mut self) {
        loop {
            let due = self.watch.next_check().unwrap_or_else(Instant::now);
            if due.saturating_duration_since(Instant::now()) == Duration::ZERO {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => return,
                () = self.probe.wanted.notified() => self.watch.hasten(Instant::now()),
            }
        }
    }
}
