//! Sentence embeddings over HTTP. It answers from the first moment on: 503 while the model loads, and whatever
//! becomes of the loading, the process stays and says what it is.

mod http;
mod loading;
mod model;
mod worker;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::loading::Loading;

/// Sentence embeddings over HTTP
#[derive(Parser)]
struct Options {
    /// The port of 127.0.0.1 to listen on
    #[arg(long)]
    port: u16,
    /// The folder with `config.json`, `tokenizer.json` and `model.safetensors`
    #[arg(long)]
    model: PathBuf,
    /// Additional time that loading takes, in seconds, to try what a slow model does to a stack
    #[arg(long, default_value_t = 0)]
    load_for: u64,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("can't listen on {address}"))?;
    let loading = Arc::new(Loading::default());
    let load = loading::load(loading.clone(), options.model, Duration::from_secs(options.load_for));
    tokio::spawn(load);
    let mut term = signal(SignalKind::terminate())?;
    tokio::select! {
        served = axum::serve(listener, http::router(loading)) => served?,
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(())
}
