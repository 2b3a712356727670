//! One run of a service: start, probe, end.

use std::sync::Arc;
use std::time::Duration;

use mainstay_model::settings::{RestartRule, ServiceKind};
use mainstay_supervisor::lifecycle::{RunEvent, RunNo};
use mainstay_supervisor::probe::ProbeShift;
use mainstay_telemetry::events::{ServiceReady, ServiceStarted};
use mainstay_upstream::host::{StartError, lacking};
use mainstay_upstream::probe::ProbedRun;
use mainstay_upstream::probing::{ProbeNews, Probing};
use mainstay_upstream::process::{Exit, ServiceProcess};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Service;

/// An event of a run, with the run's number.
pub(super) type RunReport = (RunNo, RunEvent);

/// A run in progress.
pub(super) struct Run {
    pub(super) service: Arc<Service>,
    pub(super) run_no: RunNo,
    pub(super) stop: CancellationToken,
    pub(super) news: mpsc::Sender<RunReport>,
}

/// How a run ended.
enum Ended {
    As(RunEvent),
    /// Its probe gets no answer, for this reason. The process may still be there, and does not react.
    Hung(String),
}

/// A service without a probe is ready once it has run for this long: one that dies at once was never ready.
const LASTS_MIN: Duration = Duration::from_secs(1);

// === impl Run ===

impl Run {
    /// Runs from start to end. When it returns, no process of the service is left.
    pub(super) async fn run(self) {
        let end = self.start_and_watch().await;
        self.report(end).await;
    }

    async fn start_and_watch(&self) -> RunEvent {
        let Service { host, id, .. } = &*self.service;
        let spec = self.service.spec();
        if let Some(error) = lacking(&spec.lacks) {
            return self.not_started(error);
        }
        let probe = self.service.probe.as_ref();
        // Before the start, so that no line is missed.
        let output = probe.and_then(|probe| probe.watch_output(host.output(), &spec.name, *id));
        let started = tokio::select! {
            started = host.spawn_service(&spec.process, &spec.name, *id) => started,
            () = self.stop.cancelled() => return stopped(),
        };
        let mut process = match started {
            Ok(process) => process,
            Err(error) => return self.not_started(error.into()),
        };
        let again = self.service.lifecycle.lock().reason().is_some();
        self.service.facts.lock().pid = Some(process.pid());
        ServiceStarted { service: &spec.name, pid: process.pid(), again }
            .emit(&self.service.metrics);
        self.report(RunEvent::Spawned).await;
        let probing = probe.map(|probe| probe.begin(ProbedRun { link: None, output }));
        let (mut end, is_hung) = match self.watch(&process, probing).await {
            Ended::As(end) => (end, false),
            Ended::Hung(reason) => (RunEvent::Lost { reason }, true),
        };
        // Before it is stopped: what it says then explains nothing.
        if let RunEvent::Lost { reason } = &mut end
            && let Some(remedy) = process.remedy().await
        {
            reason.push_str(&format!("; {}", remedy.words));
            if remedy.is_needed && !self.service.was_ready() {
                end = RunEvent::Unserveable { reason: std::mem::take(reason) };
            }
        }
        match is_hung {
            true => process.kill().await,
            // As it is set now.
            false => process.stop(self.service.spec().stop).await,
        }
        let mut facts = self.service.facts.lock();
        facts.pid = None;
        facts.last_output = process.last_words();
        if let Some(exit) = process.exit().filter(|_| !self.stop.is_cancelled() && !is_hung) {
            facts.brief_reason = Some(format!("it {exit}"));
        }
        end
    }

    /// Watches a process until it ends, hangs, or is to be stopped.
    async fn watch(&self, process: &ServiceProcess, mut probing: Option<Probing<'_>>) -> Ended {
        let begun = Instant::now();
        let mut lasts = probing.is_none() && !self.service.is_job();
        loop {
            let news = async {
                match &mut probing {
                    Some(probing) => probing.next().await,
                    None => std::future::pending().await,
                }
            };
            let news = tokio::select! {
                () = tokio::time::sleep_until(begun + LASTS_MIN), if lasts => {
                    lasts = false;
                    self.ready(begun).await;
                    continue;
                }
                exit = process.wait() => return Ended::As(self.ended(exit)),
                () = self.stop.cancelled() => return Ended::As(stopped()),
                news = news => news,
            };
            match news {
                ProbeNews::Shift(ProbeShift::Fit) if !self.service.was_ready() => {
                    self.ready(begun).await;
                }
                ProbeNews::Shift(ProbeShift::Fit) => self.report(RunEvent::Fit).await,
                ProbeNews::Shift(ProbeShift::Unhealthy { failure, failures }) => {
                    self.service.facts.lock().brief_reason = Some(failure.brief);
                    let reason = failed(failures, &failure.reason);
                    self.report(RunEvent::Unfit { reason }).await;
                }
                ProbeNews::Shift(ProbeShift::Hung { failure, silences }) => {
                    self.service.facts.lock().brief_reason = Some(failure.brief);
                    return Ended::Hung(failed(silences, &failure.reason));
                }
                ProbeNews::NotYet(failure) => {
                    self.report(RunEvent::NotYet { reason: failure.reason }).await;
                }
            }
        }
    }

    fn ended(&self, exit: Exit) -> RunEvent {
        let mut reason = format!("it {exit}");
        if !exit.is_success() {
            return RunEvent::Lost { reason };
        }
        match (self.service.spec().kind, self.service.spec().restart) {
            (ServiceKind::Once, _) => {}
            (ServiceKind::Service, RestartRule::Always) => reason.push_str(
                "; a program that goes into the background must be told to stay in the foreground, and \
                 a job that ends needs kind = \"once\"",
            ),
            (ServiceKind::Service, RestartRule::OnFailure | RestartRule::Never) => {
                reason.push_str("; its setting `restart` does not start it again");
            }
        }
        RunEvent::Exited { reason }
    }

    async fn ready(&self, begun: Instant) {
        let took = begun.elapsed();
        self.service.note_start(took);
        self.service.facts.lock().been_ready = true;
        ServiceReady { service: &self.service.name, took }.emit(&self.service.metrics);
        self.report(RunEvent::Ready).await;
    }

    fn not_started(&self, error: StartError) -> RunEvent {
        let StartError { reason, brief, permanent } = error;
        let mut facts = self.service.facts.lock();
        facts.brief_reason = Some(brief.to_owned());
        facts.last_output.clear();
        match permanent {
            true => RunEvent::Unserveable { reason },
            false => RunEvent::Lost { reason },
        }
    }

    async fn report(&self, news: RunEvent) {
        // The driver is gone only while the daemon stops.
        let _ = self.news.send((self.run_no, news)).await;
    }
}

/// The reason of a service that its probe found unhealthy.
fn failed(times: u32, reason: &str) -> String {
    match times {
        1 => format!("its probe failed: {reason}"),
        times => format!("its probe failed {times} times in a row: {reason}"),
    }
}

fn stopped() -> RunEvent {
    RunEvent::Lost { reason: "stopped".to_owned() }
}
