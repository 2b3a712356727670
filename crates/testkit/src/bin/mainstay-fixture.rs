//! The conformance fixture as a program: `mainstay-fixture stdio` or
//! `mainstay-fixture http [--listen ADDR]`.

use std::io::Write;

use anyhow::{Context, bail};
use mainstay_testkit::fixture;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const USAGE: &str = "usage: mainstay-fixture stdio | http [--listen 127.0.0.1:0]";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["stdio"] => fixture::serve_stdio().await,
        ["http"] => http("127.0.0.1:0").await,
        ["http", "--listen", address] => http(address).await,
        _ => bail!(USAGE),
    }
}

async fn http(address: &str) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
    writeln!(std::io::stdout(), "listening on http://{}/mcp", listener.local_addr()?)?;
    fixture::serve_http(listener, CancellationToken::new()).await
}
