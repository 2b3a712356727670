use std::collections::BTreeMap;

use mainstay_model::Name;
use mainstay_model::status::{Health, InstanceState};

use super::html::page;
use crate::api::pools::{ConnectionPool, PoolHealth};
use crate::api::servers::Server;
use crate::api::sessions::Sessions;
use crate::api::status::{DaemonStatus, Endpoint, Memory};

fn status(servers: Vec<Server>) -> DaemonStatus {
    let names = servers.iter().map(|server| server.name.clone()).collect();
    DaemonStatus {
        status: Health::Degraded,
        circuit_breakers: BTreeMap::new(),
        tripped_breakers: Vec::new(),
        version: "1.2.3".to_owned(),
        pid: 7,
        uptime_ms: 93_784_000,
        call_timeout_max_ms: 300_000,
        listen: vec!["http://127.0.0.1:8000".to_owned()],
        state_dir: "/home/secret/state".to_owned(),
        configuration: Default::default(),
        config_file: Some("/home/secret/mainstay.toml".to_owned()),
        mcp_url: Some("http://127.0.0.1:8000/mcp".to_owned()),
        sessions: Sessions { active: 0, max: 1, calls: 0, listens: 0, streams: 0, unstored: None },
        connection_pool: ConnectionPool {
            status: PoolHealth::Healthy,
            utilization: 0.0,
            idle: 0,
            active: 0,
            total: 0,
            max: 0,
            max_pool_size: 0,
            min_pool_size: 0,
        },
        memory_usage: Memory::default(),
        volumes: BTreeMap::new(),
        dependencies: BTreeMap::new(),
        servers,
        services: Vec::new(),
        notifications: Vec::new(),
        endpoints: vec![Endpoint {
            path: "/mcp".to_owned(),
            servers: names,
            listens: 0,
            streams: 0,
            lists: Vec::new(),
            renamed: Vec::new(),
        }],
    }
}

fn server(name: &str, reason: &str) -> Server {
    Server {
        name: Name::try_new(name).unwrap(),
        kind: "process".to_owned(),
        target: "program-of-the-server".to_owned(),
        required: false,
        state: InstanceState::CrashLooping,
        reason: Some(reason.to_owned()),
        last_output: Vec::new(),
        note: None,
        missing: Vec::new(),
        since: "2026-01-02T03:04:05.678Z".to_owned(),
        retry_in_ms: None,
        transport: None,
        revision: Some("2025-11-25".to_owned()),
        second_revision: None,
        tools: 4711,
        resources: 0,
        prompts: 0,
        restarts: 12,
        calls: 0,
        waiting: 0,
        memory_bytes: 0,
        stray_lines: 0,
        needs: Vec::new(),
        waiting_for: Vec::new(),
        stopped_by_hand: false,
        probe: None,
        breaker: None,
        refused_tools: Vec::new(),
        instances: Vec::new(),
    }
}

#[test]
fn it_says_what_this_is_and_where_everything_is() {
    let page =
        page(&status(vec![server("weather", "it ended with code 1")]), "http://localhost:8000");
    for text in [
        "<title>Mainstay: degraded</title>",
        "version 1.2.3, up 1 d 2 h",
        "<code>http://localhost:8000/mcp</code>",
        "claude mcp add --transport http mainstay http://localhost:8000/mcp",
        "<td>weather</td><td class=\"bad\">crash-looping</td><td>2026-01-02 03:04:05 UTC</td>",
        "it ended with code 1",
        "href=\"/metrics\"",
        "href=\"/openapi.json\"",
    ] {
        assert!(page.contains(text), "{text} is not in\n{page}");
    }
    for absent in ["<script", "program-of-the-server", "/home/secret"] {
        assert!(!page.contains(absent), "{absent} is in\n{page}");
    }
}

#[test]
fn without_servers_it_says_how_to_get_some() {
    assert!(page(&status(Vec::new()), "http://x").contains("mainstay import FILE"));
}

#[test]
fn what_others_write_stays_text() {
    let reason = "</td><script>alert('1')</script>\" & \u{1b}[31m";
    let page = page(&status(vec![server("a", reason)]), "http://x\"><b>");
    assert!(page.contains(
        "&lt;/td&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot; &amp; \u{fffd}[31m"
    ));
    assert!(
        !page.contains("<script") && !page.contains("<b>") && !page.contains('\u{1b}'),
        "{page}"
    );
}
