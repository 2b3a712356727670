//! The driver of an instance, which carries out the effects of its lifecycle.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use mainstay_model::status::InstanceState;
use mainstay_supervisor::lifecycle::{Effect, LifecycleEvent, RunEvent};
use mainstay_supervisor::roster::RosterEvent;
use mainstay_telemetry::Recurrence;
use mainstay_telemetry::events::{
    CrashLoop, InstanceFailed, InstanceFinished, InstanceLost, InstanceStopped, InstanceUnhealthy,
};
use mainstay_upstream::host::Restarts;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::instance::{Instance, ReadyRun};
use crate::panics::{catch_panic, log_panic};
use crate::pool::Pool;
use crate::run::{Run, RunReport, RunUpdate};

/// The maximum number of unread updates of a run.
const NEWS_MAX: usize = 4;

/// After this many panics of its driver, an instance is failed instead of restarted.
const FAULTS_MAX: u32 = 5;

/// The longest wait for the calls of an instance that is told to rest. They came at the last moment.
const REST_WAIT_MAX: Duration = Duration::from_secs(300);

struct Driver {
    pool: Arc<Pool>,
    instance: Arc<Instance>,
    news: (mpsc::Sender<RunReport>, mpsc::Receiver<RunReport>),
    /// The current run. Dropping the guard stops it, even if the driver is gone.
    run: Option<(DropGuard, JoinHandle<()>)>,
    ready: Option<Arc<ReadyRun>>,
    /// Limits the log lines about losses while a remote server is unavailable.
    losses: Recurrence,
    /// Whether the instance was stopped because its server is held.
    is_held: bool,
    /// The reason of the last failure that was logged, because a failed instance is tried again and again.
    failed: Option<String>,
    /// The last output that was logged: a server that dies again and again often says the same.
    logged_output: Option<String>,
}

/// Drives an instance until it is stopped and no part of it is left. A driver that panics is replaced: its
/// run counts as lost, and the lifecycle decides about the next one.
pub(crate) async fn supervise(pool: Arc<Pool>, instance: Arc<Instance>) {
    let mut first = LifecycleEvent::Start;
    for faults in 1.. {
        let driver = Driver::new(pool.clone(), instance.clone());
        let Err(panic) = catch_panic(driver.run(first)).await else { return };
        let reason = log_panic(&pool, "a driver", &panic);
        // The run ends without a driver.
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
            is_held: false,
            failed: None,
            logged_output: None,
        }
    }

    /// Runs until the instance is stopped and no part of it is left.
    async fn run(mut self, first: LifecycleEvent) {
        if first == LifecycleEvent::Start && self.must_be_held() {
            self.is_held = true;
            self.instance.note_change();
            self.pool.watch_condition(&self.instance, false);
        } else {
            self.take(first).await;
        }
        loop {
            self.obey().await;
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
                () = self.instance.ordered.notified() => continue,
                () = self.instance.wanted.notified() => LifecycleEvent::Wanted,
                () = self.instance.unwanted.notified() => {
                    if !self.pool.is_unused(&self.instance, Instant::now()) {
                        continue;
                    }
                    let after = self.pool.spec().pool.idle_timeout;
                    LifecycleEvent::Unused { reason: format!("nobody used it for {after:?}") }
                }
                () = tick => LifecycleEvent::Tick,
            };
            let stopping = event == LifecycleEvent::Stop;
            self.take(event).await;
            if stopping {
                self.take(LifecycleEvent::Stopped).await;
                let reason = "no longer needed";
                let (server, instance) = (&self.pool.name, self.instance.id);
                InstanceStopped { server, instance, reason }.emit(&self.pool.metrics);
                return;
            }
        }
    }

    /// Whether the instance must not run. Only the primary instance is held; the others end.
    fn must_be_held(&self) -> bool {
        self.pool.holding.is_held() && self.pool.is_primary(&self.instance)
    }

    /// Stops the instance when its server is held, and starts it when the server is released.
    async fn obey(&mut self) {
        if self.must_be_held() == self.is_held || self.instance.stop.is_cancelled() {
            return;
        }
        self.is_held = !self.is_held;
        if self.is_held {
            self.take(LifecycleEvent::Stop).await;
            self.take(LifecycleEvent::Stopped).await;
            let (server, instance) = (&self.pool.name, self.instance.id);
            let reason = self.pool.holding.reason().map_or_else(String::new, |(reason, _)| reason);
            InstanceStopped { server, instance, reason: &reason }.emit(&self.pool.metrics);
        } else if self.pool.holding.starts_afresh() {
            self.take(LifecycleEvent::Start).await;
        } else {
            self.take(LifecycleEvent::Resume).await;
        }
    }

    async fn take(&mut self, event: LifecycleEvent) {
        let mut effects = Vec::new();
        let before = self.instance.lifecycle.lock().state();
        {
            let mut lifecycle = self.instance.lifecycle.lock();
            let reason = lifecycle.reason().map(str::to_owned);
            if let Err(error) = lifecycle.step(Instant::now(), event.clone(), &mut effects) {
                tracing::debug!(instance = %self.instance.id, %error, "event ignored");
            }
            if let LifecycleEvent::Tick | LifecycleEvent::Unused { .. } = event
                && lifecycle.reason() != reason.as_deref()
            {
                // A missed deadline or an idle time reveals nothing of the server, so anybody may know it.
                self.instance.process.lock().brief_reason = lifecycle.reason().map(str::to_owned);
            }
        }
        let rests = self.instance.lifecycle.lock().state() == InstanceState::Idle;
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            self.perform(effect).await;
            if effect == Effect::ShutGate && rests {
                self.wait_for_last_calls(REST_WAIT_MAX).await;
            } else if effect == Effect::ShutGate && self.is_held {
                self.wait_for_last_calls(self.pool.holding.drain()).await;
            }
        }
        if rests || self.is_held {
            *self.instance.lost_at.lock() = None;
        }
        self.log(before, &event);
        let finished = matches!(event, LifecycleEvent::Heard(_, RunEvent::Finished { .. }));
        self.pool.watch_condition(&self.instance, finished);
        self.instance.note_change();
        if self.pool.is_primary(&self.instance) {
            self.pool.holding.tell_change();
        }
        self.pool.note_state(&self.instance);
        if let (true, Some(member)) = (rests, self.instance.member) {
            self.pool.step_roster(RosterEvent::Finished(member));
        }
    }

    /// Waits for calls that got their permit just before the gate was shut.
    async fn wait_for_last_calls(&self, most: Duration) {
        tokio::select! {
            () = self.instance.until_unused() => {}
            () = self.instance.stop.cancelled() => {}
            () = tokio::time::sleep(most) => {}
        }
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
                    hung: OnceLock::new(),
                    unused: Arc::default(),
                    sighting: OnceLock::new(),
                };
                let news = self.news.0.clone();
                let pool = self.pool.clone();
                let run = async move {
                    if let Err(panic) = catch_panic(run.run()).await {
                        let lost = RunEvent::Lost { reason: log_panic(&pool, "a run", &panic) };
                        // The driver is gone only while the daemon stops.
                        let _ = news.send((run_no, RunUpdate::Plain(lost))).await;
                    }
                };
                self.run = Some((stop.drop_guard(), tokio::spawn(run)));
            }
            // The run begins the handshake by itself.
            Effect::Handshake => {}
            Effect::OpenGate => {
                self.losses.forget();
                self.failed = None;
                if let Some(run) = self.ready.clone() {
                    // Publish the lists first, so that callers that find the instance ready find them, too.
                    self.pool.publish_run(&self.instance, &run);
                    self.instance.ready_run.store(Some(run));
                    if self.pool.is_primary(&self.instance) {
                        let begun = self.instance.lifecycle.lock().begun();
                        self.pool.detect_second_era(begun.elapsed());
                    }
                }
            }
            Effect::ShutGate => {
                self.instance.ready_run.store(None);
                *self.instance.lost_at.lock() = Some(Instant::now());
            }
            Effect::Kill => {
                self.ready = None;
                if let Some((stop, run)) = self.run.take() {
                    drop(stop);
                    // Drain its updates while waiting, so that the channel does not fill up.
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

    /// Logs a change of state with its reason.
    fn log(&mut self, before: InstanceState, event: &LifecycleEvent) {
        if let LifecycleEvent::Heard(
            _,
            RunEvent::Spawned | RunEvent::Ready | RunEvent::Fit | RunEvent::NotYet { .. },
        )
        | LifecycleEvent::Start
        | LifecycleEvent::Resume
        | LifecycleEvent::Stop
        | LifecycleEvent::Stopped
        | LifecycleEvent::Wanted = event
        {
            return;
        }
        // An instance that is being stopped is no longer needed, or its loss was the result of a detection.
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
        let (server, instance) = (&self.pool.name, self.instance.id);
        let process = self.instance.process.lock();
        let last_output = Some(process.last_output.join("\n")).filter(|output| !output.is_empty());
        drop(process);
        let is_new = last_output.is_some() && last_output != self.logged_output;
        let last_output = last_output.filter(|_| is_new);
        if is_new {
            self.logged_output.clone_from(&last_output);
        }
        let last_output = last_output.as_deref();
        let retry_in = lifecycle.retry_at().map(|at| at.saturating_duration_since(Instant::now()));
        let finished = matches!(event, LifecycleEvent::Heard(_, RunEvent::Finished { .. }));
        match state {
            InstanceState::Failed if self.failed.as_deref() == Some(reason) => {}
            InstanceState::Failed => {
                self.failed = Some(reason.to_owned());
                InstanceFailed { server, instance, reason, last_output }.emit(&self.pool.metrics);
            }
            InstanceState::Unhealthy if before != InstanceState::Unhealthy => {
                InstanceUnhealthy { server, instance, reason }.emit(&self.pool.metrics);
            }
            InstanceState::Unhealthy => {}
            InstanceState::Idle if !finished => {
                InstanceStopped { server, instance, reason }.emit(&self.pool.metrics);
            }
            InstanceState::Idle => {
                InstanceFinished { server, instance, reason, rests: true }.emit(&self.pool.metrics);
            }
            InstanceState::Starting if finished && before == InstanceState::Ready => {
                let finished = InstanceFinished { server, instance, reason, rests: false };
                finished.emit(&self.pool.metrics);
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
