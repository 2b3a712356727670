//! Fetches a server's lists, page by page.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use mainstay_protocol::capabilities::ServerCapabilities;
use mainstay_protocol::list::{Caching, ListKind, ListPage};
use mainstay_protocol::mirror::MirroredArguments;
use mainstay_protocol::{Era, build, codes};

use super::ask::{HandshakeError, ask};
use crate::facts::{Cut, Item, List, Lists};
use crate::link::Link;

/// A list of more pages or items than this is cut: a server that always names a next page must
/// not keep us for ever.
pub(super) const PAGES_MAX: usize = 200;
pub(super) const ITEMS_MAX: usize = 20_000;

/// Fetches every list that the server declares in its capabilities.
///
/// # Errors
/// As [`ask`].
pub async fn lists(
    link: &Arc<Link>,
    capabilities: ServerCapabilities,
) -> Result<Lists, HandshakeError> {
    let mut lists = Lists::default();
    for kind in ListKind::ALL {
        if capabilities.has_list(kind) {
            lists.set(kind, list(link, kind).await?);
        }
    }
    Ok(lists)
}

/// Fetches one list page by page, up to 200 pages and 20,000 items.
///
/// # Errors
/// As [`ask`]. A server that has the capability but not the method has an empty list.
pub async fn list(link: &Arc<Link>, kind: ListKind) -> Result<List, HandshakeError> {
    let method = kind.method().as_str();
    let mut list = List::default();
    let mut caching: Option<Caching> = None;
    let mut cursor: Option<String> = None;
    let mut seen = HashSet::new();
    for pages in 1.. {
        let params =
            cursor.as_ref().map(|cursor| format!(r#"{{"cursor":{}}}"#, build::string(cursor)));
        let page = match ask(link, method, params.as_deref()).await? {
            Ok(page) => page,
            Err(error) if error.code == Some(codes::METHOD_NOT_FOUND) => break,
            Err(error) => {
                return Err(HandshakeError::Protocol(format!("it answered {method} with {error}")));
            }
        };
        let text = String::from_utf8_lossy(&page);
        let parsed = ListPage::parse(&text, kind).map_err(|error| {
            HandshakeError::Protocol(format!("its answer to {method} is no list: {error}"))
        })?;
        caching = Some(caching.map_or(parsed.caching, |before| before.and(parsed.caching)));
        list.gaps.nameless += parsed.malformed;
        take_items(link, kind, &page, &parsed, &mut list);
        // An empty cursor is as good as any.
        let Some(next) = parsed.next_cursor else { break };
        list.gaps.cut = if !seen.insert(next.to_string()) {
            Some(Cut::Circle)
        } else if list.items.len() >= ITEMS_MAX {
            Some(Cut::Items(ITEMS_MAX))
        } else if pages >= PAGES_MAX {
            Some(Cut::Pages(PAGES_MAX))
        } else {
            None
        };
        if list.gaps.cut.is_some() {
            break;
        }
        cursor = Some(next.into_owned());
    }
    list.caching = caching.unwrap_or_default();
    Ok(list)
}

fn take_items(link: &Link, kind: ListKind, page: &Bytes, parsed: &ListPage<'_>, list: &mut List) {
    let has_mirrors = link.era() == Era::Modern && kind == ListKind::Tools;
    for item in &parsed.items {
        let mirrors = if has_mirrors {
            MirroredArguments::of_tool(item.raw)
        } else {
            Ok(MirroredArguments::default())
        };
        let mirrors = match mirrors {
            Ok(mirrors) => mirrors,
            Err(error) if link.abilities().mirrors_arguments => {
                list.unusable.push((item.key.as_ref().into(), error));
                continue;
            }
            // A process gets no mirrored headers, and clients over HTTP leave the tool out
            // themselves.
            Err(_) => MirroredArguments::default(),
        };
        list.items.push(Item {
            raw: page.slice(item.span.clone()),
            key: item.key.as_ref().into(),
            key_span: item.key_span_in_item(),
            hints: item.hints,
            mirrors,
        });
    }
}
