//! The admin API of the real daemon: over its listeners, over the command socket, and by commands.

mod actions;
mod agreement;
mod commands;
mod described;
pub(crate) mod events;
mod logs;
mod notify;
mod page;
mod secrets;
mod tokens;

use std::path::Path;

use mainstay_testkit::daemon::Builder;
use mainstay_testkit::{Client, Daemon, programs};
use serde_json::Value;

use crate::shared::daemon;

/// Starts a daemon with one server and waits until it is ready.
async fn serving() -> Daemon {
    ready(daemon()).await
}

/// Does the same in a folder that stays.
async fn serving_in(folder: &Path) -> Daemon {
    ready(daemon().folder(folder)).await
}

async fn ready(daemon: Builder) -> Daemon {
    let fixture = programs::fixture().unwrap().display().to_string();
    let daemon = daemon.command_server("one", &[fixture.as_str(), "stdio"]).start().await.unwrap();
    // A session begins when its server is ready.
    daemon.client("one").await.unwrap();
    daemon
}

/// Sends one request with these headers and returns its code, its headers and its body.
async fn ask(
    daemon: &Daemon,
    line: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, Vec<(String, String)>, Value) {
    let client = Client::new(&format!("{}/mcp", daemon.base())).unwrap();
    let mut connection = client.raw().await.unwrap();
    let mut head =
        format!("{line} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    connection.send(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
    let mut reply = connection.reply().await.unwrap();
    let text = reply.text().await.unwrap();
    (
        reply.status,
        reply.headers.clone(),
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

async fn post(daemon: &Daemon, token: &str, action: &str, body: &str) -> (u16, Value) {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let line = format!("POST /api/actions/{action}");
    let (code, _, answer) = ask(daemon, &line, &headers, body).await;
    (code, answer)
}

/// Connects a client to the command socket.
pub(crate) fn over_the_socket(state: &Path) -> mainstay_admin::Client {
    mainstay_admin::Client::new(state, crate::shared::PATIENCE)
}

/// Returns the output of `mainstay token` without the line end.
fn token(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = daemon.run(&[&["token"], arguments].concat()).unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
