use mainstay_admin::api::status::DaemonStatus;
use serde_json::{Value, json};

use super::server::server_page;
use super::{Graph, Seen, group_page, node_page, page, service_page};
use crate::output::Output;

fn server(name: &str, state: &str, more: &Value) -> Value {
    let mut server = json!({
        "name": name, "kind": "process", "target": "time-server --zone UTC", "required": false,
        "state": state, "since": "2026-01-01T00:00:00Z", "tools": 2, "resources": 0, "prompts": 1,
        "restarts": 0, "calls": 1, "waiting": 0, "stray_lines": 0, "instances": [],
    });
    for (key, value) in more.as_object().unwrap() {
        server[key] = value.clone();
    }
    server
}

fn status() -> DaemonStatus {
    let ready = json!({ "revision": "2025-11-25", "second_revision": "2026-07-28", "required": true, "instances": [
        { "id": 4, "state": "ready", "pid": 77, "calls": 1, "restarts": 0, "uptime_ms": 90_000 },
        { "id": 5, "state": "idle", "calls": 0, "restarts": 0, "uptime_ms": 0,
          "only_for": "session", "asks": ["roots"] },
    ]});
    let looping = json!({
        "reason": "exited with 1\nno such database\u{1b}[2J", "retry_in_ms": 252_000, "restarts": 6,
    });
    let modern = json!({ "revision": "2026-07-28", "note": "speaks it only" });
    serde_json::from_value(json!({
        "status": "degraded", "circuit_breakers": { "store": "OPEN" }, "tripped_breakers": [{ "name": "store", "kind": "external",
            "state": "OPEN", "since": "2026-01-01T00:00:00Z", "enabled": true, "failures": 5, "failures_max": 5,
            "failures_total": 7, "recovery_ms": 60_000, "last_error": "it answered HTTP 500",
            "next_trial_in_ms": 12_000, "trial_under_way": false }], "version": "1.2.3",
        "pid": 7, "uptime_ms": 3_700_000, "listen": ["127.0.0.1:8000"], "state_dir": "/state",
        "sessions": { "active": 3, "max": 10_000, "calls": 1, "listens": 2, "streams": 1 },
        "connection_pool":
            { "status": "healthy", "utilization": 0.01, "max": 100,
              "idle": 0, "active": 1, "total": 1, "maxPoolSize": 100, "minPoolSize": 0 },
        "memory_usage": { "resident_bytes": 20 << 20, "limit_bytes": 8_u64 << 30 },
        "volumes": {}, "dependencies": {},
        "servers": [
            server("time", "ready", &ready),
            server("files", "crash-looping", &looping),
            server("new", "ready", &modern),
        ],
        "endpoints": [
            { "path": "/mcp", "servers": ["time", "files"], "listens": 2,
              "lists": [
                  { "list": "tools", "items": 738, "bytes": 1_100_000, "renamed": 3,
                    "refused_names": 1 },
                  { "list": "prompts", "items": 2, "bytes": 100, "renamed": 0, "refused_names": 0 },
              ],
              "renamed": [] },
            { "path": "/mcp/time", "servers": ["time"], "listens": 0, "streams": 1 },
            { "path": "/mcp/both", "servers": ["time", "files"] },
        ],
        "notifications": [
            { "section": "notify.1", "target": "tell-me" },
            { "section": "notify.2", "target": "https://hooks.example.org",
              "failing_since": "2026-01-01T00:01:00Z", "reason": "it answered HTTP 500" },
        ],
    }))
    .unwrap()
}

fn seen() -> Seen {
    Seen { status: status(), graph: Graph::default() }
}

#[test]
fn the_page_says_what_runs_and_why_not() {
    let page = page(&seen(), "2026-01-01T00:02:00Z".parse().unwrap(), &Output::plain(None));
    let expected = "\
mainstay 1.2.3: degraded, up 1 h 1 min, process 7
listens on 127.0.0.1:8000
state in /state

SERVER  STATE          FOR    REVISION                TOOLS  RESTARTS  CALLS
time    ready          2 min  2025-11-25, 2026-07-28  2      0         1      required
files   crash-looping  2 min  -                       2      6         1
new     ready          2 min  2026-07-28              2      0         1

files, crash-looping: exited with 1
    no such database\\u{1b}[2J
    next attempt in 4 min 12 s
    `mainstay start files` tries at once

new is ready, and speaks it only
/mcp/both is time, files
/mcp lists 738 tools (1.0 MiB); models and clients do better with fewer: [endpoints.NAME] makes an address for some of the servers
/mcp publishes 3 names that differ from the servers' own (see --json)
/mcp publishes 1 name that most model APIs refuse: set names = \"strict\" in [gateway]
notify.2 (https://hooks.example.org) could not tell anybody for 1 min: it answered HTTP 500
the circuit breaker of store is open after 5 failures in a row: it answered HTTP 500; the next trial is in 12 s

ADDRESS    LISTENS  OPEN STREAMS
/mcp       2        0
/mcp/time  0        1

3 sessions of 10000, 2 listens, 1 open stream, 1 call in flight
memory: daemon 20.0 MiB, servers -, limit 8.0 GiB";
    assert_eq!(page, expected);
}

#[test]
fn one_server_shows_its_instances() {
    let status = status();
    let now = "2026-01-01T00:02:00Z".parse().unwrap();
    let page = server_page(&status.servers[0], &Graph::default(), now, &Output::plain(None));
    assert!(page.contains("state        ready for 2 min\n"), "{page}");
    assert!(page.contains("runs         process time-server --zone UTC\n"), "{page}");
    let lines: Vec<_> = page.lines().rev().take(2).collect();
    assert_eq!(
        lines,
        [
            "i5        idle   -        -           0         0      -       one session: roots",
            "i4        ready  77       1 min 30 s  0         1      -       all",
        ]
    );
    assert!(
        server_page(&status.servers[1], &Graph::default(), now, &Output::plain(None))
            .contains("no such database")
    );
}

#[test]
fn a_group_shows_its_servers() {
    let status = status();
    let both = status.endpoints.iter().find(|endpoint| endpoint.path == "/mcp/both").unwrap();
    let now = "2026-01-01T00:02:00Z".parse().unwrap();
    let page = group_page(both, &status.servers, now, &Output::plain(None));
    let expected = "\
/mcp/both is a group of 2 servers

SERVER  STATE          FOR    REVISION                TOOLS  RESTARTS  CALLS
time    ready          2 min  2025-11-25, 2026-07-28  2      0         1      required
files   crash-looping  2 min  -                       2      6         1

files, crash-looping: exited with 1";
    assert!(page.starts_with(expected), "{page}");
}

#[test]
fn the_page_fits_into_a_terminal() {
    let now = "2026-01-01T00:02:00Z".parse().unwrap();
    for columns in [80, 120] {
        let out = Output::plain(Some(columns));
        let status = status();
        let group = status.endpoints.last().unwrap();
        let pages = [
            page(&seen(), now, &out),
            server_page(&status.servers[0], &Graph::default(), now, &out),
            server_page(&status.servers[1], &Graph::default(), now, &out),
            group_page(group, &status.servers, now, &out),
        ];
        for line in pages.iter().flat_map(|page| page.lines()) {
            assert!(line.chars().count() <= columns, "{columns}: {line}");
        }
        // The name and what matters most are whole.
        assert!(pages[0].contains("files   crash-looping  2 min"), "{}", pages[0]);
    }
}

/// A server whose breaker is open and whose tools are refused, and the external that they need.
fn refusing() -> Graph {
    let node = |name: &str, kind: &str, state: &str| {
        json!({
            "name": name, "kind": kind, "layer": 0, "state": state, "required": false,
            "since": "2026-01-01T00:00:00Z", "needs": [], "waiting_for": [], "stopped_by_hand": false,
        })
    };
    let mut surveys = node("surveys", "server", "ready");
    surveys["needs"] = json!(["service:db"]);
    surveys["tool_needs"] = json!([
        { "pattern": "extract_*", "needs": ["external:mount"] },
        { "pattern": "read", "needs": ["external:mount", "service:db"] },
    ]);
    let mut mount = node("mount", "external", "ready");
    mount["breaker"] = breaker("mount", "CLOSED");
    serde_json::from_value(json!({ "nodes": [surveys, mount, node("db", "service", "ready")] }))
        .unwrap()
}

fn breaker(name: &str, state: &str) -> Value {
    json!({
        "name": name, "kind": "server", "state": state, "since": "2026-01-01T00:01:00Z", "enabled": true,
        "failures": 2, "failures_max": 3, "failures_total": 2, "recovery_ms": 60_000,
        "last_error": "it answered HTTP 503", "last_error_ago_ms": 4000, "trial_under_way": false,
    })
}

#[test]
fn the_page_of_each_says_what_its_breaker_does_and_who_needs_it() {
    let (graph, now) = (refusing(), "2026-01-01T00:02:00Z".parse().unwrap());
    let out = Output::plain(None);
    let mut open = breaker("surveys", "OPEN");
    open["next_trial_in_ms"] = json!(12_000);
    let more = json!({ "breaker": open, "refused_tools": [{
        "need": "external:mount", "state": "unhealthy", "since": "2026-01-01T00:01:30Z",
        "reason": "external:mount, which is unhealthy: its probe got no answer",
        "patterns": ["extract_*", "read"], "tools": ["extract_all", "read"],
    }] });
    let surveys = serde_json::from_value(server("surveys", "ready", &more)).unwrap();
    let page = server_page(&surveys, &graph, now, &out);
    for line in [
        "needed by    nothing",
        "breaker      open for 1 min, after 2 failures in a row: it answered HTTP 503; the next trial is in 12 s",
        "2 tools of surveys (extract_all, read) are refused for 30 s: external:mount, which is unhealthy: its probe \
         got no answer",
    ] {
        assert!(page.lines().any(|own| own == line), "{line} is not in\n{page}");
    }

    let mount = &graph.nodes[1];
    let page = node_page(mount, &graph, now, &out);
    for line in [
        "needed by  tools extract_*, read of surveys",
        "breaker    closed, 2 of 3 failures in a row, the last 4 s ago: it answered HTTP 503",
    ] {
        assert!(page.lines().any(|own| own == line), "{line} is not in\n{page}");
    }

    let mut half = breaker("db", "HALF_OPEN");
    half["failures"] = json!(1);
    let db = serde_json::from_value(json!({
        "name": "db", "kind": "service", "target": "", "required": false, "state": "ready",
        "since": "2026-01-01T00:00:00Z", "been_ready": true, "restarts": 0, "needs": [], "waiting_for": [],
        "stopped_by_hand": false, "breaker": half,
    }));
    let page = service_page(&db.unwrap(), &graph, now, &out);
    for line in [
        "needed by  server:surveys; tools read of surveys",
        "breaker    half-open for 1 min, after 1 failure in a row: it answered HTTP 503; the next call is a trial",
    ] {
        assert!(page.lines().any(|own| own == line), "{line} is not in\n{page}");
    }
    // A breaker at rest is not worth a line.
    let page = server_page(&status().servers[0], &graph, now, &out);
    assert!(!page.contains("breaker"), "{page}");
}
