//! The page for people who open the daemon's address in a browser: what this is, and where everything is.
//!
//! It shows what anybody on loopback may see ([`View::Open`]), runs no script and loads nothing. Like all that
//! can be read, it needs a token from other addresses.

use std::sync::LazyLock;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use sha2::{Digest, Sha256};
use utoipa_axum::router::OpenApiRouter;

use crate::context::Shared;
use crate::source::View;

mod html;
#[cfg(test)]
mod tests;

/// The address of the page. It is no part of the API, and not in its description.
pub(crate) const PATH: &str = "/";

const STYLE: &str = include_str!("page/style.css");

/// Nothing but the page's own style and its icon: should a name ever get past the escaping, it can't run,
/// load or send anything.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
});

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default().route(PATH, get(page))
}

/// Gives the page. Addresses on it are those under which the browser reached the daemon.
async fn page(State(admin): State<Shared>, headers: HeaderMap) -> Response {
    let status = admin.source.status(View::Open);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let base = match (host, status.listen.first()) {
        (Some(host), _) => format!("http://{host}"),
        (None, Some(listen)) => listen.clone(),
        (None, None) => String::new(),
    };
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, html::page(&status, &base)).into_response()
}
