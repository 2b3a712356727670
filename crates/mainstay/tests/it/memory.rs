//! Attacks on the memory and the descriptors of the daemon. Each single thing in them is allowed; their sum
//! is not.
//!
//! The short forms run with a small budget and compare what the process holds. The long forms
//! (`cargo xtask proof`) run the daemon in a control group that would end it.

mod attacks;
mod bounded;
mod files;
mod names;
mod proof;
mod sessions;

use std::time::{Duration, Instant};

use mainstay_testkit::daemon::Builder;
use mainstay_testkit::{Client, Daemon, Site};
use serde_json::{Value, json};

use crate::shared::{PATIENCE, eventually_within};

/// A daemon with a server over HTTP for the attack, and a client of another server that must not notice.
struct Arena {
    daemon: Daemon,
    _sites: [Site; 2],
    witness: Client,
}

/// The memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
struct Memory {
    now: u64,
    most: u64,
}

// === impl Arena ===

impl Arena {
    /// Starts a daemon of this kind with lines for `[gateway]`.
    async fn start(daemon: Builder, gateway: &str) -> Self {
        let sites = [Site::start(&[]), Site::start(&[])];
        let builder = daemon
            .config(&format!("[gateway]\n{gateway}"))
            .url_server("far", &sites[0].url())
            .url_server("quiet", &sites[1].url());
        let daemon = builder.start().await.unwrap();
        let witness = daemon.client("quiet").await.unwrap();
        witness.call("echo", json!({})).await.unwrap();
        Self { daemon, _sites: sites, witness }
    }

    /// A client that is not told apart from the attackers but by its session.
    async fn able(&self, revision: &str, capabilities: Value) -> Client {
        let mut client = Client::new(&self.daemon.endpoint("far")).unwrap();
        client.initialize(revision, &capabilities).await.unwrap();
        client
    }

    /// The longest of several calls of the witness.
    async fn longest_call(&self) -> Duration {
        let mut longest = Duration::ZERO;
        for _ in 0..20 {
            let begun = Instant::now();
            self.witness.call("echo", json!({"text": "x"})).await.unwrap();
            longest = longest.max(begun.elapsed());
        }
        longest
    }

    /// Returns the value of one series, named as at `/metrics`.
    async fn metric(&self, series: &str) -> u64 {
        let mut reply = self.witness.plain("GET", "/metrics").await.unwrap();
        let text = reply.text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
    }

    async fn used(&self, kind: &str) -> u64 {
        self.metric(&format!("mainstay_memory_used_bytes{{kind=\"{kind}\"}}")).await
    }

    async fn refusals(&self, kind: &str) -> u64 {
        self.metric(&format!("mainstay_memory_refusals_total{{kind=\"{kind}\"}}")).await
    }

    /// Waits until nothing is charged for clients any more, and no call of theirs runs, whose buffers are not
    /// charged. A call that nobody waits for ends at its deadline of 30 s.
    async fn given_back(&self) {
        eventually_within(3 * PATIENCE, "everything is given back", async || {
            let mut used = self.metric("mainstay_calls_in_flight{server=\"far\"}").await << 20;
            for kind in ["bodies", "answers", "streams", "questions"] {
                used += self.used(kind).await;
            }
            // The witness itself may hold a few kilobytes.
            (used < 64 << 10).then_some(())
        })
        .await;
    }

    fn memory(&self) -> Memory {
        Memory::of(self.daemon.pid())
    }
}

// === impl Memory ===

impl Memory {
    /// The memory of a process. A process that has ended has none.
    fn of(pid: i32) -> Self {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let kib = |key: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("0 kB");
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        Self { now: kib("VmRSS:") << 10, most: kib("VmHWM:") << 10 }
    }
}
