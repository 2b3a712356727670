//! The first words with a server: which era it speaks, what it can do, what it has.
//!
//! `initialize` is sent first, because asking a legacy server for `server/discover` is not
//! harmless: some end themselves, and servers of both eras then refuse `initialize` for good.
//! Only a server that refuses `initialize` is asked whether it is modern, or one of which only that is
//! to be found out.

mod modern;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use mainstay_model::settings::RevisionChoice;
use mainstay_protocol::capabilities::ServerCapabilities;
use mainstay_protocol::initialize::{InitializeResult, initialize_params};
use mainstay_protocol::list::{Caching, ListKind, ListPage};
use mainstay_protocol::mirror::MirroredArguments;
use mainstay_protocol::revision::Revision;
use mainstay_protocol::{Era, Kind, Message, build, codes};

use crate::exchange::{Fate, Incoming, Outgoing, SessionNo};
use crate::facts::{Cut, Facts, Item, List, Lists};
use crate::link::Link;

/// Requests of our own.
const OURSELVES: SessionNo = SessionNo(0);
/// A list of more pages or items than this is cut: a server that always names a next page must
/// not keep us for ever.
const PAGES_MAX: usize = 200;
const ITEMS_MAX: usize = 20_000;

pub use modern::listen;

/// Why a server did not become ready.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// It is gone, or the link is.
    #[error("{0}")]
    Lost(String),
    /// It answers, and will never answer otherwise.
    #[error("{0}")]
    Unserveable(String),
    /// It answers, but not with what it should.
    #[error("{0}")]
    Protocol(String),
    /// It answers, and does not speak the era it was asked in.
    #[error("{0}")]
    NotSpoken(String),
}

/// An error that a server answered a request of ours with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{body}")]
pub struct ErrorAnswer {
    /// None where it is no number, against the rules.
    pub code: Option<i32>,
    /// The JSON of the error.
    pub body: String,
}

/// Shakes hands and fetches all lists. The caller bounds the time.
///
/// `capabilities` is the JSON of what the clients of this instance can do.
///
/// # Errors
/// When the server is gone, refuses, or speaks no revision we serve.
pub async fn shake(
    link: &Arc<Link>,
    choice: RevisionChoice,
    capabilities: &str,
) -> Result<Facts, HandshakeError> {
    if choice == RevisionChoice::Modern {
        return modern::discover(link).await;
    }
    let params = initialize_params(
        Revision::LATEST_LEGACY,
        capabilities,
        "mainstay",
        env!("CARGO_PKG_VERSION"),
    );
    let initialize = match ask(link, "initialize", Some(&params)).await? {
        Ok(result) => result,
        Err(error) if choice == RevisionChoice::Auto => {
            let refused = |_| HandshakeError::Protocol(format!("it refused initialize: {error}"));
            return modern::discover(link).await.map_err(|other| match other {
                HandshakeError::Unserveable(_) => other,
                _ => refused(other),
            });
        }
        Err(error) => {
            return Err(HandshakeError::Protocol(format!("it refused initialize: {error}")));
        }
    };
    let text = String::from_utf8_lossy(&initialize);
    let result = InitializeResult::parse(&text).map_err(|error| {
        HandshakeError::Protocol(format!("its answer to initialize is {error}"))
    })?;
    let Some(revision) = result.revision() else {
        let said = result.protocol_version.text().unwrap_or_default();
        return Err(HandshakeError::Unserveable(format!(
            "it settled on revision {said:?}, which nobody has published"
        )));
    };
    let capabilities = result.server_capabilities();
    link.transport().settle(link, revision);
    // Servers may refuse all before it, or decide only then what they list.
    link.send_first(build::notification("notifications/initialized", None)).await;
    let lists = lists(link, capabilities).await?;
    Ok(Facts { greeting: initialize, revision, capabilities, lists })
}

/// All lists that the server says it has.
///
/// # Errors
/// As [`shake`].
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

/// One list, page by page.
///
/// # Errors
/// As [`shake`]. A server that has the capability but not the method has an empty list.
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
            // Nothing is repeated to a process; clients over HTTP leave the tool out themselves.
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

/// Sends a request of ours and waits: the result, or the error that the server answered. `params` are an
/// object; what a modern server needs to know besides is added.
///
/// # Errors
/// When the server is gone or can't be asked.
pub async fn ask(
    link: &Arc<Link>,
    method: &str,
    params: Option<&str>,
) -> Result<Result<Bytes, ErrorAnswer>, HandshakeError> {
    let internal = |error| HandshakeError::Protocol(format!("our {method} is malformed: {error}"));
    let complete;
    let params = match link.era() {
        Era::Legacy => params,
        Era::Modern => {
            complete = modern::complete(params);
            Some(complete.as_str())
        }
    };
    let request = Message::parse(build::request(0, method, params)).map_err(internal)?;
    let lost = |reason: String| HandshakeError::Lost(format!("{method}: {reason}"));
    let mut exchange =
        link.call(&Outgoing::plain(&request), OURSELVES).map_err(|error| lost(error.reason))?;
    loop {
        match exchange.next().await {
            Incoming::Answer(answer) if answer.kind() == Kind::Result => {
                return Ok(Ok(answer.body_bytes().unwrap_or_default()));
            }
            Incoming::Answer(answer) => {
                let body = answer.body().unwrap_or_default().to_owned();
                return Ok(Err(ErrorAnswer { code: answer.error_code(), body }));
            }
            Incoming::Notification(_) => {}
            Incoming::Question(question) => link.refuse(&question),
            Incoming::Lost(error) if error.fate == Fate::Refused => {
                return Err(HandshakeError::Protocol(format!("{method}: {}", error.reason)));
            }
            Incoming::Lost(error) => return Err(lost(error.reason)),
        }
    }
}
