//! The addresses that the daemon prints are those at which clients reach it.

use std::net::{TcpListener, TcpStream};

use mainstay_testkit::{Client, Daemon};
use serde_json::Value;

use crate::mainstay;
use crate::shared::{daemon, misbehave};

/// The status and the body of the answer to a GET of `/health/live` for this host.
async fn live(daemon: &Daemon, host: &str) -> (u16, Value) {
    let client = Client::new(&daemon.endpoint("slow")).unwrap();
    let mut connection = client.raw().await.unwrap();
    let head = format!("GET /health/live HTTP/1.1\r\nhost: {host}\r\n\r\n");
    connection.send(head.as_bytes()).await.unwrap();
    let mut reply = connection.reply().await.unwrap();
    let text = reply.text().await.unwrap();
    (reply.status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

#[tokio::test]
async fn all_addresses_are_listed_one_by_one_with_what_to_write_for_them() {
    let on_all = |more: &str| {
        let server = daemon().config(more).command_server("slow", &misbehave(&[]));
        server.listen_on("0.0.0.0:0").start()
    };
    let first = on_all("").await.unwrap();
    assert!(!first.log().contains("http://0.0.0.0"), "{}", first.log());
    let status = first.run(&["status", "--json"]).unwrap().stdout;
    let status: Value = serde_json::from_slice(&status).unwrap();
    let listen: Vec<_> = status["listen"].as_array().unwrap().iter().map(Value::as_str).collect();
    assert_eq!(listen[0], Some(first.base()));
    let hosts = listen.iter().flatten().map(|url| url.trim_start_matches("http://"));
    let others: Vec<_> = hosts.filter(|host| !host.starts_with("127.")).collect();
    for other in &others {
        assert!(first.log().contains(&format!("http://{other}")), "{}", first.log());
        let (code, refused) = live(&first, other).await;
        let host = other.rsplit_once(':').unwrap().0;
        let hint = refused["error"]["data"]["hint"].as_str().unwrap_or_default().to_owned();
        assert_eq!(code, 421, "{refused}");
        assert!(hint.contains(&format!("`allowed_hosts = [\"{host}\"]` in [gateway]")), "{hint}");
    }
    // What the daemon says is to be written is enough.
    let log = first.log();
    let to_write = log.lines().find(|line| line.trim_start().starts_with("allowed_hosts"));
    assert_eq!(to_write.is_some(), !others.is_empty(), "{log}");
    let written = format!("[gateway]\n{}", to_write.unwrap_or_default());
    let second = on_all(&written).await.unwrap();
    for other in others {
        assert_eq!(live(&second, other).await.0, 200, "{other}");
    }
    assert!(!second.log().contains("(421)"), "{}", second.log());
}

#[tokio::test]
async fn a_container_is_told_what_to_set_for_the_name_it_uses() {
    let server = daemon().command_server("slow", &misbehave(&[])).start().await.unwrap();
    let (code, refused) = live(&server, "host.docker.internal:8000").await;
    let hint = refused["error"]["data"]["hint"].as_str().unwrap();
    assert!(
        code == 421 && hint.contains(r#"`allowed_hosts = ["host.docker.internal"]`"#),
        "{hint}"
    );
}

#[tokio::test]
async fn localhost_is_reached_in_both_families() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("mainstay.toml");
    std::fs::write(&config, "[gateway]\nlisten = \"localhost:8000\"\n").unwrap();
    let checked = mainstay(home.path(), &["check", "--resolved"]);
    assert!(checked.out.contains("localhost:8000"), "{}{}", checked.out, checked.err);

    let server = daemon().command_server("slow", &misbehave(&[])).listen_on("localhost:0");
    let server = server.start().await.unwrap();
    let port = server.base().rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    server.client("slow").await.unwrap();
    if TcpListener::bind("[::1]:0").is_ok() {
        TcpStream::connect(("::1", port)).unwrap();
        assert!(server.log().contains(&format!("and at http://[::1]:{port}")), "{}", server.log());
    }
}
