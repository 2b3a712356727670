//! The first words with a server: which generation it speaks, what it can do, what it has.
//!
//! `initialize` is sent first, because asking a legacy server for `server/discover` is not
//! harmless: some end themselves, and servers of both generations then refuse `initialize` for good.
//! Only a server that refuses `initialize` is asked whether it is modern.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use mainstay_model::settings::RevisionChoice;
use mainstay_protocol::capabilities::ServerCapabilities;
use mainstay_protocol::initialize::{InitializeResult, initialize_params};
use mainstay_protocol::list::{Caching, ListKind, ListPage};
use mainstay_protocol::revision::Revision;
use mainstay_protocol::{Kind, Message, build, discover};

use crate::exchange::{Fate, Incoming, Outgoing, Owner};
use crate::facts::{Facts, Item, List, Lists};
use crate::link::{Link, Transport};

/// Requests of our own.
const OURSELVES: Owner = Owner(0);
/// A list of more pages or items than this is cut: a server that always names a next page must
/// not keep us for ever.
const PAGES_MAX: usize = 200;
const ITEMS_MAX: usize = 20_000;

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
        return Err(discover_only(link).await);
    }
    let params = initialize_params(
        Revision::LATEST_LEGACY,
        capabilities,
        "mainstay",
        env!("CARGO_PKG_VERSION"),
    );
    let initialize = match ask(link, "initialize", Some(&params)).await? {
        Ok(result) => result,
        Err(error) => return Err(refused(link, choice, &error).await),
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
    match link.transport() {
        Transport::Stdio(_) => {}
        Transport::Remote(remote) => remote.settle(link, revision.as_str()),
        Transport::Sse(sse) => sse.settle(),
    }
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
        let has = match kind {
            ListKind::Tools => capabilities.tools,
            ListKind::Prompts => capabilities.prompts,
            ListKind::Resources | ListKind::ResourceTemplates => capabilities.resources,
        };
        if has {
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
    let mut items = Vec::new();
    let mut caching: Option<Caching> = None;
    let mut cursor: Option<String> = None;
    let mut seen = HashSet::new();
    for _ in 0..PAGES_MAX {
        let params =
            cursor.as_ref().map(|cursor| format!(r#"{{"cursor":{}}}"#, build::string(cursor)));
        let method = kind.method().as_str();
        let page = match ask(link, method, params.as_deref()).await? {
            Ok(page) => page,
            Err(error) if error.contains("-32601") => break,
            Err(error) => {
                return Err(HandshakeError::Protocol(format!("it answered {method} with {error}")));
            }
        };
        let text = String::from_utf8_lossy(&page);
        let parsed = ListPage::parse(&text, kind).map_err(|error| {
            HandshakeError::Protocol(format!("its answer to {method} is no list: {error}"))
        })?;
        caching = Some(caching.map_or(parsed.caching, |before| before.and(parsed.caching)));
        for item in &parsed.items {
            items.push(Item {
                raw: page.slice(item.span.clone()),
                key: item.key.as_ref().into(),
                key_span: item.key_span_in_item(),
                hints: item.hints,
            });
        }
        match parsed.next_cursor {
            // A cursor that comes twice would go round for ever. An empty one is as good as any.
            Some(next) if items.len() < ITEMS_MAX && seen.insert(next.to_string()) => {
                cursor = Some(next.into_owned());
            }
            _ => break,
        }
    }
    Ok(List { items, caching: caching.unwrap_or_default() })
}

/// Sends a request of ours and waits: the result, or the error as the server wrote it.
///
/// # Errors
/// When the server is gone or can't be asked.
pub async fn ask(
    link: &Arc<Link>,
    method: &str,
    params: Option<&str>,
) -> Result<Result<Bytes, String>, HandshakeError> {
    let internal = |error| HandshakeError::Protocol(format!("our {method} is malformed: {error}"));
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
                return Ok(Err(answer.body().unwrap_or_default().to_owned()));
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

/// `initialize` was answered with an error: is the server modern?
async fn refused(link: &Arc<Link>, choice: RevisionChoice, error: &str) -> HandshakeError {
    if choice == RevisionChoice::Auto
        && let HandshakeError::Unserveable(modern) = discover_only(link).await
    {
        return HandshakeError::Unserveable(modern);
    }
    HandshakeError::Protocol(format!("it refused initialize: {error}"))
}

/// Asks for what a modern server must answer. Says `Unserveable` if the server is one.
async fn discover_only(link: &Arc<Link>) -> HandshakeError {
    let params = discover::params("mainstay", env!("CARGO_PKG_VERSION"));
    let answer = match ask(link, "server/discover", Some(&params)).await {
        Ok(answer) => answer,
        Err(error) => return error,
    };
    match discover::verdict(answer.as_deref().map_err(String::as_str)) {
        discover::Verdict::Modern(versions) => HandshakeError::Unserveable(format!(
            "it speaks only {versions}; this version of Mainstay serves revisions up to {}",
            Revision::LATEST_LEGACY
        )),
        discover::Verdict::Legacy => HandshakeError::Protocol(
            "it does not answer server/discover, so it is not modern".into(),
        ),
    }
}
