//! The handshake with a server: settles the era to speak, then fetches capabilities and
//! lists.
//!
//! `initialize` is sent first, because asking a legacy server for `server/discover` is not
//! harmless: some end themselves, and servers of both eras then refuse `initialize` for good.
//! Only a server that refuses `initialize` in every revision is asked whether it is modern, or one of
//! which only that is to be found out.

mod ask;
mod lists;
mod modern;
mod opening;
mod revisions;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use mainstay_model::settings::RevisionChoice;
use mainstay_protocol::build;
use mainstay_protocol::initialize::InitializeResult;
use mainstay_protocol::revision::{Era, Revision};

pub(crate) use self::ask::ask_or_cancel;
pub use self::ask::{ErrorAnswer, HandshakeError, ask, method_of, sign_of_life};
pub use self::lists::{FirstLists, Patience, list};
pub use self::modern::listen;
use self::opening::Refused;
pub use self::revisions::RevisionMemory;
use crate::facts::Facts;
use crate::link::Link;

/// Performs the handshake and fetches all lists, as far as the server has them ready. The caller
/// sets the deadline.
///
/// `revisions` says which revision to ask for first, and learns what the server makes of it.
/// `capabilities` is the JSON of what the clients of this instance can do.
///
/// # Errors
///
/// When the server is gone, refuses, or supports no revision that Mainstay supports.
pub async fn shake(
    link: &Arc<Link>,
    choice: RevisionChoice,
    revisions: &RevisionMemory,
    capabilities: &str,
    first: FirstLists,
) -> Result<Facts, HandshakeError> {
    if era_of(choice) == Some(Era::Modern) {
        return modern::discover(link, first).await;
    }
    let initialize = match opening::open(link, choice, revisions, capabilities).await {
        Ok(result) => result,
        Err(Refused::ByAnswer(refusal)) if choice == RevisionChoice::Auto => {
            let discovered = modern::discover(link, first).await;
            revisions.note_discovered(discovered.is_ok());
            return discovered.map_err(|other| match other {
                HandshakeError::Unserveable(_) | HandshakeError::LostUnasked(_) => other,
                _ => refusal,
            });
        }
        Err(Refused::ByAnswer(error) | Refused::Otherwise(error)) => return Err(error),
    };
    let text = String::from_utf8_lossy(&initialize);
    let result = InitializeResult::parse(&text).map_err(|error| {
        HandshakeError::Protocol(format!("its answer to initialize is {error}"))
    })?;
    let Some(revision) = result.revision() else {
        let named = result.protocol_version.text().unwrap_or_default();
        return Err(HandshakeError::Unserveable(format!(
            "it answered with revision {named:?}, which Mainstay does not know"
        )));
    };
    let mut capabilities = result.server_capabilities();
    link.transport().settle(link, revision);
    // A server may refuse everything before this, or decide only now what it lists.
    link.send_first(build::notification("notifications/initialized", None)).await;
    // From here on, list changes and questions of calls reach the link.
    link.transport().heard().await;
    let lists = lists::lists(link, &mut capabilities, first).await?;
    Ok(Facts::new(initialize, revision, capabilities, lists))
}

/// The era that the configuration allows. `None`: both.
pub fn era_of(choice: RevisionChoice) -> Option<Era> {
    match choice {
        RevisionChoice::Auto => None,
        RevisionChoice::Legacy => Some(Era::Legacy),
        RevisionChoice::Modern => Some(Era::Modern),
        RevisionChoice::Date(date) => Revision::parse(date).map(Revision::era),
    }
}
