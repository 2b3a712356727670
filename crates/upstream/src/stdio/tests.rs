//! No answer reaches the wrong call, whatever clients and server do (the class of CVE-2026-25536).

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use mainstay_model::Budget;
use mainstay_protocol::{Kind, Message};
use mainstay_telemetry::Dropped;
use proptest::prelude::*;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

use crate::link::{Link, LinkLimits};
use crate::listener::Listener;
use crate::request::{Incoming, Outgoing, SessionNo};
use crate::{Asker, Exchange};

/// An action of a client or the server.
#[derive(Debug, Clone)]
enum Act {
    /// A client calls. All clients use the same few ids.
    Call {
        owner: u64,
        id: u8,
    },
    /// The server answers the n-th request that it has and has not answered.
    Answer(usize),
    /// The server answers one a second time.
    AnswerAgain(usize),
    /// The server answers an id that no request has.
    AnswerUnknown(u64),
    /// The n-th client waiting goes away without a word.
    Leave(usize),
    /// The n-th client waiting takes its call back.
    Cancel(usize),
    Crash,
}

#[derive(Debug, Default)]
struct Ears {
    late: AtomicUsize,
    closed: AtomicUsize,
}

impl Listener for Ears {
    fn notification(&self, _: Message) {}
    fn dropped(&self, _: Dropped) {}
    fn question(&self, _: &Asker, _: &Message) -> bool {
        false
    }
    fn stray(&self, _: &[u8], _: &str) {}
    fn unusable_answer(&self, _: &str) {}
    fn late_answer(&self, _: Option<&Message>) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }
    fn closed(&self, _: &str) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (1..6u64, 0..3u8).prop_map(|(owner, id)| Act::Call { owner, id }),
        6 => any::<usize>().prop_map(Act::Answer),
        1 => any::<usize>().prop_map(Act::AnswerAgain),
        1 => (0..1_000_000u64).prop_map(Act::AnswerUnknown),
        1 => any::<usize>().prop_map(Act::Leave),
        1 => any::<usize>().prop_map(Act::Cancel),
    ];
    (proptest::collection::vec(act, 1..60), any::<bool>()).prop_map(|(mut acts, crash)| {
        if crash {
            acts.push(Act::Crash);
        }
        acts
    })
}

/// A link over pipes, with the test as the server.
struct World {
    link: Arc<Link>,
    ears: Arc<Ears>,
    /// The server's ends of the pipes.
    requests: pipe::Receiver,
    unread: Vec<u8>,
    answers: Option<std::fs::File>,
    /// The id and the nonce of each request that the server has.
    held: Vec<(u64, String)>,
    answered: Vec<(u64, String)>,
    waiting: Vec<(String, Exchange)>,
    calls: u64,
    stop: CancellationToken,
}

impl World {
    fn new() -> Self {
        let (server_in, gateway_out) = std::io::pipe().unwrap();
        let (gateway_in, server_out) = std::io::pipe().unwrap();
        let ears = Arc::new(Ears::default());
        let stop = CancellationToken::new();
        let limits = LinkLimits {
            message_bytes_max: 1 << 20,
            unread_bytes_max: 1 << 20,
            depth_max: 128,
            budget: Budget::UNLIMITED,
        };
        let link =
            super::open(gateway_out.into(), gateway_in.into(), limits, ears.clone(), stop.clone())
                .unwrap();
        Self {
            link,
            ears,
            requests: pipe::Receiver::from_owned_fd(server_in.into()).unwrap(),
            unread: Vec::new(),
            answers: Some(std::fs::File::from(std::os::fd::OwnedFd::from(server_out))),
            held: Vec::new(),
            answered: Vec::new(),
            waiting: Vec::new(),
            calls: 0,
            stop,
        }
    }

    async fn act(&mut self, act: &Act) {
        match act {
            Act::Call { owner, id } => self.call(*owner, *id).await,
            Act::Answer(n) if !self.held.is_empty() => {
                let (id, nonce) = self.held.remove(n % self.held.len());
                self.answer(id, &nonce);
                self.answered.push((id, nonce));
            }
            Act::AnswerAgain(n) if !self.answered.is_empty() => {
                let (id, nonce) = self.answered[n % self.answered.len()].clone();
                self.answer(id, &nonce);
            }
            Act::AnswerUnknown(id) => self.answer(id + 1_000_000, "nobody's"),
            Act::Leave(n) if !self.waiting.is_empty() => {
                drop(self.waiting.remove(n % self.waiting.len()));
            }
            Act::Cancel(n) if !self.waiting.is_empty() => {
                self.waiting.remove(n % self.waiting.len()).1.cancel("taken back");
            }
            Act::Crash => self.answers = None,
            _ => {}
        }
    }

    async fn call(&mut self, owner: u64, id: u8) {
        self.calls += 1;
        let nonce = format!("{owner}-{}", self.calls);
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m","params":{{"n":"{nonce}"}}}}"#);
        let message = Message::parse(Bytes::from(text)).unwrap();
        let exchange = self.link.call(&Outgoing::plain(&message), SessionNo(owner)).unwrap();
        self.waiting.push((nonce, exchange));
        // The server reads up to this request; cancellations are on the way before it.
        loop {
            let request = self.read_message().await;
            if request.kind() == Kind::Request {
                let nonce = request.body().unwrap().split('"').nth(3).unwrap().to_owned();
                self.held.push((request.id_number().unwrap(), nonce));
                return;
            }
        }
    }

    async fn read_message(&mut self) -> Message {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Message::parse(Bytes::from(line)).unwrap();
            }
            self.requests.read_buf(&mut self.unread).await.unwrap();
        }
    }

    fn answer(&mut self, id: u64, nonce: &str) {
        let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":\"{nonce}\"}}\n");
        self.answers.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }

    /// Checks that every waiting client gets its own answer or the loss, exactly once.
    async fn settle(mut self) {
        for (id, nonce) in std::mem::take(&mut self.held) {
            if self.answers.is_some() {
                self.answer(id, &nonce);
            }
        }
        let crashed = self.answers.take().is_none();
        for (nonce, mut exchange) in self.waiting {
            let first = tokio::time::timeout(Duration::from_secs(10), exchange.next()).await;
            match first.expect("nobody waits for ever") {
                Incoming::Answer(answer) => {
                    assert_eq!(answer.body().unwrap(), format!("\"{nonce}\""), "astray");
                }
                Incoming::Lost(_) => assert!(crashed, "{nonce} was answered and is lost"),
                other => panic!("{other:?}"),
            }
            let second = tokio::time::timeout(Duration::from_millis(1), exchange.next()).await;
            assert!(second.is_err(), "{nonce} was answered twice");
        }
        assert_eq!(self.link.in_flight(), 0);
        self.stop.cancel();
        assert!(self.ears.closed.load(Ordering::Relaxed) <= 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn every_answer_goes_to_who_asked(acts in acts()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for act in &acts {
                world.act(act).await;
            }
            world.settle().await;
        });
    }
}

/// Whether the server has read what was sent tells why it ended.
#[tokio::test]
async fn what_the_server_has_not_read_is_told() {
    let mut world = World::new();
    assert!(world.link.has_been_read(), "nothing was sent");
    let message = Message::parse(Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"m"}"#));
    let exchange = world.link.call(&Outgoing::plain(&message.unwrap()), SessionNo(1)).unwrap();
    assert!(!world.link.has_been_read());
    world.read_message().await;
    assert!(world.link.has_been_read());
    drop(exchange);
    world.settle().await;
}
