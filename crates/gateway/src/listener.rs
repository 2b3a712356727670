//! Accepts connections and serves HTTP/1.1 on them.

mod idle_timeout;
mod overload;
mod raw_stream;
mod write_timeout;

use std::convert::Infallible;
use std::fs::Permissions;
use std::future::poll_fn;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mainstay_telemetry::events::NotAccepted;
use mainstay_upstream::inline_waker::InlineWaker;
use mainstay_upstream::write_coalescing::CoalescingStream;
use parking_lot::Mutex;
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixSocket};
use tokio_util::io::InspectReader;

use self::idle_timeout::IdleTimeout;
use self::overload::Overload;
use self::write_timeout::WriteTimeout;
use crate::answer::HttpAnswer;
use crate::caller::{Peer, Serves};
use crate::edge;
use crate::gateway::Gateway;
use crate::serving::ConnectionGuard;
use crate::serving::file_reserve::{Loan, is_exhausted};

/// Pause after `accept` has failed, for example because the process has no file descriptors left. It
/// doubles while that goes on.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Most bytes that are read ahead for a connection, which bounds the head of a request. A head that never
/// ends could hold several times as much otherwise, in no budget.
const BUFFER_BYTES_MAX: usize = 32 << 10;

/// How often the command socket takes back descriptors that it gave up.
const RESERVE_EVERY: Duration = Duration::from_secs(1);

/// Longest idle time of a connection between two requests. It is longer than that of clients and
/// proxies, so that they close connections first, and no request is lost to a connection that was
/// just closed.
const IDLE_MAX: Duration = Duration::from_secs(300);

/// Longest time that sent bytes may stay unacknowledged. A peer that loses its network or power
/// never closes its connection, and the system's own limit is a quarter of an hour. Every stream
/// sends something now and then, so none is held for a lost peer much longer than this. Shorter
/// sleeps and tunnels are survived.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(120);

/// Longest wait for a connection to end when the gateway stops.
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(1);

/// Connections to the command socket that wait to be accepted.
const BACKLOG: u32 = 128;

/// Serves a TCP address until the gateway stops. While it drains, requests are refused.
pub async fn serve_tcp(gateway: Arc<Gateway>, listener: TcpListener, serves: Serves) {
    let mut pause = ACCEPT_PAUSE;
    let mut loan = None;
    loop {
        if loan.is_none() && gateway.serving.reserve.is_given_up() {
            // The next descriptor is the operator's.
            if gateway.serving.reserve.is_short() {
                loan = Loan::take(&gateway.serving);
            }
            if loan.is_none() {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        }
        let accepted = tokio::select! {
            () = gateway.serving.stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
            () = tokio::time::sleep(ACCEPT_PAUSE), if loan.is_some() => {
                loan = None;
                continue;
            }
        };
        match accepted {
            Ok((stream, address)) => {
                pause = ACCEPT_PAUSE;
                let _ = stream.set_nodelay(true);
                let _ = set_tcp_user_timeout(&stream, UNACKNOWLEDGED_MAX.as_millis() as u32);
                let connection = gateway.serving.next_connection_no();
                let address = Some(address);
                let peer = Peer { address, operator: false, uid: None, serves, connection };
                match loan.take().filter(|_| is_needed(&gateway)) {
                    Some(loan) => reject_on_loan(&gateway, stream, peer, loan),
                    None => serve_or_reject(&gateway, stream, peer),
                }
            }
            Err(error) if loan.is_none() && is_exhausted(&error) => {
                NotAccepted { error: &error }.emit(&gateway.serving.metrics);
                loan = Loan::take(&gateway.serving);
                if loan.is_none() {
                    pause = pause_for(pause).await;
                }
            }
            Err(error) => {
                loan = None;
                pause = pause_after(&gateway, &error, pause).await;
            }
        }
    }
}

/// Serves the command socket until the gateway stops. The permissions of the file decide who may
/// connect.
pub async fn serve_unix(gateway: Arc<Gateway>, listener: UnixListener) {
    let mut tick = tokio::time::interval(RESERVE_EVERY);
    let mut pause = ACCEPT_PAUSE;
    loop {
        let accepted = tokio::select! {
            () = gateway.serving.stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
            _ = tick.tick() => {
                gateway.serving.reserve.fill();
                continue;
            }
        };
        match accepted {
            Ok((stream, _)) => {
                pause = ACCEPT_PAUSE;
                let connection = gateway.serving.next_connection_no();
                let serves = Serves { http: true, sse: true };
                let uid = stream.peer_cred().ok().map(|peer| peer.uid());
                let peer = Peer { address: None, operator: true, uid, serves, connection };
                serve_or_reject(&gateway, stream, peer);
            }
            // The connection still waits, and gets one of the descriptors that were given up.
            Err(error) if gateway.serving.reserve.give_up(&error) => tick.reset(),
            Err(error) => pause = pause_after(&gateway, &error, pause).await,
        }
    }
}

/// Binds the command socket, readable and writable by its owner only. Replaces the socket of an
/// earlier daemon: the caller holds the lock of the state folder.
///
/// # Errors
/// When the socket can't be created.
pub fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    private_socket(path)?.listen(BACKLOG)
}

/// Creates a bound socket that does not listen yet, for its owner only. Whatever the umask, nobody
/// else can connect before its mode is set.
#[expect(clippy::disallowed_methods, reason = "called before the daemon serves")]
fn private_socket(path: &Path) -> io::Result<UnixSocket> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(socket)
}

fn serve_or_reject<S>(gateway: &Arc<Gateway>, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (counted, open_before) = gateway.serving.open_connection(peer.operator);
    if open_before >= gateway.serving.settings().limits.connections_max && !peer.operator {
        let why = Overload::Connections(counted);
        gateway.serving.tasks.spawn(overload::answer(gateway.clone(), stream, peer, why));
    } else {
        gateway.serving.tasks.spawn(serve(gateway.clone(), stream, peer, counted));
    }
}

/// Whether the descriptor that was lent for a connection is still the last one.
fn is_needed(gateway: &Gateway) -> bool {
    let reserve = &gateway.serving.reserve;
    if reserve.is_given_up() {
        reserve.fill();
        return reserve.is_given_up();
    }
    true
}

fn reject_on_loan<S>(gateway: &Arc<Gateway>, stream: S, peer: Peer, loan: Loan)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let why = Overload::Descriptors(loan);
    gateway.serving.tasks.spawn(overload::answer(gateway.clone(), stream, peer, why));
}

async fn serve<S>(gateway: Arc<Gateway>, stream: S, peer: Peer, counted: ConnectionGuard)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let gateway = &gateway;
    let stuck = Arc::new(AtomicBool::new(false));
    let streamed = Mutex::new(None);
    // hyper reserves memory for the service's future even while the connection idles. Boxed, that is one
    // pointer.
    let service = service_fn(|request| {
        let (stuck, streamed) = (&stuck, &streamed);
        Box::pin(async move {
            let can_carry = raw_stream::can_carry(&request);
            let answer = edge::handle(gateway, request, peer).await;
            // Taking over a stuck connection would lose what hyper has not sent yet of an earlier answer.
            if can_carry && raw_stream::is_stream(&answer) && !stuck.load(Ordering::Relaxed) {
                *streamed.lock() = Some(answer);
                std::future::pending().await
            } else {
                Ok::<_, Infallible>(answer)
            }
        })
    });
    let receive = gateway.serving.settings().limits.receive;
    let idle_timeout = IdleTimeout::new(receive, IDLE_MAX);
    let reads = idle_timeout.clone();
    let stream = WriteTimeout::new(CoalescingStream(stream), receive, stuck.clone());
    let stream = InspectReader::new(stream, move |_: &[u8]| reads.note_bytes());
    let mut connection = http1::Builder::new()
        .timer(idle_timeout)
        .header_read_timeout(receive)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // Reading a request's body wakes the connection's task, which is this task.
    let waker = InlineWaker::default();
    let serving = poll_fn(|cx| {
        waker.poll(cx, |cx| {
            let ended = Pin::new(&mut connection).poll(cx);
            match streamed.lock().take() {
                Some(answer) => Poll::Ready(ConnectionEnd::Stream(answer)),
                None => ended.map(ConnectionEnd::Ended),
            }
        })
    });
    // Errors of a connection concern only its peer.
    tokio::select! {
        served = serving => match served {
            ConnectionEnd::Ended(Ok(())) => {}
            ConnectionEnd::Ended(Err(error)) => tracing::debug!(%error, "connection ended"),
            ConnectionEnd::Stream(answer) => {
                let stream = connection.into_parts().io.into_inner().into_inner();
                // A separate task, because this task stays as large as its largest state.
                gateway.serving.tasks.clone().spawn(carry(stream, answer, counted));
            }
        },
        () = gateway.serving.stopping.cancelled() => {
            Pin::new(&mut connection).graceful_shutdown();
            // The last bytes of an answer may still be unsent.
            let _ = tokio::time::timeout(FLUSH_WAIT_MAX, connection).await;
        }
    }
}

/// Carries a stream until it ends or the gateway stops. The long-lived future is boxed: a future
/// within another one takes space in both.
fn carry<S>(stream: S, answer: HttpAnswer, counted: ConnectionGuard) -> impl Future<Output = ()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let carrying = Box::pin(raw_stream::carry(stream, answer));
    async move {
        let stopping = &counted.serving().stopping;
        let flush_wait = async {
            stopping.cancelled().await;
            tokio::time::sleep(FLUSH_WAIT_MAX).await;
        };
        tokio::select! {
            result = carrying => if let Err(error) = result {
                tracing::debug!(%error, "connection ended");
            },
            () = flush_wait => {}
        }
    }
}

/// Waits after `accept` has failed. Returns the wait after the next failure.
async fn pause_after(gateway: &Gateway, error: &io::Error, pause: Duration) -> Duration {
    NotAccepted { error }.emit(&gateway.serving.metrics);
    pause_for(pause).await
}

/// Waits. Returns the next wait.
async fn pause_for(pause: Duration) -> Duration {
    tokio::time::sleep(pause).await;
    (pause * 2).min(ACCEPT_PAUSE_MAX)
}

/// How hyper's part of a connection ended.
enum ConnectionEnd {
    Ended(hyper::Result<()>),
    /// The connection carries this stream from now on, and nothing else.
    Stream(HttpAnswer),
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may block")]
mod tests {
    use std::io::ErrorKind;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    use super::{bind_unix, private_socket};

    #[tokio::test]
    async fn nobody_connects_to_the_command_socket_before_it_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let socket = private_socket(&path).unwrap();
        assert_eq!(mode(), 0o600);
        let refused = UnixStream::connect(&path).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let first = socket.listen(1).unwrap();
        UnixStream::connect(&path).unwrap();
        // The first socket is left behind, as after a crash, and is replaced.
        let second = bind_unix(&path).unwrap();
        assert_eq!(mode(), 0o600);
        UnixStream::connect(&path).unwrap();
        assert!(second.accept().await.is_ok());
        drop(first);
    }
}
