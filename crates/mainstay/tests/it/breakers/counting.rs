//! What counts as a failure and what does not.

use super::{
    Client, Dependency, Mood, call, code, daemon, failures, health, json, misbehave, state, until,
    with_remote,
};
use futures_util::future::join_all;
use mainstay_testkit::process::Process;
use rustix::process::Signal;

#[tokio::test]
async fn missed_deadlines_open_it() {
    let dependency = Dependency::start();
    let more = "call_timeout = '300ms'";
    let (daemon, client) = with_remote(&dependency, "failures = 2, recovery = '1h'", more).await;
    dependency.set(Mood::Silent);
    assert_eq!(code(&call(&client, "plain", json!({})).await), "DEADLINE_EXCEEDED");
    assert_eq!(state(&daemon, "far").await, 0);
    assert_eq!(code(&call(&client, "plain", json!({})).await), "DEADLINE_EXCEEDED");
    assert_eq!(state(&daemon, "far").await, 2);
    let before = dependency.calls();
    let refused = call(&client, "plain", json!({})).await;
    assert_eq!(code(&refused), "BREAKER_OPEN");
    assert!(refused["error"]["message"].as_str().unwrap().contains("by the deadline"), "{refused}");
    assert_eq!(dependency.calls(), before);
}

#[tokio::test]
async fn errors_of_tools_and_mistakes_of_clients_do_not_open_it() {
    let dependency = Dependency::start();
    let (daemon, client) = with_remote(&dependency, "failures = 1, recovery = '1h'", "").await;
    let moods =
        [Mood::ToolError, Mood::Error, Mood::Status(404), Mood::Status(429), Mood::Status(403)];
    for mood in moods {
        dependency.set(mood);
        let before = dependency.calls();
        for _ in 0..3 {
            let answer = call(&client, "plain", json!({})).await;
            assert_ne!(code(&answer), "BREAKER_OPEN", "{mood:?}: {answer}");
        }
        assert!(dependency.calls() >= before + 3, "{mood:?}");
        assert_eq!(failures(&daemon, "far").await, 0, "{mood:?}");
        assert_eq!(state(&daemon, "far").await, 0, "{mood:?}");
    }
    dependency.set(Mood::Status(500));
    call(&client, "plain", json!({})).await;
    assert_eq!(state(&daemon, "far").await, 2);
}

#[tokio::test]
async fn an_error_with_an_http_status_of_failure_reaches_the_client_and_opens_it() {
    let dependency = Dependency::start();
    let (daemon, client) = with_remote(&dependency, "failures = 2, recovery = '1h'", "").await;
    // Not the fault of the server.
    dependency.set(Mood::ErrorAs(400));
    for _ in 0..3 {
        assert_eq!(call(&client, "plain", json!({})).await["error"]["code"], -32000);
    }
    assert_eq!(failures(&daemon, "far").await, 0);
    dependency.set(Mood::ErrorAs(503));
    for _ in 0..2 {
        assert_eq!(call(&client, "plain", json!({})).await["error"]["code"], -32000);
    }
    assert_eq!(state(&daemon, "far").await, 2);
    let refused = call(&client, "plain", json!({})).await;
    assert_eq!(code(&refused), "BREAKER_OPEN");
    assert!(refused["error"]["message"].as_str().unwrap().contains("HTTP 503"), "{refused}");
}

#[tokio::test]
async fn calls_that_clients_take_back_do_not_open_it() {
    let dependency = Dependency::start();
    let (daemon, client) = with_remote(&dependency, "failures = 1, recovery = '1h'", "").await;
    dependency.set(Mood::Silent);
    for nth in 0..3 {
        let before = dependency.calls();
        let id = json!(format!("call-{nth}"));
        let params = json!({"name": "plain", "arguments": {}});
        let taken_back = async {
            until("sent", async || dependency.calls() > before).await;
            client.notify("notifications/cancelled", json!({"requestId": id})).await.unwrap();
            until("withdrawn", async || {
                super::get(&daemon, "/metrics").await.contains(&format!(
                    "mainstay_attempts_total{{server=\"far\",outcome=\"withdrawn\"}} {}",
                    nth + 1
                ))
            })
            .await;
        };
        // The answer would begin after seconds, as a stream.
        tokio::select! {
            _ = client.send_as(id.clone(), "tools/call", params) => {}
            () = taken_back => {}
        }
    }
    dependency.set(Mood::Well);
    let answer = call(&client, "plain", json!({})).await;
    assert!(answer["result"].is_object(), "{answer}");
    assert_eq!((state(&daemon, "far").await, failures(&daemon, "far").await), (0, 0));
}

/// A process that ends takes all its calls with it: that is one failure, whatever was in flight.
#[tokio::test]
async fn a_hundred_calls_in_flight_at_a_killed_instance_are_one_failure() {
    let config = format!(
        "[servers.near]\ncommand = {}\nrequired = true\nbreaker = {{ failures = 2 }}\n",
        json!(misbehave(&[]))
    );
    let mut daemon = daemon().config(&config).start().await.unwrap();
    until("ready", async || health(&daemon).await.1 == "ok").await;
    let client = daemon.client("near").await.unwrap();
    let calls = join_all((0..100).map(|_| call(&client, "hang", json!({}))));
    let kill = async {
        until("100 calls in flight", async || {
            let metrics = super::get(&daemon, "/metrics").await;
            metrics.contains("mainstay_calls_in_flight{server=\"near\"} 100")
        })
        .await;
        let children: Vec<Process> = Process::below(daemon.pid());
        let server = children.iter().find(|one| one.command.contains("misbehave"));
        server.expect("the server runs").signal(Signal::KILL);
    };
    let (answers, ()) = tokio::join!(calls, kill);
    for answer in &answers {
        assert_eq!(code(answer), "OUTCOME_UNKNOWN", "{answer}");
    }
    assert_eq!((state(&daemon, "near").await, failures(&daemon, "near").await), (0, 1));
    until("back", async || {
        let again: Client = match daemon.client("near").await {
            Ok(client) => client,
            Err(_) => return false,
        };
        call(&again, "echo", json!({"text": "x"})).await["result"].is_object()
    })
    .await;
    drop(client);
    daemon.children();
}
