use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mainstay_model::Budget;
use mainstay_model::settings::{ProbeCheck, ProbeSpec, ToolCheck};
use mainstay_protocol::Message;
use mainstay_supervisor::probe::Outcome;
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

use super::super::{Kind, ProbedRun, Prober};
use super::{ErrorAnswer, ToolProbe};
use crate::link::LinkLimits;
use crate::transport::conformance::Ears;

const CAP: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(100);

/// Checks a server over pipes that answers each request with these members, or not at all. Returns the outcome
/// and all that the server has read until it had read `lines` messages.
async fn check(
    check: ProbeCheck,
    timeout: Duration,
    answer: Option<&str>,
    lines: usize,
) -> (Outcome, String) {
    let spec = ProbeSpec { timeout, ..ProbeSpec::new(check) };
    let prober = Prober::of_kind(&spec, Kind::without_process(&spec.check));
    let (requests, input) = std::io::pipe().unwrap();
    let (output, answers) = std::io::pipe().unwrap();
    let stop = CancellationToken::new();
    let _ended = stop.clone().drop_guard();
    let limits = LinkLimits {
        message_bytes_max: 1 << 20,
        unread_bytes_max: 1 << 20,
        depth_max: 128,
        budget: Budget::UNLIMITED,
    };
    let ears = Arc::<Ears>::default();
    let link = crate::stdio::open(input.into(), output.into(), limits, ears, stop).unwrap();
    let run = ProbedRun { link: Some(link), ..ProbedRun::default() };
    let read = Mutex::new(String::new());
    let serve = async {
        let requests = pipe::Receiver::from_owned_fd(requests.into()).unwrap();
        let mut answers = pipe::Sender::from_owned_fd(answers.into()).unwrap();
        let mut requests = BufReader::new(requests).lines();
        for _ in 0..lines {
            let line = requests.next_line().await.unwrap().unwrap();
            *read.lock() += &line;
            let request = Message::parse(line.into_bytes().into()).unwrap();
            if let (Some(id), Some(answer)) = (request.id_number(), answer) {
                let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},{answer}}}\n");
                answers.write_all(answer.as_bytes()).await.unwrap();
            }
        }
        answers
    };
    let both = async { tokio::join!(prober.check(&run), serve) };
    let (outcome, _answers) = tokio::time::timeout(CAP, both).await.expect("in time");
    (outcome, read.into_inner())
}

fn tool() -> ProbeCheck {
    let (tool, args) = ("health".to_owned(), r#"{"deep":true}"#.to_owned());
    ProbeCheck::Tool(ToolCheck { tool, args, contains: "all well".to_owned() })
}

#[tokio::test]
async fn any_answer_to_a_ping_is_one() {
    let unknown = r#""error":{"code":-32601,"message":"Method not found"}"#;
    for answer in [r#""result":{}"#, unknown] {
        let (outcome, read) = check(ProbeCheck::Ping, CAP, Some(answer), 1).await;
        assert_eq!(outcome, Outcome::Passed);
        assert!(read.contains(r#""method":"ping""#), "{read}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_silent_and_is_told_that_nobody_waits() {
    for (probe, words) in [(ProbeCheck::Ping, "a ping"), (tool(), "its tool \"health\"")] {
        let (outcome, read) = check(probe, SHORT, None, 2).await;
        let Outcome::Silent(failure) = outcome else { panic!("not silent: {outcome:?}") };
        assert!(failure.reason.contains(words), "{failure:?}");
        assert!(read.contains("notifications/cancelled"), "{read}");
    }
}

#[tokio::test]
async fn a_tool_is_called_with_its_arguments_and_its_result_counts() {
    let well = r#""result":{"content":[{"type":"text","text":"all well"}]}"#;
    let (outcome, read) = check(tool(), CAP, Some(well), 1).await;
    assert_eq!(outcome, Outcome::Passed);
    assert!(read.contains(r#""params":{"name":"health","arguments":{"deep":true}}"#), "{read}");
    let ill = r#""result":{"content":[{"type":"text","text":"not all well"}],"isError":true}"#;
    let (outcome, _) = check(tool(), CAP, Some(ill), 1).await;
    assert!(matches!(outcome, Outcome::Unfit(_)), "{outcome:?}");
}

fn probe(contains: &str) -> ToolProbe {
    let (tool, args) = ("find \"it\"".to_owned(), r#"{"q":1}"#.to_owned());
    ToolProbe::new(&ToolCheck { tool, args, contains: contains.to_owned() })
}

fn why(contains: &str, result: &'static str) -> Option<String> {
    let judged = probe(contains).judge(&Ok(Bytes::from_static(result.as_bytes())));
    judged.err().map(|outcome| outcome.failure().unwrap().reason.clone())
}

#[test]
fn a_result_counts_by_its_texts_and_its_error_flag() {
    assert_eq!(probe("").params, r#"{"name":"find \"it\"","arguments":{"q":1}}"#);
    let good = r#"{"content":[{"type":"image","data":"b2s="},{"type":"text","text":"all ok"}]}"#;
    assert_eq!((why("", good), why("ok", good)), (None, None));
    assert_eq!(why("", "{}"), None);
    let missing = why("b2s", good).unwrap();
    assert_eq!(missing, "its tool \"find \\\"it\\\"\" answers without the text \"b2s\"");
    let failed = r#"{"content":[{"type":"text","text":"no index\nok"}],"isError":true}"#;
    assert!(why("ok", failed).unwrap().ends_with("fails: no index"));
    assert!(why("", r#"{"isError":true}"#).unwrap().ends_with("it says no reason"));
    assert!(why("", "[]").unwrap().contains("something that is no result"));
}

#[test]
fn an_error_is_told_in_the_servers_words() {
    let body = r#"{"code":-32602,"message":"no such tool"}"#.to_owned();
    let judged = probe("").judge(&Err(ErrorAnswer { code: Some(-32602), body })).unwrap_err();
    let failure = judged.failure().unwrap();
    assert!(failure.reason.ends_with("answers with an error: no such tool"));
    assert_eq!(failure.brief, "its probe tool failed");
}
