//! Commands with a daemon.

use serde_json::{Value, json};

use crate::mainstay;
use crate::scripted::Daemon;

/// Two servers, one of them unavailable, and a tool for each kind of result.
fn script(target: &str, body: &str) -> (u16, String) {
    if target == "GET /api/status" {
        return (200, status().to_string());
    }
    let request: Value = serde_json::from_str(body).unwrap_or_default();
    let answer = |member: &str, value: Value| {
        (200, json!({ "jsonrpc": "2.0", "id": request["id"], member: value }).to_string())
    };
    match (target, request["method"].as_str().unwrap_or_default()) {
        ("POST /mcp", "tools/list") => {
            let tools = [json!({ "name": "now" }), json!({ "name": "files_read" })];
            let missing = json!([
                { "server": "files", "state": "crash-looping" },
                { "server": "time", "state": "ready", "list": "tools", "items": ["one", "two"],
                  "why": "lists 2 tools that clients refuse" },
            ]);
            answer("result", json!({ "tools": tools, "_meta": { "mainstay/missing": missing } }))
        }
        ("POST /mcp/time" | "POST /mcp", "initialize") => {
            answer("result", json!({ "protocolVersion": "2025-11-25", "capabilities": {} }))
        }
        ("POST /mcp/time", "tools/list") => answer("result", tools(&request["params"]["cursor"])),
        ("POST /mcp/time", "tools/call") => match request["params"]["name"].as_str() {
            Some("now") => {
                answer("result", json!({ "content": [{ "type": "text", "text": "noon\u{7}" }] }))
            }
            _ => {
                let picture = json!({ "type": "image", "mimeType": "image/png", "data": "AAEC" });
                let text = json!({ "type": "text", "text": "no light" });
                answer("result", json!({ "content": [picture, text], "isError": true }))
            }
        },
        ("POST /mcp/files", _) => answer(
            "error",
            json!({
                "code": 1004,
                "message": "files is crash-looping",
                "data": {
                    "code": "SERVER_UNAVAILABLE",
                    "hint": "see its last output",
                    "retry_after_ms": 1000,
                },
            }),
        ),
        ("POST /mcp/time" | "DELETE /mcp/time" | "POST /mcp" | "DELETE /mcp", _) => {
            (202, String::new())
        }
        _ => (404, r#"{"error":"no such endpoint"}"#.to_owned()),
    }
}

/// Two pages.
fn tools(cursor: &Value) -> Value {
    if cursor.is_null() {
        let schema = json!({
            "type": "object",
            "properties": { "zone": { "type": "string" }, "n": { "type": "integer" } },
            "required": ["zone"],
        });
        let now = json!({ "name": "now", "description": "The time.", "inputSchema": schema });
        json!({ "tools": [now], "nextCursor": "2" })
    } else {
        json!({ "tools": [{ "name": "shot", "inputSchema": { "type": "object" } }] })
    }
}

fn status() -> Value {
    let server = |name: &str, state: &str| {
        json!({
            "name": name, "kind": "process", "target": name, "required": false, "state": state,
            "since": "2026-01-01T00:00:00Z", "tools": 2, "resources": 0, "prompts": 0,
            "restarts": 0, "calls": 0, "waiting": 0, "memory_bytes": 0, "stray_lines": 0, "instances": [],
            "needs": [], "waiting_for": [], "stopped_by_hand": false,
        })
    };
    let pool = json!({
        "status": "none", "utilization": 0.0, "idle": 0, "active": 0, "total": 0, "max": 0,
        "maxPoolSize": 0, "minPoolSize": 0,
    });
    json!({
        "status": "degraded", "circuit_breakers": {}, "tripped_breakers": [], "version": "1.2.3", "pid": 7,
        "uptime_ms": 1000, "call_timeout_max_ms": 300_000, "listen": ["127.0.0.1:8000"],
        "state_dir": "/state", "config_file": "/mainstay.toml", "mcp_url": "http://127.0.0.1:8000/mcp",
        "configuration": {
            "file": null, "read_at": "", "is_changed": false, "is_wrong": false, "last_change": null, "reload": "", "current": null, "last": null,
        },
        "sessions": { "active": 0, "max": 10, "calls": 0, "listens": 0, "streams": 0 },
        "connection_pool": pool,
        "memory_usage": {
            "resident_bytes": 0, "servers_bytes": 0, "usage_bytes": 0, "limit_bytes": 0, "budgets": {},
        },
        "volumes": {}, "dependencies": {},
        "servers": [server("time", "ready"), server("files", "crash-looping")],
        "endpoints": [
            { "path": "/mcp", "servers": ["time", "files"], "listens": 0, "streams": 0, "lists": [], "renamed": [] },
        ],
        "services": [], "notifications": [],
    })
}

#[test]
fn status_shows_the_daemon_and_each_server() {
    let daemon = Daemon::start(script);
    let home = daemon.home();
    mainstay(home, &["status"]).exits(0).says("mainstay 1.2.3: degraded").says("crash-looping");
    assert_eq!(mainstay(home, &["status", "--json"]).exits(0).json(), status());
    mainstay(home, &["status", "time"]).exits(0).says("state        ready for");
    mainstay(home, &["status", "fils"]).exits(1).complains("did you mean \"files\"?");
}

#[test]
fn tools_are_listed_from_all_pages_and_one_bad_server_hides_none() {
    let daemon = Daemon::start(script);
    let home = daemon.home();
    mainstay(home, &["tools"])
        .exits(0)
        .says("time: 2 tools")
        .says("now   zone=string [n=integer]  The time.")
        .says("files: files is crash-looping");
    let json = mainstay(home, &["tools", "--json"]).exits(0).json();
    assert_eq!(json["servers"][0]["tools"][1]["name"], "shot");
    assert_eq!(json["servers"][1]["error"], "files is crash-looping (SERVER_UNAVAILABLE)");
    mainstay(home, &["tools", "files"])
        .exits(1)
        .complains("hint: see its last output")
        .complains("hint: try again in 1 s");
}

#[test]
fn one_tool_is_shown_whole_and_its_example_can_be_typed() {
    let daemon = Daemon::start(script);
    let home = daemon.home();
    let expected = "now of time\n\nThe time.\n\narguments\n  zone  string, required\n  n     integer\n\n\
                    example\n  mainstay call time now zone=text\n";
    assert_eq!(mainstay(home, &["tools", "time", "now"]).exits(0).out, expected);
    let json = mainstay(home, &["tools", "time", "now", "--json"]).exits(0).json();
    assert_eq!(json["inputSchema"]["required"], json!(["zone"]));
    mainstay(home, &["tools", "time", "nwo"]).exits(1).complains("did you mean \"now\"?");
    mainstay(home, &["tools", "time", "now", "--merged"]).exits(2);
    // The example reaches the same daemon.
    let state = home.join("state").display().to_string();
    let line = format!("  mainstay call --state {state} time now zone=text\n");
    mainstay(home, &["tools", "time", "now", "--state", &state]).exits(0).says(&line);
}

#[test]
fn tools_are_shown_as_clients_of_all_servers_see_them() {
    let daemon = Daemon::start(script);
    let home = daemon.home();
    mainstay(home, &["tools", "--merged"])
        .exits(0)
        .says("/mcp: 2 tools")
        .says("files_read")
        .says("missing:\n  files is crash-looping\n  time is ready, but lists 2 tools that clients refuse\n    one\n    two");
    let json = mainstay(home, &["tools", "--merged", "--json"]).exits(0).json();
    assert_eq!(json["tools"][1]["name"], "files_read");
    assert_eq!(json["missing"][0]["server"], "files");
    mainstay(home, &["tools", "time", "--merged"]).exits(2);
}

#[test]
fn a_call_sends_what_the_schema_wants_and_ends_its_session() {
    let daemon = Daemon::start(script);
    let line = ["call", "time", "now", "zone=5", "n=12345678901234567890123"];
    let ran = mainstay(daemon.home(), &line).exits(0);
    // Standard output is not a terminal here, so the text is printed unchanged.
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("noon\u{7}\n", ""));
    let heard = daemon.heard();
    let call = heard.iter().find(|line| line.contains("tools/call")).unwrap();
    assert!(call.contains(r#""arguments":{"zone":"5","n":12345678901234567890123}"#), "{call}");
    assert_eq!(heard.last().unwrap(), "DELETE /mcp/time ");
}

#[test]
fn what_is_wrong_with_a_call_is_said_with_what_is_right() {
    let daemon = Daemon::start(script);
    let home = daemon.home();
    mainstay(home, &["call", "time", "now", "n=x"])
        .exits(2)
        .complains("n: expected integer, not \"x\"")
        .complains("zone is missing")
        .complains("mainstay call time now zone=string [n=integer]");
    mainstay(home, &["call", "time", "nwo"]).exits(1).complains("did you mean \"now\"?");
    mainstay(home, &["call", "tme", "now"]).exits(1).complains("did you mean \"time\"?");
    mainstay(home, &["call", "../x", "now"]).exits(1).complains("there are files, time");
    mainstay(home, &["call", "time", "now", "--args", "[]"]).exits(2).complains("is no object");
    let json = mainstay(home, &["call", "files", "x", "--json"]).exits(1).json();
    assert_eq!(json["error"]["details"]["data"]["code"], "SERVER_UNAVAILABLE");
    // Nothing was called.
    assert!(daemon.heard().iter().all(|line| !line.contains("tools/call")));
}

#[test]
fn an_error_of_the_tool_is_one_and_files_are_named_or_saved() {
    let daemon = Daemon::start(script);
    let home = daemon.home();
    mainstay(home, &["call", "time", "shot"]).exits(1).says("[image image/png, 3 B]\nno light\n");
    mainstay(home, &["call", "time", "shot", "--out", "pictures"])
        .exits(1)
        .says("saved pictures/shot-1.png");
    assert_eq!(std::fs::read(home.join("pictures/shot-1.png")).unwrap(), [0, 1, 2]);
    let json = mainstay(home, &["call", "time", "shot", "--json"]).exits(1).json();
    assert_eq!(json["isError"], true);
}
