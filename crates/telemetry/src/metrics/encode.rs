//! Encoding of metrics as OpenMetrics text, in the order of the catalogue.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use mainstay_model::MemoryKind;
use mainstay_model::resource::LimitKind;
use mainstay_model::status::InstanceState;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry;

use super::histogram::Reading;
use super::sample::{LIMITS_COUNTED, LimitSample, NodeSample, STATES, ServerSample};
use super::{Board, Sample, ServerMetrics};
use crate::catalogue::{self, Entry, Kind, Unit};
use crate::labels::{
    Attempt, Dropped, ErrorCode, Method, Notified, Outcome, QuestionRefused, Refused, Resumption,
    Retry, StreamEnd, StreamKind,
};
use crate::logs;

static SECONDS: registry::Unit = registry::Unit::Seconds;
static BYTES: registry::Unit = registry::Unit::Bytes;

/// Writes one metric family. Label values are in the order of the entry's labels.
struct Family<'a> {
    entry: &'static Entry,
    encoder: MetricEncoder<'a>,
}

/// Reads a count of a server.
type Count = fn(&ServerMetrics) -> u64;

/// Reads a gauge of a server.
type Gauge = fn(&ServerSample) -> u64;

/// Reads a gauge of limits.
type LimitGauge = fn(&LimitSample) -> u64;

/// Label names of the catalogue with the values of a series.
struct Labels<'a>(&'static [&'static str], &'a [&'a str]);

pub(super) fn requests(
    out: &mut DescriptorEncoder<'_>,
    servers: &[Arc<ServerMetrics>],
    gateway: &Arc<ServerMetrics>,
) -> fmt::Result {
    let everyone = || servers.iter().chain([gateway]);

    let mut family = Family::begin(out, &catalogue::REQUESTS)?;
    for server in everyone() {
        for method in Method::ALL {
            for outcome in Outcome::ALL {
                let labels = [server.label(), method.as_str(), outcome.as_str()];
                family.counter(&labels, server.requests(*method, *outcome))?;
            }
        }
    }
    let mut family = Family::begin(out, &catalogue::ERRORS)?;
    for server in everyone() {
        for code in ErrorCode::ALL {
            family.counter(&[server.label(), code.as_str()], server.errors(*code))?;
        }
    }
    let mut family = Family::begin(out, &catalogue::REQUEST_DURATION)?;
    for server in everyone() {
        for method in Method::ALL {
            family.histogram(
                &[server.label(), method.as_str()],
                &server.duration(*method).snapshot(),
            )?;
        }
    }
    Ok(())
}

pub(super) fn gauges(out: &mut DescriptorEncoder<'_>, sample: &Sample) -> fmt::Result {
    Family::begin(out, &catalogue::ACTIVE_SESSIONS)?.gauge(&[], sample.active_sessions)?;
    let connections: [(_, Gauge); 3] = [
        (&catalogue::DB_CONNECTIONS_ACTIVE, |server| server.pool_active),
        (&catalogue::DB_CONNECTIONS_IDLE, |server| server.pool_idle),
        (&catalogue::DB_CONNECTIONS_MAX, |server| server.pool_max),
    ];
    for (entry, count) in connections {
        let mut family = Family::begin(out, entry)?;
        for server in &sample.servers {
            family.gauge(&[&server.server], count(server))?;
        }
    }
    Family::begin(out, &catalogue::MEMORY_USAGE)?.gauge(&[], sample.memory_usage)?;
    Family::begin(out, &catalogue::MEMORY_LIMIT)?.gauge(&[], sample.memory_limit)?;
    budgets(out, sample)?;
    let mut family = Family::begin(out, &catalogue::BREAKER_STATE)?;
    for breaker in &sample.breakers {
        family.gauge(&[&breaker.service], breaker.state.index() as u64)?;
    }
    let mut family = Family::begin(out, &catalogue::BREAKER_FAILURES)?;
    for breaker in &sample.breakers {
        family.counter(&[&breaker.service], breaker.failures)?;
    }
    nodes(out, sample)
}

fn nodes(out: &mut DescriptorEncoder<'_>, sample: &Sample) -> fmt::Result {
    let is_degraded = |node: &NodeSample| node.state == InstanceState::Degraded;
    let mut family = Family::begin(out, &catalogue::NODE_READY)?;
    for node in &sample.nodes {
        let is_ready = node.state.serves() && !is_degraded(node);
        family.gauge(&[node.kind, &node.name], u64::from(is_ready))?;
    }
    let mut family = Family::begin(out, &catalogue::NODE_DEGRADED)?;
    for node in &sample.nodes {
        family.gauge(&[node.kind, &node.name], u64::from(is_degraded(node)))?;
    }
    let mut family = Family::begin(out, &catalogue::SERVICE_RESTARTS)?;
    for (service, restarts) in &sample.service_restarts {
        family.counter(&[service], *restarts)?;
    }
    limits(out, sample)
}

fn limits(out: &mut DescriptorEncoder<'_>, sample: &Sample) -> fmt::Result {
    let gauges: [(_, LimitGauge); 4] = [
        (&catalogue::LIMIT_MEMORY, |limits| limits.of(LimitKind::Memory).max),
        (&catalogue::LIMIT_MEMORY_USED, |limits| limits.of(LimitKind::Memory).used),
        (&catalogue::LIMIT_PROCESSES, |limits| limits.of(LimitKind::Processes).max),
        (&catalogue::LIMIT_PROCESSES_USED, |limits| limits.of(LimitKind::Processes).used),
    ];
    for (entry, value) in gauges {
        let mut family = Family::begin(out, entry)?;
        for limits in &sample.limits {
            family.gauge(&[&limits.server], value(limits))?;
        }
    }
    let mut family = Family::begin(out, &catalogue::LIMIT_REACHED)?;
    for limits in &sample.limits {
        for kind in LIMITS_COUNTED {
            family.counter(&[&limits.server, kind.as_str()], limits.of(kind).reached)?;
        }
    }
    Ok(())
}

fn budgets(out: &mut DescriptorEncoder<'_>, sample: &Sample) -> fmt::Result {
    let kinds = || MemoryKind::ALL.iter().map(|kind| kind.as_str()).chain(["whole"]);
    let mut family = Family::begin(out, &catalogue::MEMORY_BUDGET)?;
    for (kind, (bytes_max, ..)) in kinds().zip(sample.budgets) {
        family.gauge(&[kind], bytes_max)?;
    }
    let mut family = Family::begin(out, &catalogue::MEMORY_USED)?;
    for (kind, (_, used_bytes, _)) in kinds().zip(sample.budgets) {
        family.gauge(&[kind], used_bytes)?;
    }
    let mut family = Family::begin(out, &catalogue::MEMORY_REFUSALS)?;
    for (kind, (.., refused)) in kinds().zip(sample.budgets) {
        family.counter(&[kind], refused)?;
    }
    Ok(())
}

pub(super) fn tools(
    out: &mut DescriptorEncoder<'_>,
    servers: &[Arc<ServerMetrics>],
) -> fmt::Result {
    let mut family = Family::begin(out, &catalogue::TOOL_DURATION)?;
    for server in servers {
        for (tool, read) in server.tools() {
            family.histogram(&[server.label(), &tool], &read)?;
        }
    }
    Ok(())
}

pub(super) fn servers(
    out: &mut DescriptorEncoder<'_>,
    servers: &[Arc<ServerMetrics>],
    sample: &Sample,
) -> fmt::Result {
    let mut family = Family::begin(out, &catalogue::INSTANCE_STATE)?;
    for server in &sample.servers {
        for (state, count) in STATES.iter().zip(server.instances) {
            family.gauge(&[&server.server, state.as_str()], count)?;
        }
    }
    let mut family = Family::begin(out, &catalogue::ATTEMPTS)?;
    for server in servers {
        for attempt in Attempt::ALL {
            family.counter(&[server.label(), attempt.as_str()], server.attempts(*attempt))?;
        }
    }
    let mut family = Family::begin(out, &catalogue::RETRIES)?;
    for server in servers {
        for retry in Retry::ALL {
            family.counter(&[server.label(), retry.as_str()], server.retries(*retry))?;
        }
    }
    let counters: [(_, Count); 3] = [
        (&catalogue::INSTANCE_STARTS, ServerMetrics::starts),
        (&catalogue::STRAY_LINES, ServerMetrics::stray_lines),
        (&catalogue::LATE_ANSWERS, ServerMetrics::late_answers),
    ];
    for (entry, count) in counters {
        let mut family = Family::begin(out, entry)?;
        for server in servers {
            family.counter(&[server.label()], count(server))?;
        }
    }
    let mut family = Family::begin(out, &catalogue::DROPPED_NOTIFICATIONS)?;
    for server in servers {
        for reason in Dropped::ALL {
            family.counter(&[server.label(), reason.as_str()], server.dropped_count(*reason))?;
        }
    }
    let mut family = Family::begin(out, &catalogue::QUESTIONS_REFUSED)?;
    for server in servers {
        for reason in QuestionRefused::ALL {
            let count = server.questions_refused_count(*reason);
            family.counter(&[server.label(), reason.as_str()], count)?;
        }
    }
    let mut family = Family::begin(out, &catalogue::CALLS_IN_FLIGHT)?;
    for server in &sample.servers {
        family.gauge(&[&server.server], server.calls_in_flight)?;
    }
    let mut family = Family::begin(out, &catalogue::CALLS_WAITING)?;
    for server in &sample.servers {
        family.gauge(&[&server.server], server.calls_waiting)?;
    }
    Ok(())
}

pub(super) fn gateway(
    out: &mut DescriptorEncoder<'_>,
    board: &Board,
    sample: &Sample,
) -> fmt::Result {
    Family::begin(out, &catalogue::CONNECTIONS_OPEN)?.gauge(&[], sample.connections_open)?;
    let mut family = Family::begin(out, &catalogue::REFUSED)?;
    for reason in Refused::ALL {
        let count = board.refused[reason.index()].load(Relaxed);
        family.counter(&[reason.as_str()], count)?;
    }
    streams(out, board, sample)?;
    let mut family = Family::begin(out, &catalogue::STREAMS_RESUMED)?;
    for outcome in Resumption::ALL {
        let count = board.resumed[outcome.index()].load(Relaxed);
        family.counter(&[outcome.as_str()], count)?;
    }
    Family::begin(out, &catalogue::STREAMS_KEPT)?.gauge(&[], sample.streams_kept_bytes)?;
    let expired = board.sessions_expired.load(Relaxed);
    Family::begin(out, &catalogue::SESSIONS_EXPIRED)?.counter(&[], expired)?;
    let displaced = sample.sessions_displaced;
    Family::begin(out, &catalogue::SESSIONS_DISPLACED)?.counter(&[], displaced)?;
    let restored = board.sessions_restored.load(Relaxed);
    Family::begin(out, &catalogue::SESSIONS_RESTORED)?.counter(&[], restored)?;
    Family::begin(out, &catalogue::STORE_FAILING)?.gauge(&[], sample.store_failing)?;
    let failures = board.store_failures.load(Relaxed);
    Family::begin(out, &catalogue::STORE_FAILURES)?.counter(&[], failures)?;
    let mut family = Family::begin(out, &catalogue::NOTIFICATIONS)?;
    for outcome in Notified::ALL {
        let count = board.notified[outcome.index()].load(Relaxed);
        family.counter(&[outcome.as_str()], count)?;
    }
    Family::begin(out, &catalogue::LOG_LINES_DROPPED)?.counter(&[], logs::lines_dropped())?;
    Family::begin(out, &catalogue::BUILD)?.info(&[&board.version])
}

fn streams(out: &mut DescriptorEncoder<'_>, board: &Board, sample: &Sample) -> fmt::Result {
    let kinds = || StreamKind::ALL.iter().zip(&board.streams);
    let mut family = Family::begin(out, &catalogue::STREAMS_OPEN)?;
    for (endpoint, counts) in &sample.streams {
        for (kind, count) in StreamKind::ALL.iter().zip(counts) {
            family.gauge(&[endpoint, kind.as_str()], *count)?;
        }
    }
    let mut family = Family::begin(out, &catalogue::STREAMS_OPENED)?;
    for (kind, counts) in kinds() {
        family.counter(&[kind.as_str()], counts.opened.load(Relaxed))?;
    }
    let mut family = Family::begin(out, &catalogue::STREAMS_ENDED)?;
    for (kind, counts) in kinds() {
        for reason in StreamEnd::ALL {
            let count = counts.ended[reason.index()].load(Relaxed);
            family.counter(&[kind.as_str(), reason.as_str()], count)?;
        }
    }
    let mut family = Family::begin(out, &catalogue::STREAMS_REFUSED)?;
    for (kind, counts) in kinds() {
        family.counter(&[kind.as_str()], counts.refused.load(Relaxed))?;
    }
    Ok(())
}

// === impl Family ===

impl<'a> Family<'a> {
    fn begin(
        out: &'a mut DescriptorEncoder<'_>,
        entry: &'static Entry,
    ) -> Result<Self, fmt::Error> {
        let unit = match entry.unit {
            Unit::None => None,
            Unit::Seconds => Some(&SECONDS),
            Unit::Bytes => Some(&BYTES),
        };
        let kind = match entry.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
            Kind::Info => MetricType::Info,
        };
        let encoder = out.encode_descriptor(entry.stem(), entry.help, unit, kind)?;
        Ok(Self { entry, encoder })
    }

    fn counter(&mut self, values: &[&str], count: u64) -> fmt::Result {
        debug_assert_eq!(self.entry.kind, Kind::Counter);
        self.series(values, |series| series.encode_counter::<NoLabelSet, _, u64>(&count, None))
    }

    fn gauge(&mut self, values: &[&str], value: u64) -> fmt::Result {
        debug_assert_eq!(self.entry.kind, Kind::Gauge);
        self.series(values, |series| series.encode_gauge(&value))
    }

    fn histogram(&mut self, values: &[&str], read: &Reading) -> fmt::Result {
        debug_assert_eq!(self.entry.kind, Kind::Histogram);
        self.series(values, |series| {
            let (sum, count) = (read.sum_seconds, read.count);
            series.encode_histogram::<NoLabelSet>(sum, count, &read.buckets, None)
        })
    }

    fn info(&mut self, values: &[&str]) -> fmt::Result {
        debug_assert_eq!(self.entry.kind, Kind::Info);
        self.encoder.encode_info(&Labels(self.entry.labels, values))
    }

    fn series(
        &mut self,
        values: &[&str],
        write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        debug_assert_eq!(values.len(), self.entry.labels.len(), "{}", self.entry.name);
        if values.is_empty() {
            return write(&mut self.encoder);
        }
        let labels = Labels(self.entry.labels, values);
        write(&mut self.encoder.encode_family(&labels)?)
    }
}

// === impl Labels ===

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        for (name, value) in self.0.iter().zip(self.1) {
            (*name, *value).encode(encoder.encode_label())?;
        }
        Ok(())
    }
}
