//! Nobody but the operator sees what a server is started or reached with, or what it says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use mainstay_testkit::daemon::Builder;
use mainstay_testkit::{Client, Daemon, Site, programs};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{ask, over_the_socket, token};
use crate::shared::{daemon, until};

/// The text that is planted wherever a secret may be.
const SECRET: &str = "PLANTED";

/// A user of the machine that is not the daemon's.
const NOBODY: u32 = 65_534;

/// Listens on loopback and gives every connection this answer. Ends with the test.
async fn answering(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

/// Adds servers that are processes and hold the secret in each place where one may be.
fn processes(daemon: Builder, folder: &Path) -> Builder {
    let hidden = folder.join(SECRET);
    fs::create_dir(&hidden).unwrap();
    let closed = hidden.join("closed");
    fs::write(&closed, "").unwrap();
    let no_program = hidden.join("text");
    fs::write(&no_program, "PLANTED").unwrap();
    fs::set_permissions(&no_program, fs::Permissions::from_mode(0o755)).unwrap();
    let fixture = programs::fixture().unwrap().display().to_string();
    let refuses = r#"while read -r line; do
        echo '{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"PLANTED"}}'
    done"#;
    let works = format!("echo PLANTED >&2; exec {fixture} stdio");
    let quick = "start_timeout = \"1s\"";
    let path = |path: &Path| path.display().to_string();
    let all: [(&str, Vec<String>, String); 10] = [
        ("works", shell(&works), format!("cwd = {:?}\nenv = {{ KEY = \"PLANTED\" }}", hidden)),
        ("missing", vec!["/PLANTED/program".into(), "PLANTED".into()], String::new()),
        ("unnamed", vec!["program --key=PLANTED".into()], String::new()),
        ("closed", vec![path(&closed)], String::new()),
        ("text", vec![path(&no_program)], String::new()),
        ("folder", shell(&works), "cwd = \"/PLANTED/folder\"".into()),
        ("user", shell(&works), "user = \"PLANTED\"".into()),
        ("crashes", shell("echo PLANTED; echo PLANTED >&2; exit 3"), String::new()),
        ("hangs", shell("echo PLANTED >&2; cat > /dev/null"), quick.into()),
        ("refuses", shell(refuses), quick.into()),
    ];
    all.into_iter().fold(daemon, |daemon, (name, command, more)| {
        daemon.command_server(name, &command).config(&more)
    })
}

fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script, "PLANTED"].map(str::to_owned).to_vec()
}

/// Adds servers that are reached over HTTP and hold the secret in each place where one may be.
async fn remotes(daemon: Builder, site: &Site) -> Builder {
    let forbidden =
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 7\r\nconnection: close\r\n\r\nPLANTED";
    let moved = "HTTP/1.1 307 Moved\r\nlocation: http://127.0.0.1:1/PLANTED\r\ncontent-length: 0\r\n\
                 connection: close\r\n\r\n";
    let failing = "HTTP/1.1 500 PLANTED\r\ncontent-length: 7\r\nconnection: close\r\n\r\nPLANTED";
    let plain = answering("PLANTED").await;
    let more = "headers = { X-Key = \"PLANTED\" }";
    [
        ("far", format!("{}?key=PLANTED", site.url())),
        ("refused", "http://127.0.0.1:1/PLANTED?key=PLANTED".to_owned()),
        ("forbidden", format!("http://127.0.0.1:{}/PLANTED", answering(forbidden).await)),
        ("moved", format!("http://127.0.0.1:{}/PLANTED", answering(moved).await)),
        ("failing", format!("http://127.0.0.1:{}/PLANTED", answering(failing).await)),
        ("plain", format!("https://127.0.0.1:{plain}/PLANTED?key=PLANTED")),
    ]
    .into_iter()
    .fold(daemon, |daemon, (name, url)| daemon.url_server(name, &url).config(more))
}

/// Starts a daemon with all of these servers, and waits until each works or has failed.
async fn planted(folder: &Path, site: &Site) -> Daemon {
    let daemon = remotes(processes(daemon().folder(folder), folder), site).await;
    let daemon = daemon.start().await.unwrap();
    let operator = over_the_socket(&daemon.state());
    until("every server works or has failed", async || {
        let servers = operator.status().await.unwrap().servers;
        servers.iter().all(|server| server.reason.is_some() || server.state.as_str() == "ready")
    })
    .await;
    daemon
}

/// Every path that is open, for each server where it names one.
fn paths(daemon: &Value) -> Vec<String> {
    let fixed = [
        "/",
        "/health",
        "/health/ready",
        "/health/live",
        "/health/detailed",
        "/api/status",
        "/api/servers",
        "/api/events",
        "/api/sessions",
        "/stats/pool",
        "/metrics",
        "/openapi.json",
        "/api/audit",
        "/api/logs",
        "/mcp/nobody",
        "/nothing",
    ];
    let names = daemon["servers"].as_array().unwrap().iter();
    let pools =
        names.map(|server| format!("/stats/pool?server={}", server["name"].as_str().unwrap()));
    fixed.into_iter().map(str::to_owned).chain(pools).collect()
}

#[tokio::test]
async fn a_page_and_another_user_see_nothing_of_how_servers_run() {
    let (folder, site) = (tempfile::tempdir().unwrap(), Site::start(&[]));
    // Another user may enter the folder, so that only the state folder and the socket keep it out.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let daemon = planted(folder.path(), &site).await;
    let operator = serde_json::to_value(over_the_socket(&daemon.state()).status().await.unwrap());
    let operator = operator.unwrap();
    for server in operator["servers"].as_array().unwrap() {
        assert!(server.to_string().contains(SECRET), "nothing is planted in {server}");
    }
    let read = format!("Bearer {}", token(&daemon, &["--read"]));
    for path in paths(&operator) {
        for header in [("origin", "http://localhost:4711"), ("authorization", read.as_str())] {
            let (_, headers, answer) = ask(&daemon, &format!("GET {path}"), &[header], "").await;
            let shown = format!("{headers:?} {answer}");
            assert!(!shown.contains(SECRET), "{path} shows a secret with {header:?}: {answer:#}");
        }
        if rustix::process::getuid().is_root() {
            let url = format!("{}{path}", daemon.base());
            let curl = Command::new("curl").args(["-si", &url]).uid(NOBODY).output().unwrap();
            let shown = String::from_utf8_lossy(&curl.stdout);
            assert!(shown.starts_with("HTTP/1.1 ") && !shown.contains(SECRET), "{path}: {shown}");
        }
    }
}

#[tokio::test]
async fn clients_of_mcp_see_nothing_of_how_servers_run() {
    let (folder, site) = (tempfile::tempdir().unwrap(), Site::start(&[]));
    let daemon = planted(folder.path(), &site).await;
    let operator = over_the_socket(&daemon.state()).status().await.unwrap();
    let names = operator.servers.iter().map(|server| format!("/mcp/{}", server.name));
    for path in names.chain(["/mcp".to_owned()]) {
        let url = format!("{}{path}", daemon.base());
        let opened = Client::connect(&url).await;
        let mut answers: Vec<_> =
            opened.as_ref().err().map(|error| format!("{error:?}")).into_iter().collect();
        if let Ok(client) = opened {
            for (method, params) in [
                ("tools/list", json!({})),
                ("tools/call", json!({ "name": "nothing", "arguments": {} })),
            ] {
                let answer = client.send(method, params).await.unwrap().answer().await;
                answers.push(format!("{answer:?}"));
            }
        }
        for answer in answers {
            assert!(!answer.contains(SECRET), "{path} shows a secret: {answer}");
        }
    }
}

#[tokio::test]
async fn the_operator_sees_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = daemon()
        .folder(folder.path())
        .command_server("crashes", &shell("echo PLANTED-output >&2; exit 3"))
        .url_server("far", "http://127.0.0.1:1/PLANTED-path?key=PLANTED-query")
        .start()
        .await
        .unwrap();
    let operator = over_the_socket(&daemon.state());
    until("both have failed", async || {
        let servers = operator.status().await.unwrap().servers;
        servers.iter().all(|server| server.reason.is_some())
    })
    .await;
    let admin = format!("Bearer {}", token(&daemon, &[]));
    let (_, _, whole) = ask(&daemon, "GET /api/servers", &[("authorization", &admin)], "").await;
    for planted in ["PLANTED-output", "PLANTED-path", "PLANTED-query"] {
        assert!(whole.to_string().contains(planted), "{planted} is not in {whole:#}");
    }
    let (_, _, open) = ask(&daemon, "GET /api/servers", &[], "").await;
    let of = |name: &str| {
        let servers = open["servers"].as_array().unwrap();
        servers.iter().find(|server| server["name"] == name).unwrap().clone()
    };
    assert_eq!(
        (&of("crashes")["target"], &of("far")["target"]),
        (&json!("sh"), &json!("http://127.0.0.1:1"))
    );
    assert_eq!(of("crashes")["reason"], "it exited with code 3");
    assert_eq!(of("far")["reason"], "the connection to it failed");
}

#[tokio::test]
async fn a_secret_that_a_server_prints_is_masked_for_the_operator_too() {
    let script =
        "echo \"out $API_KEY\"; echo \"said $API_KEY $LEVEL $REFERRED\" >&2; sleep 0.5; exit 3";
    let daemon = daemon()
        .variable("GIVEN", "PLANTED-reference")
        .argument("-v")
        .command_server("crashes", &shell(script))
        .config(
            "env = { API_KEY = \"PLANTED-key\", LEVEL = \"PLANTED-level\", REFERRED = \"secret:env:GIVEN\" }",
        )
        .variable("SHOP_TOKEN", "PLANTED-argument")
        .config(
            "[services.shop]\ncommand = [\"sh\", \"-c\", \"echo \\\"sold with $1\\\"; exit 3\", \"x\", \"--key=${SHOP_TOKEN}\"]
[services.shop.probe]
command = [\"sh\", \"-c\", \"exit 1\", \"${SHOP_TOKEN}\"]",
        )
        .start()
        .await
        .unwrap();
    let operator = over_the_socket(&daemon.state());
    until("both have failed", async || {
        let status = operator.status().await.unwrap();
        status.servers[0].reason.is_some() && !status.services[0].last_output.is_empty()
    })
    .await;
    let shown = serde_json::to_string(&operator.status().await.unwrap()).unwrap();
    assert!(shown.contains("said *** PLANTED-level ***"), "{shown}");
    let log = daemon.log();
    assert!(log.contains("said *** PLANTED-level ***") && log.contains("out ***"), "{log}");
    assert!(shown.contains("--key=***") && shown.contains("sold with --key=***"), "{shown}");
    for secret in ["PLANTED-key", "PLANTED-reference", "PLANTED-argument"] {
        assert!(!shown.contains(secret) && !log.contains(secret), "{shown}\n{log}");
    }
}
