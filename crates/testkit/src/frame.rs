//! An Ethernet frame with one IP packet in it.

use std::net::{IpAddr, SocketAddr};

use pnet::packet::ethernet::MutableEthernetPacket;
use pnet::packet::ip::IpNextHeaderProtocol;
use pnet::packet::ipv4::{self, MutableIpv4Packet};
use pnet::packet::ipv6::MutableIpv6Packet;
use pnet::util::MacAddr;

use crate::tcp;
use crate::transport::{Tcp, Transport};

/// Builds an Ethernet frame; the last call is [`Frame::bytes`] or [`Frame::fragments`].
///
/// Panics where the text of an address cannot be read, or the addresses are of two families.
#[derive(Clone, Debug)]
pub struct Frame {
    macs: ([u8; 6], [u8; 6]),
    /// TPID and tag control information, outermost first.
    tags: Vec<(u16, u16)>,
    source: IpAddr,
    target: IpAddr,
    ttl: u8,
    id: u32,
    transport: Transport,
    payload: Vec<u8>,
    trailer: usize,
}

/// The part of an IP packet that one fragment carries.
struct Piece<'a> {
    bytes: &'a [u8],
    offset: usize,
    more: bool,
    whole: bool,
}

impl Frame {
    /// A TCP segment from `source` to `target`, each `"10.0.0.1:80"` or `"[fd00::1]:80"`; an ACK
    /// without data until told otherwise.
    #[must_use]
    pub fn tcp(source: &str, target: &str) -> Self {
        let (source, target) = (socket(source), socket(target));
        let header = Tcp {
            ports: (source.port(), target.port()),
            seq: 1,
            ack: 0,
            flags: tcp::ACK,
            window: 65_535,
            options: Vec::new(),
        };
        Self::new(source.ip(), target.ip(), Transport::Tcp(header))
    }

    /// A UDP datagram from `source` to `target`, each `"10.0.0.1:80"` or `"[fd00::1]:80"`.
    #[must_use]
    pub fn udp(source: &str, target: &str) -> Self {
        Self::udp_between(socket(source), socket(target))
    }

    pub(crate) fn udp_between(source: SocketAddr, target: SocketAddr) -> Self {
        let ports = (source.port(), target.port());
        Self::new(
            source.ip(),
            target.ip(),
            Transport::Udp {
                ports,
                checksum: true,
            },
        )
    }

    /// An SCTP packet with one DATA chunk, addresses as in [`Frame::udp`].
    #[must_use]
    pub fn sctp(source: &str, target: &str) -> Self {
        let (source, target) = (socket(source), socket(target));
        let ports = (source.port(), target.port());
        Self::new(source.ip(), target.ip(), Transport::Sctp { ports })
    }

    /// An ICMP message, `ICMPv6` between IPv6 addresses. `rest` is what follows the checksum: for
    /// echo the id and the sequence number.
    #[must_use]
    pub fn icmp(source: &str, target: &str, kind: u8, code: u8, rest: [u8; 4]) -> Self {
        Self::new(
            address(source),
            address(target),
            Transport::Icmp { kind, code, rest },
        )
    }

    /// An IP packet of another protocol; its payload follows the IP header.
    #[must_use]
    pub fn ip(source: &str, target: &str, protocol: u8) -> Self {
        Self::new(
            address(source),
            address(target),
            Transport::Raw { protocol },
        )
    }

    fn new(source: IpAddr, target: IpAddr, transport: Transport) -> Self {
        assert_eq!(
            source.is_ipv4(),
            target.is_ipv4(),
            "{source} and {target} are of two families"
        );
        Self {
            macs: ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]),
            tags: Vec::new(),
            source,
            target,
            ttl: 64,
            id: 0,
            transport,
            payload: Vec::new(),
            trailer: 0,
        }
    }

    /// Source and target MAC address.
    #[must_use]
    pub fn macs(mut self, source: [u8; 6], target: [u8; 6]) -> Self {
        self.macs = (source, target);
        self
    }

    /// An 802.1Q tag inside those already there.
    #[must_use]
    pub fn vlan(mut self, id: u16) -> Self {
        self.tags.push((0x8100, id));
        self
    }

    /// An 802.1ad tag inside those already there.
    #[must_use]
    pub fn service_vlan(mut self, id: u16) -> Self {
        self.tags.push((0x88a8, id));
        self
    }

    /// Time to live, or hop limit.
    #[must_use]
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    /// IP identification; IPv4 keeps the lower 16 bits.
    #[must_use]
    pub fn id(mut self, id: u32) -> Self {
        self.id = id;
        self
    }

    /// What the transport carries.
    #[must_use]
    pub fn payload(mut self, bytes: &[u8]) -> Self {
        self.payload = bytes.to_vec();
        self
    }

    /// Zeros after the IP packet, as on frames padded to 60 bytes.
    #[must_use]
    pub fn trailer(mut self, bytes: usize) -> Self {
        self.trailer = bytes;
        self
    }

    /// TCP flags, see [`tcp`].
    #[must_use]
    pub fn flags(self, flags: u8) -> Self {
        self.change_tcp(|header| header.flags = flags)
    }

    /// TCP sequence number.
    #[must_use]
    pub fn seq(self, seq: u32) -> Self {
        self.change_tcp(|header| header.seq = seq)
    }

    /// TCP acknowledgement number; the flag is set by [`Frame::flags`].
    #[must_use]
    pub fn ack(self, ack: u32) -> Self {
        self.change_tcp(|header| header.ack = ack)
    }

    /// TCP window.
    #[must_use]
    pub fn window(self, window: u16) -> Self {
        self.change_tcp(|header| header.window = window)
    }

    /// TCP options, padded with end-of-list to a multiple of four bytes.
    #[must_use]
    pub fn options(self, options: &[u8]) -> Self {
        self.change_tcp(|header| {
            header.options = options.to_vec();
            header.options.resize(options.len().next_multiple_of(4), 0);
        })
    }

    /// A UDP checksum of zero: not computed.
    #[must_use]
    pub fn no_checksum(mut self) -> Self {
        if let Transport::Udp { checksum, .. } = &mut self.transport {
            *checksum = false;
        }
        self
    }

    fn change_tcp(mut self, change: impl FnOnce(&mut Tcp)) -> Self {
        let Transport::Tcp(header) = &mut self.transport else {
            unreachable!("only a TCP segment has this field");
        };
        change(header);
        self
    }

    /// The frame.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.ethernet(&self.ip_bytes())
    }

    /// The IP packet of the frame, without Ethernet header and trailer.
    #[must_use]
    pub fn ip_bytes(&self) -> Vec<u8> {
        let bytes = self
            .transport
            .bytes(self.source, self.target, &self.payload);
        self.ip_packet(&Piece {
            bytes: &bytes,
            offset: 0,
            more: false,
            whole: true,
        })
    }

    /// The frame cut into IP fragments with at most `size` bytes after the IP headers.
    ///
    /// Panics unless `size` is a positive multiple of eight.
    #[must_use]
    pub fn fragments(&self, size: usize) -> Vec<Vec<u8>> {
        assert!(
            size > 0 && size.is_multiple_of(8),
            "fragments start at multiples of eight bytes"
        );
        let bytes = self
            .transport
            .bytes(self.source, self.target, &self.payload);
        let count = bytes.len().div_ceil(size);
        let pieces = bytes.chunks(size).enumerate().map(|(index, bytes)| {
            let piece = Piece {
                bytes,
                offset: index * size,
                more: index + 1 < count,
                whole: false,
            };
            self.ethernet(&self.ip_packet(&piece))
        });
        pieces.collect()
    }

    fn ethernet(&self, packet: &[u8]) -> Vec<u8> {
        let family = if self.source.is_ipv4() {
            0x0800
        } else {
            0x86dd
        };
        let mut bytes = vec![0; 14];
        for (_, control) in &self.tags {
            bytes.extend_from_slice(&control.to_be_bytes());
            bytes.extend_from_slice(&[0; 2]);
        }
        // Each tag's TPID stands where the previous header has its type.
        let types = self.tags.iter().map(|(tpid, _)| *tpid).chain([family]);
        for (index, kind) in types.enumerate() {
            let at = 12 + 4 * index;
            bytes[at..at + 2].copy_from_slice(&kind.to_be_bytes());
        }
        bytes.extend_from_slice(packet);
        bytes.resize(bytes.len() + self.trailer, 0);
        let mut header = MutableEthernetPacket::new(&mut bytes).expect("14 bytes or more");
        header.set_source(MacAddr::from(self.macs.0));
        header.set_destination(MacAddr::from(self.macs.1));
        bytes
    }

    fn ip_packet(&self, piece: &Piece<'_>) -> Vec<u8> {
        match (self.source, self.target) {
            (IpAddr::V4(source), IpAddr::V4(target)) => {
                let mut bytes = vec![0; 20];
                bytes.extend_from_slice(piece.bytes);
                let length =
                    u16::try_from(bytes.len()).expect("an IPv4 packet is at most 65,535 bytes");
                let mut header = MutableIpv4Packet::new(&mut bytes).expect("20 bytes or more");
                header.set_version(4);
                header.set_header_length(5);
                header.set_total_length(length);
                header.set_identification(u16::try_from(self.id & 0xffff).expect("16 bits"));
                header.set_flags(if piece.more {
                    ipv4::Ipv4Flags::MoreFragments
                } else {
                    0
                });
                header.set_fragment_offset(eighths(piece.offset));
                header.set_ttl(self.ttl);
                header.set_next_level_protocol(self.protocol());
                header.set_source(source);
                header.set_destination(target);
                let sum = ipv4::checksum(&header.to_immutable());
                header.set_checksum(sum);
                bytes
            }
            (IpAddr::V6(source), IpAddr::V6(target)) => {
                let mut bytes = vec![0; 40];
                if !piece.whole {
                    bytes.extend_from_slice(&self.fragment_header(piece));
                }
                bytes.extend_from_slice(piece.bytes);
                let length = u16::try_from(bytes.len() - 40).expect("at most 65,535 bytes");
                let next = if piece.whole {
                    self.protocol()
                } else {
                    IpNextHeaderProtocol::new(44)
                };
                let mut header = MutableIpv6Packet::new(&mut bytes).expect("40 bytes or more");
                header.set_version(6);
                header.set_payload_length(length);
                header.set_next_header(next);
                header.set_hop_limit(self.ttl);
                header.set_source(source);
                header.set_destination(target);
                bytes
            }
            _ => unreachable!("a frame's addresses are of one family"),
        }
    }

    /// The IPv6 fragment header (RFC 8200 §4.5).
    fn fragment_header(&self, piece: &Piece<'_>) -> [u8; 8] {
        let offset = (eighths(piece.offset) << 3 | u16::from(piece.more)).to_be_bytes();
        let id = self.id.to_be_bytes();
        [
            self.protocol().0,
            0,
            offset[0],
            offset[1],
            id[0],
            id[1],
            id[2],
            id[3],
        ]
    }

    fn protocol(&self) -> IpNextHeaderProtocol {
        IpNextHeaderProtocol::new(self.transport.protocol(self.source))
    }
}

fn eighths(offset: usize) -> u16 {
    u16::try_from(offset / 8).expect("an IP packet is at most 65,535 bytes")
}

fn socket(text: &str) -> SocketAddr {
    text.parse()
        .expect("an address and a port, like 10.0.0.1:80 or [fd00::1]:80")
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address, like 10.0.0.1 or fd00::1")
}
