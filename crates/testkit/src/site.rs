//! The server that misbehaves, over HTTP, as a program of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::process::Process;
use crate::{Client, programs};

/// A server over HTTP that can be killed and restarted at the same address. Dropping it kills it.
///
/// It is part of a test, so every failure panics.
#[derive(Debug)]
pub struct Site {
    child: Child,
    address: String,
    flags: Vec<String>,
}

// === impl Site ===

impl Site {
    /// Starts it on a free port.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn start(flags: &[&str]) -> Self {
        let flags: Vec<_> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let (child, address) = launch("127.0.0.1:0", &flags).expect("a server over HTTP");
        Self { child, address, flags }
    }

    /// The address of streamable HTTP. Every other path answers the same.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("/mcp")
    }

    #[must_use]
    pub fn url_of(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Ends it with no chance to say goodbye.
    pub fn kill(&mut self) {
        // Failure means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends it a signal, such as STOP to freeze it.
    ///
    /// # Panics
    /// When it has ended.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("process numbers fit");
        Process::find(pid).expect("it runs").signal(signal);
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Starts it again where it was.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn revive(&mut self) {
        (self.child, _) = launch(&self.address, &self.flags).expect("the server again");
    }

    /// The server's counters and identity.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub async fn stats(&self) -> Value {
        serde_json::from_str(&self.control("stats").await).expect("figures in JSON")
    }

    /// The server's counters.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub async fn counts(&self) -> Value {
        self.stats().await["counts"].take()
    }

    /// Makes it forget all sessions.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn forget(&self) {
        self.control("forget").await;
    }

    /// Makes it answer everything with a login page, or as before if it does so already.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn sign_out(&self) {
        self.control("sign-out").await;
    }

    async fn control(&self, what: &str) -> String {
        let client = Client::new(&self.url()).expect("an address");
        let path = format!("/control/{what}");
        let mut reply = client.plain("GET", &path).await.expect("an answer");
        reply.text().await.expect("text")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts the process. Returns it and the address that it prints.
fn launch(address: &str, flags: &[String]) -> anyhow::Result<(Child, String)> {
    let mut child = Command::new(programs::misbehave()?)
        .args(["http", "--listen", address])
        .args(flags)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    let address = line.trim().split_once("http://").map(|(_, rest)| rest.trim_end_matches("/mcp"));
    anyhow::ensure!(address.is_some(), "it said {line:?} instead of its address");
    Ok((child, address.unwrap_or_default().to_owned()))
}
