//! The headers that AWS puts before a mirrored frame: Ethernet, IPv4, UDP, VXLAN, and with a
//! Gateway Load Balancer GENEVE around the VXLAN packet.

use std::net::Ipv4Addr;

use super::identity::{outer_address, vni};
use super::payload::{fold, sum_words};
use super::spec::Spec;
use super::transport::field;
use crate::random::hash;

const SENSOR: Ipv4Addr = Ipv4Addr::new(10, 255, 0, 1);
const BALANCER: Ipv4Addr = Ipv4Addr::new(10, 255, 1, 1);
const VXLAN_PORT: u16 = 4_789;
const GENEVE_PORT: u16 = 6_081;
const ETHERNET: usize = 14;
const IP_UDP: usize = 20 + 8;
const VXLAN: usize = 8;
/// Bytes of the outermost Ethernet, IPv4 and UDP headers.
pub(crate) const OUTER_HEADERS: usize = ETHERNET + IP_UDP;
/// GENEVE header, and the options for endpoint, attachment and flow cookie.
const GENEVE: usize = 8 + 12 + 12 + 8;
/// The largest IP packet that arrives at a sensor, and behind a Gateway Load Balancer.
const MTU: usize = 9_001;
const MTU_BEHIND_BALANCER: usize = 8_500;

/// The tunnel of one specification.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tunnel {
    gwlb: bool,
    /// The most bytes of an inner frame that get through.
    pub(crate) frame_max: usize,
}

impl Tunnel {
    pub(crate) fn new(spec: &Spec) -> Self {
        let mtu = if spec.gwlb { MTU_BEHIND_BALANCER } else { MTU };
        let tunnel = Self {
            gwlb: spec.gwlb,
            frame_max: 0,
        };
        let room = mtu - (tunnel.len() - ETHERNET);
        Self {
            frame_max: spec
                .packet_length
                .map_or(room, |cut| room.min(usize::from(cut))),
            ..tunnel
        }
    }

    /// Bytes before the inner frame.
    pub(crate) fn len(self) -> usize {
        ETHERNET + IP_UDP + VXLAN + if self.gwlb { GENEVE + IP_UDP } else { 0 }
    }

    /// Appends the headers for `source`'s frame of `length` bytes. The UDP source port depends on
    /// `flow`, a number of the inner flow, and is the same for both directions.
    pub(crate) fn write(
        self,
        buffer: &mut Vec<u8>,
        spec: &Spec,
        source: u32,
        flow: u64,
        length: usize,
    ) {
        let [a, b, c, d] = source.to_be_bytes();
        buffer.extend_from_slice(&[2, 0xee, 0, 0, 0, 1, 2, 0xaa, a, b, c, d, 0x08, 0x00]);
        let address = outer_address(spec.carrier, source);
        let port = source_port(flow);
        let inside = IP_UDP + VXLAN + length;
        if self.gwlb {
            write_ip_udp(
                buffer,
                [BALANCER, SENSOR],
                [port, GENEVE_PORT],
                GENEVE + inside,
            );
            write_geneve(buffer, source, flow);
        }
        write_ip_udp(
            buffer,
            [address, SENSOR],
            [port, VXLAN_PORT],
            VXLAN + length,
        );
        buffer.extend_from_slice(&[0x08, 0, 0, 0]);
        buffer.extend_from_slice(&(vni(spec, source) << 8).to_be_bytes());
    }
}

/// Makes the outermost IPv4 and UDP headers say the packet's length.
pub(crate) fn rewrite_lengths(packet: &mut [u8]) {
    let length = packet.len().saturating_sub(ETHERNET);
    patch(packet, ETHERNET + 2, &field(length));
    patch(packet, ETHERNET + 24, &field(length.saturating_sub(20)));
    rewrite_checksum(packet, ETHERNET);
}

/// Replaces the source address of the IPv4 header that carries the VXLAN. `tunnel` bytes stand
/// before the inner frame.
pub(crate) fn rewrite_address(packet: &mut [u8], tunnel: usize, address: Ipv4Addr) {
    let ip = tunnel - VXLAN - IP_UDP;
    patch(packet, ip + 12, &address.octets());
    rewrite_checksum(packet, ip);
}

/// Replaces the VNI of a packet with `tunnel` bytes before its inner frame.
pub(crate) fn rewrite_vni(packet: &mut [u8], tunnel: usize, vni: u32) {
    patch(packet, tunnel - 4, &(vni << 8).to_be_bytes());
}

fn rewrite_checksum(packet: &mut [u8], ip: usize) {
    patch(packet, ip + 10, &[0; 2]);
    let sum = packet.get(ip..ip + 20).map(sum_words).map(fold);
    patch(packet, ip + 10, &sum.unwrap_or(0).to_be_bytes());
}

fn patch(packet: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = packet.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// A port from 49,152.
fn source_port(flow: u64) -> u16 {
    let [.., high, low] = hash(flow, 1).to_be_bytes();
    u16::from_be_bytes([high, low]) | 0xc000
}

/// As AWS does: TTL 255, identification 0, no flags, UDP checksum 0.
fn write_ip_udp(buffer: &mut Vec<u8>, [from, to]: [Ipv4Addr; 2], ports: [u16; 2], payload: usize) {
    let length = field(IP_UDP + payload);
    let mut header = [0; 20];
    header[..12].copy_from_slice(&[0x45, 0, length[0], length[1], 0, 0, 0, 0, 255, 17, 0, 0]);
    header[12..16].copy_from_slice(&from.octets());
    header[16..].copy_from_slice(&to.octets());
    let sum = fold(sum_words(&header)).to_be_bytes();
    header[10..12].copy_from_slice(&sum);
    buffer.extend_from_slice(&header);
    for port in ports {
        buffer.extend_from_slice(&port.to_be_bytes());
    }
    buffer.extend_from_slice(&field(8 + payload));
    buffer.extend_from_slice(&[0; 2]);
}

/// GENEVE around an IPv4 packet, VNI 0, with the options of class 0x0108: 1 the endpoint,
/// 2 the attachment, 3 a cookie of the flow.
fn write_geneve(buffer: &mut Vec<u8>, source: u32, flow: u64) {
    buffer.extend_from_slice(&[8, 0, 0x08, 0x00, 0, 0, 0, 0]);
    for (kind, number) in [(1, hash(0, 0)), (2, hash(1, u64::from(source)))] {
        buffer.extend_from_slice(&[0x01, 0x08, kind, 2]);
        buffer.extend_from_slice(&number.to_be_bytes());
    }
    let [a, b, c, d, ..] = hash(flow, 2).to_be_bytes();
    buffer.extend_from_slice(&[0x01, 0x08, 3, 1, a, b, c, d]);
}
