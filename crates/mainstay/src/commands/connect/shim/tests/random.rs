//! Whatever happens, in whatever order: each request is answered once.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::scene::Scene;

/// A scene in which anything may happen, and what has to come of it.
struct World {
    scene: Scene,
    asked: BTreeMap<u64, Asked>,
    /// Exchanges under way, with the method of what was sent.
    live: BTreeMap<u64, String>,
    is_over: bool,
    /// What happened and what was done about it, for whoever reads a failure.
    history: String,
}

#[derive(Default)]
struct Asked {
    /// It has no end of its own.
    is_listen: bool,
    is_cancelled: bool,
    answers: usize,
}

/// What the client may ask.
const REQUESTS: [&str; 7] = [
    "tools/call",
    "tools/list",
    "tools/call modern t",
    "tools/list modern",
    "resources/read modern",
    "server/discover modern",
    "subscriptions/listen modern",
];
/// What may be heard of an exchange.
const NEWS: [&str; 13] = [
    "ok",
    "ok",
    "lists t! …",
    "acks",
    "says notifications/progress",
    "done",
    "lost",
    "unreached",
    "gone",
    "refused 404 <html>",
    "error 1009",
    "error 1003 after 50",
    "error -32020",
];
const PAUSES: [&str; 5] = ["0ms", "50ms", "400ms", "3s", "31s"];
/// Rounds in which everything that is asked is answered.
const CALM_ROUNDS: usize = 40;

// === impl World ===

impl World {
    fn new() -> Self {
        let scene = Scene::new();
        let (asked, live, history) = (BTreeMap::new(), BTreeMap::new(), String::new());
        Self { scene, asked, live, is_over: false, history }
    }

    fn step(&mut self, what: u8, which: usize) {
        match what {
            0..4 => self.ask(REQUESTS[which % REQUESTS.len()]),
            4 if which.is_multiple_of(4) => self.ask("initialize"),
            4 => self.happens("> notifications/initialized"),
            5 => {
                let id = which as u64 % (self.asked.len() as u64 + 1);
                if let Some(asked) = self.asked.get_mut(&id) {
                    asked.is_cancelled = true;
                }
                self.happens(&format!("> cancel {id}"));
            }
            6..10 => {
                let exchange = self.live.keys().nth(which % (self.live.len() + 1)).copied();
                if let Some(exchange) = exchange {
                    self.hears(exchange, NEWS[which % NEWS.len()]);
                }
            }
            _ => self.happens(&format!("wait {}", PAUSES[which % PAUSES.len()])),
        }
    }

    fn ask(&mut self, request: &str) {
        if self.is_over {
            return;
        }
        let id = self.asked.len() as u64;
        let is_listen = request.starts_with("subscriptions/listen");
        self.asked.insert(id, Asked { is_listen, ..Asked::default() });
        self.happens(&format!("> {id} {request}"));
    }

    fn hears(&mut self, exchange: u64, news: &str) {
        // Notifications and streams that were opened by GET have no answer.
        let sent = &self.live[&exchange];
        let has_answer = sent != "listen" && !sent.starts_with("notifications/");
        let news = if has_answer || matches!(news, "gone" | "lost") { news } else { "done" };
        let goes_on = matches!(news, "acks" | "says notifications/progress");
        if !goes_on {
            self.live.remove(&exchange);
        }
        self.happens(&format!("#{exchange} {news}"));
    }

    /// Everybody is well again and answers.
    fn calm_down(&mut self) {
        self.history.push_str("calm\n");
        for _ in 0..CALM_ROUNDS {
            for exchange in self.live.keys().copied().collect::<Vec<_>>() {
                match self.live.get(&exchange).map(String::as_str) {
                    None | Some("listen") => {}
                    Some("subscriptions/listen") => self.hears(exchange, "acks"),
                    Some(_) => self.hears(exchange, "ok"),
                }
            }
            self.happens("wait 1s");
        }
    }

    fn happens(&mut self, event: &str) {
        if self.is_over {
            return;
        }
        let done = self.scene.happens(event);
        self.history.push_str(&format!("{event} => {done}\n"));
        for effect in done.split("; ").filter(|effect| !effect.is_empty()) {
            assert!(!self.is_over, "{event}: {done}");
            let words: Vec<_> = effect.split_whitespace().collect();
            match words.as_slice() {
                ["say", "result", id] | ["say", "error", id, _] => {
                    let asked = self.asked.get_mut(&id.parse().unwrap()).expect("it was asked");
                    asked.answers += 1;
                }
                ["say", ..] | ["forget", _] => {}
                ["abandon", exchange] => {
                    self.live.remove(&number(exchange));
                }
                [exchange, method, ..] if exchange.starts_with('#') => {
                    self.live.insert(number(exchange), (*method).to_owned());
                }
                ["leave" | "leave:" | "farewell,", ..] => self.is_over = true,
                other => panic!("{other:?}"),
            }
        }
    }
}

fn number(exchange: &str) -> u64 {
    exchange.trim_start_matches('#').parse().unwrap()
}

proptest! {
    #[test]
    fn each_request_is_answered_once(steps in vec((0..12_u8, any::<usize>()), 0..80)) {
        let mut world = World::new();
        for (what, which) in steps {
            world.step(what, which);
        }
        world.calm_down();
        world.happens("eof");
        world.happens("hurry");
        assert!(world.is_over);
        for (id, asked) in &world.asked {
            let least = usize::from(!asked.is_cancelled && !asked.is_listen);
            let (answers, history) = (asked.answers, &world.history);
            assert!((least..=1).contains(&answers), "request {id}: {answers} answers\n{history}");
        }
    }
}
