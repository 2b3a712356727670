//! What a request brings: small messages at once, large ones when they are wanted.
//!
//! A message that is too large is refused by its length alone. Whoever refuses it reads no more
//! and closes the connection, and with the writing the reading of that answer would fail. So
//! `Expect: 100-continue` asks first (RFC 9110, section 10.1.1).

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The body of a message that is being sent.
pub(super) struct Upload {
    rest: Bytes,
    /// Open once the other side has asked for it.
    gate: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// What the buffers on the way hold anyway is not worth a round trip.
const AT_ONCE_BYTES_MAX: usize = 64 << 10;
/// Not everybody answers the question.
const ASKING_MAX: Duration = Duration::from_millis(500);

// === impl Upload ===

impl Upload {
    /// A request that brings this message.
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
            // There may be several; the first one is enough.
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
