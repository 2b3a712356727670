//! Tools that answer as they should, if sometimes a lot.

use std::time::Duration;

use serde_json::{Value, json};

use super::call::Call;
use crate::misbehave::message;

pub(super) async fn echo(call: Call) {
    call.echo().await;
}

pub(super) async fn record(call: Call) {
    let nonce = call.arguments["nonce"].as_str().unwrap_or_default();
    call.server.count(&format!("recorded {nonce}"));
    call.echo().await;
}

pub(super) async fn echo_raw(call: Call) {
    let result = json!({"content": [{"type": "text", "text": call.raw}]});
    call.answer(&result.to_string()).await;
}

/// Answers with JSON that a parser into numbers and maps would change.
pub(super) async fn lossless(call: Call) {
    call.answer(
        r#"{"zebra":1.0,"content":[ {"type":"text","text":"\u00e9\ud83d\ude00\/"} ],"apple":12345678901234567890123,"exponent":1E400,"structuredContent":{"b":0.10,"a":-0,"10":1e2}, "_meta":{"unknown/member":null}}"#,
    )
    .await;
}

pub(super) async fn contents(call: Call) {
    let link = json!({"type": "resource_link", "uri": "mis://one", "name": "one"});
    let resource = json!({"uri": "mis://one", "mimeType": "text/plain", "text": "inside"});
    let result = json!({
        "content": [
            {"type": "text", "text": "text"},
            {"type": "image", "data": "AAAA", "mimeType": "image/png"},
            {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"},
            {"type": "resource", "resource": resource},
            link,
        ],
        "structuredContent": {"kinds": 5},
        "isError": false,
    });
    call.answer(&result.to_string()).await;
}

pub(super) async fn stats(call: Call) {
    let stats = call.server.stats();
    let content = json!([{"type": "text", "text": stats.to_string()}]);
    call.answer(&json!({"content": content, "structuredContent": stats}).to_string()).await;
}

pub(super) async fn huge(call: Call) {
    let bytes = usize::try_from(call.number("bytes", 10_000_000)).unwrap_or(0);
    let result = format!(r#"{{"content":[{{"type":"text","text":"{}"}}]}}"#, "x".repeat(bytes));
    if call.arguments["id_last"] == true {
        let message = format!(r#"{{"result":{result},"jsonrpc":"2.0","id":{}}}"#, call.id.get());
        return call.ways.exchange.send(message).await;
    }
    call.answer(&result).await;
}

pub(super) async fn blocks(call: Call) {
    let block = json!({"type": "text", "text": "y".repeat(64 << 10)}).to_string();
    let count = usize::try_from(call.number("count", 100)).unwrap_or(0);
    let blocks = vec![block; count].join(",");
    call.answer(&format!(r#"{{"content":[{blocks}]}}"#)).await;
}

pub(super) async fn deep(call: Call) {
    let depth = usize::try_from(call.number("depth", 200)).unwrap_or(0);
    let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    call.answer(&format!(r#"{{"content":[],"structuredContent":{{"deep":{nested}}}}}"#)).await;
}

pub(super) async fn fail(call: Call) {
    let result = json!({"content": [{"type": "text", "text": "it failed"}], "isError": true});
    call.answer(&result.to_string()).await;
}

pub(super) async fn refuse(call: Call) {
    let code = call.arguments["code"].as_i64().unwrap_or(-32603);
    let text = call.arguments["message"].as_str().unwrap_or("refused");
    let data: Value = json!({"arguments": call.arguments});
    call.ways.exchange.send(message::error(&call.id, code, text, &data)).await;
}

pub(super) async fn slow(call: Call) {
    tokio::time::sleep(Duration::from_millis(call.number("ms", 100))).await;
    call.echo().await;
}
