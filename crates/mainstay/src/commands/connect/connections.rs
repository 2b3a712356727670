//! HTTP/1.1 connections to one target, opened on demand and kept while briefly idle.

use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::shim::End;
use super::target::Target;
use super::upload::Upload;

/// The connections to the daemon.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) target: Target,
    idle: Mutex<Vec<Connection>>,
}

/// An open connection. Dropping it aborts the task that moves its bytes.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Upload>,
    driver: JoinHandle<()>,
    idle_since: Instant,
}

/// Most idle connections; more are closed.
const IDLE_MAX: usize = 8;
/// Longest time that a connection is kept idle. When the daemon disappears, an idle connection may
/// not notice, and a request sent on it has an unknown outcome.
const IDLE_FOR_MAX: Duration = Duration::from_secs(5);

// === impl Connections ===

impl Connections {
    pub(super) fn new(target: Target) -> Self {
        Self { target, idle: Mutex::default() }
    }

    /// Sends a request. The connection is returned with the response, for reading its body.
    pub(super) async fn send(
        &self,
        request: Request<Upload>,
    ) -> Result<(Response<Incoming>, Connection), End> {
        let mut request = request;
        loop {
            let kept = self.take().await;
            let is_kept = kept.is_some();
            let mut connection = match kept {
                Some(connection) => connection,
                None => self.open().await?,
            };
            match connection.sender.try_send_request(request).await {
                Ok(response) => return Ok((response, connection)),
                Err(mut error) => {
                    let why = root_cause(error.error());
                    match error.take_message() {
                        // The idle connection was closed before anything was written.
                        Some(unsent) if is_kept => request = unsent,
                        Some(_) => return Err(End::Unreached(why)),
                        None => return Err(End::Lost(why)),
                    }
                }
            }
        }
    }

    /// Keeps a connection for reuse. Its last response must have been read to the end.
    pub(super) fn put(&self, mut connection: Connection) {
        let mut idle = self.idle.lock();
        idle.retain(Connection::is_fresh);
        if idle.len() < IDLE_MAX {
            connection.idle_since = Instant::now();
            idle.push(connection);
        }
    }

    async fn take(&self) -> Option<Connection> {
        if self.idle.lock().is_empty() {
            return None;
        }
        // A closed connection is noticed once its task has run.
        tokio::task::yield_now().await;
        let mut idle = self.idle.lock();
        idle.retain(Connection::is_fresh);
        let at = idle.iter().rposition(|connection| connection.sender.is_ready())?;
        Some(idle.remove(at))
    }

    async fn open(&self) -> Result<Connection, End> {
        let wire = self.target.connect().await.map_err(End::Unreached)?;
        let (sender, connection) = http1::handshake(TokioIo::new(wire))
            .await
            .map_err(|error| End::Unreached(root_cause(&error)))?;
        // A failed connection is reported to whoever waits for the response.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Connection { sender, driver, idle_since: Instant::now() })
    }
}

// === impl Connection ===

impl Connection {
    fn is_fresh(&self) -> bool {
        !self.sender.is_closed() && self.idle_since.elapsed() < IDLE_FOR_MAX
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
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
