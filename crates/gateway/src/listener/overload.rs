//! Answers connections above the limit, and those for which there is no descriptor, with 503. Liveness checks
//! get their usual answer.

use std::time::Duration;

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use mainstay_model::{Principal, Refusal, RefusalCode};
use mainstay_protocol::build;
use mainstay_telemetry::events::RefusedRequest;
use mainstay_telemetry::{CorrelationId, Refused};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tower::ServiceExt;

use crate::caller::{Caller, Peer};
use crate::gateway::Gateway;
use crate::serving::ConnectionGuard;
use crate::serving::file_reserve::Loan;

/// Why a connection is not served. Dropping the value gives back what the connection takes.
pub(super) enum Overload {
    /// So many are open already.
    Connections(#[expect(dead_code, reason = "counts until it is dropped")] ConnectionGuard),
    /// There is no descriptor left. The connection has one that is lent.
    Descriptors(#[expect(dead_code, reason = "is returned when it is dropped")] Loan),
}

/// Longest wait for the beginning of a request, and for its answer to be taken.
const PATIENCE: Duration = Duration::from_secs(1);

/// The same for a connection on a lent descriptor: others wait for it. The connection has waited itself,
/// so its request is there.
const PATIENCE_ON_LOAN: Duration = Duration::from_millis(50);

/// The path of liveness checks. A service manager whose check fails would end a daemon that is only busy.
const LIVE: &str = "/health/live";

/// The number of bytes that show whether a request asks for [`LIVE`].
const HEAD_BYTES: usize = "HEAD /health/live ".len();

/// Answers one request and closes the connection.
pub(super) async fn answer<S>(
    gateway: std::sync::Arc<Gateway>,
    mut stream: S,
    peer: Peer,
    why: Overload,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let patience = why.patience();
    let head = tokio::time::timeout(patience, head(&mut stream)).await.unwrap_or_default();
    let response = match asks_whether_it_lives(&head) {
        Some(method) => liveness(&gateway, &peer, method).await,
        None => None,
    };
    let response = response.unwrap_or_else(|| {
        let reason = Refused::ConnectionLimit;
        RefusedRequest { reason, peer: peer.address, request_id: None, detail: "" }
            .emit(&gateway.serving.metrics);
        why.refusal(gateway.serving.settings().limits.connections_max)
    });
    let _ = tokio::time::timeout(patience, async {
        stream.write_all(response.as_bytes()).await?;
        stream.shutdown().await
    })
    .await;
    // In this order: the loan takes back a descriptor.
    drop(stream);
    drop(why);
}

// === impl Overload ===

impl Overload {
    fn patience(&self) -> Duration {
        match self {
            Self::Connections(_) => PATIENCE,
            Self::Descriptors(_) => PATIENCE_ON_LOAN,
        }
    }

    /// Returns the response to a connection that is not served. `max`: the limit on connections.
    fn refusal(&self, max: usize) -> String {
        let refusal = match self {
            Self::Connections(_) => {
                Refusal::new(RefusalCode::LimitExceeded, "too many connections are open")
                    .limit(format!("max_connections: {max}"))
                    .hint("close connections that are not in use, or raise gateway.max_connections")
            }
            Self::Descriptors(_) => Refusal::new(
                RefusalCode::LimitExceeded,
                "the daemon has no file descriptor left",
            )
            .limit("open files (ulimit -n)")
            .hint(
                "close connections that are not in use, or raise the daemon's limit on open \
                         files (`LimitNOFILE` of systemd, `ulimit -n`)",
            ),
        };
        let body = build::error(None, &refusal.retry_after(Duration::from_secs(1)).to_json());
        let body = String::from_utf8_lossy(&body);
        response(StatusCode::SERVICE_UNAVAILABLE, body.len(), &body)
    }
}

// === helpers ===

/// Reads the beginning of a request, as far as it arrives.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    while head.len() < HEAD_BYTES {
        let mut piece = [0; HEAD_BYTES];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => break,
            Ok(bytes) => head.extend_from_slice(&piece[..bytes]),
        }
    }
    head
}

/// Returns the method of a request for [`LIVE`].
fn asks_whether_it_lives(head: &[u8]) -> Option<Method> {
    let asks = |method: &Method| {
        let rest = head.strip_prefix(method.as_str().as_bytes())?.strip_prefix(b" ")?;
        let after = rest.strip_prefix(LIVE.as_bytes())?.first()?;
        matches!(after, b' ' | b'?').then(|| method.clone())
    };
    [Method::GET, Method::HEAD].iter().find_map(asks)
}

/// Lets the health service answer, as on an ordinary connection.
async fn liveness(gateway: &Gateway, peer: &Peer, method: Method) -> Option<String> {
    let service = gateway.non_mcp().filter(|found| found.has(LIVE))?.service.clone();
    let is_head = method == Method::HEAD;
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let mut request = Request::builder().method(method).uri(LIVE).body(body).ok()?;
    let caller = Caller {
        // The headers that may name another client are not read.
        address: None,
        operator: false,
        uid: None,
        serves: peer.serves,
        connection: peer.connection,
        principal: Principal::anonymous(),
        request_id: CorrelationId::next(),
    };
    request.extensions_mut().insert(caller);
    let Ok(answer) = service.oneshot(request).await;
    let (status, body) = (answer.status(), answer.into_body().collect().await.ok()?.to_bytes());
    let text = if is_head { "" } else { std::str::from_utf8(&body).ok()? };
    Some(response(status, body.len(), text))
}

fn response(status: StatusCode, length: usize, body: &str) -> String {
    let again = if status.is_success() { "" } else { "retry-after: 1\r\n" };
    format!(
        "HTTP/1.1 {status}\r\n{again}content-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::asks_whether_it_lives;

    #[test]
    fn only_the_path_for_it_asks_whether_the_process_lives() {
        for (head, method) in [
            ("GET /health/live HTTP/1.1", Some(Method::GET)),
            ("GET /health/live?x=1", Some(Method::GET)),
            ("HEAD /health/live ", Some(Method::HEAD)),
            ("GET /health/livelier ", None),
            ("GET /health HTTP/1.1", None),
            ("POST /health/live ", None),
            ("GET /health/liv", None),
            ("", None),
        ] {
            assert_eq!(asks_whether_it_lives(head.as_bytes()), method, "{head}");
        }
    }
}
