//! Sessions that last as long as their streams.

use mainstay_testkit::SseClient;
use serde_json::{Value, json};

use super::{PATIENCE, Scene, assert_echo, builder, until, url};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"t","version":"0"}}}"#;

#[tokio::test]
async fn a_request_before_initialize_is_answered_on_the_stream() {
    let scene = Scene::start().await;
    for name in ["near", "far", ""] {
        let mut client = SseClient::open(&scene.url(name)).await.unwrap();
        for (method, code) in [
            ("tools/list", -32600),
            ("tools/call", -32600),
            ("server/discover", -32601),
            ("subscriptions/listen", -32601),
            ("no/such", -32601),
        ] {
            // Anything but 202 is the end of the connection for some clients.
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            let id = client.send(method, json!({"_meta": meta})).await.unwrap();
            let answer = client.answer(&id).await.unwrap();
            assert_eq!(answer["error"]["code"], code, "{name} {method}: {answer}");
            let says = answer["error"]["message"].as_str().unwrap();
            assert!(says.contains("initialize"), "{says}");
        }
        assert_eq!(client.request("ping", json!({})).await.unwrap(), json!({}));
        for body in [
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            r#"{"jsonrpc":"2.0","id":"x","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":"x","error":{"code":1,"message":"no"}}"#,
        ] {
            assert_eq!(client.poster.post(body, &[]).await.unwrap().status, 202, "{body}");
        }
        client.initialize("2024-11-05", &json!({})).await.unwrap();
        assert_echo(&client.call("echo", json!({"n": 1})).await.unwrap(), &json!({"n": 1}));
        // In the session it is as unknown as before.
        let id = client.send("server/discover", json!({})).await.unwrap();
        assert_eq!(client.answer(&id).await.unwrap()["error"]["code"], -32601, "{name}");
        assert!(client.kept().is_empty(), "{name}: nothing comes twice");
    }
}

#[tokio::test]
async fn members_of_the_next_revision_change_nothing_in_a_session() {
    let scene = Scene::start().await;
    for name in ["near", "far", ""] {
        let mut client = scene.client(name).await;
        for meta in [
            json!({"io.modelcontextprotocol/logLevel": "info"}),
            json!({"io.modelcontextprotocol/clientInfo": {"name": "x", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {}}),
            json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"}),
        ] {
            let page = client.request("tools/list", json!({"_meta": meta})).await.unwrap();
            assert!(page["tools"].as_array().unwrap().len() > 20, "{name} {meta}");
            for params in [Value::Null, json!({"cursor": null}), json!({"cursor": ""})] {
                assert_eq!(client.request("tools/list", params).await.unwrap(), page, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn there_is_one_initialize_to_a_stream() {
    let scene = Scene::start().await;
    let mut client = SseClient::open(&scene.url("near")).await.unwrap();
    // All are sent at once; one of them opens the session.
    for _ in 0..5 {
        assert_eq!(client.poster.post(INITIALIZE, &[]).await.unwrap().status, 202);
    }
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(client.answer(&json!("i")).await.unwrap());
    }
    let good = answers.iter().filter(|answer| answer["result"].is_object()).count();
    assert_eq!(good, 1, "{answers:?}");
    assert!(
        answers.iter().filter(|answer| answer["error"].is_object()).all(|answer| {
            answer["error"]["code"] == -32600
                && answer["error"]["message"].as_str().unwrap().contains("already")
        }),
        "{answers:?}"
    );
    assert_eq!(scene.sessions().await, 1);
    client.call("echo", json!({})).await.unwrap();
    // A later one changes nothing.
    assert_eq!(client.poster.post(INITIALIZE, &[]).await.unwrap().status, 202);
    let again = client.answer(&json!("i")).await.unwrap();
    assert_eq!(again["error"]["code"], -32600, "{again}");
    client.call("echo", json!({})).await.unwrap();
    assert_eq!(scene.sessions().await, 1);
}

#[tokio::test]
async fn garbage_disturbs_nothing() {
    let scene = Scene::with("max_body = \"64KiB\"").await;
    let mut client = scene.client("near").await;
    let huge = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "x".repeat(80 << 10));
    let huge = huge.replace("\"id\":1", "\"id\":null");
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    for (body, status) in [
        ("", 400),
        ("{", 400),
        ("null", 400),
        ("[]", 400),
        ("\u{0}", 400),
        ("<html></html>", 400),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, 400),
        (r#"{"id":1}"#, 400),
        (&deep, 400),
        (&huge, 413),
    ] {
        let mut reply = client.poster.post(body, &[]).await.unwrap();
        let shown = &body[..body.len().min(40)];
        let said = reply.text().await.unwrap();
        assert_eq!(reply.status, status, "{shown}: {said}");
    }
    let text = client.poster.post("{}", &[("content-type", "text/plain")]).await.unwrap();
    assert_eq!(text.status, 415);
    assert_echo(&client.call("echo", json!({"n": 1})).await.unwrap(), &json!({"n": 1}));
    assert!(client.kept().is_empty(), "what was refused is not answered a second time");
}

/// Clients of this transport take a refused POST for the end of the connection.
#[tokio::test]
async fn a_request_that_is_refused_by_its_body_is_answered_on_the_stream() {
    let scene = Scene::with("max_body = \"64KiB\"").await;
    let mut client = scene.client("near").await;
    let long = "x".repeat(3 << 20);
    let nested = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    for (body, id, limit) in [
        (format!(r#"{{"jsonrpc":"2.0","id":"first","method":"{long}"}}"#), "first", "max_body"),
        (format!(r#"{{"method":"m","params":{{"x":"{long}"}},"id":"last"}}"#), "last", "max_body"),
        (format!(r#"{{"id":"deep","method":"m","params":{{"x":{nested}}}}}"#), "deep", "max_depth"),
    ] {
        let mut reply = client.poster.post(body, &[]).await.unwrap();
        let said = reply.text().await.unwrap();
        assert_eq!(reply.status, 202, "{id}: {said}");
        let answer = client.answer(&json!(id)).await.unwrap();
        assert_eq!(answer["error"]["data"]["code"], "LIMIT_EXCEEDED", "{answer}");
        let said = answer["error"]["data"]["limit"].as_str().unwrap();
        assert!(said.starts_with(limit), "{answer}");
    }
    assert_echo(&client.call("echo", json!({"n": 1})).await.unwrap(), &json!({"n": 1}));
    // Whose bodies are not read to their end keep their status.
    let notification = format!(r#"{{"jsonrpc":"2.0","method":"notifications/{long}"}}"#);
    assert_eq!(client.poster.post(notification, &[]).await.unwrap().status, 413);
}

#[tokio::test]
async fn a_cut_stream_ends_all_that_hangs_on_it() {
    let scene = Scene::start().await;
    let mut client = scene.client("near").await;
    let mut stays = scene.client("near").await;
    client.request("resources/subscribe", json!({"uri": "mis://one"})).await.unwrap();
    let hang = json!({"name": "hang_until_cancelled", "arguments": {}});
    client.send("tools/call", hang).await.unwrap();
    scene.seen("tool hang_until_cancelled", 1).await;
    assert_eq!(scene.sessions().await, 2);
    let SseClient { poster, stream, .. } = client;
    drop(stream);
    until("its session ends", async || scene.sessions().await == 1).await;
    scene.seen("cancelled calls", 1).await;
    scene.seen("resources/unsubscribe", 1).await;
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    assert_eq!(poster.post(ping, &[]).await.unwrap().status, 404);
    stays.call("echo", json!({})).await.unwrap();
    let status: Value = scene
        .daemon
        .run(&["status", "--json"])
        .map(|run| serde_json::from_slice(&run.stdout).unwrap())
        .unwrap();
    assert_eq!(status["sessions"]["calls"], 0, "{status}");
    drop(stays);
    until("no session is left", async || scene.sessions().await == 0).await;
}

#[tokio::test]
async fn a_stream_cut_during_the_handshake_leaves_no_session() {
    // The server starts slowly, so the handshake waits for it.
    let program = mainstay_testkit::programs::misbehave().unwrap();
    let command = [program.to_str().unwrap(), "stdio", "--slow-handshake=1500"];
    let daemon = builder("").command_server("late", &command).start().await.unwrap();
    let client = SseClient::open(&url(daemon.base(), "late")).await.unwrap();
    assert_eq!(client.poster.post(INITIALIZE, &[]).await.unwrap().status, 202);
    drop(client);
    let late = daemon.client("late").await.unwrap();
    late.call("echo", json!({})).await.unwrap();
    late.delete().await.unwrap();
    until("no session is left", async || {
        let run = daemon.run(&["status", "--json"]).unwrap();
        let status: Value = serde_json::from_slice(&run.stdout).unwrap();
        status["sessions"]["active"] == 0
    })
    .await;
}

#[tokio::test]
async fn past_the_most_sessions_no_stream_is_opened() {
    // The witness has one of the sessions.
    let scene = Scene::with("max_sessions = 3").await;
    // A session that nobody has used would give way.
    scene.witness.call("stats", json!({})).await.unwrap();
    let (first, mut second) = (scene.client("near").await, scene.client("").await);
    // A third stream opens, and its session is refused.
    let mut third = SseClient::open(&scene.url("near")).await.unwrap();
    assert_eq!(third.poster.post(INITIALIZE, &[]).await.unwrap().status, 202);
    let answer = third.answer(&json!("i")).await.unwrap();
    assert_eq!(answer["error"]["code"], 1012, "{answer}");
    assert_eq!(answer["error"]["data"]["limit"], "max_sessions: 3", "{answer}");
    // Streams are limited to the number of sessions allowed, whether they have a session or not.
    let opener = mainstay_testkit::Client::new(&scene.url("near")).unwrap();
    let mut refused = opener.listen(None).await.unwrap();
    assert_eq!(refused.status, 503);
    let answer = refused.json().await.unwrap();
    assert_eq!(answer["error"]["data"]["code"], "SESSION_LIMIT", "{answer}");
    second.call("echo", json!({})).await.unwrap();
    drop((first, third));
    until("their places are free", async || scene.sessions().await == 1).await;
    let mut next = scene.client("near").await;
    next.call("echo", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_stopping_daemon_finishes_calls_and_ends_streams() {
    let mut daemon = builder("").start().await.unwrap();
    let sse = url(daemon.base(), "near");
    let mut busy = SseClient::connect(&sse, &json!({})).await.unwrap();
    let mut idle = SseClient::connect(&sse, &json!({})).await.unwrap();
    let mut silent = SseClient::open(&sse).await.unwrap();
    let call = json!({"name": "slow", "arguments": {"ms": 1000}});
    let id = busy.send("tools/call", call).await.unwrap();
    until("the call is under way", async || {
        let run = daemon.run(&["status", "--json"]).unwrap();
        let status: Value = serde_json::from_slice(&run.stdout).unwrap();
        status["sessions"]["calls"] == 1
    })
    .await;
    daemon.term().unwrap();
    assert_echo(&busy.answer(&id).await.unwrap()["result"], &json!({"ms": 1000}));
    for client in [&mut busy, &mut idle, &mut silent] {
        assert_eq!(client.next().await.unwrap(), None, "a whole end, not a cut");
    }
    assert!(daemon.wait(PATIENCE).await.unwrap().success());
}

#[tokio::test]
async fn an_open_stream_keeps_its_session_however_silent_it_is() {
    let scene = Scene::with("session_idle = \"1s\"").await;
    let mut silent = scene.client("near").await;
    // Later sessions without a stream expire one after the other, and this one stays.
    for expired in 1..=3 {
        scene.daemon.client("near").await.unwrap();
        until("a session without a stream expires", async || {
            scene.witness.request("ping", json!({})).await.unwrap();
            scene.metric("mainstay_sessions_expired_total").await == expired
        })
        .await;
        assert_eq!(scene.metric("mcp_active_sessions").await, 2, "the witness and the silent one");
    }
    silent.call("echo", json!({})).await.unwrap();
}
