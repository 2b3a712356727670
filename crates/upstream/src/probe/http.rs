//! The probe `http`: a GET whose answer is the expected one.
//!
//! That something answers is no health: a status page may say `"status": "error"` with HTTP 200, and contain the
//! word "status" in any case. So the answer is compared with what the configuration expects, and a member of a
//! JSON body is compared as a value.

mod body;
mod expected;

use std::pin::pin;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use mainstay_model::settings::HttpCheck;
use mainstay_supervisor::probe::Outcome;
use url::{Position, Url};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use self::body::Body;
use self::expected::Expected;
use super::address::{Address, TlsPeer};
use super::late::Late;
use crate::remote::words;
use crate::secrets::decoded;

/// A GET and what its answer must be.
pub(super) struct HttpProbe {
    address: Address,
    tls: Option<TlsPeer>,
    request: Request<Empty<Bytes>>,
    /// The URL in reasons: scheme, host and port as they are, and the path as the operator wrote it.
    shown: String,
    expected: Expected,
}

/// What Mainstay calls itself.
const OUR_NAME: &str = concat!("mainstay/", env!("CARGO_PKG_VERSION"));
/// Most bytes that are read at once. It also bounds the head of the answer.
const BUFFER_BYTES_MAX: usize = 64 << 10;

// === impl HttpProbe ===

impl HttpProbe {
    /// # Errors
    /// Says why the URL can't be used, without repeating it.
    pub(super) fn new(check: &HttpCheck) -> Result<Self, String> {
        let url = Url::parse(check.url.expose())
            .map_err(|error| format!("its url is no URL: {error}"))?;
        let no_url = || "its url is not http:// or https:// with a host".to_owned();
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(no_url)?;
        let port = url.port_or_known_default().ok_or_else(no_url)?;
        let tls = match url.scheme() {
            "http" => None,
            "https" => Some(TlsPeer::checked(host)?),
            _ => return Err(no_url()),
        };
        Ok(Self {
            address: Address::new(host, port),
            tls,
            request: request(&url).ok_or_else(no_url)?,
            shown: shown(&url, &check.written),
            expected: Expected::new(check),
        })
    }

    /// # Errors
    /// The outcome, if the answer is not the expected one, or there is none.
    pub(super) async fn check(&self, late: &Late) -> Result<(), Outcome> {
        let stream = self.address.connect_with(self.tls.as_ref(), late).await?;
        let accepted = format!("{} accepts the connection and does not answer", self.address);
        late.is_silence(&accepted);
        let mut http = http1::Builder::new();
        http.max_buf_size(BUFFER_BYTES_MAX);
        let opened = http.handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = opened.map_err(|error| self.no_answer(&error))?;
        let exchange = async {
            let response = sender.send_request(self.request.clone()).await;
            self.judge(response.map_err(|error| self.no_answer(&error))?, late).await
        };
        let mut exchange = pin!(exchange);
        tokio::select! {
            biased;
            judged = &mut exchange => judged,
            // The rest of the answer has arrived by then.
            _ = connection => exchange.await,
        }
    }

    /// Compares an answer with what is expected. Reads the body only if it matters.
    async fn judge(&self, response: Response<Incoming>, late: &Late) -> Result<(), Outcome> {
        let status = response.status();
        if !self.expected.accepts_status(status) {
            return Err(self.wrong_status(response, late).await);
        }
        if !self.expected.wants_body() {
            return Ok(());
        }
        late.is_silence(&format!(
            "{} answers HTTP {}, and its body does not end",
            self.shown,
            status.as_u16()
        ));
        let mut body =
            Body::new(response).map_err(|error| self.unfit(&error.to_string(), BAD_BODY))?;
        let judged = match self.expected.needs_whole_body() {
            true => {
                let whole = body.read_all().await.map_err(|error| self.no_body(&error))?;
                self.expected.check_body(&whole)
            }
            false => body
                .until_contains(self.expected.text())
                .await
                .map_err(|error| self.no_body(&error))?
                .map_err(|why| self.expected.with_beginning(&why, body.read())),
        };
        judged.map_err(|why| self.unfit(&why, BAD_BODY))
    }

    /// Explains a status with the first line of the target's own words, if these come at once.
    async fn wrong_status(&self, response: Response<Incoming>, late: &Late) -> Outcome {
        let status = response.status();
        let mut reason = format!("{} answers HTTP {}", self.shown, status.as_u16());
        if let Some(expected) = self.expected.status() {
            reason.push_str(&format!(" instead of {expected}"));
        }
        let brief = format!("its probe got HTTP {}", status.as_u16());
        // It has answered, whatever becomes of the rest.
        late.means(Outcome::unfit(reason.clone(), brief.clone()));
        let said = match Body::new(response) {
            Ok(mut body) => body.read_all().await.ok(),
            Err(_) => None,
        };
        if let Some(words) = said.and_then(|said| words::first_line(&said)) {
            reason.push_str(&format!(": {words}"));
        }
        Outcome::unfit(reason, brief)
    }

    fn unfit(&self, why: &str, brief: &str) -> Outcome {
        Outcome::unfit(format!("{}: {why}", self.shown), brief)
    }

    fn no_body(&self, error: &body::NoBody) -> Outcome {
        match error {
            body::NoBody::Broken(_) => {
                Outcome::silent(format!("{}: {error}", self.shown), "its probe got no whole answer")
            }
            _ => self.unfit(&error.to_string(), BAD_BODY),
        }
    }

    /// The outcome when the connection failed before there was an answer.
    fn no_answer(&self, error: &hyper::Error) -> Outcome {
        let cause = root_cause(error);
        if error.is_parse() || error.is_parse_too_large() || error.is_parse_status() {
            let reason = format!("{} does not answer in HTTP: {cause}", self.shown);
            return Outcome::unfit(reason, "its probe got an answer that is not HTTP");
        }
        let reason = format!("{} closes the connection without an answer: {cause}", self.shown);
        Outcome::silent(reason, "its probe got no answer")
    }
}

impl std::fmt::Debug for HttpProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HttpProbe({})", self.address)
    }
}

/// The brief reason for every answer that is wrong but for its status.
const BAD_BODY: &str = "its probe got an unexpected answer";

/// The GET for a URL. `None` if it can't be written in HTTP.
fn request(url: &Url) -> Option<Request<Empty<Bytes>>> {
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = url[Position::BeforePath..Position::AfterQuery].parse().ok()?;
    let authority = &url[Position::BeforeHost..Position::AfterPort];
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(authority).ok()?);
    headers.insert(USER_AGENT, HeaderValue::from_static(OUR_NAME));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if !url.username().is_empty() || url.password().is_some() {
        let (user, password) = (url.username(), url.password().unwrap_or_default());
        let credentials = format!("{}:{}", decoded(user), decoded(password));
        let mut basic =
            HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(credentials))).ok()?;
        basic.set_sensitive(true);
        headers.insert(AUTHORIZATION, basic);
    }
    Some(request)
}

/// A URL as reasons show it: where it leads, so that a wrong port is seen, and the path as it is written, in which
/// references stay references. Never a user, a password or a query.
fn shown(url: &Url, written: &str) -> String {
    let authority = &url[Position::BeforeHost..Position::AfterPort];
    let path = match written.split_once("://") {
        Some((_, rest)) => {
            let path = rest.find('/').map_or("", |at| &rest[at..]);
            path.split(['?', '#']).next().unwrap_or_default()
        }
        // The path is a part of a reference, and may be a secret.
        None if url.path().len() > 1 => "/…",
        None => "",
    };
    format!("{}://{authority}{path}", url.scheme())
}

/// The innermost cause of an error, which says most.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
