//! Scripts: what happens, and what the shim does about it.
//!
//! ```text
//! > 3 tools/call          the client asks, with an id
//! > 3 tools/call modern t  … as in 2026-07-28, about `t`
//! > notifications/x       it says something; `> cancel 3`, `> reply 1` name what they are about
//! #2 ok                   exchange 2 brings its answer and ends
//! #2 lost                 … or ends otherwise
//! wait 100ms              time passes
//! ```
//! Behind `=>` stands what is done: `#2 tools/call 3` for a message that is sent, `say …` for one
//! to the client.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use mainstay_protocol::{Kind, Message};
use serde_json::{Value, json};

use super::super::{Effect, End, Leaving, News, Shim};

/// A shim, the time, and what was sent so far.
pub(super) struct Scene {
    pub(super) shim: Shim,
    pub(super) now: Instant,
    sent: BTreeMap<u64, Message>,
    sessions: u64,
}

// === impl Scene ===

impl Scene {
    pub(super) fn new() -> Self {
        Self { shim: Shim::new(), now: Instant::now(), sent: BTreeMap::new(), sessions: 0 }
    }

    pub(super) fn happens(&mut self, event: &str) -> String {
        let words: Vec<_> = event.split_whitespace().collect();
        match words.as_slice() {
            [">", rest @ ..] => self.shim.line(self.now, Ok(line(rest))),
            ["wait", time] => self.wait(time),
            ["eof"] => self.shim.close(self.now),
            ["hurry"] => self.shim.hurry(self.now),
            [exchange, rest @ ..] => {
                let number = exchange.trim_start_matches('#').parse().unwrap();
                self.hears(number, rest);
            }
            [] => {}
        }
        let effects = self.shim.effects();
        effects.into_iter().map(|effect| self.show(effect)).collect::<Vec<_>>().join("; ")
    }

    fn wait(&mut self, time: &str) {
        let digits = time.trim_end_matches(char::is_alphabetic);
        let number = digits.parse().unwrap();
        self.now += match &time[digits.len()..] {
            "ms" => Duration::from_millis(number),
            _ => Duration::from_secs(number),
        };
        self.shim.tick(self.now);
    }

    fn hears(&mut self, number: u64, words: &[&str]) {
        let mut tell = |news| self.shim.heard(self.now, number, news);
        let came = |value: Value| News::Came(message(&value));
        let mut ended = |end| tell(News::Ended(end));
        match words {
            ["gone"] => ended(End::SessionGone),
            ["lost"] => ended(End::Lost("cut".to_owned())),
            ["unreached"] => ended(End::Unreached("nobody".to_owned())),
            ["done"] => ended(End::Done),
            ["nostream"] => ended(End::NoStream),
            ["refused", status, body @ ..] => {
                let status = StatusCode::from_bytes(status.as_bytes()).unwrap();
                ended(End::Refused { status, body: body.join(" ").into() });
            }
            ["asks", id] => {
                let id: Value = serde_json::from_str(id).unwrap();
                tell(came(json!({"jsonrpc": "2.0", "id": id, "method": "roots/list"})));
            }
            ["retracts", id] => {
                let id: Value = serde_json::from_str(id).unwrap();
                let params = json!({"requestId": id});
                let method = "notifications/cancelled";
                tell(came(json!({"jsonrpc": "2.0", "method": method, "params": params})));
            }
            ["acks", less @ ..] => {
                let uris: &[&str] = if less.is_empty() { &["a://b"] } else { &[] };
                let granted = json!({"toolsListChanged": true, "resourceSubscriptions": uris});
                let method = "notifications/subscriptions/acknowledged";
                let params = json!({"notifications": granted});
                tell(came(json!({"jsonrpc": "2.0", "method": method, "params": params})));
            }
            ["lists", tools @ ..] => {
                let id = id(&self.sent[&number]);
                tell(came(json!({"jsonrpc": "2.0", "id": id, "result": listed(tools)})));
                tell(News::Ended(End::Done));
            }
            ["error", code, "after", ms] => {
                let code: i64 = code.parse().unwrap();
                let ms: u64 = ms.parse().unwrap();
                let data = json!({"code": "SERVER_LOADING", "retry_after_ms": ms});
                let error = json!({"code": code, "message": "no", "data": data});
                let id = id(&self.sent[&number]);
                tell(came(json!({"jsonrpc": "2.0", "id": id, "error": error})));
                tell(News::Ended(End::Done));
            }
            ["says", method] => tell(came(json!({"jsonrpc": "2.0", "method": method}))),
            ["mark", id] => tell(News::Mark((*id).to_owned())),
            ["error", code] => {
                let code: i64 = code.parse().unwrap();
                let name = if code == 1009 { "MAINTENANCE" } else { "OTHER" };
                let error = json!({"code": code, "message": "no", "data": {"code": name}});
                let id = id(&self.sent[&number]);
                tell(came(json!({"jsonrpc": "2.0", "id": id, "error": error})));
                tell(News::Ended(End::Done));
            }
            ["ok"] => {
                let request = &self.sent[&number];
                if request.method() == "initialize" {
                    self.sessions += 1;
                    let session = HeaderValue::from_str(&format!("s{}", self.sessions)).unwrap();
                    tell(News::Session(session));
                }
                let capabilities = json!({"tools": {"listChanged": true}});
                let result = json!({"protocolVersion": "2025-06-18", "capabilities": capabilities});
                tell(came(json!({"jsonrpc": "2.0", "id": id(request), "result": result})));
                tell(News::Ended(End::Done));
            }
            other => panic!("{other:?}"),
        }
    }

    fn show(&mut self, effect: Effect) -> String {
        match effect {
            Effect::Say(bytes) => format!("say {}", show(&Message::parse(bytes).unwrap())),
            Effect::Send { exchange, message, headers, .. } => {
                let message = Message::parse(message).unwrap();
                let session = headers.get("mcp-session-id").map_or("", |id| id.to_str().unwrap());
                let mirrored = headers.iter().filter_map(|(name, value)| {
                    let name = name.as_str().strip_prefix("mcp-param-")?;
                    Some(format!(" {name}={}", value.to_str().unwrap()))
                });
                let mirrored: String = mirrored.collect();
                let shown = format!("#{exchange} {} {session}{mirrored}", show(&message));
                self.sent.insert(exchange, message);
                shown.trim_end().to_owned()
            }
            Effect::Listen { exchange, after, .. } => {
                format!(
                    "#{exchange} listen{}",
                    after.map(|id| format!(" {id}")).unwrap_or_default()
                )
            }
            Effect::Abandon(exchange) => format!("abandon #{exchange}"),
            Effect::Forget(headers) => {
                format!("forget {}", headers["mcp-session-id"].to_str().unwrap())
            }
            Effect::Leave { why: Leaving::NoDaemon(_), .. } => "leave: no daemon".to_owned(),
            Effect::Leave { farewell: None, .. } => "leave".to_owned(),
            Effect::Leave { .. } => "farewell, leave".to_owned(),
        }
    }
}

fn line(words: &[&str]) -> Bytes {
    let value = match words {
        ["cancel", id] => {
            let id: Value = serde_json::from_str(id).unwrap();
            let params = json!({"requestId": id});
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
        }
        ["reply", id] => {
            let id: Value = serde_json::from_str(id).unwrap();
            json!({"jsonrpc": "2.0", "id": id, "result": {}})
        }
        ["raw", rest @ ..] => return rest.join(" ").into(),
        [method] => json!({"jsonrpc": "2.0", "method": method}),
        [id, method] => {
            let id: Value = serde_json::from_str(id).unwrap();
            json!({"jsonrpc": "2.0", "id": id, "method": method})
        }
        [id, method, "modern", rest @ ..] => {
            let id: Value = serde_json::from_str(id).unwrap();
            let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
            let name = rest.first().copied().unwrap_or("x");
            let arguments = json!({"n": 7});
            let params = json!({"name": name, "arguments": arguments, "_meta": meta});
            json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        }
        [id, method, uri] => {
            let id: Value = serde_json::from_str(id).unwrap();
            json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {"uri": uri}})
        }
        other => panic!("{other:?}"),
    };
    value.to_string().into()
}

/// A page of tools: `name`, `name!` for one that may be called twice, `name^` for one whose argument
/// `n` goes into a header; `…` for one page more.
fn listed(tools: &[&str]) -> Value {
    let more = tools.contains(&"…");
    let tools = tools.iter().filter(|name| **name != "…").map(|tool| {
        let name = tool.trim_end_matches(['!', '^']);
        let mut number = json!({"type": "integer"});
        if tool.ends_with('^') {
            number["x-mcp-header"] = "Number".into();
        }
        json!({
            "name": name,
            "annotations": {"idempotentHint": tool.ends_with('!')},
            "inputSchema": {"type": "object", "properties": {"n": number}},
        })
    });
    let tools: Vec<_> = tools.collect();
    if more { json!({"tools": tools, "nextCursor": "2"}) } else { json!({"tools": tools}) }
}

fn message(value: &Value) -> Message {
    Message::parse(value.to_string().into()).unwrap()
}

fn id(message: &Message) -> Value {
    serde_json::from_slice(message.id().unwrap().as_bytes()).unwrap()
}

fn show(message: &Message) -> String {
    let id = message.id().map(|id| id.to_string()).unwrap_or_default();
    match message.kind() {
        Kind::Result => format!("result {id}"),
        Kind::Error => {
            let error: Value = serde_json::from_str(message.body().unwrap()).unwrap();
            format!("error {id} {}", error["code"]).replace("  ", " ")
        }
        Kind::Request => format!("{} {id}", message.method()),
        Kind::Notification => match message.params().unwrap().request_id {
            Some(of) => format!("{} {}", message.method(), of.raw),
            None => message.method().to_owned(),
        },
    }
}

/// Runs a script; what is done must be what it says.
#[track_caller]
pub(super) fn check(script: &str) {
    let mut scene = Scene::new();
    for step in script.lines().map(str::trim).filter(|step| !step.is_empty()) {
        let (event, expected) = step.split_once("=>").unwrap_or((step, ""));
        let done = scene.happens(event.trim());
        assert_eq!(done, expected.trim(), "at: {}", event.trim());
    }
}

/// The handshake, up to the open stream, then the script.
#[track_caller]
pub(super) fn check_open(script: &str) {
    let handshake = "
        > 0 initialize                  => #1 initialize 0
        #1 ok                           => say result 0
        > notifications/initialized     => #2 notifications/initialized s1
        #2 done                         => #3 listen
    ";
    check(&format!("{handshake}{script}"));
}
