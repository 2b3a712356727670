//! `mainstay verify`: the checks of a stack, made by the daemon, and what the command says of them.

mod restarted;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use mainstay_testkit::daemon::Builder;
use mainstay_testkit::{Daemon, schema};
use serde_json::{Value, json};

use crate::graph::in_state;
use crate::shared::{daemon, misbehave};

/// Answers each connection with these bytes once it has been asked something, until the test ends.
fn answering(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut asked = [0; 1024];
            if stream.read(&mut asked).is_ok_and(|count| count > 0) {
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    address
}

const HEALTHY: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 31\r\n\r\n\
                       {\"status\":\"green\",\"shards\":[7]}";

/// An address at which nobody listens.
fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A daemon with a server `one`, and these checks.
fn with(checks: &str) -> Builder {
    daemon().command_server("one", &misbehave(&[])).config(checks)
}

/// What `mainstay verify --json` prints, and its exit code.
fn verified(daemon: &Daemon, arguments: &[&str]) -> (Value, Option<i32>) {
    let output = daemon.run(&[&["verify", "--json"], arguments].concat()).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let value = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}\n{}", daemon.log()));
    (value, output.status.code())
}

/// The result of the check of this name.
#[track_caller]
fn named<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut checks = report["checks"].as_array().unwrap().iter();
    checks.find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}: {report:#}"))
}

/// The names of checks with this outcome.
fn those(report: &Value, outcome: &str) -> Vec<String> {
    let checks = report["checks"].as_array().unwrap().iter();
    let checks = checks.filter(|check| check["outcome"] == outcome);
    checks.map(|check| check["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_check_passes_where_all_is_well() {
    let (http, redis) = (answering(HEALTHY), answering("+PONG\r\n"));
    let clock = [env!("CARGO_BIN_EXE_mainstay"), "__demo", "clock"];
    let config = format!(
        "[services.db]\ncommand = ['sleep', '1000']\n\
         [externals.site]\ntcp = '{http}'\nwaiting_period = '100ms'\n\
         [[checks]]\nserver = 'one'\ntool = 'echo'\nargs = {{ word = 'ping', list = [1, 2] }}\n\
         contains = 'ping'\njson = {{ echo.word = ['pong', 'ping'], 'echo.list.1' = 2 }}\n\
         [[checks]]\nname = 'it says no'\nserver = 'one'\ntool = 'fail'\nis_error = true\n\
         equals = 'it failed'\n\
         [[checks]]\nserver = 'clock'\ntools = ['now', 'convert_time_zone', 'countdown']\n\
         [[checks]]\nserver = 'one'\ntools_include = ['echo', 'fail']\n\
         [[checks]]\nof = 'site'\nhttp = 'http://{http}/health'\ncontains = 'green'\n\
         json = {{ status = ['green', 'yellow'], 'shards.0' = 7 }}\n\
         [[checks]]\ntcp = '{http}'\n\
         [[checks]]\nof = 'one'\ncommand = ['sh', '-c', 'echo the key is $KEY']\ncontains = 'is k'\n\
         [[checks]]\nredis = 'redis://{redis}'\n"
    );
    let daemon = with("[servers.one.env]\nKEY = 'k'")
        .command_server("clock", &clock)
        .config(&config)
        .start()
        .await
        .unwrap();
    for name in ["one", "clock", "db", "site"] {
        in_state(&daemon, name, "ready").await;
    }
    let (report, code) = verified(&daemon, &[]);
    assert_eq!((code, &report["passed"]), (Some(0), &json!(true)), "{report:#}");
    assert_eq!(report["declared"], 8);
    let tcp = format!("tcp/{http}");
    let declared = [
        ("one/echo", "call"),
        ("it says no", "call"),
        ("clock/tools", "tools"),
        ("one/tools", "tools"),
        ("site/http", "http"),
        (tcp.as_str(), "tcp"),
        ("one/command", "command"),
        ("redis", "redis"),
    ];
    let passed = those(&report, "passed");
    let (built_in, rest) = passed.split_at(4);
    assert_eq!(rest, declared.map(|(name, _)| name));
    for (name, kind) in declared {
        assert_eq!(named(&report, name)["kind"], kind);
    }
    for name in ["one", "clock", "db", "site"] {
        assert!(built_in.contains(&name.to_owned()), "{built_in:?}");
        assert_eq!(named(&report, name)["kind"], "ready");
    }
    assert_eq!(named(&report, "clock")["found"], "it is ready, and lists 3 tools");
    assert_eq!(named(&report, "clock/tools")["found"], "exactly these 3");
    assert_eq!(named(&report, "it says no")["found"], "\"it failed\"");
    assert_eq!(named(&report, "site")["found"], "it is ready, its tcp probe passes");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let described = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    schema::check(&described, "VerifyReport", &report).unwrap();
    let page = daemon.run(&["verify"]).unwrap();
    let text = String::from_utf8(page.stdout).unwrap();
    assert!(text.contains("all 12 checks passed"), "{text}");
    // A node stands for all checks about it.
    let (report, code) = verified(&daemon, &["one", "it says no"]);
    assert_eq!(code, Some(0));
    let names = ["one", "one/echo", "it says no", "one/tools", "one/command"];
    assert_eq!(those(&report, "passed"), names);
    let (report, _) = verified(&daemon, &["redis"]);
    assert_eq!(those(&report, "passed"), ["redis"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_check_fails_with_its_reason() {
    let (http, closed) = (answering(HEALTHY), closed());
    let config = format!(
        "[[checks]]\nname = 'text'\nserver = 'one'\ntool = 'echo'\ncontains = 'pong'\n\
         [[checks]]\nname = 'error'\nserver = 'one'\ntool = 'fail'\n\
         [[checks]]\nname = 'success'\nserver = 'one'\ntool = 'echo'\nis_error = true\n\
         [[checks]]\nname = 'member'\nserver = 'one'\ntool = 'echo'\nargs = {{ a = 1 }}\n\
         json = {{ echo.a = 2 }}\n\
         [[checks]]\nname = 'unknown'\nserver = 'one'\ntool = 'nothing'\n\
         [[checks]]\nname = 'crashed'\nserver = 'two'\ntool = 'crash'\n\
         [[checks]]\nname = 'tools'\nserver = 'one'\ntools_include = ['echo', 'no-such-tool']\n\
         [[checks]]\nname = 'exactly'\nserver = 'one'\ntools = ['echo', 'no-such-tool']\n\
         [[checks]]\nname = 'http'\nhttp = 'http://{http}/health'\njson = {{ status = 'red' }}\n\
         [[checks]]\nname = 'status'\nhttp = 'http://{http}/health'\nstatus = 204\n\
         [[checks]]\nname = 'tcp'\ntcp = '{closed}'\n\
         [[checks]]\nname = 'command'\ncommand = ['sh', '-c', 'echo no warehouse >&2; exit 3']\n\
         [[checks]]\nname = 'output'\ncommand = ['echo', 'two']\ncontains = 'three'\n\
         [[checks]]\nname = 'redis'\nredis = 'redis://{closed}'\n\
         [[checks]]\nname = 'postgres'\npostgres = 'postgres://u:hidden@{closed}/db'\n\
         [[checks]]\nname = 'lacks'\nhttp = 'secret:env:MAINSTAY_TEST_NOT_SET'\n"
    );
    let daemon = with(&config).command_server("two", &misbehave(&[])).start().await.unwrap();
    for name in ["one", "two"] {
        in_state(&daemon, name, "ready").await;
    }
    let (report, code) = verified(&daemon, &[]);
    assert_eq!((code, &report["passed"]), (Some(1), &json!(false)));
    for (name, found, hint) in [
        ("text", "no text of its result contains \"pong\": \"{}\"", "`mainstay call one echo`"),
        ("error", "it fails: \"it failed\"", "`mainstay call one fail`"),
        ("success", "it succeeds: \"{}\"", "`mainstay call one echo`"),
        ("member", "\"echo.a\" in its result is 1 instead of 2", "--args '{\"a\":1}'`"),
        ("unknown", "it fails: ", "`mainstay call one nothing`"),
        ("crashed", "OUTCOME_UNKNOWN", ""),
        ("tools", "missing: no-such-tool", "`mainstay tools one`"),
        ("exactly", "missing: no-such-tool; unexpected: ", "`mainstay tools one`"),
        ("http", "\"status\" in its JSON body is \"green\" instead of \"red\"", ""),
        ("status", "HTTP 200 instead of 204", ""),
        ("tcp", "refused", ""),
        ("command", "its command exited with code 3: no warehouse", ""),
        ("output", "its command prints no \"three\"; the last line is: two", ""),
        ("redis", "refused", ""),
        ("postgres", "refused", ""),
        ("lacks", "the variable MAINSTAY_TEST_NOT_SET is not set", "environment of the daemon"),
    ] {
        let check = named(&report, name);
        assert_eq!(check["outcome"], "failed", "{check}");
        assert!(check["found"].as_str().unwrap().contains(found), "{check}");
        assert!(check["hint"].as_str().unwrap_or_default().contains(hint), "{check}");
    }
    assert!(!report.to_string().contains("hidden"), "{report:#}");
    assert_eq!(those(&report, "passed"), ["one", "two"]);
    let page = daemon.run(&["verify", "text"]).unwrap();
    assert_eq!(page.status.code(), Some(1));
    let text = String::from_utf8(page.stdout).unwrap();
    let expected = "expected: echo answers with a result with the text \"pong\"";
    assert!(text.contains(expected), "{text}");
    // The hint reaches the daemon of the test.
    let command = format!("`mainstay call one echo --config {}", daemon.folder().display());
    assert!(text.contains(&command), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_hangs_holds_no_other_up() {
    let mut config = String::new();
    for number in 0..20 {
        config.push_str(&format!(
            "[[checks]]\nname = 'hangs {number}'\nserver = 'one'\ntool = 'hang'\ntimeout = '400ms'\n"
        ));
    }
    config.push_str(
        "[[checks]]\nname = 'sleeps'\ncommand = ['sleep', '1000']\ntimeout = '300ms'\n\
         [[checks]]\nname = 'patient'\nserver = 'one'\ntool = 'hang'\ntimeout = '10m'\n\
         [[checks]]\nserver = 'one'\ntool = 'echo'\n",
    );
    let mut daemon = with(&config).start().await.unwrap();
    in_state(&daemon, "one", "ready").await;
    let begun = Instant::now();
    let (report, code) = verified(&daemon, &["--timeout", "5s"]);
    let took = begun.elapsed();
    assert_eq!(code, Some(1));
    assert_eq!(those(&report, "passed"), ["one", "one/echo"]);
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(named(&report, "hangs 7")["found"], "no answer within 400 ms");
    let hint = named(&report, "hangs 7")["hint"].as_str().unwrap();
    assert!(hint.contains("`timeout`"), "{hint}");
    let sleeps = named(&report, "sleeps");
    assert!(sleeps["found"].as_str().unwrap().contains("its command does not end"), "{sleeps}");
    let patient = named(&report, "patient");
    assert_eq!(patient["found"], "no answer within 5 s, the time for all checks");
    assert!(patient["hint"].as_str().unwrap().contains("--timeout"), "{patient}");
    // Nothing of it goes on: no session stays, and no call.
    let operator = crate::admin::over_the_socket(&daemon.state());
    crate::shared::until("everything has ended", async || {
        let sessions = operator.sessions().await.unwrap();
        (sessions.active, sessions.calls) == (0, 0)
    })
    .await;
    let sleeping =
        daemon.children().into_iter().filter(|child| child.command.starts_with("sleep ")).count();
    assert_eq!(sleeping, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_the_same_check_at_the_same_time_share_its_result() {
    const RUNS: usize = 6;
    let check = "[[checks]]\nname = 'slow'\ncommand = ['sleep', '2']\ntimeout = '10s'\n";
    let daemon = with(check).start().await.unwrap();
    in_state(&daemon, "one", "ready").await;
    // One after the other would take longer than the last of them may.
    let results: Vec<_> = std::thread::scope(|scope| {
        let run = || scope.spawn(|| verified(&daemon, &["slow"]));
        let runs: Vec<_> = (0..RUNS).map(|_| run()).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for (report, code) in results {
        assert_eq!(
            (code, those(&report, "passed")),
            (Some(0), vec!["slow".to_owned()]),
            "{report}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_mean_nothing_are_wrong_usage_and_no_daemon_is_no_failed_check() {
    let daemon = with("[[checks]]\nname = 'echo works'\nserver = 'one'\ntool = 'echo'\n")
        .start()
        .await
        .unwrap();
    in_state(&daemon, "one", "ready").await;
    for (name, near) in [("echo work", "\"echo works\""), ("onee", "\"one\"")] {
        let output = daemon.run(&["verify", name]).unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        assert!(complaint.contains(&format!("did you mean {near}?")), "{complaint}");
    }
    let output = daemon.run(&["verify", "--timeout", "2h"]).unwrap();
    assert_eq!(output.status.code(), Some(2));
    let home = tempfile::tempdir().unwrap();
    crate::mainstay(home.path(), &["verify"]).exits(3).complains("no daemon is running");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_declared_checks_everything_that_runs_is_checked() {
    let daemon = with("").start().await.unwrap();
    in_state(&daemon, "one", "ready").await;
    let output = daemon.run(&["verify"]).unwrap();
    assert_eq!(output.status.code(), Some(0));
    let (text, remark) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(text.contains("it is ready, and lists "), "{text}");
    assert!(remark.contains("no checks are declared: [[checks]]"), "{remark}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stopped_by_hand_is_skipped_and_what_does_not_run_fails() {
    let closed = closed();
    let config = format!(
        "needs = ['service:db']\non_lost_need = 'stop'\n\
         [services.db]\ncommand = ['sleep', '1000']\n\
         [servers.gone]\ncommand = ['sh', '-c', 'echo no disk >&2; exit 3']\n\
         [externals.far]\ntcp = '{closed}'\nfall = 1\nwaiting_period = '100ms'\n\
         [[checks]]\nserver = 'one'\ntool = 'echo'\n\
         [[checks]]\nserver = 'gone'\ntools = []\n\
         [[checks]]\nof = 'db'\ntcp = '{closed}'\n\
         [[checks]]\nof = 'one'\ncommand = ['true']\n"
    );
    let daemon = with(&config).start().await.unwrap();
    in_state(&daemon, "one", "ready").await;
    in_state(&daemon, "far", "unhealthy").await;
    assert_eq!(daemon.run(&["stop", "db"]).unwrap().status.code(), Some(0));
    in_state(&daemon, "one", "held").await;
    let (report, code) = verified(&daemon, &[]);
    assert_eq!(code, Some(1));
    assert_eq!(those(&report, "skipped"), ["db", "one", "one/echo", "db/tcp"]);
    assert_eq!(those(&report, "passed"), ["one/command"]);
    assert!(named(&report, "db")["hint"].as_str().unwrap().contains("`mainstay start db`"));
    let found = named(&report, "one/echo")["found"].as_str().unwrap();
    assert!(found.starts_with("one is held: ") && found.contains("service:db"), "{found}");
    for name in ["gone", "gone/tools"] {
        let found = named(&report, name)["found"].as_str().unwrap();
        assert!(found.contains("code 3"), "{found}");
    }
    let far = named(&report, "far");
    assert!(far["found"].as_str().unwrap().starts_with("far is unhealthy: "), "{far}");
    // Nothing that runs has failed.
    let (report, code) = verified(&daemon, &["one"]);
    assert_eq!((code, &report["passed"]), (Some(0), &json!(true)), "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_server_is_in_a_result() {
    let config = "[servers.one.env]\nAPI_KEY = 'secret:env:ONE_KEY'\n\
                  [[checks]]\nserver = 'one'\ntool = 'echo'\nargs = { x = '${ONE_KEY}' }\ncontains = 'y'\n\
                  [[checks]]\nof = 'one'\ncommand = ['sh', '-c', 'echo $API_KEY; exit 1']\n";
    let daemon = with(config).variable("ONE_KEY", "open-sesame-and-more").start().await.unwrap();
    in_state(&daemon, "one", "ready").await;
    let (report, code) = verified(&daemon, &[]);
    assert_eq!(code, Some(1));
    assert!(!report.to_string().contains("sesame"), "{report:#}");
    assert!(named(&report, "one/echo")["found"].as_str().unwrap().contains("***"), "{report:#}");
}
