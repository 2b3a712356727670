//! Assembles services, and what servers have in common with them.

use mainstay_model::Need;
use mainstay_model::settings::{
    OnLostNeed, ProbeCheck, RestartRule, ServiceKind, ServiceSpec, StopSignal, StopSpec,
};

use super::{breaker, pages, probes, process, texts};
use crate::typed::{Named, Table};

pub(super) fn service(service: &Named) -> Option<ServiceSpec> {
    let table = &service.table;
    let process = process(table)?;
    let kind = match table.word("kind")? {
        "service" => ServiceKind::Service,
        "once" => ServiceKind::Once,
        _ => return None,
    };
    let probe = table.table("probe").and_then(|probe| probes::probe(probe, Some(&process)));
    let probed = probe.as_ref().and_then(|probe| match &probe.check {
        ProbeCheck::Http(http) => Some(http.url.expose().as_str()),
        _ => None,
    });
    Some(ServiceSpec {
        name: service.valid.clone()?,
        kind,
        required: table.bool("required")?,
        needs: needs(table),
        on_lost_need: on_lost_need(table)?,
        restart: match kind {
            // A job that is done stays done.
            ServiceKind::Once if !table.is_written("restart") => RestartRule::OnFailure,
            _ => restart(table)?,
        },
        start_deadline: table.duration("start_timeout")?,
        stop: stop(table)?,
        pages: pages(table, probed),
        breaker: breaker(table, false)?,
        probe,
        process,
        lacks: service.lacks.clone(),
    })
}

pub(super) fn needs(table: &Table) -> Vec<Need> {
    texts(table, "needs").iter().filter_map(|need| need.parse().ok()).collect()
}

pub(super) fn on_lost_need(table: &Table) -> Option<OnLostNeed> {
    match table.word("on_lost_need")? {
        "keep" => Some(OnLostNeed::Keep),
        "stop" => Some(OnLostNeed::Stop),
        _ => None,
    }
}

pub(super) fn restart(table: &Table) -> Option<RestartRule> {
    match table.word("restart")? {
        "always" => Some(RestartRule::Always),
        "on-failure" => Some(RestartRule::OnFailure),
        "never" => Some(RestartRule::Never),
        _ => None,
    }
}

pub(super) fn stop(table: &Table) -> Option<StopSpec> {
    let word = table.word("stop_signal")?;
    Some(StopSpec {
        signal: StopSignal::ALL.into_iter().find(|signal| signal.as_str() == word)?,
        timeout: table.duration("stop_timeout")?,
    })
}
