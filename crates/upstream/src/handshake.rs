//! The handshake with a server: settles the era to speak, then fetches capabilities and
//! lists.
//!
//! `initialize` is sent first, because asking a legacy server for `server/discover` is not
//! harmless: some end themselves, and servers of both eras then refuse `initialize` for good.
//! Only a server that refuses `initialize` is asked whether it is modern, or one of which only that is
//! to be found out.

mod ask;
mod lists;
mod modern;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use mainstay_model::settings::RevisionChoice;
use mainstay_protocol::build;
use mainstay_protocol::initialize::{InitializeResult, initialize_params};
use mainstay_protocol::revision::Revision;

pub use self::ask::{ErrorAnswer, HandshakeError, ask, sign_of_life};
pub use self::lists::{FirstLists, Patience, list};
pub use self::modern::listen;
use crate::facts::Facts;
use crate::link::Link;

/// Performs the handshake and fetches all lists, as far as the server has them ready. The caller
/// sets the deadline.
///
/// `capabilities` is the JSON of what the clients of this instance can do.
///
/// # Errors
///
/// When the server is gone, refuses, or supports no revision that Mainstay supports.
pub async fn shake(
    link: &Arc<Link>,
    choice: RevisionChoice,
    capabilities: &str,
    first: FirstLists,
) -> Result<Facts, HandshakeError> {
    if choice == RevisionChoice::Modern {
        return modern::discover(link, first).await;
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
            return modern::discover(link, first).await.map_err(|other| match other {
                HandshakeError::Unserveable(_) | HandshakeError::LostUnasked(_) => other,
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
    Ok(Facts { greeting: initialize, revision, capabilities, lists })
}
