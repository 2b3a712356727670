//! Requests that Mainstay sends on its own behalf.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Era, Kind, Message, Method, build, discover};
use mainstay_supervisor::hang::Question;

use crate::exchange::Exchange;
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
    /// The same, while the server was asked for a list that it does not declare.
    #[error("{0}")]
    LostUnasked(String),
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
    let mut exchange = begin(link, method, params)?;
    answer(link, method, &mut exchange).await
}

/// Like [`ask`], but waits no longer than `patience`. Then the request is cancelled and the result
/// is `None`.
///
/// # Errors
///
/// As [`ask`].
pub(super) async fn ask_within(
    link: &Arc<Link>,
    method: &str,
    params: Option<&str>,
    patience: Duration,
) -> Result<Option<Result<Bytes, ErrorAnswer>>, HandshakeError> {
    let mut exchange = begin(link, method, params)?;
    match tokio::time::timeout(patience, answer(link, method, &mut exchange)).await {
        Ok(answer) => answer.map(Some),
        Err(_) => {
            exchange.cancel("no answer in time");
            Ok(None)
        }
    }
}

/// Like [`ask`], and dropping the future cancels the request.
///
/// # Errors
///
/// As [`ask`].
pub(crate) async fn ask_or_cancel(
    link: &Arc<Link>,
    method: &str,
    params: Option<&str>,
) -> Result<Result<Bytes, ErrorAnswer>, HandshakeError> {
    let mut wanted = Wanted(Some(begin(link, method, params)?));
    match &mut wanted.0 {
        Some(exchange) => answer(link, method, exchange).await,
        None => Err(lost(method, "it was cancelled")),
    }
}

/// An exchange that is cancelled when it is dropped before its answer has come.
struct Wanted(Option<Exchange>);

impl Drop for Wanted {
    fn drop(&mut self) {
        if let Some(exchange) = self.0.take() {
            exchange.cancel("nobody waits for the answer any more");
        }
    }
}

fn begin(link: &Arc<Link>, method: &str, params: Option<&str>) -> Result<Exchange, HandshakeError> {
    let request = request(link, method, params)?;
    link.call(&Outgoing::plain(&request), OURSELVES).map_err(|error| lost(method, &error.reason))
}

async fn answer(
    link: &Arc<Link>,
    method: &str,
    exchange: &mut Exchange,
) -> Result<Result<Bytes, ErrorAnswer>, HandshakeError> {
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
            Incoming::Lost(error) => return Err(lost(method, &error.reason)),
        }
    }
}

fn lost(method: &str, reason: &str) -> HandshakeError {
    HandshakeError::Lost(format!("{method}: {reason}"))
}

/// The method of a question that changes nothing at the server.
pub fn method_of(question: Question, era: Era) -> &'static str {
    match (question, era) {
        (Question::Ping, Era::Legacy) => "ping",
        (Question::Ping, Era::Modern) => Method::ServerDiscover.as_str(),
        (Question::Tools, _) => ListKind::Tools.method().as_str(),
    }
}

/// Asks a server for a sign of life. Every response is one, also an HTTP error.
///
/// # Errors
/// The reason, when the server is gone or can't be reached.
pub async fn sign_of_life(link: &Arc<Link>, question: Question) -> Result<(), String> {
    let method = method_of(question, link.era());
    let request = request(link, method, None).map_err(|error| error.to_string())?;
    let mut exchange =
        link.call(&Outgoing::plain(&request), OURSELVES).map_err(|error| error.reason)?;
    match exchange.next().await {
        Incoming::Lost(lost) if !lost.is_sign_of_life() => Err(lost.reason),
        _ => Ok(()),
    }
}

/// A request of Mainstay; its id is replaced when it is sent.
fn request(link: &Link, method: &str, params: Option<&str>) -> Result<Message, HandshakeError> {
    let complete;
    let params = match link.era() {
        Era::Legacy => params,
        Era::Modern => {
            complete = with_meta(params);
            Some(complete.as_str())
        }
    };
    let internal = |error| HandshakeError::Protocol(format!("our {method} is malformed: {error}"));
    Message::parse(build::request(0, method, params)).map_err(internal)
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
