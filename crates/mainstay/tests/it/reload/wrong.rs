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

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_is_neither_lost_nor_called_wrong_because_others_look_meanwhile() {
    let scene = Scene::start(&server("a", &[], "")).await;
    for value in 0..3 {
        scene.write(&server("a", &[], &format!("env = {{ K = '{value}' }}")));
        std::thread::scope(|scope| {
            let looks: Vec<_> = (0..3).map(|_| scope.spawn(|| scene.run(&["diff"], 0))).collect();
            assert_eq!(scene.reload(0)["outcome"], "applied");
            for look in looks {
                look.join().unwrap();
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reloads_is_told_the_end_of_that_reload_and_of_no_later_one() {
    let scene = Scene::start(&server("a", &[], "")).await;
    scene.write(&(server("a", &[], "") + &server("b", &["--die-in-handshake"], "")));
    let report = std::thread::scope(|scope| {
        let first = scope.spawn(|| scene.json(&["reload", "--json"], 1));
        let is_asked = || {
            let known = &scene.json(&["status", "--json"], 0)["configuration"];
            !known["current"].is_null() || !known["last"].is_null()
        };
        while !is_asked() {}
        while !first.is_finished() {
            scene.run(&["reload", "--no-wait"], 0);
        }
        first.join().unwrap()
    });
    assert_eq!((&report["number"], &report["outcome"]), (&json!(1), &json!("incomplete")));
    until("the others have ended", async || {
        let known = &scene.json(&["status", "--json"], 0)["configuration"];
        known["current"].is_null() && known["last"]["number"].as_u64() > Some(1)
    })
    .await;
    // Those had nothing to change, and do not hide what is left to do.
    let said = scene.run(&["status"], 0);
    assert!(said.contains("server:b has its new settings, and was not ready"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_pipe_in_the_place_of_the_file_is_refused_and_the_next_reload_works() {
    let scene = Scene::start(&server("a", &[], "")).await;
    std::fs::remove_file(scene.file()).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, scene.file(), fifo, mode, 0).unwrap();
    let said = scene.run(&["reload"], 2);
    assert!(said.contains("it is not a regular file"), "{said}");
    scene.write(&server("a", &[], "env = { K = '1' }"));
    assert_eq!(scene.reload(0)["outcome"], "applied");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_file_than_the_daemon_follows_is_refused() {
    let scene = Scene::start(&server("a", &[], "")).await;
    let other = scene.daemon.folder().join("other.toml");
    std::fs::write(&other, server("b", &[], "")).unwrap();
    for line in [&["diff"][..], &["reload"], &["reload", "--dry-run"]] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_mainstay"))
            .args(line)
            .arg("--config")
            .arg(&other)
            .arg("--state")
            .arg(scene.daemon.state())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        for expected in ["mainstay.toml", "other.toml", "mainstay stop"] {
            assert!(said.contains(expected), "{line:?}: {said}");
        }
    }
}
