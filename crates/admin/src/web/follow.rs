//! Answers that go on: event streams of what is new.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use mainstay_protocol::framing::sse;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::api::problem::Rejection;

/// Streams at the same time. Each holds one connection and nothing else: what a slow reader misses is read
/// from memory later, or left out.
const STREAMS_MAX: usize = 32;

/// The interval of signs of life, which keep proxies from closing a silent stream.
const ALIVE_EVERY: Duration = Duration::from_secs(10);

/// Places for streams.
#[derive(Debug, Clone)]
pub(crate) struct Followers(Arc<Semaphore>);

/// What is followed.
pub(crate) trait Feed: Send + 'static {
    type Item: Serialize + Send;

    /// Waits for items after this number, oldest first. None: there will be no more.
    fn next(&mut self, after: u64) -> impl Future<Output = Option<Vec<Self::Item>>> + Send;

    fn number(item: &Self::Item) -> u64;
}

/// An event of an event stream.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only describes what is sent")]
pub(crate) struct StreamedItem {
    /// The number of the item.
    id: String,
    /// The item as JSON text: one of those that the page without `follow` lists.
    data: String,
}

struct Following<F> {
    feed: F,
    after: u64,
    _place: OwnedSemaphorePermit,
}

// === impl Followers ===

impl Default for Followers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS_MAX)))
    }
}

// === impl Following ===

impl<F: Feed> Following<F> {
    /// The next bytes of the stream. None: it has ended.
    async fn bytes(&mut self) -> Option<Bytes> {
        let Ok(items) = timeout(ALIVE_EVERY, self.feed.next(self.after)).await else {
            return Some(Bytes::from_static(sse::COMMENT));
        };
        let mut text = String::new();
        for item in items? {
            self.after = self.after.max(F::number(&item));
            let Ok(data) = serde_json::to_string(&item) else { continue };
            text.push_str(&format!("id: {}\ndata: {data}\n\n", self.after));
        }
        Some(text.into())
    }
}

/// The event stream of a feed.
///
/// # Errors
/// Where too many are open.
pub(crate) fn stream(followers: &Followers, feed: impl Feed) -> Result<Response, Rejection> {
    let place = followers.0.clone().try_acquire_owned().map_err(|_| Rejection::busy())?;
    let following = Following { feed, after: 0, _place: place };
    let events = stream::unfold(following, async |mut following| {
        let bytes = following.bytes().await?;
        Some((Ok::<_, Infallible>(bytes), following))
    });
    Ok(([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(events)).into_response())
}

/// Reads the time since when something is asked for.
pub(crate) fn time(text: &str) -> Result<SystemTime, Rejection> {
    text.parse::<Timestamp>().map(SystemTime::from).map_err(|_| {
        Rejection::new(StatusCode::BAD_REQUEST, "since must be a time as RFC 3339")
            .at("query parameter `since`")
            .hint("ask with `?since=2026-01-31T12:00:00Z`")
    })
}
