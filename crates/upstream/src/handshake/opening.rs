//! The first request to a legacy server: finds the revision in which it takes `initialize`.
//!
//! A server should answer with a revision of its own if it does not support the one asked for (2025-11-25,
//! basic/lifecycle, version negotiation). Many refuse instead: with an error that names what they support,
//! with any other error, with HTTP 400, or by closing the connection. Then older revisions are tried. A
//! server that ends itself is asked for the next revision in its next run, as [`RevisionMemory`] says.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use mainstay_model::settings::RevisionChoice;
use mainstay_protocol::initialize::{initialize_params, supported_revisions};
use mainstay_protocol::revision::{Era, Revision};
use mainstay_protocol::{Kind, Message, build, codes};

use super::ask::{ErrorAnswer, HandshakeError, OURSELVES};
use super::revisions::RevisionMemory;
use crate::link::Link;
use crate::request::{Fate, Incoming, Lost, Outgoing};

/// Why a server took `initialize` in no revision.
#[derive(Debug)]
pub(super) enum Refused {
    /// It answers with errors, so it may be modern. The error is for a server that is not.
    ByAnswer(HandshakeError),
    Otherwise(HandshakeError),
}

/// The reply to one `initialize`.
enum Reply {
    Greeting(Bytes),
    Error(ErrorAnswer),
    Lost(Lost),
}

/// Statuses of HTTP with which servers refuse a message they do not understand, or fail over it.
const REFUSING_STATUSES: [u16; 6] = [400, 406, 415, 422, 500, 501];

/// Sends `initialize` until the server takes it, in one revision after the other. Returns the result.
pub(super) async fn open(
    link: &Arc<Link>,
    choice: RevisionChoice,
    revisions: &RevisionMemory,
    capabilities: &str,
) -> Result<Bytes, Refused> {
    let mut untried: VecDeque<Revision> = match choice {
        RevisionChoice::Date(date) => Revision::parse(date).into_iter().collect(),
        _ => revisions.order().into(),
    };
    let mut tried = Vec::new();
    let mut refused =
        Refused::Otherwise(HandshakeError::Protocol("there is no revision to ask for".to_owned()));
    while let Some(revision) = untried.pop_front() {
        link.transport().begin_again();
        tried.push(revision);
        revisions.note_asked(revision);
        match initialize(link, revision, capabilities).await {
            Reply::Greeting(greeting) => {
                revisions.note_taken(revision);
                return Ok(greeting);
            }
            Reply::Error(error) => {
                revisions.note_reply();
                narrow(&mut untried, &tried, &error, choice);
                let reason = format!("it refused initialize in {}: {error}", named(&tried));
                refused = Refused::ByAnswer(HandshakeError::Protocol(reason));
            }
            Reply::Lost(lost) => {
                refused = Refused::Otherwise(as_error(&lost));
                let is_silent = lost.fate == Fate::Unknown && lost.status.is_none();
                match lost.fate {
                    _ if is_silent => {}
                    Fate::Unsent if lost.status.is_none() => revisions.note_unasked(),
                    Fate::NoDescriptor => revisions.note_unasked(),
                    _ => revisions.note_reply(),
                }
                // The run notes the silence of a server whose link is closed.
                if link.is_closed() || !may_be_about_revision(&lost) {
                    break;
                }
                if is_silent && !revisions.note_silence() {
                    tried.pop();
                    untried.push_front(revision);
                }
            }
        }
    }
    Err(match refused {
        Refused::ByAnswer(HandshakeError::Protocol(reason)) if revisions.note_refusal() => {
            Refused::ByAnswer(HandshakeError::Unserveable(reason))
        }
        refused => refused,
    })
}

async fn initialize(link: &Arc<Link>, revision: Revision, capabilities: &str) -> Reply {
    let params = initialize_params(revision, capabilities, "mainstay", env!("CARGO_PKG_VERSION"));
    let request = match Message::parse(build::request(0, "initialize", Some(&params))) {
        Ok(request) => request,
        Err(error) => return Reply::Lost(Lost::new(error.to_string(), Fate::Refused, false)),
    };
    let mut exchange = match link.call(&Outgoing::plain(&request), OURSELVES) {
        Ok(exchange) => exchange,
        Err(lost) => return Reply::Lost(lost),
    };
    loop {
        match exchange.next().await {
            Incoming::Answer(answer) if answer.kind() == Kind::Result => {
                return Reply::Greeting(answer.body_bytes().unwrap_or_default());
            }
            Incoming::Answer(answer) => {
                let body = answer.body().unwrap_or_default().to_owned();
                return Reply::Error(ErrorAnswer { code: answer.error_code(), body });
            }
            Incoming::Notification(_) => {}
            Incoming::Question(question) => link.refuse(&question),
            Incoming::Lost(lost) => return Reply::Lost(lost),
        }
    }
}

/// Leaves only those revisions that an error answer gives reason to try.
fn narrow(
    untried: &mut VecDeque<Revision>,
    tried: &[Revision],
    error: &ErrorAnswer,
    choice: RevisionChoice,
) {
    if matches!(choice, RevisionChoice::Date(_)) {
        return;
    }
    match (error.code, supported_revisions(&error.body)) {
        (_, Some(mut supported)) => {
            supported.retain(|revision| revision.era() == Era::Legacy && !tried.contains(revision));
            supported.sort_unstable_by(|one, other| other.cmp(one));
            *untried = supported.into();
        }
        // It does not know `initialize` in any revision.
        (Some(code), None) if code == codes::METHOD_NOT_FOUND || codes::is_modern(code) => {
            untried.clear();
        }
        _ => {}
    }
}

/// Whether a server may have refused the revision in this way.
fn may_be_about_revision(lost: &Lost) -> bool {
    match lost.status {
        Some(status) => REFUSING_STATUSES.contains(&status),
        // The connection was closed.
        None => lost.fate == Fate::Unknown,
    }
}

fn as_error(lost: &Lost) -> HandshakeError {
    let reason = format!("initialize: {}", lost.reason);
    match lost.fate {
        Fate::Unsent | Fate::Unknown => HandshakeError::Lost(reason),
        _ => HandshakeError::Protocol(reason),
    }
}

/// The dates of revisions, for people.
fn named(revisions: &[Revision]) -> String {
    let dates: Vec<_> = revisions.iter().map(|revision| revision.as_str()).collect();
    match dates.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        dates => dates.concat(),
    }
}
