//! What sessions cost while they do nothing.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use super::Seen;
use crate::load::Held;
use crate::procfs;
use crate::run::Context;
use crate::run::cells::target_args;
use crate::run::process::tied;
use crate::run::setup::Setup;

/// Sessions on one stdio server.
const CHILDREN_SESSIONS: u32 = 200;
/// Idle sessions whose memory is measured; enough to drown the noise of an allocator.
const IDLE_SESSIONS: u32 = 2_000;
/// Sessions opened before, so that what is paid once is not counted.
const WARM_UP_SESSIONS: u32 = 200;
const AT_MOST_KIB: f64 = 16.0;
const OPENING: Duration = Duration::from_secs(130);
const ENDING: Duration = Duration::from_secs(10);
/// For closed connections to be noticed.
const SETTLING: Duration = Duration::from_millis(500);

/// How many processes serve 200 sessions?
pub(super) async fn children(context: &Context, setup: &Setup) -> Result<Seen> {
    let holder = hold(context, setup, CHILDREN_SESSIONS, true).await?;
    let count = procfs::running(&context.programs.bench, &["echo-stdio", &setup.mark]).len();
    end(holder).await;
    Ok(Seen::new("children", count.to_string(), Some(count as f64), count == 1))
}

/// Growth of resident memory for each idle session, its connection closed or kept open.
pub(super) async fn idle(context: &Context, setup: &Setup, connected: bool) -> Result<Seen> {
    let pid = setup.proxy.as_ref().context("no process to look at")?.pid;
    let resident =
        || procfs::resident_kib(pid).map(|kib| kib as f64).context("the process is gone");
    end(hold(context, setup, WARM_UP_SESSIONS, false).await?).await;
    tokio::time::sleep(SETTLING).await;
    let before = resident()?;
    let holder = hold(context, setup, IDLE_SESSIONS, connected).await?;
    tokio::time::sleep(SETTLING).await;
    let each = (resident()? - before) / f64::from(IDLE_SESSIONS);
    end(holder).await;
    let text = format!("{each:.1} KiB");
    // An open connection has its price for every HTTP server; the bare proxy shows it.
    Ok(if connected {
        Seen::noted("idle-memory-connected", text, each)
    } else {
        Seen::new("idle-memory", text, Some(each), each <= AT_MOST_KIB)
    })
}

/// A load that has opened its sessions and waits for its input to end.
async fn hold(context: &Context, setup: &Setup, sessions: u32, connected: bool) -> Result<Child> {
    let mut args = vec!["load".to_owned()];
    args.extend(target_args(setup));
    args.extend(["hold".to_owned(), "--sessions".to_owned(), sessions.to_string()]);
    if connected {
        args.push("--keep-connections".to_owned());
    }
    let bench = &context.programs.bench;
    let mut child =
        tied(bench, bench, &args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().context("it was asked for")?;
    let mut line = String::new();
    let mut output = BufReader::new(output);
    let reading = output.read_line(&mut line);
    tokio::time::timeout(OPENING, reading)
        .await
        .context("opening the sessions takes too long")??;
    match serde_json::from_str::<Held>(&line) {
        Ok(Held { held }) if held == sessions => Ok(child),
        _ => bail!("the sessions can't be opened"),
    }
}

async fn end(mut holder: Child) {
    drop(holder.stdin.take());
    if tokio::time::timeout(ENDING, holder.wait()).await.is_err() {
        // It is dead or about to be.
        let _ = holder.kill().await;
    }
}
