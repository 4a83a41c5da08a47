//! What follows the IP header: TCP, UDP, ICMP, SCTP, or any bytes.

use std::net::IpAddr;

use pnet::packet::icmp::{IcmpCode, IcmpPacket, IcmpType, MutableIcmpPacket};
use pnet::packet::icmpv6::{Icmpv6Code, Icmpv6Packet, Icmpv6Type, MutableIcmpv6Packet};
use pnet::packet::tcp::MutableTcpPacket;
use pnet::packet::udp::MutableUdpPacket;
use pnet::packet::{icmp, icmpv6, tcp, udp};

/// Ports, source and target.
type Ports = (u16, u16);

#[derive(Clone, Debug)]
pub(crate) enum Transport {
    Tcp(Tcp),
    Udp {
        ports: Ports,
        checksum: bool,
    },
    /// Type, code and the four bytes that follow the checksum.
    Icmp {
        kind: u8,
        code: u8,
        rest: [u8; 4],
    },
    Sctp {
        ports: Ports,
    },
    Raw {
        protocol: u8,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Tcp {
    pub(crate) ports: Ports,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) window: u16,
    /// A multiple of four bytes.
    pub(crate) options: Vec<u8>,
}

impl Transport {
    /// The IP protocol number between these addresses.
    pub(crate) fn protocol(&self, source: IpAddr) -> u8 {
        match self {
            Self::Tcp(_) => 6,
            Self::Udp { .. } => 17,
            Self::Icmp { .. } if source.is_ipv4() => 1,
            Self::Icmp { .. } => 58,
            Self::Sctp { .. } => 132,
            Self::Raw { protocol } => *protocol,
        }
    }

    /// Header and payload, with the checksum for these addresses.
    pub(crate) fn bytes(&self, source: IpAddr, target: IpAddr, payload: &[u8]) -> Vec<u8> {
        match self {
            Self::Tcp(header) => header.bytes(source, target, payload),
            Self::Udp { ports, checksum } => {
                let mut bytes = udp_bytes(*ports, payload);
                if *checksum {
                    let sum = udp_checksum(&bytes, source, target);
                    let mut packet = MutableUdpPacket::new(&mut bytes).expect("8 bytes or more");
                    // RFC 768: a computed zero is sent as all ones.
                    packet.set_checksum(if sum == 0 { u16::MAX } else { sum });
                }
                bytes
            }
            Self::Icmp { kind, code, rest } => {
                icmp_bytes(source, target, (*kind, *code), *rest, payload)
            }
            Self::Sctp { ports } => sctp_bytes(*ports, payload),
            Self::Raw { .. } => payload.to_vec(),
        }
    }
}

impl Tcp {
    fn bytes(&self, source: IpAddr, target: IpAddr, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 20 + self.options.len()];
        bytes[20..].copy_from_slice(&self.options);
        bytes.extend_from_slice(payload);
        let mut packet = MutableTcpPacket::new(&mut bytes).expect("20 bytes or more");
        packet.set_source(self.ports.0);
        packet.set_destination(self.ports.1);
        packet.set_sequence(self.seq);
        packet.set_acknowledgement(self.ack);
        packet.set_data_offset(
            u8::try_from(5 + self.options.len() / 4).expect("40 bytes of options"),
        );
        packet.set_flags(self.flags);
        packet.set_window(self.window);
        let packet = packet.to_immutable();
        let sum = match (source, target) {
            (IpAddr::V4(source), IpAddr::V4(target)) => {
                tcp::ipv4_checksum(&packet, &source, &target)
            }
            (IpAddr::V6(source), IpAddr::V6(target)) => {
                tcp::ipv6_checksum(&packet, &source, &target)
            }
            _ => unreachable!("a frame's addresses are of one family"),
        };
        MutableTcpPacket::new(&mut bytes)
            .expect("20 bytes or more")
            .set_checksum(sum);
        bytes
    }
}

fn udp_bytes((source, target): Ports, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    bytes.extend_from_slice(payload);
    let length = u16::try_from(bytes.len()).expect("a UDP datagram is at most 65,535 bytes");
    let mut packet = MutableUdpPacket::new(&mut bytes).expect("8 bytes or more");
    packet.set_source(source);
    packet.set_destination(target);
    packet.set_length(length);
    bytes
}

fn udp_checksum(bytes: &[u8], source: IpAddr, target: IpAddr) -> u16 {
    let packet = udp::UdpPacket::new(bytes).expect("8 bytes or more");
    match (source, target) {
        (IpAddr::V4(source), IpAddr::V4(target)) => udp::ipv4_checksum(&packet, &source, &target),
        (IpAddr::V6(source), IpAddr::V6(target)) => udp::ipv6_checksum(&packet, &source, &target),
        _ => unreachable!("a frame's addresses are of one family"),
    }
}

fn icmp_bytes(
    source: IpAddr,
    target: IpAddr,
    (kind, code): (u8, u8),
    rest: [u8; 4],
    payload: &[u8],
) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend_from_slice(&rest);
    bytes.extend_from_slice(payload);
    if let (IpAddr::V6(source), IpAddr::V6(target)) = (source, target) {
        let mut packet = MutableIcmpv6Packet::new(&mut bytes).expect("8 bytes or more");
        packet.set_icmpv6_type(Icmpv6Type::new(kind));
        packet.set_icmpv6_code(Icmpv6Code::new(code));
        let packet = Icmpv6Packet::new(&bytes).expect("8 bytes or more");
        let sum = icmpv6::checksum(&packet, &source, &target);
        MutableIcmpv6Packet::new(&mut bytes)
            .expect("8 bytes or more")
            .set_checksum(sum);
    } else {
        let mut packet = MutableIcmpPacket::new(&mut bytes).expect("8 bytes or more");
        packet.set_icmp_type(IcmpType::new(kind));
        packet.set_icmp_code(IcmpCode::new(code));
        let sum = icmp::checksum(&IcmpPacket::new(&bytes).expect("8 bytes or more"));
        MutableIcmpPacket::new(&mut bytes)
            .expect("8 bytes or more")
            .set_checksum(sum);
    }
    bytes
}

/// The common header with tag 0 and checksum 0, and one DATA chunk (RFC 9260 §3.3.1).
fn sctp_bytes((source, target): Ports, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&source.to_be_bytes());
    bytes.extend_from_slice(&target.to_be_bytes());
    bytes.extend_from_slice(&[0; 8]);
    let length = u16::try_from(16 + payload.len()).expect("an SCTP chunk is at most 65,535 bytes");
    bytes.extend_from_slice(&[0, 3]);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&[0; 12]);
    bytes.extend_from_slice(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
