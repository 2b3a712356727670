//! Lists that fail, hang, are cut, or are announced as changed all the time, over each transport and
//! in both eras.

use std::time::{Duration, Instant};

use mainstay_testkit::{Client, Daemon, Site};
use serde_json::{Value, json};

use super::{ask, assert_echo, both_ways, counts, daemon, eventually, in_state, misbehave, server};

/// Each list method, the member of its result, and the list's name in the status.
const LISTS: [(&str, &str); 4] = [
    ("tools/list", "tools"),
    ("resources/list", "resources"),
    ("resources/templates/list", "resourceTemplates"),
    ("prompts/list", "prompts"),
];

async fn merged(daemon: &Daemon) -> Client {
    Client::connect(&format!("{}/mcp", daemon.base())).await.unwrap()
}

/// The entries about a server in `mainstay/missing` of a merged list.
async fn missing(client: &Client, method: &str, server: &str) -> Vec<Value> {
    let listed = client.request(method, json!({})).await.unwrap();
    let all = listed["_meta"]["mainstay/missing"].as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|one| one["server"] == server).collect()
}

#[tokio::test]
async fn a_list_that_fails_costs_nothing_else_and_is_said_to_be_missing() {
    for fault in ["fail-list", "null-list"] {
        for (method, member) in LISTS {
            let flags = format!("--{fault}={method}");
            let (_site, builder) = both_ways(&[&flags]);
            let sse = Site::start(&["--only-sse=405", &flags]);
            let daemon = builder
                .command_server("modern", &misbehave(&["--modern-only", &flags]))
                .url_server("sse", &sse.url())
                .start()
                .await
                .unwrap();
            for name in ["pipe", "site", "sse", "modern"] {
                let is = in_state(&daemon, name, "ready").await;
                let gaps = is["missing"].as_array().unwrap();
                assert_eq!(gaps.len(), 1, "{name} {flags}: {is}");
                assert_eq!(gaps[0]["list"], member, "{name} {flags}: {is}");
                let note = is["note"].as_str().unwrap();
                assert!(note.contains(method), "{name} {flags}: {is}");
                assert_eq!(note.contains("store offline"), fault == "fail-list", "{is}");
                assert_eq!(is["restarts"], 0, "{name} {flags}: {is}");
            }
            let client = merged(&daemon).await;
            for (other, _) in LISTS {
                for name in ["pipe", "site", "sse"] {
                    let gaps = missing(&client, other, name).await;
                    assert_eq!(gaps.len(), usize::from(other == method), "{flags}: {gaps:?}");
                    let is_named = |gap: &Value| gap["list"] == member && gap["state"] == "ready";
                    assert!(gaps.iter().all(is_named), "{flags}: {gaps:?}");
                    // Clients learn the kind of fault, and not the server's own words.
                    for why in gaps.iter().map(|gap| gap["why"].as_str().unwrap()) {
                        assert!(why.contains(method), "{flags}: {why}");
                        assert_eq!(why.ends_with("error -32603"), fault == "fail-list", "{why}");
                    }
                }
            }
            for name in ["pipe", "site", "sse"] {
                let own = daemon.client(name).await.unwrap();
                assert_echo(&ask(&own, "echo", json!({"n": 1})).await, &json!({"n": 1}));
            }
        }
    }
}

#[tokio::test]
async fn a_list_that_hangs_does_not_hold_up_the_start_nor_later_lists() {
    let (_site, builder) = both_ways(&["--hang-list=prompts/list,resources/templates/list"]);
    let daemon = builder
        .command_server("tools", &misbehave(&["--hang-list=tools/list"]))
        .config("start_timeout = \"8s\"")
        .start()
        .await
        .unwrap();
    for name in ["pipe", "site", "tools"] {
        in_state(&daemon, name, "ready").await;
    }
    let client = merged(&daemon).await;
    let begun = Instant::now();
    for name in ["pipe", "site"] {
        assert_eq!(missing(&client, "prompts/list", name).await.len(), 1);
        assert!(missing(&client, "resources/list", name).await.is_empty());
    }
    assert_eq!(missing(&client, "tools/list", "tools").await.len(), 1);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let own = daemon.client("tools").await.unwrap();
    assert_echo(&ask(&own, "echo", json!({"n": 1})).await, &json!({"n": 1}));
}

#[tokio::test]
async fn a_list_that_failed_is_asked_for_again_and_announced_when_it_is_there() {
    let (_site, builder) = both_ways(&["--fail-list=prompts/list", "--faulty-lists=3", "--untold"]);
    let daemon = builder.start().await.unwrap();
    for name in ["pipe", "site"] {
        in_state(&daemon, name, "ready").await;
    }
    let client = merged(&daemon).await;
    for name in ["pipe", "site"] {
        eventually(&format!("the prompts of {name}"), async || {
            let is = server(&daemon, name).await;
            (is["prompts"] == 1 && is["missing"].is_null() && is["note"].is_null()).then_some(())
        })
        .await;
        assert!(missing(&client, "prompts/list", name).await.is_empty());
    }
    let listed = client.request("prompts/list", json!({})).await.unwrap();
    assert_eq!(listed["prompts"].as_array().unwrap().len(), 2, "{listed}");
}

#[tokio::test]
async fn a_change_that_is_announced_whenever_one_asks_is_passed_on_to_nobody() {
    let (site, builder) = both_ways(&["--tells-when-asked"]);
    let modern = Site::start(&["--tells-when-asked", "--modern-only"]);
    let daemon = builder.url_server("modern", &modern.url()).start().await.unwrap();
    for name in ["pipe", "site", "modern"] {
        in_state(&daemon, name, "ready").await;
    }
    let own = [daemon.client("pipe").await.unwrap(), daemon.client("site").await.unwrap()];
    let all = merged(&daemon).await;
    // Announcements of the first lists come before.
    for client in own.iter().chain([&all]) {
        client.request("tools/list", json!({})).await.unwrap();
    }
    let mut streams = Vec::new();
    for client in own.iter().chain([&all]) {
        streams.push(client.listen(None).await.unwrap());
    }
    // At the address of one server, each list is a question to it.
    let until = Instant::now() + Duration::from_secs(6);
    while Instant::now() < until {
        for (client, name) in own.iter().zip(["pipe", "site"]) {
            client.request("tools/list", json!({})).await.unwrap();
            let seen = counts(client, "stats").await;
            assert!(seen["tools/list"].as_u64().unwrap() < 10_000, "{name}");
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    for (client, name) in own.iter().zip(["pipe", "site"]) {
        let seen = counts(client, "stats").await;
        // Ours come on top of the client's twenty: at most 8 of each in 10 s.
        let prompts = seen["prompts/list"].as_u64().unwrap();
        assert!((2..=10).contains(&prompts), "{name}: {seen}");
    }
    let asked = modern.stats().await["counts"]["prompts/list"].as_u64().unwrap();
    assert!((1..=10).contains(&asked), "{asked}");
    for mut stream in streams {
        let told = tokio::time::timeout(Duration::from_millis(200), stream.message()).await;
        assert!(told.is_err(), "told of a change that never was: {told:?}");
    }
    // A real change is announced all the same.
    let mut stream = own[0].listen(None).await.unwrap();
    ask(&own[0], "change", json!({})).await;
    let told = tokio::time::timeout(Duration::from_secs(30), stream.message()).await.unwrap();
    assert_eq!(told.unwrap().unwrap()["method"], "notifications/tools/list_changed");
    drop(site);
}

#[tokio::test]
async fn clients_that_ask_at_once_share_a_question_to_the_server() {
    let (site, builder) = both_ways(&["--untold", "--slow-lists=300"]);
    let daemon = builder.start().await.unwrap();
    for name in ["pipe", "site"] {
        in_state(&daemon, name, "ready").await;
    }
    let client = std::sync::Arc::new(merged(&daemon).await);
    let own = daemon.client("pipe").await.unwrap();
    let before = [counts(&own, "stats").await, site.counts().await];
    let mut lists = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let client = client.clone();
        lists.spawn(async move { client.request("prompts/list", json!({})).await.unwrap() });
    }
    for listed in lists.join_all().await {
        assert_eq!(listed["prompts"].as_array().unwrap().len(), 2, "{listed}");
    }
    let after = [counts(&own, "stats").await, site.counts().await];
    for (before, after) in before.iter().zip(after) {
        let asked = |seen: &Value| seen["prompts/list"].as_u64().unwrap();
        assert!(asked(&after) - asked(before) < 20, "{before} {after}");
    }
}

#[tokio::test]
async fn an_instance_of_one_client_is_believed_no_more_than_one_of_all() {
    let daemon = daemon()
        .command_server("s", &misbehave(&["--tells-when-asked"]))
        .config("sharing = \"session\"")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "s", "ready").await;
    let client = daemon.client("s").await.unwrap();
    client.call("stats", json!({})).await.unwrap();
    client.request("tools/list", json!({})).await.unwrap();
    let mut stream = client.listen(None).await.unwrap();
    for _ in 0..10 {
        client.request("tools/list", json!({})).await.unwrap();
        let told = tokio::time::timeout(Duration::from_millis(200), stream.message()).await;
        assert!(told.is_err(), "told of a change that never was: {told:?}");
    }
    ask(&client, "change", json!({})).await;
    let told = tokio::time::timeout(Duration::from_secs(30), stream.message()).await.unwrap();
    assert_eq!(told.unwrap().unwrap()["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn long_lists_are_whole_and_a_cursor_that_never_advances_is_said() {
    let daemon = daemon()
        .command_server("many", &misbehave(&["--tools=400", "--pages=1"]))
        .command_server("stuck", &misbehave(&["--stuck-cursor"]))
        .command_server("plain", &misbehave(&[]))
        .start()
        .await
        .unwrap();
    for name in ["many", "stuck", "plain"] {
        in_state(&daemon, name, "ready").await;
    }
    let plain = server(&daemon, "plain").await["tools"].as_u64().unwrap();
    let many = server(&daemon, "many").await;
    assert_eq!((many["tools"].as_u64(), &many["missing"]), (Some(plain + 400), &Value::Null));
    let stuck = server(&daemon, "stuck").await;
    assert_eq!(stuck["tools"], plain, "each tool once");
    let lists: Vec<_> =
        stuck["missing"].as_array().unwrap().iter().map(|gap| &gap["list"]).collect();
    assert_eq!(lists, ["tools", "resources", "resourceTemplates", "prompts"]);
    let gaps = missing(&merged(&daemon).await, "tools/list", "stuck").await;
    assert!(gaps[0]["why"].as_str().unwrap().contains("repeat"), "{gaps:?}");
    let printed =
        |arguments: &[&str]| String::from_utf8(daemon.run(arguments).unwrap().stdout).unwrap();
    let tools = printed(&["tools", "many"]);
    assert!(tools.starts_with(&format!("many: {} tools", plain + 400)), "{tools}");
    let tools = printed(&["tools", "stuck"]);
    assert!(tools.starts_with(&format!("stuck: {plain} tools")), "{tools}");
    assert!(tools.contains("cut: ") && tools.contains("repeat"), "{tools}");
    for said in
        [printed(&["tools", "--merged"]), printed(&["status"]), printed(&["status", "stuck"])]
    {
        assert!(said.contains("stuck") && said.contains("pages began to repeat"), "{said}");
    }
    assert!(daemon.log().contains("pages began to repeat"));
}

#[tokio::test]
async fn tools_that_are_not_declared_are_there_everywhere() {
    let (_site, builder) = both_ways(&["--undeclared"]);
    let daemon = builder
        .command_server("nothing", &misbehave(&["--no-capabilities"]))
        .command_server("dies", &misbehave(&["--no-capabilities", "--die-on-list"]))
        .start()
        .await
        .unwrap();
    for name in ["pipe", "site"] {
        let is = in_state(&daemon, name, "ready").await;
        assert!(is["tools"].as_u64().unwrap() > 1 && is["prompts"] == 0, "{is}");
        assert!(is["note"].as_str().unwrap().contains("does not declare"), "{is}");
    }
    let is = in_state(&daemon, "nothing", "ready").await;
    assert_eq!(
        (&is["tools"], &is["note"], &is["missing"]),
        (&json!(0), &Value::Null, &Value::Null)
    );
    // A server that exits when it is asked for tools is asked once.
    let is = in_state(&daemon, "dies", "ready").await;
    assert_eq!((&is["tools"], &is["restarts"]), (&json!(0), &json!(1)), "{is}");
    let client = merged(&daemon).await;
    let listed = client.request("tools/list", json!({})).await.unwrap();
    let names: Vec<_> = listed["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"echo") && names.contains(&"site_echo"), "{names:?}");
    assert!(listed["_meta"].is_null(), "{}", listed["_meta"]);
    assert_echo(&ask(&client, "site_echo", json!({"n": 1})).await, &json!({"n": 1}));
}
