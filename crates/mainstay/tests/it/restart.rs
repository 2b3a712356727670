//! The daemon ends, with or without a drain, and the next one continues its sessions.

mod disk;
mod ended;
mod load;
mod questions;
mod restored;
mod storage;
mod streams;
mod upgrade;

use std::path::{Path, PathBuf};

use mainstay_testkit::client::Reply;
use mainstay_testkit::{Client, Daemon, Site};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::shared::{PATIENCE, misbehave, until};

const PING: &str = r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#;

/// The ways in which a daemon ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Term,
    Kill,
}

/// Holds a folder whose daemon is restarted, with the same server as a process (`near`), which ends with
/// the daemon, and over HTTP (`far`), which continues.
struct Scene {
    daemon: Option<Daemon>,
    folder: TempDir,
    gateway: String,
    near_flags: &'static [&'static str],
    site: Site,
}

// === impl Scene ===

impl Scene {
    async fn start() -> Self {
        Self::with("").await
    }

    /// Starts a daemon with these lines for `[gateway]`.
    async fn with(gateway: &str) -> Self {
        let mut scene = Self {
            daemon: None,
            folder: tempfile::tempdir().unwrap(),
            gateway: gateway.to_owned(),
            near_flags: &[],
            site: Site::start(&[]),
        };
        scene.begin().await;
        scene
    }

    async fn begin(&mut self) {
        let daemon = crate::shared::daemon()
            .folder(self.folder.path())
            .config(&format!("[gateway]\n{}", self.gateway))
            .command_server("near", &misbehave(self.near_flags))
            .url_server("far", &self.site.url())
            .start()
            .await
            .unwrap();
        self.daemon = Some(daemon);
    }

    async fn end(&mut self, how: End) {
        let mut daemon = self.daemon.take().unwrap();
        match how {
            End::Term => daemon.term().unwrap(),
            End::Kill => daemon.kill().unwrap(),
        }
        daemon.wait(PATIENCE).await.unwrap();
    }

    async fn restart(&mut self, how: End) {
        self.end(how).await;
        self.begin().await;
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    async fn client(&self, name: &str) -> Client {
        self.daemon().client(name).await.unwrap()
    }

    /// Returns a client of an earlier daemon, connected to an address of the present one.
    fn again(&self, name: &str, client: &Client) -> Client {
        self.with_session(name, client.session().unwrap())
    }

    fn with_session(&self, name: &str, session: &str) -> Client {
        let mut again = Client::new(&self.daemon().endpoint(name)).unwrap();
        again.set_session(Some(session));
        again
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Returns the value of one series, named as at `/metrics`.
    async fn metric(&self, series: &str) -> u64 {
        let text = self.get("/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
    }

    async fn get(&self, path: &str) -> String {
        let client = Client::new(self.daemon().base()).unwrap();
        client.plain("GET", path).await.unwrap().text().await.unwrap()
    }

    /// Returns how often the server `far` reports an event.
    async fn far_count(&self, what: &str) -> u64 {
        self.site.counts().await[what].as_u64().unwrap_or(0)
    }
}

/// Returns the answer to a ping: the status and, for an error, its code.
async fn ping(client: &Client) -> (u16, Option<i64>) {
    let mut reply = client.post(PING, &[]).await.unwrap();
    let answer = reply.json().await.unwrap();
    (reply.status, answer["error"]["code"].as_i64())
}

#[track_caller]
fn lost(client: &Client) -> impl Future<Output = ()> {
    let at = std::panic::Location::caller();
    async move {
        assert_eq!(ping(client).await, (404, Some(-32001)), "{at}");
        assert_eq!(client.listen(None).await.unwrap().status, 404, "{at}");
        assert_eq!(client.delete().await.unwrap().status, 404, "{at}");
    }
}

/// Returns the next message of a stream with this method, dropping earlier ones.
#[track_caller]
fn heard(stream: &mut Reply, method: &str) -> impl Future<Output = Value> {
    let at = std::panic::Location::caller();
    async move {
        let wait = async {
            loop {
                let message = stream.message().await.unwrap().expect("the stream goes on");
                if message["method"] == method {
                    return message;
                }
            }
        };
        let message = tokio::time::timeout(PATIENCE, wait).await;
        message.unwrap_or_else(|_| panic!("{at}: {method} never came"))
    }
}

/// Waits until the journal has a record of one of these kinds.
async fn stored(state: &Path, kinds: &[&str]) {
    until("a record", async || {
        let journal = std::fs::read_to_string(state.join("sessions.journal")).unwrap_or_default();
        kinds.iter().any(|kind| journal.contains(&format!("{{\"{kind}\":")))
    })
    .await;
}

async fn echo(client: &Client) {
    let sent = json!({"from": client.session()});
    let answer = client.call("echo", sent.clone()).await.unwrap();
    assert_eq!(answer["structuredContent"]["echo"], sent);
}
