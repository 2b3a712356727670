//! Metrics and logs of the daemon.

use std::collections::BTreeMap;

use mainstay_testkit::{Daemon, programs};
use serde_json::{Value, json};

use super::{PATIENCE, Scene, call, until, whole};

#[tokio::test]
async fn health_is_what_it_is() {
    let scene = Scene::start().await;
    for path in ["/health", "/health/ready", "/health/live", "/health/detailed"] {
        let (status, body) = whole(scene.get(path).await).await;
        assert_eq!((status, &body["status"]), (200, &json!("ok")), "{path}: {body}");
        assert!(body["circuit_breakers"].is_object(), "{path}: {body}");
    }
    let (_, detailed) = whole(scene.get("/health/detailed").await).await;
    for member in
        ["connection_pool", "memory_usage", "sessions", "volumes", "dependencies", "servers"]
    {
        assert!(!detailed[member].is_null(), "{member}: {detailed}");
    }
    let (_, pool) = whole(scene.get("/stats/pool").await).await;
    let members: Vec<_> = pool.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["active", "idle", "maxPoolSize", "minPoolSize", "total"]);
    let (status, unknown) = whole(scene.get("/stats/pool?server=nobody").await).await;
    assert_eq!((status, &unknown["servers"]), (404, &json!(["near", "far"])), "{unknown}");
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_required_server_that_is_not_there_is_unready() {
    let daemon = Daemon::builder(env!("CARGO_BIN_EXE_mainstay"))
        .config("[servers.gone]\ncommand = [\"/nonexistent/program\"]\nrequired = true")
        .start()
        .await
        .unwrap();
    let client = mainstay_testkit::Client::new(&daemon.endpoint("gone")).unwrap();
    until("it is unready", async || client.plain("GET", "/health").await.unwrap().status == 503)
        .await;
    let (status, body) = whole(client.plain("GET", "/health/ready").await.unwrap()).await;
    assert_eq!((status, &body["waiting_for"]), (503, &json!(["gone"])), "{body}");
    for path in ["/health/live", "/health/detailed"] {
        assert_eq!(client.plain("GET", path).await.unwrap().status, 200, "{path}");
    }
}

/// Returns samples by name and labels. Fails if the text violates the rules of OpenMetrics.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let body = text.strip_suffix("# EOF\n").expect("it ends with the end mark");
    let (mut found, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    let mut family = String::new();
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (what, name) = (words.next().unwrap(), words.next().unwrap());
            let rest = words.next().unwrap_or_default();
            match what {
                "TYPE" => {
                    assert!(kinds.insert(name.to_owned(), rest.to_owned()).is_none(), "{line}");
                }
                "UNIT" => assert!(name.ends_with(&format!("_{rest}")), "{line}"),
                _ => assert_eq!(what, "HELP", "{line}"),
            }
            name.clone_into(&mut family);
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let name = series.split('{').next().unwrap();
        let suffixes: &[&str] = match kinds[&family].as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_count", "_sum"],
            "info" => &["_info"],
            kind => panic!("{kind}: {line}"),
        };
        let end = name.strip_prefix(&family).unwrap_or_else(|| panic!("{line} in {family}"));
        assert!(suffixes.contains(&end), "{line}");
        let labels = &series[name.len()..];
        assert!(labels.is_empty() || labels.starts_with('{') && labels.ends_with("\"}"), "{line}");
        assert!(found.insert(series.to_owned(), value.parse().unwrap()).is_none(), "{line}");
    }
    found
}

#[tokio::test]
async fn metrics_count_exactly_what_was_sent() {
    let scene = Scene::with("call_timeout = \"200ms\"", &[]).await;
    let scrape = async || {
        let mut reply = scene.get("/metrics").await;
        assert!(reply.header("content-type").unwrap().starts_with("application/openmetrics-text"));
        samples(&reply.text().await.unwrap())
    };
    for name in ["near", "far"] {
        let client = scene.client(name).await;
        let before = scrape().await;
        for (tool, times) in [("echo", 7), ("fail", 2), ("refuse", 3), ("hang", 1), ("no such", 1)]
        {
            for _ in 0..times {
                client
                    .post(call("1", tool, &json!({})), &[])
                    .await
                    .unwrap()
                    .message()
                    .await
                    .unwrap();
            }
        }
        for _ in 0..5 {
            client.request("ping", json!({})).await.unwrap();
            client.request("resources/read", json!({"uri": "mis://one"})).await.unwrap();
        }
        let after = scrape().await;
        let rose = |series: &str| {
            let at = |samples: &BTreeMap<String, f64>| *samples.get(series).unwrap_or(&0.0);
            at(&after) - at(&before)
        };
        let of = |method: &str, outcome: &str| {
            let labels = format!("server=\"{name}\",method=\"{method}\",outcome=\"{outcome}\"");
            rose(&format!("mcp_requests_total{{{labels}}}"))
        };
        assert_eq!(of("tools/call", "ok"), 7.0, "{name}");
        assert_eq!(of("tools/call", "tool_error"), 2.0, "{name}");
        assert_eq!(of("tools/call", "error"), 4.0, "{name}");
        assert_eq!(of("tools/call", "timeout"), 1.0, "{name}");
        assert_eq!(of("resources/read", "ok"), 5.0, "{name}");
        let labels = format!("server=\"{name}\",method=\"tools/call\"");
        assert_eq!(rose(&format!("mcp_request_duration_seconds_count{{{labels}}}")), 14.0);
        assert_eq!(
            rose(&format!("mcp_request_duration_seconds_bucket{{le=\"+Inf\",{labels}}}")),
            14.0
        );
        let code = format!("mcp_errors_total{{server=\"{name}\",code=\"DEADLINE_EXCEEDED\"}}");
        assert_eq!(rose(&code), 1.0, "{name}");
        let errors: f64 = after
            .keys()
            .filter(|key| key.starts_with("mcp_errors_total"))
            .map(|key| rose(key))
            .sum();
        assert_eq!(errors, 1.0, "{name}: nothing else went wrong");
        let all: f64 = after
            .keys()
            .filter(|key| key.starts_with("mcp_requests_total"))
            .map(|key| rose(key))
            .sum();
        assert_eq!(all, 24.0, "{name}: and nothing else was asked");
        assert_eq!(after["mcp_active_sessions"] - before["mcp_active_sessions"], 0.0);
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn nothing_secret_is_in_the_log() {
    const SECRET: &str = "s3cret";
    let program = programs::misbehave().unwrap();
    let command = json!([program.to_str().unwrap(), "stdio"]);
    let daemon = Daemon::builder(env!("CARGO_BIN_EXE_mainstay"))
        .argument("-v")
        .config("[gateway]\nmax_sessions = 2\nmax_body = \"2KiB\"\ncall_timeout = \"300ms\"")
        .config(&format!("[servers.near]\ncommand = {command}\nenv = {{ KEY = \"{SECRET}-env\" }}"))
        .start()
        .await
        .unwrap();
    let client = daemon.client("near").await.unwrap();
    let client = client.header("authorization", "Bearer s3cret-token").header("cookie", "s3cret=1");
    let secret = |what: &str| json!({"secret": format!("{SECRET}-{what}"), "message": SECRET});
    for tool in ["echo", "refuse", "hang", "s3cret_tool", "garbage", "wrong_type", "crash", "echo"]
    {
        let _ = client
            .send("tools/call", json!({"name": tool, "arguments": secret(tool)}))
            .await
            .unwrap()
            .answer()
            .await;
    }
    for body in [
        "s3cret",
        "{\"s3cret\":",
        "[\"s3cret\"]",
        r#"{"jsonrpc":"s3cret","id":"s3cret","method":"s3cret"}"#,
        &SECRET.repeat(1000),
    ] {
        client.post(body, &[]).await.unwrap();
    }
    let mut stranger = client.clone();
    stranger.set_session(Some("s3cret-session"));
    stranger.post(call("\"s3cret\"", "echo", &secret("stranger")), &[]).await.unwrap();
    client.plain("GET", "/mcp/nobody?token=s3cret-query").await.unwrap();
    let other = daemon.client("near").await.unwrap();
    other.request("ping", json!({})).await.unwrap();
    assert!(daemon.client("near").await.is_err());
    other.delete().await.unwrap();
    let log = daemon.log();
    assert!(log.contains("request refused") && log.contains("call refused"), "{log}");
    assert!(!log.contains(SECRET), "{log}");
    for session in [client.session(), other.session()] {
        assert!(!log.contains(session.unwrap()), "{log}");
    }
    let (_, status) = whole(client.plain("GET", "/api/status").await.unwrap()).await;
    assert!(!status.to_string().contains(SECRET), "{status}");
    assert_ne!(status["servers"], Value::Null);
}

/// Returns the lines of a log that are JSON objects.
fn lines(log: &str) -> Vec<Value> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The answer to a client and the log line have the same request id.
#[tokio::test]
async fn what_was_refused_is_found_in_the_log_by_the_id_that_the_client_has() {
    let scene = Scene::with("call_timeout = \"200ms\"", &[]).await;
    let client = scene.client("near").await;
    let tell = async |id: &str, tool: &str| {
        let headers: &[_] = &[("x-request-id", id)];
        let headers = if id.is_empty() { &[] } else { headers };
        let mut reply = client.post(call("1", tool, &json!({})), headers).await.unwrap();
        let header = reply.header("x-request-id").map(str::to_owned);
        let answer = reply.message().await.unwrap().unwrap();
        let told = answer["error"]["data"]["request_id"].as_str().map(str::to_owned);
        (header, told)
    };
    let (header, told) = tell("find-me-1", "hang").await;
    assert_eq!((header.as_deref(), told.as_deref()), (Some("find-me-1"), Some("find-me-1")));
    // A request without an id is given one.
    let (header, made) = tell("", "hang").await;
    let made = made.unwrap();
    assert!(header.is_none_or(|header| header == made) && made.len() >= 8, "{made}");
    let mut stranger = scene.stranger("near");
    stranger.set_session(Some("nobody's"));
    stranger.post(call("1", "echo", &json!({})), &[("x-request-id", "find-me-2")]).await.unwrap();
    let (_, told) = tell("not-in-the-log", "echo").await;
    assert_eq!(told, None, "what goes well is not logged");

    scene.daemon.wait_for_log("find-me-2", PATIENCE).await.unwrap();
    let log = scene.daemon.log();
    let of = |id: &str| -> Vec<Value> {
        lines(&log).into_iter().filter(|line| line.to_string().contains(id)).collect()
    };
    for (id, says) in [
        ("find-me-1", "DEADLINE_EXCEEDED"),
        (made.as_str(), "DEADLINE_EXCEEDED"),
        ("find-me-2", "unknown_session"),
    ] {
        let found = of(id);
        assert_eq!(found.len(), 1, "{id}: {log}");
        assert!(found[0].to_string().contains(says), "{id}: {}", found[0]);
        for member in ["timestamp", "level", "message"] {
            assert!(found[0].to_string().contains(&format!("\"{member}\":")), "{}", found[0]);
        }
    }
    assert_eq!(of("not-in-the-log"), Vec::<Value>::new());
    scene.undisturbed().await;
}
