//! The dependency graph as it runs: who starts when, who waits for whom, and what is said about it.

mod needs;
mod probes;
mod services;

use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use mainstay_admin::api::graph::Node;
use mainstay_testkit::{Client, Daemon};

use crate::shared::{PATIENCE, eventually};

/// Times three the second within which a node starts after its last need became ready.
const START_WITHIN: Duration = Duration::from_secs(3);

/// A service that is ready while the file `NAME.ready` is in the folder.
fn switched(folder: &Path, name: &str, needs: &[&str]) -> String {
    let needs = serde_json::json!(needs);
    let file = folder.join(format!("{name}.ready"));
    format!(
        "[services.{name}]\ncommand = ['sleep', '1000']\nneeds = {needs}\n\
         [services.{name}.probe]\ncommand = ['test', '-f', '{}']\nperiod = '200ms'\n\
         waiting_period = '100ms'\nfall = 1\n",
        file.display()
    )
}

/// Makes a switched service pass its probe from now on, or fail it.
fn switch(folder: &Path, name: &str, is_ready: bool) {
    let file = folder.join(format!("{name}.ready"));
    if is_ready {
        std::fs::write(file, "").unwrap();
    } else {
        std::fs::remove_file(file).unwrap();
    }
}

/// The node as the operator sees it.
async fn node(daemon: &Daemon, name: &str) -> Node {
    let client = mainstay_admin::Client::new(&daemon.state(), PATIENCE);
    let graph = client.graph().await.unwrap();
    graph.nodes.into_iter().find(|node| node.name.as_str() == name).unwrap()
}

/// Waits until a node is in a state.
pub(crate) async fn in_state(daemon: &Daemon, name: &str, state: &str) -> Node {
    eventually(&format!("{name} in state {state}"), async || {
        Some(node(daemon, name).await).filter(|node| node.state.as_str() == state)
    })
    .await
}

/// Status code and body of `/health`.
async fn health(daemon: &Daemon) -> (u16, serde_json::Value) {
    let mut reply = Client::new(daemon.base()).unwrap().plain("GET", "/health").await.unwrap();
    let body = reply.text().await.unwrap();
    (reply.status, serde_json::from_str(&body).unwrap())
}

/// When a node entered its state.
fn since(node: &Node) -> SystemTime {
    node.since.parse::<Timestamp>().unwrap().into()
}
