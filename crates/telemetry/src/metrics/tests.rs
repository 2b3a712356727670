use std::collections::BTreeSet;
use std::time::Duration;

use mainstay_model::Name;
use mainstay_model::resource::{LimitKind, LimitStatus, LimitedBy};
use mainstay_model::status::InstanceState;

use super::Metrics;
use crate::catalogue::{self, Entry, Kind};
use crate::labels::{
    Breaker, Dropped, Method, Outcome, QuestionRefused, Refused, Resumption, StreamEnd, StreamKind,
};

fn name(text: &str) -> Name {
    Name::try_new(text).unwrap()
}

fn metrics() -> Metrics {
    Metrics::new("1.2.3", &[name("time"), name("files")])
}

/// The value of a series, written as in the text.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[track_caller]
fn check(metrics: &Metrics, expected: &[(&str, f64)]) {
    let text = metrics.encode();
    for (series, number) in expected {
        assert_eq!(value(&text, series), Some(*number), "{series}");
    }
}

#[test]
fn everything_is_there_at_zero_from_the_start() {
    let text = metrics().encode();
    for entry in catalogue::ALL {
        assert!(text.contains(&format!("# TYPE {} ", family(entry.name, entry.kind))), "{text}");
    }
    for series in [
        r#"mcp_requests_total{server="time",method="tools/call",outcome="ok"}"#,
        r#"mcp_requests_total{server="*",method="initialize",outcome="lost"}"#,
        r#"mcp_errors_total{server="files",code="TOO_MANY_REQUESTS"}"#,
        r#"mcp_request_duration_seconds_bucket{le="0.001",server="time",method="tools/list"}"#,
        r#"mcp_request_duration_seconds_bucket{le="300.0",server="time",method="tools/list"}"#,
        r#"mcp_request_duration_seconds_bucket{le="+Inf",server="time",method="tools/list"}"#,
        r#"mcp_request_duration_seconds_count{server="time",method="tools/call"}"#,
        "mcp_active_sessions",
        "mcp_memory_usage_bytes",
        "mcp_memory_limit_bytes",
        r#"mainstay_memory_budget_bytes{kind="whole"}"#,
        r#"mainstay_memory_used_bytes{kind="bodies"}"#,
        r#"mainstay_memory_refusals_total{kind="names"}"#,
        r#"mainstay_instance_state{server="files",state="crash-looping"}"#,
        r#"mainstay_instance_starts_total{server="time"}"#,
        r#"mainstay_stray_lines_total{server="time"}"#,
        r#"mainstay_late_answers_total{server="time"}"#,
        r#"mainstay_dropped_notifications_total{server="time",reason="slow_client"}"#,
        r#"mainstay_questions_refused_total{server="time",reason="call_limit"}"#,
        r#"mainstay_calls_in_flight{server="time"}"#,
        r#"mainstay_calls_waiting{server="time"}"#,
        "mainstay_connections_open",
        r#"mainstay_refused_total{reason="origin"}"#,
        r#"mainstay_streams_opened_total{kind="listen"}"#,
        r#"mainstay_streams_ended_total{kind="get",reason="slow_client"}"#,
        r#"mainstay_streams_refused_total{kind="sse"}"#,
        r#"mainstay_streams_resumed_total{outcome="lost"}"#,
        "mainstay_streams_kept_bytes",
        "mainstay_sessions_expired_total",
        "mainstay_sessions_displaced_total",
        "mainstay_sessions_restored_total",
        "mainstay_store_failing",
        "mainstay_store_failures_total",
    ] {
        assert_eq!(value(&text, series), Some(0.0), "{series}\n{text}");
    }
    assert_eq!(value(&text, r#"mainstay_build_info{version="1.2.3"}"#), Some(1.0));
}

/// Every metric has a sample before anything has happened, but for those whose labels nobody knows yet.
#[test]
fn what_has_no_series_yet_is_named() {
    let text = metrics().encode();
    let samples: BTreeSet<_> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let has_sample = |entry: &Entry| {
        let of_family = |end| samples.contains(&*format!("{}{end}", entry.name));
        ["", "_bucket"].into_iter().any(of_family)
    };
    let without: Vec<_> =
        catalogue::ALL.iter().filter(|entry| !has_sample(entry)).map(|entry| entry.name).collect();
    // Breakers and nodes come with what has them, tools with the lists of servers, addresses with the gateway.
    let expected = [
        catalogue::BREAKER_STATE.name,
        catalogue::BREAKER_FAILURES.name,
        catalogue::NODE_READY.name,
        catalogue::NODE_DEGRADED.name,
        catalogue::SERVICE_RESTARTS.name,
        catalogue::TOOL_DURATION.name,
        catalogue::STREAMS_OPEN.name,
    ];
    assert_eq!(without, expected, "{text}");
}

#[test]
fn what_happened_is_what_the_scrape_says() {
    let metrics = metrics();
    let time = metrics.server(&name("time"));
    time.finished(Method::ToolsCall, Outcome::Ok, Duration::from_millis(2));
    time.finished(Method::ToolsCall, Outcome::ToolError, Duration::from_secs(400));
    time.error("DEADLINE_EXCEEDED");
    time.error("whatever");
    time.tool("now", Duration::from_millis(20));
    time.started();
    time.stray_line();
    time.late_answer();
    time.dropped(Dropped::NoListener);
    time.question_refused(QuestionRefused::BytesLimit);
    metrics.refused(Refused::BodySize);
    metrics.resumed(Resumption::Lost);
    metrics.sessions_expired(3);
    metrics.stream_opened(StreamKind::Listen);
    metrics.stream_opened(StreamKind::Listen);
    metrics.stream_ended(StreamKind::Listen, StreamEnd::Client);
    metrics.stream_refused(StreamKind::Sse);

    check(
        &metrics,
        &[
            (r#"mcp_requests_total{server="time",method="tools/call",outcome="ok"}"#, 1.0),
            (r#"mcp_requests_total{server="time",method="tools/call",outcome="tool_error"}"#, 1.0),
            (r#"mcp_request_duration_seconds_count{server="time",method="tools/call"}"#, 2.0),
            (r#"mcp_request_duration_seconds_sum{server="time",method="tools/call"}"#, 400.002),
            (
                r#"mcp_request_duration_seconds_bucket{le="0.0025",server="time",method="tools/call"}"#,
                1.0,
            ),
            (
                r#"mcp_request_duration_seconds_bucket{le="300.0",server="time",method="tools/call"}"#,
                1.0,
            ),
            (
                r#"mcp_request_duration_seconds_bucket{le="+Inf",server="time",method="tools/call"}"#,
                2.0,
            ),
            (r#"mcp_errors_total{server="time",code="DEADLINE_EXCEEDED"}"#, 1.0),
            (r#"mcp_errors_total{server="time",code="OTHER"}"#, 1.0),
            (r#"mainstay_tool_duration_seconds_count{server="time",tool="now"}"#, 1.0),
            (r#"mainstay_instance_starts_total{server="time"}"#, 1.0),
            (r#"mainstay_stray_lines_total{server="time"}"#, 1.0),
            (r#"mainstay_late_answers_total{server="time"}"#, 1.0),
            (r#"mainstay_dropped_notifications_total{server="time",reason="no_listener"}"#, 1.0),
            (r#"mainstay_questions_refused_total{server="time",reason="bytes_limit"}"#, 1.0),
            (r#"mainstay_refused_total{reason="body_size"}"#, 1.0),
            (r#"mainstay_streams_resumed_total{outcome="lost"}"#, 1.0),
            ("mainstay_sessions_expired_total", 3.0),
            (r#"mainstay_streams_opened_total{kind="listen"}"#, 2.0),
            (r#"mainstay_streams_opened_total{kind="get"}"#, 0.0),
            (r#"mainstay_streams_ended_total{kind="listen",reason="client"}"#, 1.0),
            (r#"mainstay_streams_ended_total{kind="listen",reason="stopped"}"#, 0.0),
            (r#"mainstay_streams_refused_total{kind="sse"}"#, 1.0),
        ],
    );
}

#[test]
fn gauges_are_asked_for_at_each_scrape() {
    let metrics = metrics();
    metrics.observe(Box::new(|sample| {
        sample.active_sessions(2);
        sample.memory(10, 100);
        sample.instances("time", InstanceState::Ready, 1);
        sample.calls_in_flight("time", 4);
        sample.calls_waiting("time", 3);
        sample.breaker("store", Breaker::Open, 5);
        sample.node("service", "db", InstanceState::Done);
        sample.node("server", "time", InstanceState::Degraded);
        sample.service_restarts("db", 2);
        for used in [30, 40] {
            let (kind, by) = (LimitKind::Memory, Some(LimitedBy::CgroupV1));
            let memory = LimitStatus { kind, max: 100, used: Some(used), hits: 1, by, note: None };
            sample.limits("time", &[memory]);
        }
        sample.limits("db", &[]);
        sample.limit_reached("time", LimitKind::Memory, 3);
    }));
    metrics.observe(Box::new(|sample| {
        sample.active_sessions(3);
        sample.connections_open(7);
        sample.streams_kept_bytes(512);
        sample.streams_open("/mcp", StreamKind::Listen, 2);
        sample.streams_open("/mcp/time", StreamKind::Get, 1);
        sample.streams_open("/mcp", StreamKind::Listen, 1);
        sample.instances("time", InstanceState::Ready, 2);
    }));
    for _ in 0..2 {
        check(
            &metrics,
            &[
                ("mcp_active_sessions", 5.0),
                ("mcp_memory_usage_bytes", 10.0),
                ("mcp_memory_limit_bytes", 100.0),
                ("mainstay_connections_open", 7.0),
                ("mainstay_streams_kept_bytes", 512.0),
                (r#"mainstay_streams_open{endpoint="/mcp",kind="listen"}"#, 3.0),
                (r#"mainstay_streams_open{endpoint="/mcp",kind="sse"}"#, 0.0),
                (r#"mainstay_streams_open{endpoint="/mcp/time",kind="get"}"#, 1.0),
                (r#"mainstay_instance_state{server="time",state="ready"}"#, 3.0),
                (r#"mainstay_instance_state{server="files",state="ready"}"#, 0.0),
                (r#"mainstay_calls_in_flight{server="time"}"#, 4.0),
                (r#"mainstay_calls_waiting{server="time"}"#, 3.0),
                (r#"mcp_circuit_breaker_state{service="store"}"#, 2.0),
                (r#"mainstay_node_ready{kind="service",name="db"}"#, 1.0),
                (r#"mainstay_node_ready{kind="server",name="time"}"#, 0.0),
                (r#"mainstay_node_degraded{kind="server",name="time"}"#, 1.0),
                (r#"mainstay_service_restarts_total{service="db"}"#, 2.0),
                (r#"mainstay_limit_memory_bytes{server="time"}"#, 200.0),
                (r#"mainstay_limit_memory_used_bytes{server="time"}"#, 70.0),
                (r#"mainstay_limit_processes{server="time"}"#, 0.0),
                (r#"mainstay_limit_processes_used{server="db"}"#, 0.0),
                (r#"mainstay_limit_reached_total{server="time",limit="memory"}"#, 3.0),
                (r#"mainstay_limit_reached_total{server="db",limit="cpus"}"#, 0.0),
                (r#"mcp_circuit_breaker_failures_total{service="store"}"#, 5.0),
            ],
        );
    }
}

#[test]
fn tools_past_the_cap_share_a_name() {
    let metrics = metrics();
    let time = metrics.server(&name("time"));
    let names: Vec<String> = (0..200).map(|n| format!("tool_{n}")).collect();
    time.know_tools(names.iter().map(String::as_str));
    time.tool("one_more", Duration::from_millis(1));
    time.tool("and_another", Duration::from_millis(1));
    time.tool("tool_199", Duration::from_millis(1));
    time.tool(&"x".repeat(129), Duration::from_millis(1));
    check(
        &metrics,
        &[
            (r#"mainstay_tool_duration_seconds_count{server="time",tool="tool_0"}"#, 0.0),
            (r#"mainstay_tool_duration_seconds_count{server="time",tool="tool_199"}"#, 1.0),
            (r#"mainstay_tool_duration_seconds_count{server="time",tool="other"}"#, 3.0),
        ],
    );
    assert!(!metrics.encode().contains("one_more"));
}

#[test]
fn a_server_resolves_to_the_same_counters_each_time() {
    let metrics = metrics();
    metrics.server(&name("late")).started();
    metrics.clone().server(&name("late")).started();
    check(&metrics, &[(r#"mainstay_instance_starts_total{server="late"}"#, 2.0)]);
}

#[test]
fn the_text_parses_whatever_the_names_are() {
    let metrics = metrics();
    let time = metrics.server(&name("time"));
    for tool in ["a\"quote", "back\\slash", "line\nbreak", "ümläut", "{}=,"] {
        time.tool(tool, Duration::from_millis(3));
    }
    metrics.observe(Box::new(|sample| sample.breaker("a\nb", Breaker::HalfOpen, 1)));
    parse(&metrics.encode());
}

/// The name a family has in `# TYPE`: without the suffix its samples get.
fn family(name: &str, kind: Kind) -> &str {
    match kind {
        Kind::Counter => name.strip_suffix("_total").unwrap(),
        Kind::Info => name.strip_suffix("_info").unwrap(),
        Kind::Gauge | Kind::Histogram => name,
    }
}

/// A strict reader of the exposition format: every sample belongs to the family above it, no
/// series comes twice, buckets only grow, the end is marked.
#[track_caller]
fn parse(text: &str) {
    let (body, end) = text.split_at(text.len() - "# EOF\n".len());
    assert_eq!(end, "# EOF\n");
    let (mut families, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut current = String::new();
    let mut bucket = (String::new(), 0.0);
    for line in body.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            current = kind.split(' ').next().unwrap().to_owned();
            assert!(families.insert(current.clone()), "family twice: {line}");
            continue;
        }
        if line.starts_with("# HELP ") || line.starts_with("# UNIT ") {
            continue;
        }
        let (series, number) = line.rsplit_once(' ').expect(line);
        let number: f64 = number.parse().expect(line);
        assert!(number >= 0.0, "{line}");
        assert!(series.starts_with(&current), "{line} under {current}");
        assert!(seen.insert(series.to_owned()), "series twice: {line}");
        labels(series);
        if let Some((_, rest)) = series.split_once("_bucket{le=\"") {
            let same = rest.split_once("\",").unwrap().1.to_owned();
            assert!(same != bucket.0 || number >= bucket.1, "a bucket shrinks: {line}");
            bucket = (same, number);
        }
    }
}

/// Walks `name{label="value",…}` character by character.
#[track_caller]
fn labels(series: &str) {
    let Some((_, inside)) = series.split_once('{') else { return };
    let mut rest = inside.strip_suffix('}').expect(series);
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"").expect(series);
        assert!(label.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{series}");
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().expect(series) {
                (_, '\\') => {
                    assert!(matches!(chars.next(), Some((_, '\\' | '"' | 'n'))), "{series}");
                }
                (at, '"') => break at,
                _ => {}
            }
        };
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}
