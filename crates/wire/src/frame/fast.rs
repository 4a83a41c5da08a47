//! The common shapes by hand: at most one VLAN tag, IPv4 without options or IPv6 without
//! extension headers, a whole TCP or UDP header, no fragment.
//!
//! Everything else is declined. What is accepted must read exactly as the slow path reads it.
//! First all questions are asked, each of which may decline the frame; then the view is written
//! where the caller wants it, in one go: so hardly anything has to be kept in between.

use crate::ether;
use crate::view::{Addresses, Class, Fragment, FrameView, TcpSegment, Tuple, protocol};

/// The link layer as far as the fast path knows it.
#[derive(Clone, Copy)]
struct Link {
    ether_type: u16,
    vlan: u16,
    vlan_count: u8,
    network_offset: u16,
}

/// What the IP header says, but for the addresses.
#[derive(Clone, Copy)]
struct Network {
    ip_len: u32,
    header_len: u16,
    /// Bytes after the IP header by that header.
    payload_len: u16,
    protocol: u8,
    ttl: u8,
}

/// Reads a frame of IPv4 without a tag, what there is most of, or declines it: then the view is
/// anything.
#[inline(always)]
pub(super) fn read_ipv4(frame: &[u8], view: &mut FrameView) -> bool {
    match untagged(frame) {
        Some((link, packet)) if link.ether_type == ether::IPV4 => ipv4(frame, link, packet, view),
        _ => false,
    }
}

/// The same for the other common shapes.
#[inline(always)]
pub(super) fn read_other(frame: &[u8], view: &mut FrameView) -> bool {
    match untagged(frame) {
        Some((link, packet)) if ether::is_vlan(link.ether_type) => tagged(frame, packet, view),
        Some((link, packet)) => ipv6(frame, link, packet, view),
        None => false,
    }
}

#[inline(always)]
fn untagged(frame: &[u8]) -> Option<(Link, &[u8])> {
    let (header, packet) = frame.split_first_chunk::<{ ether::HEADER_LEN }>()?;
    let link = Link {
        ether_type: u16::from_be_bytes([header[12], header[13]]),
        vlan: 0,
        vlan_count: 0,
        network_offset: 14,
    };
    Some((link, packet))
}

#[inline(never)]
fn tagged(frame: &[u8], packet: &[u8], view: &mut FrameView) -> bool {
    let Some((&[c1, c2, t1, t2], packet)) = packet.split_first_chunk::<{ ether::TAG_LEN }>() else {
        return false;
    };
    let link = Link {
        ether_type: u16::from_be_bytes([t1, t2]),
        vlan: u16::from_be_bytes([c1, c2]) & 0x0fff,
        vlan_count: 1,
        network_offset: 18,
    };
    match link.ether_type {
        ether::IPV4 => ipv4(frame, link, packet, view),
        _ => ipv6(frame, link, packet, view),
    }
}

#[inline(always)]
fn ipv4(frame: &[u8], link: Link, packet: &[u8], view: &mut FrameView) -> bool {
    let Some((header, segment)) = packet.split_first_chunk::<20>() else {
        return false;
    };
    let total = u16::from_be_bytes([header[2], header[3]]);
    let fragment = header[6] & 0x3f | header[7];
    let Some(payload_len) = total.checked_sub(20) else {
        return false;
    };
    if header[0] != 0x45 || fragment != 0 {
        return false;
    }
    let network = Network {
        ip_len: total.into(),
        header_len: 20,
        payload_len,
        protocol: header[9],
        ttl: header[8],
    };
    let addresses = || Addresses::V4 {
        source: u32::from_be_bytes([header[12], header[13], header[14], header[15]]),
        destination: u32::from_be_bytes([header[16], header[17], header[18], header[19]]),
    };
    transport(frame, link, network, addresses, segment, view)
}

// Out of line: IPv4 is what there is most of, and it is to stay small.
#[inline(never)]
fn ipv6(frame: &[u8], link: Link, packet: &[u8], view: &mut FrameView) -> bool {
    let Some((header, segment)) = packet.split_first_chunk::<40>() else {
        return false;
    };
    if link.ether_type != ether::IPV6 || header[0] >> 4 != 6 {
        return false;
    }
    let payload_len = u16::from_be_bytes([header[4], header[5]]);
    let network = Network {
        ip_len: u32::from(payload_len) + 40,
        header_len: 40,
        payload_len,
        protocol: header[6],
        ttl: header[7],
    };
    let addresses = || {
        let (mut source, mut destination) = ([0; 16], [0; 16]);
        source.copy_from_slice(&header[8..24]);
        destination.copy_from_slice(&header[24..40]);
        Addresses::V6 {
            source,
            destination,
        }
    };
    transport(frame, link, network, addresses, segment, view)
}

#[inline(always)]
fn transport(
    frame: &[u8],
    link: Link,
    network: Network,
    addresses: impl Fn() -> Addresses,
    segment: &[u8],
    view: &mut FrameView,
) -> bool {
    let claimed_len = network.payload_len;
    match network.protocol {
        protocol::TCP => {
            let Some(header) = segment.first_chunk::<20>() else {
                return false;
            };
            if claimed_len < 20 {
                return false;
            }
            let payload_len = match u16::from(header[12] >> 4) * 4 {
                0..20 => 0,
                header_len => claimed_len.saturating_sub(header_len),
            };
            let tcp = TcpSegment {
                sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
                acknowledgement: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
                window: u16::from_be_bytes([header[14], header[15]]),
                flags: header[13],
            };
            let ends = (addresses(), [header[0], header[1], header[2], header[3]]);
            write(frame, link, network, ends, payload_len, tcp, view);
        }
        protocol::UDP => {
            let Some(header) = segment.first_chunk::<8>() else {
                return false;
            };
            if claimed_len < 8 {
                return false;
            }
            let length = match u16::from_be_bytes([header[4], header[5]]) {
                0 => claimed_len,
                length => length.min(claimed_len),
            };
            let ends = (addresses(), [header[0], header[1], header[2], header[3]]);
            let payload_len = length.saturating_sub(8);
            let no_tcp = TcpSegment::default();
            write(frame, link, network, ends, payload_len, no_tcp, view);
        }
        _ => return false,
    }
    true
}

#[inline(always)]
fn write(
    frame: &[u8],
    link: Link,
    network: Network,
    (addresses, [s1, s2, d1, d2]): (Addresses, [u8; 4]),
    payload_len: u16,
    tcp: TcpSegment,
    view: &mut FrameView,
) {
    let captured_len = super::length(frame.len());
    let claimed_len = u32::from(link.network_offset) + network.ip_len;
    *view = FrameView {
        class: Class::Ip,
        tuple: Tuple {
            addresses,
            source_port: u16::from_be_bytes([s1, s2]),
            destination_port: u16::from_be_bytes([d1, d2]),
            protocol: network.protocol,
            one_way: false,
        },
        captured_len,
        original_len: captured_len.max(claimed_len),
        ip_len: network.ip_len,
        payload_len: payload_len.into(),
        ether_type: link.ether_type,
        vlan: [link.vlan, 0],
        vlan_count: link.vlan_count,
        ttl: network.ttl,
        icmp_type: 0,
        icmp_code: 0,
        fragment: Fragment::No,
        tcp,
        network_offset: link.network_offset,
        transport_offset: link.network_offset + network.header_len,
        truncated: captured_len < claimed_len,
    };
}
