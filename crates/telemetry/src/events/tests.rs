use std::io;
use std::sync::Arc;

use mainstay_model::{InstanceId, Name};
use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

use super::{CrashLoop, InstanceStarted, RefusedRequest, StrayLine, StreamRefused, excerpt};
use crate::correlation::CorrelationId;
use crate::labels::{Refused, StreamKind};
use crate::metrics::Metrics;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// What is logged, as JSON, while `happen` runs.
fn logged(happen: impl FnOnce()) -> Vec<serde_json::Value> {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(captured.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, happen);
    let bytes = captured.0.lock().clone();
    let text = String::from_utf8(bytes).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn time() -> Name {
    Name::try_new("time").unwrap()
}

#[test]
fn a_line_and_its_metric_are_one_event() {
    let metrics = Metrics::new("1", &[time()]);
    let lines = logged(|| {
        InstanceStarted { server: &time(), instance: InstanceId(7), pid: Some(42), again: true }
            .emit(&metrics);
    });
    assert_eq!(lines[0]["message"], "instance started");
    assert_eq!(lines[0]["server"], "time");
    assert_eq!(lines[0]["instance"], "i7");
    assert_eq!(lines[0]["pid"], 42);
    assert!(metrics.encode().contains(r#"mainstay_instance_starts_total{server="time"} 1"#));
}

#[test]
fn a_crash_loop_shows_the_last_output_and_is_an_error() {
    let metrics = Metrics::new("1", &[time()]);
    let output = format!("{}\nno such database\n", "noise ".repeat(100));
    let lines = logged(|| {
        CrashLoop {
            server: &time(),
            instance: InstanceId(1),
            reason: "exited with 1",
            last_output: Some(&output),
            starts: 6,
            retry_in: std::time::Duration::from_secs(300),
        }
        .emit(&metrics);
    });
    assert_eq!(lines[0]["level"], "ERROR");
    assert_eq!(lines[0]["retry_in_ms"], 300_000);
    let shown = lines[0]["last_output"].as_str().unwrap();
    assert!(
        shown.starts_with("noise noise ") && shown.ends_with("…\nno such database"),
        "{shown:?}"
    );
}

#[test]
fn a_flood_is_counted_whole_and_logged_in_part() {
    let metrics = Metrics::new("1", &[time()]);
    let server = metrics.server(&time());
    let lines = logged(|| {
        for _ in 0..1000 {
            StrayLine { instance: InstanceId(1), line: b"hello\n", why: "not JSON" }.emit(&server);
        }
    });
    assert!((1..=10).contains(&lines.len()), "{}", lines.len());
    assert!(metrics.encode().contains(r#"mainstay_stray_lines_total{server="time"} 1000"#));
}

#[test]
fn a_refusal_names_its_request() {
    let metrics = Metrics::new("1", &[time()]);
    let id = CorrelationId::try_client(b"abc").unwrap();
    let lines = logged(|| {
        RefusedRequest {
            reason: Refused::Origin,
            peer: Some("127.0.0.1:9".parse().unwrap()),
            request_id: Some(&id),
            detail: "http://evil.example\u{1b}[31m",
        }
        .emit(&metrics);
    });
    assert_eq!(lines[0]["request_id"], "abc");
    assert_eq!(lines[0]["detail"], "http://evil.example\u{1b}[31m");
    assert!(metrics.encode().contains(r#"mainstay_refused_total{reason="origin"} 1"#));
}

#[test]
fn text_of_a_server_is_escaped_once_and_controls_no_terminal() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(captured.clone());
    let metrics = Metrics::new("1", &[time()]);
    tracing::subscriber::with_default(subscriber.finish(), || {
        let (instance, line) = (InstanceId(1), &b"a\tb\\\x1b[31m"[..]);
        StrayLine { instance, line, why: "not JSON" }.emit(&metrics.server(&time()));
    });
    let text = String::from_utf8(captured.0.lock().clone()).unwrap();
    assert!(text.contains(r#"line="a\tb\\\u{1b}[31m""#), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn foreign_text_is_cut_and_harmless() {
    for (bytes, shown) in [
        (&b"plain\n"[..], "plain".to_owned()),
        (b"a\nb", "a\\nb".to_owned()),
        (b"\xff\xfe", "\u{fffd}\u{fffd}".to_owned()),
        (&[b'x'; 201], format!("{}…", "x".repeat(200))),
        (&[b'x'; 5000], format!("{}…", "x".repeat(200))),
        (b"", String::new()),
    ] {
        assert_eq!(excerpt(bytes), shown);
    }
}

#[test]
fn refused_streams_name_their_requests_and_do_not_fill_the_log() {
    let metrics = Metrics::new("1", []);
    let lines = logged(|| {
        for at in 0..20 {
            let request_id = &CorrelationId::of_header(Some(format!("req-{at}").as_bytes()));
            let (kind, endpoint) = (StreamKind::Listen, "/mcp/time");
            StreamRefused { kind, endpoint, request_id, max: 3 }.emit(&metrics);
        }
    });
    assert_eq!(lines.len(), 5);
    for (at, line) in lines.iter().enumerate() {
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["request_id"], format!("req-{at}"));
        assert_eq!((&line["endpoint"], &line["max"]), (&"/mcp/time".into(), &3.into()));
    }
    assert!(metrics.encode().contains("mainstay_streams_refused_total{kind=\"listen\"} 20\n"));
}
