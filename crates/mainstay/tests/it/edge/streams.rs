//! Messages of servers outside of calls: they go to the GET streams of the clients concerned, within
//! bounds.

use std::time::Duration;

use mainstay_testkit::Client;
use mainstay_testkit::client::Reply;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{PATIENCE, Scene, call, until};

/// Returns the next message of the stream. A message that never comes fails the test at this call.
#[track_caller]
fn next(stream: &mut Reply) -> impl Future<Output = Value> {
    let caller = std::panic::Location::caller();
    async move {
        let message = timeout(PATIENCE, stream.message()).await;
        let message = message.unwrap_or_else(|_| panic!("{caller}: nothing came"));
        message.unwrap().expect("the stream goes on")
    }
}

#[tokio::test]
async fn a_changed_list_is_told_to_every_session_that_sees_it() {
    let scene = Scene::start().await;
    for (server, other) in [("near", "far"), ("far", "near")] {
        let (one, all) = (scene.client(server).await, scene.client("").await);
        let unconcerned = scene.client(other).await;
        let mut streams = [one.listen(None).await.unwrap(), all.listen(None).await.unwrap()];
        let mut silent = unconcerned.listen(None).await.unwrap();
        let before = one.request("tools/list", json!({})).await.unwrap();
        one.call("change", json!({})).await.unwrap();
        for stream in &mut streams {
            assert_eq!(
                next(stream).await["method"],
                "notifications/tools/list_changed",
                "{server}"
            );
        }
        let after = one.request("tools/list", json!({})).await.unwrap();
        let count = |page: &Value| page["tools"].as_array().unwrap().len();
        assert_eq!(count(&after), count(&before) + 1, "{server}");
        one.call("added_0", json!({"new": true})).await.unwrap();
        // The first message on the others' stream concerns their own server.
        unconcerned.request("resources/subscribe", json!({"uri": "mis://one"})).await.unwrap();
        unconcerned.call("touch", json!({"uri": "mis://one"})).await.unwrap();
        assert_eq!(
            next(&mut silent).await["method"],
            "notifications/resources/updated",
            "{server}"
        );
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn what_was_missed_is_said_when_the_stream_opens() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let client = scene.client(name).await;
        for uri in ["mis://one", "mis://two"] {
            client.request("resources/subscribe", json!({"uri": uri})).await.unwrap();
        }
        for _ in 0..3 {
            client.call("change", json!({})).await.unwrap();
            client.call("touch", json!({"uri": "mis://one"})).await.unwrap();
        }
        client.call("touch", json!({"uri": "mis://two"})).await.unwrap();
        until("the new tools are there", async || {
            let tools = client.request("tools/list", json!({})).await.unwrap();
            tools["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "added_2")
        })
        .await;
        let mut stream = client.listen(None).await.unwrap();
        let mut said = Vec::new();
        for _ in 0..3 {
            let message = next(&mut stream).await;
            said.push((message["method"].clone(), message["params"]["uri"].clone()));
        }
        said.sort_by_key(|(method, uri)| format!("{method}{uri}"));
        // Each appears once, however often it happened.
        assert_eq!(
            said,
            [
                (json!("notifications/resources/updated"), json!("mis://one")),
                (json!("notifications/resources/updated"), json!("mis://two")),
                (json!("notifications/tools/list_changed"), Value::Null),
            ],
            "{name}"
        );
        // It also appears only once: the next stream begins with later changes.
        drop(stream);
        let mut stream = client.listen(None).await.unwrap();
        client.call("touch", json!({"uri": "mis://two"})).await.unwrap();
        assert_eq!(next(&mut stream).await["params"]["uri"], "mis://two", "{name}");
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn updates_go_to_subscribers_and_the_server_hears_of_the_first_and_the_last() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let (one, two) = (scene.client(name).await, scene.client(name).await);
        let mut streams = [one.listen(None).await.unwrap(), two.listen(None).await.unwrap()];
        let uri = |uri: &str| json!({"uri": uri});
        for client in [&one, &two, &one] {
            client.request("resources/subscribe", uri("mis://one")).await.unwrap();
        }
        two.request("resources/subscribe", uri("mis://three")).await.unwrap();
        assert_eq!(scene.count(name, "resources/subscribe").await, 2, "{name}");
        // Another client touches the resource, and only the subscriber is notified.
        let touch = async |what: &str| {
            scene.client(name).await.call("touch", uri(what)).await.unwrap();
        };
        touch("mis://three").await;
        touch("mis://one").await;
        assert_eq!(next(&mut streams[0]).await["params"]["uri"], "mis://one", "{name}");
        assert_eq!(next(&mut streams[1]).await["params"]["uri"], "mis://three", "{name}");
        assert_eq!(next(&mut streams[1]).await["params"]["uri"], "mis://one", "{name}");

        one.request("resources/unsubscribe", uri("mis://one")).await.unwrap();
        one.request("resources/unsubscribe", uri("mis://one")).await.unwrap();
        assert_eq!(scene.count(name, "resources/unsubscribe").await, 0, "{name}");
        one.request("resources/subscribe", uri("mis://two")).await.unwrap();
        touch("mis://one").await;
        touch("mis://two").await;
        assert_eq!(next(&mut streams[0]).await["params"]["uri"], "mis://two", "{name}");
        assert_eq!(next(&mut streams[1]).await["params"]["uri"], "mis://one", "{name}");

        // The end of a session ends its subscriptions.
        two.delete().await.unwrap();
        scene.seen(name, "resources/unsubscribe", 2).await;
        one.call("echo", json!({})).await.unwrap();
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn whoever_subscribes_second_hears_what_the_first_was_answered() {
    let scene = Scene::with("", &["--refuse-subscriptions=1000"]).await;
    for name in ["near", "far"] {
        let subscribe = async |client: Client| {
            let params = json!({"uri": "mis://one"});
            let mut sent = client.send("resources/subscribe", params).await.unwrap();
            sent.answer().await.unwrap()
        };
        let (one, two) = (scene.client(name).await, scene.client(name).await);
        let answers = tokio::join!(subscribe(one), subscribe(two));
        for answer in [answers.0, answers.1] {
            assert_eq!(answer["error"]["code"], -32002, "{name}: {answer}");
        }
        // The refused URI does not count as subscribed.
        let answer = subscribe(scene.client(name).await).await;
        assert_eq!(answer["error"]["code"], -32002, "{name}: {answer}");
    }
}

#[tokio::test]
async fn a_uri_is_the_same_however_it_is_written_and_no_other() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let client = scene.client(name).await;
        let mut stream = client.listen(None).await.unwrap();
        for uri in [r"mis:\/\/one", r"mis:\u002f/t\u00e9"] {
            let params = format!(r#"{{"uri":"{uri}"}}"#);
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{params}}}"#
            );
            let answer = client.post(body, &[]).await.unwrap().message().await.unwrap();
            assert_eq!(answer.unwrap()["result"], json!({}), "{uri}");
        }
        let mut sent = client.send("resources/subscribe", json!({"uri": 7})).await.unwrap();
        assert_eq!(sent.answer().await.unwrap()["error"]["code"], -32602, "{name}");
        // URIs below the subscribed one count. URIs that merely begin alike don't.
        for uri in ["mis://onerous", "mis://one/part", "mis://t", "mis://t\u{e9}"] {
            client.call("touch", json!({"uri": uri})).await.unwrap();
        }
        for uri in ["mis://one/part", "mis://t\u{e9}"] {
            assert_eq!(next(&mut stream).await["params"]["uri"], uri, "{name}");
        }
    }
    scene.undisturbed().await;
}

#[tokio::test]
async fn what_a_server_says_costs_nothing_for_sessions_that_do_not_listen() {
    const IDLE: usize = 500;
    const SAID: u64 = 1000;
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let mut idle = Vec::new();
        for _ in 0..IDLE {
            idle.push(scene.client(name).await);
        }
        let talker = scene.client(name).await;
        let series = format!(
            "mainstay_dropped_notifications_total{{server=\"{name}\",reason=\"no_listener\"}}"
        );
        let dropped = async || scene.metric(&series).await;
        let chatter = async |count: u64| {
            talker.call("chatter", json!({"count": count})).await.unwrap();
        };
        // Messages of an HTTP server arrive once its standing stream is open.
        until("it is heard", async || {
            chatter(1).await;
            dropped().await > 0
        })
        .await;
        // Once no more is dropped, earlier messages are over.
        let settled = async || {
            let mut last = dropped().await;
            loop {
                tokio::time::sleep(Duration::from_millis(200)).await;
                let now = dropped().await;
                if now == last {
                    return now;
                }
                last = now;
            }
        };
        // No client receives it: it is dropped once, not once for each session.
        let before = settled().await;
        let (mut all, mut said) = (before, 0);
        // Messages before the answer of a call belong to that call, so the message may have to be repeated.
        until("as much is dropped", async || {
            chatter(SAID).await;
            said += SAID;
            all = settled().await;
            all >= before + SAID
        })
        .await;
        assert!(all <= before + said, "{name}: {before} became {all} by {said}");

        // A client with a stream gets all messages in order.
        let mut stream = idle[0].listen(None).await.unwrap();
        // Messages during its call belong to that call; these may be all of them.
        let mut last = None;
        for _ in 0..20 {
            chatter(300).await;
            let wait = Duration::from_secs(5);
            while last != Some(299)
                && let Ok(message) = timeout(wait, next(&mut stream)).await
            {
                assert_eq!(message["method"], "notifications/misbehave/chatter", "{name}");
                let number = message["params"]["number"].as_u64();
                assert!(
                    last.is_none_or(|last| number == Some(last + 1)),
                    "{name}: {last:?}, {message}"
                );
                last = number;
            }
            if last.is_some() {
                break;
            }
        }
        assert_eq!(last, Some(299), "{name}");
        assert_eq!(dropped().await, all, "{name}: somebody heard it");

        // Each client learns of the changes as soon as it listens.
        talker.call("change", json!({})).await.unwrap();
        assert_eq!(next(&mut stream).await["method"], "notifications/tools/list_changed");
        for client in [&idle[1], &idle[IDLE - 1], &talker] {
            let mut stream = client.listen(None).await.unwrap();
            assert_eq!(next(&mut stream).await["method"], "notifications/tools/list_changed");
        }

        // Other clients are answered while a server sends messages.
        chatter(20 * SAID).await;
        let begun = std::time::Instant::now();
        scene.undisturbed().await;
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn each_message_comes_on_one_stream_only() {
    let scene = Scene::start().await;
    let client = scene.client("near").await;
    let mut streams = Vec::new();
    for _ in 0..12 {
        streams.push(client.listen(None).await.unwrap());
    }
    client.request("resources/subscribe", json!({"uri": "mis://one"})).await.unwrap();
    client.call("touch", json!({"uri": "mis://one"})).await.unwrap();
    client.delete().await.unwrap();
    let mut heard = 0;
    for stream in &mut streams {
        while let Some(message) = stream.message().await.unwrap() {
            assert_eq!(message["method"], "notifications/resources/updated");
            heard += 1;
        }
    }
    assert_eq!(heard, 1, "past the most streams the oldest gave way, and one got the message");
    scene.undisturbed().await;
}

#[tokio::test]
async fn a_reader_that_does_not_read_costs_a_bounded_amount() {
    const MESSAGES: usize = 40_000;
    let scene = Scene::start().await;
    let before = scene.memory().await;
    let mut unread = Vec::new();
    for name in ["near", "far"] {
        // More than all buffers in between can take.
        let body = call("1", "flood", &json!({"count": MESSAGES}));
        unread.push((name, scene.client(name).await.post(body, &[]).await.unwrap()));
    }
    scene.undisturbed().await;
    until("nothing is in flight", async || scene.in_flight().await == 0).await;
    let after = scene.memory().await;
    assert!(after < before + (32 << 20), "{before} bytes became {after}");
    for (name, mut reply) in unread {
        let (mut last, mut count) = (Value::Null, 0);
        while let Some(message) = reply.message().await.unwrap() {
            (last, count) = (message, count + 1);
        }
        // Whatever was dropped, the answer was not.
        assert_eq!(last["result"]["structuredContent"]["echo"]["count"], MESSAGES, "{name}");
        let dropped = async |reason: &str| {
            let labels = format!("server=\"{name}\",reason=\"{reason}\"");
            scene.metric(&format!("mainstay_dropped_notifications_total{{{labels}}}")).await
        };
        // Messages on a pipe name no call. While a witness calls, too, they belong to no client.
        let dropped = (dropped("slow_client").await, dropped("no_owner").await);
        assert!(dropped.0 > 0 && count < MESSAGES, "{name}: {count} came, dropped {dropped:?}");
        assert_eq!(count - 1 + (dropped.0 + dropped.1) as usize, MESSAGES, "{name}: {dropped:?}");
    }
    scene.undisturbed().await;
}

/// A client that can be asked has its calls answered by an instance of its own, and its subscriptions must
/// be there, too.
#[tokio::test]
async fn a_client_that_can_be_asked_hears_of_what_its_own_calls_change() {
    let scene = Scene::start().await;
    for name in ["near", "far"] {
        let capabilities = json!({"elicitation": {}});
        let client = scene.able(name, "2025-11-25", capabilities).await;
        let mut stream = client.listen(None).await.unwrap();
        client.request("resources/subscribe", json!({"uri": "mis://one"})).await.unwrap();
        client.call("touch", json!({"uri": "mis://one"})).await.unwrap();
        let told = next(&mut stream).await;
        assert_eq!(told["method"], "notifications/resources/updated", "{name}");
        assert_eq!(told["params"]["uri"], "mis://one", "{name}");
        client.call("change", json!({})).await.unwrap();
        let told = next(&mut stream).await;
        assert_eq!(told["method"], "notifications/tools/list_changed", "{name}");
        client.request("resources/unsubscribe", json!({"uri": "mis://one"})).await.unwrap();
    }
    scene.undisturbed().await;
}
