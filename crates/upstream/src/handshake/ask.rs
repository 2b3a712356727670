//! Requests that Mainstay sends on its own behalf.

use std::sync::Arc;

use bytes::Bytes;
use mainstay_protocol::{Era, Kind, Message, build, discover};

use crate::link::Link;
use crate::request::{Fate, Incoming, Outgoing, SessionNo};

/// The owner of Mainstay's own requests.
pub(super) const OURSELVES: SessionNo = SessionNo(0);

/// Why a server did not become ready.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The server has ended, or the link to it is closed.
    #[error("{0}")]
    Lost(String),
    /// The server answers, and no retry can change its answer.
    #[error("{0}")]
    Unserveable(String),
    /// The server's answer breaks the protocol.
    #[error("{0}")]
    Protocol(String),
    /// The server answers, and does not speak the era it was asked in.
    #[error("{0}")]
    NotSpoken(String),
}

/// A server's error answer to a request of Mainstay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{body}")]
pub struct ErrorAnswer {
    /// The JSON-RPC error code. None when the server sent something other than an integer.
    pub code: Option<i32>,
    /// The JSON of the error.
    pub body: String,
}

/// Sends a request of Mainstay and waits for the result, or for the server's error. `params` must
/// be an object; the `_meta` of modern servers is added.
///
/// # Errors
///
/// When the server is gone or can't be reached.
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
            complete = with_meta(params);
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
            // The server has answered, if not as it should.
            Incoming::Lost(error) if !matches!(error.fate, Fate::Unsent | Fate::Unknown) => {
                return Err(HandshakeError::Protocol(format!("{method}: {}", error.reason)));
            }
            Incoming::Lost(error) => return Err(lost(error.reason)),
        }
    }
}

/// Adds to `params` the `_meta` that every request to a modern server has.
fn with_meta(params: Option<&str>) -> String {
    let meta = own_meta();
    let rest = params.and_then(|params| params.strip_prefix('{')).unwrap_or("}");
    let comma = if rest == "}" { "" } else { "," };
    format!(r#"{{"_meta":{meta}{comma}{rest}"#)
}

pub(super) fn own_meta() -> String {
    discover::own_meta("mainstay", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use mainstay_protocol::{Message, build};

    #[test]
    fn what_every_request_says_is_put_before_the_rest() {
        for (params, rest) in [(None, ""), (Some("{}"), ""), (Some(r#"{"a":{}}"#), r#","a":{}"#)] {
            let complete = super::with_meta(params);
            assert!(complete.starts_with(r#"{"_meta":{"#), "{complete}");
            assert!(complete.ends_with(&format!("}}}}{rest}}}")), "{complete}");
            let request = Message::parse(build::request(1, "m", Some(&complete))).unwrap();
            assert!(request.params().unwrap().meta.is_modern(), "{complete}");
        }
    }
}
