//! What is said when a request can't be served: what is wrong, where, and what to do.

use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoResponses, ToSchema};

/// Why a request is not served.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// What is wrong.
    pub error: String,
    /// Where it is wrong: a member of the body, a parameter, a header or the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub at: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub hint: Option<String>,
    /// The servers that there are, if another one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub servers: Option<Vec<String>>,
    /// The names that there are, if another one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub names: Option<Vec<String>>,
    /// The paths that there are, if another one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub paths: Option<Vec<String>>,
    /// Finds an internal error in its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error_id: Option<String>,
}

/// The error of an answer, for the audit log.
#[derive(Debug, Clone)]
pub(crate) struct Why(pub(crate) String);

/// A problem as the answer to a request.
#[derive(Debug, Clone)]
pub(crate) struct Rejection {
    status: StatusCode,
    headers: HeaderMap,
    problem: Box<Problem>,
}

/// Answers of every route.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) enum Standard {
    /// An error inside of Mainstay; `error_id` finds it in the log.
    #[response(status = 500)]
    Internal(Problem),
    /// The answer took too long.
    #[response(status = 504)]
    Late(Problem),
}

/// Answers of routes that strangers may not use.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) enum Forbidden {
    /// The request needs a token, or another one.
    #[response(status = 401, headers(("www-authenticate" = String, description = "The scheme: `Bearer`.")))]
    Unauthorized(Problem),
    /// Too many requests are being answered.
    #[response(status = 503)]
    Busy(Problem),
}

/// Answers of routes that need the `admin` token.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) enum AdminOnly {
    /// The request needs the `admin` token.
    #[response(status = 401, headers(("www-authenticate" = String, description = "The scheme: `Bearer`.")))]
    Unauthorized(Problem),
    /// The `read` token is not enough.
    #[response(status = 403, headers(("www-authenticate" = String, description = "The scheme and the scope that is needed.")))]
    Insufficient(Problem),
    /// Too many requests are being answered, or the state folder can't be read.
    #[response(status = 503)]
    Busy(Problem),
}

/// Answers of routes with a body.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) enum BadBody {
    /// The body can't be read.
    #[response(status = 400)]
    Invalid(Problem),
    /// The body did not arrive in time.
    #[response(status = 408)]
    Slow(Problem),
    /// The body is too large.
    #[response(status = 413)]
    TooLarge(Problem),
    /// The body is not JSON.
    #[response(status = 415)]
    MediaType(Problem),
}

/// Answers of routes with parameters.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) enum BadRequest {
    /// A parameter can't be read.
    #[response(status = 400)]
    Invalid(Problem),
}

// === impl Rejection ===

impl Rejection {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        let problem = Problem { error: error.into(), ..Problem::default() };
        Self { status, headers: HeaderMap::new(), problem: Box::new(problem) }
    }

    pub(crate) fn at(mut self, place: impl Into<String>) -> Self {
        self.problem.at = Some(place.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.problem.hint = Some(hint.into());
        self
    }

    fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn no_such_server(place: &str, known: impl Iterator<Item = String>) -> Self {
        let mut rejection = Self::new(StatusCode::NOT_FOUND, "no such server").at(place);
        rejection.problem.servers = Some(known.collect());
        rejection.hint("`servers` lists the existing ones")
    }

    /// With the names that exist.
    pub(crate) fn names(mut self, known: impl Iterator<Item = String>) -> Self {
        self.problem.names = Some(known.collect());
        self.hint("`names` lists the existing ones")
    }

    pub(crate) fn no_such_path(error: String, known: Vec<String>) -> Self {
        let mut rejection = Self::new(StatusCode::NOT_FOUND, error);
        rejection.problem.paths = Some(known);
        rejection.hint("`paths` lists the existing ones")
    }

    pub(crate) fn method_not_allowed(allowed: &[Method]) -> Self {
        let error = if allowed.contains(&Method::GET) {
            "this address can only be read"
        } else {
            "this path does not support the method"
        };
        let names = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let rejection = Self::new(StatusCode::METHOD_NOT_ALLOWED, error);
        let rejection = rejection.at("the method").hint(format!("it supports {names}"));
        match HeaderValue::from_str(&names) {
            Ok(names) => rejection.header(ALLOW, names),
            Err(_) => rejection,
        }
    }

    /// The caller has shown no token, or one that is none of ours.
    pub(crate) fn unauthorized(needs: &str, wrong: bool) -> Self {
        let (error, challenge) = if wrong {
            ("this token is not valid here".to_owned(), "Bearer error=\"invalid_token\"")
        } else {
            (format!("this address needs {needs}"), "Bearer")
        };
        let command = "`mainstay token` prints it (`--read` the one that can only read)";
        Self::new(StatusCode::UNAUTHORIZED, error)
            .at("header `authorization`")
            .hint(format!("send `Authorization: Bearer TOKEN`; {command}. /health/live is open"))
            .header(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    /// The caller's token may only read.
    pub(crate) fn insufficient() -> Self {
        let challenge = "Bearer error=\"insufficient_scope\", scope=\"admin\"";
        Self::new(StatusCode::FORBIDDEN, "the `read` token can't do this")
            .at("header `authorization`")
            .hint("this address needs the `admin` token, which `mainstay token` prints")
            .header(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    pub(crate) fn busy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests are being answered")
            .hint("try again in a second")
            .header(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    pub(crate) fn deadline(seconds: u64) -> Self {
        let error = format!("the request was not answered within {seconds} s");
        Self::new(StatusCode::GATEWAY_TIMEOUT, error).hint("the log of the daemon may say why")
    }

    pub(crate) fn internal(error_id: String) -> Self {
        let error = "an internal error";
        let mut rejection = Self::new(StatusCode::INTERNAL_SERVER_ERROR, error);
        rejection.problem.error_id = Some(error_id);
        rejection.hint("the log of the daemon has it under `error_id`")
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let why = Extension(Why(self.problem.error.clone()));
        (self.status, self.headers, why, Json(self.problem)).into_response()
    }
}
