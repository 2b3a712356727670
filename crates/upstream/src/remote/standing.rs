//! The standing stream: carries notifications of a remote server, and checks that the server is
//! still there.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, StatusCode, header};
use http_body::Body as _;
use mainstay_protocol::framing::sse::SseDecoder;
use mainstay_protocol::{Message, build};
use mainstay_supervisor::backoff::Backoff;
use tokio_util::sync::CancellationToken;

use super::connection::{driven, respond};
use super::retry::Retry;
use super::session::HttpSession;
use crate::link::Link;
use crate::request::{Fate, Incoming, Outgoing, SessionNo};
use crate::turn::Turn;

#[cfg(test)]
mod tests;

/// How the standing stream ended.
enum Ended {
    /// The server has none.
    NotOffered,
    Broken,
}

/// Pause between pings while there is no standing stream.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_DEADLINE: Duration = Duration::from_secs(10);
/// Pause between two streams; it doubles while they bring nothing.
const RECONNECT_MIN: Duration = Duration::from_secs(1);
const RECONNECT_MAX: Duration = Duration::from_secs(30);
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
        let mut last_event_id = None;
        let mut retry = Retry::default();
        let floor = Backoff::try_new(RECONNECT_MIN, RECONNECT_MAX).unwrap_or_default();
        let mut offered = true;
        while let (Some(link), Some(session)) = (link.upgrade(), session.upgrade()) {
            let begun = Instant::now();
            if offered {
                match listen(&link, &session, &answered, &mut last_event_id, &mut retry).await {
                    Ended::NotOffered => offered = false,
                    Ended::Broken => {}
                }
            }
            if let Some(reason) = unreachable_reason(&link).await {
                return link.close(&reason);
            }
            drop((link, session));
            if begun.elapsed() >= LASTED {
                retry.reward();
            }
            let pause = if offered { retry.next(floor, RECONNECT_MIN) } else { PING_EVERY };
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = watch => {}
    }
}

/// Reads one stream to its end.
async fn listen(
    link: &Arc<Link>,
    session: &HttpSession,
    answered: &CancellationToken,
    last_event_id: &mut Option<String>,
    retry: &mut Retry,
) -> Ended {
    let mut request = session.request(Method::GET, Bytes::new());
    if let Some(last) = last_event_id.as_deref().and_then(|last| last.parse().ok()) {
        request.headers_mut().insert("last-event-id", last);
    }
    let response = respond(&session.idle, request).await;
    answered.cancel();
    let Ok((response, mut connection)) = response else { return Ended::Broken };
    let kind = response.headers().get(header::CONTENT_TYPE).map_or(&b""[..], |it| it.as_bytes());
    if response.status() != StatusCode::OK || !kind.starts_with(b"text/event-stream") {
        return Ended::NotOffered;
    }
    let mut body = response.into_body();
    let mut decoder = SseDecoder::new(session.message_bytes_max);
    let mut turn = Turn::default();
    loop {
        turn.pass().await;
        let frame =
            driven(&mut connection, &mut body, |body, cx| Pin::new(body).poll_frame(cx)).await;
        let Some(Ok(frame)) = frame else { return Ended::Broken };
        if let Ok(data) = frame.into_data() {
            turn.add_parsed(data.len());
            decoder.push(&data);
        }
        while let Some(event) = decoder.next_event() {
            turn.add_message(0);
            turn.pass().await;
            let Ok(event) = event else { continue };
            if let Some(id) = event.id {
                *last_event_id = Some(id).filter(|id| !id.is_empty());
            }
            retry.asked = event.retry.or(retry.asked);
            if !event.data.is_empty() {
                retry.reward();
                link.dispatch(&event.data);
            }
        }
    }
}

/// Pings the server. Returns why it counts as unreachable, if it does.
pub(super) async fn unreachable_reason(link: &Arc<Link>) -> Option<String> {
    let ping = Message::parse(build::request(0, "ping", None)).ok()?;
    let mut exchange = match link.call(&Outgoing::plain(&ping), SessionNo(0)) {
        Ok(exchange) => exchange,
        Err(lost) => return link.is_closed().then_some(lost.reason),
    };
    match tokio::time::timeout(PING_DEADLINE, exchange.next()).await {
        Ok(Incoming::Lost(lost)) if lost.fate != Fate::Refused => Some(lost.reason),
        // Any answer is a sign of life, also that ping is not known.
        Ok(_) => None,
        Err(_) => Some(format!("no answer to a ping within {PING_DEADLINE:?}")),
    }
}
