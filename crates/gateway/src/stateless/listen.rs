//! `subscriptions/listen`: a stream of the notifications that a client of 2026-07-28 wants.
//!
//! The gateway itself notifies of changed lists, after it has fetched them. For resources and for
//! notifications of extensions it listens to each server on the client's behalf, and repeats that
//! until the client closes its stream.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use mainstay_model::{EndpointId, Refusal, RefusalCode, ServerId};
use mainstay_protocol::list::ListKind;
use mainstay_protocol::revision::Era;
use mainstay_protocol::subscriptions::{self, Filter};
use mainstay_protocol::{Id, Message, codes};
use mainstay_telemetry::events::StreamRefused;
use mainstay_telemetry::{CorrelationId, Method, Outcome, StreamKind};
use parking_lot::RwLock;
use tokio::task::JoinSet;

use self::relay::Relay;
use super::request::{self, ModernRequest};
use crate::answer::{self, HttpAnswer};
use crate::directory::Directory;
use crate::endpoint::{Endpoint, route};
use crate::serving::Serving;
use crate::stream::open_stream::OpenStreamGuard;
use crate::stream::{EventStream, event};

mod relay;

/// The stream of one listening client.
#[derive(Debug)]
pub(crate) struct ListenStream {
    pub(crate) endpoint: EndpointId,
    /// Id of the request, which every message of the stream repeats.
    pub(crate) id: Id,
    /// Id of the stream in the log.
    request_id: CorrelationId,
    lists: Filter,
    stream: Arc<EventStream>,
}

/// The streams of all listening clients, by number.
pub(crate) struct ListenStreams {
    pub(super) serving: Arc<Serving>,
    pub(super) directory: Arc<Directory>,
    all: RwLock<HashMap<u64, Arc<ListenStream>>>,
    last: AtomicU64,
    /// Number of permits in use: by the streams above, and by requests for which servers are still
    /// asked.
    taken: AtomicUsize,
}

/// A permit to listen. Their number is bounded.
struct ListenPermit(Arc<ListenStreams>);

/// Removes the stream and ends its relays, when the client's stream ends.
struct ListenGuard {
    permit: ListenPermit,
    number: u64,
    /// Dropping the set ends the relays.
    _relays: JoinSet<()>,
}

/// Why a listen request fails.
enum ListenError {
    NotAcceptable,
    Invalid(String),
    Refused(Refusal),
}

/// Longest wait for acknowledgements of servers, before the client gets its own without them.
const ACKNOWLEDGE_DEADLINE: Duration = Duration::from_secs(5);
/// Largest number of URIs in one listen. The gateway and a server hold each of them.
const URIS_MAX: usize = 1000;

/// Handles `subscriptions/listen`.
pub(crate) async fn handle_listen(
    listens: &Arc<ListenStreams>,
    endpoint: &Arc<Endpoint>,
    message: &Message,
    request: ModernRequest<'_>,
) -> HttpAnswer {
    let begun = Instant::now();
    let error = match accept(listens, endpoint, message, &request).await {
        // The listen is counted when it ends.
        Ok(answer) => return answer,
        Err(error) => error,
    };
    let metrics = listens.serving.metrics.gateway();
    let (outcome, answer) = match error {
        ListenError::NotAcceptable => {
            let say = "subscriptions/listen is answered with a stream: Accept must include text/event-stream";
            let (status, id) = (StatusCode::NOT_ACCEPTABLE, Some(&request.id));
            (Outcome::Error, answer::failure(status, id, codes::INVALID_REQUEST, say))
        }
        ListenError::Invalid(say) => {
            (Outcome::Error, request::error_response(&request.id, codes::INVALID_PARAMS, &say))
        }
        ListenError::Refused(refusal) => {
            metrics.failed(refusal.code.into());
            let answer =
                request::refusal_response(Some(&request.id), refusal, &request.caller.request_id);
            (Outcome::Refused, answer)
        }
    };
    metrics.finished(Method::Listen, outcome, begun.elapsed());
    answer
}

async fn accept(
    listens: &Arc<ListenStreams>,
    endpoint: &Arc<Endpoint>,
    message: &Message,
    request: &ModernRequest<'_>,
) -> Result<HttpAnswer, ListenError> {
    if !request.accepts.event_stream {
        return Err(ListenError::NotAcceptable);
    }
    let wanted = parse_filter(message).map_err(ListenError::Invalid)?;
    if wanted.uris.len() > URIS_MAX {
        let refusal = Refusal::new(RefusalCode::LimitExceeded, "too many resources in one listen");
        return Err(ListenError::Refused(
            refusal.limit(format!("resourceSubscriptions: {URIS_MAX}")),
        ));
    }
    // Checked before any server is asked, so that a refused listen costs servers nothing.
    let permit =
        ListenPermit::take(listens).ok_or_else(|| too_many_listens(listens, endpoint, request))?;
    let stream = Arc::new(EventStream::plain(listens.serving.budget));
    let mut honoured = Filter {
        tools: wanted.tools && endpoint.notifies_changes_of(ListKind::Tools),
        prompts: wanted.prompts && endpoint.notifies_changes_of(ListKind::Prompts),
        resources: wanted.resources && endpoint.notifies_changes_of(ListKind::Resources),
        ..Filter::default()
    };
    let listen = Arc::new(ListenStream {
        endpoint: endpoint.id,
        id: request.id.detached(),
        request_id: request.caller.request_id.clone(),
        lists: honoured.clone(),
        stream: stream.clone(),
    });
    let mut relays = JoinSet::new();
    let wants_lists = wanted.tools || wanted.prompts || wanted.resources;
    let asked = start_relays((listens, endpoint), &listen, request, wanted, &mut relays);
    let until = tokio::time::Instant::now() + ACKNOWLEDGE_DEADLINE;
    let mut refused = None;
    for answer in asked {
        match tokio::time::timeout_at(until, answer).await {
            Ok(Ok(Ok(granted))) => {
                honoured.uris.extend(granted.uris);
                honoured.others.extend(granted.others);
            }
            Ok(Ok(Err(refusal))) => refused = Some(refusal),
            Ok(Err(_)) | Err(_) => {}
        }
    }
    if let Some(refusal) = refused
        && !wants_lists
        && honoured.uris.is_empty()
        && honoured.others.is_empty()
    {
        return Err(ListenError::Refused(refusal));
    }
    // Sent before the listen is registered, so that no notification precedes it.
    stream.push(event(&subscriptions::acknowledged(&request.id, &honoured)));
    let (at, request_id) = (&endpoint.state.streams, &request.caller.request_id);
    stream.set_open_guard(OpenStreamGuard::open(
        &listens.serving,
        at,
        StreamKind::Listen,
        request_id,
    ));
    let number = listens.insert(listen);
    if listens.serving.is_cutting_off() {
        // The drain that ended all other listens has missed this one.
        listens.end_all();
    }
    Ok(answer::events_until(stream, Box::new(ListenGuard { permit, number, _relays: relays })))
}

fn too_many_listens(
    listens: &ListenStreams,
    endpoint: &Endpoint,
    request: &ModernRequest<'_>,
) -> ListenError {
    let max = listens.max();
    let (kind, endpoint, request_id) =
        (StreamKind::Listen, &endpoint.path(), &request.caller.request_id);
    StreamRefused { kind, endpoint, request_id, max }.emit(&listens.serving.metrics);
    let refusal = Refusal::new(
        RefusalCode::SessionLimit,
        format!("{max} clients are listening already, which is the limit"),
    );
    ListenError::Refused(
        refusal
            .limit(format!("max_sessions: {max}"))
            .retry_after(Duration::from_secs(30))
            .hint("close listens that are no longer needed, or raise gateway.max_sessions"),
    )
}

fn parse_filter(message: &Message) -> Result<Filter, String> {
    let params = message.params().map_err(|error| error.to_string())?;
    let filter = params.notifications.ok_or("`notifications` is missing")?;
    Filter::parse(filter.raw).map_err(|error| error.to_string())
}

/// Starts a relay for each server of which the client wants more than changes of lists. Returns
/// receivers of what each server grants, or of why it can't be asked now.
fn start_relays(
    (listens, endpoint): (&Arc<ListenStreams>, &Endpoint),
    listen: &Arc<ListenStream>,
    request: &ModernRequest<'_>,
    wanted: Filter,
    relays: &mut JoinSet<()>,
) -> Vec<tokio::sync::oneshot::Receiver<Result<Filter, Refusal>>> {
    let mut of: BTreeMap<ServerId, Vec<(String, String)>> = BTreeMap::new();
    for uri in wanted.uris {
        let found = route::find_resource(endpoint, Era::Modern, &uri);
        // URIs without a server here are not honoured, like those of servers without subscriptions.
        if let Some((server, own)) = found.filter(|(server, _)| endpoint.can_subscribe(*server)) {
            of.entry(server).or_default().push((own, uri));
        }
    }
    // With several servers, the fields of extensions can't be assigned to one of them.
    if endpoint.single && !wanted.others.is_empty() {
        of.entry(endpoint.servers[0].id).or_default();
    }
    let mut asked = Vec::new();
    for (server, uris) in of {
        let others = if endpoint.single { wanted.others.clone() } else { BTreeMap::new() };
        let (relay, answer) =
            Relay::new(listens, listen, server, &request.caller.principal, uris, others);
        relays.spawn(relay.run());
        asked.push(answer);
    }
    asked
}

// === impl ListenStream ===

impl ListenStream {
    /// Sends a message. A client that reads too slowly for it loses its stream, and so notices.
    fn send(&self, message: &[u8]) {
        if !self.stream.try_push(event(message)) {
            self.stream.end();
        }
    }

    /// Ends the stream with its final message.
    fn end(&self) {
        self.stream.push(event(&subscriptions::ended(&self.id)));
        self.stream.end();
    }
}

// === impl ListenStreams ===

impl ListenStreams {
    pub(super) fn new(serving: &Arc<Serving>, directory: &Arc<Directory>) -> Arc<Self> {
        let (all, last, taken) = Default::default();
        Arc::new(Self { serving: serving.clone(), directory: directory.clone(), all, last, taken })
    }

    /// Returns the largest number of listening clients: that of sessions.
    fn max(&self) -> usize {
        self.serving.settings().limits.sessions_max
    }

    /// Adds a stream. Returns its number.
    fn insert(&self, listen: Arc<ListenStream>) -> u64 {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        self.all.write().insert(number, listen);
        number
    }

    /// Notifies clients that listen at these endpoints of changed lists, which were fetched
    /// already.
    pub(crate) fn lists_changed(&self, endpoints: &[EndpointId], kinds: &[ListKind]) {
        for listen in self.all.read().values() {
            if !endpoints.contains(&listen.endpoint) {
                continue;
            }
            for kind in kinds.iter().filter(|kind| listen.lists.wants(**kind)) {
                if let Some(message) = subscriptions::list_changed(&listen.id, *kind) {
                    listen.send(&message);
                }
            }
        }
    }

    /// Ends all streams with their final message.
    pub(crate) fn end_all(&self) {
        for (_, listen) in self.all.write().drain() {
            listen.end();
        }
    }

    /// Ends the streams at endpoints that are gone.
    pub(crate) fn end_at(&self, endpoints: &[EndpointId]) {
        let gone = |listen: &ListenStream| endpoints.contains(&listen.endpoint);
        for (_, listen) in self.all.write().extract_if(|_, listen| gone(listen)) {
            listen.end();
        }
    }
}

impl Drop for ListenGuard {
    fn drop(&mut self) {
        self.permit.0.all.write().remove(&self.number);
    }
}

// === impl ListenPermit ===

impl ListenPermit {
    /// Takes a permit. None: all are in use.
    fn take(listens: &Arc<ListenStreams>) -> Option<Self> {
        let max = listens.max();
        let one_more = |taken| (taken < max).then_some(taken + 1);
        listens.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Self(listens.clone()))
    }
}

impl Drop for ListenPermit {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}
