//! The server on standard input and output.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::flags::Flags;
use super::flood::Flood;
use super::message::{Incoming, Outlet};
use super::server::{Server, Ways};

const BANNER: [&str; 4] = [
    "Starting server…",
    "  version 1.2.3 {beta}",
    "[INFO] {\"level\":\"info\",\"ready\":true}",
    "",
];

/// Serves until the input ends, or as the flags say.
pub(super) async fn serve(flags: Flags) -> anyhow::Result<()> {
    prepare(&flags).await?;
    let (out, messages) = Outlet::new();
    let server = Server::new(flags.clone());
    let flood = Flood::new(&flags, false, &server.called);
    let writer = tokio::spawn(write(flags.clone(), messages, flood));
    if flags.has("deaf") {
        return std::future::pending().await;
    }
    let ways = Ways { exchange: out.clone(), side: out };
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut read = 0;
    let idle_max =
        flags.number("exit-when-idle").map_or(Duration::MAX, |ms| Duration::from_millis(ms as u64));
    loop {
        let line = tokio::select! {
            line = tokio::time::timeout(idle_max, lines.next_line()) => line,
            () = server.hangs.deaf.cancelled() => return std::future::pending().await,
        };
        let Ok(line) = line else { std::process::exit(0) };
        let Some(line) = line? else { break };
        match serde_json::from_str::<Incoming>(&line) {
            Ok(incoming) => {
                // Calls run concurrently, and each answer is sent when it is ready.
                tokio::spawn(server.clone().handle(incoming, ways.clone()));
            }
            Err(_) => server.count("lines that are no messages"),
        }
        read += 1;
        if flags.number("deaf-after") == Some(read) {
            return std::future::pending().await;
        }
        if flags.number("exit-after") == Some(read) {
            std::process::exit(9);
        }
    }
    if flags.has("ignore-eof") {
        return std::future::pending().await;
    }
    // Calls in flight may still be answered; those that hang are not waited for.
    drop(ways);
    let _ = tokio::time::timeout(Duration::from_secs(1), writer).await;
    Ok(())
}

/// Carries out the faults that come before the first message is read.
async fn prepare(flags: &Flags) -> anyhow::Result<()> {
    if flags.has("ignore-term") {
        let mut terms = signal(SignalKind::terminate())?;
        tokio::spawn(async move { while terms.recv().await.is_some() {} });
    }
    for (flag, arguments) in [("grandchild", &["idle"][..]), ("runaway", &["idle", "runaway"])] {
        if !flags.has(flag) {
            continue;
        }
        // Not awaited: the process is meant to be left behind.
        std::process::Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .spawn()?;
    }
    // Through one handle: what two of them write may come in another order.
    let mut stderr = tokio::io::stderr();
    for line in 0..flags.number("stderr").unwrap_or(0) {
        stderr.write_all(format!("misbehave stderr {line}\n").as_bytes()).await?;
    }
    flags.pause("slow-start").await;
    Ok(())
}

async fn write(flags: Flags, mut messages: mpsc::Receiver<Bytes>, flood: Option<Flood>) {
    let mut stdout = tokio::io::stdout();
    let end = if flags.has("crlf") { "\r\n" } else { "\n" };
    let mut begin = String::new();
    if flags.has("bom") {
        begin.push('\u{feff}');
    }
    if flags.has("banner") {
        BANNER.iter().for_each(|line| begin.extend([line, end]));
    }
    let mut text = begin.into_bytes();
    loop {
        // A closed pipe ends the program by itself: its input ends as well.
        if stdout.write_all(&text).await.is_err() || stdout.flush().await.is_err() {
            return;
        }
        let message = tokio::select! {
            biased;
            message = messages.recv() => message,
            block = Flood::next(flood.as_ref()) => {
                text.clear();
                text.extend_from_slice(&block);
                continue;
            }
        };
        let Some(message) = message else { return };
        text.clear();
        if flags.has("noise") {
            text.extend_from_slice(b"[DEBUG] about to answer");
            text.extend_from_slice(end.as_bytes());
        }
        text.extend_from_slice(&message);
        text.extend_from_slice(end.as_bytes());
    }
}
