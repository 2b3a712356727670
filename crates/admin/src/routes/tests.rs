use std::collections::BTreeMap;

use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use mainstay_model::Name;
use mainstay_model::status::{
    DaemonStatus, Health, InstanceState, MemoryStatus, PoolStatus, ServerStatus, SessionsStatus,
};
use serde_json::{Value, json};

use super::answer;
use crate::access::Access;
use crate::source::Source;

struct Fake(Health);

impl Source for Fake {
    fn status(&self) -> DaemonStatus {
        let state =
            if self.0 == Health::Ok { InstanceState::Ready } else { InstanceState::Starting };
        DaemonStatus {
            status: self.0,
            circuit_breakers: BTreeMap::from([("store".to_owned(), "OPEN".to_owned())]),
            version: "1.2.3".to_owned(),
            pid: 7,
            uptime_ms: 1,
            listen: vec!["127.0.0.1:8000".to_owned()],
            state_dir: "/state".to_owned(),
            sessions: SessionsStatus {
                active: 3,
                max: 10,
                calls: 1,
                listens: 4,
                streams: 2,
                unstored: None,
            },
            connection_pool: PoolStatus {
                idle: 1,
                active: 2,
                total: 3,
                max_pool_size: 100,
                min_pool_size: 10,
            },
            memory_usage: MemoryStatus { resident_bytes: 1, servers_bytes: 0, limit_bytes: 2 },
            volumes: BTreeMap::new(),
            dependencies: BTreeMap::new(),
            servers: vec![server("time", state)],
            endpoints: Vec::new(),
        }
    }

    fn metrics(&self) -> String {
        "# EOF\n".to_owned()
    }

    fn pool(&self, server: &str) -> Option<PoolStatus> {
        (server == "time").then(PoolStatus::default)
    }
}

fn server(name: &str, state: InstanceState) -> ServerStatus {
    ServerStatus {
        name: Name::try_new(name).unwrap(),
        kind: "process".to_owned(),
        target: "time-server".to_owned(),
        required: true,
        state,
        reason: None,
        note: None,
        since: "2026-01-01T00:00:00Z".to_owned(),
        retry_in_ms: None,
        transport: None,
        revision: None,
        tools: 2,
        resources: 0,
        prompts: 0,
        restarts: 0,
        calls: 0,
        memory_bytes: 0,
        second_revision: None,
        stray_lines: 0,
        instances: Vec::new(),
    }
}

fn request(method: &Method, path: &str) -> Parts {
    Request::builder().method(method).uri(path).body(()).unwrap().into_parts().0
}

/// The body, whole: it is in memory, so nothing has to be waited for.
fn body(response: Response<Full<bytes::Bytes>>) -> String {
    let body = std::pin::pin!(response.into_body().collect());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match body.poll(&mut context) {
        std::task::Poll::Ready(whole) => {
            String::from_utf8(whole.unwrap().to_bytes().to_vec()).unwrap()
        }
        std::task::Poll::Pending => panic!("a body in memory is there at once"),
    }
}

#[track_caller]
fn get(health: Health, path: &str, access: Access) -> (u16, Value) {
    let response = answer(&Fake(health), &request(&Method::GET, path), access).expect(path);
    let code = response.status().as_u16();
    (code, serde_json::from_str(&body(response)).expect(path))
}

#[test]
fn health_answers_by_the_contract() {
    use Health::{Degraded, Draining, Error, Loading, Ok};
    for (path, codes) in [
        ("/health", [200, 200, 503, 503, 503]),
        ("/health/ready", [200, 200, 503, 503, 503]),
        ("/health/live", [200; 5]),
        ("/health/detailed", [200; 5]),
    ] {
        for (health, code) in [Ok, Degraded, Loading, Draining, Error].into_iter().zip(codes) {
            let (got, body) = get(health, path, Access::Open);
            assert_eq!(got, code, "{path} {health:?}");
            assert_eq!(body["status"], health.as_str(), "{path}");
            assert_eq!(body["circuit_breakers"], json!({"store": "OPEN"}), "{path}");
        }
    }
    assert_eq!(get(Loading, "/health", Access::Open).1["waiting_for"], json!(["time"]));
    let detailed = get(Ok, "/health/detailed", Access::Open).1;
    for member in
        ["connection_pool", "memory_usage", "sessions", "volumes", "dependencies", "servers"]
    {
        assert!(!detailed[member].is_null(), "{member}");
    }
}

#[test]
fn from_afar_only_liveness_is_open_and_says_little() {
    for path in [
        "/health",
        "/health/ready",
        "/health/detailed",
        "/metrics",
        "/stats/pool",
        "/stats/pool?server=time",
        "/api/status",
        "/api/servers",
        "/api/sessions",
    ] {
        let (code, body) = get(Health::Ok, path, Access::LiveOnly);
        assert_eq!(code, 401, "{path}");
        assert!(!body.to_string().contains("time-server"), "{body}");
    }
    let (code, body) = get(Health::Loading, "/health/live", Access::LiveOnly);
    assert_eq!((code, body), (200, json!({"status": "loading", "circuit_breakers": {}})));
}

#[test]
fn pool_numbers_are_exactly_five() {
    let expected =
        json!({"idle": 1, "active": 2, "total": 3, "maxPoolSize": 100, "minPoolSize": 10});
    assert_eq!(get(Health::Ok, "/stats/pool", Access::Open), (200, expected));
    let (code, one) = get(Health::Ok, "/stats/pool?x=1&server=time", Access::Open);
    assert_eq!((code, one["total"].clone()), (200, json!(0)));
    let (code, none) = get(Health::Ok, "/stats/pool?server=tme", Access::Open);
    assert_eq!((code, none["servers"].clone()), (404, json!(["time"])));
}

#[test]
fn lists_and_numbers() {
    assert_eq!(
        get(Health::Ok, "/api/sessions", Access::Open).1,
        json!({"active": 3, "max": 10, "calls": 1, "listens": 4, "streams": 2})
    );
    assert_eq!(get(Health::Ok, "/api/servers", Access::Open).1["servers"][0]["name"], "time");
    let (_, status) = get(Health::Ok, "/api/status", Access::Open);
    serde_json::from_value::<DaemonStatus>(status).expect("status reads back");

    let metrics =
        answer(&Fake(Health::Ok), &request(&Method::GET, "/metrics"), Access::Open).unwrap();
    let media = metrics.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(media.starts_with("application/openmetrics-text; version=1.0.0"), "{media}");
    assert_eq!(body(metrics), "# EOF\n");
}

#[test]
fn head_has_the_length_and_no_body() {
    let source = Fake(Health::Ok);
    let head = answer(&source, &request(&Method::HEAD, "/health"), Access::Open).unwrap();
    let length: usize = head.headers()["content-length"].to_str().unwrap().parse().unwrap();
    assert_eq!(head.headers()["cache-control"], "no-store");
    assert_eq!(body(head), "");
    let whole = answer(&source, &request(&Method::GET, "/health"), Access::Open).unwrap();
    assert_eq!(body(whole).len(), length);
}

#[test]
fn other_methods_are_told_what_is_allowed() {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        for access in [Access::Open, Access::LiveOnly] {
            let response = answer(&Fake(Health::Ok), &request(&method, "/health"), access).unwrap();
            assert_eq!(response.status(), 405, "{method}");
            assert_eq!(response.headers()["allow"], "GET, HEAD");
        }
    }
}

#[test]
fn what_is_not_ours_is_left_to_the_gateway() {
    for path in ["/", "/mcp", "/health/", "/healthz", "/api", "/api/", "/stats", "/sse"] {
        assert!(answer(&Fake(Health::Ok), &request(&Method::GET, path), Access::Open).is_none());
    }
}
