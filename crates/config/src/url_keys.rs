//! Keys that are written out in an address, such as `?api_key=…`.

use std::ops::Range;

use crate::import::shapes::{is_named, is_shaped};

/// A key in an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UrlKey<'a> {
    /// The name of the parameter; `None` for a part of the path.
    pub(crate) name: Option<&'a str>,
    /// Where the key is in the address.
    pub(crate) span: Range<usize>,
}

/// The keys that are written out in an address. References such as `${NAME}` are none.
pub(crate) fn keys(address: &str) -> Vec<UrlKey<'_>> {
    let Some(host) = address.find("://").map(|at| at + "://".len()) else { return Vec::new() };
    let marks = ['/', '?', '&', '#'];
    let mut keys = Vec::new();
    let mut start = address[host..].find(marks).map_or(address.len(), |at| host + at);
    while start < address.len() {
        // What begins here is a mark.
        let begin = start + 1;
        let end = address[begin..].find(marks).map_or(address.len(), |at| begin + at);
        let part = &address[begin..end];
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (Some(name), value),
            None => (None, part),
        };
        let is_key = is_named(name.unwrap_or_default(), value) || is_shaped(value);
        if is_key && !value.contains("${") {
            keys.push(UrlKey { name, span: end - value.len()..end });
        }
        start = end;
    }
    keys
}

/// The address with `***` in place of its keys.
pub(crate) fn masked(address: &str) -> String {
    let mut shown = address.to_owned();
    for key in keys(address).into_iter().rev() {
        shown.replace_range(key.span, "***");
    }
    shown
}

/// Scheme, host and port of an address, and `***` in place of the rest. References such as `secret:env:NAME`
/// and `${NAME}` are shown whole.
pub(crate) fn origin(address: &str) -> String {
    let Some(host) = address.find("://").map(|at| at + "://".len()) else {
        let is_reference = address.starts_with("secret:")
            || (address.starts_with("${") && address.find('}') == Some(address.len() - 1))
                && !address.contains(':');
        return if is_reference { address } else { "***" }.to_owned();
    };
    let end = address[host..].find(['/', '?', '#', '\\']).map_or(address.len(), |at| host + at);
    let rest = if matches!(&address[end..], "" | "/") { &address[end..] } else { "/***" };
    // A user or a password is an error, and still not shown.
    let named = address[host..end].rfind('@').map_or(host, |at| host + at + 1);
    format!("{}{}{rest}", &address[..host], &address[named..end])
}

#[cfg(test)]
mod tests {
    use super::{keys, masked, origin};

    #[test]
    fn of_a_webhook_only_the_origin_is_shown() {
        for (address, shown) in [
            ("https://hooks.example/services/T0/B0/x", "https://hooks.example/***"),
            ("https://hooks.example:8443?key=x", "https://hooks.example:8443/***"),
            ("https://u:p@hooks.example#x", "https://hooks.example/***"),
            ("https://hooks.example/", "https://hooks.example/"),
            ("https://hooks.example", "https://hooks.example"),
            ("https://hooks.example/${TOKEN}", "https://hooks.example/***"),
            ("${HOOK_URL}", "${HOOK_URL}"),
            ("${HOOK_URL:-x}", "***"),
            ("secret:file:hook", "secret:file:hook"),
            ("hooks.example/services/x", "***"),
        ] {
            assert_eq!(origin(address), shown, "{address}");
        }
    }

    #[test]
    fn keys_are_found_and_masked() {
        for (address, names, shown) in [
            (
                "https://a.example/mcp?v=1&api_key=opensesame#x",
                &[Some("api_key")][..],
                "https://a.example/mcp?v=1&api_key=***#x",
            ),
            (
                "https://a.example/?token=opensesame&key=opensesame",
                &[Some("token"), Some("key")],
                "https://a.example/?token=***&key=***",
            ),
            (
                "https://a.example/ghp_0123456789abcdef0123456789abcdef0123/mcp",
                &[None],
                "https://a.example/***/mcp",
            ),
            ("https://a.example?api_key=${KEY}", &[], "https://a.example?api_key=${KEY}"),
            (
                "https://a.example/mcp?page_token_limit=3&v=1",
                &[],
                "https://a.example/mcp?page_token_limit=3&v=1",
            ),
            ("secret:env:KEY", &[], "secret:env:KEY"),
            ("https://a.example", &[], "https://a.example"),
        ] {
            let found: Vec<_> = keys(address).into_iter().map(|key| key.name).collect();
            assert_eq!((&*found, &*masked(address)), (names, shown), "{address}");
        }
    }
}
