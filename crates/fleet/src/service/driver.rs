//! Drives a service: carries out what its lifecycle decides.

use std::sync::Arc;
use std::time::Instant;

use mainstay_model::settings::ServiceKind;
use mainstay_model::status::InstanceState;
use mainstay_supervisor::lifecycle::{Effect, LifecycleEvent, RunEvent};
use mainstay_telemetry::events::ServiceEnded;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Service;
use super::run::{Run, RunReport};

/// The maximum number of unread events of a run.
const NEWS_MAX: usize = 4;

/// Drives one service until it is stopped for good.
struct Driver {
    service: Arc<Service>,
    news: (mpsc::Sender<RunReport>, mpsc::Receiver<RunReport>),
    /// The current run. Dropping the guard stops it.
    run: Option<(DropGuard, JoinHandle<()>)>,
    is_held: bool,
    /// The text of the last end that was logged, so that a service in a crash loop repeats nothing.
    logged: Option<String>,
}

// === impl Service ===

impl Service {
    /// Drives the service until [`stop`](Self::stop) is cancelled and no process of it is left. A driver that
    /// panics is replaced, and its run counts as lost.
    pub(crate) async fn supervise(self: Arc<Self>) {
        let _over = self.over.clone().drop_guard();
        let mut is_first = true;
        loop {
            let driver = Driver {
                service: self.clone(),
                news: mpsc::channel(NEWS_MAX),
                run: None,
                is_held: is_first,
                logged: None,
            };
            let driven = tokio::spawn(driver.drive(!is_first)).await;
            if driven.is_ok() || self.stop.is_cancelled() {
                return;
            }
            is_first = false;
            tracing::error!(target: "mainstay", service = %self.name, "its driver panicked");
        }
    }

    /// Waits until nothing of it is left after [`stop`](Self::stop) was cancelled.
    pub(crate) async fn until_over(&self) {
        self.over.cancelled().await;
    }

    pub(super) fn is_job(&self) -> bool {
        self.spec().kind == ServiceKind::Once
    }

    /// Whether the present run was ready before.
    pub(super) fn was_ready(&self) -> bool {
        matches!(self.own_state(), InstanceState::Ready | InstanceState::Unhealthy)
    }
}

// === impl Driver ===

impl Driver {
    async fn drive(mut self, is_after_panic: bool) {
        if is_after_panic {
            let run_no = self.service.lifecycle.lock().run_no();
            let reason = "internal error in Mainstay: see its log".to_owned();
            self.take(LifecycleEvent::Heard(run_no, RunEvent::Lost { reason })).await;
        }
        loop {
            self.obey().await;
            let deadline = self.service.lifecycle.lock().next_deadline();
            let tick = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                biased;
                () = self.service.stop.cancelled() => {
                    self.take(LifecycleEvent::Stop).await;
                    self.take(LifecycleEvent::Stopped).await;
                    return;
                }
                report = self.news.1.recv() => match report {
                    Some((run_no, news)) => LifecycleEvent::Heard(run_no, news),
                    None => return,
                },
                () = self.service.ordered.notified() => continue,
                () = tick => LifecycleEvent::Tick,
            };
            self.take(event).await;
        }
    }

    /// Stops the service when it is held, and starts it when it is released.
    async fn obey(&mut self) {
        let must_be_held = self.service.holding.is_held();
        if must_be_held == self.is_held || self.service.stop.is_cancelled() {
            return;
        }
        self.is_held = must_be_held;
        if must_be_held {
            self.take(LifecycleEvent::Stop).await;
            self.take(LifecycleEvent::Stopped).await;
        } else if self.service.holding.starts_afresh() {
            self.take(LifecycleEvent::Start).await;
        } else {
            self.take(LifecycleEvent::Resume).await;
        }
    }

    async fn take(&mut self, event: LifecycleEvent) {
        let mut effects = Vec::new();
        let before = self.service.own_state();
        {
            let mut lifecycle = self.service.lifecycle.lock();
            let reason = lifecycle.reason().map(str::to_owned);
            if let Err(error) = lifecycle.step(Instant::now(), event.clone(), &mut effects) {
                tracing::debug!(service = %self.service.name, %error, "event ignored");
            }
            if event == LifecycleEvent::Tick && lifecycle.reason() != reason.as_deref() {
                self.service.facts.lock().brief_reason =
                    Some("it did not start in time".to_owned());
            }
        }
        for effect in effects {
            self.perform(effect).await;
        }
        self.log(before, &event);
        self.service.note_change();
    }

    async fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn(run_no) => {
                let stop = CancellationToken::new();
                let (service, news) = (self.service.clone(), self.news.0.clone());
                let run = Run { service, run_no, stop: stop.clone(), news };
                self.run = Some((stop.drop_guard(), tokio::spawn(run.run())));
            }
            Effect::Kill => {
                let Some((stop, mut run)) = self.run.take() else { return };
                drop(stop);
                // Its events are drained while it ends, so that the channel does not fill up.
                loop {
                    tokio::select! {
                        _ = &mut run => break,
                        _ = self.news.1.recv() => {}
                    }
                }
            }
            // Nobody calls a service through Mainstay.
            Effect::Handshake | Effect::OpenGate | Effect::ShutGate => {}
        }
    }

    /// Logs that the service ended, hung or became unhealthy, with its last words.
    fn log(&mut self, before: InstanceState, event: &LifecycleEvent) {
        let lifecycle = self.service.lifecycle.lock();
        let state = lifecycle.state();
        if matches!(event, LifecycleEvent::Heard(_, RunEvent::Ready | RunEvent::Fit)) {
            self.logged = None;
            return;
        }
        let Some(reason) = lifecycle.reason() else { return };
        let is_news = !matches!(
            event,
            LifecycleEvent::Heard(_, RunEvent::Spawned | RunEvent::NotYet { .. })
                | LifecycleEvent::Start
                | LifecycleEvent::Resume
                | LifecycleEvent::Stop
                | LifecycleEvent::Stopped
        );
        if !is_news || (state == before && state != InstanceState::Starting) {
            return;
        }
        if state == InstanceState::Starting && *event == LifecycleEvent::Tick {
            return;
        }
        let retry_in = lifecycle.retry_at().map(|at| at.saturating_duration_since(Instant::now()));
        let facts = self.service.facts.lock();
        let last_output = facts.last_output.join("\n");
        let said = format!("{reason}\n{last_output}");
        let is_repeated = self.logged.as_ref() == Some(&said);
        let shown = Some(last_output.as_str()).filter(|text| !text.is_empty() && !is_repeated);
        let service = &self.service.name;
        ServiceEnded { service, state, reason, last_output: shown, retry_in }
            .emit(&self.service.metrics);
        drop(facts);
        self.logged = Some(said);
    }
}
