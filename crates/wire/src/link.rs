//! Link-layer headers of captures (<https://www.tcpdump.org/linktypes.html>): what they carry,
//! and Ethernet made of them.

use vxscope_units::LinkType;

use crate::ether;
use crate::reject::Reject;

/// How many VLAN tags may stand before the outer IP header; a record with more is `NotMirror`.
const TAGS_MAX: usize = 4;
/// PPP in HDLC-like framing: all stations, unnumbered information (RFC 1662 §3.1).
const HDLC_PPP: [u8; 2] = [0xff, 0x03];

type Mac = [u8; 6];

/// What a link-layer header other than Ethernet's says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link<'a> {
    ether_type: u16,
    /// The sender's address; zero where the header has none of six bytes.
    source: Mac,
    payload: &'a [u8],
}

/// The `EtherType` after all VLAN tags, and what follows it.
#[inline(always)]
pub(crate) fn network(link: LinkType, record: &[u8]) -> Result<(u16, &[u8]), Reject> {
    let (mut ether_type, mut packet) = match link {
        LinkType::Ethernet => {
            let Some((header, rest)) = record.split_first_chunk::<{ ether::HEADER_LEN }>() else {
                return Err(Reject::OuterTruncated);
            };
            (u16::from_be_bytes([header[12], header[13]]), rest)
        }
        other => {
            let header = header(other, record)?;
            (header.ether_type, header.payload)
        }
    };
    for _ in 0..TAGS_MAX {
        if !ether::is_vlan(ether_type) {
            break;
        }
        let Some(([_, _, next @ ..], rest)) = packet.split_first_chunk::<{ ether::TAG_LEN }>()
        else {
            return Err(Reject::OuterTruncated);
        };
        (ether_type, packet) = (u16::from_be_bytes(*next), rest);
    }
    Ok((ether_type, packet))
}

/// Turns a record into an Ethernet frame: borrowed if it is one, else rebuilt in `scratch`
/// (cleared first, its capacity reused) with the `EtherType` of what it carries.
///
/// The destination address is zero, the source that of the link header or zero. PPP without an
/// `EtherType` of its own is carried under 0x880b, LLC as an IEEE 802.3 length frame. The frame
/// differs in length from the record; a length on the wire changes by the same amount.
///
/// # Errors
///
/// [`Reject::LinkType`] for an unread type, [`Reject::OuterTruncated`] for a cut header,
/// [`Reject::InnerTruncated`] for less than an Ethernet header, [`Reject::OuterMalformed`] for raw
/// IP of no known version, [`Reject::NotMirror`] for an address family or framing of nobody's.
pub fn ethernet<'a>(
    link: LinkType,
    record: &'a [u8],
    scratch: &'a mut Vec<u8>,
) -> Result<&'a [u8], Reject> {
    if link == LinkType::Ethernet {
        let whole = record.len() >= ether::HEADER_LEN;
        return if whole {
            Ok(record)
        } else {
            Err(Reject::InnerTruncated)
        };
    }
    let header = header(link, record)?;
    let type_or_length = if header.ether_type < ether::TYPE_MIN {
        u16::try_from(header.payload.len())
            .unwrap_or(u16::MAX)
            .min(ether::TYPE_MIN - 1)
    } else {
        header.ether_type
    };
    scratch.clear();
    scratch.extend_from_slice(&Mac::default());
    scratch.extend_from_slice(&header.source);
    scratch.extend_from_slice(&type_or_length.to_be_bytes());
    scratch.extend_from_slice(header.payload);
    Ok(scratch)
}

fn header(link: LinkType, record: &[u8]) -> Result<Link<'_>, Reject> {
    match link {
        LinkType::RawIp => raw_ip(record),
        LinkType::RawIp4 => Ok(without_source(ether::IPV4, record)),
        LinkType::RawIp6 => Ok(without_source(ether::IPV6, record)),
        LinkType::LinuxSll => linux_sll(record),
        LinkType::LinuxSll2 => linux_sll2(record),
        LinkType::Null | LinkType::Loop => loopback(record),
        LinkType::Ppp => ppp(record.strip_prefix(&HDLC_PPP).unwrap_or(record)),
        LinkType::PppHdlc | LinkType::CiscoHdlc => hdlc(record),
        LinkType::Ethernet | LinkType::Other(_) => Err(Reject::LinkType),
    }
}

fn without_source(ether_type: u16, payload: &[u8]) -> Link<'_> {
    Link {
        ether_type,
        source: Mac::default(),
        payload,
    }
}

fn raw_ip(record: &[u8]) -> Result<Link<'_>, Reject> {
    match record.first().map(|first| first >> 4) {
        Some(4) => Ok(without_source(ether::IPV4, record)),
        Some(6) => Ok(without_source(ether::IPV6, record)),
        Some(_) => Err(Reject::OuterMalformed),
        None => Err(Reject::OuterTruncated),
    }
}

/// Packet type, hardware type, address length, address (8 bytes), protocol.
fn linux_sll(record: &[u8]) -> Result<Link<'_>, Reject> {
    let Some((header, payload)) = record.split_first_chunk::<16>() else {
        return Err(Reject::OuterTruncated);
    };
    let [_, _, _, _, l1, l2, a, b, c, d, e, f, _, _, protocol @ ..] = *header;
    let has_mac = u16::from_be_bytes([l1, l2]) == 6;
    let source = if has_mac {
        [a, b, c, d, e, f]
    } else {
        Mac::default()
    };
    Ok(Link {
        ether_type: u16::from_be_bytes(protocol),
        source,
        payload,
    })
}

/// Protocol, reserved, interface (4 bytes), hardware type, packet type, address length, address.
fn linux_sll2(record: &[u8]) -> Result<Link<'_>, Reject> {
    let Some((header, payload)) = record.split_first_chunk::<20>() else {
        return Err(Reject::OuterTruncated);
    };
    let [
        p1,
        p2,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        length,
        a,
        b,
        c,
        d,
        e,
        f,
        _,
        _,
    ] = *header;
    let source = if length == 6 {
        [a, b, c, d, e, f]
    } else {
        Mac::default()
    };
    Ok(Link {
        ether_type: u16::from_be_bytes([p1, p2]),
        source,
        payload,
    })
}

/// The address family in four bytes of either order: 2 is IPv4 everywhere; IPv6 is 24 on NetBSD
/// and OpenBSD, 28 on FreeBSD, 30 on Darwin, 10 on Linux.
fn loopback(record: &[u8]) -> Result<Link<'_>, Reject> {
    let Some((family, payload)) = record.split_first_chunk::<4>() else {
        return Err(Reject::OuterTruncated);
    };
    let family = u32::from_be_bytes(*family);
    match family.min(family.swap_bytes()) {
        2 => Ok(without_source(ether::IPV4, payload)),
        10 | 24 | 28 | 30 => Ok(without_source(ether::IPV6, payload)),
        _ => Err(Reject::NotMirror),
    }
}

/// RFC 1661 §2: the protocol in two bytes, or in one if that byte is odd.
fn ppp(packet: &[u8]) -> Result<Link<'_>, Reject> {
    let (protocol, payload) = match packet {
        [first, payload @ ..] if first & 1 == 1 => (u16::from(*first), payload),
        [first, second, payload @ ..] => (u16::from_be_bytes([*first, *second]), payload),
        _ => return Err(Reject::OuterTruncated),
    };
    Ok(match protocol {
        0x0021 => without_source(ether::IPV4, payload),
        0x0057 => without_source(ether::IPV6, payload),
        0x0281 => without_source(ether::MPLS, payload),
        _ => without_source(ether::PPP, packet),
    })
}

/// PPP in HDLC-like framing, or Cisco's: address (0x0f unicast, 0x8f broadcast), control 0 and
/// an `EtherType`.
fn hdlc(record: &[u8]) -> Result<Link<'_>, Reject> {
    match record {
        [0xff, 0x03, packet @ ..] => ppp(packet),
        [0x0f | 0x8f, 0, t1, t2, payload @ ..] => {
            Ok(without_source(u16::from_be_bytes([*t1, *t2]), payload))
        }
        [] | [_] | [0x0f | 0x8f, 0, ..] => Err(Reject::OuterTruncated),
        _ => Err(Reject::NotMirror),
    }
}

#[cfg(test)]
mod tests {
    use super::{ethernet, network};
    use crate::build::{ethernet as build, vlan};
    use crate::reject::Reject;
    use vxscope_units::LinkType;

    const V4: [u8; 3] = [0x45, 1, 2];
    const V6: [u8; 3] = [0x60, 1, 2];

    #[test]
    fn every_link_type_yields_its_packet() {
        check(LinkType::Ethernet, &build(0x0800, &V4), Ok((0x0800, &V4)));
        check(LinkType::RawIp, &V4, Ok((0x0800, &V4)));
        check(LinkType::RawIp, &V6, Ok((0x86dd, &V6)));
        check(LinkType::RawIp4, &V4, Ok((0x0800, &V4)));
        check(LinkType::RawIp6, &V6, Ok((0x86dd, &V6)));
        let sll = [0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0, 0x45, 1, 2];
        check(LinkType::LinuxSll, &sll, Ok((0x0800, &V4)));
        let sll2 = [
            8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 0x45, 1, 2,
        ];
        check(LinkType::LinuxSll2, &sll2, Ok((0x0800, &V4)));
        for link in [LinkType::Null, LinkType::Loop] {
            check(link, &[2, 0, 0, 0, 0x45, 1, 2], Ok((0x0800, &V4)));
            check(link, &[0, 0, 0, 2, 0x45, 1, 2], Ok((0x0800, &V4)));
            for family in [10, 24, 28, 30] {
                check(link, &[family, 0, 0, 0, 0x60, 1, 2], Ok((0x86dd, &V6)));
                check(link, &[0, 0, 0, family, 0x60, 1, 2], Ok((0x86dd, &V6)));
            }
            check(link, &[0, 0, 0, 7, 0x60, 1, 2], Err(Reject::NotMirror));
        }
        check(LinkType::Ppp, &[0x00, 0x21, 0x45, 1, 2], Ok((0x0800, &V4)));
        check(LinkType::Ppp, &[0x21, 0x45, 1, 2], Ok((0x0800, &V4)));
        check(
            LinkType::Ppp,
            &[0xff, 3, 0, 0x57, 0x60, 1, 2],
            Ok((0x86dd, &V6)),
        );
        check(
            LinkType::PppHdlc,
            &[0xff, 3, 0, 0x21, 0x45, 1, 2],
            Ok((0x0800, &V4)),
        );
        check(
            LinkType::CiscoHdlc,
            &[0x0f, 0, 8, 0, 0x45, 1, 2],
            Ok((0x0800, &V4)),
        );
        check(
            LinkType::CiscoHdlc,
            &[0x8f, 0, 0x86, 0xdd, 0x60, 1, 2],
            Ok((0x86dd, &V6)),
        );
        check(LinkType::Other(105), &V4, Err(Reject::LinkType));
    }

    #[test]
    fn cut_headers_are_truncated() {
        for (link, needed) in [
            (LinkType::Ethernet, 14),
            (LinkType::LinuxSll, 16),
            (LinkType::LinuxSll2, 20),
            (LinkType::Null, 4),
            (LinkType::RawIp, 1),
            (LinkType::Ppp, 2),
            (LinkType::CiscoHdlc, 4),
        ] {
            let record = if link == LinkType::CiscoHdlc {
                [0x0f, 0, 8]
            } else {
                [0; 3]
            };
            let record = [record.as_slice(), &[0; 20]].concat();
            for length in 0..needed {
                check(link, &record[..length], Err(Reject::OuterTruncated));
            }
        }
        check(LinkType::RawIp, &[0x55], Err(Reject::OuterMalformed));
        check(
            LinkType::CiscoHdlc,
            &[0x42, 0, 8, 0],
            Err(Reject::NotMirror),
        );
    }

    #[test]
    fn four_vlan_tags_are_skipped_and_a_fifth_is_not() {
        let tagged = |count: usize| {
            let stack = (0..count).fold((0x0800, V4.to_vec()), |(next, rest), id| {
                ([0x8100, 0x88a8, 0x9100][id % 3], vlan(7, next, &rest))
            });
            build(stack.0, &stack.1)
        };
        for count in 0..=4 {
            check(LinkType::Ethernet, &tagged(count), Ok((0x0800, &V4)));
        }
        let five = tagged(5);
        assert_ne!(network(LinkType::Ethernet, &five).unwrap().0, 0x0800);
        check(
            LinkType::Ethernet,
            &tagged(2)[..20],
            Err(Reject::OuterTruncated),
        );
    }

    #[test]
    fn other_link_types_become_ethernet() {
        let sll = [0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0, 0x45, 1, 2];
        let expected = [0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 8, 0, 0x45, 1, 2];
        rebuild(LinkType::LinuxSll, &sll, Ok(&expected));
        let expected = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x86, 0xdd, 0x60, 1, 2];
        rebuild(LinkType::RawIp, &V6, Ok(&expected));
        let sll2 = [
            8, 6, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 7,
        ];
        let expected = [0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 8, 6, 7];
        rebuild(LinkType::LinuxSll2, &sll2, Ok(&expected));
        let mut no_mac = sll2;
        no_mac[11] = 0;
        let expected = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 6, 7];
        rebuild(LinkType::LinuxSll2, &no_mac, Ok(&expected));
        let llc = [
            0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 0, 4, 0x42, 0x42, 3,
        ];
        let expected = [0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 0, 3, 0x42, 0x42, 3];
        rebuild(LinkType::LinuxSll, &llc, Ok(&expected));
        let lcp = [0xff, 0x03, 0xc0, 0x21, 9];
        let expected = [
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x88, 0x0b, 0xc0, 0x21, 9,
        ];
        rebuild(LinkType::PppHdlc, &lcp, Ok(&expected));
        rebuild(LinkType::Other(192), &V4, Err(Reject::LinkType));
    }

    #[test]
    fn ethernet_is_borrowed_as_it_is() {
        let frame = build(0x0806, b"arp");
        rebuild(LinkType::Ethernet, &frame, Ok(&frame));
        rebuild(
            LinkType::Ethernet,
            &frame[..13],
            Err(Reject::InnerTruncated),
        );
    }

    #[test]
    fn the_scratch_keeps_its_capacity() {
        let mut scratch = Vec::with_capacity(64);
        for _ in 0..3 {
            let frame = ethernet(LinkType::RawIp, &V4, &mut scratch).unwrap();
            assert_eq!(frame.len(), 17);
            assert_eq!(scratch.capacity(), 64);
        }
    }

    fn check(link: LinkType, record: &[u8], expected: Result<(u16, &[u8]), Reject>) {
        assert_eq!(network(link, record), expected, "{link:?} {record:02x?}");
    }

    fn rebuild(link: LinkType, record: &[u8], expected: Result<&[u8], Reject>) {
        let mut scratch = b"left over".to_vec();
        assert_eq!(
            ethernet(link, record, &mut scratch),
            expected,
            "{link:?} {record:02x?}"
        );
    }
}
