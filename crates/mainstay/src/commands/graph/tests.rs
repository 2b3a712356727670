use mainstay_admin::api::graph::Graph;
use mainstay_model::Name;
use mainstay_model::settings::{GatewaySettings, ProcessSpec, Runtime, ServerSpec, Settings};
use serde_json::json;

use super::{From, Jobs, mermaid, page, planned};
use crate::output::Output;

fn graph() -> Graph {
    let node = |name: &str, kind: &str, layer: usize, state: &str, needs: &[&str]| {
        json!({
            "name": name, "kind": kind, "layer": layer, "state": state, "needs": needs,
            "since": "2026-01-01T00:00:00Z", "required": name == "reasoning", "waiting_for": [],
            "stopped_by_hand": false,
        })
    };
    let mut down = node("db", "service", 0, "crash-looping", &[]);
    down["reason"] = json!("exited with code 1");
    down["retry_in_ms"] = json!(252_000);
    let mut waits = node("executor", "server", 1, "waiting", &["service:db", "service:cache"]);
    let blocker = json!({
        "need": "service:db", "state": "crash-looping", "since": "2026-01-01T00:01:00Z",
        "reason": "exited with code 1",
    });
    waits["waiting_for"] = json!([blocker]);
    let mut chained =
        node("reasoning", "server", 2, "waiting", &["server:executor", "volume:data"]);
    let cause =
        json!({ "need": "service:db", "state": "crash-looping", "reason": "exited with code 1" });
    chained["waiting_for"] = json!([{
        "need": "server:executor", "state": "waiting", "since": "2026-01-01T00:01:00Z", "cause": cause,
    }]);
    serde_json::from_value(json!({ "nodes": [
        down, node("cache", "service", 0, "ready", &[]), node("data", "volume", 0, "unwatched", &[]),
        waits, chained,
    ] }))
    .unwrap()
}

#[test]
fn the_layers_are_drawn_with_who_waits_for_whom_and_fit_the_terminal() {
    let now = "2026-01-01T00:02:00Z".parse().unwrap();
    let expected = "\
NAME          KIND     STATE          FOR    NEEDS
layer 0
├─ db         service  crash-looping  2 min  -
├─ cache      service  ready          2 min  -
└─ data       volume   unwatched      2 min  -
layer 1
└─ executor   server   waiting        2 min  db, cache
layer 2
└─ reasoning  server   waiting        2 min  executor, data  required

db, crash-looping: exited with code 1
    next attempt in 4 min 12 s
    `mainstay start db` tries at once

executor, waiting: service:db is crash-looping for 1 min: exited with code 1

reasoning, waiting: server:executor is waiting for 1 min, because service:db is
    crash-looping: exited with code 1";
    let page = page(&graph(), &Jobs::default(), From::Daemon, now, &Output::plain(Some(80)));
    assert_eq!(page, expected);
    assert!(page.lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn a_job_is_called_once_as_in_the_status() {
    let jobs = Jobs(["db".to_owned()].into());
    let now = "2026-01-01T00:02:00Z".parse().unwrap();
    for from in [From::Daemon, From::Configuration] {
        let page = page(&graph(), &jobs, from, now, &Output::plain(Some(80)));
        let kind = |name: &str| {
            let row = page.lines().find(|line| line.contains(&format!("─ {name} "))).unwrap();
            row.split_whitespace().nth(2).unwrap().to_owned()
        };
        assert_eq!([kind("db"), kind("cache")], ["once", "service"], "{page}");
    }
}

#[test]
fn mermaid_gets_a_node_for_each_and_an_arrow_for_each_need() {
    let text = mermaid::text(&graph(), From::Daemon);
    for line in [
        "flowchart TD",
        "  n0[\"db<br>service, crash-looping\"]:::bad",
        "  n2[\"data<br>volume, unwatched\"]:::faint",
        "  n3 -.-> n0",
        "  n3 --> n1",
        "  n4 -.-> n3",
        "  n4 --> n2",
    ] {
        assert!(text.lines().any(|own| own == line), "{line} is not in\n{text}");
    }
    let text = mermaid::text(&graph(), From::Configuration);
    assert!(text.contains("n0[\"db<br>service\"]\n") && !text.contains("classDef"), "{text}");
}

#[test]
fn a_configuration_is_planned_in_layers() {
    let server = |name: &str, needs: &[&str]| {
        let mut spec =
            ServerSpec::new(Name::try_new(name).unwrap(), Runtime::Process(ProcessSpec::default()));
        spec.needs = needs.iter().map(|need| need.parse().unwrap()).collect();
        spec
    };
    let settings = |servers| Settings {
        gateway: GatewaySettings::default(),
        servers,
        endpoints: Vec::new(),
        services: Vec::new(),
        volumes: Vec::new(),
        externals: Vec::new(),
        checks: Vec::new(),
        notify: Vec::new(),
        state_dir: "/state".into(),
    };
    let ordered =
        settings(vec![server("c", &["server:b"]), server("b", &["server:a"]), server("a", &[])]);
    let graph = planned::graph(ordered).unwrap();
    let layers: Vec<_> = graph.nodes.iter().map(|it| (it.name.as_str(), it.layer)).collect();
    assert_eq!(layers, [("a", 0), ("b", 1), ("c", 2)]);
    let page = page(
        &graph,
        &Jobs::default(),
        From::Configuration,
        "2026-01-01T00:02:00Z".parse().unwrap(),
        &Output::plain(None),
    );
    assert!(page.starts_with("NAME     KIND    NEEDS\nlayer 0\n└─ a     server  -\n"), "{page}");
    let circle = settings(vec![server("a", &["server:b"]), server("b", &["server:a"])]);
    assert!(planned::graph(circle).is_err());
}
