//! The cost of idle servers: memory of the daemon, without that of the servers themselves.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use super::seen::Seen;
use crate::client::Connection;
use crate::mcp;
use crate::procfs;
use crate::run::front::free_address;
use crate::run::kind::Kind;
use crate::run::peers::Programs;
use crate::run::process::{LOOK, Process};

/// A number of idle servers, each with so many tools.
#[derive(Debug, Clone, Copy)]
pub(super) struct Servers {
    pub(super) name: &'static str,
    pub(super) servers: u32,
    pub(super) tools: usize,
}

/// KiB that an idle server may take, besides its lists.
const SERVER_KIB_MAX: f64 = 100.0;
/// How many times the bytes of its lists a server may take.
const LISTS_TIMES_MAX: f64 = 3.0;
/// Fresh daemons that are observed for one figure.
const REPETITIONS: u32 = 2;
const READY: Duration = Duration::from_secs(60);
/// Time for the threads of the start to end.
const SETTLING: Duration = Duration::from_secs(12);

// === impl Servers ===

impl Servers {
    /// Growth of the daemon's resident memory for each server after the first.
    pub(super) async fn observe(self, programs: &Programs) -> Result<Seen> {
        let mut least = f64::INFINITY;
        for _ in 0..REPETITIONS {
            let one = resident_kib(programs, 1, self.tools).await?;
            let all = resident_kib(programs, self.servers, self.tools).await?;
            least = least.min((all - one) / f64::from(self.servers - 1));
        }
        let lists_kib = mcp::many_tools("s000", self.tools).len() as f64 / 1024.0;
        let limit = SERVER_KIB_MAX + LISTS_TIMES_MAX * lists_kib;
        let text = format!("{least:.0} KiB (lists {lists_kib:.0} KiB, at most {limit:.0} KiB)");
        Ok(Seen::new(self.name, text, Some(least), least <= limit))
    }
}

// === helpers ===

/// A daemon whose servers are ready.
pub(super) struct Started {
    pub(super) address: SocketAddr,
    pub(super) daemon: Process,
    _folder: TempDir,
}

/// Starts a daemon with so many servers, each with so many tools.
pub(super) async fn start(programs: &Programs, servers: u32, tools: usize) -> Result<Started> {
    let folder = tempfile::tempdir()?;
    let (bench, mut settings) = (&programs.bench, String::new());
    for number in 0..servers {
        // Each server has names of its own.
        let name = format!("s{number:03}");
        let command =
            format!("[{bench:?}, \"echo-stdio\", \"--tools\", \"{tools}\", \"--mark\", {name:?}]");
        write!(settings, "[servers.{name}]\ncommand = {command}\nrequired = true\n")?;
    }
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, settings)?;
    let address = free_address()?;
    let text = |path: &std::path::Path| path.display().to_string();
    let state = text(&folder.path().join("state"));
    let args =
        ["up", "--config", &text(&file), "--listen", &address.to_string(), "--state", &state];
    let words = programs.words(Kind::Mainstay, args.map(str::to_owned).to_vec())?;
    let log = folder.path().join("daemon.log");
    let mut daemon = Process::start(bench, &words, log, Kind::Mainstay.ending())?;
    let begun = Instant::now();
    while !is_ready(address).await {
        daemon.still_there()?;
        if begun.elapsed() > READY {
            bail!("{servers} servers do not get ready: {}", daemon.last_words());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(Started { address, daemon, _folder: folder })
}

/// Resident memory of a daemon with so many idle servers, in KiB.
async fn resident_kib(programs: &Programs, servers: u32, tools: usize) -> Result<f64> {
    let started = start(programs, servers, tools).await?;
    tokio::time::sleep(SETTLING).await;
    let resident = procfs::resident_kib(started.daemon.pid).context("the daemon is gone");
    started.daemon.stop().await;
    Ok(resident? as f64)
}

async fn is_ready(address: SocketAddr) -> bool {
    let request = format!("GET /health/ready HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let Ok(mut connection) = Connection::open(address).await else { return false };
    connection.exchange(request.as_bytes()).await.is_ok_and(|answer| answer.status == 200)
}
