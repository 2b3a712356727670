//! Merged lists of several servers, with the servers that are missing.

use std::time::Instant;

use bytes::Bytes;
use mainstay_model::status::MissingItems;
use mainstay_protocol::build::string;
use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Era, Message};

use crate::endpoint::per_client_lists;
use crate::endpoint::{Endpoint, MissingServer};
use crate::session::Session;

/// Items on one page.
const PAGE_ITEMS: usize = 1000;
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
    let cursor = message
        .params()
        .map_err(|error| error.to_string())?
        .cursor
        .map(|cursor| cursor.text().map(std::borrow::Cow::into_owned));
    let from = match cursor {
        None => 0,
        Some(cursor) => cursor
            .and_then(|cursor| cursor.parse::<usize>().ok())
            .ok_or("the cursor is invalid; list again without one")?,
    };
    endpoint.wait_for_lists(era, deadline).await;
    endpoint.refresh_list(era, kind, deadline).await;
    let mut catalogue = endpoint.show(era, kind);
    if let Some(session) = session {
        let said = per_client_lists::client_facts(endpoint, session, deadline).await;
        catalogue = endpoint.show_with_client_lists(catalogue, era, kind, &said);
    }
    // Stored first, so that the names that the client is about to see lead to the same servers after a
    // crash.
    endpoint.wait_until_names_stored().await;
    let items = catalogue.items(kind);
    let to = items.len().min(from.saturating_add(PAGE_ITEMS));
    let page = items.get(from..to).unwrap_or_default();
    let mut out = String::with_capacity(page.iter().map(Bytes::len).sum::<usize>() + 256);
    out.push_str("{\"");
    out.push_str(kind.member());
    out.push_str("\":[");
    for (at, item) in page.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(std::str::from_utf8(item).unwrap_or("null"));
    }
    out.push(']');
    if to < items.len() {
        out.push_str(&format!(r#","nextCursor":"{to}""#));
    }
    let missing = missing(endpoint, era, kind);
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
    out.push('}');
    Ok(out)
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
fn missing(endpoint: &Endpoint, era: Era, kind: ListKind) -> String {
    let servers = endpoint.missing(era).into_iter().map(|server| one_missing(&server, None));
    let items = endpoint.missing_items(era, kind).into_iter();
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
