//! Step 4: the addresses that nothing is ever sent to.
//!
//! Against server-side request forgery: a host name that a person typed, that an upstream returned or
//! that a name server answers differently every time must not lead into the operator's network, to this
//! machine, to a cloud's metadata service or, wrapped in an IPv6 form, to any of these. The list is the
//! IANA special-purpose registries (RFC 6890) plus the embeddings and the metadata addresses that are
//! not in them. For IPv6 the rule is turned round: only global unicast (2000::/3) passes, less what is
//! special inside it.
//!
//! The operator can except ranges. Two things no range excepts: metadata services (only their exact
//! address does) and the addresses that Keyport itself listens on.
//!
//! Pure: no look-up, no socket. It leaves out what a firewall knows better, such as public addresses that
//! belong to the operator.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// IPv4 ranges: first address, prefix length, what they are.
const V4: &[(Ipv4Addr, u8, &str)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, "unspecified"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "carrier-grade nat"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "protocol assignments"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarking"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

/// IPv6 ranges, in the order in which they are named; what is outside 2000::/3 is refused anyway.
const V6: &[(Ipv6Addr, u8, &str)] = &[
    (Ipv6Addr::UNSPECIFIED, 128, "unspecified"),
    (Ipv6Addr::LOCALHOST, 128, "loopback"),
    (
        Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0),
        96,
        "ipv4-mapped",
    ),
    (
        Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0),
        96,
        "ipv4-translated",
    ),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0), 96, "ipv4-compatible"),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, "nat64"),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, "nat64"),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64, "discard"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, "teredo"),
    (
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),
        32,
        "documentation",
    ),
    (
        Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0),
        23,
        "protocol assignments",
    ),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "6to4"),
    (
        Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0),
        20,
        "documentation",
    ),
    (
        Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0),
        7,
        "unique local",
    ),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "link-local"),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, "site-local"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "multicast"),
];

/// Where clouds hand out credentials to whoever asks. Most lie in ranges above; Azure's is a public
/// address.
const METADATA: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

const METADATA_REASON: &str = "metadata service";
const OWN_REASON: &str = "this server itself";

/// Why nothing is sent to this address, if so. Knows no exceptions.
pub fn blocked_reason(ip: IpAddr) -> Option<&'static str> {
    if METADATA.contains(&ip) {
        return Some(METADATA_REASON);
    }
    match ip {
        IpAddr::V4(ip) => V4
            .iter()
            .find(|(first, length, _)| same_prefix_v4(ip, *first, *length))
            .map(|(_, _, reason)| *reason),
        IpAddr::V6(ip) => V6
            .iter()
            .find(|(first, length, _)| same_prefix_v6(ip, *first, *length))
            .map(|(_, _, reason)| *reason)
            .or_else(|| {
                let global = same_prefix_v6(ip, Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
                (!global).then_some("not global unicast")
            }),
    }
}

fn same_prefix_v4(ip: Ipv4Addr, first: Ipv4Addr, length: u8) -> bool {
    let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
    (ip.to_bits() ^ first.to_bits()) & mask == 0
}

fn same_prefix_v6(ip: Ipv6Addr, first: Ipv6Addr, length: u8) -> bool {
    let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
    (ip.to_bits() ^ first.to_bits()) & mask == 0
}

/// The list with the operator's exceptions and Keyport's own addresses.
#[derive(Clone, Debug, Default)]
pub struct AddressFilter {
    allow: Vec<IpNet>,
    own: Vec<SocketAddr>,
}

impl AddressFilter {
    /// `allow` are the operator's exceptions; `own` is what this process listens on (an unspecified
    /// address means every address of this machine).
    pub fn new(allow: Vec<IpNet>, own: Vec<SocketAddr>) -> Self {
        Self { allow, own }
    }

    /// True where an exception of the operator names a range around this address (or, for a metadata
    /// service, exactly this address). A NAT64 address needs an exception for what is inside it, too.
    pub fn is_excepted(&self, ip: IpAddr) -> bool {
        let exact = METADATA.contains(&ip);
        let named = self
            .allow
            .iter()
            .any(|net| net.contains(&ip) && (!exact || net.prefix_len() == net.max_prefix_len()));
        named && embedded_v4(ip).is_none_or(|inner| self.passes_ip(inner))
    }

    fn passes_ip(&self, ip: IpAddr) -> bool {
        blocked_reason(ip).is_none() || self.is_excepted(ip)
    }

    /// Whether Keyport itself listens there. `is_local` says whether an address belongs to this machine;
    /// it is asked only about ports that Keyport listens on at every address.
    fn is_own(&self, address: SocketAddr, is_local: impl Fn(IpAddr) -> bool) -> bool {
        // An IPv4 address can also be written as an IPv6 one that maps it.
        let ip = address.ip().to_canonical();
        self.own.iter().any(|own| {
            own.port() == address.port()
                && (own.ip().to_canonical() == ip || (own.ip().is_unspecified() && is_local(ip)))
        })
    }

    /// Why nothing is sent to this address, if so.
    pub fn reason(
        &self,
        address: SocketAddr,
        is_local: impl Fn(IpAddr) -> bool,
    ) -> Option<&'static str> {
        if self.is_own(address, is_local) {
            return Some(OWN_REASON);
        }
        blocked_reason(address.ip()).filter(|_| !self.is_excepted(address.ip()))
    }

    /// What is left of a look-up's answer, in its order; or the reason why its first address was dropped,
    /// if nothing is left.
    pub fn keep(
        &self,
        addresses: &[SocketAddr],
        is_local: impl Fn(IpAddr) -> bool,
    ) -> Result<Vec<SocketAddr>, &'static str> {
        keep_where(addresses, |address| self.reason(address, &is_local))
    }

    /// As [`keep`](Self::keep) for addresses that the operator named one by one: only Keyport's own are
    /// dropped.
    pub(crate) fn without_own(
        &self,
        addresses: &[SocketAddr],
        is_local: impl Fn(IpAddr) -> bool,
    ) -> Result<Vec<SocketAddr>, &'static str> {
        keep_where(addresses, |address| {
            self.is_own(address, &is_local).then_some(OWN_REASON)
        })
    }
}

fn keep_where(
    addresses: &[SocketAddr],
    reason: impl Fn(SocketAddr) -> Option<&'static str>,
) -> Result<Vec<SocketAddr>, &'static str> {
    let mut first_reason = None;
    let mut kept = Vec::with_capacity(addresses.len());
    for &address in addresses {
        match reason(address) {
            None => kept.push(address),
            Some(reason) => {
                tracing::debug!(%address, reason, "address dropped");
                first_reason.get_or_insert(reason);
            }
        }
    }
    if kept.is_empty() {
        Err(first_reason.unwrap_or("none at all"))
    } else {
        Ok(kept)
    }
}

/// The IPv4 address inside a NAT64 or mapped address.
fn embedded_v4(ip: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(ip) = ip else { return None };
    let embedding = ["nat64", "ipv4-mapped", "ipv4-translated", "ipv4-compatible"];
    blocked_reason(IpAddr::V6(ip))
        .filter(|reason| embedding.contains(reason))
        .map(|_| {
            let [.., a, b, c, d] = ip.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        })
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
