//! The generator against the real echo server, alone and behind the bare proxy.

use std::net::SocketAddr;

use super::*;
use crate::load::crew::Size;
use crate::{bare_proxy, echo_http};

fn target(address: SocketAddr) -> Target {
    Target { address, path: "/mcp".to_owned(), prefix: String::new() }
}

/// The generator brings its own runtimes, so it runs beside the servers' one.
async fn measure(args: Vec<&'static str>, address: SocketAddr) -> Report {
    #[derive(clap::Parser)]
    struct Line {
        #[command(subcommand)]
        mode: Mode,
    }
    let line = <Line as clap::Parser>::parse_from(std::iter::once("load").chain(args));
    let target = target(address);
    let watch = [format!("me={}", std::process::id()).parse().expect("a process")];
    tokio::task::spawn_blocking(move || match line.mode {
        Mode::Closed(plan) => plan.run(&target, &watch),
        Mode::Open(plan) => plan.run(&target, &watch),
        Mode::Sessions(plan) => plan.run(&target, &watch),
        Mode::Astray(plan) => plan.run(&target, &watch),
        Mode::Hold(_) => unreachable!("holds forever"),
    })
    .await
    .expect("no panic")
    .expect("a report")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mode_brings_right_answers_through_the_bare_proxy() {
    let (server, serving) = echo_http::spawn().await.expect("a server");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let proxy = listener.local_addr().expect("an address");
    let proxying = tokio::spawn(bare_proxy::serve(listener, server));
    let cases = [
        vec!["closed", "--clients", "3", "--seconds", "0.2", "--warm-up", "0.05"],
        vec!["open", "--clients", "3", "--rate", "500", "--seconds", "0.2", "--warm-up", "0.05"],
        vec!["sessions", "--clients", "2", "--seconds", "0.2", "--warm-up", "0"],
        vec!["astray", "--clients", "7", "--count", "100"],
    ];
    for address in [server, proxy] {
        for case in &cases {
            let report = measure(case.clone(), address).await;
            assert!(report.done > 0, "{case:?}: {report:?}");
            assert_eq!(report.failures(), 0, "{case:?}: {report:?}");
            assert!(report.p50_us <= report.p99_us, "{case:?}: {report:?}");
            assert!(report.cpu_per_call_us("me").is_some());
        }
    }
    let counted = measure(cases[3].clone(), proxy).await;
    assert_eq!(counted.done, 100);
    proxying.abort();
    serving.abort();
}

#[tokio::test]
async fn a_dead_target_is_an_error_not_a_number() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let plan = closed::ClosedPlan { size: Size { clients: 1, seconds: 0.1, warm_up: 0.0 } };
    let outcome = tokio::task::spawn_blocking(move || plan.run(&target(address), &[]))
        .await
        .expect("no panic");
    assert!(outcome.expect_err("nobody listens").to_string().contains("cannot connect"));
}
