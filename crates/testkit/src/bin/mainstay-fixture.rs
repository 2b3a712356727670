//! The conformance fixture as a program: `mainstay-fixture stdio` or
//! `mainstay-fixture http [--listen ADDR]`, with `--only legacy` or `--only modern` for a server of
//! one era.

use std::io::Write;

use anyhow::{Context, bail};
use mainstay_testkit::fixture::{self, Speaks};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const USAGE: &str =
    "usage: mainstay-fixture stdio | http [--listen 127.0.0.1:0]   [--only legacy|modern]";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let transport = words.next();
    let (mut address, mut speaks) = ("127.0.0.1:0".to_owned(), Speaks::All);
    while let Some(flag) = words.next() {
        let value = words.next().context(USAGE)?;
        match (&*flag, &*value) {
            ("--listen", _) => address = value,
            ("--only", "legacy") => speaks = Speaks::Legacy,
            ("--only", "modern") => speaks = Speaks::Modern,
            _ => bail!(USAGE),
        }
    }
    match transport.as_deref() {
        Some("stdio") => fixture::serve_stdio(speaks).await,
        Some("http") => http(&address, speaks).await,
        _ => bail!(USAGE),
    }
}

async fn http(address: &str, speaks: Speaks) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
    writeln!(std::io::stdout(), "listening on http://{}/mcp", listener.local_addr()?)?;
    fixture::serve_http(listener, speaks, CancellationToken::new()).await
}
