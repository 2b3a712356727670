//! The configured probe of a server, during a run of its primary instance.

use std::sync::Arc;

use mainstay_supervisor::lifecycle::RunEvent;
use mainstay_supervisor::probe::ProbeShift;
use mainstay_upstream::Link;
use mainstay_upstream::probe::ProbedRun;
use mainstay_upstream::probing::{Probe, ProbeNews, Probing};

use super::{Run, RunListener, RunUpdate, stopped};

impl Run {
    /// The probe, if this run is probed. Only the primary instance is: it decides whether the server is ready.
    pub(super) fn probe(&self) -> Option<&Probe> {
        self.pool.probe.as_ref().filter(|_| self.pool.is_primary(&self.instance))
    }

    /// Begins to look for the line of a `log` probe. Called before the start, so that no line is missed.
    pub(super) fn watch_output(&self) {
        let name = &self.pool.name;
        let sighting = self
            .probe()
            .and_then(|probe| probe.watch_output(&self.pool.output, name, self.instance.id));
        if let Some(sighting) = sighting {
            let _ = self.sighting.set(sighting);
        }
    }

    /// Probes a run whose handshake is over. `None` without a probe.
    pub(super) fn begin_probing(&self, link: &Arc<Link>) -> Option<Probing<'_>> {
        let output = self.sighting.get().cloned();
        self.probe().map(|probe| probe.begin(ProbedRun { link: Some(link.clone()), output }))
    }

    /// Waits until the probe has passed.
    ///
    /// # Errors
    /// The end of the run, if it comes first.
    pub(super) async fn until_fit(
        &self,
        probing: &mut Probing<'_>,
        listener: &RunListener,
    ) -> Result<(), RunEvent> {
        loop {
            let news = tokio::select! {
                news = probing.next() => news,
                () = self.stop.cancelled() => return Err(stopped()),
                () = listener.closed.cancelled() => {
                    return Err(RunEvent::Lost { reason: listener.reason.lock().clone() });
                }
            };
            match news {
                ProbeNews::Shift(ProbeShift::Fit) => return Ok(()),
                ProbeNews::NotYet(failure) => {
                    let reason = failure.reason;
                    self.report(RunUpdate::Plain(RunEvent::NotYet { reason })).await;
                }
                // A target that was not fit yet is neither.
                ProbeNews::Shift(ProbeShift::Unhealthy { .. } | ProbeShift::Hung { .. }) => {}
            }
        }
    }

    /// Reports what the probe shows of a server that is ready, until the server hangs. Never returns without a
    /// probe.
    pub(super) async fn keep_probing(&self, probing: Option<Probing<'_>>) -> RunEvent {
        let Some(mut probing) = probing else { return std::future::pending().await };
        loop {
            let (news, brief) = match probing.next().await {
                ProbeNews::Shift(ProbeShift::Fit) => (RunEvent::Fit, None),
                ProbeNews::Shift(ProbeShift::Unhealthy { failure, failures }) => {
                    let reason = failed(failures, &failure.reason);
                    (RunEvent::Unfit { reason }, Some(failure.brief))
                }
                ProbeNews::Shift(ProbeShift::Hung { failure, silences }) => {
                    let reason = failed(silences, &failure.reason);
                    let _ = self.hung.set(reason.clone());
                    return RunEvent::Lost { reason };
                }
                ProbeNews::NotYet(_) => continue,
            };
            if brief.is_some() {
                self.instance.process.lock().brief_reason = brief;
            }
            self.report(RunUpdate::Plain(news)).await;
        }
    }
}

/// The reason of a server that its probe found unhealthy.
fn failed(times: u32, reason: &str) -> String {
    match times {
        1 => format!("its probe failed: {reason}"),
        times => format!("its probe failed {times} times in a row: {reason}"),
    }
}
