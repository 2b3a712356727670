//! One request and its answer, over a connection of its own. Whoever reads the answer drives the connection, so
//! that nothing is left when the reader is gone.

use std::error::Error;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};

use super::target::{PageTarget, TargetStream};
use super::upload::Upload;
use super::{PageBody, PageLimits};
use crate::descriptors;

/// Why a target gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("no connection to {target}: {error}")]
    Connect { target: String, error: std::io::Error },
    #[error("no connection to {target} within {CONNECT_DEADLINE:?}")]
    ConnectSlow { target: String },
    #[error("the daemon has no file descriptor left: {0}")]
    NoDescriptor(std::io::Error),
    #[error("{target} accepted the connection and did not answer within {within:?}")]
    Slow { target: String, within: Duration },
    #[error("{target} accepted the connection and gave no usable answer: {error}")]
    Broken { target: String, error: hyper::Error },
}

type Driver = http1::Connection<TokioIo<TargetStream>, Upload>;

/// The body of an answer, with the connection that it comes over.
struct Download {
    driver: Option<Box<Driver>>,
    body: Incoming,
    idle: Duration,
    /// Set anew with each piece.
    deadline: Pin<Box<Sleep>>,
    /// The place among the requests to this target.
    _room: OwnedSemaphorePermit,
}

/// Why an answer broke off.
#[derive(Debug, thiserror::Error)]
enum CutOff {
    #[error("the page sent nothing for {0:?}")]
    Idle(Duration),
    #[error("the page broke off")]
    Broken(#[source] hyper::Error),
}

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Most bytes that are read at once. It also bounds the head of an answer.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// Sends a request and returns the answer, whose body arrives as it is read.
///
/// # Errors
/// When the target did not answer.
pub(super) async fn exchange(
    target: &PageTarget,
    request: Request<Upload>,
    limits: PageLimits,
    room: OwnedSemaphorePermit,
) -> Result<Response<PageBody>, NoAnswer> {
    let to = || target.to_string();
    let connected = tokio::time::timeout(CONNECT_DEADLINE, target.connect()).await;
    let stream = connected.map_err(|_| NoAnswer::ConnectSlow { target: to() })?;
    let stream = stream.map_err(|error| match descriptors::are_used_up(&error) {
        true => NoAnswer::NoDescriptor(error),
        false => NoAnswer::Connect { target: to(), error },
    })?;
    let broken = |error| NoAnswer::Broken { target: to(), error };
    let mut http = http1::Builder::new();
    http.max_buf_size(BUFFER_BYTES_MAX);
    let (mut sender, driver) = http.handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut driver = Some(Box::new(driver));
    // The body has a time limit of its own, and only then the target has the request.
    let has_body = !request.body().is_end_stream();
    let within = limits.answer + if has_body { limits.receive } else { Duration::ZERO };
    let answer = {
        let mut sending = pin!(sender.send_request(request));
        let answering = poll_fn(|cx| {
            drive(&mut driver, cx);
            sending.as_mut().poll(cx)
        });
        tokio::time::timeout(within, answering).await
    };
    let answer = answer.map_err(|_| NoAnswer::Slow { target: to(), within })?.map_err(broken)?;
    let (idle, deadline) = (limits.idle, Box::pin(sleep(limits.idle)));
    Ok(answer.map(|body| Download { driver, body, idle, deadline, _room: room }.boxed_unsync()))
}

/// Moves bytes in both directions.
fn drive(driver: &mut Option<Box<Driver>>, cx: &mut Context<'_>) {
    if let Some(running) = driver
        && Pin::new(running.as_mut()).poll(cx).is_ready()
    {
        // What it failed with is told by the request or the body.
        *driver = None;
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        loop {
            drive(&mut this.driver, cx);
            let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
                ready!(this.deadline.as_mut().poll(cx));
                return Poll::Ready(Some(Err(CutOff::Idle(this.idle).into())));
            };
            let frame = match frame {
                None => return Poll::Ready(None),
                Some(frame) => frame.map_err(CutOff::Broken)?,
            };
            this.deadline.as_mut().reset(Instant::now() + this.idle);
            // Trailers are not passed on.
            if let Ok(data) = frame.into_data() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
