//! Answers that few clients can read: they are passed on where their meaning is clear, and otherwise end
//! their call at once.

use std::time::{Duration, Instant};

use mainstay_testkit::{Daemon, Site};
use serde_json::{Value, json};

use super::{ask, assert_echo, assert_refused, daemon, eventually, in_state, misbehave, server};

/// Ways that are valid or can be written anew.
const CLEAR: [&str; 7] =
    ["id-string", "id-float", "id-exponent", "error-null", "no-jsonrpc", "jsonrpc-1", "bom"];

/// Ways that can't be used, and what a refusal says about each.
const UNUSABLE: [(&str, &str); 11] = [
    ("nan", "not JSON"),
    ("infinity", "not JSON"),
    ("single-quotes", "not JSON"),
    ("suffix", "trailing characters"),
    ("cut", "EOF"),
    ("both", "only one of"),
    ("neither", "is missing"),
    ("error-text", "not \"it broke\""),
    ("error-no-message", "a string `message`"),
    ("latin1", "invalid UTF-8"),
    ("error-text", "it broke"),
];

/// A daemon with the same server over every transport, whose calls have ten minutes.
async fn everywhere() -> (Vec<Site>, Daemon) {
    let sites = [("site", &[][..]), ("bodies", &["--json"]), ("older", &["--only-sse=405"])];
    let mut builder = daemon()
        .config("[gateway]\ncall_timeout = \"10m\"\ncall_timeout_max = \"10m\"")
        .command_server("pipe", &misbehave(&[]));
    let mut open = Vec::new();
    for (name, flags) in sites {
        let site = Site::start(flags);
        builder = builder.url_server(name, &site.url());
        open.push(site);
    }
    (open, builder.start().await.unwrap())
}

const NAMES: [&str; 4] = ["pipe", "site", "bodies", "older"];

#[tokio::test]
async fn an_answer_whose_meaning_is_clear_reaches_the_client_as_a_valid_one() {
    let (_sites, daemon) = everywhere().await;
    for name in NAMES {
        in_state(&daemon, name, "ready").await;
        let client = daemon.client(name).await.unwrap();
        for how in CLEAR {
            let arguments = json!({"how": how, "n": 1.0});
            let answer = ask(&client, "odd_answer", arguments.clone()).await;
            assert_echo(&answer, &arguments);
            let members: Vec<_> = answer.as_object().unwrap().keys().collect();
            assert_eq!(members.len(), 3, "{name} {how}: {answer}");
            assert_eq!(answer["jsonrpc"], "2.0");
        }
        let failed = ask(&client, "odd_answer", json!({"how": "result-null"})).await;
        assert_eq!(failed["error"]["message"], "it broke", "{name}: {failed}");
        assert!(failed.get("result").is_none(), "{failed}");
    }
}

#[tokio::test]
async fn an_answer_that_can_not_be_used_ends_its_call_at_once_and_says_why() {
    let (_sites, daemon) = everywhere().await;
    for name in NAMES {
        in_state(&daemon, name, "ready").await;
        let client = daemon.client(name).await.unwrap();
        let before = super::life(&daemon, name).await;
        for (how, why) in UNUSABLE {
            let begun = Instant::now();
            let answer = ask(&client, "odd_answer", json!({"how": how})).await;
            assert_refused(&answer, 1007, "OUTCOME_UNKNOWN");
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(message.contains("its answer can't be used"), "{name} {how}: {message}");
            assert!(message.contains(why), "{name} {how}: {message}");
            assert_eq!(answer["error"]["data"]["server"], name);
            assert!(begun.elapsed() < Duration::from_secs(60), "{name} {how}");
        }
        assert_echo(&ask(&client, "echo", json!({"n": 1})).await, &json!({"n": 1}));
        assert_eq!(super::life(&daemon, name).await, before, "{name} goes on");
    }
    let log = daemon.log();
    for name in NAMES {
        let named = format!("\"server\":\"{name}\"");
        let told = log.lines().any(|line| {
            (line.contains(&named) || line.contains(&format!("server={name}")))
                && line.contains("an answer can't be used")
        });
        assert!(told, "the log says nothing about {name}:\n{log}");
    }
}

/// Over HTTP an answer must name its request, too. On a stream the right one may still come.
#[tokio::test]
async fn an_answer_with_the_id_of_no_request_is_no_answer_to_the_call() {
    let (_sites, daemon) = everywhere().await;
    for (name, how, code, says) in [
        ("bodies", "id-other", "OUTCOME_UNKNOWN", "it has the id 987654321 instead of"),
        ("bodies", "id-other-word", "OUTCOME_UNKNOWN", "it has the id \"server\" instead of"),
        ("bodies", "id-other-cut", "OUTCOME_UNKNOWN", "EOF"),
        ("site", "id-other", "OUTCOME_UNKNOWN", "the server ended the stream without an answer"),
        ("site", "id-other-word", "OUTCOME_UNKNOWN", "ended the stream without an answer"),
        ("site", "id-other-cut", "OUTCOME_UNKNOWN", "ended the stream without an answer"),
    ] {
        in_state(&daemon, name, "ready").await;
        let client = daemon.client(name).await.unwrap();
        let answer = ask(&client, "odd_answer", json!({"how": how, "n": 1})).await;
        assert_refused(&answer, 1007, code);
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(says), "{name} {how}: {message}");
    }
    let label = r#"server="site""#;
    let ignored = ["mainstay_late_answers_total", "mainstay_stray_lines_total"];
    for (metric, expected) in ignored.into_iter().zip([2.0, 1.0]) {
        assert_eq!(super::metric(&daemon, metric, &[label]).await, expected, "{metric}");
    }
}

/// SDKs give errors an id of their own where they could not read the request.
#[tokio::test]
async fn an_error_without_the_id_of_its_request_ends_the_call_it_was_sent_for() {
    let (_sites, daemon) = everywhere().await;
    for name in ["site", "bodies"] {
        in_state(&daemon, name, "ready").await;
        let client = daemon.client(name).await.unwrap();
        for how in ["error-id-null", "error-id-word"] {
            let answer = ask(&client, "odd_answer", json!({"how": how})).await;
            assert_eq!(answer["error"]["message"], "it broke", "{name} {how}: {answer}");
        }
    }
}

#[tokio::test]
async fn an_answer_too_deep_ends_its_call_and_names_the_limit() {
    let (_sites, daemon) = everywhere().await;
    for name in NAMES {
        in_state(&daemon, name, "ready").await;
        let client = daemon.client(name).await.unwrap();
        let fits = ask(&client, "deep", json!({"depth": 100})).await;
        assert!(fits["result"].is_object(), "{name}: {fits}");
        for depth in [200, 100_000] {
            let answer = ask(&client, "deep", json!({"depth": depth})).await;
            assert_refused(&answer, 1011, "LIMIT_EXCEEDED");
            assert_eq!(answer["error"]["data"]["limit"], "max_depth: 128", "{name}: {answer}");
        }
    }
}

/// What came instead of an answer is named when the handshake fails.
#[tokio::test]
async fn a_handshake_that_times_out_names_what_could_not_be_used() {
    let script = |answer: &str| {
        let program =
            format!("echo 'Listening on stdio'; read line; echo '{answer}'; exec sleep 60");
        ["sh".to_owned(), "-c".to_owned(), program]
    };
    let daemon = daemon()
        .command_server("text", &script("I am ready"))
        .config("start_timeout = \"2s\"")
        .command_server("foreign", &script(r#"{"jsonrpc":"2.0","id":"other","result":{}}"#))
        .config("start_timeout = \"2s\"")
        .command_server(
            "nameless",
            &script(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"what?"}}"#),
        )
        .config("revision = \"2025-11-25\"")
        .command_server("broken", &script(r#"{"jsonrpc":"2.0","id":1,"result":{"x":NaN}}"#))
        .start()
        .await
        .unwrap();
    for (name, says) in [
        ("text", &["within 2s", "Listening on stdio", "I am ready", "not JSON"][..]),
        ("foreign", &["within 2s", "Listening on stdio", "\"other\"", "which no request has"]),
        ("nameless", &["it refused initialize", "what?"]),
        ("broken", &["initialize", "its answer can't be used", "not JSON"]),
    ] {
        eventually(&format!("the reason of {name}"), async || {
            let now: Value = server(&daemon, name).await;
            let output = now["last_output"].as_array().into_iter().flatten();
            let output: Vec<_> = output.filter_map(Value::as_str).collect();
            let reason = format!("{}\n{}", now["reason"].as_str()?, output.join("\n"));
            says.iter().all(|part| reason.contains(part)).then_some(())
        })
        .await;
    }
}
