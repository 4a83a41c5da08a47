//! What one inner frame says: lengths, addresses, ports, TCP fields. Copied out, never borrowed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A parsed inner Ethernet frame. Lax: a truncated frame has every field its bytes allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameView {
    /// How far the frame could be read.
    pub class: Class,
    /// Addresses, ports, protocol; zero where `class` says there are none.
    pub tuple: Tuple,
    /// Bytes present.
    pub captured_len: u32,
    /// Bytes on the wire: Ethernet and tags plus the inner IP length, and never less than captured.
    pub original_len: u32,
    /// Length by the IP header (IPv4 total length; IPv6 40 + payload length); 0 if not IP.
    /// Where the header says 0 (segmentation offload, jumbograms): the bytes after the link header.
    pub ip_len: u32,
    /// Transport payload by the IP and transport headers, truncated bytes included.
    pub payload_len: u32,
    /// `EtherType` after all VLAN tags.
    pub ether_type: u16,
    /// The first two VLAN tags' ids, outermost first.
    pub vlan: [u16; 2],
    /// VLAN tags skipped; more than two are counted but not kept.
    pub vlan_count: u8,
    /// IPv4 TTL or IPv6 hop limit; 0 if not IP.
    pub ttl: u8,
    /// ICMP or `ICMPv6` type; 0 for other protocols.
    pub icmp_type: u8,
    /// ICMP or `ICMPv6` code; 0 for other protocols.
    pub icmp_code: u8,
    /// Whether this is a fragment.
    pub fragment: Fragment,
    /// TCP fields; zero for other protocols and for later fragments.
    pub tcp: TcpSegment,
    /// Where the IP header starts in the frame.
    pub network_offset: u16,
    /// Where the transport header starts in the frame; 0 if there is none.
    pub transport_offset: u16,
    /// Captured bytes are fewer than the frame had on the wire.
    pub truncated: bool,
}

impl FrameView {
    /// Bytes of headers at the beginning of the frame that this is the view of: what is left when
    /// all payload is cut off. Believes no length that the sender could make larger than a header
    /// is; of what is not understood only the link header counts.
    #[must_use]
    pub fn headers_len(&self, frame: &[u8]) -> usize {
        let network = usize::from(self.network_offset);
        let transport = usize::from(self.transport_offset);
        match self.class {
            Class::Ip | Class::Truncated if transport > 0 => {
                transport + transport_header_len(self.tuple.protocol, frame.get(transport + 12))
            }
            // A later fragment: its address header, and in IPv6 the one that says so.
            Class::Ip => match self.tuple.addresses {
                Addresses::V4 { .. } => network + 20,
                Addresses::V6 { .. } => network + 48,
            },
            Class::NonIp | Class::Malformed | Class::Truncated => network,
        }
    }
}

/// Bytes of a transport header; TCP has its length in the 13th.
fn transport_header_len(number: u8, length: Option<&u8>) -> usize {
    match number {
        protocol::TCP => length.map_or(20, |byte| usize::from(byte >> 4) * 4).max(20),
        protocol::SCTP => 12,
        protocol::UDP | protocol::ICMP | protocol::ICMPV6 => 8,
        _ => 0,
    }
}

/// The view of no frame: cut off before its first byte.
impl Default for FrameView {
    fn default() -> Self {
        Self {
            class: Class::Truncated,
            tuple: Tuple {
                addresses: Addresses::V4 {
                    source: 0,
                    destination: 0,
                },
                source_port: 0,
                destination_port: 0,
                protocol: 0,
                one_way: false,
            },
            captured_len: 0,
            original_len: 0,
            ip_len: 0,
            payload_len: 0,
            ether_type: 0,
            vlan: [0; 2],
            vlan_count: 0,
            ttl: 0,
            icmp_type: 0,
            icmp_code: 0,
            fragment: Fragment::No,
            tcp: TcpSegment::default(),
            network_offset: 0,
            transport_offset: 0,
            truncated: false,
        }
    }
}

/// How far a frame could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// IP with a transport header, or a protocol without ports, or a fragment.
    Ip,
    /// Not IPv4 or IPv6: ARP, LLDP, MPLS, `PPPoE` and so on.
    NonIp,
    /// The IP header contradicts itself (version, header length, total length).
    Malformed,
    /// Cut off before the addresses or the ports.
    Truncated,
}

/// The five-tuple as it travelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Source and destination address.
    pub addresses: Addresses,
    /// Source port (TCP, UDP, SCTP). ICMP: the type.
    pub source_port: u16,
    /// Destination port. ICMP: the type of the answer, or the code if there is no answer.
    pub destination_port: u16,
    /// IP protocol number after all extension headers.
    pub protocol: u8,
    /// ICMP without an answering type: never matched with the reverse direction.
    pub one_way: bool,
}

/// Source and destination address of one family, as big-endian numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Addresses {
    /// IPv4.
    V4 {
        /// Source address.
        source: u32,
        /// Destination address.
        destination: u32,
    },
    /// IPv6.
    V6 {
        /// Source address.
        source: [u8; 16],
        /// Destination address.
        destination: [u8; 16],
    },
}

impl Addresses {
    /// Source and destination.
    #[must_use]
    pub fn pair(&self) -> (IpAddr, IpAddr) {
        match *self {
            Self::V4 {
                source,
                destination,
            } => (
                Ipv4Addr::from_bits(source).into(),
                Ipv4Addr::from_bits(destination).into(),
            ),
            Self::V6 {
                source,
                destination,
            } => (
                Ipv6Addr::from(source).into(),
                Ipv6Addr::from(destination).into(),
            ),
        }
    }
}

/// Whether a packet is a fragment, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// A whole packet.
    No,
    /// The first fragment: it has the transport header.
    First {
        /// IP identification (16 bits in IPv4, 32 in IPv6).
        id: u32,
    },
    /// A later fragment: no transport header.
    Later {
        /// IP identification (16 bits in IPv4, 32 in IPv6).
        id: u32,
    },
}

/// The TCP fields that flow tracking needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpSegment {
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// Window as in the header, not scaled.
    pub window: u16,
    /// FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
    pub flags: u8,
}

/// TCP flag bits as in the header's 14th byte.
pub mod flag {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement field is significant.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer is significant.
    pub const URG: u8 = 0x20;
    /// ECN echo.
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced.
    pub const CWR: u8 = 0x80;
}

/// IP protocol numbers that the sensor treats by name.
pub mod protocol {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;
    /// SCTP.
    pub const SCTP: u8 = 132;
}
