//! Lists, in pages or wrong, and the few things that can be read.

use std::sync::atomic::Ordering;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::message::{self, Outlet};
use super::server::Server;
use super::tools;

pub(super) async fn answer(
    server: &Server,
    method: &str,
    id: &RawValue,
    params: &Value,
    out: &Outlet,
) {
    server.flags.pause("slow-lists").await;
    if let Some(file) = given(server, method) {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        return out.send(message::answer(id, text.trim())).await;
    }
    let refused = server.flags.has("no-capabilities");
    let result = match method {
        _ if refused => None,
        "tools/list" if server.flags.has("wrong-lists") => Some(json!({"tools": "none"})),
        "tools/list" => Some(page(server, "tools", tools(server), params)),
        "resources/list" => Some(page(server, "resources", resources(), params)),
        "resources/templates/list" => Some(page(server, "resourceTemplates", templates(), params)),
        "prompts/list" => Some(page(server, "prompts", prompts(), params)),
        "resources/read" => read(params),
        "prompts/get" => prompt(params),
        "completion/complete" => Some(json!({"completion": {"values": ["one", "two"]}})),
        _ => None,
    };
    let message = match result {
        Some(result) => message::answer(id, &result.to_string()),
        None => message::error(id, -32601, &format!("Method not found: {method}"), &Value::Null),
    };
    out.send(message).await;
}

/// The file with the result of a list method, if one was given.
fn given<'a>(server: &'a Server, method: &str) -> Option<&'a str> {
    let flag = match method {
        "tools/list" => "tools-from",
        "prompts/list" => "prompts-from",
        "resources/list" => "resources-from",
        "resources/templates/list" => "templates-from",
        _ => return None,
    };
    server.flags.text(flag)
}

/// The page of a list at the cursor.
fn page(server: &Server, key: &str, items: Vec<Value>, params: &Value) -> Value {
    let start = params["cursor"].as_str().and_then(|cursor| cursor.parse().ok()).unwrap_or(0_usize);
    if server.flags.has("stuck-cursor") {
        return json!({key: items, "nextCursor": "8"});
    }
    if server.flags.has("endless") {
        return json!({key: items, "nextCursor": (start + 1).to_string()});
    }
    let Some(size) = server.flags.number("pages") else {
        return json!({key: items});
    };
    let total = items.len();
    let shown: Vec<Value> = items.into_iter().skip(start).take(size.max(1)).collect();
    let end = start + shown.len();
    let mut page = json!({key: shown});
    if end < total {
        page["nextCursor"] = json!(end.to_string());
    }
    page
}

fn tools(server: &Server) -> Vec<Value> {
    let tool = |name: &str, help: &str| json!({"name": name, "description": help, "inputSchema": {"type": "object"}});
    let own = tools::ALL.iter().map(|own| {
        let mut own_tool = tool(own.name, own.help);
        if tools::READS.contains(&own.name) {
            own_tool["annotations"] = json!({"readOnlyHint": true});
        }
        if own.name == "journal" {
            let text = json!({"type": "string"});
            own_tool["inputSchema"]["properties"] = json!({"file": text, "line": text});
        }
        own_tool
    });
    let extra = (0..server.flags.number("tools").unwrap_or(0))
        .map(|number| tool(&format!("extra_{number:05}"), "Echoes"));
    let added = (0..server.added.load(Ordering::Relaxed))
        .map(|number| tool(&format!("added_{number}"), "Came later; echoes"));
    let mirroring = |name: &str, kind: &str| {
        let region = json!({"type": kind, "x-mcp-header": "Region"});
        json!({"name": name, "inputSchema": {"type": "object", "properties": {"region": region}}})
    };
    let mirrors = match server.flags.has("mirrors") {
        true => vec![mirroring("extra_mirror", "string"), mirroring("extra_wrong", "number")],
        false => Vec::new(),
    };
    let fat = (0..server.flags.number("fat").unwrap_or(0))
        .map(|number| tool(&format!("fat_{number}"), &"x".repeat(1_000_000)));
    own.chain(extra).chain(added).chain(mirrors).chain(fat).collect()
}

fn resources() -> Vec<Value> {
    ["mis://one", "mis://two", "mis://three"]
        .iter()
        .map(|uri| json!({"uri": uri, "name": uri, "mimeType": "text/plain"}))
        .collect()
}

fn templates() -> Vec<Value> {
    vec![json!({"uriTemplate": "mis://number/{n}", "name": "number"})]
}

fn prompts() -> Vec<Value> {
    vec![json!({"name": "say", "arguments": [{"name": "what", "required": true}]})]
}

fn read(params: &Value) -> Option<Value> {
    let uri = params["uri"].as_str()?;
    let text = format!("contents of {uri}");
    Some(json!({"contents": [{"uri": uri, "mimeType": "text/plain", "text": text}]}))
}

fn prompt(params: &Value) -> Option<Value> {
    let what = params["arguments"]["what"].as_str().unwrap_or("nothing");
    let content = json!({"type": "text", "text": format!("Say {what}")});
    Some(json!({"messages": [{"role": "user", "content": content}]}))
}
