//! The common shapes by hand: at most one VLAN tag, IPv4 without options or IPv6 without
//! extension headers, a whole TCP or UDP header, no fragment.
//!
//! Everything else is declined. What is accepted must read exactly as the slow path reads it.
//! Nothing here is larger than a few registers until [`Shape::write`] writes the view where the
//! caller wants it: a view that moves once costs as much as reading the frame.

use crate::ether;
use crate::view::{Addresses, Class, Fragment, FrameView, TcpSegment, Tuple, protocol};

/// A frame of a common shape.
#[derive(Clone, Copy)]
pub(super) struct Shape<'a> {
    frame_len: usize,
    link: Link,
    network: Network<'a>,
    transport: Transport,
}

/// The link layer as far as the fast path knows it.
#[derive(Clone, Copy)]
struct Link {
    ether_type: u16,
    vlan: u16,
    vlan_count: u8,
    network_offset: u16,
}

#[derive(Clone, Copy)]
struct Network<'a> {
    ends: Ends<'a>,
    ip_len: u32,
    header_len: u16,
    /// Bytes after the IP header by that header.
    payload_len: u16,
    protocol: u8,
    ttl: u8,
}

/// Source and destination.
#[derive(Clone, Copy)]
enum Ends<'a> {
    V4(u32, u32),
    V6(&'a [u8; 16], &'a [u8; 16]),
}

#[derive(Clone, Copy)]
struct Transport {
    ports: [u16; 2],
    payload_len: u16,
    tcp: TcpSegment,
}

/// Recognises the frame, or declines it.
#[inline(always)]
pub(super) fn shape(frame: &[u8]) -> Option<Shape<'_>> {
    let (header, packet) = frame.split_first_chunk::<{ ether::HEADER_LEN }>()?;
    let ether_type = u16::from_be_bytes([header[12], header[13]]);
    let (link, packet) = if ether::is_vlan(ether_type) {
        let (&[c1, c2, t1, t2], packet) = packet.split_first_chunk::<{ ether::TAG_LEN }>()?;
        let vlan = u16::from_be_bytes([c1, c2]) & 0x0fff;
        let ether_type = u16::from_be_bytes([t1, t2]);
        (
            Link {
                ether_type,
                vlan,
                vlan_count: 1,
                network_offset: 18,
            },
            packet,
        )
    } else {
        (
            Link {
                ether_type,
                vlan: 0,
                vlan_count: 0,
                network_offset: 14,
            },
            packet,
        )
    };
    let (network, segment) = match link.ether_type {
        ether::IPV4 => ipv4(packet)?,
        ether::IPV6 => ipv6(packet)?,
        _ => return None,
    };
    let transport = match network.protocol {
        protocol::TCP => tcp(segment, network.payload_len)?,
        protocol::UDP => udp(segment, network.payload_len)?,
        _ => return None,
    };
    Some(Shape {
        frame_len: frame.len(),
        link,
        network,
        transport,
    })
}

#[inline(always)]
fn ipv4(packet: &[u8]) -> Option<(Network<'_>, &[u8])> {
    let (header, segment) = packet.split_first_chunk::<20>()?;
    let total = u16::from_be_bytes([header[2], header[3]]);
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
    if header[0] != 0x45 || fragment != 0 {
        return None;
    }
    let source = u32::from_be_bytes([header[12], header[13], header[14], header[15]]);
    let destination = u32::from_be_bytes([header[16], header[17], header[18], header[19]]);
    let network = Network {
        ends: Ends::V4(source, destination),
        ip_len: total.into(),
        header_len: 20,
        payload_len: total.checked_sub(20)?,
        protocol: header[9],
        ttl: header[8],
    };
    Some((network, segment))
}

#[inline(always)]
fn ipv6(packet: &[u8]) -> Option<(Network<'_>, &[u8])> {
    let (header, segment) = packet.split_first_chunk::<40>()?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let payload_len = u16::from_be_bytes([header[4], header[5]]);
    let (_, addresses) = header.split_first_chunk::<8>()?;
    let (source, destination) = addresses.split_first_chunk::<16>()?;
    let network = Network {
        ends: Ends::V6(source, destination.first_chunk()?),
        ip_len: u32::from(payload_len) + 40,
        header_len: 40,
        payload_len,
        protocol: header[6],
        ttl: header[7],
    };
    Some((network, segment))
}

#[inline(always)]
fn tcp(segment: &[u8], claimed_len: u16) -> Option<Transport> {
    let header = segment.first_chunk::<20>()?;
    if claimed_len < 20 {
        return None;
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
    Some(Transport {
        ports: ports([header[0], header[1], header[2], header[3]]),
        payload_len,
        tcp,
    })
}

#[inline(always)]
fn udp(segment: &[u8], claimed_len: u16) -> Option<Transport> {
    let header = segment.first_chunk::<8>()?;
    if claimed_len < 8 {
        return None;
    }
    let length = match u16::from_be_bytes([header[4], header[5]]) {
        0 => claimed_len,
        length => length.min(claimed_len),
    };
    let ports = ports([header[0], header[1], header[2], header[3]]);
    Some(Transport {
        ports,
        payload_len: length.saturating_sub(8),
        tcp: TcpSegment::default(),
    })
}

#[inline(always)]
fn ports([s1, s2, d1, d2]: [u8; 4]) -> [u16; 2] {
    [u16::from_be_bytes([s1, s2]), u16::from_be_bytes([d1, d2])]
}

impl Shape<'_> {
    /// What the frame says.
    #[inline(always)]
    pub(super) fn write(self, view: &mut FrameView) {
        // One literal for each family, so that either is written in place.
        match self.network.ends {
            Ends::V4(source, destination) => {
                let addresses = Addresses::V4 {
                    source,
                    destination,
                };
                self.write_with(addresses, view);
            }
            Ends::V6(source, destination) => {
                let addresses = Addresses::V6 {
                    source: *source,
                    destination: *destination,
                };
                self.write_with(addresses, view);
            }
        }
    }

    #[inline(always)]
    fn write_with(self, addresses: Addresses, view: &mut FrameView) {
        let Self {
            frame_len,
            link,
            network,
            transport,
        } = self;
        let captured_len = super::length(frame_len);
        let claimed_len = u32::from(link.network_offset) + network.ip_len;
        let [source_port, destination_port] = transport.ports;
        *view = FrameView {
            class: Class::Ip,
            tuple: Tuple {
                addresses,
                source_port,
                destination_port,
                protocol: network.protocol,
                one_way: false,
            },
            captured_len,
            original_len: captured_len.max(claimed_len),
            ip_len: network.ip_len,
            payload_len: transport.payload_len.into(),
            ether_type: link.ether_type,
            vlan: [link.vlan, 0],
            vlan_count: link.vlan_count,
            ttl: network.ttl,
            icmp_type: 0,
            icmp_code: 0,
            fragment: Fragment::No,
            tcp: transport.tcp,
            network_offset: link.network_offset,
            transport_offset: link.network_offset + network.header_len,
            truncated: captured_len < claimed_len,
        };
    }
}
