//! The address filter against tables and against whole ranges.

use proptest::prelude::*;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn excepting(nets: &[&str]) -> AddressFilter {
    AddressFilter::new(
        nets.iter().map(|net| net.parse().unwrap()).collect(),
        vec![],
    )
}

fn nowhere(_: IpAddr) -> bool {
    false
}

#[test]
fn public_addresses_pass() {
    for public in [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.1",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.0.3.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "52.95.110.1",
        "2606:4700:4700::1111",
        "2a00:1450:4001::1",
        "2001:4860:4860::8888",
        "2001:200::1",
        "2620:fe::fe",
    ] {
        assert_eq!(blocked_reason(ip(public)), None, "{public}");
    }
}

#[test]
fn each_kind_of_special_address_is_blocked_and_named() {
    for (special, reason) in [
        ("0.0.0.0", "unspecified"),
        ("0.255.255.255", "unspecified"),
        ("10.0.0.0", "private"),
        ("10.255.255.255", "private"),
        ("100.64.0.0", "carrier-grade nat"),
        ("100.127.255.255", "carrier-grade nat"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.255", "loopback"),
        ("169.254.1.1", "link-local"),
        ("169.254.169.254", "metadata service"),
        ("168.63.129.16", "metadata service"),
        ("100.100.100.200", "metadata service"),
        ("172.16.0.0", "private"),
        ("172.31.255.255", "private"),
        ("192.0.0.8", "protocol assignments"),
        ("192.0.2.1", "documentation"),
        ("192.88.99.1", "6to4 relay"),
        ("192.168.0.1", "private"),
        ("198.18.0.0", "benchmarking"),
        ("198.19.255.255", "benchmarking"),
        ("198.51.100.7", "documentation"),
        ("203.0.113.7", "documentation"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::ffff:8.8.8.8", "ipv4-mapped"),
        ("::ffff:127.0.0.1", "ipv4-mapped"),
        ("::127.0.0.1", "ipv4-compatible"),
        ("::ffff:0:7f00:1", "ipv4-translated"),
        ("64:ff9b::7f00:1", "nat64"),
        ("64:ff9b:1::1", "nat64"),
        ("100::1", "discard"),
        ("2001::1", "teredo"),
        ("2001:10::1", "protocol assignments"),
        ("2001:db8::1", "documentation"),
        ("2002:7f00:1::", "6to4"),
        ("3fff::1", "documentation"),
        ("fc00::1", "unique local"),
        ("fdff::1", "unique local"),
        ("fd00:ec2::254", "metadata service"),
        ("fe80::1", "link-local"),
        ("fec0::1", "site-local"),
        ("ff02::1", "multicast"),
        ("4000::1", "not global unicast"),
        ("5f00::1", "not global unicast"),
    ] {
        assert_eq!(blocked_reason(ip(special)), Some(reason), "{special}");
    }
}

#[test]
fn an_exception_opens_its_range_and_nothing_beside_it() {
    let filter = excepting(&["10.1.0.0/16", "fd00:1::/32"]);
    let passes = |text: &str| {
        filter
            .reason(SocketAddr::new(ip(text), 443), nowhere)
            .is_none()
    };
    assert!(passes("10.1.2.3") && passes("fd00:1::5") && passes("1.1.1.1"));
    for other in [
        "10.2.0.1",
        "fd00:2::5",
        "127.0.0.1",
        "::ffff:10.1.2.3",
        "2002:a01:203::",
        "::10.1.2.3",
    ] {
        assert!(!passes(other), "{other}");
    }
}

#[test]
fn only_its_exact_address_excepts_a_metadata_service() {
    let address = SocketAddr::new(ip("169.254.169.254"), 80);
    for wide in ["169.254.0.0/16", "0.0.0.0/0", "169.254.169.254/31"] {
        assert!(
            excepting(&[wide]).reason(address, nowhere).is_some(),
            "{wide}"
        );
    }
    assert!(
        excepting(&["169.254.169.254/32"])
            .reason(address, nowhere)
            .is_none()
    );
}

#[test]
fn an_exception_for_a_nat64_prefix_does_not_open_the_private_addresses_inside_it() {
    let filter = excepting(&["64:ff9b::/96"]);
    let reason = |text: &str| filter.reason(SocketAddr::new(ip(text), 443), nowhere);
    assert_eq!(reason("64:ff9b::8.8.8.8"), None);
    assert_eq!(reason("64:ff9b::10.0.0.1"), Some("nat64"));
    assert_eq!(reason("64:ff9b::169.254.169.254"), Some("nat64"));
}

#[test]
fn nothing_excepts_our_own_listener() {
    let own = |own: &str| {
        AddressFilter::new(
            vec!["0.0.0.0/0".parse().unwrap()],
            vec![own.parse().unwrap()],
        )
    };
    let at = |text: &str| text.parse::<SocketAddr>().unwrap();
    let filter = own("127.0.0.1:4700");
    assert_eq!(
        filter.reason(at("127.0.0.1:4700"), nowhere),
        Some(OWN_REASON)
    );
    assert_eq!(filter.reason(at("127.0.0.1:4701"), nowhere), None);
    assert_eq!(
        filter.without_own(&[at("127.0.0.1:4700")], nowhere),
        Err(OWN_REASON)
    );
    assert_eq!(
        filter.without_own(&[at("[::ffff:127.0.0.1]:4700")], nowhere),
        Err(OWN_REASON)
    );
    let filter = own("0.0.0.0:4700");
    assert_eq!(
        filter.reason(at("93.184.216.34:4700"), |_| true),
        Some(OWN_REASON)
    );
    assert_eq!(filter.reason(at("93.184.216.34:4700"), |_| false), None);
}

#[test]
fn a_mixed_answer_keeps_its_public_part_and_an_empty_rest_is_refused() {
    let filter = AddressFilter::default();
    let addresses: Vec<SocketAddr> = ["10.0.0.1:1", "1.1.1.1:1", "[::1]:1"]
        .iter()
        .map(|a| a.parse().unwrap())
        .collect();
    assert_eq!(filter.keep(&addresses, nowhere), Ok(vec![addresses[1]]));
    assert_eq!(filter.keep(&addresses[..1], nowhere), Err("private"));
}

proptest! {
    #[test]
    fn every_address_inside_a_listed_ipv4_range_is_blocked(row in 0..V4.len(), bits in any::<u32>()) {
        let (first, length, _) = V4[row];
        let inside = Ipv4Addr::from_bits(first.to_bits() | (bits & u32::MAX.checked_shr(length.into()).unwrap_or(0)));
        prop_assert!(blocked_reason(inside.into()).is_some());
    }

    #[test]
    fn every_address_inside_a_listed_ipv6_range_is_blocked(row in 0..V6.len(), bits in any::<u128>()) {
        let (first, length, _) = V6[row];
        let inside = Ipv6Addr::from_bits(first.to_bits() | (bits & u128::MAX.checked_shr(length.into()).unwrap_or(0)));
        prop_assert!(blocked_reason(inside.into()).is_some());
    }

    #[test]
    fn no_ipv4_address_gets_through_inside_an_ipv6_one(bits in any::<u32>()) {
        let [a, b, c, d] = bits.to_be_bytes();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        for wrapped in [
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, !high, !low),
        ] {
            prop_assert!(blocked_reason(wrapped.into()).is_some());
        }
    }

    #[test]
    fn the_standard_librarys_own_judgement_is_never_contradicted(bits in any::<u32>()) {
        let ip = Ipv4Addr::from_bits(bits);
        let special = ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_broadcast()
            || ip.is_documentation() || ip.is_multicast() || ip.is_unspecified();
        prop_assert!(!special || blocked_reason(ip.into()).is_some());
    }
}
