//! The way from the command line to a daemon: HTTP over the command socket.
//!
//! The daemon serves the same addresses there as on its listeners, so a command sees and does
//! what any client can.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::api::problem::Problem;

mod calls;
mod conversation;
mod follow;
#[cfg(test)]
mod tests;

pub use calls::{EventsAsked, LogsAsked};
pub use conversation::{CallError, Conversation, Notice, headers};

/// The largest answer taken, in bytes: what the gateway itself takes from a server.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A way to one daemon. Opens a connection for each request.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    deadline: Duration,
}

/// A whole answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The socket is not there, or nobody listens on it.
    #[error("no daemon is running for {}", folder(.socket).display())]
    NoDaemon {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} may not be used by this user", socket.display())]
    NotAllowed {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} can't be reached", socket.display())]
    Connect {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the daemon did not answer within {} s", .0.as_secs())]
    Deadline(Duration),
    #[error("the connection to the daemon failed")]
    Http(#[source] hyper::Error),
    #[error("the answer is larger than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
    /// The daemon says what is wrong with the request.
    #[error("{}", .0.error)]
    Problem(Box<Problem>),
    #[error("the daemon answered {status}: {body}")]
    Status { status: StatusCode, body: String },
    #[error("the answer is not what this version of the command understands")]
    Unexpected(#[source] serde_json::Error),
}

/// One exchange under way. The task that moves its bytes ends with it.
struct Exchange {
    response: Response<Incoming>,
    _driver: Driver,
}

/// The task that moves the bytes of a connection, ended when nobody needs it any more.
struct Driver(JoinHandle<()>);

// === impl Client ===

impl Client {
    /// A client for the daemon of this state folder. Every wait ends after `deadline`.
    pub fn new(state_dir: &Path, deadline: Duration) -> Self {
        Self { socket: state_dir.join(crate::SOCKET), deadline }
    }

    /// The same way with another deadline.
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { socket: self.socket.clone(), deadline }
    }

    /// Whether a daemon takes connections.
    pub async fn is_running(&self) -> bool {
        timeout(self.deadline, self.connect()).await.is_ok_and(|connected| connected.is_ok())
    }

    /// The whole answer to a GET, whatever its status.
    pub async fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.whole(request(Method::GET, path, Bytes::new())).await
    }

    /// The whole answer to a request, within the deadline.
    async fn whole(&self, request: Request<Full<Bytes>>) -> Result<Answer, ClientError> {
        let answer = async { self.exchange(request).await?.whole().await };
        timeout(self.deadline, answer).await.map_err(|_| ClientError::Deadline(self.deadline))?
    }

    /// Sends a request on a connection of its own; ends with the head of the answer. The caller
    /// watches the deadline.
    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Exchange, ClientError> {
        let stream = self.connect().await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(ClientError::Http)?;
        // A failure of the connection shows where the answer is awaited.
        let driver = Driver(tokio::spawn(async move { drop(connection.await) }));
        let response = sender.send_request(request).await.map_err(ClientError::Http)?;
        Ok(Exchange { response, _driver: driver })
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        UnixStream::connect(&self.socket).await.map_err(|source| {
            let socket = self.socket.clone();
            match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    ClientError::NoDaemon { socket, source }
                }
                io::ErrorKind::PermissionDenied => ClientError::NotAllowed { socket, source },
                _ => ClientError::Connect { socket, source },
            }
        })
    }
}

// === impl Exchange ===

impl Exchange {
    async fn whole(self) -> Result<Answer, ClientError> {
        let status = self.response.status();
        let body = Limited::new(self.response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return ClientError::TooLarge;
            }
            match error.downcast::<hyper::Error>() {
                Ok(error) => ClientError::Http(*error),
                Err(_) => ClientError::TooLarge,
            }
        })?;
        Ok(Answer { status, body: body.to_bytes() })
    }
}

// === impl Answer ===

impl Answer {
    fn into_error(self) -> ClientError {
        /// As much of a body as helps to understand a refusal.
        const SHOWN_BYTES_MAX: usize = 2000;
        let shown = &self.body[..self.body.len().min(SHOWN_BYTES_MAX)];
        let body = String::from_utf8_lossy(shown).into_owned();
        ClientError::Status { status: self.status, body }
    }
}

// === impl Driver ===

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn request(method: Method, path: &str, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap_or_default();
    request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
    request
}

fn folder(socket: &Path) -> &Path {
    socket.parent().unwrap_or(socket)
}
