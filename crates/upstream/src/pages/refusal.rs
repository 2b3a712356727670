//! Answers of Mainstay's own to requests for pages. Each says in JSON what is wrong and what helps.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use mainstay_model::Name;
use mainstay_model::status::InstanceState;
use serde_json::{Map, Value, json};

use super::exchange::NoAnswer;
use super::path::Undeclared;
use super::{Owner, OwnerState, PageBody, PageOwner, Visit};

/// Why a request is not passed, or has no answer of its target.
#[derive(Debug)]
pub(super) struct PageRefusal {
    status: StatusCode,
    code: &'static str,
    error: String,
    hint: String,
    /// Further members of the body.
    members: Map<String, Value>,
    header: Option<Box<(HeaderName, HeaderValue)>>,
    /// The body of the request was not read to its end.
    closes: bool,
}

/// Seconds after which what is starting may be there.
const RETRY_AFTER_SECONDS: u16 = 5;

// === impl PageRefusal ===

impl PageRefusal {
    fn new(status: StatusCode, code: &'static str, error: String, hint: impl Into<String>) -> Self {
        let (hint, members) = (hint.into(), Map::new());
        Self { status, code, error, hint, members, header: None, closes: false }
    }

    /// Nothing with this name has pages.
    pub(super) fn unknown(path: &str, mut prefixes: Vec<String>) -> Self {
        prefixes.sort();
        let hint =
            "only what declares pages in the configuration has any; `pages` lists where they are";
        let error = format!("no pages are at {path}");
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", error, hint).with("pages", json!(prefixes))
    }

    pub(super) fn undeclared(owner: &Owner, visit: &Visit, why: Undeclared) -> Self {
        let (page, prefix) = (&owner.page, visit.forwarded.public(&owner.page.prefix()));
        let error =
            format!("this path of {} `{}` is not passed through: {why}", page.noun(), page.name);
        let paths: Vec<_> = page.spec.paths.iter().map(|path| format!("{prefix}{path}")).collect();
        let hint = "`paths` lists what is passed; a path can be written in one way only";
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", error, hint).with("paths", json!(paths))
    }

    pub(super) fn method(method: &Method, allowed: &[String]) -> Self {
        let allowed = allowed.join(", ");
        let error = format!("{method} is not passed through here");
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let mut refused =
            Self::new(status, "METHOD_NOT_ALLOWED", error, format!("allowed are {allowed}"));
        let allowed = HeaderValue::from_str(&allowed).ok();
        refused.header = allowed.map(|allowed| Box::new((ALLOW, allowed)));
        refused
    }

    pub(super) fn upgrade() -> Self {
        let error = "WebSocket and other upgrades are not passed through".to_owned();
        let hint = "connect to the service itself, or use plain HTTP or server-sent events";
        Self::new(StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED", error, hint)
    }

    pub(super) fn looping() -> Self {
        let error =
            "this request has been here before: the pages lead to Mainstay itself".to_owned();
        let hint = "let `pages.target` name the address of the service";
        Self::new(StatusCode::LOOP_DETECTED, "LOOP", error, hint)
    }

    pub(super) fn too_large(bytes_max: u64) -> Self {
        let error = format!("the request body is larger than max_body: {bytes_max} bytes");
        let hint = "raise gateway.max_body, or send less";
        let mut refused = Self::new(StatusCode::PAYLOAD_TOO_LARGE, "LIMIT_EXCEEDED", error, hint);
        refused.closes = true;
        refused
    }

    pub(super) fn slow(within: Duration) -> Self {
        let error = format!("the request body did not arrive within receive_timeout: {within:?}");
        let mut refused =
            Self::new(StatusCode::REQUEST_TIMEOUT, "LIMIT_EXCEEDED", error, "send it faster");
        refused.closes = true;
        refused
    }

    pub(super) fn cut_off() -> Self {
        let error = "the request body was cut off".to_owned();
        let mut refused =
            Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", error, "send the whole body");
        refused.closes = true;
        refused
    }

    pub(super) fn busy(name: &Name) -> Self {
        let error = format!("too many requests for pages of `{name}` are open");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_REQUESTS", error, "try again soon")
            .later()
    }

    pub(super) fn switched(name: &Name) -> Self {
        let error = format!("`{name}` switched protocols without being asked to");
        let hint = "the service is at fault";
        Self::new(StatusCode::BAD_GATEWAY, "BAD_ANSWER", error, hint)
    }

    /// What Mainstay runs does not run.
    pub(super) fn down(page: &PageOwner, sight: &OwnerState) -> Self {
        let because = sight.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let error = format!("{} `{}` is {}{because}", page.noun(), page.name, sight.state.as_str());
        let hint = match sight.state {
            InstanceState::Stopped => format!("`mainstay start {}` starts it", page.name),
            InstanceState::Idle => "it starts with the next call of one of its tools".to_owned(),
            _ => "`mainstay status` says more".to_owned(),
        };
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let state = json!(sight.state.as_str());
        Self::new(status, "SERVER_UNAVAILABLE", error, hint).with("state", state).later()
    }

    /// The target was asked and did not answer.
    pub(super) fn failed(page: &PageOwner, failure: &NoAnswer, sight: Option<&OwnerState>) -> Self {
        let (status, code) = match failure {
            NoAnswer::Slow { .. } => (StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED"),
            NoAnswer::NoDescriptor(_) => (StatusCode::SERVICE_UNAVAILABLE, "SERVER_UNAVAILABLE"),
            _ => (StatusCode::BAD_GATEWAY, "SERVER_UNAVAILABLE"),
        };
        let is_loading = |sight: &OwnerState| {
            matches!(sight.state, InstanceState::Starting | InstanceState::Handshaking)
        };
        let state = sight.map(|sight| sight.state.as_str());
        let said = state.map(|state| format!(", which is {state}")).unwrap_or_default();
        let error = format!("{} `{}`{said}: {failure}", page.noun(), page.name);
        if sight.is_some_and(is_loading) {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let refused =
                Self::new(status, "SERVER_LOADING", error, "it is starting: try again soon");
            return refused.with("state", json!(state)).later();
        }
        let hint = "`mainstay status` says how it is; `pages.target` says where its pages are";
        Self::new(status, code, error, hint).with("state", json!(state))
    }

    fn with(mut self, member: &str, value: Value) -> Self {
        self.members.insert(member.to_owned(), value);
        self
    }

    /// Asks the client to come back.
    fn later(mut self) -> Self {
        self.header = Some(Box::new((RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS))));
        self
    }

    pub(super) fn into_response(self, request_id: &str) -> Response<PageBody> {
        let data = json!({ "code": self.code, "hint": self.hint, "request_id": request_id });
        let mut members = Map::from_iter([("error".to_owned(), Value::String(self.error))]);
        members.extend(self.members);
        members.insert("data".to_owned(), data);
        let body = Bytes::from(Value::Object(members).to_string());
        let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(header) = self.header {
            let (name, value) = *header;
            headers.insert(name, value);
        }
        if self.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
