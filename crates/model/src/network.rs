//! A range of IP addresses, written `ADDRESS/BITS` or as one address.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A range of IP addresses: those that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Every bit after `bits` is zero.
    address: IpAddr,
    /// 0 to 32, or to 128 for IPv6.
    bits: u8,
}

/// Why a text is no [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNetwork {
    #[error("it is no IP address")]
    Address,
    #[error("what follows the `/` must be a number, 0 to {0}")]
    Bits(u8),
    #[error("the address goes on after its first {0} bits")]
    Beyond(u8),
}

// === impl Network ===

impl Network {
    /// Whether an address is in the range. An IPv4 address counts as such where it is written as an
    /// IPv6 one, too.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.bits) == self.address
    }

    /// Every address of its kind is in the range.
    pub fn is_everything(&self) -> bool {
        self.bits == 0
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork::Address)?;
        let most = width(address);
        let bits = match bits {
            None => most,
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|number| *number <= most && bits.bytes().all(|b| b.is_ascii_digit()))
                .ok_or(InvalidNetwork::Bits(most))?,
        };
        if masked(address, bits) != address {
            return Err(InvalidNetwork::Beyond(bits));
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if self.bits == width(self.address) { Ok(()) } else { write!(f, "/{}", self.bits) }
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with only its first bits.
fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4((ip.to_bits() & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6((ip.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidNetwork, Network};

    #[test]
    fn what_is_in_a_range_and_what_is_not() {
        for (network, address, expected) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("127.0.0.0/8", "127.8.8.8", true),
            ("127.0.0.0/8", "128.0.0.1", false),
            ("10.0.0.0/15", "10.1.255.255", true),
            ("10.0.0.0/15", "10.2.0.0", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("::1", "::1", true),
            ("2001:db8::/32", "2001:db8:1::", true),
            ("2001:db8::/32", "2001:db9::", false),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), expected, "{network} {address}");
            assert_eq!(parsed.to_string(), network);
        }
    }

    #[test]
    fn what_is_no_range() {
        for (text, why) in [
            ("", InvalidNetwork::Address),
            ("localhost", InvalidNetwork::Address),
            ("10.0.0.0/", InvalidNetwork::Bits(32)),
            ("10.0.0.0/33", InvalidNetwork::Bits(32)),
            ("10.0.0.0/+8", InvalidNetwork::Bits(32)),
            ("::1/129", InvalidNetwork::Bits(128)),
            ("10.0.0.1/8", InvalidNetwork::Beyond(8)),
        ] {
            assert_eq!(text.parse::<Network>(), Err(why), "{text}");
        }
    }
}
