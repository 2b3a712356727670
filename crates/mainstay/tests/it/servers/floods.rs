//! Servers that never pause: deadlines and cancellations hold all the same.

use std::time::{Duration, Instant};

use mainstay_testkit::{Client, Daemon};
use serde_json::json;

use super::{
    Site, ask, assert_echo, assert_refused, daemon, eventually, in_state, metric, misbehave,
};

/// Three times what is promised for a deadline and a cancellation.
const LATE_MAX: Duration = Duration::from_millis(300);
const TIMEOUT: Duration = Duration::from_millis(1000);
const LIMITS: &str = "[gateway]\ncall_timeout = \"1s\"\ncall_timeout_max = \"20s\"";

/// The servers of a test: one for each way a message can come.
struct Floods {
    daemon: Daemon,
    _sites: [Site; 2],
}

const NAMES: [&str; 3] = ["http", "sse", "pipe"];

async fn floods(kind: &str, limits: &str) -> Floods {
    let flag = format!("--without-pause={kind}");
    let sites = [Site::start(&[&flag]), Site::start(&[&flag, "--only-sse=405"])];
    let daemon = daemon()
        .config(limits)
        .url_server("http", &sites[0].url())
        .url_server("sse", &sites[1].url())
        .command_server("pipe", &misbehave(&[&flag]))
        .start()
        .await
        .unwrap();
    for name in NAMES {
        in_state(&daemon, name, "ready").await;
    }
    Floods { daemon, _sites: sites }
}

/// A client that wants no log messages: they are read and dropped for it.
async fn client(floods: &Floods, name: &str) -> Client {
    let client = floods.daemon.client(name).await.unwrap();
    client.request("logging/setLevel", json!({"level": "error"})).await.unwrap();
    client
}

/// How late a call that never ends was ended at its deadline.
async fn lateness(client: &Client) -> Duration {
    let begun = Instant::now();
    let answer = ask(client, "hang", json!({})).await;
    assert_refused(&answer, 1006, "DEADLINE_EXCEEDED");
    begun.elapsed().saturating_sub(TIMEOUT)
}

/// How long a call that never ends went on after it was cancelled.
async fn slowness(client: &Client) -> Duration {
    let call = tokio::spawn({
        let client = client.clone();
        async move {
            let params = json!({"name": "hang", "arguments": {}});
            let mut exchange = client.send_as(json!("mine"), "tools/call", params).await.unwrap();
            while exchange.next().await.unwrap().is_some() {}
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    client.notify("notifications/cancelled", json!({"requestId": "mine"})).await.unwrap();
    call.await.unwrap();
    begun.elapsed()
}

async fn each(kind: &str) {
    let floods = floods(kind, LIMITS).await;
    for name in NAMES {
        let client = client(&floods, name).await;
        let late = least(async || lateness(&client).await).await;
        println!("{name} with {kind}: deadline {late:?} late");
        assert!(late < LATE_MAX, "{name} with {kind}: {late:?} late");
        // By now the standing stream and the process's output have no pause either.
        let took = least(async || slowness(&client).await).await;
        println!("{name} with {kind}: cancelled after {took:?}");
        assert!(took < LATE_MAX, "{name} with {kind}: cancelled after {took:?}");
    }
}

/// The least of up to four measurements: on a busy machine, a single one measures the machine.
async fn least(measure: impl AsyncFn() -> Duration) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..4 {
        least = least.min(measure().await);
        if least < LATE_MAX {
            break;
        }
    }
    least
}

#[tokio::test]
async fn deadline_and_cancellation_hold_while_comments_come_without_a_pause() {
    each("comments").await;
}

#[tokio::test]
async fn deadline_and_cancellation_hold_while_unwanted_messages_come_without_a_pause() {
    each("notes").await;
}

#[tokio::test]
async fn deadline_and_cancellation_hold_while_nonsense_comes_without_a_pause() {
    each("strays").await;
}

/// Messages that are read in a second at most for a server that nobody waits for, and half as many more.
const SLOW: f64 = 10_000.0;

/// Waits until a server is read slowly, by the messages that can't be used.
async fn is_read_slowly(daemon: &Daemon, name: &str) {
    let label = format!("server=\"{name}\"");
    let count = async || metric(daemon, "mainstay_stray_lines_total", &[&label]).await;
    eventually(&format!("{name} is read slowly"), async || {
        let (before, begun) = (count().await, Instant::now());
        tokio::time::sleep(Duration::from_millis(500)).await;
        let read = count().await - before;
        let rate = read / begun.elapsed().as_secs_f64();
        println!("{name}: {rate:.0} in a second");
        (read > 0.0 && rate < SLOW).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_server_that_never_pauses_is_read_slowly_while_nobody_waits_for_it() {
    let floods = floods("strays", "").await;
    for name in NAMES {
        let client = client(&floods, name).await;
        for n in 0..2 {
            assert_echo(&ask(&client, "echo", json!({"n": n})).await, &json!({"n": n}));
            is_read_slowly(&floods.daemon, name).await;
        }
    }
}

#[tokio::test]
async fn a_call_that_never_pauses_is_read_slowly_once_its_client_is_gone() {
    let flags = ["--without-pause=strays", "--no-get"];
    let sites =
        [Site::start(&flags), Site::start(&[flags[0], "--only-sse=405"]), Site::start(&flags)];
    let daemon = daemon()
        .config("[gateway]\ncall_timeout = \"10m\"\ncall_timeout_max = \"10m\"")
        .url_server("http", &sites[0].url())
        .url_server("sse", &sites[1].url())
        .url_server("tells", &sites[2].url())
        .command_server("pipe", &misbehave(&flags[..1]))
        .start()
        .await
        .unwrap();
    for (name, tool) in [("http", "hang"), ("sse", "hang"), ("pipe", "hang"), ("tells", "progress")]
    {
        in_state(&daemon, name, "ready").await;
        let client = daemon.client(name).await.unwrap();
        let params = json!({
            "name": tool, "arguments": {"steps": 1_000_000, "ms": 100},
            "_meta": {"progressToken": "mine"},
        });
        let mut exchange = client.send("tools/call", params).await.unwrap();
        if tool == "progress" {
            exchange.next().await.unwrap();
        }
        drop(exchange);
        drop(client);
        is_read_slowly(&daemon, name).await;
    }
}
