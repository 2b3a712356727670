//! A POST and its answer.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming as Body;
use serde_json::Value;
use tokio::sync::mpsc;

use super::reply::{HttpReply, hang_up, plain, session_of};
use super::site::HttpServer;
use super::{odd, sessions, stream};
use crate::misbehave::flood::Flood;
use crate::misbehave::message::{Incoming, Outlet};
use crate::misbehave::revisions;
use crate::misbehave::server::Ways;

pub(super) async fn post(site: &Arc<HttpServer>, request: Request<Body>) -> HttpReply {
    let session = session_of(&request).to_owned();
    let repeated = |name: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (header_method, region) = (repeated("mcp-method"), repeated("mcp-param-region"));
    let headers = request.headers().clone();
    let Ok(body) = request.into_body().collect().await else {
        return plain(StatusCode::BAD_REQUEST, "text/plain", "the body was cut off".to_owned());
    };
    let Ok(incoming) = serde_json::from_slice::<Incoming>(&body.to_bytes()) else {
        site.server.count("bodies that are no messages");
        let page =
            "<!DOCTYPE html><html><body><pre>SyntaxError: Unexpected token</pre></body></html>";
        return plain(StatusCode::BAD_REQUEST, "text/html", page.to_owned());
    };
    let method = incoming.method.clone().unwrap_or_default();
    let opens = method == "initialize" || method == "server/discover";
    let flags = &site.server.flags;
    if let Some(refusal) = odd::refusal(flags, &headers, &method) {
        site.server.count(&format!("refused {method}"));
        return refusal;
    }
    let modern = flags.has("modern-only") || flags.has("dual") && !header_method.is_empty();
    if modern && header_method != method && method != "initialize" {
        site.server.count("headers amiss");
    }
    if modern && !session.is_empty() {
        site.server.count("sessions that were never given out");
    }
    if !region.is_empty() {
        site.server.count(&format!("region {region}"));
    }
    let forget_after = flags.number("lose-session-after");
    let (opened, side) = match site.sessions.visit(&session, forget_after) {
        Some(side) => (None, side),
        None if opens && !flags.has("no-sessions") && method == "initialize" => {
            let id = site.sessions.open();
            let side = site.sessions.visit(&id, None);
            (Some(id), side.unwrap_or_else(nowhere))
        }
        None if opens || flags.has("no-sessions") || modern => (None, nowhere()),
        None if method == "ping" && flags.text("lost") == Some("400-calls") => (None, nowhere()),
        None => return sessions::lost(flags),
    };
    if let (Some(status), "tools/call") = (flags.text("html"), &*method) {
        return error_page(status);
    }
    match revisions::refusal_of(flags, &incoming) {
        Some(status @ ("400" | "415" | "500")) => {
            site.server.count("initialize refused");
            return error_page(status);
        }
        Some("close") => return hang_up(),
        _ => {}
    }
    let asked = incoming.id.is_some() && incoming.method.is_some();
    let (exchange, messages) = Outlet::new();
    let ways = Ways { exchange, side };
    let work = site.server.clone().handle(incoming, ways);
    if !asked {
        // Not awaited, because it may need further messages to finish.
        tokio::spawn(work);
        return plain(StatusCode::ACCEPTED, "text/plain", String::new());
    }
    tokio::spawn(work);
    let listens = method == "subscriptions/listen" && !flags.has("no-listen");
    let streams = listens || flags.has("sse") || (method == "tools/call" && !flags.has("json"));
    let mut reply = if streams {
        stream::events(messages, flags.has("odd-sse"), Flood::new(flags, true, &site.server.called))
    } else {
        one_body(messages, flags.has("pretty")).await
    };
    reply = odd::dress(flags, reply, method == "initialize");
    if let Some(value) = opened.and_then(|id| HeaderValue::from_str(&id).ok()) {
        reply.headers_mut().insert("mcp-session-id", value);
    }
    reply
}

/// The first message that is no notification or question as the whole body: there is no
/// place for any other.
async fn one_body(mut messages: mpsc::Receiver<Bytes>, pretty: bool) -> HttpReply {
    let message = loop {
        let Some(message) = messages.recv().await else {
            return plain(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "no answer".to_owned());
        };
        let envelope = serde_json::from_slice::<Incoming>(&message);
        if !envelope.is_ok_and(|envelope| envelope.method.is_some()) {
            break message;
        }
    };
    let indented = serde_json::from_slice::<Value>(&message)
        .ok()
        .and_then(|value| serde_json::to_vec_pretty(&value).ok());
    let body = if pretty { indented.map_or(message, Bytes::from) } else { message };
    plain(StatusCode::OK, "application/json", body)
}

fn error_page(status: &str) -> HttpReply {
    let status = status.parse().unwrap_or(StatusCode::BAD_GATEWAY);
    let page = format!("<html><head><title>{status}</title></head><body>{status}</body></html>");
    plain(status, "text/html", page)
}

/// An outlet whose other end is gone.
fn nowhere() -> Outlet {
    Outlet::new().0
}
