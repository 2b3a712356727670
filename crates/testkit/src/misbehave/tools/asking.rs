//! Tools that ask the client something in the middle of a call.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::call::Call;
use crate::misbehave::message::Outlet;

pub(super) async fn user(call: Call) {
    let params = json!({
        "message": "What is your name?",
        "requestedSchema": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
        },
    });
    one(call, "elicitation/create", params).await;
}

pub(super) async fn model(call: Call) {
    let content = json!({"type": "text", "text": "What is the capital of France?"});
    let params = json!({"messages": [{"role": "user", "content": content}], "maxTokens": 100});
    one(call, "sampling/createMessage", params).await;
}

pub(super) async fn roots(call: Call) {
    one(call, "roots/list", json!({})).await;
}

pub(super) async fn ping(call: Call) {
    one(call, "ping", json!({})).await;
}

pub(super) async fn unknown(call: Call) {
    one(call, "misbehave/unknown", json!({})).await;
}

pub(super) async fn twice(call: Call) {
    let ask = || call.server.ask(&call.ways.exchange, "roots/list", &Value::Null);
    let (first, second) = tokio::join!(ask(), ask());
    answer(&call, &json!([first, second])).await;
}

pub(super) async fn flood(call: Call) {
    let text = "x".repeat(usize::try_from(call.number("bytes", 1_000)).unwrap_or_default());
    let params = Arc::new(json!({"message": text, "requestedSchema": {"type": "object"}}));
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..call.number("count", 1_000) {
        let (server, out, params) =
            (call.server.clone(), call.ways.exchange.clone(), params.clone());
        asked.spawn(async move {
            let answer = server.ask(&out, "elicitation/create", &params).await.unwrap_or_default();
            let refused = answer["data"]["code"] == "LIMIT_EXCEEDED";
            server.count(if refused { "questions refused" } else { "questions answered" });
        });
    }
    while asked.join_next().await.is_some() {}
    answer(&call, &Value::Null).await;
}

pub(super) async fn take_back(call: Call) {
    let out = way(&call).await;
    let (id, params) = (json!("own id"), json!({"message": "?", "requestedSchema": {}}));
    let question =
        json!({"jsonrpc": "2.0", "id": id, "method": "elicitation/create", "params": params});
    out.send(question.to_string()).await;
    tokio::time::sleep(Duration::from_millis(call.number("ms", 100))).await;
    out.notify("notifications/cancelled", &json!({"requestId": id})).await;
    one(call, "roots/list", json!({})).await;
}

async fn one(call: Call, method: &str, params: Value) {
    let answered = call.server.ask(way(&call).await, method, &params).await;
    if is_late(&call) {
        let refused = answered.is_none_or(|answered| !answered["code"].is_null());
        let params = json!({"method": method, "refused": refused});
        return call.ways.side.notify("notifications/misbehave/asked", &params).await;
    }
    if call.arguments["then_hang"] == true {
        return super::faults::hang(call).await;
    }
    answer(&call, &answered.unwrap_or_default()).await;
}

/// The output for a question. With `late`, the call is answered first and the question is sent
/// outside of it.
async fn way(call: &Call) -> &Outlet {
    if !is_late(call) {
        return &call.ways.exchange;
    }
    if !call.answered.swap(true, Ordering::Relaxed) {
        call.echo().await;
    }
    &call.ways.side
}

fn is_late(call: &Call) -> bool {
    call.arguments["late"] == true
}

async fn answer(call: &Call, answered: &Value) {
    let result = json!({
        "content": [{"type": "text", "text": answered.to_string()}],
        "structuredContent": {"answer": answered, "echo": call.arguments},
    });
    call.answer(&result.to_string()).await;
}
