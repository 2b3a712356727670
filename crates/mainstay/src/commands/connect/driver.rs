//! Carries out the shim's effects: reads, writes, sends, waits.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep_until, timeout};

use super::connections::Connections;
use super::exchange::{self, Exchange};
use super::shim::{Effect, Leaving, News, Shim};
use super::stdio::{self, Line};

/// The shim, its exchanges in flight and its standard input and output.
pub(super) struct Driver {
    shim: Shim,
    connections: Arc<Connections>,
    news: mpsc::Sender<(u64, News)>,
    exchanges: JoinSet<()>,
    /// Aborts single exchanges early.
    handles: HashMap<u64, AbortHandle>,
    outbox: Outbox,
    left: Option<(Leaving, Option<HeaderMap>)>,
}

/// Messages to the client that are not yet handed to the writing thread.
#[derive(Default)]
struct Outbox {
    messages: VecDeque<Bytes>,
    bytes: usize,
}

/// Most news of exchanges in the queue; a full queue makes the exchanges wait.
const NEWS_MAX: usize = 64;
/// Most bytes that the client has not read before news of the daemon are held back.
const UNREAD_BYTES_MAX: usize = 1 << 20;
/// Most bytes that the client has not read before its own requests are held back, too.
const UNREAD_BYTES_LAST: usize = 4 << 20;
/// Deadline for the head of a GET's response. The daemon opens a stream at once.
const LISTEN: Duration = Duration::from_secs(30);
/// Deadline for ending the session, and for writing the last bytes to the client.
const FAREWELL: Duration = Duration::from_secs(2);
/// Longest line of the client in bytes. Larger than any daemon accepts, so that the daemon's own
/// limit is the one reported.
const LINE_BYTES_MAX: usize = exchange::MESSAGE_BYTES_MAX;

// === impl Driver ===

impl Driver {
    /// Runs the conversation until the client leaves or no daemon can be reached.
    ///
    /// # Errors
    ///
    /// When standard input, standard output or signals can't be used.
    pub(super) async fn run(connections: Arc<Connections>) -> io::Result<Leaving> {
        let mut lines = stdio::lines(LINE_BYTES_MAX)?;
        let (to_client, mut all_written) = stdio::messages()?;
        let mut signals = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
        let (news, mut heard) = mpsc::channel(NEWS_MAX);
        let mut driver = Self {
            shim: Shim::new(),
            connections,
            news,
            exchanges: JoinSet::new(),
            handles: HashMap::new(),
            outbox: Outbox::default(),
            left: None,
        };
        let mut reading = true;
        while driver.left.is_none() {
            tokio::select! {
                line = lines.recv(), if reading && driver.takes_lines() => {
                    reading = line.is_some();
                    driver.line(line);
                }
                received = heard.recv(), if driver.outbox.bytes < UNREAD_BYTES_MAX => {
                    if let Some((number, news)) = received {
                        driver.heard(number, news);
                    }
                }
                permit = to_client.reserve(), if !driver.outbox.messages.is_empty() => {
                    match permit {
                        Ok(permit) => if let Some(message) = driver.outbox.pop() {
                            permit.send(message);
                        },
                        Err(_) => return Ok(Leaving::Done),
                    }
                }
                // Nobody reads standard output any more.
                () = to_client.closed() => return Ok(Leaving::Done),
                () = until(driver.shim.wakes_at()) => driver.shim.tick(Instant::now()),
                () = any(&mut signals) => {
                    // A second signal ends the wait.
                    if std::mem::take(&mut reading) {
                        driver.shim.close(Instant::now());
                    } else {
                        driver.shim.hurry(Instant::now());
                    }
                }
                Some(_) = driver.exchanges.join_next() => {}
            }
            driver.carry_out();
        }
        let why = driver.take_leave(&to_client).await;
        drop(to_client);
        let _ = timeout(FAREWELL, all_written.recv()).await;
        Ok(why)
    }

    fn takes_lines(&self) -> bool {
        self.outbox.bytes < UNREAD_BYTES_LAST
    }

    fn line(&mut self, line: Option<Line>) {
        match line {
            Some(line) => self.shim.line(Instant::now(), line),
            None => self.shim.close(Instant::now()),
        }
    }

    fn heard(&mut self, number: u64, news: News) {
        if matches!(news, News::Ended(_)) {
            self.handles.remove(&number);
        }
        self.shim.heard(Instant::now(), number, news);
    }

    fn carry_out(&mut self) {
        for effect in self.shim.effects() {
            match effect {
                Effect::Say(message) => self.outbox.push(message),
                Effect::Send { exchange, message, headers, within } => {
                    let post = self.exchange(exchange).post(message, headers, within);
                    self.handles.insert(exchange, self.exchanges.spawn(post));
                }
                Effect::Listen { exchange, headers, after } => {
                    let listen = self.exchange(exchange).listen(headers, after, LISTEN);
                    self.handles.insert(exchange, self.exchanges.spawn(listen));
                }
                Effect::Abandon(exchange) => {
                    if let Some(handle) = self.handles.remove(&exchange) {
                        handle.abort();
                    }
                }
                Effect::Forget(headers) => {
                    let exchange = self.exchange(0);
                    self.exchanges
                        .spawn(async move { exchange::delete(&exchange, headers, FAREWELL).await });
                }
                Effect::Leave { why, farewell } => self.left = Some((why, farewell)),
            }
        }
    }

    fn exchange(&self, number: u64) -> Exchange {
        Exchange { connections: self.connections.clone(), number, news: self.news.clone() }
    }

    /// Writes the last messages to the client and ends the session.
    async fn take_leave(mut self, to_client: &mpsc::Sender<Bytes>) -> Leaving {
        let (why, farewell) = self.left.take().unwrap_or((Leaving::Done, None));
        self.exchanges.abort_all();
        let last_words = async {
            while let Some(message) = self.outbox.pop() {
                if to_client.send(message).await.is_err() {
                    break;
                }
            }
        };
        let _ = timeout(FAREWELL, last_words).await;
        if let Some(headers) = farewell {
            exchange::delete(&self.exchange(0), headers, FAREWELL).await;
        }
        why
    }
}

// === impl Outbox ===

impl Outbox {
    fn push(&mut self, message: Bytes) {
        self.bytes += message.len();
        self.messages.push_back(message);
    }

    fn pop(&mut self) -> Option<Bytes> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.len();
        Some(message)
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

async fn any(signals: &mut [Signal; 2]) {
    let [first, second] = signals;
    tokio::select! {
        _ = first.recv() => {}
        _ = second.recv() => {}
    }
}
