//! HTTP/1.1 connections to one server. The task that uses a connection drives it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::{Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::coding::BodyDecoder;
use super::redirect::{HOPS_MAX, Redirect};
use super::refused::Head;
use super::session::HttpSession;
use super::target::Target;
use crate::descriptors;
use crate::dial::dial;
use crate::inline_waker::InlineWaker;
use crate::request::Fate;
use crate::write_coalescing::CoalescingStream;

type TcpOrTls = Either<TcpStream, TlsStream<TcpStream>>;
type Driver = http1::Connection<TokioIo<CoalescingStream<TcpOrTls>>, Full<Bytes>>;
type NotSent = TrySendError<Request<Full<Bytes>>>;
pub(super) type ResponseFuture =
    Pin<Box<dyn Future<Output = Result<Response<Incoming>, NotSent>> + Send>>;

/// A connection with its driver. Bytes move only while [`poll_driver`](Self::poll_driver) is
/// called.
pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Driver,
    waker: InlineWaker,
    driven_to_end: bool,
    idle_since: Instant,
}

/// Why a request got no response.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(super) struct Failed {
    pub(super) reason: String,
    /// What became of the request: whether a part of it may have reached the server.
    pub(super) fate: Fate,
}

/// A response whose body has not been read.
pub(super) struct Responded {
    pub(super) response: Response<Incoming>,
    pub(super) head: Head,
    pub(super) connection: Box<Connection>,
}

/// Open connections that are idle.
pub(super) struct Idle {
    target: Arc<Target>,
    #[expect(clippy::vec_box, reason = "connections stay where they are and only change hands")]
    connections: Mutex<Vec<Box<Connection>>>,
    /// When a connection could not be opened for want of a descriptor.
    short_at: OnceLock<Mutex<Instant>>,
}

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Most idle connections; more are closed.
const IDLE_MAX: usize = 256;
/// Longest time that a connection is kept idle: shorter than the common limit of servers, so that
/// Mainstay closes first.
const IDLE_FOR_MAX: Duration = Duration::from_secs(30);
const PRUNE_EVERY: Duration = Duration::from_secs(5);
/// No connection is kept idle for this time after the daemon had no descriptor left for one.
const SHORT_FOR: Duration = Duration::from_secs(30);
/// Longest wait for a stream's end after its answer. Then the connection is closed.
const STREAM_END_DEADLINE: Duration = Duration::from_secs(1);
/// Most bytes that are read at once. It also bounds the head of a response. A connection that read a
/// large message keeps up to twice as much, which no budget counts.
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// An answer to a notification has no content worth reading.
const ACKNOWLEDGEMENT_BYTES_MAX: usize = 64 << 10;

// === impl Connection ===

impl Connection {
    /// Moves bytes in both directions. To be called whenever the task that uses it is woken.
    pub(super) fn poll_driver(&mut self, cx: &mut Context<'_>) {
        poll_driver(&mut self.driver, &mut self.driven_to_end, cx);
    }

    pub(super) fn send(&mut self, request: Request<Full<Bytes>>) -> ResponseFuture {
        Box::pin(self.sender.try_send_request(request))
    }

    /// Whether the connection is still open and ready for a request.
    fn is_usable(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.poll_driver(&mut cx);
        !self.driven_to_end && self.sender.is_ready()
    }
}

// === impl Failed ===

impl From<NotSent> for Failed {
    fn from(mut error: NotSent) -> Self {
        let cause = root_cause(error.error());
        let fate = if error.take_message().is_none() { Fate::Unknown } else { Fate::Unsent };
        Self { reason: format!("the connection to the server failed: {cause}"), fate }
    }
}

// === impl Idle ===

impl Idle {
    pub(super) fn new(target: Arc<Target>) -> Self {
        Self { target, connections: Mutex::default(), short_at: OnceLock::new() }
    }

    /// The latest connection put back that is still open.
    pub(super) fn take(&self) -> Option<Box<Connection>> {
        loop {
            let mut connection = self.connections.lock().pop()?;
            if connection.is_usable() {
                return Some(connection);
            }
        }
    }

    /// Returns a connection for the next request, unless the server has closed it.
    pub(super) fn put(&self, mut connection: Box<Connection>) {
        if !connection.driven_to_end && !self.is_short() {
            connection.idle_since = Instant::now();
            let mut connections = self.connections.lock();
            if connections.len() < IDLE_MAX {
                connections.push(connection);
            }
        }
    }

    /// Whether descriptors were used up a moment ago, so that no connection is kept for later.
    fn is_short(&self) -> bool {
        self.short_at.get().is_some_and(|at| at.lock().elapsed() < SHORT_FOR)
    }

    fn note_shortage(&self) {
        *self.short_at.get_or_init(|| Mutex::new(Instant::now())).lock() = Instant::now();
        self.clear();
    }

    /// Closes all idle connections.
    pub(super) fn clear(&self) {
        self.connections.lock().clear();
    }

    /// Returns a connection to the pool once the rest of `body` has been read: servers send the end
    /// of a stream right after the answer, though not always in the same packet.
    pub(super) fn put_after(
        idle: &Arc<Self>,
        tasks: &TaskTracker,
        mut connection: Box<Connection>,
        mut body: Incoming,
    ) {
        let mut cx = Context::from_waker(Waker::noop());
        match poll_driven(&mut connection, &mut cx, |cx| Pin::new(&mut body).poll_frame(cx)) {
            Poll::Ready(None) => idle.put(connection),
            Poll::Ready(Some(Err(_))) => {}
            Poll::Pending | Poll::Ready(Some(Ok(_))) => {
                let idle = idle.clone();
                tasks.spawn(async move {
                    let rest = async {
                        while let Some(Ok(_)) = driven(&mut connection, &mut body, |body, cx| {
                            Pin::new(body).poll_frame(cx)
                        })
                        .await
                        {}
                    };
                    if tokio::time::timeout(STREAM_END_DEADLINE, rest).await.is_ok() {
                        idle.put(connection);
                    }
                });
            }
        }
    }

    /// Closes idle connections that are too old or that the server closed.
    pub(super) async fn prune(idle: Weak<Self>, stop: CancellationToken) {
        let mut tick = tokio::time::interval(PRUNE_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => {}
            }
            let Some(idle) = idle.upgrade() else { return };
            let mut connections = idle.connections.lock();
            connections.retain_mut(|connection| {
                connection.idle_since.elapsed() < IDLE_FOR_MAX && connection.is_usable()
            });
        }
        if let Some(idle) = idle.upgrade() {
            idle.connections.lock().clear();
        }
    }

    /// Opens a new connection.
    pub(super) async fn connect(self: Arc<Self>) -> Result<Box<Connection>, Failed> {
        let unsent = |reason: String| Failed { reason, fate: Fate::Unsent };
        let target = &self.target;
        let connecting = async {
            let tcp = match &target.proxy {
                None => dial(&target.host, target.port).await?,
                Some(proxy) => {
                    proxy
                        .connect(target.tls.is_some().then(|| target.authority()).as_deref())
                        .await?
                }
            };
            tcp.set_nodelay(true)?;
            match &target.tls {
                None => Ok(Either::Left(tcp)),
                Some(tls) => {
                    let connector = TlsConnector::from(tls.config.clone());
                    connector.connect(tls.name.clone(), tcp).await.map(Either::Right)
                }
            }
        };
        let at = format!("{}:{}", target.host, target.port);
        let stream: std::io::Result<TcpOrTls> = tokio::time::timeout(CONNECT_DEADLINE, connecting)
            .await
            .map_err(|_| unsent(format!("no connection to {at} within {CONNECT_DEADLINE:?}")))?;
        let stream = stream.map_err(|error| match descriptors::are_used_up(&error) {
            true => {
                self.note_shortage();
                let reason = format!("the daemon has no file descriptor left: {error}");
                Failed { reason, fate: Fate::NoDescriptor }
            }
            false => unsent(format!("no connection to {at}: {error}")),
        })?;
        let mut http = http1::Builder::new();
        http.max_buf_size(BUFFER_BYTES_MAX);
        let (sender, driver) = http
            .handshake(TokioIo::new(CoalescingStream(stream)))
            .await
            .map_err(|error| unsent(format!("no HTTP connection to {at}: {error}")))?;
        // Boxed for good: it is large, and moved at every step of a call.
        Ok(Box::new(Connection {
            sender,
            driver,
            waker: InlineWaker::default(),
            driven_to_end: false,
            idle_since: Instant::now(),
        }))
    }
}

impl std::fmt::Debug for Idle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Idle({})", self.connections.lock().len())
    }
}

// === helpers ===

/// Sends a request, reads the response to its end and returns its head and its body.
pub(super) async fn send(
    session: &HttpSession,
    request: Request<Full<Bytes>>,
) -> Result<(Head, Bytes), Failed> {
    Ok(read_all(session, respond(session, request).await?).await)
}

/// Reads a response to its end and returns its head and its body. A body that is too large or
/// breaks off is returned as far as it was read.
pub(super) async fn read_all(session: &HttpSession, responded: Responded) -> (Head, Bytes) {
    let Responded { response, head, mut connection } = responded;
    let mut coding = BodyDecoder::new(response.headers()).ok().flatten();
    let mut collected = Vec::new();
    let mut body = Limited::new(response.into_body(), ACKNOWLEDGEMENT_BYTES_MAX);
    loop {
        let frame =
            driven(&mut connection, &mut body, |body, cx| Pin::new(body).poll_frame(cx)).await;
        match frame {
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                let room = ACKNOWLEDGEMENT_BYTES_MAX - collected.len();
                match &mut coding {
                    None => collected.extend_from_slice(&data),
                    Some(coding) => match coding.decode(&data, room) {
                        Ok(data) => collected.extend_from_slice(&data),
                        Err(_) => return (head, Bytes::new()),
                    },
                }
            }
            Some(Err(_)) => return (head, collected.into()),
            None => break,
        }
    }
    session.idle.put(connection);
    (head, collected.into())
}

/// Sends a request, and again where the server redirects it. The response's body is read with
/// [`driven`].
pub(super) async fn respond(
    session: &HttpSession,
    mut request: Request<Full<Bytes>>,
) -> Result<Responded, Failed> {
    let idle = &session.idle;
    for _ in 0..=HOPS_MAX {
        let mut connection = match idle.take() {
            Some(connection) => connection,
            None => idle.clone().connect().await?,
        };
        let mut response = connection.send(request.clone());
        let response =
            driven(&mut connection, &mut response, |response, cx| response.as_mut().poll(cx))
                .await?;
        let retry_after = session.note_head(&response);
        match session.redirect(request.uri(), &response, request.method()) {
            Redirect::None => {
                let head = Head { status: response.status(), retry_after };
                return Ok(Responded { response, head, connection });
            }
            Redirect::To(address) => {
                Idle::put_after(idle, &session.tasks, connection, response.into_body());
                *request.uri_mut() = address;
            }
            Redirect::Refused(reason) => return Err(Failed { reason, fate: Fate::Unknown }),
        }
    }
    let reason = format!("the server redirects more than {HOPS_MAX} times");
    Err(Failed { reason, fate: Fate::Unknown })
}

fn poll_driver(driver: &mut Driver, driven_to_end: &mut bool, cx: &mut Context<'_>) {
    *driven_to_end = *driven_to_end || Pin::new(driver).poll(cx).is_ready();
}

/// Polls `what` while driving `connection`.
pub(super) async fn driven<W, T>(
    connection: &mut Connection,
    what: &mut W,
    mut poll: impl FnMut(&mut W, &mut Context<'_>) -> Poll<T>,
) -> T {
    poll_fn(|cx| poll_driven(connection, cx, |cx| poll(what, cx))).await
}

/// Polls a future that makes progress only when the connection does.
///
/// Everything `poll` waits for happens inside the driver, on this task, so it gets a waker that
/// does nothing. The driver gets the [`InlineWaker`], which passes on only wake-ups from outside.
pub(super) fn poll_driven<T>(
    connection: &mut Connection,
    cx: &mut Context<'_>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    let mut quiet = Context::from_waker(Waker::noop());
    let Connection { waker, driver, driven_to_end, .. } = connection;
    waker.poll(cx, |cx| {
        poll_driver(driver, driven_to_end, cx);
        poll(&mut quiet)
    })
}

/// The innermost cause of an error, which says most: "connection refused" rather than "client
/// error".
pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
