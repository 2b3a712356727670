//! What the daemon prints when it serves: where clients connect.

use std::net::SocketAddr;

use mainstay_gateway::{Gateway, Serves};

use super::listening::Addresses;
use super::status;
use crate::output::announce;

/// Prints where clients connect.
pub(super) fn print(gateway: &Gateway, addresses: &Addresses, serves: Serves) {
    for line in lines(gateway, addresses, serves) {
        announce(line);
    }
}

fn lines(gateway: &Gateway, addresses: &Addresses, serves: Serves) -> Vec<String> {
    let mut lines = serving(addresses);
    let (listen, own_sse) = (addresses.main[0], addresses.sse.first().copied());
    let (at, root) = match (serves, own_sse) {
        (Serves { http: true, .. }, _) => (listen, "/mcp"),
        (Serves { sse: true, .. }, _) => (listen, "/sse"),
        (_, Some(own)) => (own, "/sse"),
        (_, None) => return lines,
    };
    if let Some(public) = gateway.public_url() {
        lines.push(format!("clients connect at {public}"));
    }
    for endpoint in status::endpoints(gateway) {
        let own = endpoint.path().replacen("/mcp", root, 1);
        let public = gateway.public_url().map(|public| public.url_for(&own));
        let url = public.unwrap_or_else(|| format!("http://{at}{own}"));
        let servers: Vec<_> = endpoint.pools().map(|pool| pool.name.as_str()).collect();
        if servers.is_empty() {
            continue;
        }
        lines.push(format!("  {url:<45} {}", servers.join(", ")));
    }
    lines
}

/// The addresses of the listeners, and what keeps clients from using them.
fn serving(addresses: &Addresses) -> Vec<String> {
    let mut lines = vec![format!("mainstay is serving at http://{}", addresses.main[0])];
    lines.extend(addresses.main[1..].iter().map(|also| format!("  and at http://{also}")));
    if let [own, others @ ..] = &*addresses.sse {
        let old = "HTTP+SSE of 2024-11-05 is at";
        lines.push(format!("{old} http://{own}/sse and http://{own}/sse/NAME"));
        lines.extend(others.iter().map(|also: &SocketAddr| format!("  and at http://{also}/sse")));
    }
    if !addresses.refused_hosts.is_empty() {
        lines.push(format!(
            "clients that use {} are refused (421) until [gateway] has:",
            addresses.refused_hosts.join(" or ")
        ));
        lines.push(format!("  {}", addresses.to_allow()));
        lines.push(
            "  also add every host name that clients use for this machine or its container"
                .to_owned(),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Addresses, serving};

    #[test]
    fn each_usable_address_is_printed_and_what_to_write_for_those_that_are_refused() {
        let all = ["127.0.0.1:8000", "192.0.2.2:8000"].map(|text| text.parse().unwrap());
        let addresses = Addresses {
            main: Arc::new(all),
            sse: Arc::new([]),
            refused_hosts: vec!["192.0.2.2".to_owned()],
            is_exposed: true,
        };
        assert_eq!(
            serving(&addresses)[..4],
            [
                "mainstay is serving at http://127.0.0.1:8000",
                "  and at http://192.0.2.2:8000",
                "clients that use 192.0.2.2 are refused (421) until [gateway] has:",
                r#"  allowed_hosts = ["192.0.2.2"]"#,
            ]
        );
        let allowed = Addresses { refused_hosts: Vec::new(), ..addresses };
        assert_eq!(serving(&allowed).len(), 2);
    }
}
