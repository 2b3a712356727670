//! Events: who sees which reason, and what is asked for.

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use mainstay_model::status::Health;
use serde_json::json;

use super::{FAR, NEAR, Scene, admin_token, read, read_token};
use crate::access::Peer;

#[tokio::test]
async fn only_the_operator_sees_whole_reasons() {
    let scene = Scene::with(Health::Ok);
    let brief = json!({
        "events": [{
            "id": 1,
            "at": "2096-10-02T07:06:40.123Z",
            "of": "server",
            "name": "time",
            "instance": 3,
            "event": "back",
            "from": "crash-loop",
            "to": "ready",
            "reason": "brief reason",
        }],
        "cut": false,
    });
    let mut whole = brief.clone();
    whole["events"][0]["reason"] = "/whole/reason".into();
    let with = |token: String| {
        Request::get("/api/events").header("authorization", token).body(Body::empty()).unwrap()
    };
    assert_eq!(scene.get(NEAR, "/api/events").await, (200, brief.clone()));
    assert_eq!(read(scene.ask(FAR, with(read_token())).await).await, (200, brief));
    assert_eq!(read(scene.ask(FAR, with(admin_token())).await).await, (200, whole.clone()));
    assert_eq!(scene.get(Peer::Socket(None), "/api/events").await, (200, whole));
}

#[tokio::test]
async fn what_can_not_be_read_is_said() {
    let scene = Scene::with(Health::Ok);
    for (query, code, says) in [
        ("limit=0", 400, "1 to 1000"),
        ("limit=1001", 400, "1 to 1000"),
        ("since=soon", 400, "RFC 3339"),
        ("after=x", 400, "can't be read"),
        ("after=9223372036854775808", 400, "higher than any id"),
        ("after=13", 503, "the events can't be read"),
        ("name=tme", 404, "no such server"),
    ] {
        let (got, problem) = scene.get(NEAR, &format!("/api/events?{query}")).await;
        assert_eq!(got, code, "{query}");
        assert!(problem["error"].as_str().unwrap().contains(says), "{query}: {problem}");
    }
    let (_, unknown) = scene.get(NEAR, "/api/events?name=tme").await;
    assert_eq!(unknown["servers"], json!(["db"]));
    for (query, count) in [("after=0", 1), ("after=1", 0), ("name=time", 1), ("limit=1000", 1)] {
        let (code, page) = scene.get(NEAR, &format!("/api/events?{query}")).await;
        assert_eq!((code, page["events"].as_array().unwrap().len()), (200, count), "{query}");
    }
}

/// A stream costs a place for as long as it lasts, and strangers can't take those of the operator.
#[tokio::test]
async fn streams_of_others_leave_room_for_the_operator() {
    let scene = Scene::with(Health::Ok);
    let path = "/api/events?follow=true";
    let follow =
        async |from| scene.ask(from, Request::get(path).body(Body::empty()).unwrap()).await;
    let mut open = Vec::new();
    let busy = loop {
        let answer = follow(NEAR).await;
        if answer.status() != 200 {
            break answer;
        }
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        open.push(answer);
        assert!(open.len() < 1000);
    };
    assert_eq!(busy.status(), 503);
    assert_eq!(follow(Peer::Socket(None)).await.status(), 200);
    open.pop();
    assert_eq!(follow(NEAR).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_after_the_last_event_that_was_read() {
    let scene = Scene::with(Health::Ok);
    for (last, begins) in [("0", "id: 1\ndata: {"), ("x", "id: 1\ndata: {"), ("1", ":")] {
        let path = "/api/events?follow=true&after=0";
        let request = Request::get(path).header("last-event-id", last).body(Body::empty()).unwrap();
        let mut body = scene.ask(NEAR, request).await.into_body();
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(frame.starts_with(begins.as_bytes()), "{last}: {frame:?}");
    }
}
