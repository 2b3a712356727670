//! A scripted server that breaks the protocol. Flags, or the name of the called tool, select the
//! faults.
//!
//! It writes raw JSON over lines or HTTP, because an SDK would refuse most of the faults.

mod dispatch;
mod flags;
mod flood;
mod handshake;
mod hangs;
mod http;
mod list_faults;
mod listen;
mod lists;
mod message;
mod revisions;
mod server;
mod spelling;
mod stdio;
mod tools;

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

pub use flags::Flags;
pub use http::serve as serve_http;

/// However a test ends, nothing of this program outlives it by more than this.
const LIFE_MAX: Duration = Duration::from_secs(900);

/// Runs the program with its arguments, the program's own name left out.
///
/// # Errors
/// For wrong usage, or when the listener or a standard stream fails.
pub async fn main(arguments: &[String]) -> anyhow::Result<()> {
    let work = async {
        match arguments.split_first().map(|(mode, rest)| (mode.as_str(), rest)) {
            Some(("stdio", rest)) => stdio::serve(Flags::parse(rest)?).await,
            Some(("http", rest)) => http_alone(rest).await,
            Some(("idle", rest)) => idle(rest).await,
            Some(("--help" | "help", _)) => Ok(writeln!(std::io::stdout(), "{}", help())?),
            _ => bail!("usage: mainstay-misbehave stdio | http [--listen ADDR] [--FLAG[=VALUE]…]"),
        }
    };
    tokio::time::timeout(LIFE_MAX, work).await.context("nobody ended this program")?
}

/// Lists all flags and tools, one a line.
#[must_use]
pub fn help() -> String {
    let mut text = String::from(
        "mainstay-misbehave stdio [FLAGS]\nmainstay-misbehave http [--listen ADDR] [FLAGS]\n\nFlags:\n",
    );
    for flag in flags::ALL {
        let shown = format!("--{}{}", flag.name, flag.value);
        text.push_str(&format!("  {shown:<26} {}\n", flag.help));
    }
    text.push_str("\nTools:\n");
    for tool in tools::ALL {
        text.push_str(&format!("  {:<26} {}\n", tool.name, tool.help));
    }
    text.push_str(
        "\nOver HTTP: GET /control/stats says what was seen, POST /control/forget ends all sessions.",
    );
    text
}

/// Does nothing; as `idle runaway` nowhere near its parent, and deaf to SIGTERM.
async fn idle(arguments: &[String]) -> anyhow::Result<()> {
    let _terms = match arguments {
        [how] if how == "runaway" => {
            rustix::process::setsid()?;
            Some(signal(SignalKind::terminate())?)
        }
        _ => None,
    };
    std::future::pending().await
}

async fn http_alone(arguments: &[String]) -> anyhow::Result<()> {
    let (address, rest) = match arguments {
        [flag, address, rest @ ..] if flag == "--listen" => (address.as_str(), rest),
        rest => ("127.0.0.1:0", rest),
    };
    let flags = Flags::parse(rest)?;
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
    writeln!(std::io::stdout(), "listening on http://{}/mcp", listener.local_addr()?)?;
    http::serve(listener, flags, CancellationToken::new()).await
}
