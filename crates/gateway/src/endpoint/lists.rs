//! Pages of merged lists, with the servers that are missing.

use std::sync::Arc;
use std::time::Instant;

use mainstay_model::status::MissingItems;
use mainstay_protocol::build::string;
use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Era, Message};
use mainstay_session::catalogue::Listing;
use mainstay_session::catalogue::pages::{Cursor, PageBounds};

use crate::endpoint::per_client_lists;
use crate::endpoint::{Endpoint, MissingServer};
use crate::session::Session;

/// The bounds of a page. Many clients read only the first page, so it is as large as clients can read
/// well.
const PAGE: PageBounds = PageBounds { items: 1000, bytes: 2 << 20 };
/// The bounds of a page for HTTP+SSE, where a page is one event. Readers of event streams bound an event,
/// the Python SDK at 1 MiB.
const EVENT_PAGE: PageBounds = PageBounds { items: 1000, bytes: 512 << 10 };
/// Names of missing items in one entry.
const NAMED_MAX: usize = 50;

/// Returns the result of a list method, or why the cursor is invalid. With a session, adds what
/// servers list for its client only.
pub(crate) async fn page(
    endpoint: &Endpoint,
    session: Option<&Session>,
    era: Era,
    kind: ListKind,
    message: &Message,
    deadline: Instant,
) -> Result<String, String> {
    let cursor = cursor_of(message)?;
    if cursor.is_none() {
        endpoint.wait_for_lists(era, deadline).await;
        endpoint.refresh_list(era, kind, deadline).await;
    }
    let mut listing = endpoint.show(era, kind);
    if let Some(session) = session {
        let said = per_client_lists::client_facts(endpoint, session, deadline).await;
        listing = endpoint.show_with_client_lists(listing, era, kind, said);
    }
    // Stored first, so that the names that the client is about to see lead to the same servers after a
    // crash.
    endpoint.wait_until_names_stored().await;
    let (listing, from) = match cursor {
        None => (listing, 0),
        Some(cursor) => continued(endpoint, kind, listing, &cursor)
            .ok_or("the list has changed since the cursor was given; list again without one")?,
    };
    let has_one_stream = session.is_some_and(Session::has_one_stream);
    let page = listing.page(from, if has_one_stream { EVENT_PAGE } else { PAGE });
    if page.next.is_some() {
        endpoint.state.paged.keep(kind, &listing, Instant::now());
    }
    let bytes: usize = page.entries.iter().map(|entry| entry.raw.len() + 1).sum();
    let mut out = String::with_capacity(bytes + 512);
    out.push_str("{\"");
    out.push_str(kind.member());
    out.push_str("\":[");
    for (at, entry) in page.entries.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(std::str::from_utf8(&entry.raw).unwrap_or("null"));
    }
    out.push(']');
    if let Some(next) = page.next {
        out.push_str(&format!(r#","nextCursor":"{next}""#));
    }
    push_meta(&mut out, endpoint, era, kind, &listing);
    out.push('}');
    Ok(out)
}

/// Returns a list at the endpoint of one server, as it is known, if calls of the server are refused because its
/// breaker is not closed. None: the server itself is asked, or the list is not known.
pub(crate) fn known_page(
    endpoint: &Endpoint,
    era: Era,
    kind: ListKind,
    message: &Message,
) -> Option<String> {
    let [server] = &endpoint.servers[..] else { return None };
    if server.pool.breaker.is_closed() || message.params().ok()?.cursor.is_some() {
        return None;
    }
    let facts = server.pool.facts(era)?;
    if facts.lists.failure(kind).is_some() || !facts.capabilities.has_list(kind) {
        return None;
    }
    let items = facts.lists.of(kind).iter();
    let items: Vec<_> = items.map(|item| String::from_utf8_lossy(&item.raw)).collect();
    let caching = match era {
        Era::Legacy => String::new(),
        // It may have changed.
        Era::Modern => format!(
            r#","resultType":"complete","ttlMs":0,"cacheScope":"private","_meta":{{{}}}"#,
            server_info()
        ),
    };
    Some(format!(r#"{{"{}":[{}]{caching}}}"#, kind.member(), items.join(",")))
}

fn cursor_of(message: &Message) -> Result<Option<Cursor>, String> {
    let params = message.params().map_err(|error| error.to_string())?;
    let Some(cursor) = params.cursor else { return Ok(None) };
    let cursor = cursor.text().and_then(|text| text.parse().ok());
    cursor.map(Some).ok_or_else(|| "the cursor is invalid; list again without one".to_owned())
}

/// Returns the list at which a cursor continues, and the position: the list of the page before, even if
/// it has changed since. Where that is not kept any more, the present list continues after the last item
/// of the page before.
fn continued(
    endpoint: &Endpoint,
    kind: ListKind,
    now: Arc<Listing>,
    cursor: &Cursor,
) -> Option<(Arc<Listing>, usize)> {
    let kept = if now.has(cursor) { None } else { endpoint.state.paged.find(kind, cursor) };
    let list = kept.unwrap_or(now);
    let position = list.position(cursor)?;
    Some((list, position))
}

/// Appends the members that follow the items: `_meta`, and for 2026-07-28 the caching rules.
fn push_meta(out: &mut String, endpoint: &Endpoint, era: Era, kind: ListKind, listing: &Listing) {
    let missing = missing(endpoint, era, kind, listing);
    match era {
        Era::Legacy if missing.is_empty() => {}
        Era::Legacy => out.push_str(&format!(r#","_meta":{{{missing}}}"#)),
        Era::Modern => {
            let caching = endpoint.caching(era, kind);
            let scope = if caching.public { "public" } else { "private" };
            let ttl = caching.ttl_ms.unwrap_or(0);
            let more = if missing.is_empty() { String::new() } else { format!(",{missing}") };
            out.push_str(&format!(
                r#","resultType":"complete","ttlMs":{ttl},"cacheScope":"{scope}","_meta":{{{}{more}}}"#,
                server_info()
            ));
        }
    }
}

/// Returns the member of `_meta` that names the gateway.
pub(crate) fn server_info() -> String {
    format!(
        r#""io.modelcontextprotocol/serverInfo":{{"name":"mainstay","version":"{}"}}"#,
        env!("CARGO_PKG_VERSION")
    )
}

/// Returns the member of `_meta` that names missing servers, and what is missing of others. Empty:
/// nothing is missing.
fn missing(endpoint: &Endpoint, era: Era, kind: ListKind, listing: &Listing) -> String {
    let servers = endpoint.missing(era).into_iter().map(|server| one_missing(&server, None));
    let without_room = endpoint.items_without_room(kind, listing);
    let items = endpoint.missing_items(era, kind).into_iter().chain(without_room);
    let items = items.map(|(server, items)| one_missing(&server, Some(&items)));
    let all: Vec<_> = servers.chain(items).collect();
    if all.is_empty() {
        String::new()
    } else {
        format!(r#""mainstay/missing":[{}]"#, all.join(","))
    }
}

fn one_missing(missing: &MissingServer<'_>, items: Option<&MissingItems>) -> String {
    let (server, state) = (string(missing.server.as_str()), missing.state.as_str());
    let mut out = format!(r#"{{"server":{server},"state":"{state}""#);
    if let Some(why) = &missing.why {
        out.push_str(&format!(r#","why":{}"#, string(why)));
    }
    if let Some(MissingItems { list, items, .. }) = items {
        out.push_str(&format!(r#","list":{}"#, string(list)));
        if !items.is_empty() {
            let named: Vec<_> = items.iter().take(NAMED_MAX).map(|name| string(name)).collect();
            out.push_str(&format!(r#","items":[{}]"#, named.join(",")));
        }
    }
    out.push('}');
    out
}
