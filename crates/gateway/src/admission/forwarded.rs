//! Reads what proxies in front say about a request: its client, hosts and path prefix.
//!
//! Anybody can write these headers, so only those of trusted addresses count. Headers that are
//! malformed or contradict each other are ignored: a request is not refused for them.

mod element;

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use mainstay_model::Network;

use self::element::{Element, parse_elements};

/// The trusted proxies.
#[derive(Debug)]
pub(crate) struct Proxies {
    trusted: Vec<Network>,
}

/// What trusted proxies say about a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ForwardedInfo {
    /// Client of the first trusted proxy. Port 0 where the port is unknown.
    pub(crate) client: Option<SocketAddr>,
    /// All hosts that the request was sent to on its way. Each must be allowed.
    pub(crate) hosts: Vec<String>,
    /// Prefix that a proxy removed from the path. It begins with `/` and does not end with it.
    pub(crate) prefix: Option<String>,
}

const FORWARDED: &str = "forwarded";
const FOR: &str = "x-forwarded-for";
const HOST: &str = "x-forwarded-host";
const PREFIX: &str = "x-forwarded-prefix";

// === impl Proxies ===

impl Proxies {
    pub(crate) fn new(trusted: Vec<Network>) -> Self {
        Self { trusted }
    }

    /// Reads the headers of a request, if `peer` is trusted.
    pub(crate) fn read(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> ForwardedInfo {
        if self.trusted.is_empty() || !peer.is_some_and(|peer| self.trusts(peer.ip())) {
            return ForwardedInfo::default();
        }
        let forwarded = parse_elements(&joined_header(headers, FORWARDED)).unwrap_or_default();
        let listed = |name: &str| -> Vec<String> {
            let text = joined_header(headers, name);
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        };
        let mut hosts = listed(HOST);
        hosts.extend(forwarded.iter().filter_map(|element| element.host.clone()));
        let nodes = listed(FOR);
        let by_list = self.client(nodes.iter().map(|node| parse_node(node)));
        let by_elements = self.client(forwarded.iter().map(Element::address));
        ForwardedInfo {
            client: agreeing_client(by_list, by_elements),
            hosts,
            prefix: forwarded_prefix(headers),
        }
    }

    /// Walks the chain of proxies from its near end. Each trusted proxy vouches for the address
    /// before it.
    fn client(
        &self,
        chain: impl DoubleEndedIterator<Item = Option<SocketAddr>>,
    ) -> Option<SocketAddr> {
        let mut client = None;
        for node in chain.rev() {
            let Some(address) = node else { break };
            client = Some(address);
            if !self.trusts(address.ip()) {
                break;
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}

/// Returns the client if the headers agree. A proxy writes one of the two, and may pass the other
/// on as a client sent it. When they differ, nothing shows which one is the proxy's.
fn agreeing_client(one: Option<SocketAddr>, other: Option<SocketAddr>) -> Option<SocketAddr> {
    match (one, other) {
        (Some(one), Some(other)) => (one.ip() == other.ip()).then_some(one),
        (one, other) => one.or(other),
    }
}

fn forwarded_prefix(headers: &HeaderMap) -> Option<String> {
    let path = headers.get(PREFIX)?.to_str().ok()?.trim().trim_end_matches('/');
    let is_path = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    let holds = path.starts_with('/') && !path.contains("//") && path.bytes().all(is_path);
    holds.then(|| path.to_owned())
}

/// Parses an IP address with or without a port, and for IPv6 with or without brackets.
fn parse_node(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address);
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 0))
}

/// Joins all lines of a header into one list. A line that is not text is empty.
fn joined_header(headers: &HeaderMap, name: &str) -> String {
    let lines = headers.get_all(name).iter();
    lines.map(|line| line.to_str().unwrap_or_default()).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
