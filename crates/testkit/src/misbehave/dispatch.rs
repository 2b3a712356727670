//! Routes messages to their handlers.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::message::{self, Incoming, Outlet};
use super::server::{Server, Ways};
use super::{handshake, list_faults, listen, lists, spelling, tools};

impl Server {
    /// Handles one message to its end, which for some never comes.
    pub(super) async fn handle(self: Arc<Self>, incoming: Incoming, ways: Ways) {
        let incoming = spelling::respell(&self.flags, incoming);
        match (incoming.method.clone(), incoming.id.clone()) {
            (Some(method), Some(id)) => self.request(&method, &id, &incoming, ways).await,
            (Some(method), None) => self.notification(&method, &incoming, &ways.side).await,
            (None, Some(id)) => self.answered(&id, incoming),
            (None, None) => self.count("messages without method and id"),
        }
    }

    async fn request(
        self: &Arc<Self>,
        method: &str,
        id: &RawValue,
        message: &Incoming,
        ways: Ways,
    ) {
        let _turn = self.turn().await;
        self.count(method);
        let out = &ways.exchange;
        let flags = &self.flags;
        let first = self.first.get_or_init(|| method.to_owned());
        let opens = ["initialize", "server/discover"].contains(&method);
        if flags.has("pinned") && opens && first != method {
            let data = json!({"supported": [], "requested": method});
            return out.send(message::error(id, -32022, "spoken to otherwise first", &data)).await;
        }
        let meta = &message.params()["_meta"];
        let modern = !meta["io.modelcontextprotocol/protocolVersion"].is_null();
        if flags.has("modern-only") && !modern && method != "initialize" {
            return out.send(message::error(id, -32602, "_meta is missing", &Value::Null)).await;
        }
        match method {
            "initialize" => handshake::initialize(self, id, &message.params(), out).await,
            "server/discover" => handshake::discover(self, id, out).await,
            "tools/call" => self.call(id, message, ways).await,
            "subscriptions/listen" if flags.has("modern-only") || flags.has("dual") => {
                let cancelled = CancellationToken::new();
                self.running.lock().insert(id.get().to_owned(), cancelled.clone());
                listen::answer(self, id, &message.params(), out, cancelled).await;
                self.running.lock().remove(id.get());
            }
            "logging/setLevel" => {
                let level = message.params()["level"].as_str().map(str::to_owned);
                *self.level.lock() = level;
                out.send(message::answer(id, "{}")).await;
            }
            "resources/subscribe" | "resources/unsubscribe"
                if flags.has("refuse-subscriptions") =>
            {
                flags.pause("refuse-subscriptions").await;
                out.send(message::error(id, -32002, "no such resource", &Value::Null)).await;
            }
            "ping" if flags.has("no-pings") => {}
            "ping" | "resources/subscribe" | "resources/unsubscribe" => {
                out.send(message::answer(id, "{}")).await;
            }
            _ if list_faults::answer(self, method, id, out).await => {}
            _ => {
                lists::answer(self, method, id, &message.params(), out).await;
                if method.ends_with("/list") {
                    list_faults::announce(self, &message.params(), &ways).await;
                }
            }
        }
    }

    async fn call(self: &Arc<Self>, id: &RawValue, message: &Incoming, ways: Ways) {
        self.called.cancel();
        let cancelled = CancellationToken::new();
        self.running.lock().insert(id.get().to_owned(), cancelled.clone());
        if let Some(most) = self.flags.number("delay") {
            tokio::time::sleep(Duration::from_millis(self.roll(most as u64 + 1))).await;
        }
        tools::call(self, id, message, ways, cancelled).await;
        self.running.lock().remove(id.get());
    }

    async fn notification(&self, method: &str, message: &Incoming, side: &Outlet) {
        self.count(method);
        match method {
            "notifications/cancelled" => {
                let mut id = message.params()["requestId"].to_string();
                if let (Some(how), Ok(raw)) =
                    (self.flags.text("ids"), RawValue::from_string(id.clone()))
                {
                    spelling::in_spelling(how, &raw).get().clone_into(&mut id);
                }
                if let Some(running) = self.running.lock().get(&id) {
                    self.count("cancelled calls");
                    running.cancel();
                }
            }
            "notifications/initialized" => handshake::initialized(self, side).await,
            _ => {}
        }
    }

    fn answered(&self, id: &RawValue, answer: Incoming) {
        let asked = id.get().parse().ok().and_then(|id: u64| self.questions.lock().remove(&id));
        match asked {
            Some(waiting) => {
                self.count("answers");
                let _ = waiting.send(answer);
            }
            None => self.count("answers to nothing"),
        }
    }
}
