//! Circuit breakers in front of real servers: what opens them, what reaches a server while they are open, how they
//! close, and that everything that shows them agrees.

mod counting;
mod dependency;
mod needs;
mod states;

use std::time::Instant;

use mainstay_testkit::{Client, Daemon};
use serde_json::{Value, json};

use self::dependency::{Dependency, Mood};
use crate::shared::{daemon, eventually, misbehave, until};

/// What a call was answered with.
async fn call(client: &Client, tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    client.send("tools/call", params).await.unwrap().answer().await.unwrap()
}

/// The code of a refusal; empty for an answer of the server.
fn code(answer: &Value) -> &str {
    answer["error"]["data"]["code"].as_str().unwrap_or_default()
}

async fn get(daemon: &Daemon, path: &str) -> String {
    let mut reply = Client::new(daemon.base()).unwrap().plain("GET", path).await.unwrap();
    reply.text().await.unwrap()
}

/// The value of a metric of a breaker.
async fn metric(daemon: &Daemon, name: &str, breaker: &str) -> u64 {
    let metrics = get(daemon, "/metrics").await;
    let line = format!("{name}{{service=\"{breaker}\"}} ");
    let value = metrics.lines().find_map(|metric| metric.strip_prefix(line.as_str()));
    value.unwrap_or_else(|| panic!("no {line} in {metrics}")).parse().unwrap()
}

async fn state(daemon: &Daemon, breaker: &str) -> u64 {
    metric(daemon, "mcp_circuit_breaker_state", breaker).await
}

async fn failures(daemon: &Daemon, breaker: &str) -> u64 {
    metric(daemon, "mcp_circuit_breaker_failures_total", breaker).await
}

/// What `/health` says of all breakers, and its own word.
async fn health(daemon: &Daemon) -> (Value, String) {
    let body: Value = serde_json::from_str(&get(daemon, "/health").await).unwrap();
    (body["circuit_breakers"].clone(), body["status"].as_str().unwrap().to_owned())
}

/// A daemon with one remote server, whose breaker has these settings.
async fn with_remote(dependency: &Dependency, breaker: &str, more: &str) -> (Daemon, Client) {
    let config = format!(
        "[gateway]\n{more}\n[servers.far]\nurl = '{}'\nrequired = true\nbreaker = {{ {breaker} }}\n",
        dependency.url()
    );
    let daemon = daemon().config(&config).start().await.unwrap();
    until("ready", async || health(&daemon).await.1 == "ok").await;
    let client = daemon.client("far").await.unwrap();
    (daemon, client)
}
