//! Faults of reading, ending and repeating: servers that do not listen, do not go, do not stop.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mainstay_testkit::Client;
use mainstay_testkit::process::{Process, wait_gone};
use rustix::process::Signal;
use serde_json::json;

use crate::running::{Lines, request, site};

#[test]
fn a_deaf_server_never_empties_its_pipe() {
    for flag in ["--deaf", "--deaf-after=1"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mainstay-misbehave"))
            .args(["stdio", flag])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || {
            let line = format!("{}\n", request(1, "ping", json!({"padding": "x".repeat(1 << 20)})));
            (0..64).all(|_| stdin.write_all(line.as_bytes()).is_ok())
        });
        std::thread::sleep(Duration::from_millis(100));
        assert!(!writer.is_finished(), "{flag}: 64 MB fit into no pipe");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!writer.join().unwrap(), "{flag}: the pipe broke");
    }
}

#[test]
fn stubborn_servers_go_on_until_they_are_killed() {
    let mut server = Lines::misbehave(&["--ignore-eof", "--ignore-term"]);
    server.handshake();
    let itself = [Process::find(server.pid()).unwrap()];
    server.close();
    itself[0].signal(Signal::TERM);
    assert_eq!(wait_gone(&itself, Duration::from_millis(200)), itself);
    itself[0].signal(Signal::KILL);
    assert_eq!(server.exit(), None);
}

#[test]
fn a_server_that_hangs_or_dawdles_in_the_handshake() {
    let mut server = Lines::misbehave(&["--hang-in-handshake"]);
    server.send(&request(1, "initialize", json!({})));
    assert!(server.is_silent_for(Duration::from_millis(100)));
    server.send(&request(2, "ping", json!({})));
    assert_eq!(server.message()["id"], 2);
    for flag in ["--slow-start=500", "--slow-handshake=500"] {
        let mut server = Lines::misbehave(&[flag]);
        server.send(&request(1, "initialize", json!({})));
        assert!(server.is_silent_for(Duration::from_millis(50)), "{flag}");
        assert_eq!(server.message()["id"], 1, "{flag}");
    }
}

#[test]
fn notifications_come_in_floods() {
    let mut server = Lines::misbehave(&["--flood=50", "--storm=40"]);
    server.handshake();
    let methods: Vec<_> = (0..90).map(|_| server.message()["method"].clone()).collect();
    assert!(methods[..50].iter().all(|method| method == "notifications/message"));
    assert!(methods[50..].iter().all(|method| method == "notifications/tools/list_changed"));
    server.call(1, "flood", json!({"count": 300}));
    for number in 0..300 {
        assert_eq!(server.message()["params"]["data"], number);
    }
    assert_eq!(server.message()["id"], 1);
}

#[test]
fn progress_is_wrong_as_told() {
    let mut server = Lines::misbehave(&[]);
    server.handshake();
    for (tool, before, after) in [
        ("progress", 3, 0),
        ("progress_unknown", 2, 0),
        ("progress_late", 0, 1),
        ("progress_backwards", 3, 0),
    ] {
        let params = json!({"name": tool, "arguments": {"ms": 1}, "_meta": {"progressToken": "t"}});
        server.send(&request(1, "tools/call", params));
        let report = |count: u32| {
            for _ in 0..count {
                assert_eq!(server.message()["method"], "notifications/progress", "{tool}");
            }
        };
        report(before);
        assert_eq!(server.message()["id"], 1, "{tool}");
        for _ in 0..after {
            assert_eq!(server.message()["method"], "notifications/progress", "{tool}");
        }
    }
}

#[tokio::test]
async fn lists_are_wrong_as_told() {
    let (url, _guard) = site(&["--endless"]).await;
    let client = Client::connect(&url).await.unwrap();
    let page = client.request("tools/list", json!({"cursor": "41"})).await.unwrap();
    assert_eq!(page["nextCursor"], "42");
    let (url, _guard) = site(&["--wrong-lists"]).await;
    let client = Client::connect(&url).await.unwrap();
    assert_eq!(client.request("tools/list", json!({})).await.unwrap()["tools"], "none");
    let (url, _guard) = site(&["--no-capabilities"]).await;
    let client = Client::connect(&url).await.unwrap();
    assert_eq!(client.server["capabilities"], json!({}));
    client.request("tools/list", json!({})).await.unwrap_err();
}

#[tokio::test]
async fn large_and_deep_answers_arrive_whole() {
    let (url, _guard) = site(&["--json"]).await;
    let client = Client::connect(&url).await.unwrap();
    let huge = client.call("huge", json!({})).await.unwrap();
    assert_eq!(huge["content"][0]["text"].as_str().unwrap().len(), 10_000_000);
    let blocks = client.call("blocks", json!({"count": 20})).await.unwrap();
    assert_eq!(blocks["content"].as_array().unwrap().len(), 20);
    let params = json!({"name": "deep", "arguments": {"depth": 5000}});
    let body = request(9, "tools/call", params).to_string();
    let text = client.post(body, &[]).await.unwrap().text().await.unwrap();
    assert!(text.contains(&"[".repeat(5_000)));
}

#[test]
fn a_server_comes_back_on_the_same_port_without_its_sessions() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut first, url) = http("127.0.0.1:0");
    let client = runtime.block_on(Client::connect(&url)).unwrap();
    runtime.block_on(client.call("echo", json!({}))).unwrap();
    first.kill().unwrap();
    first.wait().unwrap();
    let address = url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
    let (mut second, again) = http(&address);
    assert_eq!(again, url);
    let body = request(9, "ping", json!({})).to_string();
    let reply = runtime.block_on(async { client.post(body, &[]).await.unwrap().status });
    second.kill().unwrap();
    second.wait().unwrap();
    assert_eq!(reply, 404);
}

fn http(address: &str) -> (Child, String) {
    use std::io::{BufRead, BufReader};
    let mut child = Command::new(env!("CARGO_BIN_EXE_mainstay-misbehave"))
        .args(["http", "--listen", address])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().trim_start_matches("listening on ").to_owned())
}
