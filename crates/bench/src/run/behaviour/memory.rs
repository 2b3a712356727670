//! The cost of idle sessions.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use super::seen::Seen;
use crate::load::Held;
use crate::procfs;
use crate::run::cells::target_args;
use crate::run::context::Context;
use crate::run::kind::{Kind, Upstream};
use crate::run::peers::Programs;
use crate::run::process::tied;
use crate::run::setup::Setup;

/// A number of idle sessions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Idle {
    pub(super) name: &'static str,
    pub(super) sessions: u32,
    pub(super) wire: Wire,
    /// KiB that a session may take; none: only worth knowing.
    pub(super) at_most: Option<f64>,
}

/// What each idle session keeps open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Closed,
    /// The connection it was opened on.
    Kept,
    /// A connection with the stream for messages outside of calls.
    Stream,
}

/// The growth of a target for each session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Growth {
    /// Resident memory.
    pub(crate) kib: f64,
    /// Processes that the target started.
    pub(crate) processes: f64,
}

/// Sessions on one stdio server.
const CHILDREN_SESSIONS: u32 = 200;
/// Sessions that are opened first, so that one-time costs are not counted.
pub(crate) const WARM_UP_SESSIONS: u32 = 200;
/// Fresh targets that are observed for one figure.
pub(crate) const IDLE_REPETITIONS: u32 = 3;
/// Sessions for targets that start a process for each: more would measure the machine.
const SCRIPT_SESSIONS: u32 = 200;
const SCRIPT_WARM_UP_SESSIONS: u32 = 20;
const OPENING: Duration = Duration::from_secs(130);
const ENDING: Duration = Duration::from_secs(10);
/// Time for closed connections to be noticed.
const SETTLING: Duration = Duration::from_millis(500);

/// How many processes serve 200 sessions?
pub(super) async fn children(context: &Context, setup: &Setup) -> Result<Seen> {
    let holder = hold(&context.programs.bench, setup, CHILDREN_SESSIONS, Wire::Kept).await?;
    let count = procfs::running(&context.programs.bench, &["echo-stdio", &setup.mark]).len();
    end(holder).await;
    Ok(Seen::new("children", count.to_string(), Some(count as f64), count == 1))
}

// === impl Idle ===

impl Idle {
    /// The yardstick knows no sessions, only their connections, and its server has no streams.
    pub(super) fn fits(self, kind: Kind) -> bool {
        match kind {
            Kind::Direct => false,
            kind if kind.is_plain_proxy() => kind == Kind::Bare && self.wire == Wire::Kept,
            kind if kind.is_script() => self.sessions <= 1_000,
            _ => true,
        }
    }

    /// Growth of resident memory, and of the number of processes, for each session.
    pub(super) async fn observe(
        self,
        programs: &Programs,
        kind: Kind,
        upstream: Upstream,
    ) -> Result<Seen> {
        let (sessions, warm_up) = if kind.is_script() {
            (SCRIPT_SESSIONS, SCRIPT_WARM_UP_SESSIONS)
        } else {
            (self.sessions, WARM_UP_SESSIONS)
        };
        let mut all = Vec::new();
        for _ in 0..IDLE_REPETITIONS {
            let setup = Setup::start(programs, kind, upstream).await?;
            let grown = growth(&programs.bench, &setup, warm_up, sessions, self.wire).await;
            setup.stop().await;
            all.push(grown?);
        }
        let Growth { kib, processes } = lowest(all).context("it was observed")?;
        let mut text = format!("{kib:.1} KiB");
        if processes > 0.1 {
            text.push_str(&format!(" and {processes:.1} processes"));
        }
        if sessions != self.sessions {
            text.push_str(&format!(" (of {sessions})"));
        }
        // An open connection has its price for every HTTP server; the bare proxy shows it.
        Ok(match self.at_most {
            None => Seen::noted(self.name, text, kib),
            Some(limit) => Seen::new(self.name, text, Some(kib), kib <= limit && processes < 0.1),
        })
    }
}

// === impl Wire ===

impl Wire {
    /// The argument for `load hold`.
    fn flag(self) -> Option<&'static str> {
        match self {
            Self::Closed => None,
            Self::Kept => Some("--keep-connections"),
            Self::Stream => Some("--open-streams"),
        }
    }
}

// === helpers ===

/// The growth with the least memory: an allocator's reserves vary, and only add.
pub(crate) fn lowest(all: Vec<Growth>) -> Option<Growth> {
    all.into_iter().min_by(|one, other| one.kib.total_cmp(&other.kib))
}

/// The growth for each of `sessions` idle sessions, after `warm_up` others.
pub(crate) async fn growth(
    bench: &Path,
    setup: &Setup,
    warm_up: u32,
    sessions: u32,
    wire: Wire,
) -> Result<Growth> {
    end(hold(bench, setup, warm_up, Wire::Closed).await?).await;
    tokio::time::sleep(SETTLING).await;
    let before = look(setup)?;
    let holder = hold(bench, setup, sessions, wire).await?;
    tokio::time::sleep(SETTLING).await;
    let after = look(setup)?;
    end(holder).await;
    let each = |before: f64, after: f64| (after - before) / f64::from(sessions);
    Ok(Growth { kib: each(before.0, after.0), processes: each(before.1, after.1) })
}

/// Resident memory of the target in KiB, and how many processes it has started.
fn look(setup: &Setup) -> Result<(f64, f64)> {
    let pid = setup.proxy.as_ref().context("no process to look at")?.pid;
    let resident = procfs::resident_kib(pid).context("the process is gone")?;
    Ok((resident as f64, procfs::descendants(pid).len() as f64))
}

/// A load that has opened its sessions and waits for its input to end.
async fn hold(bench: &Path, setup: &Setup, sessions: u32, wire: Wire) -> Result<Child> {
    let mut args = vec!["load".to_owned()];
    args.extend(target_args(setup));
    args.extend(["hold".to_owned(), "--sessions".to_owned(), sessions.to_string()]);
    args.extend(wire.flag().map(str::to_owned));
    let mut child = tied(bench, bench, &args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().context("it was asked for")?;
    let mut line = String::new();
    let mut output = BufReader::new(output);
    let reading = output.read_line(&mut line);
    tokio::time::timeout(OPENING, reading)
        .await
        .context("opening the sessions takes too long")??;
    match serde_json::from_str::<Held>(&line) {
        Ok(Held { held }) if held == sessions => Ok(child),
        _ => {
            let output = tokio::time::timeout(ENDING, child.wait_with_output()).await??;
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim().replace('\n', " / "))
        }
    }
}

async fn end(mut holder: Child) {
    drop(holder.stdin.take());
    if tokio::time::timeout(ENDING, holder.wait()).await.is_err() {
        // The process is dead or about to be.
        let _ = holder.kill().await;
    }
}
