//! Which HTTP proxy the environment names for a server: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`
//! and `NO_PROXY`, in upper or lower case.

use std::collections::BTreeMap;
use std::net::IpAddr;

use mainstay_model::Redacted;
use mainstay_model::settings::ProxySpec;
use url::{Host, Url};

/// The proxy for a server at `url`. None: it is reached directly.
///
/// The computer itself is never reached through a proxy: a proxy would connect to itself.
pub(crate) fn proxy_for(url: &str, env: &BTreeMap<String, String>) -> Option<ProxySpec> {
    let url = Url::parse(url).ok()?;
    let host = url.host()?.to_owned();
    let port = url.port_or_known_default()?;
    if is_this_machine(&host) || is_excepted(&host, port, env) {
        return None;
    }
    // Lower case counts first, as for curl.
    let names: &[&str] = match url.scheme() {
        "https" => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        // In a CGI program anybody who sends a header `Proxy` sets HTTP_PROXY.
        _ if env.contains_key("REQUEST_METHOD") => &["http_proxy", "all_proxy", "ALL_PROXY"],
        _ => &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
    };
    let (name, text) = names
        .iter()
        .find_map(|name| Some((name, env.get(*name)?)))
        .map(|(name, text)| (name, text.trim()))?;
    // An empty variable turns proxies off.
    (!text.is_empty()).then(|| parse(name, text))
}

/// Parses the address of a proxy. One that is not for HTTP gets an empty address, which the server
/// reports when it starts.
fn parse(variable: &str, text: &str) -> ProxySpec {
    let with_scheme = match text.contains("://") {
        true => text.to_owned(),
        false => format!("http://{text}"),
    };
    let url = Url::parse(&with_scheme).ok().filter(|url| url.scheme() == "http" && url.has_host());
    let credentials = url.as_ref().filter(|url| !url.username().is_empty()).map(|url| {
        let password = url.password().unwrap_or_default();
        Redacted::new(format!("{}:{}", decoded(url.username()), decoded(password)))
    });
    let url = url.and_then(|url| {
        let port = url.port_or_known_default()?;
        Some(format!("http://{}:{port}", url.host_str()?))
    });
    ProxySpec { url: url.unwrap_or_default(), credentials, variable: variable.to_owned() }
}

/// The text without percent encoding.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let byte = (first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn is_this_machine(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Host::Ipv4(address) => address.is_loopback() || address.is_unspecified(),
        Host::Ipv6(address) => {
            let plain = address.to_ipv4_mapped();
            address.is_loopback()
                || address.is_unspecified()
                || plain.is_some_and(|plain| plain.is_loopback())
        }
    }
}

/// Whether `NO_PROXY` names the host: a name with all below it, an address, a range of addresses,
/// each with a port or without, or `*`.
fn is_excepted(host: &Host<String>, port: u16, env: &BTreeMap<String, String>) -> bool {
    let list = ["no_proxy", "NO_PROXY"].iter().find_map(|name| env.get(*name));
    let entries = list.map(String::as_str).unwrap_or_default();
    let mut entries = entries.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
    entries.any(|entry| matches(entry, host, port))
}

fn matches(entry: &str, host: &Host<String>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    let (entry, wanted) = split_port(entry);
    if wanted.is_some_and(|wanted| wanted != port) {
        return false;
    }
    let address = match host {
        Host::Domain(name) => {
            let entry = entry.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let above = name.strip_suffix(&entry);
            return !entry.is_empty() && above.is_some_and(|it| it.is_empty() || it.ends_with('.'));
        }
        Host::Ipv4(address) => IpAddr::V4(*address),
        Host::Ipv6(address) => IpAddr::V6(*address),
    };
    match entry.split_once('/') {
        Some((network, bits)) => {
            let network = network.parse::<IpAddr>().ok().zip(bits.parse::<u32>().ok());
            network.is_some_and(|(network, bits)| is_within(address, network, bits))
        }
        None => entry.parse::<IpAddr>().is_ok_and(|entry| entry == address),
    }
}

/// Splits `host:port` and `[v6]:port`; an IPv6 address without brackets has no port.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    if let Some((address, rest)) = entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (address, network, width) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (u128::from(address.to_bits()), u128::from(network.to_bits()), 32)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    let Some(host_bits) = u32::checked_sub(width, bits) else { return false };
    // A shift by all bits leaves nothing to compare.
    address.checked_shr(host_bits) == network.checked_shr(host_bits)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{decoded, proxy_for};

    fn env(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// The proxy's address, and the variable that names it.
    fn found(url: &str, variables: &[(&str, &str)]) -> Option<(String, String)> {
        proxy_for(url, &env(variables)).map(|proxy| (proxy.url, proxy.variable))
    }

    #[test]
    fn the_scheme_decides_which_variable_counts_and_lower_case_comes_first() {
        let all = [
            ("HTTP_PROXY", "http://upper:1"),
            ("http_proxy", "lower:2"),
            ("HTTPS_PROXY", "http://secure"),
            ("ALL_PROXY", "http://all:4"),
        ];
        for (url, variables, expected) in [
            ("http://h.example/mcp", &all[..], Some(("http://lower:2", "http_proxy"))),
            ("http://h.example/mcp", &all[..1], Some(("http://upper:1", "HTTP_PROXY"))),
            ("https://h.example/mcp", &all[..], Some(("http://secure:80", "HTTPS_PROXY"))),
            ("https://h.example/mcp", &all[..2], None),
            ("https://h.example/mcp", &all[3..], Some(("http://all:4", "ALL_PROXY"))),
            ("http://h.example", &[("HTTP_PROXY", "http://x"), ("REQUEST_METHOD", "GET")], None),
            ("http://h.example", &[("HTTP_PROXY", "http://x"), ("http_proxy", "")], None),
            ("http://h.example", &[("http_proxy", "socks5://s:1")], Some(("", "http_proxy"))),
            ("http://h.example", &[("http_proxy", "https://s:1")], Some(("", "http_proxy"))),
        ] {
            let expected = expected.map(|(url, name)| (url.to_owned(), name.to_owned()));
            assert_eq!(found(url, variables), expected, "{url} {variables:?}");
        }
    }

    #[test]
    fn this_machine_and_what_no_proxy_names_are_reached_directly() {
        for (url, no_proxy, direct) in [
            ("http://127.0.0.1:9000/mcp", "", true),
            ("http://[::1]/mcp", "", true),
            ("http://localhost/mcp", "", true),
            ("http://api.localhost/mcp", "", true),
            ("http://mcp.example.com/mcp", "", false),
            ("http://mcp.example.com/mcp", "*", true),
            ("http://mcp.example.com/mcp", "example.com", true),
            ("http://mcp.example.com/mcp", ".example.com", true),
            ("http://mcp.example.com/mcp", "*.Example.com", true),
            ("http://mcp.example.com/mcp", "other.com, mcp.example.com", true),
            ("http://mcp.example.com/mcp", "other.com mcp.example.com", true),
            ("http://badexample.com/mcp", "example.com", false),
            ("http://example.com.evil/mcp", "example.com", false),
            ("http://mcp.example.com:8080/mcp", "example.com:8080", true),
            ("http://mcp.example.com/mcp", "example.com:8080", false),
            ("https://mcp.example.com/mcp", "example.com:443", true),
            ("http://10.1.2.3/mcp", "10.0.0.0/8", true),
            ("http://11.1.2.3/mcp", "10.0.0.0/8", false),
            ("http://10.1.2.3/mcp", "10.1.2.3", true),
            ("http://10.1.2.3:81/mcp", "10.1.2.3:80", false),
            ("http://11.1.2.3/mcp", "0.0.0.0/0", true),
            ("http://10.1.2.3/mcp", "10.0.0.0/40", false),
            ("http://[fd00::5]/mcp", "fd00::/8", true),
            ("http://[fd00::5]:81/mcp", "[fd00::5]:81", true),
            ("http://[fe00::5]/mcp", "fd00::/8", false),
            ("http://mcp.example.com/mcp", "10.0.0.0/8", false),
        ] {
            for name in ["no_proxy", "NO_PROXY"] {
                let variables =
                    [("http_proxy", "http://p:1"), ("https_proxy", "http://p:1"), (name, no_proxy)];
                assert_eq!(found(url, &variables).is_none(), direct, "{url} {name}={no_proxy}");
            }
        }
    }

    #[test]
    fn credentials_are_taken_out_of_the_address_and_not_shown() {
        let variables = env(&[("https_proxy", "http://ann:open%20sesame@p.example:3128/")]);
        let proxy = proxy_for("https://h.example", &variables).unwrap();
        assert_eq!(proxy.url, "http://p.example:3128");
        assert_eq!(proxy.credentials.as_ref().unwrap().expose(), "ann:open sesame");
        assert!(!format!("{proxy:?}").contains("sesame"), "{proxy:?}");
        assert_eq!(decoded("%41%zz%4"), "A%zz%4");
    }
}
