use std::time::Duration;

use mainstay_admin::api::status::DaemonStatus;
use serde_json::{Value, json};

use super::listens_at;
use super::ready::Readiness;

fn server(name: &str, state: &str, more: &Value) -> Value {
    let mut server = json!({
        "name": name, "kind": "process", "target": "x", "required": false, "state": state,
        "since": "2026-01-01T00:00:00Z", "tools": 0, "resources": 0, "prompts": 0, "restarts": 0,
        "calls": 0, "stray_lines": 0, "instances": [],
    });
    for (key, value) in more.as_object().unwrap() {
        server[key] = value.clone();
    }
    server
}

fn status(servers: &[Value], services: &[Value]) -> DaemonStatus {
    serde_json::from_value(json!({
        "status": "ok", "circuit_breakers": {}, "version": "1", "pid": 7, "uptime_ms": 1,
        "listen": ["http://127.0.0.1:8000", "http://[::1]:9000"], "state_dir": "/state",
        "sessions": { "active": 0, "max": 1, "calls": 0, "listens": 0, "streams": 0 },
        "connection_pool": { "status": "none", "utilization": 0.0, "max": 0, "idle": 0, "active": 0,
                             "total": 0, "maxPoolSize": 0, "minPoolSize": 0 },
        "memory_usage": { "resident_bytes": 1, "limit_bytes": 1 }, "volumes": {},
        "dependencies": {}, "servers": servers, "services": services, "endpoints": [],
    }))
    .unwrap()
}

fn service(name: &str, state: &str, more: &Value) -> Value {
    let mut service = json!({
        "name": name, "kind": "service", "target": "x", "required": false, "state": state,
        "since": "2026-01-01T00:00:00Z", "been_ready": false, "restarts": 0, "needs": [],
        "waiting_for": [], "stopped_by_hand": false,
    });
    for (key, value) in more.as_object().unwrap() {
        service[key] = value.clone();
    }
    service
}

fn waits_for(need: &str, state: &str) -> Value {
    json!({ "waiting_for": [{ "need": need, "state": state, "since": "2026-01-01T00:00:00Z" }] })
}

#[test]
fn what_is_ready_rests_or_is_done_is_not_in_the_way() {
    let none = json!({});
    let status = status(
        &[
            server("a", "ready", &none),
            server("b", "idle", &none),
            server("c", "degraded", &none),
            server("d", "waiting", &waits_for("service:db", "starting")),
            server("e", "stopped", &json!({ "stopped_by_hand": true })),
            server("f", "held", &waits_for("server:e", "stopped")),
        ],
        &[service("migrate", "done", &none), service("db", "starting", &none)],
    );
    let progress = Readiness::of(&status);
    assert_eq!(
        progress.line(),
        "4 of 6 are ready; not yet: d (waiting for service:db), db (starting)"
    );
    assert_eq!(progress.done(), "the other 6 are ready; not waited for: e (stopped), f (held)");
    assert!(!progress.is_hopeless(Duration::from_secs(1)));
}

#[test]
fn a_wait_ends_early_only_where_nothing_is_tried_again_in_time() {
    let minute = Duration::from_secs(60);
    let retry = |ms: u64| json!({ "retry_in_ms": ms });
    let cause = json!({ "waiting_for": [{
        "need": "server:mid", "state": "waiting", "since": "2026-01-01T00:00:00Z",
        "cause": { "need": "service:db", "state": "failed" },
    }] });
    for (servers, services, hopeless) in [
        (vec![server("a", "failed", &retry(300_000))], vec![], true),
        (vec![server("a", "failed", &retry(30_000))], vec![], false),
        (vec![server("a", "backing-off", &retry(300_000))], vec![], false),
        (
            vec![server("a", "failed", &json!({})), server("b", "starting", &json!({}))],
            vec![],
            false,
        ),
        (
            vec![server("a", "waiting", &waits_for("service:db", "failed"))],
            vec![service("db", "failed", &retry(300_000))],
            true,
        ),
        (vec![server("a", "waiting", &cause)], vec![service("db", "failed", &json!({}))], true),
        (
            vec![server("a", "waiting", &waits_for("service:db", "starting"))],
            vec![service("db", "starting", &json!({}))],
            false,
        ),
        // An external may come back at any time.
        (vec![server("a", "waiting", &waits_for("external:api", "unhealthy"))], vec![], false),
    ] {
        let status = status(&servers, &services);
        assert_eq!(Readiness::of(&status).is_hopeless(minute), hopeless, "{servers:?}");
    }
}

#[test]
fn a_daemon_listens_where_the_flag_says() {
    let status = status(&[], &[]);
    for (wanted, expected) in [
        ("127.0.0.1:8000", true),
        ("localhost:8000", true),
        ("127.0.0.1:0", true),
        ("[::1]:9000", true),
        ("127.0.0.1:8001", false),
        ("0.0.0.0:8000", false),
        ("0.0.0.0:0", false),
    ] {
        assert_eq!(listens_at(&status, wanted), expected, "{wanted}");
    }
}
