//! Remote servers as they stand behind load balancers, gateways, firewalls and proxies.

use mainstay_testkit::Daemon;
use serde_json::json;

use super::{Site, ask, assert_echo, assert_refused, daemon, eventually, in_state, server};

/// Waits until the reason why a server is not ready contains these words, and returns it.
async fn reason(daemon: &Daemon, words: &str) -> String {
    eventually(words, async || {
        let reason = server(daemon, "s").await["reason"].as_str()?.to_owned();
        reason.contains(words).then_some(reason)
    })
    .await
}

#[tokio::test]
async fn what_sdks_reach_is_reached() {
    for flags in [
        &["--redirect=307"][..],
        &["--redirect=308", "--sse"],
        &["--gzip", "--json"],
        &["--gzip", "--sse"],
        &["--capitals", "--json"],
        &["--capitals", "--sse"],
        &["--wants-agent"],
        &["--wants-cookie"],
        &["--redirect=307", "--dual"],
    ] {
        let site = Site::start(flags);
        let daemon = daemon().url_server("s", &site.url()).start().await.unwrap();
        in_state(&daemon, "s", "ready").await;
        let client = daemon.client("s").await.unwrap();
        for n in 0..3 {
            assert_echo(&ask(&client, "echo", json!({"n": n})).await, &json!({"n": n}));
        }
        assert_eq!(server(&daemon, "s").await["restarts"], 0, "{flags:?}");
        let redirected = &site.counts().await["redirected"];
        // The target is remembered.
        assert!(redirected.as_u64().unwrap_or(0) <= 4, "{flags:?}: {redirected}");
    }
}

#[tokio::test]
async fn any_answer_to_a_ping_is_a_sign_of_life() {
    for status in ["500", "404", "202", "200"] {
        let ping = format!("--ping-status={status}");
        let site = Site::start(&[&ping, "--no-sessions", "--empty-get"]);
        let daemon = daemon().url_server("s", &site.url()).start().await.unwrap();
        in_state(&daemon, "s", "ready").await;
        eventually("two pings", async || {
            (site.counts().await["refused ping"].as_u64()? >= 2).then_some(())
        })
        .await;
        let client = daemon.client("s").await.unwrap();
        assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
        let now = server(&daemon, "s").await;
        assert_eq!((&now["state"], &now["restarts"]), (&json!("ready"), &json!(0)), "{status}");
        assert_eq!(site.counts().await["initialize"], 1, "{status}");
    }
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_named_and_not_followed() {
    let elsewhere = Site::start(&[]);
    let to = format!("--redirect-to={}?key=opensesame", elsewhere.url());
    let site = Site::start(&["--redirect=307", &to]);
    let daemon = daemon().url_server("s", &site.url()).start().await.unwrap();
    let reason = reason(&daemon, &elsewhere.url()).await;
    assert!(!reason.contains("opensesame"), "{reason}");
    assert_eq!(elsewhere.counts().await, json!({}), "nothing was sent there");
}

#[tokio::test]
async fn a_busy_server_is_not_lost_and_says_when_to_come_back() {
    let site = Site::start(&["--busy=7"]);
    let daemon = daemon().url_server("s", &site.url()).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    let client = daemon.client("s").await.unwrap();
    for _ in 0..3 {
        let answer = ask(&client, "record", json!({})).await;
        assert_refused(&answer, 1004, "SERVER_UNAVAILABLE");
        assert_eq!(answer["error"]["data"]["retry_after_ms"], 7000, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("slow down"), "{answer}");
    }
    let now = server(&daemon, "s").await;
    assert_eq!((&now["state"], &now["restarts"]), (&json!("ready"), &json!(0)));
    let seen = site.counts().await;
    assert_eq!((&seen["refused tools/call"], &seen["initialize"]), (&json!(3), &json!(1)));
}

/// A call that may be repeated is, as the server wants it, if its deadline allows that.
#[tokio::test]
async fn a_call_that_only_reads_comes_back_when_a_busy_server_says() {
    let (soon, late) = (Site::start(&["--busy=1"]), Site::start(&["--busy=60"]));
    let builder = daemon().url_server("soon", &soon.url()).url_server("late", &late.url());
    let daemon = builder.start().await.unwrap();
    for (name, site, times) in [("soon", &soon, 4), ("late", &late, 1)] {
        in_state(&daemon, name, "ready").await;
        let client = daemon.client(name).await.unwrap();
        let begun = std::time::Instant::now();
        let answer = ask(&client, "echo", json!({})).await;
        assert_refused(&answer, 1004, "SERVER_UNAVAILABLE");
        assert!(begun.elapsed().as_secs() >= times - 1, "it waits as long as it is asked to");
        assert_eq!(site.counts().await["refused tools/call"], times, "{name}: {answer}");
    }
}

#[tokio::test]
async fn a_server_that_wants_to_be_left_alone_is() {
    let site = Site::start(&["--busy-at-start=300"]);
    let daemon = daemon().url_server("s", &site.url()).start().await.unwrap();
    reason(&daemon, "asked for a pause").await;
    // The second one finds out whether the server speaks the other era.
    let asked = site.counts().await["refused initialize"].as_u64().unwrap();
    assert!(asked <= 2, "asked {asked} times");
}

#[tokio::test]
async fn the_words_of_a_refusal_are_told() {
    let site = Site::start(&["--only-sse=403"]);
    let daemon = daemon().url_server("s", &site.url()).start().await.unwrap();
    let reason = reason(&daemon, "HTTP 403").await;
    assert!(reason.contains("the server refused the request (HTTP 403 Forbidden): Cannot POST"));
}

/// An address of a server that can be reached only through the proxy.
const FAR: &str = "http://mcp.internal.example:8080/mcp";

fn environment(proxy: &str) -> mainstay_testkit::daemon::Builder {
    daemon().variable("http_proxy", proxy).variable("no_proxy", "")
}

#[tokio::test]
async fn a_proxy_that_the_environment_names_is_used() {
    // It takes requests with a whole address, as a proxy does.
    let site = Site::start(&[]);
    let proxy = site.url_of("").replacen("http://", "http://ann:opensesame@", 1);
    let daemon = environment(&proxy).url_server("s", FAR).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    let client = daemon.client("s").await.unwrap();
    assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
    assert!(!daemon.log().contains("opensesame"));

    let config = format!("[servers.s]\nurl = \"{FAR}\"\nhttp_proxy = false");
    let daemon = environment(&proxy).config(&config).start().await.unwrap();
    reason(&daemon, "no connection to mcp.internal.example:8080").await;
}

#[tokio::test]
async fn a_proxy_that_can_not_be_reached_or_used_is_named() {
    for (proxy, words) in [
        ("http://127.0.0.1:1", "the proxy 127.0.0.1:1 (from http_proxy) can't be reached"),
        ("socks5://127.0.0.1:1", "http_proxy names a proxy that can't be used"),
    ] {
        let daemon = environment(proxy).url_server("s", FAR).start().await.unwrap();
        reason(&daemon, words).await;
    }
}

#[tokio::test]
async fn keys_in_a_url_are_told_nowhere() {
    let site = Site::start(&[]);
    let key = "opensesame";
    let config = format!(
        "[servers.s]\nurl = \"{}?key=${{KEY}}\"\n[servers.gone]\nurl = \"secret:env:URL\"",
        site.url()
    );
    let daemon = daemon()
        .variable("KEY", key)
        .variable("URL", "http://127.0.0.1:1/opensesame/mcp?key=opensesame")
        .config(&config)
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    eventually("a reason", async || {
        server(&daemon, "gone").await["reason"].is_string().then_some(())
    })
    .await;
    let mut shown = daemon.log();
    for command in [&["status", "--json"][..], &["status", "s"], &["status", "gone"]] {
        shown.push_str(&String::from_utf8_lossy(&daemon.run(command).unwrap().stdout));
    }
    shown.push_str(&server(&daemon, "gone").await.to_string());
    assert!(!shown.contains(key), "{shown}");
}
