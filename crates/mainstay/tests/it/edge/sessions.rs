//! Sessions that are unknown, foreign, ended, idle or too many.

use std::time::Duration;

use serde_json::json;

use super::{Scene, until, whole};

const PING: &str = r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#;

#[tokio::test]
async fn only_a_session_of_this_address_is_let_in() {
    let scene = Scene::start().await;
    let near = scene.client("near").await;
    let own = near.session().unwrap().to_owned();
    let mut forged = own.clone().into_bytes();
    let at = forged.len() / 2;
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    let longer = format!("{own}A");
    for (name, session, status) in [
        ("near", own.as_str(), 200),
        ("far", &own, 404),
        ("", &own, 404),
        ("near", &forged, 404),
        ("near", &longer, 404),
        ("near", &own[..own.len() - 1], 404),
        ("near", "made-up", 404),
        ("near", "\u{e9}", 404),
        ("near", "", 400),
    ] {
        let mut client = scene.stranger(name);
        client.set_session(Some(session));
        let (got, answer) = whole(client.post(PING, &[]).await.unwrap()).await;
        assert_eq!(got, status, "{name} {session}: {answer}");
        if status != 200 {
            let code = if status == 404 { -32001 } else { -32600 };
            assert_eq!(answer["error"]["code"], code, "{name} {session}: {answer}");
            assert_eq!(answer["id"], "p", "{name} {session}: {answer}");
            assert!(answer["error"]["message"].as_str().unwrap().contains("initialize"));
            assert_eq!(client.listen(None).await.unwrap().status, status, "{name} {session}");
            assert_eq!(client.delete().await.unwrap().status, status, "{name} {session}");
        }
    }
    // The attempts of strangers have not ended the session.
    near.call("echo", json!({})).await.unwrap();
    assert_eq!(scene.refused("foreign_session").await, 6);
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_deleted_session_is_gone_with_its_streams_and_calls() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let client = scene.client(name).await;
        let mut stream = client.listen(None).await.unwrap();
        assert!(stream.is_stream());
        let hanging = {
            let client = client.clone();
            tokio::spawn(async move { client.call("hang_until_cancelled", json!({})).await })
        };
        scene.seen(name, "tool hang_until_cancelled", 1).await;
        assert_eq!(client.delete().await.unwrap().status, 200);
        assert!(hanging.await.unwrap().is_err());
        scene.seen(name, "cancelled calls", 1).await;
        assert_eq!(stream.message().await.unwrap(), None, "the stream ends");
        for _ in 0..2 {
            let (status, answer) = whole(client.post(PING, &[]).await.unwrap()).await;
            assert_eq!((status, &answer["error"]["code"]), (404, &json!(-32001)), "{answer}");
            assert_eq!(client.delete().await.unwrap().status, 404);
            assert_eq!(client.listen(None).await.unwrap().status, 404);
        }
    }
    assert_eq!(scene.metric("mcp_active_sessions").await, 2);
    scene.undisturbed().await;
}

#[tokio::test]
async fn an_idle_session_expires_and_a_busy_one_does_not() {
    let scene = Scene::with("session_idle = \"2s\"", &[]).await;
    let idle = scene.client("near").await;
    let listening = scene.client("near").await;
    let _stream = listening.listen(None).await.unwrap();
    let calling = scene.client("near").await;
    let call = {
        let calling = calling.clone();
        tokio::spawn(async move { calling.call("slow", json!({"ms": 4500})).await })
    };
    // A session that is used now and then stays, too.
    until("the call ends", async || {
        scene.undisturbed().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        call.is_finished()
    })
    .await;
    call.await.unwrap().unwrap();
    assert_eq!(scene.metric("mainstay_sessions_expired_total").await, 1);
    let (status, answer) = whole(idle.post(PING, &[]).await.unwrap()).await;
    assert_eq!((status, &answer["error"]["code"]), (404, &json!(-32001)), "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("expired"), "{answer}");
    listening.call("echo", json!({})).await.unwrap();
    calling.call("echo", json!({})).await.unwrap();
    assert_eq!(scene.metric("mcp_active_sessions").await, 4);
    scene.undisturbed().await;
}

#[tokio::test]
async fn past_the_most_sessions_nobody_is_pushed_out() {
    let scene = Scene::with("max_sessions = 4", &[]).await;
    let (third, fourth) = (scene.client("near").await, scene.client("").await);
    // Sessions that were never used would give way.
    scene.undisturbed().await;
    for client in [&third, &fourth] {
        client.request("ping", json!({})).await.unwrap();
    }
    for name in ["near", "far", ""] {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}});
        let body = json!({"jsonrpc": "2.0", "id": "i", "method": "initialize", "params": params});
        let headers = [("x-request-id", "too-many-1")];
        let reply = scene.stranger(name).post(body.to_string(), &headers).await.unwrap();
        assert_eq!(reply.header("mcp-session-id"), None);
        let (status, answer) = whole(reply).await;
        let error = &answer["error"];
        assert_eq!((status, &error["code"], &answer["id"]), (200, &json!(1012), &json!("i")));
        assert_eq!(error["data"]["code"], "SESSION_LIMIT", "{answer}");
        assert_eq!(error["data"]["limit"], "max_sessions: 4", "{answer}");
        assert_eq!(error["data"]["request_id"], "too-many-1", "{answer}");
        assert!(error["data"]["retry_after_ms"].as_u64().unwrap() > 0, "{answer}");
    }
    third.call("echo", json!({})).await.unwrap();
    fourth.request("ping", json!({})).await.unwrap();
    scene.undisturbed().await;
    // The operator's own commands have room.
    let called = scene.daemon.run(&["call", "near", "echo", "n=1"]).unwrap();
    assert!(called.status.success(), "{called:?}");
    third.delete().await.unwrap();
    let next = scene.client("near").await;
    assert_ne!(next.session(), third.session());
    let errors = scene.metric("mcp_errors_total{server=\"*\",code=\"SESSION_LIMIT\"}").await;
    assert_eq!(errors, 3);
}

#[tokio::test]
async fn no_two_sessions_are_alike() {
    let scene = Scene::start().await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let client = scene.client("near").await;
        assert!(seen.insert(client.session().unwrap().to_owned()));
    }
    // Session ids reveal neither names nor capabilities.
    for session in seen {
        assert!(!session.contains("near") && !session.contains("anonymous"), "{session}");
    }
}
