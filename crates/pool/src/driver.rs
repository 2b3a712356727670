//! Carries out what the lifecycle of one instance decides.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use mainstay_model::status::InstanceState;
use mainstay_supervisor::lifecycle::{Effect, LifecycleEvent, RunEvent};
use mainstay_telemetry::Recurrence;
use mainstay_telemetry::events::{CrashLoop, InstanceFailed, InstanceLost, InstanceStopped};
use mainstay_upstream::host::Restarts;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::instance::{Instance, ReadyRun};
use crate::panics::{catch_panic, log_panic};
use crate::pool::Pool;
use crate::run::{Run, RunReport, RunUpdate};

/// RunEvent of a run that the driver has not read yet; a run sends at most three.
const NEWS_MAX: usize = 4;

/// After so many faults of its driver an instance is failed instead of tried again.
const FAULTS_MAX: u32 = 5;

struct Driver {
    pool: Arc<Pool>,
    instance: Arc<Instance>,
    news: (mpsc::Sender<RunReport>, mpsc::Receiver<RunReport>),
    /// Its token ends it, also when this driver is gone.
    run: Option<(DropGuard, JoinHandle<()>)>,
    ready: Option<Arc<ReadyRun>>,
    /// What is said of losses while a remote server is away.
    losses: Recurrence,
}

/// Drives an instance until it is stopped and nothing of it is left. A driver that panics is replaced:
/// its run is lost, and the next one follows by the same rules as after any other loss.
pub(crate) async fn supervise(pool: Arc<Pool>, instance: Arc<Instance>) {
    let mut first = LifecycleEvent::Start;
    for faults in 1.. {
        let driver = Driver::new(pool.clone(), instance.clone());
        let Err(panic) = catch_panic(driver.run(first)).await else { return };
        let reason = log_panic(&pool, "a driver", &panic);
        // The end of its run goes on without a driver.
        if instance.stop.is_cancelled() {
            return;
        }
        let run_no = instance.lifecycle.lock().run_no();
        let news = match faults {
            ..=FAULTS_MAX => RunEvent::Lost { reason },
            _ => RunEvent::Unserveable { reason },
        };
        first = LifecycleEvent::Heard(run_no, news);
    }
}

impl Driver {
    fn new(pool: Arc<Pool>, instance: Arc<Instance>) -> Self {
        Self {
            pool,
            instance,
            news: mpsc::channel(NEWS_MAX),
            run: None,
            ready: None,
            losses: Recurrence::default(),
        }
    }

    /// Runs until the instance is stopped and nothing of it is left.
    async fn run(mut self, first: LifecycleEvent) {
        self.take(first).await;
        loop {
            let deadline = self.instance.lifecycle.lock().next_deadline();
            let tick = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                biased;
                () = self.instance.stop.cancelled() => LifecycleEvent::Stop,
                report = self.news.1.recv() => match report {
                    Some((run_no, RunUpdate::Plain(news))) => LifecycleEvent::Heard(run_no, news),
                    Some((run_no, RunUpdate::Ready(run))) => {
                        self.ready = Some(run);
                        LifecycleEvent::Heard(run_no, RunEvent::Ready)
                    }
                    None => return,
                },
                () = tick => LifecycleEvent::Tick,
            };
            let stopping = event == LifecycleEvent::Stop;
            self.take(event).await;
            if stopping {
                self.take(LifecycleEvent::Stopped).await;
                let reason = "no longer needed";
                let (server, instance) = (&self.pool.spec.name, self.instance.id);
                InstanceStopped { server, instance, reason }.emit(&self.pool.metrics);
                return;
            }
        }
    }

    async fn take(&mut self, event: LifecycleEvent) {
        let mut effects = Vec::new();
        let before = self.instance.state();
        {
            let mut lifecycle = self.instance.lifecycle.lock();
            if let Err(error) = lifecycle.step(Instant::now(), event.clone(), &mut effects) {
                tracing::debug!(instance = %self.instance.id, %error, "event ignored");
            }
        }
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            self.perform(effect).await;
        }
        self.log(before, &event);
        self.instance.note_change();
        self.pool.note_change(&self.instance);
    }

    async fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn(run_no) => {
                let stop = CancellationToken::new();
                let run = Run {
                    pool: self.pool.clone(),
                    instance: self.instance.clone(),
                    run_no,
                    stop: stop.clone(),
                    news: self.news.0.clone(),
                    begun: Instant::now(),
                    handshake: OnceLock::new(),
                };
                let news = self.news.0.clone();
                let pool = self.pool.clone();
                let run = async move {
                    if let Err(panic) = catch_panic(run.run()).await {
                        let lost = RunEvent::Lost { reason: log_panic(&pool, "a run", &panic) };
                        // The driver is gone only when the daemon is going.
                        let _ = news.send((run_no, RunUpdate::Plain(lost))).await;
                    }
                };
                self.run = Some((stop.drop_guard(), tokio::spawn(run)));
            }
            // The run shakes hands by itself once it is up.
            Effect::Handshake => {}
            Effect::OpenGate => {
                self.losses.forget();
                if let Some(run) = self.ready.take() {
                    // What it has is published first: who finds it ready finds its lists, too.
                    let facts = run.facts.load_full();
                    self.pool.publish_facts(&self.instance, &facts, &[]);
                    self.instance.ready_run.store(Some(run));
                }
            }
            Effect::ShutGate => {
                self.instance.ready_run.store(None);
                *self.instance.lost_at.lock() = Some(Instant::now());
            }
            Effect::Kill => {
                if let Some((stop, run)) = self.run.take() {
                    drop(stop);
                    // RunEvent it still sends must not fill the channel while we wait for its end.
                    let mut run = run;
                    loop {
                        tokio::select! {
                            _ = &mut run => break,
                            _ = self.news.1.recv() => {}
                        }
                    }
                }
            }
        }
    }

    /// Says what changed, once, with the reason.
    fn log(&mut self, before: InstanceState, event: &LifecycleEvent) {
        let (LifecycleEvent::Heard(_, RunEvent::Lost { .. } | RunEvent::Unserveable { .. })
        | LifecycleEvent::Tick) = event
        else {
            return;
        };
        // What ends now is not wanted any more, or was an answer and no failure.
        if self.instance.stop.is_cancelled() {
            return;
        }
        let lifecycle = self.instance.lifecycle.lock();
        let state = lifecycle.state();
        let Some(reason) =
            lifecycle.reason().filter(|_| state != before || lifecycle.restarts() > 0)
        else {
            return;
        };
        let (server, instance) = (&self.pool.spec.name, self.instance.id);
        let process = self.instance.process.lock();
        let last_output = process.last_output.as_deref();
        let retry_in = lifecycle.retry_at().map(|at| at.saturating_duration_since(Instant::now()));
        match state {
            InstanceState::Failed => {
                InstanceFailed { server, instance, reason, last_output }.emit(&self.pool.metrics);
            }
            InstanceState::CrashLooping => CrashLoop {
                server,
                instance,
                reason,
                last_output,
                starts: lifecycle.restarts() as u32,
                retry_in: retry_in.unwrap_or_default(),
            }
            .emit(&self.pool.metrics),
            InstanceState::BackingOff | InstanceState::Starting
                if *event != LifecycleEvent::Tick =>
            {
                let held_back = match self.pool.host.abilities().restarts {
                    Restarts::Bounded => Some(0),
                    Restarts::Endless(_) => self.losses.admit(Instant::now(), reason),
                };
                if let Some(held_back) = held_back {
                    InstanceLost { server, instance, reason, last_output, retry_in, held_back }
                        .emit(&self.pool.metrics);
                }
            }
            _ => {}
        }
    }
}
