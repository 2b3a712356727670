//! Tools that send notifications, wanted or not.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use super::call::Call;

pub(super) async fn flood(call: Call) {
    let filling = "x".repeat(call.number("bytes", 0) as usize);
    for number in 0..call.number("count", 1_000) {
        let data = if filling.is_empty() { json!(number) } else { json!([number, filling]) };
        let line = json!({"level": "info", "logger": "flood", "data": data});
        call.ways.exchange.notify("notifications/message", &line).await;
    }
    call.echo().await;
}

pub(super) async fn progress(call: Call) {
    let steps = call.number("steps", 3);
    for step in 1..=steps {
        report(&call, call.token(), step, steps).await;
        tokio::time::sleep(Duration::from_millis(call.number("ms", 10))).await;
    }
    call.echo().await;
}

pub(super) async fn progress_unknown(call: Call) {
    report(&call, Some("\"nobody's token\""), 1, 2).await;
    report(&call, Some("-1"), 2, 2).await;
    call.echo().await;
}

pub(super) async fn progress_late(call: Call) {
    call.echo().await;
    report(&call, call.token(), 1, 1).await;
}

pub(super) async fn progress_backwards(call: Call) {
    for step in [5, 3, 1] {
        report(&call, call.token(), step, 5).await;
    }
    call.echo().await;
}

pub(super) async fn chatter(call: Call) {
    call.echo().await;
    if let Some(messages) = call.arguments["messages"].as_array() {
        for message in messages {
            let method = message["method"].as_str().unwrap_or_default();
            call.ways.side.notify(method, &message["params"]).await;
        }
        return;
    }
    for number in 0..call.number("count", 1_000) {
        let params = json!({"number": number});
        call.ways.side.notify("notifications/misbehave/chatter", &params).await;
    }
}

pub(super) async fn change(call: Call) {
    call.server.added.fetch_add(1, Ordering::Relaxed);
    call.server.changes.send_modify(|count| *count += 1);
    let flags = &call.server.flags;
    // Modern clients get it on their listens.
    if !flags.has("untold") && !flags.has("modern-only") {
        call.ways.side.notify("notifications/tools/list_changed", &json!({})).await;
    }
    call.echo().await;
}

pub(super) async fn touch(call: Call) {
    let uri = call.arguments["uri"].as_str().unwrap_or("mis://one");
    // There may be no listen.
    let _ = call.server.touches.send(uri.to_owned());
    call.ways.side.notify("notifications/resources/updated", &json!({"uri": uri})).await;
    call.echo().await;
}

async fn report(call: &Call, token: Option<&str>, done: u64, total: u64) {
    if let Some(token) = token {
        let step = format!(r#"{{"progressToken":{token},"progress":{done},"total":{total}}}"#);
        call.ways.exchange.notify("notifications/progress", &step).await;
    }
}
