//! Tells which addresses are public. Ranges are compared as numbers: comparing texts has been fooled too often.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 ranges that nobody outside may reach through this machine (IANA's registry of special-purpose addresses).
const V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Public IPv4 ranges where a cloud serves its own machines, with answers that depend on the asking machine. Other
/// clouds use link-local or private addresses for that, which [`V4`] and [`V6_GLOBAL`] keep out.
const CLOUDS: &[(Ipv4Addr, u32)] = &[
    // Azure: DHCP, DNS, the machine's agent and its certificates
    // (learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16).
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    // IBM Cloud: infrastructure services, and service endpoints
    // (cloud.ibm.com/docs/vpc?topic=vpc-service-endpoints-for-vpc).
    (Ipv4Addr::new(161, 26, 0, 0), 16),
    (Ipv4Addr::new(166, 8, 0, 0), 14),
];

/// The part of IPv6 that is given out to the public at all.
const V6_GLOBAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// The ranges of that part that are not public: protocols (Teredo among them), documentation.
const V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3FFF, 0, 0, 0, 0, 0, 0, 0), 20),
];

const TEREDO: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32);
/// IPv6 that holds an IPv4 address in its last 32 bits: mapped, compatible, translated (RFC 6052).
const LAST_BITS: [(Ipv6Addr, u32); 3] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xFFFF, 0, 0), 96),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xFF9B, 0, 0, 0, 0, 0, 0), 96),
];
/// IPv6 that holds an IPv4 address after its first 16 bits (6to4).
const SIX_TO_FOUR: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16);

fn within_v4(ip: Ipv4Addr, (net, bits): (Ipv4Addr, u32)) -> bool {
    (u32::from(ip) ^ u32::from(net)) >> (32 - bits) == 0
}

fn within_v6(ip: Ipv6Addr, (net, bits): (Ipv6Addr, u32)) -> bool {
    (u128::from(ip) ^ u128::from(net)) >> (128 - bits) == 0
}

/// Returns the IPv4 address in an IPv6 address that is made to hold one.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = ip.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    if LAST_BITS.iter().any(|net| within_v6(ip, *net)) {
        return Some(of(s[6], s[7]));
    }
    within_v6(ip, SIX_TO_FOUR).then(|| of(s[1], s[2]))
}

/// Returns the address that the system connects to: for a mapped address, the IPv4 one.
pub(super) fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// Returns whether an address is Teredo's, where it is unknown who answers.
pub(super) fn is_teredo(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if within_v6(ip, TEREDO))
}

/// Returns whether an address is public, or the address it holds is allowed.
#[must_use]
pub fn is_public(ip: IpAddr, allowed: &impl Fn(IpAddr) -> bool) -> bool {
    match ip {
        IpAddr::V4(ip) => allowed(ip.into()) || !V4.iter().chain(CLOUDS).any(|net| within_v4(ip, *net)),
        IpAddr::V6(ip) if ip.is_loopback() || ip.is_unspecified() => false,
        IpAddr::V6(ip) => match embedded(ip) {
            Some(inner) => is_public(inner.into(), allowed),
            None => within_v6(ip, V6_GLOBAL) && !V6.iter().any(|net| within_v6(ip, *net)),
        },
    }
}
