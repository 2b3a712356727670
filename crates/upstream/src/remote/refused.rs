//! What is said about a response that is no answer.

use std::time::Duration;

use http::StatusCode;

use super::target::Target;
use super::words;
use crate::request::{Fate, Lost};

/// The part of a response's head that matters for a refusal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    /// The time that the server wants to be left alone for.
    pub(super) retry_after: Option<Duration>,
}

/// The loss of a request whose response is no answer.
pub(super) fn lost(target: &Target, head: Head, body: &[u8]) -> Lost {
    let Head { status, retry_after } = head;
    let fate = match status.as_u16() {
        // The server has not taken it, and would not take it a second time either.
        300..=499 | 503 => Fate::Refused,
        _ => Fate::Unknown,
    };
    let said = match status.as_u16() {
        401 | 403 if target.has_credentials => {
            format!("the server refused our credentials (HTTP {status})")
        }
        401 => format!("the server requires credentials, and none are configured (HTTP {status})"),
        403 => format!("the server refused the request (HTTP {status})"),
        407 => format!("the proxy requires credentials (HTTP {status})"),
        202 => "the server accepted the request and sent no answer".to_owned(),
        200 => "the server's answer is not a JSON-RPC message".to_owned(),
        _ => format!("the server answered HTTP {status}"),
    };
    Lost::new(with_words(target, said, body), fate, false)
        .with_status(status)
        .retry_after(retry_after)
}

/// Adds the first line of the server's own words, without keys.
pub(super) fn with_words(target: &Target, said: String, body: &[u8]) -> String {
    match words::first_line(body) {
        Some(words) => format!("{said}: {}", target.hide(&words)),
        None => said,
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use mainstay_model::Redacted;
    use mainstay_model::settings::RemoteSpec;

    use super::{Fate, Head, Target, lost};

    #[test]
    fn the_servers_own_words_are_told_and_credentials_only_where_some_were_sent() {
        let bare = RemoteSpec::new("http://h/mcp");
        let mut keyed = bare.clone();
        let token = Redacted::new("Bearer opensesame".to_owned());
        keyed.headers.insert("authorization".to_owned(), token);
        let (bare, keyed) = (Target::new(&bare).unwrap(), Target::new(&keyed).unwrap());
        for (target, status, body, fate, expected) in [
            (
                &bare,
                403,
                "Set X.",
                Fate::Refused,
                "the server refused the request (HTTP 403 Forbidden): Set X.",
            ),
            (&bare, 403, "", Fate::Refused, "the server refused the request (HTTP 403 Forbidden)"),
            (
                &bare,
                401,
                "",
                Fate::Refused,
                "the server requires credentials, and none are configured (HTTP 401 Unauthorized)",
            ),
            (
                &keyed,
                401,
                "no opensesame",
                Fate::Refused,
                "the server refused our credentials (HTTP 401 Unauthorized): no ***",
            ),
            (
                &bare,
                500,
                "<html><title>Oh</title>",
                Fate::Unknown,
                "the server answered HTTP 500 Internal Server Error: Oh",
            ),
            (
                &bare,
                200,
                "Sign in",
                Fate::Unknown,
                "the server's answer is not a JSON-RPC message: Sign in",
            ),
            (&bare, 202, "", Fate::Unknown, "the server accepted the request and sent no answer"),
        ] {
            let head = Head { status: StatusCode::from_u16(status).unwrap(), retry_after: None };
            let lost = lost(target, head, body.as_bytes());
            assert_eq!((lost.reason.as_str(), lost.fate), (expected, fate));
            assert_eq!(lost.status, Some(status));
        }
    }
}
