//! A running daemon follows its configuration: what changes is replaced without a gap, and nothing else notices.

mod by_hand;
mod changes;
mod kinds;
mod load;
mod wrong;

use std::path::PathBuf;

use mainstay_testkit::{Client, Daemon};
use serde_json::{Value, json};

use crate::shared::{daemon, misbehave, until};

/// A daemon and the text of its configuration.
struct Scene {
    daemon: Daemon,
}

/// A server that misbehaves as configured, with further lines for its table.
fn server(name: &str, flags: &[&str], more: &str) -> String {
    let command = Value::from(misbehave(flags));
    format!("[servers.{name}]\ncommand = {command}\n{more}\n")
}

// === impl Scene ===

impl Scene {
    /// Starts a daemon, and waits until everything in it is ready.
    async fn start(config: &str) -> Self {
        let daemon = daemon().config(config).start().await.unwrap();
        let scene = Self { daemon };
        scene.until_ready().await;
        scene
    }

    async fn until_ready(&self) {
        until("everything is ready", async || {
            let status = self.json(&["status", "--json"], 0);
            let all = ["servers", "services"].map(|kind| status[kind].as_array().unwrap().clone());
            all.concat()
                .iter()
                .all(|it| ["ready", "idle", "done"].contains(&it["state"].as_str().unwrap()))
        })
        .await;
    }

    fn file(&self) -> PathBuf {
        self.daemon.folder().join("mainstay.toml")
    }

    /// Replaces the configuration file, as editors do.
    fn write(&self, config: &str) {
        let other = self.daemon.folder().join("mainstay.toml.new");
        std::fs::write(&other, config).unwrap();
        std::fs::rename(&other, self.file()).unwrap();
    }

    /// Runs a command, and returns what it printed.
    #[track_caller]
    fn run(&self, line: &[&str], code: i32) -> String {
        let output = self.daemon.run(line).unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert_eq!(
            output.status.code(),
            Some(code),
            "{line:?}\n{out}\n{err}\n{}",
            self.daemon.log()
        );
        format!("{out}{err}")
    }

    #[track_caller]
    fn json(&self, line: &[&str], code: i32) -> Value {
        let printed = self.run(line, code);
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
    }

    /// Reloads, and returns the report.
    #[track_caller]
    fn reload(&self, code: i32) -> Value {
        self.json(&["reload", "--json"], code)
    }

    async fn client(&self, name: &str) -> Client {
        self.daemon.client(name).await.unwrap()
    }

    /// What is known of a server now.
    fn status(&self, name: &str) -> Value {
        self.json(&["status", name, "--json"], 0)
    }
}

/// The process that answers a call.
async fn pid(client: &Client) -> u64 {
    let stats = client.call("stats", json!({})).await.unwrap();
    let stats = &stats["structuredContent"];
    stats["pid"].as_u64().unwrap_or_else(|| panic!("no process in {stats}"))
}

/// The outcome of one node in a report.
fn outcome<'a>(report: &'a Value, node: &str) -> &'a Value {
    let nodes = report["nodes"].as_array().unwrap();
    let found = nodes.iter().find(|it| it["node"] == node);
    found.unwrap_or_else(|| panic!("{node} is not in {report}"))
}
