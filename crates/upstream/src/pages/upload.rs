//! The body of a request on its way to a target, bounded in bytes and time.

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::refusal::PageRefusal;
use super::{PageBody, PageLimits};

/// A body that is passed on as it arrives.
pub(super) struct Upload {
    body: PageBody,
    left: u64,
    within: Duration,
    /// Begins with the first wait.
    deadline: Option<Pin<Box<Sleep>>>,
    fault: Arc<OnceLock<UploadFault>>,
}

/// Why a body broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum UploadFault {
    #[error("the request body is too large")]
    TooLarge,
    #[error("the request body did not arrive in time")]
    Slow,
    #[error("the request body was cut off")]
    Broken,
}

/// What went wrong with a body, once its exchange has failed.
pub(super) struct Faulted(Arc<OnceLock<UploadFault>>);

// === impl Upload ===

impl Upload {
    pub(super) fn new(body: PageBody, bytes_max: u64, within: Duration) -> (Self, Faulted) {
        let fault = Arc::<OnceLock<UploadFault>>::default();
        let faulted = Faulted(fault.clone());
        (Self { body, left: bytes_max, within, deadline: None, fault }, faulted)
    }

    fn fail(&self, fault: UploadFault) -> Box<dyn Error + Send + Sync> {
        self.fault.get_or_init(|| fault);
        fault.into()
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                let within = self.within;
                let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(within)));
                ready!(deadline.as_mut().poll(cx));
                return Poll::Ready(Some(Err(self.fail(UploadFault::Slow))));
            };
            let data = match frame {
                None => return Poll::Ready(None),
                Some(Err(_)) => return Poll::Ready(Some(Err(self.fail(UploadFault::Broken)))),
                // Trailers are not passed on.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(_) => continue,
                },
            };
            let Some(left) = self.left.checked_sub(data.len() as u64) else {
                return Poll::Ready(Some(Err(self.fail(UploadFault::TooLarge))));
            };
            self.left = left;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl Faulted ===

impl Faulted {
    /// The refusal, if the body was what failed.
    pub(super) fn refusal(&self, limits: PageLimits) -> Option<PageRefusal> {
        self.0.get().map(|fault| match fault {
            UploadFault::TooLarge => PageRefusal::too_large(limits.body_bytes_max),
            UploadFault::Slow => PageRefusal::slow(limits.receive),
            UploadFault::Broken => PageRefusal::cut_off(),
        })
    }
}
