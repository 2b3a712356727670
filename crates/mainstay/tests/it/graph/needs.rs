//! Who waits for whom.

use std::time::Duration;

use mainstay_testkit::Client;
use serde_json::{Value, json};

use super::{START_WITHIN, health, in_state, node, since, switch, switched};
use crate::shared::{daemon, eventually, misbehave, until};

async fn call(client: &Client, tool: &str) -> Value {
    let params = json!({"name": tool, "arguments": {}});
    client.send("tools/call", params).await.unwrap().answer().await.unwrap()
}

fn server(name: &str, needs: &str) -> String {
    let command = json!(misbehave(&[]));
    format!("[servers.{name}]\ncommand = {command}\nneeds = {needs}\n")
}

#[tokio::test]
async fn what_needs_nothing_starts_at_once_and_the_rest_right_after_its_last_need() {
    let folder = tempfile::tempdir().unwrap();
    let config = switched(folder.path(), "db", &[])
        + &switched(folder.path(), "cache", &[])
        + &server("alone", "[]")
        + &server("one", "['service:db', 'service:cache']")
        + &server("two", "['service:db', 'service:cache']")
        + &server("last", "['server:one', 'server:two']");
    let daemon = daemon().config(&config).start().await.unwrap();
    in_state(&daemon, "alone", "ready").await;
    switch(folder.path(), "db", true);
    in_state(&daemon, "db", "ready").await;
    for name in ["one", "two", "last"] {
        let node = node(&daemon, name).await;
        assert_eq!(node.state.as_str(), "waiting", "{node:?}");
        let end = node.waiting_for[0].at_the_end();
        assert_eq!((end.0.to_string().as_str(), end.1.as_str()), ("service:cache", "starting"));
    }
    assert_eq!(node(&daemon, "last").await.layer, 2);
    switch(folder.path(), "cache", true);
    let last = in_state(&daemon, "last", "ready").await;
    let cache = node(&daemon, "cache").await;
    let took = since(&last).duration_since(since(&cache)).unwrap();
    assert!(took < 2 * START_WITHIN, "{took:?}");
    for name in ["one", "two"] {
        let took = since(&node(&daemon, name).await).duration_since(since(&cache)).unwrap();
        assert!(took < START_WITHIN, "{name}: {took:?}");
    }
}

#[tokio::test]
async fn a_failed_need_holds_back_only_what_depends_on_it_and_says_why_all_the_way_down() {
    let config = "[services.db]\ncommand = ['sh', '-c', 'echo no disk >&2; exit 3']\n".to_owned()
        + &server("alone", "[]")
        + &server("one", "['service:db']")
        + &server("last", "['server:one']");
    let daemon = daemon().config(&config).start().await.unwrap();
    in_state(&daemon, "alone", "ready").await;
    let last = eventually("a reason", async || {
        let last = node(&daemon, "last").await;
        last.reason.as_ref().is_some_and(|why| why.contains("code 3")).then_some(last)
    })
    .await;
    assert_eq!(last.state.as_str(), "waiting");
    let reason = last.reason.unwrap();
    let expected = "it needs server:one, which waits for service:db, which was lost";
    assert!(reason.starts_with(expected), "{reason}");
    let (code, body) = health(&daemon).await;
    assert_eq!((code, &body["status"]), (200, &json!("degraded")));
    // Its clients are refused at once, with what is down.
    let refused = daemon.client("last").await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("DEGRADED") && refused.contains("service:db"), "{refused}");
    // What works goes on.
    let alone = daemon.client("alone").await.unwrap();
    assert!(call(&alone, "echo").await["result"].is_object());
}

#[tokio::test]
async fn a_call_to_what_waits_for_something_that_loads_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let config = switched(folder.path(), "model", &[]) + &server("s", "['service:model']");
    let daemon = daemon().config(&config).start().await.unwrap();
    let refused = daemon.client("s").await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("SERVER_LOADING") && refused.contains("service:model"), "{refused}");
    // It is served once the model is there.
    switch(folder.path(), "model", true);
    let served = eventually("served", async || daemon.client("s").await.ok()).await;
    let answer = call(&served, "echo").await;
    assert!(answer["result"].is_object(), "{answer}");
}

#[tokio::test]
async fn a_lost_need_degrades_its_dependants_and_they_recover_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let config = switched(folder.path(), "db", &[])
        + &server("keeps", "['service:db']")
        + &server("stops", "['service:db']")
        + "on_lost_need = 'stop'\n"
        + &server("last", "['server:keeps']");
    switch(folder.path(), "db", true);
    let daemon = daemon().config(&config).start().await.unwrap();
    for name in ["keeps", "stops", "last"] {
        in_state(&daemon, name, "ready").await;
    }
    until("health", async || health(&daemon).await.1["status"] == "ok").await;
    let keeps = daemon.client("keeps").await.unwrap();
    let stops = daemon.client("stops").await.unwrap();
    let pid = node(&daemon, "keeps").await.pid;
    switch(folder.path(), "db", false);
    in_state(&daemon, "db", "unhealthy").await;
    in_state(&daemon, "keeps", "degraded").await;
    in_state(&daemon, "last", "degraded").await;
    in_state(&daemon, "stops", "waiting").await;
    assert_eq!(health(&daemon).await.1["status"], "degraded");
    assert!(call(&keeps, "echo").await["result"].is_object());
    let refused = call(&stops, "echo").await;
    assert_eq!(refused["error"]["data"]["code"], "DEGRADED", "{refused}");
    switch(folder.path(), "db", true);
    for name in ["keeps", "stops", "last"] {
        in_state(&daemon, name, "ready").await;
    }
    assert!(call(&stops, "echo").await["result"].is_object());
    assert_eq!(node(&daemon, "keeps").await.pid, pid);
    until("health", async || health(&daemon).await.1["status"] == "ok").await;
}

/// A dependant that dies with its need is not tried again and again: it waits, and starts when the need is
/// back, however long that took.
#[tokio::test]
async fn who_dies_while_a_need_is_down_waits_for_the_need() {
    let folder = tempfile::tempdir().unwrap();
    switch(folder.path(), "db", true);
    let config = switched(folder.path(), "db", &[]) + &server("s", "['service:db']");
    let daemon = daemon().config(&config).start().await.unwrap();
    let pid = in_state(&daemon, "s", "ready").await.pid.unwrap();
    switch(folder.path(), "db", false);
    in_state(&daemon, "s", "degraded").await;
    let process = mainstay_testkit::process::Process::find(pid.try_into().unwrap()).unwrap();
    process.signal(rustix::process::Signal::KILL);
    in_state(&daemon, "s", "waiting").await;
    switch(folder.path(), "db", true);
    let db = in_state(&daemon, "db", "ready").await;
    let back = in_state(&daemon, "s", "ready").await;
    let took = since(&back).duration_since(since(&db)).unwrap();
    assert!(took < START_WITHIN, "{took:?}");
}

/// T0.7, T4.3, T4.4: health is not a constant, has the right code, and quotes nobody.
#[tokio::test]
async fn t4_4_health_is_503_and_loading_until_what_is_required_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let config = switched(folder.path(), "model", &[])
        + &switched(folder.path(), "other", &[])
            .replace("[services.other]", "[services.other]\nrequired = true")
        + &server("s", "['service:model']")
        + "required = true\n";
    let daemon = daemon().config(&config).start().await.unwrap();
    let (code, body) = health(&daemon).await;
    assert_eq!((code, &body["status"]), (503, &json!("loading")), "{body}");
    assert_eq!(body["waiting_for"], json!(["s", "other"]), "{body}");
    switch(folder.path(), "model", true);
    in_state(&daemon, "s", "ready").await;
    assert_eq!(health(&daemon).await.1["waiting_for"], json!(["other"]));
    switch(folder.path(), "other", true);
    until("health", async || health(&daemon).await.0 == 200).await;
    assert_eq!(health(&daemon).await.1["status"], "ok");
    switch(folder.path(), "other", false);
    until("health", async || health(&daemon).await.0 == 503).await;
    let (_, body) = health(&daemon).await;
    assert_eq!(body["status"], "error", "{body}");
    assert!(!body.to_string().contains(folder.path().to_str().unwrap()), "{body}");
}

/// T1.8: a health check costs nothing and leaks nothing.
#[tokio::test]
async fn t1_8_ten_thousand_health_checks_start_and_open_nothing() {
    let folder = tempfile::tempdir().unwrap();
    switch(folder.path(), "db", true);
    let config = switched(folder.path(), "db", &[]) + &server("s", "['service:db']");
    let mut daemon = daemon().config(&config).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    let fds = |pid: i32| std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let client = Client::new(daemon.base()).unwrap();
    let ask = async |path: &str| {
        let mut reply = client.plain("GET", path).await.unwrap();
        let body = reply.text().await.unwrap();
        assert_eq!(reply.status, 200, "{body}");
    };
    ask("/health").await;
    let (family, files) = (daemon.children().len(), fds(daemon.pid()));
    let runs = node(&daemon, "s").await.pid;
    for round in 0..10_000 {
        ask(["/health", "/health/ready", "/health/live", "/health/detailed"][round % 4]).await;
    }
    // A probe may be running now, as it may have been before.
    eventually("no more processes", async || (daemon.children().len() <= family).then_some(()))
        .await;
    eventually("no more files", async || (fds(daemon.pid()) <= files + 4).then_some(())).await;
    assert_eq!(node(&daemon, "s").await.pid, runs);
}

#[tokio::test]
async fn two_hundred_servers_in_twenty_layers_come_up_layer_by_layer() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = switched(folder.path(), "root", &[]);
    for at in 0..200 {
        let need = match at / 10 {
            0 => "'service:root'".to_owned(),
            layer => (0..10)
                .map(|one| format!("'service:n{}'", (layer - 1) * 10 + one))
                .collect::<Vec<_>>()
                .join(","),
        };
        config.push_str(&format!(
            "[services.n{at}]\nkind = 'once'\ncommand = ['true']\nneeds = [{need}]\n"
        ));
    }
    let daemon =
        daemon().config(&config).ready_within(Duration::from_secs(60)).start().await.unwrap();
    assert_eq!(node(&daemon, "n199").await.layer, 20);
    assert_eq!(node(&daemon, "n0").await.state.as_str(), "waiting");
    switch(folder.path(), "root", true);
    in_state(&daemon, "n199", "done").await;
}
