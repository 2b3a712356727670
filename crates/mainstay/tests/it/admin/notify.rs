//! `[[notify]]`: who is told of changes, by a command and by a webhook.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_testkit::Daemon;
use mainstay_testkit::daemon::Builder;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::events::words;
use super::{ask, over_the_socket};
use crate::shared::{PATIENCE, daemon, eventually_within, misbehave, until};

/// Longest wait for a crash loop: five restarts with growing pauses, on a busy machine.
const LOOPING: Duration = Duration::from_secs(120);

/// Listens on loopback and keeps the requests that it gets: head and body.
struct Hook {
    url: String,
    got: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Hook {
    /// Answers the first requests with these codes and later ones with the last of them.
    async fn start(codes: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook/hidden?key=hidden", listener.local_addr().unwrap());
        let got: Arc<Mutex<Vec<_>>> = Arc::default();
        let kept = got.clone();
        tokio::spawn(async move {
            for at in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                let code = codes[at.min(codes.len() - 1)];
                if let Some(request) = answer(stream, code).await {
                    kept.lock().push(request);
                }
            }
        });
        Self { url, got }
    }

    fn section(&self, more: &str) -> String {
        format!("[[notify]]\nurl = {:?}\n{more}", self.url)
    }

    fn bodies(&self) -> Vec<Value> {
        self.got.lock().iter().map(|(_, body)| body.clone()).collect()
    }
}

async fn answer(stream: TcpStream, code: u16) -> Option<(String, Value)> {
    let mut stream = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let answer = format!("HTTP/1.1 {code} x\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.ok()?;
    Some((head, serde_json::from_slice(&body).ok()?))
}

/// A section whose command adds what it is told to a file: the variables, and what it reads.
fn writing(folder: &Path, more: &str) -> (String, PathBuf) {
    let file = folder.join("told");
    // A line in one step, so that nobody reads a part of it.
    let script = "told=$(cat); printf '%s %s %s %s %s\\n' \"$MAINSTAY_EVENT\" \"$MAINSTAY_NAME\" \
                  \"$MAINSTAY_STATE\" \"$${LEAK-none}\" \"$told\" >> \"$1\"";
    let command = ["sh", "-c", script, "sh", file.to_str().unwrap()];
    (format!("[[notify]]\ncommand = {command:?}\n{more}"), file)
}

fn told(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// A daemon with a server that exits as soon as it starts.
fn crashing() -> Builder {
    daemon().command_server("coordination", &["sh", "-c", "echo no such table >&2; exit 3"])
}

async fn notifications(daemon: &Daemon, outcome: &str) -> u64 {
    let answer = over_the_socket(&daemon.state()).get("/metrics").await.unwrap();
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let series = format!("mainstay_notifications_total{{outcome=\"{outcome}\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&series)).unwrap();
    value.parse().unwrap()
}

/// The coordination server of the field reports was restarted 109,000 times, and nobody saw it.
#[tokio::test]
async fn a_loop_that_went_unseen_109_000_times_is_told_once_by_command_and_by_webhook() {
    let folder = tempfile::tempdir().unwrap();
    let hook = Hook::start(&[204]).await;
    let only = "on = [\"crash-loop\"]";
    let (command, file) = writing(folder.path(), only);
    let daemon = crashing()
        .variable("LEAK", "a secret of another server")
        .config(&command)
        .config(&hook.section(&format!("{only}\nheaders = {{ X-Key = \"hidden\" }}")))
        .start()
        .await
        .unwrap();
    let both = async || (!told(&file).is_empty() && !hook.bodies().is_empty()).then_some(());
    eventually_within(LOOPING, "both are told", both).await;
    assert_eq!(words(&daemon, "coordination"), ["starting", "not-ready", "crash-loop"]);
    until("both are counted", async || notifications(&daemon, "delivered").await == 2).await;
    let lines = told(&file);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let json = lines[0].strip_prefix("crash-loop coordination crash-loop none ");
    let json: Value = serde_json::from_str(json.unwrap_or_else(|| panic!("{lines:?}"))).unwrap();
    let bodies = hook.bodies();
    assert_eq!(bodies, std::slice::from_ref(&json), "both are told the same");
    assert_eq!((&json["event"], &json["left_out"]), (&"crash-loop".into(), &0.into()));
    assert!(json["reason"].as_str().unwrap().contains("no such table"), "{json}");
    assert!(json["text"].as_str().unwrap().starts_with("coordination is crash-loop: "), "{json}");
    let head = hook.got.lock()[0].0.to_ascii_lowercase();
    assert!(head.starts_with("post /hook/hidden?key=hidden http/1.1"), "{head}");
    assert!(head.contains("x-key: hidden") && head.contains("content-type: application/json"));
}

#[tokio::test]
async fn a_webhook_that_fails_is_tried_three_times_and_no_redirect_is_followed() {
    let [recovers, fails, moves] =
        [Hook::start(&[503, 200]).await, Hook::start(&[500]).await, Hook::start(&[302]).await];
    let sections = [&recovers, &fails, &moves].map(|hook| hook.section(""));
    let missing = daemon().command_server("missing", &["/nowhere/at-all"]);
    let daemon = sections.iter().fold(missing, |daemon, section| daemon.config(section));
    let daemon = daemon.start().await.unwrap();
    until("one is told", async || notifications(&daemon, "delivered").await == 1).await;
    until("two are not", async || notifications(&daemon, "failed").await == 2).await;
    let counts = [&recovers, &fails, &moves].map(|hook| hook.bodies().len());
    assert_eq!(counts, [2, 3, 3]);
    assert_eq!(recovers.bodies()[1]["event"], "failed");
    daemon.wait_for_log("a notification was not delivered", PATIENCE).await.unwrap();
    let log = daemon.log();
    assert!(log.contains("it answered HTTP 500") && log.contains("HTTP 302"), "{log}");
    assert!(!log.contains("hidden"), "{log}");
    let status = daemon.run(&["status", "--json"]).unwrap();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    let sections = status["notifications"].as_array().unwrap();
    let failing: Vec<_> = sections.iter().map(|one| !one["failing_since"].is_null()).collect();
    assert_eq!(failing, [false, true, true], "{status}");
    assert_eq!(sections[1]["reason"], "it answered HTTP 500");
    let shown = daemon.run(&["status"]).unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let origin = fails.url.split("/hook").next().unwrap();
    let line = format!("notify.2 ({origin}) could not tell anybody for ");
    assert!(shown.contains(&line) && !shown.contains("notify.1 ("), "{shown}");
    let (_, _, open) = ask(&daemon, "GET /api/status", &[], "").await;
    assert_eq!(open["notifications"][1]["section"], "notify.2");
    assert_eq!(open["notifications"][1]["reason"], Value::Null);
    for text in [status.to_string(), shown, open.to_string()] {
        assert!(!text.contains("hidden"), "{text}");
    }
}

#[tokio::test]
async fn what_a_command_writes_is_kept_under_a_name_that_no_server_has() {
    let talks = ["sh", "-c", "echo told of $MAINSTAY_NAME >&2"];
    let daemon = daemon()
        .command_server("missing", &["/nowhere/at-all"])
        .command_server("notify-1", &["sh", "-c", "echo of the server >&2; sleep 600"])
        .config(&format!("[[notify]]\ncommand = {talks:?}\nservers = ['missing']"))
        .start()
        .await
        .unwrap();
    until("it is told", async || notifications(&daemon, "delivered").await == 1).await;
    let logs = |name| {
        let ran = daemon.run(&["logs", name, "--json"]).unwrap();
        let page: Value = serde_json::from_slice(&ran.stdout).unwrap_or_default();
        let lines = page["lines"].as_array().cloned().unwrap_or_default();
        lines.iter().map(|line| line["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    until("the command's line", async || logs("notify.1") == ["told of missing"]).await;
    until("the server's line", async || logs("notify-1").contains(&"of the server".into())).await;
    assert!(!logs("notify-1").contains(&"told of missing".into()));
    let unknown = daemon.run(&["logs", "notify.2"]).unwrap();
    assert!(!unknown.status.success());
}

#[tokio::test]
async fn a_command_that_hangs_is_ended_and_holds_up_neither_others_nor_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let hangs = "trap '' TERM; sleep 600 & echo $! >> \"$1\"; wait";
    let hangs = ["sh", "-c", hangs, "sh", pids.to_str().unwrap()];
    let hangs = |timeout| format!("[[notify]]\ncommand = {hangs:?}\ntimeout = \"{timeout}\"");
    let (command, file) = writing(folder.path(), "");
    let mut daemon = daemon()
        .command_server("missing", &["/nowhere/at-all"])
        .config(&hangs("300ms"))
        .config(&hangs("60s"))
        .config(&command)
        .start()
        .await
        .unwrap();
    until("others are told", async || told(&file).len() == 1).await;
    until("three attempts", async || notifications(&daemon, "failed").await == 1).await;
    let started: Vec<i32> = told(&pids).iter().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(started.len(), 4, "three attempts, and one that is still waited for");
    let lives = |pid: i32| test_kill_process(Pid::from_raw(pid).unwrap()).is_ok();
    until("those of the first are gone", async || {
        started.iter().filter(|pid| lives(**pid)).count() == 1
    })
    .await;
    let begun = Instant::now();
    daemon.term().unwrap();
    assert!(daemon.wait(PATIENCE).await.unwrap().success());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(!started.iter().any(|pid| lives(*pid)));
}

#[tokio::test]
async fn who_wants_returns_is_told_of_them_and_who_wants_losses_of_those() {
    let folders: [_; 2] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let (of_loss, lost) = writing(folders[0].path(), "on = [\"not-ready\"]");
    let (of_return, back) = writing(folders[1].path(), "on = [\"back\"]");
    let server = daemon().command_server("files", &misbehave(&[]));
    let daemon = server.config(&of_loss).config(&of_return).start().await.unwrap();
    let pid = super::events::pid(&daemon, "files").await;
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    until("both are told", async || [&lost, &back].iter().all(|file| told(file).len() == 1)).await;
    assert!(told(&lost)[0].starts_with("not-ready files not-ready none {"), "{:?}", told(&lost));
    assert!(told(&back)[0].starts_with("back files ready none {"), "{:?}", told(&back));
}
