//! Servers are stopped, started and restarted by hand while their settings change.

use serde_json::json;

use super::{Scene, outcome, pid, server};
use crate::shared::until;

fn config(value: &str, flags: &[&str], more: &str) -> String {
    server("a", flags, &format!("env = {{ KEY = '{value}' }}\n{more}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_stopped_while_its_new_instance_is_prepared_waits_and_its_tools_come_back() {
    let scene = Scene::start(&config("one", &[], "")).await;
    let all = scene.client("").await;
    let count = async || {
        all.request("tools/list", json!({})).await.unwrap()["tools"].as_array().unwrap().len()
    };
    assert!(count().await > 0);
    scene.write(&config("two", &["--slow-handshake=3000"], ""));
    tokio::task::block_in_place(|| scene.run(&["reload", "--no-wait"], 0));
    tokio::task::block_in_place(|| scene.run(&["stop", "a"], 0));
    until("the reload has ended", async || {
        scene.json(&["status", "--json"], 0)["configuration"]["last"]["outcome"] == "applied"
    })
    .await;
    let report = scene.json(&["status", "--json"], 0)["configuration"]["last"].clone();
    let held = outcome(&report, "server:a");
    assert_eq!(held["outcome"], "held", "{report}");
    assert_eq!(held["reason"], "it was stopped by hand");
    let status = scene.status("a");
    assert_eq!(status["state"], "stopped");
    tokio::task::block_in_place(|| scene.run(&["start", "a"], 0));
    until("its tools are listed again", async || count().await > 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_wait_while_one_that_runs_one_call_at_a_time_is_replaced() {
    let scene = Scene::start(&config("one", &[], "concurrency = 1")).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let caller = scene.client("a").await;
        calls.spawn(async move { caller.call("slow", json!({ "ms": 400 })).await });
    }
    until("a call is under way", async || scene.status("a")["calls"] == 1).await;
    scene.write(&config("two", &[], "concurrency = 1"));
    let report = tokio::task::block_in_place(|| scene.reload(0));
    assert_eq!(outcome(&report, "server:a")["outcome"], "done", "{report}");
    while let Some(answer) = calls.join_next().await {
        let answer = answer.unwrap().unwrap();
        assert!(answer["isError"] != true, "{answer}");
    }
    let events = scene.run(&["events", "a", "--json"], 0);
    assert!(!events.contains("by hand"), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_stopped_by_hand_and_removed_starts_when_it_is_added_again() {
    let (keeps, a) = (server("keeps", &[], ""), config("one", &[], ""));
    let scene = Scene::start(&format!("{keeps}{a}")).await;
    scene.run(&["stop", "a"], 0);
    scene.write(&keeps);
    scene.reload(0);
    scene.write(&format!("{keeps}{a}"));
    assert_eq!(outcome(&scene.reload(0), "server:a")["outcome"], "done");
    pid(&scene.client("a").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_external_is_down_is_added_and_waits_and_is_not_restarted_into_nothing() {
    let external = |file: &str| {
        format!(
            "[externals.e]\ncommand = ['test', '-e', '{file}']\nperiod = '200ms'\n\
             waiting_period = '200ms'\nfall = 1\n"
        )
    };
    let a = config("one", &[], "");
    let scene = Scene::start(&a).await;
    let b = server("b", &[], "needs = ['external:e']");
    let flag = scene.daemon.folder().join("flag");
    let all = format!("{a}{b}{}", external(flag.to_str().unwrap()));
    scene.write(&all);
    // The external itself is not ready.
    let report = tokio::task::block_in_place(|| scene.json(&["reload", "--json"], 1));
    assert_eq!(outcome(&report, "server:b")["outcome"], "held", "{report}");
    std::fs::write(&flag, "").unwrap();
    until("it runs", async || scene.status("b")["state"] == "ready").await;
    std::fs::remove_file(&flag).unwrap();
    until("it is degraded", async || scene.status("b")["state"] == "degraded").await;
    let refused = scene.daemon.run(&["restart", "b"]).unwrap();
    assert!(!refused.status.success(), "{refused:?}");
    assert_eq!(scene.status("b")["state"], "degraded");
}
