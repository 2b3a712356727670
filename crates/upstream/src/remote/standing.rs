//! The standing stream: carries notifications of a remote server, and checks that the server is
//! still there.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, StatusCode};
use mainstay_supervisor::backoff::Backoff;
use tokio_util::sync::CancellationToken;

use super::connection::{Responded, respond};
use super::events::{EventSource, is_event_stream};
use super::gone;
use super::retry::Retry;
use super::session::HttpSession;
use crate::link::Link;

#[cfg(test)]
mod tests;

/// How the standing stream ended.
enum Ended {
    /// The server has none.
    NotOffered,
    /// It may be had later.
    Broken,
    /// The server counts as unreachable, for this reason.
    Unreachable(String),
}

/// The state of a standing stream over all its connections.
struct Standing {
    offered: bool,
    last_event_id: Option<String>,
    /// Waits between two streams.
    reconnect: Retry,
    /// Waits between two pings while there is no standing stream.
    ping: Retry,
    /// Pause between pings while the stream brings nothing.
    silence: Duration,
}

/// Pause between pings while there is no standing stream; it doubles each time. A call finds out
/// itself that its server is gone.
const PING_MIN: Duration = Duration::from_secs(10);
const PING_MAX: Duration = Duration::from_secs(180);
/// Pause between pings while a stream brings nothing: servers end sessions that are unused for five
/// minutes, and a stream to a machine that is gone looks like one on which nothing is said.
const SILENCE_MAX: Duration = Duration::from_secs(180);
/// Pause between two streams; it doubles while they bring nothing.
const RECONNECT_MIN: Duration = Duration::from_secs(1);
const RECONNECT_MAX: Duration = Duration::from_secs(120);
/// A stream that stood this long was no failure, even if there was nothing to say.
const LASTED: Duration = Duration::from_secs(10);

/// Runs until `stop` is cancelled or the link is gone. Cancels `answered` when the server has answered
/// the request for the first stream, or can't be asked.
pub(super) async fn run(
    link: Weak<Link>,
    session: Weak<HttpSession>,
    answered: CancellationToken,
    stop: CancellationToken,
) {
    let watch = async {
        let mut standing = Standing::new();
        while let (Some(link), Some(session)) = (link.upgrade(), session.upgrade()) {
            let pause = match standing.stand_and_ping(&link, &session, &answered).await {
                Ok(pause) => pause,
                Err(reason) => return link.close(&reason),
            };
            drop((link, session));
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = watch => {}
    }
}

// === impl Standing ===

impl Standing {
    fn new() -> Self {
        let (reconnect, ping) = (Retry::default(), Retry::default());
        let silence = SILENCE_MAX;
        Self { offered: true, last_event_id: None, reconnect, ping, silence }
    }

    /// Reads one stream to its end, then pings. Returns the pause before the next stream, or why
    /// the server counts as unreachable.
    async fn stand_and_ping(
        &mut self,
        link: &Arc<Link>,
        session: &Arc<HttpSession>,
        answered: &CancellationToken,
    ) -> Result<Duration, String> {
        let begun = Instant::now();
        if self.offered {
            match self.listen(link, session, answered).await {
                Ended::NotOffered => self.offered = false,
                Ended::Broken => {}
                Ended::Unreachable(reason) => return Err(reason),
            }
        }
        // A server that wants to be left alone is alive.
        if let Some(rest) = session.target.rest.left(Instant::now()) {
            return Ok(rest);
        }
        if let Some(reason) = unreachable_reason(link, session).await {
            return Err(reason);
        }
        if begun.elapsed() >= LASTED {
            self.reconnect.reward();
        }
        Ok(if self.offered {
            let floor = Backoff::try_new(RECONNECT_MIN, RECONNECT_MAX).unwrap_or_default();
            self.reconnect.next(floor, RECONNECT_MIN)
        } else {
            let floor = Backoff::try_new(PING_MIN, PING_MAX).unwrap_or_default();
            self.ping.next(floor, PING_MIN)
        })
    }

    /// Reads one stream to its end.
    async fn listen(
        &mut self,
        link: &Arc<Link>,
        session: &HttpSession,
        answered: &CancellationToken,
    ) -> Ended {
        let mut request = session.request(Method::GET, Bytes::new());
        if let Some(last) = self.last_event_id.as_deref().and_then(|last| last.parse().ok()) {
            request.headers_mut().insert("last-event-id", last);
        }
        let response = respond(session, request).await;
        answered.cancel();
        let Ok(Responded { response, head, connection }) = response else { return Ended::Broken };
        match head.status {
            StatusCode::OK if is_event_stream(response.headers()) => {}
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                return Ended::Broken;
            }
            _ => return Ended::NotOffered,
        }
        let events = EventSource::new(response, connection, session.limits);
        let Ok(mut events) = events else { return Ended::NotOffered };
        loop {
            let event = match tokio::time::timeout(
                self.silence,
                events.next(|| link.life().note_heard(), || false),
            )
            .await
            {
                Ok(Ok(Ok(event))) => event,
                // One that is too large.
                Ok(Ok(Err(_))) => continue,
                Ok(Err(_)) => return Ended::Broken,
                Err(_) if link.in_flight() > 0 => continue,
                Err(_) => match unreachable_reason(link, session).await {
                    Some(reason) => return Ended::Unreachable(reason),
                    None => continue,
                },
            };
            if let Some(id) = event.id {
                self.last_event_id = Some(id).filter(|id| !id.is_empty());
            }
            self.reconnect.asked = event.retry.or(self.reconnect.asked);
            if !event.data.is_empty() {
                self.reconnect.reward();
                events.dispatch(link, &event.data);
            }
        }
    }
}

/// Pings the server. Returns why it counts as unreachable, if it does.
pub(super) async fn unreachable_reason(link: &Arc<Link>, session: &HttpSession) -> Option<String> {
    let ping = gone::ping(link).await;
    session.suspicions.judge(ping, &session.target.renewals, Instant::now())
}
