//! Merged lists: from the servers that answer in time, saying who is missing.

use std::time::Instant;

use bytes::Bytes;
use mainstay_protocol::Message;
use mainstay_protocol::build::string;
use mainstay_protocol::list::ListKind;

use crate::endpoint::Endpoint;

/// Items on one page.
const PAGE_ITEMS: usize = 1000;

/// The result of a list method, or why the cursor is no good.
pub(crate) async fn page(
    endpoint: &Endpoint,
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
            .ok_or("the cursor is not one that was given out here")?,
    };
    endpoint.settle(deadline).await;
    endpoint.freshen(kind, deadline).await;
    let catalogue = endpoint.show(kind);
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
    push_missing(endpoint, &mut out);
    out.push('}');
    Ok(out)
}

fn push_missing(endpoint: &Endpoint, out: &mut String) {
    let missing: Vec<_> = endpoint
        .missing()
        .into_iter()
        .map(|(server, state)| {
            format!(r#"{{"server":{},"state":"{}"}}"#, string(server.as_str()), state.as_str())
        })
        .collect();
    if !missing.is_empty() {
        out.push_str(&format!(r#","_meta":{{"mainstay/missing":[{}]}}"#, missing.join(",")));
    }
}
