//! Opens TCP connections to hosts by name.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpStream;

/// Connects to a host, which is a name or an address without brackets.
///
/// `localhost` is this machine (RFC 6761, section 6.3): it is never looked up, so it also works without
/// `/etc/hosts`, as in an empty container.
///
/// # Errors
/// When the name can't be resolved, or none of its addresses accepts the connection.
pub async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    if !is_localhost(host) {
        return TcpStream::connect((host, port)).await;
    }
    // The usual order: a server that listens on one of them only is found as well.
    let both = [
        SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
    ];
    TcpStream::connect(&both[..]).await
}

pub(crate) fn is_localhost(host: &str) -> bool {
    host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::{dial, is_localhost};

    #[test]
    fn only_the_name_itself_is_this_machine() {
        for host in ["localhost", "LocalHost", "localhost."] {
            assert!(is_localhost(host), "{host}");
        }
        for host in ["", ".", "localhost.example", "my.localhost", "127.0.0.1", "::1"] {
            assert!(!is_localhost(host), "{host}");
        }
    }

    #[tokio::test]
    async fn a_server_on_one_of_the_addresses_is_found_by_name() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // A machine without IPv6 has no such address.
            let Ok(listener) = TcpListener::bind(address).await else { continue };
            let own = listener.local_addr().unwrap();
            let stream = dial("localhost", own.port()).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), own);
        }
    }
}
