//! Response bodies: whole, or a stream of events.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::Full;
use mainstay_protocol::framing::sse;
use tokio::time::{Instant, Sleep};

use crate::non_mcp::{BodyError, NonMcpBody};
use crate::stream::{EventStream, Reader};

/// The body of a response.
#[derive(Debug)]
pub enum Body {
    Whole(Full<Bytes>),
    Events(Events),
    /// Of the service for requests that are not MCP.
    Boxed(NonMcpBody),
}

/// A stream of events. A comment now and then keeps intermediaries from closing a silent
/// connection.
#[derive(Debug)]
pub struct Events {
    reader: Reader,
    keep_alive: Pin<Box<Sleep>>,
    _owner: Option<StreamOwner>,
}

/// A value that is dropped with its stream.
pub(crate) type StreamOwner = Box<dyn Any + Send + Sync>;

/// The longest silence on a stream. Intermediaries cut connections that are silent for 60 seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

impl Body {
    pub(crate) fn events(stream: Arc<EventStream>) -> Self {
        Self::read_by(stream.reader())
    }

    /// Returns a body for a reader that has resumed its stream.
    pub(crate) fn read_by(reader: Reader) -> Self {
        Self::stream(reader, None)
    }

    pub(crate) fn events_until(stream: Arc<EventStream>, owner: StreamOwner) -> Self {
        Self::stream(stream.reader(), Some(owner))
    }

    fn stream(reader: Reader, owner: Option<StreamOwner>) -> Self {
        let keep_alive = Box::pin(tokio::time::sleep(KEEP_ALIVE));
        Self::Events(Events { reader, keep_alive, _owner: owner })
    }

    pub(crate) fn empty() -> Self {
        Self::Whole(Full::default())
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Whole(whole) => Pin::new(whole).poll_frame(cx).map_err(|never| match never {}),
            Self::Boxed(boxed) => Pin::new(boxed).poll_frame(cx),
            Self::Events(events) => events.poll(cx).map(|event| Some(Ok(Frame::data(event?)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Boxed(boxed) => boxed.is_end_stream(),
            Self::Events(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Boxed(boxed) => boxed.size_hint(),
            Self::Events(_) => SizeHint::default(),
        }
    }
}

impl Events {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.reader.takes_pause() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Poll::Ready(event) = self.reader.poll_next(cx) {
            self.keep_alive.as_mut().reset(Instant::now() + KEEP_ALIVE);
            return Poll::Ready(event);
        }
        if self.keep_alive.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.keep_alive.as_mut().reset(Instant::now() + KEEP_ALIVE);
        Poll::Ready(Some(Bytes::from_static(sse::COMMENT)))
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use http_body::Body as _;
    use http_body_util::BodyExt;
    use mainstay_model::Budget;
    use mainstay_protocol::framing::sse;
    use tokio::time::Instant;

    use super::{Body, KEEP_ALIVE};
    use crate::stream::event_id::StreamName;
    use crate::stream::replay_budget::ReplayBudget;
    use crate::stream::{EventStream, StreamResume};

    async fn next(body: &mut Body) -> Vec<u8> {
        body.frame().await.unwrap().unwrap().into_data().unwrap().to_vec()
    }

    #[tokio::test]
    async fn a_stream_without_a_pause_lets_other_tasks_run_now_and_then() {
        let stream = Arc::new(EventStream::default());
        for _ in 0..100 {
            stream.push(vec![b'x'; 4 << 10].into());
        }
        let mut body = Body::events(stream);
        let mut cx = Context::from_waker(Waker::noop());
        let (mut read, mut pauses) = (0, 0);
        while read < 100 && pauses < 100 {
            match Pin::new(&mut body).poll_frame(&mut cx) {
                Poll::Ready(frame) => {
                    assert!(frame.is_some());
                    read += 1;
                }
                Poll::Pending => pauses += 1,
            }
        }
        // After each 64 KiB.
        assert_eq!((read, pauses), (100, 6));
    }

    #[tokio::test(start_paused = true)]
    async fn no_stream_is_ever_silent_for_long() {
        let (number, share) = ReplayBudget::new(0, Budget::UNLIMITED).open();
        let name = StreamName::background(number);
        let stream = Arc::new(EventStream::resumable(name, false, share));
        stream.push("event\n\n".into());
        let mut first = Body::events(stream.clone());
        next(&mut first).await;
        let StreamResume::Continues(reader) = stream.resume_after(1) else { panic!("it goes on") };
        for mut body in [Body::events(Arc::default()), Body::read_by(reader)] {
            for _ in 0..3 {
                let begun = Instant::now();
                assert_eq!(next(&mut body).await, sse::COMMENT);
                assert!(begun.elapsed() < KEEP_ALIVE + Duration::from_secs(1));
            }
        }
    }
}
