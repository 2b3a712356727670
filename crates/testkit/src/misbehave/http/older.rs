//! HTTP+SSE of 2024-11-05 and nothing else: any GET opens a stream, which is the session.

use std::sync::Arc;

use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming as Body;

use super::reply::{HttpReply, hang_up, plain};
use super::site::HttpServer;
use super::stream;
use crate::misbehave::flood::Flood;
use crate::misbehave::message::Incoming;
use crate::misbehave::revisions;
use crate::misbehave::server::Ways;

/// The address that messages are posted to.
const MESSAGES: &str = "/messages";

pub(super) async fn answer(site: &Arc<HttpServer>, request: Request<Body>) -> HttpReply {
    let flags = &site.server.flags;
    if let Some(wanted) = flags.text("wants-header") {
        let (name, value) = wanted.split_once(':').unwrap_or((wanted, ""));
        let given = request.headers().get(name).and_then(|value| value.to_str().ok());
        if given != Some(value) {
            return plain(StatusCode::UNAUTHORIZED, "text/plain", String::new());
        }
    }
    match (request.method(), request.uri().path()) {
        (&Method::GET, _) => open(site),
        (&Method::POST, MESSAGES) => post(site, request).await,
        _ => {
            site.server.count("refused");
            let status = flags.text("only-sse").and_then(|status| status.parse().ok());
            let status = status.unwrap_or(StatusCode::METHOD_NOT_ALLOWED);
            plain(status, "text/html", format!("<pre>Cannot {}</pre>", request.method()))
        }
    }
}

fn open(site: &HttpServer) -> HttpReply {
    let flags = &site.server.flags;
    site.server.count("GET");
    if flags.has("no-get") {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", String::new());
    }
    let id = site.sessions.open();
    let address = match flags.text("endpoint") {
        Some(address) => address.to_owned(),
        None => format!("{MESSAGES}?sessionId={id}"),
    };
    match site.sessions.side_stream(&id) {
        Some(messages) => {
            let flood = Flood::new(flags, true, &site.server.called);
            stream::events_after(address, messages, flags.has("odd-sse"), flood)
        }
        None => plain(StatusCode::NOT_FOUND, "text/plain", String::new()),
    }
}

async fn post(site: &Arc<HttpServer>, request: Request<Body>) -> HttpReply {
    let query = request.uri().query().unwrap_or_default();
    let id = query.strip_prefix("sessionId=").unwrap_or_default().to_owned();
    let side = site.sessions.visit(&id, None).filter(|side| !side.is_closed());
    let Some(side) = side else {
        return plain(StatusCode::NOT_FOUND, "text/plain", "Could not find session".to_owned());
    };
    let body = request.into_body().collect().await;
    let incoming =
        body.ok().and_then(|body| serde_json::from_slice::<Incoming>(&body.to_bytes()).ok());
    let Some(incoming) = incoming else {
        return plain(StatusCode::BAD_REQUEST, "text/plain", "Invalid message".to_owned());
    };
    match revisions::refusal_of(&site.server.flags, &incoming) {
        Some("400") => return plain(StatusCode::BAD_REQUEST, "text/plain", "Bad request"),
        Some("500") => return plain(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "Error"),
        // The stream ends with its session.
        Some("close") => {
            site.sessions.forget(&id);
            return hang_up();
        }
        _ => {}
    }
    tokio::spawn(site.server.clone().handle(incoming, Ways { exchange: side.clone(), side }));
    plain(StatusCode::ACCEPTED, "text/plain", "Accepted".to_owned())
}
