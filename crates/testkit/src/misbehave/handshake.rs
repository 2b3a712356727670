//! The handshake, and messages sent right after it.

use std::sync::atomic::Ordering;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::message::{self, Outlet};
use super::revisions;
use super::server::Server;

const MODERN: &str = "2026-07-28";
const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

pub(super) async fn initialize(server: &Server, id: &RawValue, params: &Value, out: &Outlet) {
    let flags = &server.flags;
    if flags.has("die-in-handshake") {
        std::process::exit(7);
    }
    if flags.has("hang-in-handshake") {
        return std::future::pending().await;
    }
    flags.pause("slow-handshake").await;
    let asked = params["protocolVersion"].as_str().unwrap_or_default();
    server.count(&format!("initialize {asked}"));
    if let Some(refusal) = revisions::refusal(flags, asked) {
        return revisions::refuse(refusal, id, asked, out).await;
    }
    if flags.has("modern-only") {
        let data = json!({"supported": [MODERN], "requested": asked});
        return out.send(message::error(id, -32022, "Unsupported protocol version", &data)).await;
    }
    if flags.has("more-for-asked") && params["capabilities"]["elicitation"].is_object() {
        server.added.store(1, Ordering::Relaxed);
    }
    let ours = if LEGACY.contains(&asked) { asked } else { LEGACY[3] };
    let result = json!({
        "protocolVersion": flags.text("revision").unwrap_or(ours),
        "capabilities": capabilities(server),
        "serverInfo": about(server),
    });
    out.send(message::answer(id, &result.to_string())).await;
}

pub(super) async fn discover(server: &Server, id: &RawValue, out: &Outlet) {
    let flags = &server.flags;
    if flags.has("die-on-discover") {
        std::process::exit(8);
    }
    if flags.has("silent-discover") {
        return;
    }
    flags.pause("slow-discover").await;
    if flags.has("modern-only") || flags.has("dual") {
        let versions = if flags.has("wrong-discover") { json!(7) } else { json!([MODERN]) };
        let result = json!({
            "resultType": "complete",
            "supportedVersions": versions,
            "capabilities": capabilities(server),
            "ttlMs": 0,
            "cacheScope": "private",
            "_meta": {"io.modelcontextprotocol/serverInfo": about(server)},
        });
        return out.send(message::answer(id, &result.to_string())).await;
    }
    let code = flags.text("discover-code").and_then(|code| code.parse().ok()).unwrap_or(-32601);
    out.send(message::error(id, code, "Method not found", &Value::Null)).await;
}

/// Sends what the flags demand once the client is ready.
pub(super) async fn initialized(server: &Server, side: &Outlet) {
    for number in 0..server.flags.number("flood").unwrap_or(0) {
        let line = json!({"level": "info", "data": format!("flood {number}")});
        side.notify("notifications/message", &line).await;
    }
    for _ in 0..server.flags.number("storm").unwrap_or(0) {
        side.notify("notifications/tools/list_changed", &json!({})).await;
    }
    if server.flags.has("ping") && server.ask(side, "ping", &json!({})).await.is_some() {
        server.count("pongs");
    }
}

fn capabilities(server: &Server) -> Value {
    if server.flags.has("no-capabilities") || server.flags.has("undeclared") {
        return json!({});
    }
    let told = !server.flags.has("untold");
    json!({
        "tools": {"listChanged": told},
        "resources": {"listChanged": told, "subscribe": true},
        "prompts": {"listChanged": told},
        "logging": {},
        "completions": {},
    })
}

fn about(server: &Server) -> Value {
    json!({"name": server.flags.text("name").unwrap_or("misbehave"), "version": "0"})
}
