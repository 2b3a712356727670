//! Tools that need something that is down are refused at once, and the others of the same server work.

use super::{
    Client, Daemon, Dependency, Mood, Value, call, code, daemon, eventually, health, json,
    misbehave, state, until,
};
use futures_util::future::join_all;

/// A server with its tools in front of an external: `record` and what begins with `e` need it, the others do not.
async fn stack(store: &Dependency, breaker: &str, probe: &str) -> (Daemon, Client) {
    let config = format!(
        "[servers.search]\ncommand = {}\nrequired = true\n\
         [servers.search.tools.\"e*\"]\nneeds = ['external:store']\n\
         [servers.search.tools.record]\nneeds = ['external:store']\n\
         [externals.store]\nhttp = 'http://{}/health'\nbreaker = {{ {breaker} }}\n{probe}\n",
        json!(misbehave(&[])),
        store.address
    );
    let daemon = daemon().config(&config).start().await.unwrap();
    until("ready", async || health(&daemon).await.1 == "ok").await;
    ready(&daemon).await;
    let client = daemon.client("search").await.unwrap();
    (daemon, client)
}

/// Waits until the external is ready.
async fn ready(daemon: &Daemon) {
    crate::graph::in_state(daemon, "store", "ready").await;
}

async fn calls_seen(client: &Client) -> Value {
    call(client, "stats", json!({})).await["result"]["structuredContent"].clone()
}

/// What everything says while the tools that need the store are refused, and its breaker is closed.
async fn said_everywhere(daemon: &Daemon) {
    assert_eq!(health(daemon).await.1, "degraded");
    let run = |arguments: &[&str]| {
        let ran = daemon.run(arguments).unwrap();
        (ran.status.code(), String::from_utf8(ran.stdout).unwrap())
    };
    for arguments in [&["status", "search"][..], &["graph"], &["verify", "search"]] {
        let (exit, said) = run(arguments);
        assert_eq!(exit, Some(i32::from(arguments[0] == "verify")), "{said}");
        // Long lines are wrapped nowhere but on terminals.
        assert!(said.contains("of search (") && said.contains(") are refused for "), "{said}");
        assert!(said.contains("external:store, which is unhealthy"), "{said}");
    }
    let (_, said) = run(&["status", "store"]);
    assert!(said.contains("of search\n") && said.contains("closed, "), "{said}");
    let (_, said) = run(&["status", "search", "--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["breaker"]["state"], "CLOSED", "{said}");
    assert_eq!(said["refused_tools"][0]["need"], "external:store", "{said}");
}

const OFTEN: &str = "period = '200ms'\nwaiting_period = '200ms'\ntimeout = '300ms'\nfall = 2";

#[tokio::test]
async fn while_a_need_is_down_its_tools_are_refused_and_everything_else_works() {
    for mood in [Mood::Status(503), Mood::Silent] {
        let store = Dependency::start();
        let (daemon, client) = stack(&store, "failures = 1000", OFTEN).await;
        assert!(call(&client, "echo", json!({"a": 1})).await["result"].is_object());

        store.set(mood);
        crate::graph::in_state(&daemon, "store", "unhealthy").await;
        let refused = eventually("the refusal", async || {
            let answer = call(&client, "record", json!({"nonce": "x"})).await;
            (code(&answer) == "DEGRADED").then_some(answer)
        })
        .await;
        let data = &refused["error"]["data"];
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains("external:store, which is unhealthy"), "{message}");
        assert_eq!(data["needs"][0]["need"], "external:store");
        assert_eq!(data["needs"][0]["state"], "unhealthy");
        assert!(data["needs"][0]["since"].is_string() && data["since"].is_string(), "{data}");
        assert!(data["retry_after_ms"].as_u64().is_some_and(|ms| ms > 0), "{data}");
        // What still works is named, and does.
        assert!(data["works"]["tools"].as_u64().is_some_and(|tools| tools > 5), "{data}");
        let names = data["works"]["names"].as_array().unwrap();
        assert!(!names.contains(&json!("echo")) && !names.is_empty(), "{data}");
        assert!(call(&client, "contents", json!({})).await["result"].is_object());
        assert!(call(&client, "slow", json!({"ms": 1})).await["result"].is_object());
        // Nothing of a refused call reached the server.
        for _ in 0..20 {
            assert_eq!(code(&call(&client, "record", json!({"nonce": "y"})).await), "DEGRADED");
        }
        let after = calls_seen(&client).await;
        assert!(after["recorded y"].is_null(), "{after}");
        // The status says so, too.
        let shown = daemon.run(&["status"]).unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains("are refused for ") && shown.contains("external:store"), "{shown}");
        said_everywhere(&daemon).await;

        store.set(Mood::Well);
        ready(&daemon).await;
        eventually("its return by itself", async || {
            call(&client, "echo", json!({"a": 1})).await["result"].is_object().then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn the_breaker_of_a_need_is_fed_by_its_probe_and_refuses_its_tools() {
    let store = Dependency::start();
    // The probe never finds it unhealthy, so only the breaker refuses.
    let probe = "period = '100ms'\nwaiting_period = '100ms'\ntimeout = '300ms'\nfall = 1000";
    let (daemon, client) = stack(&store, "failures = 3, recovery = '2s'", probe).await;
    assert_eq!(state(&daemon, "store").await, 0);
    store.set(Mood::Status(500));
    until("open", async || state(&daemon, "store").await == 2).await;
    assert_eq!(
        health(&daemon).await,
        (json!({"search": "CLOSED", "store": "OPEN"}), "degraded".to_owned())
    );
    let refused = call(&client, "echo", json!({})).await;
    if state(&daemon, "store").await == 2 {
        assert_eq!(code(&refused), "DEGRADED", "{refused}");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains("whose circuit breaker is"), "{message}");
        assert_eq!(refused["error"]["data"]["needs"][0]["state"], "breaker-open", "{refused}");
    }
    assert!(call(&client, "contents", json!({})).await["result"].is_object());
    // The first check after its recovery is the trial.
    store.set(Mood::Well);
    until("closed by a check", async || state(&daemon, "store").await == 0).await;
    assert!(call(&client, "echo", json!({"a": 1})).await["result"].is_object());
}

#[tokio::test]
async fn failed_calls_of_tools_feed_the_breaker_of_what_they_need_and_one_call_is_its_trial() {
    let dependency = Dependency::start();
    let config = format!(
        "[gateway]\ncall_timeout = '400ms'\n\
         [servers.far]\nurl = '{}'\nrequired = true\nbreaker = {{ enabled = false }}\n\
         [servers.far.tools.search]\nneeds = ['external:store']\n\
         [externals.store]\ncommand = ['true']\nperiod = '1h'\nbreaker = {{ failures = 2, recovery = '1s' }}\n",
        dependency.url()
    );
    let daemon = daemon().config(&config).start().await.unwrap();
    until("ready", async || health(&daemon).await.1 == "ok").await;
    ready(&daemon).await;
    let client = daemon.client("far").await.unwrap();
    dependency.set(Mood::Silent);
    // Calls of other tools say nothing about the store.
    assert_eq!(code(&call(&client, "plain", json!({})).await), "DEADLINE_EXCEEDED");
    for expected in [0, 2] {
        assert_eq!(code(&call(&client, "search", json!({})).await), "DEADLINE_EXCEEDED");
        assert_eq!(state(&daemon, "store").await, expected);
    }
    assert_eq!(state(&daemon, "far").await, 0, "its own breaker is switched off");
    until("half-open", async || state(&daemon, "store").await == 1).await;
    dependency.set(Mood::Well);
    let before = dependency.calls();
    let answers = join_all((0..20).map(|_| call(&client, "search", json!({})))).await;
    let reached = answers.iter().filter(|answer| answer["result"].is_object()).count();
    let refused = answers.iter().filter(|answer| code(answer) == "DEGRADED").count();
    assert_eq!((reached + refused, dependency.calls() - before), (20, reached));
    assert!(reached >= 1);
    assert_eq!(state(&daemon, "store").await, 0);
}

#[tokio::test]
async fn breakers_are_listed_and_reset_by_hand() {
    let dependency = Dependency::start();
    let (daemon, client) =
        super::with_remote(&dependency, "failures = 1, recovery = '1h'", "").await;
    dependency.set(Mood::Status(500));
    call(&client, "plain", json!({})).await;
    assert_eq!(state(&daemon, "far").await, 2);
    let run = |arguments: &[&str]| {
        let ran = daemon.run(arguments).unwrap();
        (
            ran.status.code(),
            String::from_utf8(ran.stdout).unwrap() + &String::from_utf8(ran.stderr).unwrap(),
        )
    };
    let (_, list) = run(&["breaker", "list"]);
    assert!(list.contains("far") && list.contains("open, trial in"), "{list}");
    let (_, listed) = run(&["breaker", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["breakers"][0]["state"], "OPEN", "{listed}");
    assert_eq!(listed["breakers"][0]["failures_total"], 1, "{listed}");
    let (_, status) = run(&["status"]);
    assert!(status.contains("the circuit breaker of far is open after 1 failure"), "{status}");
    let (exit, said) = run(&["breaker", "reset", "far", "--dry-run"]);
    assert_eq!((exit, said.trim()), (Some(0), "the breaker of far would be closed"));
    assert_eq!(state(&daemon, "far").await, 2);
    let (exit, said) = run(&["breaker", "reset", "fra"]);
    assert!(exit == Some(2) && said.contains("did you mean \"far\"?"), "{exit:?} {said}");
    let (exit, said) = run(&["breaker", "reset", "nope"]);
    assert!(exit == Some(2) && said.contains("there are far"), "{exit:?} {said}");
    let (_, said) = run(&["breaker", "reset"]);
    assert!(said.contains("breaker reset [OPTIONS] --all"), "{said}");
    let (_, said) = run(&["status", "far"]);
    assert!(said.contains("open for ") && said.contains("; the next trial is in "), "{said}");
    let (exit, said) = run(&["verify", "far"]);
    assert!(exit == Some(1) && said.contains("open and refuses calls, after 1 failure"), "{said}");
    dependency.set(Mood::Well);
    let (exit, said) = run(&["breaker", "reset", "far"]);
    assert!(exit == Some(0) && said.contains("the breaker of far is closed"), "{said}");
    assert_eq!(state(&daemon, "far").await, 0);
    assert!(call(&client, "plain", json!({})).await["result"].is_object());
    // A restart by hand closes it, too.
    dependency.set(Mood::Status(500));
    call(&client, "plain", json!({})).await;
    assert_eq!(state(&daemon, "far").await, 2);
    dependency.set(Mood::Well);
    run(&["restart", "far", "--no-verify"]);
    assert_eq!(state(&daemon, "far").await, 0);
    // So does a stop: nothing runs any more that could be tried.
    ready_again(&daemon).await;
    dependency.set(Mood::Status(500));
    call(&client, "plain", json!({})).await;
    assert_eq!(state(&daemon, "far").await, 2);
    run(&["stop", "far"]);
    assert_eq!(state(&daemon, "far").await, 0);
    let (_, status) = run(&["status"]);
    assert!(!status.contains("circuit breaker"), "{status}");
    let told = async |what: &str| {
        let (_, events) = run(&["events"]);
        events.contains(what).then_some(())
    };
    for what in [
        "opened after a failure: ",
        "closed: it was reset by hand",
        "closed: what it belongs to was restarted by hand",
        "closed: what it belongs to was stopped by hand",
    ] {
        eventually(what, async || told(what).await).await;
    }
}

/// Waits until the server can be called again.
async fn ready_again(daemon: &Daemon) {
    crate::graph::in_state(daemon, "far", "ready").await;
}

#[tokio::test]
async fn lists_are_served_while_a_breaker_is_open() {
    let dependency = Dependency::start();
    let (daemon, client) =
        super::with_remote(&dependency, "failures = 1, recovery = '1h'", "").await;
    let known = client.request("tools/list", json!({})).await.unwrap();
    dependency.set(Mood::Status(500));
    call(&client, "plain", json!({})).await;
    assert_eq!(state(&daemon, "far").await, 2);
    let now = client.request("tools/list", json!({})).await.unwrap();
    assert_eq!(now["tools"], known["tools"]);
    let all = Client::connect(&format!("{}/mcp", daemon.base())).await.unwrap();
    let merged = all.request("tools/list", json!({})).await.unwrap();
    assert_eq!(merged["tools"].as_array().unwrap().len(), 3, "{merged}");
    // Somebody new can come, and is refused only calls.
    let late = daemon.client("far").await.unwrap();
    assert_eq!(code(&call(&late, "plain", json!({})).await), "BREAKER_OPEN");
}

#[tokio::test]
async fn people_are_told_that_a_breaker_opened_and_closed() {
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("told");
    let script =
        format!("echo \"$MAINSTAY_EVENT $MAINSTAY_NAME $MAINSTAY_STATE\" >> {}", told.display());
    let dependency = Dependency::start();
    let more = "";
    let config = format!(
        "[gateway]\n{more}\n[servers.far]\nurl = '{}'\nrequired = true\nbreaker = {{ failures = 1, recovery = '1h' }}\n\
         [[notify]]\ncommand = {}\non = ['breaker']\n",
        dependency.url(),
        json!(["sh", "-c", script])
    );
    let daemon = daemon().config(&config).start().await.unwrap();
    until("ready", async || health(&daemon).await.1 == "ok").await;
    let client = daemon.client("far").await.unwrap();
    dependency.set(Mood::Status(500));
    call(&client, "plain", json!({})).await;
    let text = eventually("somebody is told", async || {
        std::fs::read_to_string(&told).ok().filter(|text| text.ends_with('\n'))
    })
    .await;
    assert_eq!(text, "breaker far breaker-open\n");
}
