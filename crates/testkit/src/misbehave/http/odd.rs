//! Behaviour of servers behind load balancers, gateways and firewalls, selected by flags.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body::Frame;
use http_body_util::BodyExt;

use super::reply::{HttpReply, plain};
use crate::misbehave::flags::Flags;

/// The cookie that a load balancer finds its node by.
const COOKIE: &str = "node=a";

/// The redirect of a request whose path does not end in a slash, with the status in the flag.
pub(super) fn redirect<B>(flags: &Flags, request: &Request<B>) -> Option<HttpReply> {
    let path = request.uri().path();
    let status = flags.text("redirect")?;
    if path.ends_with('/') {
        return None;
    }
    let to = match flags.text("redirect-to") {
        Some(elsewhere) => elsewhere.to_owned(),
        None => format!("{path}/"),
    };
    let mut reply = plain(status.parse().ok()?, "text/plain", "moved".to_owned());
    reply.headers_mut().insert(header::LOCATION, HeaderValue::try_from(to).ok()?);
    Some(reply)
}

/// The refusal of a message with these headers and this method.
pub(super) fn refusal(flags: &Flags, headers: &HeaderMap, method: &str) -> Option<HttpReply> {
    if flags.has("wants-agent") && !headers.contains_key(header::USER_AGENT) {
        let page = "<html><body>Who are you?</body></html>";
        return Some(plain(StatusCode::FORBIDDEN, "text/html", page.to_owned()));
    }
    let cookie = headers.get(header::COOKIE).and_then(|value| value.to_str().ok());
    if flags.has("wants-cookie")
        && method != "initialize"
        && !cookie.is_some_and(|cookie| cookie.contains(COOKIE))
    {
        let text = "no such session on this node".to_owned();
        return Some(plain(StatusCode::NOT_FOUND, "text/plain", text));
    }
    if let (Some(status), "ping") = (flags.text("ping-status"), method) {
        return Some(plain(status.parse().ok()?, "text/plain", String::new()));
    }
    let busy = match method {
        "tools/call" => flags.text("busy"),
        "initialize" => flags.text("busy-at-start"),
        _ => None,
    };
    let text = r#"{"error":"slow down"}"#.to_owned();
    let mut reply = plain(StatusCode::TOO_MANY_REQUESTS, "application/json", text);
    reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_str(busy?).ok()?);
    Some(reply)
}

/// Changes an answer as the flags say. `opens`: it answers `initialize`.
pub(super) fn dress(flags: &Flags, mut reply: HttpReply, opens: bool) -> HttpReply {
    let headers = reply.headers_mut();
    if flags.has("capitals")
        && let Some(kind) = headers.get_mut(header::CONTENT_TYPE)
        && let Ok(capitals) =
            HeaderValue::try_from(String::from_utf8_lossy(kind.as_bytes()).to_ascii_uppercase())
    {
        *kind = capitals;
    }
    if flags.has("wants-cookie") && opens {
        let cookie = format!("{COOKIE}; Path=/; HttpOnly");
        headers.extend(HeaderValue::try_from(cookie).ok().map(|it| (header::SET_COOKIE, it)));
    }
    if flags.has("gzip") {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        return reply.map(|body| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            body.map_frame(move |frame| {
                let data = frame.into_data().unwrap_or_default();
                // Writing into memory does not fail.
                let _ = encoder.write_all(&data).and_then(|()| encoder.flush());
                Frame::data(std::mem::take(encoder.get_mut()).into())
            })
            .boxed()
        });
    }
    reply
}
