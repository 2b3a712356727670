//! The body of a request: small messages are sent at once, large ones after the daemon agreed.
//!
//! The daemon refuses a message that is too large by its declared length, reads no more and closes
//! the connection. A client that is still writing then fails before it reads the refusal. `Expect:
//! 100-continue` avoids that (RFC 9110, section 10.1.1).

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The body of a message that is sent.
pub(super) struct Upload {
    rest: Bytes,
    /// Opens when the daemon has agreed to receive the body.
    gate: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// Most bytes that are sent without asking: buffers on the way hold as much anyway.
const AT_ONCE_BYTES_MAX: usize = 64 << 10;
/// Longest wait for the agreement; some servers never send one.
const ASKING_MAX: Duration = Duration::from_millis(500);

// === impl Upload ===

impl Upload {
    /// A request with this message as its body.
    pub(super) fn request(message: Bytes) -> Request<Self> {
        if message.len() <= AT_ONCE_BYTES_MAX {
            return Request::new(Self { rest: message, gate: None });
        }
        let (open, opened) = oneshot::channel();
        let gate = Box::pin(async move { drop(timeout(ASKING_MAX, opened).await) });
        let mut request = Request::new(Self { rest: message, gate: Some(gate) });
        let expect = HeaderValue::from_static("100-continue");
        request.headers_mut().insert(header::EXPECT, expect);
        let open = parking_lot::Mutex::new(Some(open));
        hyper::ext::on_informational(&mut request, move |_| {
            // Several 100 responses may come; the first opens the gate.
            if let Some(open) = open.lock().take() {
                let _ = open.send(());
            }
        });
        request
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(gate) = &mut self.gate {
            ready!(gate.as_mut().poll(cx));
            self.gate = None;
        }
        let rest = std::mem::take(&mut self.rest);
        Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
