//! Behaviour of servers, good and bad, and its effect on the clients of the daemon.

mod astray;
mod concurrency;
mod crash;
mod deadlines;
mod dirty;
mod exits;
mod federation;
mod floods;
mod generations;
mod hangs;
mod health;
mod idle;
mod instances;
mod limits;
mod list_faults;
mod lists;
mod merged;
mod modern;
mod names;
mod odd_remotes;
mod processes;
mod remote;
mod revisions;
mod second_era;
mod spelling;
mod state;
mod stuck;
mod tool_rules;
mod unusable;

use mainstay_testkit::daemon::Builder;
use mainstay_testkit::process::Process;
use mainstay_testkit::{Client, Daemon, Site};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::shared::{PATIENCE, daemon, eventually, misbehave};

/// A daemon with the same server as a process (`pipe`) and over HTTP (`site`).
fn both_ways(flags: &[&str]) -> (Site, Builder) {
    let site = Site::start(flags);
    let builder =
        daemon().command_server("pipe", &misbehave(flags)).url_server("site", &site.url());
    (site, builder)
}

/// Returns status and body of the answer to a GET.
async fn get(base: &str, path: &str) -> (u16, String) {
    let mut reply = Client::new(base).unwrap().plain("GET", path).await.unwrap();
    (reply.status, reply.text().await.unwrap())
}

/// Returns the entry of one server in the status, as the operator sees it.
async fn server(daemon: &Daemon, name: &str) -> Value {
    let client = mainstay_admin::Client::new(&daemon.state(), PATIENCE);
    let status = client.status().await.unwrap();
    let server = status.servers.iter().find(|server| server.name.as_str() == name).unwrap();
    serde_json::to_value(server).unwrap()
}

/// Waits until a server is in a state, and returns its entry.
async fn in_state(daemon: &Daemon, name: &str, state: &str) -> Value {
    eventually(&format!("{name} in state {state}"), async || {
        Some(server(daemon, name).await).filter(|server| server["state"] == state)
    })
    .await
}

/// Returns the sum of all samples of a metric with these labels, `name="value"` each.
async fn metric(daemon: &Daemon, name: &str, labels: &[&str]) -> f64 {
    let (_, text) = get(daemon.base(), "/metrics").await;
    let of_name =
        |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    let mut sum = 0.0;
    for line in text.lines().filter(of_name) {
        if labels.iter().all(|label| line.contains(label)) {
            sum += line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        }
    }
    sum
}

/// Returns the process of a server's first instance.
async fn process(daemon: &Daemon, name: &str) -> Process {
    eventually(&format!("a process of {name}"), async || {
        let pid = server(daemon, name).await["instances"][0]["pid"].as_i64()?;
        Process::find(i32::try_from(pid).unwrap())
    })
    .await
}

/// Returns the present run of a server: its process and its restarts.
async fn life(daemon: &Daemon, name: &str) -> (Value, Value) {
    let now = server(daemon, name).await;
    (now["instances"][0]["pid"].clone(), now["restarts"].clone())
}

/// Calls a tool and returns the whole answer, even if it is an error.
async fn ask(client: &Client, tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    client.send("tools/call", params).await.unwrap().answer().await.unwrap()
}

/// Returns how often the misbehaving server has seen each event.
async fn counts(client: &Client, tool: &str) -> Value {
    client.call(tool, json!({})).await.unwrap()["structuredContent"]["counts"].clone()
}

#[track_caller]
fn assert_echo(answer: &Value, sent: &Value) {
    assert_eq!(answer["result"]["structuredContent"]["echo"], *sent, "{answer}");
}

#[track_caller]
fn assert_refused(answer: &Value, code: i64, name: &str) {
    assert_eq!(answer["error"]["code"], code, "{answer}");
    assert_eq!(answer["error"]["data"]["code"], name, "{answer}");
}

fn kill(process: &Process) {
    process.signal(Signal::KILL);
}
