//! A target in front of a server, started and ready.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use super::front::{Behind, Front};
use super::kind::{Kind, Upstream};
use super::peers::Programs;
use super::process::{Ending, LOOK, Process};
use crate::client::{Connection, Session, Target};

/// Longest time from the start to the first answered call.
const READY: Duration = Duration::from_secs(30);
/// Deadline of one attempt at a call.
const ATTEMPT: Duration = Duration::from_secs(5);

/// A running target. Its server, where it has one of its own, runs beside.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) target: Target,
    pub(crate) proxy: Option<Process>,
    pub(crate) server: Option<Process>,
    pub(crate) mark: String,
    folder: TempDir,
}

// === impl Setup ===

impl Setup {
    /// Starts `kind` in front of a fresh server and waits until a call is answered.
    pub(crate) async fn start(programs: &Programs, kind: Kind, upstream: Upstream) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = match upstream {
            Upstream::Http => Some(start_server(programs, folder.path(), "127.0.0.1:0").await?),
            Upstream::Stdio => None,
        };
        let address = server.as_ref().map(|(_, address)| *address);
        // The folder's name is unique, and so a mark for the processes that belong to this setup.
        let mark = folder
            .path()
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let bench = &programs.bench;
        let behind = Behind { address, folder: folder.path(), bench, mark: &mark };
        let Front { mut target, args } = Front::new(kind, behind)?;
        let mut proxy = None;
        if !args.is_empty() {
            let log = folder.path().join("proxy.log");
            let words = programs.words(kind, args)?;
            let mut process = Process::start(bench, &words, log, kind.ending())?;
            if kind == Kind::Bare {
                target.address = process.listening().await?;
            }
            proxy = Some(process);
        }
        let mut setup =
            Self { target, proxy, server: server.map(|(process, _)| process), mark, folder };
        setup.ready(kind).await.with_context(|| format!("{} does not get ready", kind.title()))?;
        Ok(setup)
    }

    /// A session on a connection of its own.
    pub(crate) async fn open(&self) -> Result<(Connection, Session)> {
        let mut connection = Connection::open(self.target.address).await?;
        let session = Session::open(&self.target, &mut connection).await?;
        Ok((connection, session))
    }

    /// Ends the server and starts another at the same address, which knows no sessions.
    pub(crate) async fn restart_server(&mut self, programs: &Programs) -> Result<()> {
        let mut old = self.server.take().context("this server is not ours to restart")?;
        let address = old.listening().await?;
        old.stop().await;
        self.server =
            Some(start_server(programs, self.folder.path(), &address.to_string()).await?.0);
        Ok(())
    }

    pub(crate) async fn stop(self) {
        for process in [self.proxy, self.server].into_iter().flatten() {
            process.stop().await;
        }
    }

    async fn ready(&mut self, kind: Kind) -> Result<()> {
        let begun = Instant::now();
        loop {
            let attempt = tokio::time::timeout(ATTEMPT, self.attempt(kind)).await;
            let error = match attempt {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error,
                Err(_) => anyhow::anyhow!("no answer within five seconds"),
            };
            if let Some(proxy) = &mut self.proxy {
                proxy.still_there()?;
                if begun.elapsed() > READY {
                    return Err(error.context(proxy.last_words()));
                }
            } else if begun.elapsed() > READY {
                return Err(error);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn attempt(&self, kind: Kind) -> Result<()> {
        if kind == Kind::Mainstay {
            let mut connection = Connection::open(self.target.address).await?;
            let request =
                format!("GET /health/ready HTTP/1.1\r\nHost: {}\r\n\r\n", self.target.address);
            let status = connection.exchange(request.as_bytes()).await?.status;
            if status != 200 {
                bail!("/health/ready: status {status}");
            }
        }
        let (mut connection, session) = self.open().await?;
        let (status, text) = session.call(&mut connection, "echo", r#"{"text":"ready?"}"#).await?;
        if status != 200 || !text.contains("ready?") {
            bail!("the first call: status {status}: {text}");
        }
        session.close(&mut connection).await?;
        Ok(())
    }
}

async fn start_server(
    programs: &Programs,
    folder: &Path,
    listen: &str,
) -> Result<(Process, SocketAddr)> {
    let bench = &programs.bench;
    let words = [bench.as_os_str(), "echo-http".as_ref(), "--listen".as_ref(), listen.as_ref()];
    let mut server = Process::start(bench, &words, folder.join("server.log"), Ending::Killed)?;
    let address = server.listening().await.context("the echo server")?;
    Ok((server, address))
}
