//! What servers do, good and bad, and what clients of the daemon see of it.

mod astray;
mod crash;
mod deadlines;
mod dirty;
mod federation;
mod generations;
mod health;
mod instances;
mod lists;
mod modern;
mod names;
mod processes;
mod remote;
mod state;

use std::time::{Duration, Instant};

use mainstay_testkit::daemon::Builder;
use mainstay_testkit::process::Process;
use mainstay_testkit::{Client, Daemon, Site, programs};
use rustix::process::Signal;
use serde_json::{Value, json};

/// No test waits longer for anything; most waits end after milliseconds.
const PATIENCE: Duration = Duration::from_secs(40);

fn daemon() -> Builder {
    Daemon::builder(env!("CARGO_BIN_EXE_mainstay"))
}

/// The command of the server that misbehaves as told.
fn misbehave(flags: &[&str]) -> Vec<String> {
    let program = programs::misbehave().unwrap().display().to_string();
    let words = [program, "stdio".to_owned()];
    words.into_iter().chain(flags.iter().map(|&flag| flag.to_owned())).collect()
}

/// Waits for something to be there.
#[track_caller]
fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < deadline, "{caller}: {what} never came to be");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The answer to GET: status and body.
async fn get(base: &str, path: &str) -> (u16, String) {
    let mut reply = Client::new(base).unwrap().plain("GET", path).await.unwrap();
    (reply.status, reply.text().await.unwrap())
}

/// What `/health/detailed` says of one server.
async fn server(daemon: &Daemon, name: &str) -> Value {
    let (status, body) = get(daemon.base(), "/health/detailed").await;
    assert_eq!(status, 200, "{body}");
    let detailed: Value = serde_json::from_str(&body).unwrap();
    let servers = detailed["servers"].as_array().unwrap();
    servers.iter().find(|server| server["name"] == name).unwrap().clone()
}

/// Waits until a server is in a state; what is then said of it.
async fn in_state(daemon: &Daemon, name: &str, state: &str) -> Value {
    eventually(&format!("{name} in state {state}"), async || {
        Some(server(daemon, name).await).filter(|server| server["state"] == state)
    })
    .await
}

/// The sum of all samples of a metric with these labels, `name="value"` each.
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

/// The process of a server's first instance.
async fn process(daemon: &Daemon, name: &str) -> Process {
    eventually(&format!("a process of {name}"), async || {
        let pid = server(daemon, name).await["instances"][0]["pid"].as_i64()?;
        Process::find(i32::try_from(pid).unwrap())
    })
    .await
}

/// Which life a server is in: its process and its restarts.
async fn life(daemon: &Daemon, name: &str) -> (Value, Value) {
    let now = server(daemon, name).await;
    (now["instances"][0]["pid"].clone(), now["restarts"].clone())
}

/// Calls a tool and gives the whole answer, also an error.
async fn ask(client: &Client, tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    client.send("tools/call", params).await.unwrap().answer().await.unwrap()
}

/// What the misbehaving server has seen: how often, by what.
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
