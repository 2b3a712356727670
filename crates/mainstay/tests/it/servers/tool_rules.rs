//! Rules for tools: deadlines, repetition and validation by pattern.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mainstay_testkit::daemon::Builder;
use mainstay_testkit::{Client, Daemon, Site};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    ask, assert_echo, assert_refused, counts, daemon, eventually, in_state, kill, metric,
    misbehave, process, server,
};

/// The same server as a process (`pipe`) and over HTTP (`site`), both with these lines.
fn both_ways_with(rules: &str) -> (Site, Builder) {
    let site = Site::start(&[]);
    let command = json!(misbehave(&[]));
    let text = format!(
        "[servers.pipe]\ncommand = {command}\n{}\n[servers.site]\nurl = \"{}\"\n{}\n",
        rules.replace("NAME", "pipe"),
        site.url(),
        rules.replace("NAME", "site"),
    );
    (site, daemon().config(&text))
}

const DEADLINES: &str = "call_timeout = \"700ms\"
[servers.NAME.tools.\"s*w\"]
call_timeout = \"20s\"
[servers.NAME.tools.progress]
call_timeout_max = \"1500ms\"
";

#[tokio::test]
async fn each_tool_has_its_own_deadline_and_the_refusal_names_the_key() {
    let (_site, daemon) = both_ways_with(DEADLINES);
    let daemon = daemon.start().await.unwrap();
    for name in ["pipe", "site"] {
        in_state(&daemon, name, "ready").await;
        let client = daemon.client(name).await.unwrap();
        let begun = Instant::now();
        let sent = json!({"ms": 1500});
        let (slow, hung) =
            tokio::join!(ask(&client, "slow", sent.clone()), ask(&client, "hang", json!({})));
        assert_echo(&slow, &sent);
        assert_refused(&hung, 1006, "DEADLINE_EXCEEDED");
        let limit = format!("servers.{name}.call_timeout: 700ms");
        assert_eq!(hung["error"]["data"]["limit"], limit, "{hung}");
        assert!(begun.elapsed() < Duration::from_secs(15));
        // Progress extends the deadline up to the maximum of the tool.
        let arguments = json!({"steps": 1000, "ms": 100});
        let params =
            json!({"name": "progress", "arguments": arguments, "_meta": {"progressToken": 1}});
        let endless = client.send("tools/call", params).await.unwrap().all().await.unwrap().1;
        let limit = format!("servers.{name}.tools.\"progress\".call_timeout_max: 1.5s");
        assert_eq!(endless["error"]["data"]["limit"], limit, "{endless}");
    }
}

/// A tool with ten minutes has ten minutes, whoever calls: nothing else bounds a call.
#[tokio::test]
async fn a_slow_tool_has_its_time_through_every_way_to_call_it() {
    let rules = "[gateway]\ncall_timeout = \"1s\"\ncall_timeout_max = \"1s\"\n";
    let slow = "[servers.s.tools.slow]\ncall_timeout = \"10m\"\n";
    let command = json!(misbehave(&[]));
    let text = format!("{rules}[servers.s]\ncommand = {command}\n{slow}");
    let daemon = daemon().config(&text).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    let status = daemon.run(&["status", "--json"]).unwrap();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["call_timeout_max_ms"], 600_000, "what commands and shims wait for");
    let called = daemon.run(&["call", "s", "slow", "ms=2500"]).unwrap();
    assert!(called.status.success(), "{called:?}");
    let merged = Client::connect(&format!("{}/mcp", daemon.base())).await.unwrap();
    assert_echo(&ask(&merged, "slow", json!({"ms": 1500})).await, &json!({"ms": 1500}));
}

#[tokio::test]
async fn s4_4_a_batch_that_is_too_large_never_reaches_the_server() {
    let rules = "[servers.NAME.tools.\"ec*\"]
validate = { items = { inputs = 32 }, length = { \"inputs[]\" = 10000 }, depth = { filter = 2 }, bytes = { \".\" = \"1MiB\" } }
";
    let (_site, daemon) = both_ways_with(rules);
    let daemon = daemon.start().await.unwrap();
    for name in ["pipe", "site"] {
        in_state(&daemon, name, "ready").await;
        let client = daemon.client(name).await.unwrap();
        let fits = json!({"inputs": vec!["x".repeat(10_000); 32]});
        assert_echo(&ask(&client, "echo", fits.clone()).await, &fits);
        for (arguments, said, limit) in [
            (
                json!({"inputs": vec!["x"; 33]}),
                "inputs has 33 items, the limit is 32",
                "validate.items.inputs: 32",
            ),
            (
                json!({"inputs": ["x", "ä".repeat(10_001)]}),
                "inputs[1] has 10001 characters, the limit is 10000",
                "validate.length.\"inputs[]\": 10000",
            ),
            (
                json!({"filter": [[[1]]]}),
                "filter is nested 3 deep, the limit is 2",
                "validate.depth.filter: 2",
            ),
            (
                json!({"text": "x".repeat(2 << 20)}),
                "arguments has 2097163 bytes, the limit is 1048576",
                "validate.bytes.\".\": 1048576",
            ),
        ] {
            let refused = ask(&client, "echo", arguments.clone()).await;
            assert_refused(&refused, 1011, "LIMIT_EXCEEDED");
            let error = &refused["error"];
            assert_eq!((&error["message"], &error["data"]["limit"]), (&json!(said), &json!(limit)));
            // Other tools have no such limits.
            assert_echo(&ask(&client, "record", arguments.clone()).await, &arguments);
        }
        let seen = counts(&client, "stats").await;
        assert_eq!(seen["tool echo"], 1, "only the call that fits has arrived: {seen}");
    }
    let labels = [r#"code="LIMIT_EXCEEDED""#];
    assert_eq!(metric(&daemon, "mcp_errors_total", &labels).await, 8.0);
}

const PER_KIND: usize = 50;

/// Where a call leaves its trace, and what it says there.
fn journal(file: &Path, line: &str, ms: u64) -> Value {
    json!({"file": file, "line": line, "ms": ms})
}

/// What became of the calls, by the lines they leave in the journal.
type Answers = BTreeMap<String, Vec<Value>>;

/// Calls that only read, and as many that must not be repeated, all at the same time.
async fn call_at_once(
    daemon: &Daemon,
    name: &str,
    file: &Path,
    ms: u64,
) -> JoinSet<(String, Vec<Value>)> {
    let client = daemon.client(name).await.unwrap();
    let mut calls = JoinSet::new();
    for number in 0..PER_KIND {
        for tool in ["journal_read", "journal"] {
            let (client, line) = (client.clone(), format!("{tool}-{number}"));
            let params = json!({"name": tool, "arguments": journal(file, &line, ms)});
            calls.spawn(async move {
                let mut exchange = client.send("tools/call", params).await.unwrap();
                let mut answers = Vec::new();
                while let Some(message) = exchange.next().await.unwrap() {
                    answers.push(message);
                }
                (line, answers)
            });
        }
    }
    calls
}

fn lines(file: &Path) -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().for_each(|line| *lines.entry(line.to_owned()).or_default() += 1);
    lines
}

async fn all(mut calls: JoinSet<(String, Vec<Value>)>) -> Answers {
    let mut answers = Answers::new();
    while let Some(ended) = calls.join_next().await {
        let (line, found) = ended.unwrap();
        answers.insert(line, found);
    }
    answers
}

/// Each call has exactly one answer, and none that must not be repeated was carried out twice.
fn assert_once(answers: &Answers, file: &Path) {
    assert_eq!(answers.len(), 2 * PER_KIND);
    for (line, found) in answers {
        assert_eq!(found.len(), 1, "{line}: {found:?}");
    }
    for (line, times) in lines(file) {
        assert!(times == 1 || line.starts_with("journal_read"), "{line} was done {times} times");
    }
}

async fn hundred_in_flight(daemon: &Daemon, name: &str, file: &Path, kill_it: impl AsyncFnOnce()) {
    let calls = call_at_once(daemon, name, file, 2_000).await;
    eventually("100 calls at work", async || (lines(file).len() == 2 * PER_KIND).then_some(()))
        .await;
    kill_it().await;
    let answers = all(calls).await;
    assert_once(&answers, file);
    for (line, found) in &answers {
        if line.starts_with("journal_read") {
            assert!(found[0]["result"].is_object(), "{line}: {}", found[0]);
        } else {
            assert_refused(&found[0], 1007, "OUTCOME_UNKNOWN");
        }
    }
    let label = format!("server=\"{name}\"");
    let sent = [label.as_str(), r#"outcome="sent""#];
    assert!(metric(daemon, "mainstay_retries_total", &sent).await >= PER_KIND as f64);
}

#[tokio::test]
async fn a_hundred_calls_in_flight_at_a_killed_process_have_one_answer_each() {
    let daemon = daemon().command_server("s", &misbehave(&[])).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    let file = daemon.folder().join("journal");
    hundred_in_flight(&daemon, "s", &file, async || kill(&process(&daemon, "s").await)).await;
}

#[tokio::test]
async fn a_hundred_calls_in_flight_at_a_killed_site_have_one_answer_each() {
    let mut site = Site::start(&[]);
    let daemon = daemon().url_server("s", &site.url()).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    let file = daemon.folder().join("journal");
    hundred_in_flight(&daemon, "s", &file, async || {
        site.kill();
        site.revive();
    })
    .await;
}

/// Kills at random moments: an answer for each call, and nothing is done twice that must not be.
#[tokio::test]
async fn in_a_storm_of_kills_no_call_is_done_twice_that_must_not_be() {
    let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
    let daemon = daemon().command_server("s", &misbehave(&[])).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    let file: PathBuf = daemon.folder().join("journal");
    let calls = call_at_once(&daemon, "s", &file, 300).await;
    let mut state = u64::from(seed);
    for kills in 1..=3 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        tokio::time::sleep(Duration::from_millis(100 + (state >> 33) % 400)).await;
        kill(&process(&daemon, "s").await);
        eventually("the restart", async || {
            let now = server(&daemon, "s").await;
            (now["restarts"] == kills && now["state"] == "ready").then_some(())
        })
        .await;
    }
    let answers = all(calls).await;
    println!("seed {seed}: {} lines", lines(&file).values().sum::<usize>());
    assert_once(&answers, &file);
    let done = |line: &str| answers[line][0]["result"].is_object();
    let carried_out = lines(&file);
    for line in answers.keys().filter(|line| done(line)) {
        assert!(
            carried_out.contains_key(line),
            "seed {seed}: {line} has an answer and was not done"
        );
    }
}

#[tokio::test]
async fn a_rule_decides_what_may_be_repeated() {
    let rules =
        "[servers.s.tools.journal_read]\nretry = false\n[servers.s.tools.journal]\nretry = true\n";
    let command = json!(misbehave(&[]));
    let text = format!("[servers.s]\ncommand = {command}\n{rules}");
    let daemon = daemon().config(&text).start().await.unwrap();
    in_state(&daemon, "s", "ready").await;
    let file = daemon.folder().join("journal");
    let client = daemon.client("s").await.unwrap();
    let calls = async |tool: &str| ask(&client, tool, journal(&file, tool, 1_000)).await;
    let kills = async {
        eventually("both calls at work", async || (lines(&file).len() == 2).then_some(())).await;
        kill(&process(&daemon, "s").await);
    };
    let (read, written, ()) = tokio::join!(calls("journal_read"), calls("journal"), kills);
    assert_refused(&read, 1007, "OUTCOME_UNKNOWN");
    assert!(written["result"].is_object(), "{written}");
    assert_eq!(lines(&file), BTreeMap::from([("journal".into(), 2), ("journal_read".into(), 1)]));
}

#[tokio::test]
async fn arguments_that_do_not_match_the_schema_are_told_to_the_model() {
    let rules = "[servers.NAME.tools.\"*\"]\nvalidate.schema = true\n";
    let (_site, daemon) = both_ways_with(rules);
    let daemon = daemon.start().await.unwrap();
    for name in ["pipe", "site"] {
        in_state(&daemon, name, "ready").await;
        let client = daemon.client(name).await.unwrap();
        let file = daemon.folder().join(name);
        let wrong = json!({"file": file, "line": 7});
        let answer = ask(&client, "journal", wrong).await;
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with("line: 7 is not of type"), "{text}");
        assert!(text.contains("/properties/line/type") && text.contains("not sent"), "{text}");
        let right = ask(&client, "journal", journal(&file, "x", 0)).await;
        assert!(right["result"]["isError"].is_null(), "{right}");
        assert_eq!(counts(&client, "stats").await["tool journal"], 1);
    }
}
