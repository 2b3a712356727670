//! The listeners of the daemon, and the addresses at which clients reach them.

use std::io::{self, ErrorKind};
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

use mainstay_gateway::{Serves, allows_host};
use mainstay_model::settings::GatewaySettings;
use tokio::net::TcpListener;

use super::{interfaces, startup_errors};
use crate::exit::{Exit, Failure};

/// How often another port is tried that is free in both families.
const PORTS_TRIED: usize = 20;

/// The bound listeners.
pub(super) struct Listeners {
    main: Vec<TcpListener>,
    /// That of HTTP+SSE, if it has an address of its own.
    sse: Vec<TcpListener>,
}

/// Where clients reach the daemon, and what they are told.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    /// Those of the main address, loopback first. Never empty, and none is `0.0.0.0`.
    pub(super) main: Arc<[SocketAddr]>,
    /// Those of HTTP+SSE, if it has an address of its own.
    pub(super) sse: Arc<[SocketAddr]>,
    /// The hosts of these addresses for which requests are refused.
    pub(super) refused_hosts: Vec<String>,
    /// Whether others than this machine can connect.
    pub(super) is_exposed: bool,
}

// === impl Listeners ===

impl Listeners {
    /// Binds the addresses of the settings.
    ///
    /// # Errors
    /// When one of them can't be bound. Of `localhost`, one family may be missing on this machine.
    pub(super) async fn bind(gateway: &GatewaySettings) -> Result<Self, Failure> {
        let main = bind(gateway.listen, gateway.listen_localhost).await?;
        let sse = match gateway.sse_listen.filter(|_| gateway.sse) {
            Some(address) => bind(address, gateway.sse_listen_localhost).await?,
            None => Vec::new(),
        };
        Ok(Self { main, sse })
    }

    /// Where clients reach these listeners.
    pub(super) fn addresses(&self, gateway: &GatewaySettings) -> Result<Addresses, Failure> {
        let bound = |listeners: &[TcpListener]| {
            let all: io::Result<Vec<_>> = listeners.iter().map(TcpListener::local_addr).collect();
            all.map_err(|error| Failure::of(Exit::Failed, &error))
        };
        let (main, sse) = (bound(&self.main)?, bound(&self.sse)?);
        let is_exposed = main.iter().chain(&sse).any(|address| !address.ip().is_loopback());
        let reached = |bound: Vec<SocketAddr>| -> Arc<[SocketAddr]> {
            bound.into_iter().flat_map(interfaces::reached_at).collect()
        };
        let (main, sse) = (reached(main), reached(sse));
        let mut refused_hosts = Vec::new();
        for address in main.iter().chain(&*sse) {
            let host = host(*address);
            if !refused_hosts.contains(&host) && !allows_host(gateway, &address.to_string()) {
                refused_hosts.push(host);
            }
        }
        Ok(Addresses { main, sse, refused_hosts, is_exposed })
    }

    /// All listeners, each with what it serves; `main` is what the main address serves.
    pub(super) fn into_parts(self, main: Serves) -> impl Iterator<Item = (TcpListener, Serves)> {
        let sse = Serves { http: false, sse: true };
        let ours = self.main.into_iter().map(move |tcp| (tcp, main));
        ours.chain(self.sse.into_iter().map(move |tcp| (tcp, sse)))
    }
}

// === impl Addresses ===

impl Addresses {
    /// All of them, those of the main address first.
    pub(super) fn all(&self) -> Vec<SocketAddr> {
        self.main.iter().chain(&*self.sse).copied().collect()
    }

    /// What to write so that requests for all of them are accepted. Empty: nothing is to be written.
    pub(super) fn to_allow(&self) -> String {
        let hosts: Vec<_> = self.refused_hosts.iter().map(|host| format!("{host:?}")).collect();
        if hosts.is_empty() {
            return String::new();
        }
        format!("allowed_hosts = [{}]", hosts.join(", "))
    }
}

/// The host of an address as it stands in a URL.
pub(super) fn host(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

async fn bind(address: SocketAddr, is_localhost: bool) -> Result<Vec<TcpListener>, Failure> {
    if !is_localhost {
        return Ok(vec![bind_one(address).await?]);
    }
    let any_port = address.port() == 0;
    for _ in 1..PORTS_TRIED {
        match bind_localhost(address).await {
            // The port that is free in one family is taken in the other.
            Err((_, error)) if any_port && error.kind() == ErrorKind::AddrInUse => {}
            bound => return bound.map_err(|(at, error)| startup_errors::no_address(at, &error)),
        }
    }
    let bound = bind_localhost(address).await;
    bound.map_err(|(at, error)| startup_errors::no_address(at, &error))
}

/// Binds both loopback addresses at the same port. One family may be missing.
async fn bind_localhost(v4: SocketAddr) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
    let first = TcpListener::bind(v4).await;
    let port = match &first {
        Ok(first) => first.local_addr().map_err(|error| (v4, error))?.port(),
        Err(error) if is_missing(error) => v4.port(),
        Err(_) => return Err((v4, first.err().unwrap_or_else(|| ErrorKind::Other.into()))),
    };
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    match (first, TcpListener::bind(v6).await) {
        (Ok(first), Ok(second)) => Ok(vec![first, second]),
        (Ok(first), Err(error)) if is_missing(&error) => Ok(vec![first]),
        (Err(_), Ok(second)) => Ok(vec![second]),
        (Ok(_), Err(error)) => Err((v6, error)),
        (Err(error), Err(_)) => Err((v4, error)),
    }
}

/// Whether the machine has no addresses of this family.
fn is_missing(error: &io::Error) -> bool {
    let unsupported = error.raw_os_error() == Some(libc::EAFNOSUPPORT);
    unsupported || error.kind() == ErrorKind::AddrNotAvailable
}

async fn bind_one(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| startup_errors::no_address(address, &error))
}

#[cfg(test)]
mod tests {
    use mainstay_model::settings::GatewaySettings;

    use super::Listeners;

    fn settings(listen: &str, listen_localhost: bool) -> GatewaySettings {
        let listen = listen.parse().unwrap();
        GatewaySettings { listen, listen_localhost, ..GatewaySettings::default() }
    }

    #[tokio::test]
    async fn localhost_is_the_same_port_in_both_families() {
        let settings = settings("127.0.0.1:0", true);
        let listening = Listeners::bind(&settings).await.unwrap();
        let addresses = listening.addresses(&settings).unwrap();
        let v6 = std::net::TcpListener::bind("[::1]:0").is_ok();
        assert_eq!(addresses.main.len(), if v6 { 2 } else { 1 });
        assert_eq!(addresses.main[0].port(), addresses.main.last().unwrap().port());
        assert!(!addresses.is_exposed && addresses.refused_hosts.is_empty());
    }

    #[tokio::test]
    async fn a_taken_port_in_either_family_is_an_error() {
        let Ok(taken) = std::net::TcpListener::bind("[::1]:0") else { return };
        let port = taken.local_addr().unwrap().port();
        let settings = settings(&format!("127.0.0.1:{port}"), true);
        let failure = Listeners::bind(&settings).await.err().unwrap();
        assert!(
            failure.message().contains(&format!("can't listen on [::1]:{port}")),
            "{failure:?}"
        );
    }

    #[tokio::test]
    async fn hosts_of_all_interfaces_are_refused_until_they_are_allowed() {
        let mut settings = settings("0.0.0.0:0", false);
        let listening = Listeners::bind(&settings).await.unwrap();
        let addresses = listening.addresses(&settings).unwrap();
        assert!(addresses.main[0].ip().is_loopback() && addresses.is_exposed);
        assert_eq!(addresses.refused_hosts.len(), addresses.main.len() - 1);
        settings.allowed_hosts = addresses.refused_hosts.clone();
        let allowed = listening.addresses(&settings).unwrap();
        assert!(allowed.refused_hosts.is_empty() && allowed.to_allow().is_empty());
    }
}
