//! The programs of the example by themselves, without a daemon.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mainstay_testkit::Client;
use serde_json::{Value, json};

use super::{Embedding, example, free_ports};
use crate::shared::{PATIENCE, eventually_within};

/// What an answer takes on a busy machine that waits for nothing.
const AT_ONCE: Duration = Duration::from_secs(2);

/// A program of the example that runs.
struct Program {
    child: Child,
    port: u16,
}

// === impl Program ===

impl Program {
    fn stand_in(role: &str, port: u16, more: &[String]) -> Self {
        let mut command = Command::new("python3");
        command.args(["stand_ins", role, "--port", &port.to_string()]).args(more);
        Self::start(command, port)
    }

    fn embedding(embedding: Embedding, load_for: u64) -> Self {
        let port = free_ports()[0];
        let seconds = load_for.to_string();
        if embedding == Embedding::StandIn {
            return Self::stand_in("embeddings", port, &["--load-for".to_owned(), seconds]);
        }
        let mut command =
            Command::new(example().join("embeddings/target/release/embeddings-service"));
        command.args([
            "--model",
            "embeddings/model",
            "--port",
            &port.to_string(),
            "--load-for",
            &seconds,
        ]);
        Self::start(command, port)
    }

    fn start(mut command: Command, port: u16) -> Self {
        command.current_dir(example()).stdin(Stdio::null()).stdout(Stdio::null());
        Self { child: command.spawn().unwrap(), port }
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let client = Client::new(&url).unwrap();
        let reply = match method {
            "GET" => client.plain("GET", path).await,
            _ => client.post(body.to_string(), &[]).await,
        };
        let mut reply = reply.ok()?;
        let text = reply.text().await.ok()?;
        Some((reply.status, serde_json::from_str(&text).unwrap()))
    }

    /// Waits until it answers with this status at `/health`.
    async fn healthy(&self, status: u16) -> Value {
        eventually_within(PATIENCE, &format!("health {status}"), async || {
            let (now, body) = self.ask("GET", "/health", &Value::Null).await?;
            (now == status).then_some(body)
        })
        .await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Theirs let requests wait for the model for up to three minutes.
#[tokio::test]
async fn t4_5_while_the_model_loads_every_request_is_refused_at_once() {
    refuses_while_it_loads(Embedding::StandIn).await;
}

pub(super) async fn refuses_while_it_loads(embedding: Embedding) {
    let program = Program::embedding(embedding, 3);
    assert_eq!(program.healthy(503).await, json!({"status": "loading"}));
    for (method, path, body) in [
        ("GET", "/info", Value::Null),
        ("POST", "/embed", json!({"inputs": ["bread"]})),
        ("POST", "/v1/embeddings", json!({"input": "bread"})),
    ] {
        let begun = Instant::now();
        let (status, answer) = program.ask(method, path, &body).await.unwrap();
        assert_eq!(status, 503, "{path}: {answer}");
        assert!(begun.elapsed() < AT_ONCE, "{path}: {:?}", begun.elapsed());
    }
    assert_eq!(program.healthy(200).await, json!({"status": "ok"}));
    let (status, info) = program.ask("GET", "/info", &Value::Null).await.unwrap();
    assert_eq!((status, &info["dimensions"]), (200, &json!(384)), "{info}");
}

#[tokio::test]
async fn texts_with_like_meaning_have_near_vectors_and_there_are_limits() {
    embeds(Embedding::StandIn).await;
}

pub(super) async fn embeds(embedding: Embedding) {
    let program = Program::embedding(embedding, 0);
    program.healthy(200).await;
    let texts = ["a man eats bread", "a man eats some bread", "the train is late"];
    let (status, vectors) = program.ask("POST", "/embed", &json!({"inputs": texts})).await.unwrap();
    assert_eq!(status, 200, "{vectors}");
    let vectors: Vec<Vec<f64>> = serde_json::from_value(vectors).unwrap();
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    assert_eq!(vectors.len(), 3);
    for vector in &vectors {
        assert_eq!(vector.len(), 384);
        assert!((near(vector, vector) - 1.0).abs() < 1e-3);
    }
    let (like, unlike) = (near(&vectors[0], &vectors[1]), near(&vectors[0], &vectors[2]));
    assert!(like > unlike + 0.3, "{like} and {unlike}");
    let (_, same) = program.ask("POST", "/v1/embeddings", &json!({"input": texts})).await.unwrap();
    let first: Vec<f64> = serde_json::from_value(same["data"][0]["embedding"].clone()).unwrap();
    assert!(near(&first, &vectors[0]) > 0.999);
    for (inputs, expected) in [
        (json!(vec!["x"; 32]), 200),
        (json!(vec!["x"; 33]), 413),
        (json!(["x".repeat(10_000)]), 200),
        (json!(["x".repeat(10_001)]), 413),
        (json!([]), 400),
    ] {
        let (status, answer) =
            program.ask("POST", "/embed", &json!({"inputs": inputs})).await.unwrap();
        assert_eq!(status, expected, "{answer}");
    }
}

/// Their coordinator's health was the word "healthy", whatever was down.
#[tokio::test]
async fn t4_3_health_asks_what_it_depends_on_at_that_moment() {
    let ports = free_ports();
    let webui = Program::stand_in(
        "open-webui",
        ports[1],
        &["--llama-cpp".to_owned(), ports[0].to_string()],
    );
    let without = webui.healthy(503).await;
    assert_eq!(without["status"], "error", "{without}");
    let llama = Program::stand_in("llama-cpp", ports[0], &[]);
    assert_eq!(webui.healthy(200).await["status"], "ok");
    drop(llama);
    let again = webui.healthy(503).await;
    assert_ne!(again["checks"]["llama-cpp"], "ok", "{again}");
}

/// Theirs was answered with 200 whatever the status was, and with the text of the exception.
#[tokio::test]
async fn t4_4_an_error_is_no_success_and_tells_no_details() {
    let ports = free_ports();
    let database = ["--postgres".to_owned(), ports[0].to_string()];
    let mindsdb = Program::stand_in("mindsdb", ports[1], &database);
    let answer = mindsdb.healthy(503).await;
    assert_eq!(
        answer,
        json!({"status": "error", "checks": {"postgres": "ConnectionRefusedError"}})
    );
    let (status, answer) = mindsdb.ask("GET", "/api/tables", &Value::Null).await.unwrap();
    assert_eq!((status, answer), (500, json!({"error": "ConnectionRefusedError"})));
}
