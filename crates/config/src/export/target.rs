//! The address or command that a client's file gets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mainstay_model::settings::GatewaySettings;

/// What a client connects to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Url(String),
    /// A program with arguments, for clients that can only start one.
    Command {
        program: String,
        args: Vec<String>,
    },
}

/// Why there is no address to give to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("`gateway.listen` has port 0, so the address changes with each start")]
    NoFixedPort,
    #[error("`gateway.http` is off; clients that connect to an address need streamable HTTP")]
    NoHttp,
}

/// The address of all servers, or of one server or group.
///
/// # Errors
///
/// When there is no address that stays valid.
pub fn url(gateway: &GatewaySettings, endpoint: Option<&str>) -> Result<String, TargetError> {
    if !gateway.http {
        return Err(TargetError::NoHttp);
    }
    let own = endpoint.map_or_else(|| "/mcp".to_owned(), |name| format!("/mcp/{name}"));
    Ok(match &gateway.public_url {
        Some(public) => public.url_for(&own),
        None => format!("http://{}{own}", reached(gateway.listen)?),
    })
}

/// The address to connect to: loopback for a daemon that listens on every address.
fn reached(listen: SocketAddr) -> Result<SocketAddr, TargetError> {
    if listen.port() == 0 {
        return Err(TargetError::NoFixedPort);
    }
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    Ok(SocketAddr::new(ip, listen.port()))
}

#[cfg(test)]
mod tests {
    use mainstay_model::PublicUrl;
    use mainstay_model::settings::GatewaySettings;

    use super::{TargetError, url};

    #[test]
    fn addresses() {
        for (listen, public, endpoint, expected) in [
            ("127.0.0.1:8000", None, None, Ok("http://127.0.0.1:8000/mcp")),
            ("0.0.0.0:9", None, Some("files"), Ok("http://127.0.0.1:9/mcp/files")),
            ("[::]:9", None, None, Ok("http://[::1]:9/mcp")),
            ("192.0.2.1:9", None, None, Ok("http://192.0.2.1:9/mcp")),
            ("127.0.0.1:0", None, None, Err(TargetError::NoFixedPort)),
            ("127.0.0.1:0", Some("https://x.example/a/"), None, Ok("https://x.example/a")),
            (
                "127.0.0.1:9",
                Some("https://x.example/mcp"),
                Some("f"),
                Ok("https://x.example/mcp/f"),
            ),
        ] {
            let gateway = GatewaySettings {
                listen: listen.parse().unwrap(),
                public_url: public.map(|url| PublicUrl::try_new(url).unwrap()),
                ..GatewaySettings::default()
            };
            assert_eq!(url(&gateway, endpoint), expected.map(str::to_owned), "{listen}");
        }
        let gateway = GatewaySettings { http: false, ..GatewaySettings::default() };
        assert_eq!(url(&gateway, None), Err(TargetError::NoHttp));
    }
}
