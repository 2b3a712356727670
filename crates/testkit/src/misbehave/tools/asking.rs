//! Tools that ask the client something in the middle of a call.

use serde_json::{Value, json};

use super::Call;

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

async fn one(call: Call, method: &str, params: Value) {
    let answered = call.server.ask(&call.ways.exchange, method, &params).await;
    answer(&call, &answered.unwrap_or_default()).await;
}

async fn answer(call: &Call, answered: &Value) {
    let result = json!({
        "content": [{"type": "text", "text": answered.to_string()}],
        "structuredContent": {"answer": answered, "echo": call.arguments},
    });
    call.answer(&result.to_string()).await;
}
