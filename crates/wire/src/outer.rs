//! The IP and UDP headers around a tunnel, read by hand: one pass, no copy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::decapsulate::{Options, Tunnel};
use crate::ether;
use crate::reject::Reject;
use crate::view::protocol::UDP;

/// How many IPv6 extension headers may stand before UDP. RFC 8200 §4.1 needs four; a packet with
/// more is `OuterMalformed`.
const EXTENSIONS_MAX: usize = 8;

/// A UDP datagram to one of our tunnel ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Datagram<'a> {
    pub(crate) tunnel: Tunnel,
    /// Source of the IP header that carries it.
    pub(crate) source: IpAddr,
    pub(crate) payload: &'a [u8],
    /// Payload length by the IP and UDP headers, never less than what is there.
    pub(crate) claimed_len: usize,
    /// As the header has it; 0 where there was none to read.
    pub(crate) checksum: u16,
}

/// The UDP datagram in an IP packet, as a packet ring shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried<'a> {
    /// What comes on its destination port.
    pub tunnel: Tunnel,
    /// Source of the IP packet.
    pub source: IpAddr,
    /// The UDP payload, as far as it is there.
    pub payload: &'a [u8],
    /// Bytes the payload had, by the headers.
    pub original_len: u32,
    /// Whether the sender took a checksum: AWS leaves it zero, which means none (RFC 768).
    pub has_checksum: bool,
}

/// Opens an IP packet of either version that carries a datagram to one of the ports.
///
/// # Errors
///
/// The one [`Reject`] that says why it is none of ours.
#[inline(always)]
pub fn open_packet<'a>(packet: &'a [u8], options: &Options) -> Result<Carried<'a>, Reject> {
    let ether_type = match packet.first().map(|first| first >> 4) {
        Some(4) => ether::IPV4,
        Some(6) => ether::IPV6,
        Some(_) => return Err(Reject::OuterMalformed),
        None => return Err(Reject::OuterTruncated),
    };
    let found = datagram(ether_type, packet, options)?;
    Ok(Carried {
        tunnel: found.tunnel,
        source: found.source,
        payload: found.payload,
        original_len: u32::try_from(found.claimed_len).unwrap_or(u32::MAX),
        has_checksum: found.checksum != 0,
    })
}

/// Whether the checksum of a datagram that [`open_packet`] opened holds, where that can be told:
/// one that is cut is taken at its word. The kernel does this for its sockets.
#[must_use]
pub fn checksum_holds(packet: &[u8], carried: &Carried<'_>) -> bool {
    let length = carried.payload.len() + 8;
    if carried.original_len as usize != carried.payload.len() {
        return true;
    }
    let addresses = match packet.first().map(|first| first >> 4) {
        Some(4) => packet.get(12..20),
        _ => packet.get(8..40),
    };
    // The UDP header stands right before the payload.
    let end = carried.payload.as_ptr_range().end.addr();
    let end = end.checked_sub(packet.as_ptr().addr());
    let segment = end.and_then(|end| packet.get(end.checked_sub(length)?..end));
    let (Some(addresses), Some(segment)) = (addresses, segment) else {
        return true;
    };
    let pseudo = u64::from(UDP) + length as u64;
    let mut sum = pseudo + sum_words(addresses) + sum_words(segment);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum == 0xffff
}

/// The sum of the 16-bit words, a last odd byte as the high half of one (RFC 1071).
fn sum_words(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<2>();
    let sum: u64 = words
        .iter()
        .map(|word| u64::from(u16::from_be_bytes(*word)))
        .sum();
    sum + rest.first().map_or(0, |last| u64::from(*last) << 8)
}

/// An IP packet's payload, all headers skipped.
#[derive(Clone, Copy)]
struct Packet<'a> {
    source: IpAddr,
    fragment: bool,
    /// What is there, without link-layer padding.
    payload: &'a [u8],
    /// Payload length by the IP header; `None` if it says 0 (segmentation offload, jumbograms).
    claimed_len: Option<usize>,
}

impl Packet<'_> {
    /// Why fewer than `needed` bytes of payload are there.
    fn cut(&self, needed: usize) -> Reject {
        if self.fragment {
            Reject::OuterFragment
        } else if self.claimed_len.is_some_and(|claimed| claimed < needed) {
            Reject::OuterMalformed
        } else {
            Reject::OuterTruncated
        }
    }
}

/// Reads the datagram out of an IP packet, or says why it is none of ours.
#[inline(always)]
pub(crate) fn datagram<'a>(
    ether_type: u16,
    packet: &'a [u8],
    options: &Options,
) -> Result<Datagram<'a>, Reject> {
    match ether_type {
        ether::IPV4 => udp(ipv4(packet)?, options),
        ether::IPV6 => udp(ipv6(packet)?, options),
        _ => Err(Reject::NotMirror),
    }
}

/// RFC 768. Only the destination port counts: AWS derives the source port from the inner flow.
#[inline(always)]
fn udp<'a>(packet: Packet<'a>, options: &Options) -> Result<Datagram<'a>, Reject> {
    let Some([_, _, port @ ..]) = packet.payload.first_chunk::<4>() else {
        return Err(packet.cut(4));
    };
    let tunnel = options
        .tunnel(u16::from_be_bytes(*port))
        .ok_or(Reject::NotMirror)?;
    if packet.fragment {
        return Err(Reject::OuterFragment);
    }
    let Some((header, payload)) = packet.payload.split_first_chunk::<8>() else {
        return Err(packet.cut(8));
    };
    let length = match u16::from_be_bytes([header[4], header[5]]) {
        0 => None,
        1..8 => return Err(Reject::OuterMalformed),
        length => Some(usize::from(length)),
    };
    // Where the two headers disagree the shorter one holds: neither may claim foreign bytes.
    let claimed_len = match (length, packet.claimed_len) {
        (Some(udp), Some(ip)) => udp.min(ip) - 8,
        (Some(length), None) | (None, Some(length)) => length - 8,
        (None, None) => payload.len(),
    };
    let payload = payload.get(..claimed_len).unwrap_or(payload);
    Ok(Datagram {
        tunnel,
        source: packet.source,
        payload,
        claimed_len,
        checksum: u16::from_be_bytes([header[6], header[7]]),
    })
}

/// RFC 791, options skipped.
#[inline(always)]
fn ipv4(packet: &[u8]) -> Result<Packet<'_>, Reject> {
    let Some(header) = packet.first_chunk::<20>() else {
        return Err(Reject::OuterTruncated);
    };
    let header_len = usize::from(header[0] & 0x0f) * 4;
    if header[0] >> 4 != 4 || header_len < 20 {
        return Err(Reject::OuterMalformed);
    }
    if header[9] != UDP {
        return Err(Reject::NotMirror);
    }
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
    if fragment & 0x1fff != 0 {
        return Err(Reject::OuterFragment);
    }
    let claimed_len = match usize::from(u16::from_be_bytes([header[2], header[3]])) {
        0 => None,
        total => Some(
            total
                .checked_sub(header_len)
                .ok_or(Reject::OuterMalformed)?,
        ),
    };
    let payload = packet.get(header_len..).ok_or(Reject::OuterTruncated)?;
    let source = Ipv4Addr::from_octets([header[12], header[13], header[14], header[15]]);
    Ok(Packet {
        source: source.into(),
        fragment: fragment != 0,
        payload: within(payload, claimed_len),
        claimed_len,
    })
}

/// RFC 8200: hop-by-hop, routing, fragment and destination headers are skipped.
fn ipv6(packet: &[u8]) -> Result<Packet<'_>, Reject> {
    let Some((header, payload)) = packet.split_first_chunk::<40>() else {
        return Err(Reject::OuterTruncated);
    };
    if header[0] >> 4 != 6 {
        return Err(Reject::OuterMalformed);
    }
    let claimed_len = match usize::from(u16::from_be_bytes([header[4], header[5]])) {
        0 => None,
        length => Some(length),
    };
    let mut source = [0; 16];
    source.copy_from_slice(&header[8..24]);
    let mut packet = Packet {
        source: Ipv6Addr::from_octets(source).into(),
        fragment: false,
        payload: within(payload, claimed_len),
        claimed_len,
    };
    let mut next = header[6];
    for _ in 0..EXTENSIONS_MAX {
        match next {
            0 | 43 | 44 | 60 => next = skip_extension(&mut packet, next)?,
            _ => break,
        }
    }
    match next {
        UDP => Ok(packet),
        0 | 43 | 44 | 60 => Err(Reject::OuterMalformed),
        _ => Err(Reject::NotMirror),
    }
}

/// Moves past one extension header and returns the next header's number.
fn skip_extension(packet: &mut Packet<'_>, kind: u8) -> Result<u8, Reject> {
    let Some(&[next, words, high, low, ..]) = packet.payload.first_chunk::<8>() else {
        return Err(packet.cut(8));
    };
    let length = if kind == 44 {
        let fragment = u16::from_be_bytes([high, low]);
        if fragment & 0xfff8 != 0 {
            // A later fragment: what follows is no header, so only its announced type is known.
            let could_be_ours = matches!(next, UDP | 0 | 43 | 60);
            return Err(if could_be_ours {
                Reject::OuterFragment
            } else {
                Reject::NotMirror
            });
        }
        packet.fragment |= fragment & 1 != 0;
        8
    } else {
        (usize::from(words) + 1) * 8
    };
    packet.payload = packet
        .payload
        .get(length..)
        .ok_or_else(|| packet.cut(length))?;
    packet.claimed_len = packet
        .claimed_len
        .map(|claimed| claimed.saturating_sub(length));
    Ok(next)
}

/// The bytes that belong to the packet, without what the link layer padded.
#[inline(always)]
fn within(payload: &[u8], claimed_len: Option<usize>) -> &[u8] {
    claimed_len
        .and_then(|length| payload.get(..length))
        .unwrap_or(payload)
}

#[cfg(test)]
mod tests {
    use super::{Datagram, datagram};
    use crate::build::{extension, ipv4, ipv4_with, ipv6, udp};
    use crate::decapsulate::{Options, Tunnel};
    use crate::ether::{IPV4, IPV6};
    use crate::reject::Reject;

    #[test]
    fn only_the_destination_port_counts() {
        check(
            IPV4,
            &ipv4(17, &udp(1, 4789, b"12345")),
            Ok((Tunnel::Vxlan, 5, 5)),
        );
        check(
            IPV4,
            &ipv4(17, &udp(1, 6081, b"12345")),
            Ok((Tunnel::Geneve, 5, 5)),
        );
        check(
            IPV4,
            &ipv4(17, &udp(4789, 53, b"12345")),
            Err(Reject::NotMirror),
        );
        check(
            IPV4,
            &ipv4(6, &udp(1, 4789, b"12345")),
            Err(Reject::NotMirror),
        );
        check(
            0x0806,
            &ipv4(17, &udp(1, 4789, b"12345")),
            Err(Reject::NotMirror),
        );
    }

    #[test]
    fn ipv4_options_are_skipped() {
        let packet = ipv4_with(
            0x47,
            0,
            17,
            &[[7; 8].as_slice(), &udp(1, 4789, b"12345")].concat(),
        );
        check(IPV4, &packet, Ok((Tunnel::Vxlan, 5, 5)));
        check(IPV4, &packet[..24], Err(Reject::OuterTruncated));
    }

    #[test]
    fn padding_is_not_part_of_the_datagram() {
        let padded = [ipv4(17, &udp(1, 4789, b"12345")), vec![0; 9]].concat();
        check(IPV4, &padded, Ok((Tunnel::Vxlan, 5, 5)));
        let mut trailer = ipv4(17, &udp(1, 4789, b"12345"));
        trailer[25] = 8 + 3;
        check(IPV4, &trailer, Ok((Tunnel::Vxlan, 3, 3)));
        let mut boastful = padded.clone();
        boastful[25] = 200;
        check(IPV4, &boastful, Ok((Tunnel::Vxlan, 5, 5)));
    }

    #[test]
    fn a_snap_length_cuts_the_payload_and_not_the_claim() {
        let packet = ipv4(17, &udp(1, 4789, &[0; 1000]));
        check(IPV4, &packet[..128], Ok((Tunnel::Vxlan, 100, 1000)));
        check(IPV4, &packet[..28], Ok((Tunnel::Vxlan, 0, 1000)));
        for length in 0..28 {
            check(IPV4, &packet[..length], Err(Reject::OuterTruncated));
        }
    }

    #[test]
    fn zero_lengths_take_the_rest() {
        let mut packet = ipv4(17, &udp(1, 4789, &vec![0; 70_000]));
        packet[2..4].fill(0);
        packet[24..26].fill(0);
        check(IPV4, &packet, Ok((Tunnel::Vxlan, 70_000, 70_000)));
        packet[24..26].copy_from_slice(&1_008_u16.to_be_bytes());
        check(IPV4, &packet, Ok((Tunnel::Vxlan, 1_000, 1_000)));
        let mut packet = ipv6(17, &udp(1, 4789, &vec![0; 70_000]));
        packet[4..6].fill(0);
        packet[44..46].fill(0);
        check(IPV6, &packet, Ok((Tunnel::Vxlan, 70_000, 70_000)));
    }

    #[test]
    fn headers_that_contradict_themselves_are_malformed() {
        let good = ipv4(17, &udp(1, 4789, b"12345"));
        for (at, byte) in [
            (0, 0x65),
            (0, 0x44),
            (3, 19),
            (3, 27),
            (3, 21),
            (25, 7),
            (25, 1),
        ] {
            let mut bad = good.clone();
            bad[at] = byte;
            check(IPV4, &bad, Err(Reject::OuterMalformed));
        }
        check(IPV6, &good.repeat(2), Err(Reject::OuterMalformed));
    }

    #[test]
    fn outer_fragments_are_refused_only_if_they_could_be_ours() {
        let ours = udp(1, 4789, b"12345");
        let other = udp(1, 53, b"12345");
        check(
            IPV4,
            &ipv4_with(0x45, 0x2000, 17, &ours),
            Err(Reject::OuterFragment),
        );
        check(
            IPV4,
            &ipv4_with(0x45, 0x2000, 17, &ours[..3]),
            Err(Reject::OuterFragment),
        );
        check(
            IPV4,
            &ipv4_with(0x45, 0x2000, 17, &other),
            Err(Reject::NotMirror),
        );
        check(
            IPV4,
            &ipv4_with(0x45, 0x0001, 17, &other),
            Err(Reject::OuterFragment),
        );
        check(
            IPV4,
            &ipv4_with(0x45, 0x1000, 17, &other),
            Err(Reject::OuterFragment),
        );
        check(
            IPV4,
            &ipv4_with(0x45, 0x0001, 6, &ours),
            Err(Reject::NotMirror),
        );
        check(
            IPV4,
            &ipv4_with(0x45, 0x4000, 17, &ours),
            Ok((Tunnel::Vxlan, 5, 5)),
        );
    }

    #[test]
    fn ipv6_extension_headers_are_skipped() {
        let ours = udp(1, 4789, b"12345");
        check(IPV6, &ipv6(17, &ours), Ok((Tunnel::Vxlan, 5, 5)));
        for kind in [0, 43, 60] {
            check(
                IPV6,
                &ipv6(kind, &extension(17, 24, &ours)),
                Ok((Tunnel::Vxlan, 5, 5)),
            );
        }
        check(
            IPV6,
            &ipv6(50, &extension(17, 24, &ours)),
            Err(Reject::NotMirror),
        );
        let chain = (0..8).fold((17, ours.clone()), |(next, rest), _| {
            (60, extension(next, 8, &rest))
        });
        check(IPV6, &ipv6(60, &chain.1), Ok((Tunnel::Vxlan, 5, 5)));
        check(
            IPV6,
            &ipv6(60, &extension(60, 8, &chain.1)),
            Err(Reject::OuterMalformed),
        );
        let packet = ipv6(0, &extension(17, 24, &ours));
        for length in 0..40 + 24 + 8 {
            check(IPV6, &packet[..length], Err(Reject::OuterTruncated));
        }
        let mut beyond = packet.clone();
        beyond[41] = 200;
        check(IPV6, &beyond, Err(Reject::OuterMalformed));
    }

    #[test]
    fn ipv6_fragments_follow_the_same_rule() {
        let ours = udp(1, 4789, b"12345");
        let fragment = |next: u8, low: u8| {
            let mut header = extension(next, 8, &ours);
            header[3] = low;
            ipv6(44, &header)
        };
        check(IPV6, &fragment(17, 0), Ok((Tunnel::Vxlan, 5, 5)));
        check(IPV6, &fragment(17, 1), Err(Reject::OuterFragment));
        check(IPV6, &fragment(17, 8), Err(Reject::OuterFragment));
        check(IPV6, &fragment(60, 8), Err(Reject::OuterFragment));
        check(IPV6, &fragment(6, 8), Err(Reject::NotMirror));
        check(IPV6, &fragment(6, 0), Err(Reject::NotMirror));
    }

    fn check(ether_type: u16, packet: &[u8], expected: Result<(Tunnel, usize, usize), Reject>) {
        let got = datagram(ether_type, packet, &Options::default());
        let got = got.map(
            |Datagram {
                 tunnel,
                 payload,
                 claimed_len,
                 ..
             }| { (tunnel, payload.len(), claimed_len) },
        );
        assert_eq!(got, expected, "{:02x?}", packet.get(..80).unwrap_or(packet));
    }
}
