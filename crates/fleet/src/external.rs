//! An external: something that servers and services need, and that Mainstay only watches.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use mainstay_model::settings::ExternalSpec;
use mainstay_model::status::InstanceState;
use mainstay_model::{Condition, Need, NodeKind};
use mainstay_pool::{Breaker, ChangeHook};
use mainstay_supervisor::probe::{Failure, ProbeShift};
use mainstay_telemetry::Metrics;
use mainstay_telemetry::events::{ExternalSeen, NodeChanged, rounded};
use mainstay_upstream::host::lacking;
use mainstay_upstream::probe::ProbedRun;
use mainstay_upstream::probing::{Probe, ProbeNews};
use mainstay_upstream::process::ProcessHost;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::member::Sight;

/// An external and what its probe has shown.
pub struct External {
    pub spec: ExternalSpec,
    pub breaker: Arc<Breaker>,
    probe: Probe,
    metrics: Arc<Metrics>,
    shown: Mutex<Shown>,
    hook: OnceLock<ChangeHook>,
    /// Whether its changes are not made known, because it is not in force yet, or no longer.
    is_quiet: AtomicBool,
    pub(crate) stop: CancellationToken,
}

/// What the probe has shown.
#[derive(Debug)]
struct Shown {
    state: InstanceState,
    since: Instant,
    failure: Option<Failure>,
}

// === impl External ===

impl External {
    /// An external that was not probed yet.
    pub(crate) fn new(
        spec: ExternalSpec,
        host: &Arc<ProcessHost>,
        metrics: &Arc<Metrics>,
        seed: u64,
    ) -> Self {
        let shown = Shown { state: InstanceState::Starting, since: Instant::now(), failure: None };
        let id = Need { kind: NodeKind::External, name: spec.name.clone() };
        let breaker = Breaker::new(id, spec.breaker, metrics);
        let probe = Probe::new(&spec.probe, &spec.name, host, seed);
        let told = breaker.clone();
        probe.on_check(Box::new(move |outcome| told.checked(outcome)));
        Self {
            breaker,
            probe,
            metrics: metrics.clone(),
            shown: Mutex::new(shown),
            hook: OnceLock::new(),
            is_quiet: AtomicBool::new(false),
            stop: CancellationToken::new(),
            spec,
        }
    }

    /// Calls `hook` after each change. Only the first hook is used.
    pub(crate) fn on_change(&self, hook: ChangeHook) {
        let _ = self.hook.set(hook);
    }

    /// `starting` before the first results, then `ready` or `unhealthy`. `failed` if its address refers to what
    /// the daemon does not have.
    pub fn state(&self) -> InstanceState {
        self.shown.lock().state
    }

    /// Makes its changes known from now on, or no longer.
    pub(crate) fn set_quiet(&self, is_quiet: bool) {
        self.is_quiet.store(is_quiet, Ordering::Release);
    }

    /// The probe and its newest result.
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Probes it at once.
    pub(crate) fn hasten(&self) {
        self.probe.hasten();
    }

    pub(crate) fn sight(&self) -> Sight {
        let shown = self.shown.lock();
        let failure = shown.failure.clone();
        Sight {
            state: shown.state,
            since: shown.since,
            reason: failure.as_ref().map(|failure| failure.reason.clone()),
            brief: failure.map(|failure| failure.brief),
            retry_at: None,
            pid: None,
        }
    }

    /// Watches it until [`stop`](Self::stop) is cancelled.
    pub(crate) async fn watch(self: Arc<Self>) {
        if let Some(error) = lacking(&self.spec.lacks) {
            let failure = Failure { reason: error.reason, brief: error.brief.to_owned() };
            return self.show(InstanceState::Failed, Some(failure));
        }
        let mut probing = self.probe.begin(ProbedRun::default());
        loop {
            let news = tokio::select! {
                news = probing.next() => news,
                () = self.stop.cancelled() => return,
            };
            match news {
                ProbeNews::Shift(ProbeShift::Fit) => self.show(InstanceState::Ready, None),
                ProbeNews::Shift(
                    ProbeShift::Unhealthy { failure, .. } | ProbeShift::Hung { failure, .. },
                ) => self.show(InstanceState::Unhealthy, Some(failure)),
                ProbeNews::NotYet(failure) => {
                    let is_down = self.probe.newest().failures >= self.spec.probe.fall;
                    let state = match is_down {
                        true => InstanceState::Unhealthy,
                        false => self.state(),
                    };
                    self.show(state, Some(failure));
                }
            }
        }
    }

    fn show(&self, state: InstanceState, failure: Option<Failure>) {
        let now = Instant::now();
        let (before, lasted) = {
            let mut shown = self.shown.lock();
            shown.failure.clone_from(&failure);
            let before = std::mem::replace(&mut shown.state, state);
            let lasted = now.saturating_duration_since(shown.since);
            if before != state {
                shown.since = now;
            }
            (before, lasted)
        };
        if before == state {
            return;
        }
        if self.is_quiet.load(Ordering::Acquire) {
            return;
        }
        let (from, to) = (condition(before), condition(state));
        let (mut reason, mut brief_reason) = (None, None);
        if let Some(Failure { reason: whole, brief }) = failure {
            (reason, brief_reason) = (Some(whole), Some(brief));
        } else if from.is_trouble() {
            reason = Some(format!("after {}", rounded(lasted)));
            brief_reason.clone_from(&reason);
        }
        let (external, is_ready) = (&self.spec.name, state == InstanceState::Ready);
        ExternalSeen { external, is_ready, reason: reason.as_deref() }.emit(&self.metrics);
        NodeChanged { name: external, instance: None, from, to, reason, brief_reason }
            .emit(&self.metrics);
        if let Some(hook) = self.hook.get() {
            hook();
        }
    }
}

impl std::fmt::Debug for External {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("External").field("name", &self.spec.name).finish_non_exhaustive()
    }
}

fn condition(state: InstanceState) -> Condition {
    match state {
        InstanceState::Ready => Condition::Ready,
        InstanceState::Failed => Condition::Failed,
        InstanceState::Unhealthy => Condition::NotReady,
        _ => Condition::Starting,
    }
}
