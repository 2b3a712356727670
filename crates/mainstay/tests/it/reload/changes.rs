//! Each kind of change by itself.

use rustix::process::Signal;
use serde_json::json;

use super::{Scene, outcome, pid, server};
use crate::shared::{PATIENCE, until};

#[tokio::test(flavor = "multi_thread")]
async fn another_variable_is_a_new_instance_that_is_ready_before_the_old_one_goes() {
    let config = |value: &str| {
        server("a", &[], &format!("env = {{ KEY = '{value}' }}")) + &server("b", &[], "")
    };
    let scene = Scene::start(&config("one")).await;
    let (a, b) = (scene.client("a").await, scene.client("b").await);
    let (first, other) = (pid(&a).await, pid(&b).await);
    let caller = scene.client("a").await;
    let calling = tokio::spawn(async move { caller.call("slow", json!({ "ms": 3000 })).await });
    until("the call is under way", async || scene.status("a")["calls"] == 1).await;

    scene.write(&config("two"));
    let plan = scene.run(&["diff"], 0);
    assert!(plan.contains("~ server a is restarted: env.KEY"), "{plan}");
    assert!(!plan.contains("one") && !plan.contains("two"), "a value is shown: {plan}");
    assert_eq!(pid(&a).await, first, "a plan changes nothing");

    let begun = tokio::task::block_in_place(|| scene.json(&["reload", "--no-wait", "--json"], 0));
    assert_eq!(begun["number"], 1);
    // Every call in between is answered, by the old instance or by the new one.
    let mut second = first;
    until("the new instance answers", async || {
        second = pid(&a).await;
        second != first
    })
    .await;
    let answer = calling.await.unwrap().unwrap();
    assert!(answer["isError"] != true, "the call finished at the old instance: {answer}");
    until("the reload has ended", async || {
        scene.json(&["status", "--json"], 0)["configuration"]["last"]["outcome"] == "applied"
    })
    .await;
    assert_eq!(pid(&a).await, second);
    assert_eq!(pid(&b).await, other, "an unchanged server is not touched");
    assert_eq!(scene.status("a")["instances"].as_array().unwrap().len(), 1);
    // Nobody was told that the server had stopped, and the events say what was changed.
    let events = scene.json(&["events", "a", "--json"], 0);
    let told: Vec<_> = events["events"].as_array().unwrap().iter().map(|it| &it["to"]).collect();
    assert_eq!(told, ["starting", "ready", "reloaded"], "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_become_ready_leaves_the_old_one_in_force() {
    let broken = server("a", &["--die-in-handshake"], "");
    let scene = Scene::start(&server("a", &[], "")).await;
    let a = scene.client("a").await;
    let first = pid(&a).await;
    scene.write(&broken);
    let report = scene.reload(1);
    assert_eq!(report["outcome"], "incomplete");
    let kept = outcome(&report, "server:a");
    assert_eq!(kept["outcome"], "kept");
    assert!(kept["reason"].as_str().unwrap().contains("code 7"), "{kept}");
    assert_eq!(pid(&a).await, first);
    assert_eq!(scene.status("a")["state"], "ready");
    assert_eq!(scene.status("a")["restarts"], 0);
    let events = scene.run(&["events", "--json"], 0);
    for expected in ["not all of it", "\"not-reloaded\"", "it keeps its old settings: command"] {
        assert!(events.contains(expected), "{expected}: {events}");
    }
    // What is in force is still something else, and is tried again.
    let said = scene.run(&["reload"], 1);
    assert!(said.contains("server:a: keeps its old settings"), "{said}");
    scene.write(&server("a", &[], ""));
    assert_eq!(scene.reload(0)["outcome"], "unchanged");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_one_call_runs_at_a_time_the_old_one_ends_first_and_comes_back_if_need_be() {
    let config = |flags: &[&str], value: &str| {
        server("a", flags, &format!("concurrency = 1\nenv = {{ KEY = '{value}' }}"))
    };
    let scene = Scene::start(&config(&[], "one")).await;
    let a = scene.client("a").await;
    let first = pid(&a).await;
    scene.write(&config(&[], "two"));
    assert_eq!(outcome(&scene.reload(0), "server:a")["outcome"], "done");
    let second = pid(&a).await;
    assert_ne!(second, first);
    scene.write(&config(&["--die-in-handshake"], "three"));
    let report = scene.reload(1);
    assert_eq!(outcome(&report, "server:a")["outcome"], "kept", "{report}");
    let third = pid(&a).await;
    assert_ne!(third, second, "the old one had ended");
    assert_eq!(scene.status("a")["state"], "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_come_and_go_and_sessions_at_other_endpoints_stay() {
    let (a, b) = (server("a", &["--tools=3"], ""), server("b", &["--tools=1"], ""));
    let scene = Scene::start(&a).await;
    let all = scene.client("").await;
    let count = async || {
        all.request("tools/list", json!({})).await.unwrap()["tools"].as_array().unwrap().len()
    };
    let before = count().await;
    scene.write(&format!("{a}{b}"));
    assert_eq!(outcome(&scene.reload(0), "server:b")["outcome"], "done");
    until("the tools of both are listed", async || count().await > before).await;
    let at_b = scene.client("b").await;
    pid(&at_b).await;
    let metrics = async || reqwest_metrics(&scene).await;
    assert!(metrics().await.contains("mcp_requests_total{server=\"b\""));
    scene.write(&a);
    let report = scene.reload(0);
    assert_eq!(outcome(&report, "server:b")["change"], "removed");
    until("the tools of one are listed", async || count().await == before).await;
    assert!(!metrics().await.contains("server=\"b\""), "its series are gone");
    assert!(at_b.call("stats", json!({})).await.is_err());
}

async fn reqwest_metrics(scene: &Scene) -> String {
    let client = mainstay_testkit::Client::new(&scene.daemon.endpoint("")).unwrap();
    let mut reply = client.plain("GET", "/metrics").await.unwrap();
    reply.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_in_place_are_in_force_and_start_nothing() {
    let config = |more: &str| server("a", &[], more);
    let scene = Scene::start(&config("")).await;
    let a = scene.client("a").await;
    let first = pid(&a).await;
    let more = "required = true\nstart_timeout = '7s'\nstop_timeout = '1s'\n[servers.a.pool]\nmin = 0\nmax = 7";
    scene.write(&config(more));
    let report = scene.reload(0);
    assert_eq!(outcome(&report, "server:a")["change"], "in_place", "{report}");
    assert_eq!(pid(&a).await, first);
    assert_eq!(scene.status("a")["required"], true);
    let pool = mainstay_testkit::Client::new(&scene.daemon.endpoint("")).unwrap();
    let mut reply = pool.plain("GET", "/stats/pool?server=a").await.unwrap();
    assert_eq!(reply.json().await.unwrap()["maxPoolSize"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_secret_is_a_new_instance() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "first-secret").unwrap();
    let reference = format!("env = {{ KEY = 'secret:file:{}' }}", secret.path().display());
    let scene = Scene::start(&server("a", &[], &reference)).await;
    let a = scene.client("a").await;
    let first = pid(&a).await;
    std::fs::write(secret.path(), "other-secret").unwrap();
    let report = scene.reload(0);
    assert_eq!(outcome(&report, "server:a")["keys"], json!(["env.KEY"]));
    assert_ne!(pid(&a).await, first);
    assert!(!scene.daemon.log().contains("-secret"), "{}", scene.daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_file_is_reloaded_by_itself_and_a_broken_one_changes_nothing() {
    let watch = "[gateway]\nreload = 'watch'\n";
    let scene = Scene::start(&format!("{watch}{}", server("a", &[], ""))).await;
    let a = scene.client("a").await;
    let first = pid(&a).await;
    scene.write("[servers.a");
    until("the broken file is noticed", async || {
        scene.json(&["status", "--json"], 0)["configuration"]["last"]["outcome"] == "refused"
    })
    .await;
    assert_eq!(scene.json(&["status", "--json"], 0)["configuration"]["is_changed"], true);
    assert_eq!(pid(&a).await, first);
    scene.write(&format!("{watch}{}", server("a", &[], "env = { KEY = 'x' }")));
    until("the new instance answers", async || pid(&a).await != first).await;
    assert_eq!(scene.json(&["status", "--json"], 0)["configuration"]["is_changed"], false);
    // Back to asking, which is what the daemon does next.
    scene.write(&server("a", &[], "env = { KEY = 'x' }"));
    until("it no longer watches", async || {
        scene.json(&["status", "--json"], 0)["configuration"]["reload"] == "manual"
    })
    .await;
    scene.write(&server("a", &[], ""));
    until("the change is noticed", async || {
        scene.json(&["status", "--json"], 0)["configuration"]["is_changed"] == true
    })
    .await;
    let last = scene.json(&["status", "--json"], 0)["configuration"]["last"]["number"].clone();
    assert_eq!(last, 3, "nothing was reloaded by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn hup_reloads_and_what_only_a_restart_changes_is_named() {
    let mut scene = Scene::start(&server("a", &[], "")).await;
    scene.write(&format!(
        "[gateway]\nmax_sessions = 5\nallowed_hosts = ['tools.example.org']\n{}",
        server("a", &[], "env = { KEY = 'x' }")
    ));
    let plan = scene.run(&["diff"], 0);
    assert!(plan.contains("~ gateway.max_sessions waits for a restart of the daemon"), "{plan}");
    scene.daemon.signal(Signal::HUP).unwrap();
    until("the reload has ended", async || {
        scene.json(&["status", "--json"], 0)["configuration"]["last"]["outcome"] == "applied"
    })
    .await;
    let last = scene.json(&["status", "--json"], 0)["configuration"]["last"].clone();
    assert_eq!(last["asked_by"], "signal");
    assert_eq!(last["waits_for_restart"], json!(["gateway.max_sessions"]));
    assert_eq!(last["settings"], json!(["gateway.allowed_hosts"]));
    scene.daemon.wait_for_log("its new settings are in force", PATIENCE).await.unwrap();
    // The host is admitted from now on.
    let client = mainstay_testkit::Client::new(&scene.daemon.endpoint("")).unwrap();
    let client = client.header("host", "tools.example.org");
    let reply = client.plain("GET", "/health").await.unwrap();
    assert_eq!(reply.status, 200);
    // It is still waited for.
    let said = scene.run(&["reload"], 0);
    assert!(said.contains("waiting for a restart of the daemon: gateway.max_sessions"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_service_is_restarted_and_needs_follow() {
    let service = |seconds: &str| format!("[services.db]\ncommand = ['sleep', '{seconds}']\n");
    let scene = Scene::start(&format!("{}{}", service("100000"), server("a", &[], ""))).await;
    let a = scene.client("a").await;
    let first = pid(&a).await;
    let db = || scene.json(&["graph", "--json"], 0)["nodes"].as_array().unwrap().clone();
    let pid_of_db = || {
        let nodes = db();
        nodes.iter().find(|node| node["name"] == "db").map(|node| node["pid"].clone()).unwrap()
    };
    let before = pid_of_db();
    // The need alone changes nothing that runs.
    let needs = "needs = ['service:db']";
    scene.write(&format!("{}{}", service("100000"), server("a", &[], needs)));
    assert_eq!(outcome(&scene.reload(0), "server:a")["change"], "in_place");
    assert_eq!((pid(&a).await, pid_of_db()), (first, before.clone()));
    let needs_of_a = db().iter().find(|node| node["name"] == "a").unwrap()["needs"].clone();
    assert_eq!(needs_of_a, json!(["service:db"]));
    // Another service is another process, and the server that needs it goes on.
    scene.write(&format!("{}{}", service("100001"), server("a", &[], needs)));
    assert_eq!(outcome(&scene.reload(0), "service:db")["outcome"], "done");
    assert_ne!(pid_of_db(), before);
    assert_eq!(pid(&a).await, first);
    until("all is well again", async || scene.status("a")["state"] == "ready").await;
    // What nobody needs any more goes.
    scene.write(&server("a", &[], ""));
    let report = scene.reload(0);
    assert_eq!(outcome(&report, "service:db")["outcome"], "done");
    assert_eq!(db().len(), 1);
    assert_eq!(pid(&a).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_and_the_service_that_it_needs_now_come_together() {
    let scene = Scene::start(&server("a", &[], "")).await;
    let a = scene.client("a").await;
    let first = pid(&a).await;
    let with = |command: &str| {
        let service = format!("[services.db]\ncommand = {command}\n");
        format!("{service}{}", server("a", &[], "needs = ['service:db']\nenv = { DB = 'x' }"))
    };
    // A need that does not become ready keeps the server as it is.
    scene.write(&with("['/nowhere/db']"));
    let report = scene.reload(1);
    assert_eq!(outcome(&report, "service:db")["outcome"], "not_ready");
    assert_eq!(outcome(&report, "server:a")["outcome"], "kept");
    assert_eq!(pid(&a).await, first);
    scene.write(&with("['sleep', '100000']"));
    let report = scene.reload(0);
    assert_eq!(outcome(&report, "server:a")["outcome"], "done", "{report}");
    assert_ne!(pid(&a).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_looping_server_is_replaced_at_once() {
    let scene = crate::shared::daemon().config(&server("a", &["--die-in-handshake"], ""));
    let scene = Scene { daemon: scene.start().await.unwrap() };
    until("it is lost", async || scene.status("a")["restarts"].as_u64().unwrap() > 0).await;
    scene.write(&server("a", &[], ""));
    let report = scene.reload(0);
    assert_eq!(outcome(&report, "server:a")["outcome"], "done");
    assert_eq!(scene.status("a")["state"], "ready");
}
