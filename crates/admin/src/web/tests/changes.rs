//! Routes that need the `admin` token.

use super::*;
use crate::web::read::{BODY_BYTES_MAX, BODY_WAIT};
use crate::web::{ACTIONS, READS};

#[tokio::test]
async fn changes_need_the_admin_token_everywhere_but_on_the_socket() {
    let (read, admin) = (read_token(), admin_token());
    for (from, token, code) in [
        (NEAR, "", 401),
        (NEAR, "Bearer x", 401),
        (NEAR, read.as_str(), 403),
        (NEAR, admin.as_str(), 202),
        (FAR, "", 401),
        (FAR, read.as_str(), 403),
        (FAR, admin.as_str(), 202),
        (Peer::Socket(Some(1000)), "", 202),
    ] {
        let scene = Scene::with(Health::Ok);
        let (got, body) = scene.post(from, token, "/api/actions/stop", "").await;
        assert_eq!(got, code, "{from} {token}: {body}");
        let carried_out = scene.actions.0.lock().clone();
        if code == 202 {
            assert_eq!(carried_out, [(Action::Stop, false)]);
            let done = json!({"action": "stop", "dry_run": false, "message": "done"});
            assert_eq!(body, done);
        } else {
            assert_eq!(carried_out, []);
            assert!(body["hint"].as_str().unwrap().contains("token"), "{body}");
        }
        let code = scene.ask(
            from,
            Request::get("/api/audit").header("authorization", token).body(Body::empty()).unwrap(),
        );
        assert_eq!(code.await.status().as_u16() == 200, got == 202, "{from} {token}");
    }
}

#[tokio::test]
async fn each_action_reads_its_body() {
    let scene = Scene::with(Health::Ok);
    let refresh = |server: &str| Action::Refresh { server: server.to_owned() };
    let start = |name: &str| Action::StartNode { name: name.to_owned() };
    let stop = |name: &str| Action::StopNode { name: name.to_owned() };
    let restart = |name: &str| Action::RestartNode { name: name.to_owned() };
    let reset = |name: Option<&str>| Action::ResetBreaker { name: name.map(ToOwned::to_owned) };
    for (path, body, code, action) in [
        ("stop", "", 202, Some((Action::Stop, false))),
        ("stop", r#"{"dry_run":true}"#, 200, Some((Action::Stop, true))),
        (
            "log-level",
            r#"{"level":"debug"}"#,
            200,
            Some((Action::SetLogLevel(LogLevel::Debug), false)),
        ),
        ("refresh", r#"{"server":"time","dry_run":true}"#, 200, Some((refresh("time"), true))),
        ("refresh", r#"{"server":"tme"}"#, 404, Some((refresh("tme"), false))),
        ("start-node", r#"{"name":"db"}"#, 200, Some((start("db"), false))),
        ("stop-node", r#"{"name":"db","dry_run":true}"#, 200, Some((stop("db"), true))),
        ("restart-node", r#"{"name":"db"}"#, 200, Some((restart("db"), false))),
        ("stop-node", r#"{"name":"dc"}"#, 404, Some((stop("dc"), false))),
        ("reset-breaker", r#"{"name":"db"}"#, 200, Some((reset(Some("db")), false))),
        ("reset-breaker", r#"{"dry_run":true}"#, 200, Some((reset(None), true))),
        ("reset-breaker", r#"{"all":true}"#, 400, None),
        // Without a name nothing stops, least of all the daemon.
        ("stop-node", "", 400, None),
        ("stop", r#"{"name":"db"}"#, 400, None),
        ("stop", r#"{"dryrun":true}"#, 400, None),
        ("stop", "[]x", 400, None),
        ("stop", "[]", 400, None),
        ("stop", "[true]", 400, None),
        // No body and `null` are the same, and the API description allows both.
        ("reset-breaker", "null", 200, Some((reset(None), false))),
        ("stop-node", "null", 400, None),
        ("log-level", r#"["info"]"#, 400, None),
        ("log-level", r#""info""#, 400, None),
        ("refresh", r#" ["time"]"#, 400, None),
        ("log-level", "", 400, None),
        ("log-level", r#"{"level":"loud"}"#, 400, None),
        ("refresh", r#"{"server":7}"#, 400, None),
    ] {
        let path = format!("/api/actions/{path}");
        scene.actions.0.lock().clear();
        let (got, answer) = scene.post(NEAR, &admin_token(), &path, body).await;
        assert_eq!(got, code, "{path} {body}: {answer}");
        assert_eq!(scene.actions.0.lock().pop(), action, "{path} {body}");
        if got >= 400 {
            for member in ["error", "at", "hint"] {
                assert!(answer[member].is_string(), "{path} {body}: {answer}");
            }
        }
    }
    let (_, answer) = scene.post(NEAR, &admin_token(), "/api/actions/stop", "{\n \"x\": 1}").await;
    assert_eq!(answer["at"], "the body, line 2, column 4");
    assert!(answer["error"].as_str().unwrap().contains("expected `dry_run`"), "{answer}");
}

#[tokio::test]
async fn who_stops_a_server_is_told_what_was_cut_off_and_who_depends_on_it() {
    let scene = Scene::with(Health::Ok);
    let body = r#"{"name":"db"}"#;
    let (code, done) = scene.post(Peer::Socket(None), "", "/api/actions/stop-node", body).await;
    let expected = json!({
        "action": "stop-node", "dry_run": false, "message": "stopped", "calls": 2,
        "drain_timeout_ms": 30_000, "cut_off": 1, "dependants": ["server:time"],
    });
    assert_eq!((code, done), (200, expected));
    let entry = scene.audit.0.lock().pop().unwrap();
    assert_eq!((&*entry.action, entry.target.as_deref()), ("stop-node", Some("db")));
}

#[tokio::test]
async fn a_refused_body_is_told_what_is_wrong_with_it() {
    let scene = Scene::with(Health::Ok);
    let post = async |path: &str, media: Option<&str>, body: &'static str| {
        let mut request = Request::post(format!("/api/actions/{path}"));
        if let Some(media) = media {
            request = request.header("content-type", media);
        }
        let request = request.header("authorization", admin_token()).body(Body::from(body));
        let (code, answer) = read(scene.ask(NEAR, request.unwrap()).await).await;
        (code, answer["error"].as_str().unwrap_or_default().to_owned())
    };
    let json = Some("application/json");
    for (path, media, body, code, error) in [
        ("stop", json, "[]", 400, "the body must be a JSON object"),
        ("log-level", json, r#"["info"]"#, 400, "the body must be a JSON object"),
        ("log-level", json, "", 400, "the body is empty"),
        ("log-level", json, " \n", 400, "the body is empty"),
        ("refresh", None, "", 400, "the body is empty"),
        ("stop", None, "{}", 415, "the header `content-type` is missing"),
        ("stop", Some("text/plain"), "{}", 415, "the body is not JSON"),
    ] {
        assert_eq!(post(path, media, body).await, (code, error.to_owned()), "{path} {body}");
    }
    assert_eq!(*scene.actions.0.lock(), []);
}

#[tokio::test]
async fn an_unknown_action_is_told_the_known_ones() {
    let scene = Scene::with(Health::Ok);
    let (code, body) = scene.post(NEAR, "", "/api/actions/restart", "{}").await;
    assert_eq!(code, 404);
    let paths = body["paths"].as_array().unwrap();
    assert!(paths.contains(&json!("/api/actions/stop")), "{body}");
}

#[tokio::test]
async fn bodies_are_json_and_not_too_large() {
    let scene = Scene::with(Health::Ok);
    let post = async |media: &str, body: Vec<u8>| {
        let request = Request::post("/api/actions/stop")
            .header("authorization", admin_token())
            .header("content-type", media)
            .body(Body::from(body));
        scene.ask(NEAR, request.unwrap()).await.status().as_u16()
    };
    assert_eq!(post("application/json; charset=utf-8", b"{}".to_vec()).await, 202);
    assert_eq!(post("text/plain", b"{}".to_vec()).await, 415);
    let mut large = vec![b' '; BODY_BYTES_MAX - 2];
    large.extend(b"{}");
    assert_eq!(post("application/json", large.clone()).await, 202);
    large.push(b' ');
    assert_eq!(post("application/json", large).await, 413);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let scene = Scene::with(Health::Ok);
    let request = Request::post("/api/actions/stop")
        .header("authorization", admin_token())
        .header("content-type", "application/json")
        .body(unfinished())
        .unwrap();
    let begun = tokio::time::Instant::now();
    assert_eq!(scene.ask(NEAR, request).await.status(), 408);
    assert_eq!(begun.elapsed().as_secs(), BODY_WAIT.as_secs());
    assert_eq!(*scene.actions.0.lock(), []);
}

#[tokio::test]
async fn each_use_is_in_the_audit_log_with_what_came_of_it() {
    let scene = Scene::with(Health::Ok);
    let (admin, read) = (admin_token(), read_token());
    let level = r#"{"level":"trace"}"#;
    scene.post(FAR, &admin, "/api/actions/stop", r#"{"dry_run":true}"#).await;
    scene.post(Peer::Socket(Some(7)), "", "/api/actions/refresh", r#"{"server":"tme"}"#).await;
    scene.post(NEAR, &read, "/api/actions/stop", "").await;
    scene.post(NEAR, "", "/api/actions/stop", "").await;
    scene.post(NEAR, "Bearer x", "/api/actions/stop", "").await;
    scene.post(NEAR, &admin, "/api/actions/log-level", level).await;
    scene.post(NEAR, &admin, "/api/actions/log-level", "{}").await;
    let page = scene.get(Peer::Socket(None), "/api/audit?limit=9").await.1;
    let entries = page["entries"].as_array().unwrap();
    let told = |entry: &Value| {
        let of = |member: &str| entry[member].as_str().unwrap_or("-").to_owned();
        ["token", "peer", "action", "target", "outcome", "why"].map(of).join("|")
    };
    let told: Vec<_> = entries.iter().map(told).collect();
    let expected = [
        "admin|127.0.0.1|POST /api/actions/log-level|-|failed|the body can't be used: missing field `level`",
        "admin|127.0.0.1|POST /api/actions/log-level|-|failed|an internal error",
        "read|127.0.0.1|POST /api/actions/stop|-|denied|-",
        "-|socket (user 7)|refresh|tme|failed|no such server",
        "admin|10.0.0.1|stop (dry run)|-|done|-",
    ];
    assert_eq!(told, expected);
    assert!(entries[0]["at"].as_str().unwrap().ends_with('Z'), "{}", entries[0]);
    assert!(entries.iter().all(|entry| entry["request_id"].as_str().unwrap().len() > 8));
    let newest = scene.audit.0.lock().last().cloned().unwrap();
    assert_eq!((newest.action.as_str(), newest.outcome), ("read audit", AuditOutcome::Done));
}

#[tokio::test(start_paused = true)]
async fn refused_uses_of_one_token_do_not_fill_the_audit_log() {
    let scene = Scene::with(Health::Ok);
    let refuse = async |path: &str| {
        assert_eq!(scene.post(FAR, &read_token(), path, "").await.0, 403, "{path}");
    };
    let recorded = || {
        let entries = std::mem::take(&mut *scene.audit.0.lock());
        assert!(entries.iter().all(|entry| entry.outcome == AuditOutcome::Denied));
        entries.into_iter().map(|entry| entry.action).collect::<Vec<_>>()
    };
    for _ in 0..100 {
        refuse("/api/actions/stop").await;
    }
    refuse("/api/actions/refresh").await;
    assert_eq!(recorded(), ["POST /api/actions/stop", "POST /api/actions/refresh"]);
    tokio::time::advance(Duration::from_secs(59)).await;
    refuse("/api/actions/stop").await;
    assert_eq!(recorded(), [""; 0]);
    tokio::time::advance(Duration::from_secs(1)).await;
    refuse("/api/actions/stop").await;
    refuse("/api/actions/refresh").await;
    assert_eq!(
        recorded(),
        ["POST /api/actions/stop (and 100 times before)", "POST /api/actions/refresh"]
    );
    // Uses that are allowed are recorded one by one.
    for _ in 0..3 {
        scene.post(FAR, &admin_token(), "/api/actions/stop", "").await;
    }
    assert_eq!(scene.audit.0.lock().len(), 3);
}

#[tokio::test]
async fn the_audit_log_is_read_in_pages() {
    let scene = Scene::with(Health::Ok);
    for (limit, code) in
        [("1", 200), ("1000", 200), ("0", 400), ("1001", 400), ("-1", 400), ("x", 400), ("13", 503)]
    {
        let path = format!("/api/audit?limit={limit}");
        assert_eq!(scene.get(Peer::Socket(None), &path).await.0, code, "{limit}");
    }
    for limit in ["0", "1001", "5000", "-1", "abc", ""] {
        let path = format!("/api/audit?limit={limit}");
        let (_, answer) = scene.get(Peer::Socket(None), &path).await;
        assert_eq!(answer["error"], "limit must be a number from 1 to 1000", "{limit}");
        assert_eq!(answer["at"], "query parameter `limit`", "{limit}");
    }
    assert_eq!(
        scene.get(Peer::Socket(None), "/api/audit?limit=1").await.1["entries"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn what_never_ends_is_given_up_and_keeps_nobody_from_health() {
    let scene = Arc::new(Scene::with(Health::Ok));
    let slow = r#"{"server":"slow"}"#;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..ACTIONS.at_once {
        let scene = scene.clone();
        waiting.spawn(async move {
            scene.post(NEAR, &admin_token(), "/api/actions/refresh", slow).await
        });
    }
    while scene.actions.0.lock().len() < ACTIONS.at_once {
        tokio::task::yield_now().await;
    }
    let request = Request::post("/api/actions/refresh").header("authorization", admin_token());
    let request = request.header("content-type", "application/json");
    let refused = scene.ask(NEAR, request.body(Body::from(r#"{"server":"time"}"#)).unwrap()).await;
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.status(), 503);
    assert_eq!(scene.get(NEAR, "/health").await.0, 200);
    // The daemon can be stopped and looked at meanwhile.
    assert_eq!(scene.post(NEAR, &admin_token(), "/api/actions/stop", "").await.0, 202);
    let refresh = r#"{"server":"time"}"#;
    let over_the_socket = scene.post(Peer::Socket(None), "", "/api/actions/refresh", refresh);
    assert_eq!(over_the_socket.await.0, 200);
    while let Some(answer) = waiting.join_next().await {
        assert_eq!(answer.unwrap().0, 504);
    }
    let again = scene.post(NEAR, &admin_token(), "/api/actions/refresh", refresh).await;
    assert_eq!(again.0, 200);
    assert!(READS.deadline < ACTIONS.deadline);
}

#[tokio::test(start_paused = true)]
async fn bodies_that_do_not_come_take_no_place_of_an_action() {
    let scene = Arc::new(Scene::with(Health::Ok));
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..=ACTIONS.at_once {
        let scene = scene.clone();
        waiting.spawn(async move {
            let request = Request::post("/api/actions/refresh")
                .header("authorization", admin_token())
                .header("content-type", "application/json")
                .body(unfinished())
                .unwrap();
            scene.ask(NEAR, request).await.status().as_u16()
        });
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let refresh = r#"{"server":"time"}"#;
    let (code, answer) = scene.post(NEAR, &admin_token(), "/api/actions/refresh", refresh).await;
    assert_eq!(code, 200, "{answer}");
    assert_eq!(waiting.join_all().await, [408; ACTIONS.at_once + 1]);
}

/// A body that never ends.
fn unfinished() -> Body {
    Body::new(http_body_util::StreamBody::new(futures_util::stream::pending::<
        Result<http_body::Frame<bytes::Bytes>, std::convert::Infallible>,
    >()))
}

#[tokio::test]
async fn whoever_hangs_up_does_not_undo_what_has_begun_nor_hide_it() {
    let scene = Scene::with(Health::Ok);
    // The body comes only after the client has gone.
    let (send, body) = tokio::sync::oneshot::channel::<&'static str>();
    let body = Body::new(http_body_util::StreamBody::new(futures_util::stream::once(async move {
        let bytes = body.await.unwrap_or_default();
        Ok::<_, std::convert::Infallible>(http_body::Frame::data(bytes::Bytes::from_static(
            bytes.as_bytes(),
        )))
    })));
    let request = Request::post("/api/actions/refresh")
        .header("authorization", admin_token())
        .header("content-type", "application/json")
        .body(body)
        .unwrap();
    let asked = tokio::time::timeout(Duration::from_millis(50), scene.ask(NEAR, request)).await;
    assert!(asked.is_err());
    send.send(r#"{"server":"time"}"#).unwrap();
    while scene.audit.0.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    let entry = scene.audit.0.lock()[0].clone();
    assert_eq!((entry.action.as_str(), entry.target.as_deref()), ("refresh", Some("time")));
    assert_eq!(entry.outcome, AuditOutcome::Done);
}

#[tokio::test]
async fn checks_are_made_for_the_operator_and_noted_in_the_audit_log() {
    let scene = Scene::with(Health::Ok);
    let admin = admin_token();
    let (code, _) = scene.post(NEAR, &read_token(), "/api/verify", "").await;
    assert_eq!(code, 403);
    for (body, code, found) in [
        ("", 200, json!(120_000)),
        (r#"{"names":["db"],"timeout_ms":50}"#, 200, json!(50)),
        (r#"{"names":["db","bd"]}"#, 404, json!(null)),
        (r#"{"timeout_ms":0}"#, 400, json!(null)),
        (r#"{"name":"db"}"#, 400, json!(null)),
    ] {
        let (got, answer) = scene.post(FAR, &admin, "/api/verify", body).await;
        assert_eq!((got, &answer["took_ms"]), (code, &found), "{body}: {answer}");
        if code == 404 {
            assert_eq!(answer["names"], json!(["db"]));
            assert!(answer["error"].as_str().unwrap().contains("\"bd\""), "{answer}");
        }
    }
    let entries = scene.audit.0.lock().clone();
    let noted: Vec<_> =
        entries.iter().map(|entry| (&*entry.action, entry.target.as_deref())).collect();
    assert!(noted.contains(&("verify", Some("db"))), "{noted:?}");
    assert!(noted.contains(&("verify", None)), "{noted:?}");
}
