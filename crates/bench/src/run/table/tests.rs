use std::collections::BTreeMap;

use super::*;
use crate::load::{CpuUse, Report};
use crate::run::hardware::Hardware;
use crate::run::results::Fact;

fn results(figures: &[(&'static str, Kind, f64)]) -> Results {
    let hardware = Hardware {
        cores: 2,
        cpu: "A (R) CPU".to_owned(),
        memory_mib: 1024,
        kernel: "6.1".to_owned(),
        load_before: 0.1,
    };
    let mut results = Results::new(hardware, 3, 5.0, BTreeMap::new());
    for &(cell, kind, per_second) in figures {
        let cpu = vec![CpuUse { name: "proxy".to_owned(), own_us: 1e6, children_us: 0.0 }];
        let report = Report {
            per_second,
            done: 100_000,
            p50_us: 1e6 / per_second,
            cpu,
            ..Report::default()
        };
        results.cells.push(Measured {
            cell,
            title: cell,
            kind,
            median: None,
            rounds: vec![report],
            problems: Vec::new(),
        });
    }
    results.finish();
    results
}

#[test]
fn figures_stand_with_their_ratio_and_their_verdict() {
    let results = results(&[
        ("http-32", Kind::Bare, 40_000.0),
        ("http-32", Kind::Mainstay, 31_000.0),
        ("stdio-32", Kind::McpProxy, 16_000.0),
        ("stdio-32", Kind::Mainstay, 20_000.0),
    ]);
    let text = render(&results);
    for wanted in [
        "| HTTP server, 32 clients, calls/s | 40,000 (1.00) | 31,000 (0.78) | – | ≥ 0.75 × bare | yes |",
        "| stdio server, 32 clients, calls/s | – | 20,000 (1.25) | 16,000 (1.00) | ≥ 1.5 × best peer | **no** |",
        "| CPU for a call, HTTP, 32 clients | 10.0 µs (1.00) | 10.0 µs (1.00) | – | ≤ 1.4 × bare | yes |",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
    assert_eq!(results.file_stem()[10..], *"-2c-a-r-cpu");
}

#[test]
fn ratios_to_haproxy_are_of_the_same_round() {
    let mut results =
        results(&[("http-32", Kind::Haproxy, 50.0), ("http-32", Kind::Mainstay, 40.0)]);
    // In the second round, the machine is half as fast.
    for (at, per_second, own_us) in [(0, 25.0, 2e6), (1, 20.0, 3e6)] {
        let mut slow = results.cells[at].rounds[0].clone();
        (slow.per_second, slow.cpu[0].own_us) = (per_second, own_us);
        results.cells[at].rounds.push(slow);
    }
    results.finish();
    let text = render(&results);
    for wanted in [
        "| calls/s of 32 clients × HAProxy's, round by round | 1.00 × | 0.80 × |  |  |",
        "| CPU for a call × HAProxy's, round by round | 1.00 × | 1.25 × | ≤ 1.45 × | yes |",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
    // A round that one of them is missing leaves nothing to pair.
    results.cells[0].problems.push("it ended".to_owned());
    assert!(!render(&results).contains("1.25 ×"));
}

#[test]
fn nginx_is_charged_with_its_workers() {
    let mut results = results(&[("http-32", Kind::Nginx, 50.0)]);
    results.cells[0].rounds[0].cpu[0].children_us = 2e6;
    results.finish();
    assert!(render(&results).contains("| CPU for a call, HTTP, 32 clients | 30.0 µs |"));
}

#[test]
fn failed_calls_are_no_success() {
    let mut results = results(&[("http-32", Kind::Bare, 10.0), ("http-32", Kind::Mainstay, 99.0)]);
    results.cells[1].rounds[0].refused = 1;
    results.finish();
    assert!(render(&results).contains("99 (9.90) | ≥ 0.75 × bare | **no** |"));
}

#[test]
fn observations_and_gaps_are_shown() {
    let mut results = results(&[]);
    results.missing.insert(Kind::McpProxy, "no network".to_owned());
    results.facts.push(Fact {
        name: "origin",
        kind: Kind::Mainstay,
        text: "403".to_owned(),
        value: Some(403.0),
        good: Some(true),
    });
    let text = render(&results);
    assert!(text.contains("| foreign `Origin` | 403 | – | 403 | yes |"), "{text}");
    assert!(text.contains("Not measured: mcp-proxy 0.6 of crates.io (no network)."), "{text}");
    assert!(!text.contains("answers astray"));
}

#[test]
fn large_numbers_have_commas() {
    for (value, wanted) in
        [(0.0, "0"), (999.0, "999"), (1000.0, "1,000"), (1_234_567.2, "1,234,567")]
    {
        assert_eq!(thousands(value), wanted);
    }
}
