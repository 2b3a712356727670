//! What is configured under a name becomes something of another kind.

use serde_json::json;

use super::{Scene, outcome, pid, server};
use crate::shared::until;

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_becomes_a_server_and_a_server_that_becomes_a_service_leave_nothing_behind()
{
    let keeps = server("keeps", &[], "");
    let service = format!("{keeps}[services.n]\ncommand = ['sleep', '600']\n");
    let server = format!("{keeps}{}", server("n", &[], ""));
    let scene = Scene::start(&service).await;
    let process = || {
        let status = scene.json(&["status", "n", "--json"], 0);
        status["pid"].as_u64().or_else(|| status["instances"][0]["pid"].as_u64()).unwrap()
    };
    let is_there = |pid: u64| std::path::Path::new(&format!("/proc/{pid}")).exists();
    let first = process();

    scene.write(&server);
    let report = scene.reload(0);
    assert_eq!(outcome(&report, "service:n")["outcome"], "done", "{report}");
    assert_eq!(outcome(&report, "server:n")["outcome"], "done", "{report}");
    assert!(!is_there(first), "the service runs on");
    let second = pid(&scene.client("n").await).await;

    scene.write(&service);
    let report = scene.reload(0);
    assert_eq!(outcome(&report, "service:n")["outcome"], "done", "{report}");
    until("the server has ended", async || !is_there(second)).await;
    assert!(is_there(process()));
    assert_eq!(scene.json(&["status", "--json"], 0)["services"][0]["state"], json!("ready"));
}

#[tokio::test(flavor = "multi_thread")]
async fn needs_that_turn_round_through_an_unchanged_server_are_changed_without_a_cycle() {
    let needs = |name: &str, need: &str| {
        server(
            name,
            &[],
            &format!(
                "needs = [{}]",
                if need.is_empty() { String::new() } else { format!("'server:{need}'") }
            ),
        )
    };
    let config = |n: &str, o: &str| needs("n", n) + &needs("u", "o") + &needs("o", o);
    let scene = Scene::start(&config("", "n")).await;
    scene.write(&config("u", ""));
    assert_eq!(scene.reload(0)["outcome"], "applied");
    assert_eq!(scene.reload(0)["outcome"], "unchanged");
}
