//! A link with a peer at its other end, and calls that wait for answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use mainstay_protocol::{Message, build};
use mainstay_telemetry::Dropped;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{CAP, NEVER, QUEUE};
use crate::asker::Asker;
use crate::exchange::Exchange;
use crate::link::Link;
use crate::listener::Listener;
use crate::request::{Incoming, Outgoing, SessionNo};

/// The other end of a link.
pub(super) struct Peer {
    pub(super) received: mpsc::Receiver<Received>,
    /// Breaks every connection, and lets no new one in.
    pub(super) cut: CancellationToken,
    /// The goodbye came, or the connection ended.
    pub(super) left: CancellationToken,
}

/// A message that the peer got, and the way to answer it.
pub(super) struct Received {
    pub(super) message: Message,
    pub(super) say: mpsc::Sender<String>,
}

/// Hears the link.
#[derive(Debug, Default)]
pub(crate) struct Ears {
    closed: AtomicUsize,
    pub(super) late: AtomicUsize,
    dropped: Mutex<Vec<Dropped>>,
    pub(super) heard: Mutex<Vec<String>>,
    pub(super) unusable: Mutex<Vec<String>>,
}

pub(super) struct World {
    pub(super) link: Arc<Link>,
    pub(super) peer: Peer,
    pub(super) ears: Arc<Ears>,
    stop: CancellationToken,
}

/// Opens a link to a peer of its own.
pub(super) trait Open {
    async fn open(ears: Arc<Ears>, stop: CancellationToken) -> (Arc<Link>, Peer);
}

impl Listener for Ears {
    fn notification(&self, message: Message) {
        self.heard.lock().push(message.method().to_owned());
    }
    fn dropped(&self, reason: Dropped) {
        self.dropped.lock().push(reason);
    }
    fn question(&self, _: &Asker, _: &Message) -> bool {
        false
    }
    fn unusable_answer(&self, why: &str) {
        self.unusable.lock().push(why.to_owned());
    }
    fn stray(&self, line: &[u8], _: &str) {
        self.heard.lock().push(String::from_utf8_lossy(line).into_owned());
    }
    fn late_answer(&self, _: Option<&Message>) {
        self.late.fetch_add(1, Ordering::SeqCst);
    }
    fn closed(&self, _: &str) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

impl Received {
    pub(super) async fn say(&self, text: impl Into<String>) {
        self.say.send(text.into()).await.unwrap();
    }

    pub(super) async fn answer(&self, result: &str) {
        let id = self.message.id_number().unwrap();
        self.say(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"{result}"}}"#)).await;
    }

    /// The part of the parameters that names a call.
    pub(super) fn name(&self) -> String {
        let text = String::from_utf8_lossy(self.message.bytes()).into_owned();
        text.split(r#""n":""#).nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned()
    }
}

impl World {
    pub(super) async fn open<T: Open>() -> Self {
        let ears = Arc::<Ears>::default();
        let stop = CancellationToken::new();
        let (link, peer) = T::open(ears.clone(), stop.clone()).await;
        Self { link, peer, ears, stop }
    }

    /// Sends a request and begins to wait for it, so that it is on its way in every transport.
    pub(super) async fn call(&mut self, owner: u64, name: &str) -> (Waiting, Received) {
        let params = format!(r#"{{"n":"{name}","_meta":{{"progressToken":"x"}}}}"#);
        // The client's id, which must never be seen.
        let message = Message::parse(build::request(777, "tools/call", Some(&params))).unwrap();
        let at = params_at(&message, r#""x""#);
        let outgoing = Outgoing { token: Some(at), ..Outgoing::plain(&message) };
        let exchange = self.link.call(&outgoing, SessionNo(owner)).unwrap();
        let waiting = Waiting::new(exchange);
        let received = self.next().await;
        assert_eq!(received.name(), name);
        (waiting, received)
    }

    pub(super) async fn next(&mut self) -> Received {
        tokio::time::timeout(CAP, self.peer.received.recv()).await.expect("in time").unwrap()
    }

    /// Takes leave; nothing runs on.
    pub(super) async fn end(self) {
        let Self { link, peer, ears, stop } = self;
        link.close("done");
        link.hang_up();
        tokio::time::timeout(CAP, link.goodbye()).await.expect("the goodbye ends");
        stop.cancel();
        assert_eq!(ears.closed.load(Ordering::SeqCst), 1, "closed once");
        tokio::time::timeout(CAP, peer.left.cancelled()).await.expect("the peer hears of the end");
        until(|| Arc::strong_count(&link) == 1).await;
    }
}

fn params_at(message: &Message, text: &str) -> std::ops::Range<usize> {
    let whole = String::from_utf8_lossy(message.bytes()).into_owned();
    let at = whole.find(text).unwrap();
    at..at + text.len()
}

pub(super) async fn until(mut holds: impl FnMut() -> bool) {
    tokio::time::timeout(CAP, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .expect("in time");
}

/// Polls an exchange from a task of its own, as callers do: where calls are apart nothing moves else.
pub(super) struct Waiting {
    incoming: mpsc::Receiver<Incoming>,
    orders: mpsc::Sender<Order>,
}

pub(super) enum Order {
    Cancel,
    Drop,
    Answer(Bytes),
    Refuse(Message),
}

impl Waiting {
    pub(super) fn new(mut exchange: Exchange) -> Self {
        let (tell, incoming) = mpsc::channel(QUEUE);
        let (orders, mut ordered) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    next = exchange.next() => {
                        let last = matches!(next, Incoming::Answer(_) | Incoming::Lost(_));
                        if tell.send(next).await.is_err() {
                            return;
                        }
                        if last {
                            // A forbidden message is dispatched, and `nothing_more` finds it.
                            if let Ok(more) = tokio::time::timeout(NEVER, exchange.next()).await {
                                let _ = tell.send(more).await;
                            }
                            return;
                        }
                    }
                    order = ordered.recv() => match order {
                        Some(Order::Cancel) => return exchange.cancel("taken back"),
                        Some(Order::Answer(answer)) => exchange.asker().answer(answer),
                        Some(Order::Refuse(question)) => exchange.refuse(&question),
                        Some(Order::Drop) | None => return,
                    },
                }
            }
        });
        Self { incoming, orders }
    }

    pub(super) async fn order(&self, order: Order) {
        self.orders.send(order).await.unwrap();
    }

    pub(super) async fn next(&mut self) -> Incoming {
        tokio::time::timeout(CAP, self.incoming.recv()).await.expect("in time").expect("more comes")
    }

    pub(super) async fn answer(&mut self) -> String {
        match self.next().await {
            Incoming::Answer(answer) => answer.body().unwrap().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    /// Checks that the call is lost, once, and returns how.
    pub(super) async fn lost(mut self) -> crate::Lost {
        let lost = match self.next().await {
            Incoming::Lost(lost) => lost,
            other => panic!("{other:?}"),
        };
        self.nothing_more().await;
        lost
    }

    pub(super) async fn nothing_more(&mut self) {
        let more = tokio::time::timeout(CAP, self.incoming.recv()).await.expect("in time");
        assert!(more.is_none(), "{more:?} after the end");
    }
}
