//! The catalogue of all metrics: name, kind, labels, unit and help text.
//!
//! Alert rules, dashboards and documentation are generated from [`ALL`], so they can't name a metric that
//! does not exist.

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A count that only grows, from zero at the start of the daemon.
    Counter,
    /// A value at the moment of the scrape.
    Gauge,
    /// The number of observations at or below each bound.
    Histogram,
    /// Always 1; the labels carry the information.
    Info,
}

/// The unit of a metric, which is also the suffix of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    None,
    Seconds,
    Bytes,
}

/// A metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name in queries. Histograms add `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub unit: Unit,
    pub help: &'static str,
}

/// The upper bounds of the buckets of all histograms, in seconds. `+Inf` follows.
pub const BOUNDS_SECONDS: [f64; 17] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    120.0, 300.0,
];

pub const REQUESTS: Entry = Entry {
    name: "mcp_requests_total",
    kind: Kind::Counter,
    labels: &["server", "method", "outcome"],
    unit: Unit::None,
    help: "Requests by outcome",
};

pub const ERRORS: Entry = Entry {
    name: "mcp_errors_total",
    kind: Kind::Counter,
    labels: &["server", "code"],
    unit: Unit::None,
    help: "Transport errors, missed deadlines and refusals, without isError results of tools",
};

pub const REQUEST_DURATION: Entry = Entry {
    name: "mcp_request_duration_seconds",
    kind: Kind::Histogram,
    labels: &["server", "method"],
    unit: Unit::Seconds,
    help: "Time from the arrival of a request to its response",
};

pub const ACTIVE_SESSIONS: Entry = Entry {
    name: "mcp_active_sessions",
    kind: Kind::Gauge,
    labels: &[],
    unit: Unit::None,
    help: "Sessions that have not ended or expired",
};

pub const DB_CONNECTIONS_ACTIVE: Entry = Entry {
    name: "mcp_db_connections_active",
    kind: Kind::Gauge,
    labels: &["server"],
    unit: Unit::None,
    help: "Instances in the pool of a server that are in use",
};

pub const DB_CONNECTIONS_IDLE: Entry = Entry {
    name: "mcp_db_connections_idle",
    kind: Kind::Gauge,
    labels: &["server"],
    unit: Unit::None,
    help: "Instances in the pool of a server that nobody uses",
};

pub const DB_CONNECTIONS_MAX: Entry = Entry {
    name: "mcp_db_connections_max",
    kind: Kind::Gauge,
    labels: &["server"],
    unit: Unit::None,
    help: "Maximum number of instances in the pool of a server; 0 without a pool",
};

pub const MEMORY_USAGE: Entry = Entry {
    name: "mcp_memory_usage_bytes",
    kind: Kind::Gauge,
    labels: &[],
    unit: Unit::Bytes,
    help: "Resident memory of the daemon and all server processes",
};

pub const MEMORY_LIMIT: Entry = Entry {
    name: "mcp_memory_limit_bytes",
    kind: Kind::Gauge,
    labels: &[],
    unit: Unit::Bytes,
    help: "Memory limit of the control group, or else the memory of the machine",
};

pub const MEMORY_BUDGET: Entry = Entry {
    name: "mainstay_memory_budget_bytes",
    kind: Kind::Gauge,
    labels: &["kind"],
    unit: Unit::Bytes,
    help: "Memory budget for a kind of data; whole is that of all kinds together",
};

pub const MEMORY_USED: Entry = Entry {
    name: "mainstay_memory_used_bytes",
    kind: Kind::Gauge,
    labels: &["kind"],
    unit: Unit::Bytes,
    help: "Memory charged to the budget for a kind of data",
};

pub const MEMORY_REFUSALS: Entry = Entry {
    name: "mainstay_memory_refusals_total",
    kind: Kind::Counter,
    labels: &["kind"],
    unit: Unit::None,
    help: "Data that was refused because a memory budget was used up; whole counts those because of the whole budget",
};

pub const BREAKER_STATE: Entry = Entry {
    name: "mcp_circuit_breaker_state",
    kind: Kind::Gauge,
    labels: &["service"],
    unit: Unit::None,
    help: "State of a circuit breaker: 0 closed, 1 half-open, 2 open",
};

pub const BREAKER_FAILURES: Entry = Entry {
    name: "mcp_circuit_breaker_failures_total",
    kind: Kind::Counter,
    labels: &["service"],
    unit: Unit::None,
    help: "Failures counted by a circuit breaker",
};

pub const NODE_READY: Entry = Entry {
    name: "mainstay_node_ready",
    kind: Kind::Gauge,
    labels: &["kind", "name"],
    unit: Unit::None,
    help: "1 while a server, service or external is ready, idle or done and has all its needs, else 0",
};

pub const NODE_DEGRADED: Entry = Entry {
    name: "mainstay_node_degraded",
    kind: Kind::Gauge,
    labels: &["kind", "name"],
    unit: Unit::None,
    help: "1 while a server or service is ready and something that it needs is not, else 0",
};

pub const SERVICE_RESTARTS: Entry = Entry {
    name: "mainstay_service_restarts_total",
    kind: Kind::Counter,
    labels: &["service"],
    unit: Unit::None,
    help: "Starts of a service after its first",
};

pub const TOOL_DURATION: Entry = Entry {
    name: "mainstay_tool_duration_seconds",
    kind: Kind::Histogram,
    labels: &["server", "tool"],
    unit: Unit::Seconds,
    help: "Duration of tool calls; all tools of a server beyond 200 share the name other",
};

pub const INSTANCE_STATE: Entry = Entry {
    name: "mainstay_instance_state",
    kind: Kind::Gauge,
    labels: &["server", "state"],
    unit: Unit::None,
    help: "Instances by state",
};

pub const ATTEMPTS: Entry = Entry {
    name: "mainstay_attempts_total",
    kind: Kind::Counter,
    labels: &["server", "outcome"],
    unit: Unit::None,
    help: "Attempts to get a response from a server, including repeated ones",
};

pub const RETRIES: Entry = Entry {
    name: "mainstay_retries_total",
    kind: Kind::Counter,
    labels: &["server", "outcome"],
    unit: Unit::None,
    help: "Calls that were to be sent again after their answer was lost",
};

pub const INSTANCE_STARTS: Entry = Entry {
    name: "mainstay_instance_starts_total",
    kind: Kind::Counter,
    labels: &["server"],
    unit: Unit::None,
    help: "Starts of instances, including restarts",
};

pub const STRAY_LINES: Entry = Entry {
    name: "mainstay_stray_lines_total",
    kind: Kind::Counter,
    labels: &["server"],
    unit: Unit::None,
    help: "Lines on a server's standard output that are not messages",
};

pub const LATE_ANSWERS: Entry = Entry {
    name: "mainstay_late_answers_total",
    kind: Kind::Counter,
    labels: &["server"],
    unit: Unit::None,
    help: "Responses that no call waits for: late, duplicate, or with an unknown id",
};

pub const DROPPED_NOTIFICATIONS: Entry = Entry {
    name: "mainstay_dropped_notifications_total",
    kind: Kind::Counter,
    labels: &["server", "reason"],
    unit: Unit::None,
    help: "Notifications of a server that reached no client, by reason",
};

pub const QUESTIONS_REFUSED: Entry = Entry {
    name: "mainstay_questions_refused_total",
    kind: Kind::Counter,
    labels: &["server", "reason"],
    unit: Unit::None,
    help: "Questions of a server that were refused because too many were open, by limit",
};

pub const CALLS_IN_FLIGHT: Entry = Entry {
    name: "mainstay_calls_in_flight",
    kind: Kind::Gauge,
    labels: &["server"],
    unit: Unit::None,
    help: "Requests sent to a server without a response yet",
};

pub const CALLS_WAITING: Entry = Entry {
    name: "mainstay_calls_waiting",
    kind: Kind::Gauge,
    labels: &["server"],
    unit: Unit::None,
    help: "Calls that wait for their turn, for an instance of a server, or for its start",
};

pub const CONNECTIONS_OPEN: Entry = Entry {
    name: "mainstay_connections_open",
    kind: Kind::Gauge,
    labels: &[],
    unit: Unit::None,
    help: "Open client connections",
};

pub const REFUSED: Entry = Entry {
    name: "mainstay_refused_total",
    kind: Kind::Counter,
    labels: &["reason"],
    unit: Unit::None,
    help: "HTTP requests and connections refused before a message was read, by reason",
};

pub const STREAMS_RESUMED: Entry = Entry {
    name: "mainstay_streams_resumed_total",
    kind: Kind::Counter,
    labels: &["outcome"],
    unit: Unit::None,
    help: "Attempts of clients to resume a stream (Last-Event-ID), by outcome",
};

pub const STREAMS_KEPT: Entry = Entry {
    name: "mainstay_streams_kept_bytes",
    kind: Kind::Gauge,
    labels: &[],
    unit: Unit::Bytes,
    help: "Memory of streams: events that clients have not read or may request again",
};

pub const STREAMS_OPEN: Entry = Entry {
    name: "mainstay_streams_open",
    kind: Kind::Gauge,
    labels: &["endpoint", "kind"],
    unit: Unit::None,
    help: "Open streams for messages outside of calls",
};

pub const STREAMS_OPENED: Entry = Entry {
    name: "mainstay_streams_opened_total",
    kind: Kind::Counter,
    labels: &["kind"],
    unit: Unit::None,
    help: "Streams for messages outside of calls that were opened",
};

pub const STREAMS_ENDED: Entry = Entry {
    name: "mainstay_streams_ended_total",
    kind: Kind::Counter,
    labels: &["kind", "reason"],
    unit: Unit::None,
    help: "Streams for messages outside of calls that ended, by reason",
};

pub const STREAMS_REFUSED: Entry = Entry {
    name: "mainstay_streams_refused_total",
    kind: Kind::Counter,
    labels: &["kind"],
    unit: Unit::None,
    help: "Streams for messages outside of calls that were refused because the maximum was open",
};

pub const SESSIONS_EXPIRED: Entry = Entry {
    name: "mainstay_sessions_expired_total",
    kind: Kind::Counter,
    labels: &[],
    unit: Unit::None,
    help: "Sessions that expired because they were idle",
};

pub const SESSIONS_DISPLACED: Entry = Entry {
    name: "mainstay_sessions_displaced_total",
    kind: Kind::Counter,
    labels: &[],
    unit: Unit::None,
    help: "Sessions never used since initialize that gave way because the maximum was reached",
};

pub const SESSIONS_RESTORED: Entry = Entry {
    name: "mainstay_sessions_restored_total",
    kind: Kind::Counter,
    labels: &[],
    unit: Unit::None,
    help: "Sessions of an earlier daemon that were restored",
};

pub const STORE_FAILING: Entry = Entry {
    name: "mainstay_store_failing",
    kind: Kind::Gauge,
    labels: &[],
    unit: Unit::None,
    help: "1 while the state of sessions can't be written to the state folder",
};

pub const STORE_FAILURES: Entry = Entry {
    name: "mainstay_store_failures_total",
    kind: Kind::Counter,
    labels: &[],
    unit: Unit::None,
    help: "Failed attempts to write to the state folder",
};

pub const NOTIFICATIONS: Entry = Entry {
    name: "mainstay_notifications_total",
    kind: Kind::Counter,
    labels: &["outcome"],
    unit: Unit::None,
    help: "Notifications of [[notify]] by outcome: delivered, failed, merged into a newer one, or dropped \
           because too many waited",
};

pub const LOG_LINES_DROPPED: Entry = Entry {
    name: "mainstay_log_lines_dropped_total",
    kind: Kind::Counter,
    labels: &[],
    unit: Unit::None,
    help: "Log lines dropped because standard error was blocked",
};

pub const BUILD: Entry = Entry {
    name: "mainstay_build_info",
    kind: Kind::Info,
    labels: &["version"],
    unit: Unit::None,
    help: "The version of the daemon",
};

pub const LIMIT_MEMORY: Entry = Entry {
    name: "mainstay_limit_memory_bytes",
    kind: Kind::Gauge,
    labels: &["server"],
    unit: Unit::Bytes,
    help: "Memory limit of a server or service, of all its instances together; 0 without one",
};

pub const LIMIT_MEMORY_USED: Entry = Entry {
    name: "mainstay_limit_memory_used_bytes",
    kind: Kind::Gauge,
    labels: &["server"],
    unit: Unit::Bytes,
    help: "Memory that counts against the memory limit of a server or service",
};

pub const LIMIT_PROCESSES: Entry = Entry {
    name: "mainstay_limit_processes",
    kind: Kind::Gauge,
    labels: &["server"],
    unit: Unit::None,
    help: "Limit on processes and threads of a server or service, of all its instances together; 0 without one",
};

pub const LIMIT_PROCESSES_USED: Entry = Entry {
    name: "mainstay_limit_processes_used",
    kind: Kind::Gauge,
    labels: &["server"],
    unit: Unit::None,
    help: "Processes and threads that count against the limit of a server or service",
};

pub const LIMIT_REACHED: Entry = Entry {
    name: "mainstay_limit_reached_total",
    kind: Kind::Counter,
    labels: &["server", "limit"],
    unit: Unit::None,
    help: "How often a limit of a server or service was reached: memory counts processes that were killed, \
           processes those that could not be started, cpus tenths of a second in which it had to wait",
};

/// All metrics in the order of the scrape.
pub const ALL: [&Entry; 49] = [
    &REQUESTS,
    &ERRORS,
    &REQUEST_DURATION,
    &ACTIVE_SESSIONS,
    &DB_CONNECTIONS_ACTIVE,
    &DB_CONNECTIONS_IDLE,
    &DB_CONNECTIONS_MAX,
    &MEMORY_USAGE,
    &MEMORY_LIMIT,
    &MEMORY_BUDGET,
    &MEMORY_USED,
    &MEMORY_REFUSALS,
    &BREAKER_STATE,
    &BREAKER_FAILURES,
    &NODE_READY,
    &NODE_DEGRADED,
    &SERVICE_RESTARTS,
    &LIMIT_MEMORY,
    &LIMIT_MEMORY_USED,
    &LIMIT_PROCESSES,
    &LIMIT_PROCESSES_USED,
    &LIMIT_REACHED,
    &TOOL_DURATION,
    &INSTANCE_STATE,
    &ATTEMPTS,
    &RETRIES,
    &INSTANCE_STARTS,
    &STRAY_LINES,
    &LATE_ANSWERS,
    &DROPPED_NOTIFICATIONS,
    &QUESTIONS_REFUSED,
    &CALLS_IN_FLIGHT,
    &CALLS_WAITING,
    &CONNECTIONS_OPEN,
    &REFUSED,
    &STREAMS_OPEN,
    &STREAMS_OPENED,
    &STREAMS_ENDED,
    &STREAMS_REFUSED,
    &STREAMS_RESUMED,
    &STREAMS_KEPT,
    &SESSIONS_EXPIRED,
    &SESSIONS_DISPLACED,
    &SESSIONS_RESTORED,
    &STORE_FAILING,
    &STORE_FAILURES,
    &NOTIFICATIONS,
    &LOG_LINES_DROPPED,
    &BUILD,
];

// === impl Entry ===

impl Entry {
    /// The name of the metric family, without the suffixes of kind and unit that OpenMetrics adds.
    pub(crate) fn stem(&self) -> &'static str {
        let suffix = match (self.kind, self.unit) {
            (Kind::Counter, _) => "_total",
            (Kind::Info, _) => "_info",
            (_, Unit::Seconds) => "_seconds",
            (_, Unit::Bytes) => "_bytes",
            (_, Unit::None) => "",
        };
        self.name.strip_suffix(suffix).unwrap_or(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, Kind, Unit};

    #[test]
    fn names_follow_the_rules() {
        for entry in ALL {
            let name = entry.name;
            assert!(name.starts_with("mcp_") || name.starts_with("mainstay_"), "{name}");
            assert_eq!(name.ends_with("_total"), entry.kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_seconds"), entry.unit == Unit::Seconds, "{name}");
            assert_eq!(name.ends_with("_bytes"), entry.unit == Unit::Bytes, "{name}");
            assert!(!entry.help.ends_with('.'), "{name}");
            assert_eq!(ALL.iter().filter(|other| other.name == name).count(), 1, "{name}");
        }
    }
}
