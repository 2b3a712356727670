//! The addresses of the service.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::loading::{Found, Loading};
use crate::model::Vector;
use crate::worker::{Refused, Worker};

const MODEL: &str = "all-MiniLM-L6-v2";
const INPUTS_MAX: usize = 32;
const CHARACTERS_MAX: usize = 10_000;
/// The time limit for an answer, waiting for others included.
const REQUEST_MAX: Duration = Duration::from_secs(30);

/// A refusal: a status, and the reason in words.
struct Refusal(StatusCode, String);

#[derive(Deserialize)]
struct Embed {
    inputs: Inputs,
}

#[derive(Deserialize)]
struct Embeddings {
    input: Inputs,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Inputs {
    One(String),
    Many(Vec<String>),
}

pub(crate) fn router(loading: Arc<Loading>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/info", get(info))
        .route("/embed", post(embed))
        .route("/v1/embeddings", post(embeddings))
        .with_state(loading)
}

async fn health(State(loading): State<Arc<Loading>>) -> Response {
    let (status, body) = match loading.now() {
        Found::Ready(_) => (StatusCode::OK, json!({"status": "ok"})),
        Found::Loading => (StatusCode::SERVICE_UNAVAILABLE, json!({"status": "loading"})),
        // The reason is in the log: it may hold paths.
        Found::Failed => (StatusCode::SERVICE_UNAVAILABLE, json!({"status": "error"})),
    };
    (status, Json(body)).into_response()
}

async fn info(State(loading): State<Arc<Loading>>) -> Result<Json<Value>, Refusal> {
    let worker = ready(&loading)?;
    Ok(Json(json!({
        "model": MODEL,
        "dimensions": worker.dimensions(),
        "max_inputs": INPUTS_MAX,
        "max_characters": CHARACTERS_MAX,
    })))
}

async fn embed(
    State(loading): State<Arc<Loading>>,
    Json(asked): Json<Embed>,
) -> Result<Json<Vec<Vector>>, Refusal> {
    vectors(&loading, asked.inputs).await.map(Json)
}

async fn embeddings(
    State(loading): State<Arc<Loading>>,
    Json(asked): Json<Embeddings>,
) -> Result<Json<Value>, Refusal> {
    let vectors = vectors(&loading, asked.input).await?;
    let data: Vec<Value> = vectors
        .into_iter()
        .enumerate()
        .map(|(index, vector)| json!({"object": "embedding", "index": index, "embedding": vector}))
        .collect();
    Ok(Json(json!({"object": "list", "data": data, "model": MODEL})))
}

async fn vectors(loading: &Loading, inputs: Inputs) -> Result<Vec<Vector>, Refusal> {
    // While it loads, waiting would only add to the crowd that comes after it.
    let worker = ready(loading)?;
    let texts = checked(inputs)?;
    match timeout(REQUEST_MAX, worker.embed(texts)).await {
        Ok(Ok(vectors)) => Ok(vectors),
        Ok(Err(Refused::Busy)) => {
            Err(Refusal(StatusCode::TOO_MANY_REQUESTS, "too many requests wait".to_owned()))
        }
        Ok(Err(Refused::Failed(error))) => {
            eprintln!("a computation failed: {error:#}");
            Err(Refusal(StatusCode::INTERNAL_SERVER_ERROR, "it can't be computed".to_owned()))
        }
        Err(_) => Err(Refusal(StatusCode::GATEWAY_TIMEOUT, "it took too long".to_owned())),
    }
}

fn ready(loading: &Loading) -> Result<&Worker, Refusal> {
    let why = match loading.now() {
        Found::Ready(worker) => return Ok(worker),
        Found::Loading => "the model is loading",
        Found::Failed => "the model can't be loaded; the log says why",
    };
    Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, why.to_owned()))
}

fn checked(inputs: Inputs) -> Result<Vec<String>, Refusal> {
    let texts = match inputs {
        Inputs::One(text) => vec![text],
        Inputs::Many(texts) => texts,
    };
    if texts.is_empty() {
        return Err(Refusal(StatusCode::BAD_REQUEST, "there is no input".to_owned()));
    }
    if texts.len() > INPUTS_MAX {
        let why = format!("at most {INPUTS_MAX} inputs at once, not {}", texts.len());
        return Err(Refusal(StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    if longest > CHARACTERS_MAX {
        let why = format!("at most {CHARACTERS_MAX} characters in an input, not {longest}");
        return Err(Refusal(StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    Ok(texts)
}

// === impl Refusal ===

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}
