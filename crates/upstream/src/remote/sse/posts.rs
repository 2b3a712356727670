//! Posts queued messages, many at a time, so that none waits for the round trip of another.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::Full;
use mainstay_telemetry::Dropped;
use tokio::sync::{mpsc, oneshot};

use crate::link::Link;
use crate::remote::connection::{self, Failed, Idle};
use crate::remote::exchange::unusable;
use crate::remote::{SEND_DEADLINE, Target};
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
    target: Arc<Target>,
    idle: Arc<Idle>,
    address: Uri,
    queue: mpsc::Receiver<Posting>,
    under_way: FuturesUnordered<Pin<Box<dyn Future<Output = Posted> + Send>>>,
    unsent_bytes: Arc<AtomicUsize>,
}

/// A posted message, and the status of its response. None: no response in time.
struct Posted {
    posting: Posting,
    response: Option<Result<StatusCode, Failed>>,
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
        target: Arc<Target>,
        idle: Arc<Idle>,
        address: Uri,
        queue: mpsc::Receiver<Posting>,
        unsent_bytes: Arc<AtomicUsize>,
    ) -> Self {
        let under_way = FuturesUnordered::new();
        Self { target, idle, address, queue, under_way, unsent_bytes }
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
        let idle = self.idle.clone();
        self.under_way.push(Box::pin(async move {
            let send = async {
                match connection::send(&idle, request).await {
                    // The server may have closed a connection that seemed to be open.
                    Err(failed) if !failed.sent => {
                        idle.clear();
                        connection::send(&idle, again).await
                    }
                    response => response,
                }
            };
            let response = tokio::time::timeout(SEND_DEADLINE, send).await.ok();
            Posted { posting, response }
        }));
    }

    fn request(&self, body: &Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.address.clone();
        *request.headers_mut() = self.target.headers.clone();
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        request
    }

    /// Reports the fate of a message to the waiting caller. Returns why the link is unusable, if it
    /// is.
    fn settle(&self, link: &Weak<Link>, posted: Posted) -> Option<String> {
        let Posted { posting, response } = posted;
        self.unsent_bytes.fetch_sub(posting.body.len(), Ordering::Relaxed);
        let link = link.upgrade()?;
        let lost = match response {
            Some(Ok(status)) if status.is_success() => {
                posting.done.map(|done| done.send(()));
                return None;
            }
            Some(Ok(StatusCode::NOT_FOUND)) => {
                let reason = "the server no longer knows our stream (HTTP 404 to a message)";
                Lost::new(reason, Fate::Unsent, true)
            }
            // Also the status for a stream that is gone; the stream itself reports that in a
            // moment.
            Some(Ok(StatusCode::BAD_REQUEST)) => {
                Lost::new("the server answered HTTP 400 to a message", Fate::Unsent, false)
                    .with_status(StatusCode::BAD_REQUEST)
            }
            Some(Ok(status)) => {
                let (fate, reason) = unusable(status);
                Lost::new(reason, fate, false).with_status(status)
            }
            Some(Err(failed)) => {
                let fate = if failed.sent { Fate::Unknown } else { Fate::Unsent };
                Lost::new(failed.reason, fate, !failed.sent)
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
