//! Accepts connections and serves HTTP/1.1 on them.

mod idle_timeout;
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
use mainstay_telemetry::Refused;
use mainstay_telemetry::events::RefusedRequest;
use mainstay_upstream::inline_waker::InlineWaker;
use mainstay_upstream::write_coalescing::CoalescingStream;
use parking_lot::Mutex;
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener, UnixSocket};
use tokio_util::io::InspectReader;

use self::idle_timeout::IdleTimeout;
use self::write_timeout::WriteTimeout;
use crate::answer::HttpAnswer;
use crate::caller::{Peer, Serves};
use crate::edge;
use crate::gateway::Gateway;
use crate::serving::ConnectionGuard;

/// After running out of files or memory: time for some to be given back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a connection may be idle between two requests. Longer than clients and proxies keep
/// theirs, so that it is they who close them, and no request is lost to a connection just closed.
const IDLE_MAX: Duration = Duration::from_secs(300);

/// How long what is sent may stay unacknowledged: who has lost the network or the power never says
/// goodbye, and the system's own limit is a quarter of an hour. Something is sent on every stream now
/// and then, so none is held for nobody much longer than this. Many clients come back sooner from a
/// tunnel or a short sleep.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(120);

/// How long a connection may take to end when the gateway stops.
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(1);

/// Connections to the command socket that wait to be accepted.
const BACKLOG: u32 = 128;

const OVERLOADED: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Serves a TCP address until the gateway stops: while it drains, it says so.
pub async fn serve_tcp(gateway: Arc<Gateway>, listener: TcpListener, serves: Serves) {
    loop {
        let accepted = tokio::select! {
            () = gateway.serving.stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let _ = stream.set_nodelay(true);
                let _ = set_tcp_user_timeout(&stream, UNACKNOWLEDGED_MAX.as_millis() as u32);
                let connection = gateway.serving.next_connection_no();
                let address = Some(address);
                let peer = Peer { address, operator: false, uid: None, serves, connection };
                serve_or_reject(&gateway, stream, peer);
            }
            Err(error) => pause_after(&error).await,
        }
    }
}

/// Serves the command socket until the gateway stops. Who may open it is decided by the file.
pub async fn serve_unix(gateway: Arc<Gateway>, listener: UnixListener) {
    loop {
        let accepted = tokio::select! {
            () = gateway.serving.stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = gateway.serving.next_connection_no();
                let serves = Serves { http: true, sse: true };
                let uid = stream.peer_cred().ok().map(|peer| peer.uid());
                let peer = Peer { address: None, operator: true, uid, serves, connection };
                serve_or_reject(&gateway, stream, peer);
            }
            Err(error) => pause_after(&error).await,
        }
    }
}

/// Binds the command socket, readable and writable by its owner only. One that an earlier daemon
/// left is replaced: the caller holds the lock of the state folder.
///
/// # Errors
/// When the socket can't be made.
pub fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    private_socket(path)?.listen(BACKLOG)
}

/// A socket that is there for its owner only and does not listen: whatever the umask, nobody else can
/// connect before its mode is set.
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
    let (counted, open_before) = gateway.serving.open_connection();
    if open_before >= gateway.serving.settings.limits.connections_max && !peer.operator {
        let reason = Refused::ConnectionLimit;
        RefusedRequest { reason, peer: peer.address, request_id: None, detail: "" }
            .emit(&gateway.serving.metrics);
        gateway.serving.tasks.spawn(reject(stream, counted));
    } else {
        gateway.serving.tasks.spawn(serve(gateway.clone(), stream, peer, counted));
    }
}

/// Says at once that there is no room, before anything is read.
async fn reject<S: AsyncWrite + Unpin>(mut stream: S, counted: ConnectionGuard) {
    let _ = tokio::time::timeout(Duration::from_secs(1), async {
        stream.write_all(OVERLOADED).await?;
        stream.shutdown().await
    })
    .await;
    drop(counted);
}

async fn serve<S>(gateway: Arc<Gateway>, stream: S, peer: Peer, counted: ConnectionGuard)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let gateway = &gateway;
    let stuck = Arc::new(AtomicBool::new(false));
    let streamed = Mutex::new(None);
    // hyper keeps room for the service's future while the connection idles: boxed, that is a pointer.
    let service = service_fn(|request| {
        let (stuck, streamed) = (&stuck, &streamed);
        Box::pin(async move {
            let can_carry = raw_stream::can_carry(&request);
            let answer = edge::handle(gateway, request, peer).await;
            // What hyper has not sent yet of an earlier answer would be lost with it.
            if can_carry && raw_stream::is_stream(&answer) && !stuck.load(Ordering::Relaxed) {
                *streamed.lock() = Some(answer);
                std::future::pending().await
            } else {
                Ok::<_, Infallible>(answer)
            }
        })
    });
    let receive = gateway.serving.settings.limits.receive;
    let idle_timeout = IdleTimeout::new(receive, IDLE_MAX);
    let reads = idle_timeout.clone();
    let stream = WriteTimeout::new(CoalescingStream(stream), receive, stuck.clone());
    let stream = InspectReader::new(stream, move |_: &[u8]| reads.note_bytes());
    let mut connection = http1::Builder::new()
        .timer(idle_timeout)
        .header_read_timeout(receive)
        .serve_connection(TokioIo::new(stream), service);
    // Reading a request's body rouses the connection that brings it, which is this very task.
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
    // What is wrong with a connection concerns only whoever is at its other end.
    tokio::select! {
        served = serving => match served {
            ConnectionEnd::Ended(Ok(())) => {}
            ConnectionEnd::Ended(Err(error)) => tracing::debug!(%error, "connection ended"),
            ConnectionEnd::Stream(answer) => {
                let stream = connection.into_parts().io.into_inner().into_inner();
                // A task of its own, since this one is as large as its busiest time.
                gateway.serving.tasks.clone().spawn(carry(stream, answer, counted));
            }
        },
        () = gateway.serving.stopping.cancelled() => {
            Pin::new(&mut connection).graceful_shutdown();
            // The last bytes of an answer may still be on their way out.
            let _ = tokio::time::timeout(FLUSH_WAIT_MAX, connection).await;
        }
    }
}

/// StreamContent a stream until it ends or the gateway stops. What lasts is boxed: a future that is handed on
/// within another one has room in both.
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

async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "can't accept a connection");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// What became of a connection.
enum ConnectionEnd {
    Ended(hyper::Result<()>),
    /// It carries this from now on and nothing else.
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
        // As after a crash: what is left of the first is replaced.
        let second = bind_unix(&path).unwrap();
        assert_eq!(mode(), 0o600);
        UnixStream::connect(&path).unwrap();
        assert!(second.accept().await.is_ok());
        drop(first);
    }
}
