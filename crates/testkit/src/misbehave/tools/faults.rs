//! Tools that break the rules of an exchange.

use serde_json::Value;

use super::call::Call;
use crate::misbehave::hangs;

pub(super) async fn hang(call: Call) {
    // Keeps the call, because dropping it would close its stream.
    std::future::pending::<()>().await;
    drop(call);
}

pub(super) async fn hang_until_cancelled(call: Call) {
    call.cancelled.cancelled().await;
    call.echo().await;
}

pub(super) async fn hang_until_left(call: Call) {
    tokio::select! {
        () = call.cancelled.cancelled() => {}
        () = call.ways.exchange.closed() => call.server.count("calls left"),
    }
}

pub(super) async fn crash(call: Call) {
    std::process::exit(i32::try_from(call.number("code", 1)).unwrap_or(1));
}

pub(super) async fn crash_after_answer(call: Call) {
    call.echo().await;
    // Time for the answer to be sent. `crash` crashes at once.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    std::process::exit(1);
}

pub(super) async fn go_deaf(call: Call) {
    call.echo().await;
    call.server.hangs.deaf.cancel();
}

pub(super) async fn close_output(_: Call) {
    hangs::close_output().expect("standard output can be replaced");
}

pub(super) async fn twice(call: Call) {
    call.echo().await;
    call.echo().await;
}

pub(super) async fn unknown_id(call: Call) {
    for id in ["424242", "\"nobody\"", "null", "[1]"] {
        let stray = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[]}}}}"#);
        call.ways.exchange.send(stray).await;
    }
    call.echo().await;
}

pub(super) async fn wrong_id_type(call: Call) {
    let id = Value::from(call.id.get().trim_matches('"'));
    let other = if call.id.get().starts_with('"') { "1".to_owned() } else { id.to_string() };
    let stray = format!(r#"{{"jsonrpc":"2.0","id":{other},"result":{{"content":[]}}}}"#);
    call.ways.exchange.send(stray).await;
    call.echo().await;
}

pub(super) async fn wrong_type(call: Call) {
    call.answer("17").await;
}

pub(super) async fn no_result(call: Call) {
    call.ways.exchange.send(format!(r#"{{"jsonrpc":"2.0","id":{}}}"#, call.id.get())).await;
}

pub(super) async fn garbage(call: Call) {
    for line in [
        "Traceback (most recent call last):",
        "{",
        "{\"jsonrpc\":\"2.0\"}",
        "[]",
        "null",
        "\"text\"",
        "",
    ] {
        call.ways.exchange.send(line).await;
    }
    call.echo().await;
}
