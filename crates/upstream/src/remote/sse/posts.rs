//! Posts queued messages, many at a time, so that none waits for the round trip of another.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use mainstay_telemetry::Dropped;
use tokio::sync::{mpsc, oneshot};

use crate::link::Link;
use crate::remote::SEND_DEADLINE;
use crate::remote::connection::{self, Failed};
use crate::remote::refused::{self, Head};
use crate::remote::session::HttpSession;
use crate::request::{Fate, Incoming, Lost};

/// A message to post.
#[derive(Debug)]
pub(super) struct Posting {
    pub(super) body: Bytes,
    /// The id of the call that the message begins.
    pub(super) id: Option<u64>,
    /// Whether the message must keep its place in the order: a cancellation that arrives before its
    /// call would be ignored.
    pub(super) in_order: bool,
    /// Notified when the message was posted, dropped when it was not.
    pub(super) done: Option<oneshot::Sender<()>>,
}

/// Messages that are queued, and posts that are under way.
pub(super) struct Posts {
    session: Arc<HttpSession>,
    address: Uri,
    queue: mpsc::Receiver<Posting>,
    under_way: FuturesUnordered<Pin<Box<dyn Future<Output = Posted> + Send>>>,
    unsent_bytes: Arc<AtomicUsize>,
}

/// A posted message, and its response. None: no response in time.
struct Posted {
    posting: Posting,
    response: Option<Result<(Head, Bytes), Failed>>,
}

/// Most posts at once; each needs a connection.
const UNDER_WAY_MAX: usize = 64;
/// Longest wait of a message that keeps its order for those before it.
const ORDER_DEADLINE: Duration = Duration::from_secs(1);
/// Time after the stream was cut for posts to turn out to have been refused, so that their calls
/// may be sent again.
const LAST_POSTS: Duration = Duration::from_millis(500);

// === impl Posts ===

impl Posts {
    pub(super) fn new(
        session: Arc<HttpSession>,
        address: Uri,
        queue: mpsc::Receiver<Posting>,
        unsent_bytes: Arc<AtomicUsize>,
    ) -> Self {
        let under_way = FuturesUnordered::new();
        Self { session, address, queue, under_way, unsent_bytes }
    }

    /// Posts until the server can't be reached any more. Returns the reason.
    pub(super) async fn run(&mut self, link: &Weak<Link>) -> String {
        loop {
            let ended = tokio::select! {
                Some(posted) = self.under_way.next() => self.settle(link, posted),
                posting = self.queue.recv(), if self.under_way.len() < UNDER_WAY_MAX => {
                    let Some(posting) = posting else { return String::new() };
                    if posting.in_order {
                        self.post_in_order(link, posting).await
                    } else {
                        self.post(posting);
                        None
                    }
                }
            };
            if let Some(reason) = ended {
                return reason;
            }
        }
    }

    /// Stops posting because the stream ended: queued messages are lost as unsent.
    pub(super) async fn finish(&mut self, link: &Arc<Link>) {
        self.queue.close();
        while let Ok(posting) = self.queue.try_recv() {
            self.unsent_bytes.fetch_sub(posting.body.len(), Ordering::Relaxed);
            let reason = "the server's stream ended before it was sent";
            tell(link, posting.id, Lost::new(reason, Fate::Unsent, true));
        }
        let link = Arc::downgrade(link);
        let _ = tokio::time::timeout(LAST_POSTS, self.drain(&link)).await;
    }

    async fn post_in_order(&mut self, link: &Weak<Link>, posting: Posting) -> Option<String> {
        let before = tokio::time::timeout(ORDER_DEADLINE, self.drain(link)).await;
        if let Ok(Some(reason)) = before {
            return Some(reason);
        }
        self.post(posting);
        tokio::time::timeout(ORDER_DEADLINE, self.drain(link)).await.ok().flatten()
    }

    /// Waits for the posts under way. Returns why the link is unusable, if it is.
    async fn drain(&mut self, link: &Weak<Link>) -> Option<String> {
        let mut ended = None;
        while let Some(posted) = self.under_way.next().await {
            ended = self.settle(link, posted).or(ended);
        }
        ended
    }

    fn post(&self, posting: Posting) {
        let request = self.request(&posting.body);
        let again = self.request(&posting.body);
        let session = self.session.clone();
        self.under_way.push(Box::pin(async move {
            let send = async {
                match connection::send(&session, request).await {
                    // The server may have closed a connection that seemed to be open.
                    Err(failed) if failed.fate == Fate::Unsent => {
                        session.idle.clear();
                        connection::send(&session, again).await
                    }
                    response => response,
                }
            };
            let response = tokio::time::timeout(SEND_DEADLINE, send).await.ok();
            Posted { posting, response }
        }));
    }

    fn request(&self, body: &Bytes) -> Request<Full<Bytes>> {
        let mut request = self.session.request(Method::POST, body.clone());
        *request.uri_mut() = self.address.clone();
        request
    }

    /// Reports the fate of a message to the waiting caller. Returns why the link is unusable, if it
    /// is.
    fn settle(&self, link: &Weak<Link>, posted: Posted) -> Option<String> {
        let Posted { posting, response } = posted;
        self.unsent_bytes.fetch_sub(posting.body.len(), Ordering::Relaxed);
        let link = link.upgrade()?;
        let lost = match response {
            Some(Ok((head, _))) if head.status.is_success() => {
                posting.done.map(|done| done.send(()));
                return None;
            }
            Some(Ok((Head { status: StatusCode::NOT_FOUND, .. }, _))) => {
                let reason = "the server no longer knows our stream (HTTP 404 to a message)";
                Lost::new(reason, Fate::Unsent, true)
            }
            // Also the status for a stream that is gone; the stream itself reports that in a
            // moment.
            Some(Ok((head @ Head { status: StatusCode::BAD_REQUEST, .. }, body))) => {
                Lost { fate: Fate::Unsent, ..refused::lost(&self.session.target, head, &body) }
            }
            Some(Ok((head, body))) => refused::lost(&self.session.target, head, &body),
            Some(Err(failed)) => {
                let is_gone = failed.fate == Fate::Unsent;
                Lost::new(failed.reason, failed.fate, is_gone)
            }
            // The server may have accepted it; then its answer arrives on the stream.
            None if posting.id.is_some() => return None,
            None => Lost::new("not acknowledged in time", Fate::Unknown, false),
        };
        let ended = lost.link_dead.then(|| lost.reason.clone());
        if posting.id.is_none() {
            link.listener().dropped(Dropped::NotDelivered);
        }
        tell(&link, posting.id, lost);
        ended
    }
}

fn tell(link: &Link, id: Option<u64>, lost: Lost) {
    if let Some(slot) = id.and_then(|id| link.calls().remove(id)) {
        slot.push(Incoming::Lost(lost));
    }
}
