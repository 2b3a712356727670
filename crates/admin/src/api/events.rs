//! What changed: the condition of servers, and the starts and stops of the daemon.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use mainstay_model::{ChangeKind, Condition};
use mainstay_store::events::{AGE_MAX, PAGE_MAX};
use mainstay_store::{EventLog, EventsAsked, EventsOf, StoredEvent, Unavailable};
use mainstay_telemetry::ChangeFollower;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::{BadRequest, Forbidden, Problem, Rejection, Standard};
use super::words;
use crate::access::Visitor;
use crate::context::Shared;
use crate::source::View;
use crate::web::follow::{self, Feed, StreamedItem};
use crate::web::read;

/// Events, oldest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct EventPage {
    pub events: Vec<EventRecord>,
    /// Whether there are more: newer ones with `after`, else older ones.
    pub cut: bool,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventRecord {
    /// Rises with each event, also over restarts of the daemon.
    pub id: u64,
    /// When it happened, as RFC 3339.
    pub at: String,
    pub of: EventSubject,
    /// The name of the server. Absent for the daemon itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub name: Option<String>,
    /// The number of the instance because of which the server changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub instance: Option<u64>,
    /// What the change is called.
    #[schema(schema_with = words::change)]
    pub event: String,
    #[schema(schema_with = words::condition)]
    pub from: String,
    #[schema(schema_with = words::condition)]
    pub to: String,
    /// Why. For the operator: with paths, and with the last output of a process that died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EventSubject {
    Daemon,
    Server,
}

/// Which events are asked for.
#[derive(Debug, Default, Deserialize)]
struct Which {
    name: Option<String>,
    /// RFC 3339.
    since: Option<String>,
    after: Option<u64>,
    limit: Option<usize>,
    #[serde(default)]
    follow: bool,
}

/// The events as a stream.
struct Events {
    log: Arc<dyn EventLog>,
    follower: ChangeFollower,
    asked: EventsAsked,
    view: View,
}

/// Events of an answer, unless the request says how many.
const USUAL: usize = 100;

/// The time after which a store is read again that could not be read, or that had not stored all.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

// === impl Which ===

impl Which {
    fn asked(&self) -> Result<EventsAsked, Rejection> {
        let limit =
            Some(self.limit.unwrap_or(USUAL)).filter(|limit| (1..=PAGE_MAX).contains(limit));
        let limit = limit.ok_or_else(|| {
            let error = format!("limit must be a number from 1 to {PAGE_MAX}");
            let problem = Rejection::new(StatusCode::BAD_REQUEST, error);
            problem.at("query parameter `limit`").hint(format!("ask with `?limit={USUAL}`"))
        })?;
        let since = self.since.as_deref().map(follow::time).transpose()?;
        let since = since.and_then(|since| since.duration_since(UNIX_EPOCH).ok());
        let since_ms =
            since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        if self.after.is_some_and(|after| i64::try_from(after).is_err()) {
            let problem = Rejection::new(StatusCode::BAD_REQUEST, "after is higher than any id");
            return Err(problem
                .at("query parameter `after`")
                .hint("ask with the `id` of an event"));
        }
        let of = self.name.clone().map_or(EventsOf::All, EventsOf::Server);
        // The oldest are removed when newer ones come.
        let since_ms = since_ms.max(oldest_ms());
        Ok(EventsAsked { after: self.after, since_ms, of, limit })
    }
}

/// When the oldest event may have happened that is still shown, in milliseconds since 1970.
fn oldest_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.saturating_sub(AGE_MAX).as_millis()).unwrap_or(u64::MAX)
}

// === impl Events ===

impl Feed for Events {
    type Item = EventRecord;

    async fn next(&mut self, after: u64) -> Option<Vec<EventRecord>> {
        let after = if after > 0 { Some(after) } else { self.asked.after };
        loop {
            let goes_on = self.follower.catch_up();
            // Asked before the page is: what is stored then is on it.
            let all_stored = self.log.stored().await;
            match self.log.page(EventsAsked { after, ..self.asked.clone() }).await {
                Ok(page) if !page.events.is_empty() => {
                    return Some(records(page.events, self.view));
                }
                _ if !goes_on => return None,
                Ok(_) if all_stored => self.follower.changed().await,
                // No change wakes anybody when what waits is stored at last.
                Ok(_) => _ = timeout(AGAIN_AFTER, self.follower.changed()).await,
                Err(_) => tokio::time::sleep(AGAIN_AFTER).await,
            }
        }
    }

    fn number(item: &EventRecord) -> u64 {
        item.id
    }
}

// === impl EventRecord ===

impl EventRecord {
    fn new(stored: StoredEvent, view: View) -> Self {
        let StoredEvent { id, event } = stored;
        let at = i64::try_from(event.at_ms).ok();
        let at = at.and_then(|at_ms| Timestamp::from_millisecond(at_ms).ok()).unwrap_or_default();
        let conditions = Condition::from_word(&event.from).zip(Condition::from_word(&event.to));
        let kind = conditions.map(|(from, to)| ChangeKind::of(from, to).as_str().to_owned());
        Self {
            id,
            at: format!("{at:.3}"),
            of: if event.server.is_none() { EventSubject::Daemon } else { EventSubject::Server },
            name: event.server,
            instance: event.instance,
            event: kind.unwrap_or_else(|| event.to.clone()),
            from: event.from,
            to: event.to,
            reason: match view {
                View::Operator => event.reason,
                View::Open => event.brief_reason,
            },
        }
    }
}

fn records(events: Vec<StoredEvent>, view: View) -> Vec<EventRecord> {
    events.into_iter().map(|stored| EventRecord::new(stored, view)).collect()
}

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default().routes(routes!(events))
}

/// Lists what changed, oldest first: by default the newest events, with `after` those that follow one.
///
/// With `follow=true` the answer is an event stream: it begins with the same events, goes on with each new
/// one, and ends when the daemon does. The data of each event of the stream is one change. Its id is that of the
/// change: whoever asks again with the header `Last-Event-ID` goes on after it.
#[utoipa::path(
    get,
    path = "/api/events",
    tag = "events",
    params(
        ("name" = Option<String>, Query, description = "Only events of this server."),
        ("since" = Option<String>, Query, description = "Only events since this time, as RFC 3339.", format = DateTime),
        (
            "after" = Option<u64>,
            Query,
            description = "Only events after the one with this id, and the oldest of them instead of the newest.",
        ),
        (
            "limit" = Option<u64>,
            Query,
            description = "How many events at most.",
            minimum = 1,
            maximum = 1000,
        ),
        ("follow" = Option<bool>, Query, description = "Whether to stream events as they come."),
    ),
    responses(
        (
            status = 200,
            description = "Events, oldest first.",
            content((EventPage = "application/json"), (StreamedItem = "text/event-stream")),
        ),
        (status = 404, description = "There is and was no such server.", body = Problem),
        BadRequest,
        Forbidden,
        Standard,
    ),
    security((), ("token" = [])),
)]
async fn events(
    State(admin): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    read::Query(which): read::Query<Which>,
) -> Result<Response, Rejection> {
    let mut asked = which.asked()?;
    if which.follow {
        asked.after = last_event_id(&headers).or(asked.after);
    }
    if let EventsOf::Server(name) = &asked.of
        && admin.source.pool(name).is_none()
    {
        let any = EventsAsked { of: asked.of.clone(), limit: 1, ..EventsAsked::default() };
        if admin.events.page(any).await.map_err(|error| unreadable(&error))?.events.is_empty() {
            let names = admin.source.names();
            if !names.contains(name) {
                let names = names.into_iter();
                return Err(Rejection::no_such_server("query parameter `name`", names));
            }
        }
    }
    let view = visitor.view();
    if which.follow {
        let followers = match view {
            View::Operator => &admin.followers,
            View::Open => &admin.open_followers,
        };
        let (log, follower) = (admin.events.clone(), admin.metrics.changes().follow());
        return follow::stream(followers, Events { log, follower, asked, view });
    }
    let page = admin.events.page(asked).await.map_err(|error| unreadable(&error))?;
    let (events, cut) = (records(page.events, view), page.is_cut);
    Ok(Json(EventPage { events, cut }).into_response())
}

/// The event after which a reader goes on whose stream broke off.
fn last_event_id(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

fn unreadable(error: &Unavailable) -> Rejection {
    Rejection::new(StatusCode::SERVICE_UNAVAILABLE, format!("the events can't be read: {error}"))
        .hint("look at the disk of the state folder, and try again")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use mainstay_store::events::EventPage as StoredPage;
    use mainstay_store::{Answer, Event, EventLog, EventsAsked, Stored, StoredEvent};
    use mainstay_telemetry::Metrics;

    use super::{Events, Feed, View};

    /// A log on a full disk, until there is room.
    #[derive(Debug, Default)]
    struct Full(AtomicBool);

    impl EventLog for Full {
        fn record(&self, _: Event) {}

        fn page(&self, asked: EventsAsked) -> Answer<'_, StoredPage> {
            let event = StoredEvent { id: 7, event: Event::default() };
            let has_room = self.0.load(Ordering::Relaxed);
            let events = Some(event).filter(|event| has_room && asked.includes(event));
            let events = events.into_iter().collect();
            Box::pin(async { Ok(StoredPage { events, is_cut: false }) })
        }

        fn stored(&self) -> Stored<'_> {
            Box::pin(async { self.0.load(Ordering::Relaxed) })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_stored_late_is_followed_without_another_change() {
        let (log, metrics) = (Arc::new(Full::default()), Metrics::new("1", []));
        let asked = EventsAsked { limit: 10, ..EventsAsked::default() };
        let follower = metrics.changes().follow();
        let mut feed = Events { log: log.clone(), follower, asked, view: View::Open };
        let ten = Duration::from_secs(10);
        assert!(tokio::time::timeout(ten, feed.next(0)).await.is_err());
        log.0.store(true, Ordering::Relaxed);
        let events = tokio::time::timeout(ten, feed.next(0)).await.unwrap().unwrap();
        assert_eq!(events[0].id, 7);
    }
}
