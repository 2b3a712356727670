//! Answers requests that come over HTTP+SSE before `initialize`.
//!
//! The answer comes on the stream like any other: clients of that transport take a refused POST for the
//! end of the connection. Clients of both eras ask for `server/discover` first, and go on with
//! `initialize` after an error.

use bytes::Bytes;
use mainstay_protocol::{Message, Method, Revision, build, codes};

/// Returns the answer to a request, as a server of 2024-11-05 gives it.
pub(super) fn answer(request: &Message) -> Bytes {
    let id = request.id();
    let method = Method::parse(request.method());
    let (code, say) = match (method, &id) {
        (Some(Method::Ping), Some(id)) => return build::result(id, "{}"),
        (Some(method), _) if is_known_to_oldest(method) => {
            (codes::INVALID_REQUEST, "send initialize first".to_owned())
        }
        _ => {
            let (oldest, name) = (Revision::V2024_11_05, request.method());
            (codes::METHOD_NOT_FOUND, format!("{oldest} has no method {name:?}; send initialize"))
        }
    };
    build::failure(id.as_ref(), code, &say)
}

/// Whether clients of 2024-11-05 send the method.
fn is_known_to_oldest(method: Method) -> bool {
    matches!(
        method,
        Method::Initialize
            | Method::Ping
            | Method::ToolsList
            | Method::ToolsCall
            | Method::ResourcesList
            | Method::ResourceTemplatesList
            | Method::ResourcesRead
            | Method::ResourcesSubscribe
            | Method::ResourcesUnsubscribe
            | Method::PromptsList
            | Method::PromptsGet
            | Method::CompletionComplete
            | Method::LoggingSetLevel
    )
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use mainstay_protocol::{Message, codes};

    #[test]
    fn a_method_that_came_later_is_unknown_and_an_older_one_waits_for_initialize() {
        for (method, expected) in [
            ("ping", None),
            ("tools/list", Some(codes::INVALID_REQUEST)),
            ("logging/setLevel", Some(codes::INVALID_REQUEST)),
            ("server/discover", Some(codes::METHOD_NOT_FOUND)),
            ("subscriptions/listen", Some(codes::METHOD_NOT_FOUND)),
            ("tasks/get", Some(codes::METHOD_NOT_FOUND)),
            ("no/such", Some(codes::METHOD_NOT_FOUND)),
        ] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":"x","method":"{method}"}}"#);
            let answer = super::answer(&Message::parse(Bytes::from(text)).unwrap());
            let answer = String::from_utf8(answer.to_vec()).unwrap();
            assert!(answer.contains(r#""id":"x""#), "{answer}");
            match expected {
                None => assert!(answer.contains(r#""result":{}"#), "{answer}"),
                Some(code) => assert!(answer.contains(&format!(r#""code":{code},"#)), "{answer}"),
            }
        }
    }
}
