//! How each target is started, and where it is then.

mod plain;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Result, bail};
use serde_json::json;

use super::kind::Kind;
use crate::client::Target;

/// How to start a target and where it will be; no arguments, nothing to start.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) target: Target,
    pub(super) args: Vec<String>,
}

/// The server behind a front, and the folder for its files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Behind<'a> {
    /// The address of a server over HTTP. None for a process that speaks stdio.
    pub(super) address: Option<SocketAddr>,
    pub(super) folder: &'a Path,
    pub(super) bench: &'a Path,
    pub(super) mark: &'a str,
}

// === impl Front ===

impl Front {
    /// Writes the configuration that `kind` needs into the folder.
    pub(super) fn new(kind: Kind, behind: Behind<'_>) -> Result<Self> {
        Ok(match kind {
            Kind::Direct => Self::at(behind.url_address()?, "/mcp", &[]),
            Kind::Bare => {
                let address = behind.url_address()?;
                Self::at(address, "/mcp", &["bare-proxy", "--upstream", &address.to_string()])
            }
            Kind::Nginx => Self::nginx(behind)?,
            Kind::Haproxy => Self::haproxy(behind)?,
            Kind::Mainstay => Self::mainstay(behind)?,
            Kind::McpProxy => Self::mcp_proxy(behind)?,
            Kind::McpProxyPypi => Self::mcp_proxy_pypi(behind)?,
            Kind::Fastmcp => Self::fastmcp(behind)?,
            Kind::Supergateway => Self::supergateway(behind)?,
            Kind::McpProxyNpm => Self::mcp_proxy_npm(behind)?,
        })
    }

    fn at(address: SocketAddr, path: &str, args: &[&str]) -> Self {
        let target = Target { address, path: path.to_owned(), prefix: String::new() };
        Self { target, args: args.iter().map(|arg| (*arg).to_owned()).collect() }
    }

    fn nginx(behind: Behind<'_>) -> Result<Self> {
        let address = free_address()?;
        let text = plain::nginx(address, behind.url_address()?, behind.folder);
        let file = behind.write("nginx.conf", &text)?;
        let folder = behind.folder.display().to_string();
        // Before HAProxy has read the file, it would write to its default log.
        Ok(Self::at(address, "/mcp", &["-p", &folder, "-c", &file, "-e", "stderr"]))
    }

    fn haproxy(behind: Behind<'_>) -> Result<Self> {
        let address = free_address()?;
        let text = plain::haproxy(address, behind.url_address()?);
        let file = behind.write("haproxy.cfg", &text)?;
        Ok(Self::at(address, "/mcp", &["-db", "-f", &file]))
    }

    fn mainstay(behind: Behind<'_>) -> Result<Self> {
        let Behind { bench, mark, .. } = behind;
        let server = match behind.address {
            Some(address) => format!("url = \"http://{address}/mcp\""),
            None => format!("command = [{bench:?}, \"echo-stdio\", \"--mark\", {mark:?}]"),
        };
        let file = behind
            .write("settings.toml", &format!("[servers.echo]\n{server}\nrequired = true\n"))?;
        let address = free_address()?;
        let listen = address.to_string();
        let state = behind.folder.join("state").display().to_string();
        let args = ["up", "--config", &file, "--listen", &listen, "--state", &state];
        Ok(Self::at(address, "/mcp/echo", &args))
    }

    /// All defaults except for the log, which would otherwise be measured, too.
    fn mcp_proxy(behind: Behind<'_>) -> Result<Self> {
        let Behind { bench, mark, .. } = behind;
        let server = match behind.address {
            Some(address) => format!("transport = \"http\"\nurl = \"http://{address}/mcp\""),
            None => format!(
                "transport = \"stdio\"\ncommand = {bench:?}\nargs = [\"echo-stdio\", \"--mark\", {mark:?}]"
            ),
        };
        let address = free_address()?;
        let (host, port) = (address.ip(), address.port());
        let text = format!(
            "[proxy]\nname = \"bench\"\n[proxy.listen]\nhost = \"{host}\"\nport = {port}\n[[backends]]\nname = \"echo\"\n{server}\n[observability]\nlog_level = \"warn\"\n"
        );
        let file = behind.write("settings.toml", &text)?;
        let mut front = Self::at(address, "/", &["--config", &file]);
        front.target.prefix = "echo/".to_owned();
        Ok(front)
    }

    fn mcp_proxy_pypi(behind: Behind<'_>) -> Result<Self> {
        let address = free_address()?;
        let port = address.port().to_string();
        let before = ["--host", "127.0.0.1", "--port", &port, "--log-level", "WARNING", "--"];
        let command = behind.command()?;
        Ok(Self::at(address, "/mcp", &before).followed_by(command))
    }

    fn fastmcp(behind: Behind<'_>) -> Result<Self> {
        let server = match behind.address {
            Some(address) => json!({"url": format!("http://{address}/mcp")}),
            None => {
                let [program, args @ ..] = &behind.command()?;
                json!({"command": program, "args": args})
            }
        };
        let text = json!({"mcpServers": {"echo": server}}).to_string();
        let file = behind.write("mcp.json", &text)?;
        let address = free_address()?;
        let port = address.port().to_string();
        let args = ["run", &file, "--transport", "http", "--port", &port];
        let quiet = ["--no-banner", "--log-level", "WARNING"];
        Ok(Self::at(address, "/mcp", &[&args[..], &quiet].concat()))
    }

    /// Stateful, for without sessions it starts a process for each request.
    fn supergateway(behind: Behind<'_>) -> Result<Self> {
        let address = free_address()?;
        let port = address.port().to_string();
        // The program passes the text to a shell.
        let command = behind.command()?.map(|word| format!("'{word}'")).join(" ");
        let how = ["--outputTransport", "streamableHttp", "--stateful", "--logLevel", "none"];
        let args = ["--stdio", &command, "--port", &port];
        Ok(Self::at(address, "/mcp", &[&args[..], &how].concat()))
    }

    fn mcp_proxy_npm(behind: Behind<'_>) -> Result<Self> {
        let address = free_address()?;
        let port = address.port().to_string();
        let before = ["--host", "127.0.0.1", "--port", &port, "--server", "stream", "--"];
        let command = behind.command()?;
        Ok(Self::at(address, "/mcp", &before).followed_by(command))
    }

    fn followed_by(mut self, command: [String; 4]) -> Self {
        self.args.extend(command);
        self
    }
}

// === impl Behind ===

impl Behind<'_> {
    fn url_address(self) -> Result<SocketAddr> {
        match self.address {
            Some(address) => Ok(address),
            None => bail!("it can't serve a server that speaks lines"),
        }
    }

    /// The server that speaks lines.
    fn command(self) -> Result<[String; 4]> {
        if self.address.is_some() {
            bail!("it can't serve a server over HTTP");
        }
        let program = self.bench.display().to_string();
        Ok([program, "echo-stdio".to_owned(), "--mark".to_owned(), self.mark.to_owned()])
    }

    fn write(self, name: &str, text: &str) -> Result<String> {
        let file = self.folder.join(name);
        fs::write(&file, text)?;
        Ok(file.display().to_string())
    }
}

/// An address that nothing listens on.
pub(super) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
