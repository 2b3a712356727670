//! The addresses of this machine, by which clients can reach a daemon that listens on all of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The routing table of the kernel, which holds all local addresses.
const IPV4: &str = "/proc/net/fib_trie";
const IPV6: &str = "/proc/net/if_inet6";

/// The scope of IPv6 addresses that are valid beyond their own link.
const GLOBAL: &str = "00";

/// An address of documentation (RFC 5737). Nothing is sent to it.
const ELSEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// The addresses at which clients can reach a listener at `bound`, loopback first.
pub(super) fn reached_at(bound: SocketAddr) -> Vec<SocketAddr> {
    let own = || own_addresses().into_iter();
    let all: Vec<IpAddr> = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => {
            let own = own().filter(IpAddr::is_ipv4);
            std::iter::once(Ipv4Addr::LOCALHOST.into()).chain(own).collect()
        }
        // Such a listener accepts connections of IPv4 as well.
        IpAddr::V6(ip) if ip.is_unspecified() => {
            let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
            loopback.into_iter().chain(own()).collect()
        }
        ip => vec![ip],
    };
    all.into_iter().map(|ip| SocketAddr::new(ip, bound.port())).collect()
}

/// The addresses of this machine besides loopback, those of IPv4 first.
fn own_addresses() -> Vec<IpAddr> {
    #[expect(clippy::disallowed_methods, reason = "procfs, once, before anything is served")]
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mut all = ipv4(&read(IPV4));
    // Sandboxes may lack the table.
    all.extend(primary().filter(|ip| !all.contains(ip)));
    all.extend(ipv6(&read(IPV6)));
    all
}

/// The address of the interface with the default route.
fn primary() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(ELSEWHERE).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

/// Reads the local addresses in the form of `fib_trie`: a line with the address, then one with
/// `host LOCAL`.
fn ipv4(table: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in table.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL")
            && let Some(ip) = last.filter(|ip| !ip.is_loopback()).map(IpAddr::from)
            && !found.contains(&ip)
        {
            found.push(ip);
        }
    }
    found
}

/// Reads the addresses in the form of `if_inet6`: 32 hexadecimal digits, the number of the interface, the
/// length of the prefix, and the scope.
fn ipv6(table: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let digits = words.next()?;
        let is_global = words.nth(2)? == GLOBAL;
        let bits = u128::from_str_radix(digits, 16).ok()?;
        is_global.then(|| IpAddr::from(Ipv6Addr::from_bits(bits)))
    };
    table.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::{ipv4, ipv6, reached_at};

    #[test]
    fn local_addresses_are_found_in_the_tables_of_the_kernel() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     \
                    |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.0.2.0\n        /24 link \
                    UNICAST\n     |-- 192.0.2.2\n        /32 host LOCAL\n     |-- 192.0.2.255\n        \
                    /32 link BROADCAST\nLocal:\n     |-- 192.0.2.2\n        /32 host LOCAL\n";
        assert_eq!(ipv4(trie), ["192.0.2.2".parse::<std::net::IpAddr>().unwrap()]);
        let inet6 = "fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n\
                     00000000000000000000000000000001 01 80 10 80       lo\n\
                     fd000000000000000000000000000002 04 40 00 82     eth0\n";
        assert_eq!(ipv6(inet6), ["fd00::2".parse::<std::net::IpAddr>().unwrap()]);
        assert!(ipv4("").is_empty() && ipv6("no table").is_empty());
    }

    #[test]
    fn nothing_is_reached_at_the_unspecified_address() {
        for bound in ["0.0.0.0:80", "[::]:80"] {
            let reached = reached_at(bound.parse().unwrap());
            assert_eq!(reached[0].to_string(), "127.0.0.1:80");
            assert!(reached.iter().all(|address| !address.ip().is_unspecified()), "{reached:?}");
        }
        let own = "192.0.2.1:80".parse().unwrap();
        assert_eq!(reached_at(own), [own]);
    }
}
