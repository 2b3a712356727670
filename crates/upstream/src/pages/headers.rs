//! Headers on their way to a target and back.
//!
//! Pages of all targets, MCP and the API have one origin, so nothing of a client that proves who it is goes to a
//! target, and no target can set anything for the others: `Authorization`, `Cookie` and the headers of MCP are
//! not passed on, `Set-Cookie` and its like are not passed back.

use std::net::IpAddr;

use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_LOCATION,
    COOKIE, EXPECT, FORWARDED, HOST, LOCATION, ORIGIN, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    SET_COOKIE, STRICT_TRANSPORT_SECURITY, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use mainstay_model::PublicUrl;

use super::refusal::PageRefusal;
use super::target::PageTarget;

/// What a target is told about the client.
#[derive(Debug, Clone, Default)]
pub struct Forwarded {
    pub client: Option<IpAddr>,
    /// The `Host` that the client asked for.
    pub host: Option<HeaderValue>,
    /// The URL of the gateway as clients see it through a proxy.
    pub public: Option<PublicUrl>,
}

/// How Mainstay names itself in `Via`.
const OUR_NAME: &str = "mainstay-pages";

/// Headers of one connection (RFC 9110, section 7.6.1), beside those that `Connection` names.
const OF_ONE_CONNECTION: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What a client sends for Mainstay alone, and what is set anew.
const NOT_PASSED: [HeaderName; 11] = [
    AUTHORIZATION,
    COOKIE,
    // The gate has judged it. A target would compare it with its own address.
    ORIGIN,
    EXPECT,
    HOST,
    CONTENT_LENGTH,
    FORWARDED,
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
    HeaderName::from_static("x-client-ip"),
];

/// What a target could set for all that is at Mainstay's address, or order a proxy in front to do.
const NOT_RETURNED: [HeaderName; 9] = [
    SET_COOKIE,
    STRICT_TRANSPORT_SECURITY,
    ACCESS_CONTROL_ALLOW_ORIGIN,
    HeaderName::from_static("alt-svc"),
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("service-worker-allowed"),
    HeaderName::from_static("public-key-pins"),
    HeaderName::from_static("x-sendfile"),
    HeaderName::from_static("x-lighttpd-send-file"),
];

// === impl Forwarded ===

impl Forwarded {
    /// The path under which clients know one of the daemon's own paths.
    pub(super) fn public(&self, own: &str) -> String {
        self.public.as_ref().map_or_else(|| own.to_owned(), |url| url.public_path(own))
    }
}

/// Refuses what can't be passed, whatever the target.
pub(super) fn check(headers: &HeaderMap) -> Result<(), PageRefusal> {
    let has = |name: HeaderName, word: &str| {
        let mut values = headers.get_all(name).iter();
        values
            .any(|value| value.to_str().is_ok_and(|text| text.to_ascii_lowercase().contains(word)))
    };
    if has(UPGRADE, "websocket") {
        return Err(PageRefusal::upgrade());
    }
    if has(VIA, OUR_NAME) {
        return Err(PageRefusal::looping());
    }
    Ok(())
}

/// The headers for the target.
pub(super) fn outgoing(
    headers: &HeaderMap,
    target: &PageTarget,
    forwarded: &Forwarded,
    own_prefix: &str,
) -> HeaderMap {
    let mut passed = headers.clone();
    remove_connection_headers(&mut passed);
    for name in NOT_PASSED {
        passed.remove(name);
    }
    let of_families: Vec<_> = passed
        .keys()
        .filter(|name| {
            let name = name.as_str();
            name.starts_with("x-forwarded-") || name.starts_with("mcp-")
        })
        .cloned()
        .collect();
    for name in of_families {
        passed.remove(name);
    }
    passed.insert(HOST, target.host_header());
    let mut set = |name: &'static str, value: Option<HeaderValue>| {
        if let Some(value) = value {
            passed.insert(HeaderName::from_static(name), value);
        }
    };
    let public = forwarded.public.as_ref();
    let text = |text: &str| HeaderValue::from_str(text).ok();
    set("x-forwarded-for", forwarded.client.and_then(|client| text(&client.to_string())));
    let host = public.map_or_else(|| forwarded.host.clone(), |url| text(url.authority()));
    set("x-forwarded-host", host);
    let proto = if public.is_some_and(PublicUrl::is_https) { "https" } else { "http" };
    set("x-forwarded-proto", text(proto));
    set("x-forwarded-prefix", text(&forwarded.public(own_prefix)));
    passed.append(VIA, HeaderValue::from_static("1.1 mainstay-pages"));
    passed
}

/// Takes out of an answer what is not for clients, and lets addresses of the target lead back here. `prefix`: where
/// clients find the root of the target.
pub(super) fn returned(headers: &mut HeaderMap, target: &PageTarget, prefix: &str) {
    remove_connection_headers(headers);
    for name in NOT_RETURNED {
        headers.remove(name);
    }
    let of_families: Vec<_> = headers
        .keys()
        .filter(|name| {
            let name = name.as_str();
            name.starts_with("access-control-")
                || name.starts_with("mcp-")
                || (name.starts_with("x-accel-") && name != "x-accel-buffering")
        })
        .cloned()
        .collect();
    for name in of_families {
        headers.remove(name);
    }
    for name in [LOCATION, CONTENT_LOCATION] {
        let address = headers.get(&name).and_then(|value| value.to_str().ok());
        let led = address.and_then(|address| led_back(address, target, prefix));
        if let Some(value) = led.and_then(|led| HeaderValue::from_str(&led).ok()) {
            headers.insert(name, value);
        }
    }
}

/// An address of the target as clients reach it. `None`: it stays as it is, because it counts from the page, or
/// leads elsewhere.
fn led_back(address: &str, target: &PageTarget, prefix: &str) -> Option<String> {
    let path = match address.strip_prefix('/') {
        // Browsers read a backslash as a slash: this is another host.
        Some(rest) if rest.starts_with(['/', '\\']) => {
            let whole = format!("{}:{address}", target.scheme());
            target.own_path(&whole)?.to_owned()
        }
        Some(_) => address.to_owned(),
        None => target.own_path(address)?.to_owned(),
    };
    let slash = if path.starts_with('/') { "" } else { "/" };
    Some(format!("{prefix}{slash}{path}"))
}

fn remove_connection_headers(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.into_iter().chain(OF_ONE_CONNECTION) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests;
