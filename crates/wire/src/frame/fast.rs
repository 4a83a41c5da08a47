//! The common shapes by hand: at most one VLAN tag, IPv4 without options or IPv6 without
//! extension headers, a whole TCP or UDP header, no fragment.
//!
//! Everything else is declined. What is accepted must read exactly as the slow path reads it.

use crate::ether;
use crate::view::{Addresses, Class, FrameView, TcpSegment, protocol};

/// The link layer as far as the fast path knows it.
#[derive(Clone, Copy)]
struct Link {
    ether_type: u16,
    vlan: u16,
    vlan_count: u8,
    network_offset: u16,
}

/// The network layer without its addresses.
#[derive(Clone, Copy)]
struct Network {
    ip_len: u32,
    header_len: u16,
    /// Bytes after the IP header by that header.
    payload_len: u16,
    protocol: u8,
    ttl: u8,
}

/// Reads the frame into a blank view. `false`: declined, and the view is still blank.
#[inline]
pub(super) fn fill(frame: &[u8], view: &mut FrameView) -> bool {
    read(frame, view).is_some()
}

#[inline]
fn read(frame: &[u8], view: &mut FrameView) -> Option<()> {
    let (header, packet) = frame.split_first_chunk::<{ ether::HEADER_LEN }>()?;
    let ether_type = u16::from_be_bytes([header[12], header[13]]);
    let link = Link { ether_type, vlan: 0, vlan_count: 0, network_offset: 14 };
    match ether_type {
        ether::IPV4 => ipv4(link, packet, view),
        ether::IPV6 => ipv6(link, packet, view),
        tag if ether::is_vlan(tag) => tagged(packet, view),
        _ => None,
    }
}

#[inline]
fn tagged(packet: &[u8], view: &mut FrameView) -> Option<()> {
    let (&[c1, c2, t1, t2], packet) = packet.split_first_chunk::<{ ether::TAG_LEN }>()?;
    let ether_type = u16::from_be_bytes([t1, t2]);
    let vlan = u16::from_be_bytes([c1, c2]) & 0x0fff;
    let link = Link { ether_type, vlan, vlan_count: 1, network_offset: 18 };
    match ether_type {
        ether::IPV4 => ipv4(link, packet, view),
        ether::IPV6 => ipv6(link, packet, view),
        _ => None,
    }
}

#[inline]
fn ipv4(link: Link, packet: &[u8], view: &mut FrameView) -> Option<()> {
    let (header, segment) = packet.split_first_chunk::<20>()?;
    let total = u16::from_be_bytes([header[2], header[3]]);
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
    if header[0] != 0x45 || fragment != 0 {
        return None;
    }
    let network = Network {
        ip_len: total.into(),
        header_len: 20,
        payload_len: total.checked_sub(20)?,
        protocol: header[9],
        ttl: header[8],
    };
    transport(link, network, segment, view)?;
    view.tuple.addresses = Addresses::V4 {
        source: u32::from_be_bytes([header[12], header[13], header[14], header[15]]),
        destination: u32::from_be_bytes([header[16], header[17], header[18], header[19]]),
    };
    Some(())
}

#[inline]
fn ipv6(link: Link, packet: &[u8], view: &mut FrameView) -> Option<()> {
    let (header, segment) = packet.split_first_chunk::<40>()?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let payload_len = u16::from_be_bytes([header[4], header[5]]);
    let network = Network {
        ip_len: u32::from(payload_len) + 40,
        header_len: 40,
        payload_len,
        protocol: header[6],
        ttl: header[7],
    };
    let (_, addresses) = header.split_first_chunk::<8>()?;
    let (source, destination) = addresses.split_first_chunk::<16>()?;
    let destination = destination.first_chunk::<16>()?;
    transport(link, network, segment, view)?;
    view.tuple.addresses = Addresses::V6 { source: *source, destination: *destination };
    Some(())
}

#[inline]
fn transport(link: Link, network: Network, segment: &[u8], view: &mut FrameView) -> Option<()> {
    match network.protocol {
        protocol::TCP => {
            let header = segment.first_chunk::<20>()?;
            if network.payload_len < 20 {
                return None;
            }
            view.tcp = TcpSegment {
                sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
                acknowledgement: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
                window: u16::from_be_bytes([header[14], header[15]]),
                flags: header[13],
            };
            let header_len = u16::from(header[12] >> 4) * 4;
            let payload_len = match header_len {
                0..20 => 0,
                _ => network.payload_len.saturating_sub(header_len),
            };
            view.payload_len = payload_len.into();
            ports([header[0], header[1], header[2], header[3]], view);
        }
        protocol::UDP => {
            let header = segment.first_chunk::<8>()?;
            if network.payload_len < 8 {
                return None;
            }
            let claimed_len = match u16::from_be_bytes([header[4], header[5]]) {
                0 => network.payload_len,
                length => length.min(network.payload_len),
            };
            view.payload_len = claimed_len.saturating_sub(8).into();
            ports([header[0], header[1], header[2], header[3]], view);
        }
        _ => return None,
    }
    headers(link, network, view);
    Some(())
}

#[inline]
fn ports([s1, s2, d1, d2]: [u8; 4], view: &mut FrameView) {
    view.tuple.source_port = u16::from_be_bytes([s1, s2]);
    view.tuple.destination_port = u16::from_be_bytes([d1, d2]);
}

/// What the link and network headers say, once nothing can be declined any more.
#[inline]
fn headers(link: Link, network: Network, view: &mut FrameView) {
    let claimed_len = u32::from(link.network_offset) + network.ip_len;
    view.class = Class::Ip;
    view.tuple.protocol = network.protocol;
    view.original_len = view.captured_len.max(claimed_len);
    view.truncated = view.captured_len < claimed_len;
    view.ip_len = network.ip_len;
    view.ether_type = link.ether_type;
    view.vlan[0] = link.vlan;
    view.vlan_count = link.vlan_count;
    view.ttl = network.ttl;
    view.network_offset = link.network_offset;
    view.transport_offset = link.network_offset + network.header_len;
}
