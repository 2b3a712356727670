//! Configurations that are wrong, and ends in the middle.

use serde_json::json;

use super::{Scene, outcome, pid, server};
use crate::shared::{PATIENCE, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_changes_nothing_and_every_problem_is_told() {
    let scene = Scene::start(&server("a", &[], "")).await;
    let a = scene.client("a").await;
    let first = pid(&a).await;
    let wrong = format!(
        "{}[servers.b]\nurll = 'http://x/mcp'\n[servers.c]\ncommand = []\n",
        server("a", &[], "env = { K = 'v' }")
    );
    scene.write(&wrong);
    for line in [&["diff"][..], &["reload"], &["reload", "--dry-run"]] {
        let said = scene.run(line, 2);
        for expected in ["mainstay.toml:", "urll", "nothing changes"] {
            assert!(said.contains(expected), "{line:?}: {said}");
        }
    }
    assert_eq!(scene.reload(2)["outcome"], "refused");
    assert_eq!(pid(&a).await, first);
    assert!(scene.daemon.log().contains("the configuration is wrong, and was not reloaded"));
    // A daemon without anything to do is as wrong as at the start.
    scene.write("");
    let said = scene.run(&["reload"], 2);
    assert!(said.contains("no server is configured"), "{said}");
    assert_eq!(pid(&a).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_middle_of_a_reload_ends_cleanly() {
    let mut scene = Scene::start(&server("a", &[], "")).await;
    scene.write(&(server("a", &["--hang-in-handshake"], "") + &server("b", &[], "")));
    scene.run(&["reload", "--no-wait"], 0);
    until("the new instance starts", async || {
        let current = scene.json(&["status", "--json"], 0)["configuration"]["current"].clone();
        current["nodes"].as_array().is_some_and(|nodes| {
            nodes.iter().any(|node| node["doing"] == "starts beside the old one")
        })
    })
    .await;
    // What waits for its turn does not come any more.
    scene.run(&["reload", "--no-wait"], 0);
    scene.daemon.term().unwrap();
    assert!(scene.daemon.wait(PATIENCE).await.unwrap().success());
    // That nothing is left is checked when the daemon is dropped.
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_ask_meanwhile_join_the_reload_that_waits() {
    let scene = Scene::start(&server("a", &[], "")).await;
    scene.write(&server("a", &["--slow-start=1500"], "env = { K = '1' }"));
    let number = |report: &serde_json::Value| report["number"].as_u64().unwrap();
    let ask = || number(&scene.json(&["reload", "--no-wait", "--json"], 0));
    assert_eq!(ask(), 1);
    until("it is under way", async || {
        scene.json(&["status", "--json"], 0)["configuration"]["current"]["number"] == 1
    })
    .await;
    let joined: Vec<_> = (0..3).map(|_| ask()).collect();
    assert_eq!(joined, [2, 2, 2]);
    let report = scene.reload(0);
    assert!(number(&report) >= 2, "{report}");
    assert_eq!(report["outcome"], "unchanged");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stopped_by_hand_stays_stopped() {
    let config = |value: &str| {
        server("a", &[], &format!("env = {{ K = '{value}' }}")) + &server("b", &[], "")
    };
    let scene = Scene::start(&config("1")).await;
    scene.run(&["stop", "a"], 0);
    scene.write(&config("2"));
    let report = scene.reload(0);
    assert_eq!(outcome(&report, "server:a")["outcome"], "held", "{report}");
    assert_eq!(scene.status("a")["state"], "stopped");
    scene.run(&["start", "a"], 0);
    until("it runs with the new settings", async || scene.status("a")["state"] == "ready").await;
    assert_eq!(
        scene.client("a").await.call("echo", json!({ "x": 1 })).await.unwrap()["isError"],
        json!(null)
    );
}
