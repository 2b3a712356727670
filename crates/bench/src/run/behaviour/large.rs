//! Large results through pipes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;

use super::seen::Seen;
use crate::procfs;
use crate::run::results::median;
use crate::run::setup::Setup;

const BYTES: usize = 10_000_000;
const TIMES: usize = 3;
/// Longest time for one large result.
const ONE_LIMIT: Duration = Duration::from_secs(30);
/// Most memory that may be left once results are delivered, in KiB: less than half of a result.
const LEFT_KIB: f64 = 4096.0;
/// Longest wait for memory to be given back.
const BACK: Duration = Duration::from_secs(5);
const AT_MOST_SECONDS: f64 = 0.1;

/// Results at once, each as large as a pipe: enough to fill every buffer in both directions.
const MANY: usize = 8;
const MANY_BYTES: usize = 64 << 10;
const MANY_LIMIT: Duration = Duration::from_secs(10);

/// A result of 10 MB: its time, and the memory that stays.
pub(super) async fn one(setup: &Setup) -> Result<Vec<Seen>> {
    let pid = setup.proxy.as_ref().context("no process to look at")?.pid;
    let (mut connection, session) = setup.open().await?;
    let before = resident(pid)?;
    let arguments = format!(r#"{{"bytes":{BYTES}}}"#);
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let begun = Instant::now();
        let call = session.call(&mut connection, "big", &arguments);
        let (status, text) =
            tokio::time::timeout(ONE_LIMIT, call).await.context("no answer in 30 s")??;
        times.push(begun.elapsed().as_secs_f64());
        ensure!(status == 200 && text.len() > BYTES, "status {status}, {} bytes", text.len());
    }
    let begun = Instant::now();
    let mut left = resident(pid)? - before;
    while left > LEFT_KIB && begun.elapsed() < BACK {
        tokio::time::sleep(Duration::from_millis(100)).await;
        left = resident(pid)? - before;
    }
    let time = median(times.into_iter());
    let mib = left / 1024.0;
    Ok(vec![
        Seen::new("large", format!("{time:.3} s"), Some(time), time <= AT_MOST_SECONDS),
        Seen::new("large-memory", format!("{mib:+.1} MiB"), Some(mib), left <= LEFT_KIB),
    ])
}

/// Many at once: a gateway that stops reading while it writes comes to a stand here.
pub(super) async fn many(setup: &Setup) -> Result<Seen> {
    let text = "y".repeat(MANY_BYTES);
    let mut calls = JoinSet::new();
    for _ in 0..MANY {
        let (mut connection, session) = setup.open().await?;
        let arguments = format!(r#"{{"text":"{text}"}}"#);
        calls.spawn(async move { session.call(&mut connection, "echo", &arguments).await });
    }
    let begun = Instant::now();
    let mut answered = 0;
    let all = async {
        while let Some(outcome) = calls.join_next().await {
            if let Ok(Ok((200, answer))) = outcome {
                answered += usize::from(answer.contains(&text));
            }
        }
    };
    // The answers until then are the finding.
    let _ = tokio::time::timeout(MANY_LIMIT, all).await;
    let seconds = begun.elapsed().as_secs_f64();
    let text = match answered {
        MANY => format!("all in {seconds:.3} s"),
        _ => format!("{answered} of {MANY} in {seconds:.0} s"),
    };
    Ok(Seen::new("many-large", text, Some(answered as f64), answered == MANY))
}

fn resident(pid: u32) -> Result<f64> {
    procfs::resident_kib(pid).map(|kib| kib as f64).context("the process is gone")
}
