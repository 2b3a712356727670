//! One target in front of one server, started and ready.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use serde::Serialize;
use tempfile::TempDir;

use super::Context;
use super::process::{LOOK, Process};
use crate::client::{Connection, Session, Target};

/// From start to the first answered call.
const READY: Duration = Duration::from_secs(30);
/// One attempt at it.
const ATTEMPT: Duration = Duration::from_secs(2);

/// Who stands between client and server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Nobody.
    Direct,
    /// The yardstick.
    Bare,
    Mainstay,
    /// The `mcp-proxy` crate.
    McpProxy,
}

/// What kind of server is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Upstream {
    Http,
    Stdio,
}

/// A running target. Its server, where it has one of its own, runs beside.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) target: Target,
    pub(crate) proxy: Option<Process>,
    pub(crate) server: Option<Process>,
    pub(crate) mark: String,
    folder: TempDir,
}

/// How to start a target and where it will be; no arguments, nothing to start.
#[derive(Debug)]
struct Front {
    target: Target,
    args: Vec<String>,
}

// === impl Kind ===

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Direct, Self::Bare, Self::Mainstay, Self::McpProxy];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bare => "bare hyper proxy",
            Self::Mainstay => "Mainstay",
            Self::McpProxy => "mcp-proxy 0.6",
        }
    }

    pub(crate) fn is_peer(self) -> bool {
        self == Self::McpProxy
    }

    /// Nobody but a gateway can put a line server behind HTTP.
    pub(crate) fn serves(self, upstream: Upstream) -> bool {
        upstream == Upstream::Http || matches!(self, Self::Mainstay | Self::McpProxy)
    }
}

// === impl Setup ===

impl Setup {
    /// Starts `kind` in front of a fresh server and waits until a call is answered.
    pub(crate) async fn start(context: &Context, kind: Kind, upstream: Upstream) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = match upstream {
            Upstream::Http => Some(start_server(context, folder.path(), "127.0.0.1:0").await?),
            Upstream::Stdio => None,
        };
        let behind = server.as_ref().map(|(_, address)| *address);
        // The folder's name is unique, and so a mark for the processes that belong to this setup.
        let mark = folder
            .path()
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let bench = &context.programs.bench;
        let Front { mut target, args } = Front::new(kind, behind, folder.path(), bench, &mark)?;
        let mut proxy = None;
        if !args.is_empty() {
            let log = folder.path().join("proxy.log");
            let mut process = Process::start(bench, context.programs.path(kind)?, &args, log)?;
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

    /// Ends the server behind and starts it anew at the same address, with no memory of sessions.
    pub(crate) async fn restart_server(&mut self, context: &Context) -> Result<()> {
        let mut old = self.server.take().context("this server is not ours to restart")?;
        let address = old.listening().await?;
        old.stop().await;
        self.server =
            Some(start_server(context, self.folder.path(), &address.to_string()).await?.0);
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
                Err(_) => anyhow::anyhow!("no answer within two seconds"),
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

// === impl Front ===

impl Front {
    /// Writes what `kind` needs into `folder`.
    fn new(
        kind: Kind,
        behind: Option<SocketAddr>,
        folder: &Path,
        bench: &Path,
        mark: &str,
    ) -> Result<Self> {
        let file = folder.join("settings.toml");
        let path = file.to_string_lossy();
        Ok(match (kind, behind) {
            (Kind::Direct, Some(address)) => Self::at(address, "/mcp", "", &[]),
            (Kind::Bare, Some(address)) => {
                Self::at(address, "/mcp", "", &["bare-proxy", "--upstream", &address.to_string()])
            }
            (Kind::Direct | Kind::Bare, None) => bail!("it can't serve a server that speaks lines"),
            (Kind::Mainstay, _) => {
                let address = free_address()?;
                fs::write(&file, mainstay_config(behind, bench, mark))?;
                let state = folder.join("state");
                let (listen, state) = (address.to_string(), state.to_string_lossy());
                let args = ["up", "--config", &path, "--listen", &listen, "--state", &state];
                Self::at(address, "/mcp/echo", "", &args)
            }
            (Kind::McpProxy, _) => {
                let address = free_address()?;
                fs::write(&file, mcp_proxy_config(behind, address, bench, mark))?;
                Self::at(address, "/", "echo/", &["--config", &path])
            }
        })
    }

    fn at(address: SocketAddr, path: &str, prefix: &str, args: &[&str]) -> Self {
        let target = Target { address, path: path.to_owned(), prefix: prefix.to_owned() };
        Self { target, args: args.iter().map(|arg| (*arg).to_owned()).collect() }
    }
}

async fn start_server(
    context: &Context,
    folder: &Path,
    listen: &str,
) -> Result<(Process, SocketAddr)> {
    let bench = &context.programs.bench;
    let mut server = Process::start(
        bench,
        bench,
        &["echo-http", "--listen", listen],
        folder.join("server.log"),
    )?;
    let address = server.listening().await.context("the echo server")?;
    Ok((server, address))
}

/// An address nobody listens on at this moment.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn mainstay_config(behind: Option<SocketAddr>, bench: &Path, mark: &str) -> String {
    let server = match behind {
        Some(address) => format!("url = \"http://{address}/mcp\""),
        None => format!("command = [{bench:?}, \"echo-stdio\", \"--mark\", {mark:?}]"),
    };
    format!("[servers.echo]\n{server}\nrequired = true\n")
}

/// Everything at its defaults but the log, which would otherwise be measured too.
fn mcp_proxy_config(
    behind: Option<SocketAddr>,
    listen: SocketAddr,
    bench: &Path,
    mark: &str,
) -> String {
    let server = match behind {
        Some(address) => format!("transport = \"http\"\nurl = \"http://{address}/mcp\""),
        None => format!(
            "transport = \"stdio\"\ncommand = {bench:?}\nargs = [\"echo-stdio\", \"--mark\", {mark:?}]"
        ),
    };
    let (host, port) = (listen.ip(), listen.port());
    format!(
        "[proxy]\nname = \"bench\"\n[proxy.listen]\nhost = \"{host}\"\nport = {port}\n[[backends]]\nname = \"echo\"\n{server}\n[observability]\nlog_level = \"warn\"\n"
    )
}
