//! Opens mirrored packets with etherparse, which knows nothing of the generator.

use std::net::{IpAddr, Ipv4Addr};

use etherparse::{Ipv4Slice, NetSlice, SlicedPacket, TransportSlice, UdpHeader, UdpSlice};

/// The packet that carries VXLAN, and the frame in it.
#[derive(Debug)]
pub(crate) struct Outer<'a> {
    pub(crate) ip: Ipv4Slice<'a>,
    pub(crate) udp: UdpSlice<'a>,
    pub(crate) flags: [u8; 4],
    pub(crate) vni: u32,
    pub(crate) frame: &'a [u8],
}

impl<'a> Outer<'a> {
    /// Of a whole packet from its outer Ethernet header; opens GENEVE.
    pub(crate) fn of(bytes: &'a [u8]) -> Option<Self> {
        Self::of_packet(SlicedPacket::from_ethernet(bytes).ok()?)
    }

    fn of_packet(packet: SlicedPacket<'a>) -> Option<Self> {
        let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Udp(udp))) =
            (packet.net, packet.transport)
        else {
            return None;
        };
        let payload = udp.payload();
        if udp.destination_port() == 6_081 {
            let options = usize::from(payload.first()? & 0x3f) * 4;
            assert_eq!((options, payload.get(2..4)?), (32, [8, 0].as_slice()));
            return Self::of_packet(SlicedPacket::from_ip(payload.get(8 + options..)?).ok()?);
        }
        assert_eq!(udp.destination_port(), 4_789);
        let (header, frame) = payload.split_first_chunk::<8>()?;
        let [f0, f1, f2, f3, v0, v1, v2, _] = *header;
        let vni = u32::from_be_bytes([0, v0, v1, v2]);
        Some(Self {
            ip,
            udp,
            flags: [f0, f1, f2, f3],
            vni,
            frame,
        })
    }
}

/// A mirrored frame.
#[derive(Debug)]
pub(crate) struct Inner<'a>(pub(crate) SlicedPacket<'a>);

/// Addresses, ports (or the ICMP id) in order, and the protocol.
pub(crate) type Tuple = ([(IpAddr, u16); 2], u8);

impl<'a> Inner<'a> {
    pub(crate) fn of(frame: &'a [u8]) -> Option<Self> {
        let packet = SlicedPacket::from_ethernet(frame).ok()?;
        packet.net.is_some().then_some(Self(packet))
    }

    pub(crate) fn addresses(&self) -> (IpAddr, IpAddr) {
        match &self.0.net {
            Some(NetSlice::Ipv4(ip)) => (
                ip.header().source_addr().into(),
                ip.header().destination_addr().into(),
            ),
            Some(NetSlice::Ipv6(ip)) => (
                ip.header().source_addr().into(),
                ip.header().destination_addr().into(),
            ),
            _ => (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()),
        }
    }

    pub(crate) fn speaks(&self, address: [u8; 4]) -> bool {
        let (from, to) = self.addresses();
        [from, to].contains(&IpAddr::from(address))
    }

    pub(crate) fn protocol(&self) -> u8 {
        self.0.ip_payload().map_or(0, |payload| payload.ip_number.0)
    }

    /// The same for both directions.
    pub(crate) fn tuple(&self) -> Tuple {
        let (from, to) = self.addresses();
        let ports = match &self.0.transport {
            Some(TransportSlice::Tcp(tcp)) => (tcp.source_port(), tcp.destination_port()),
            Some(TransportSlice::Udp(udp)) => (udp.source_port(), udp.destination_port()),
            _ => (0, 0),
        };
        let mut ends = [(from, ports.0), (to, ports.1)];
        ends.sort_unstable();
        (ends, self.protocol())
    }

    /// Identification, offset and bytes of a fragment.
    pub(crate) fn fragment(&self) -> Option<(u32, usize, Vec<u8>)> {
        let payload = self.0.ip_payload().filter(|payload| payload.fragmented)?;
        let (id, offset) = match &self.0.net {
            Some(NetSlice::Ipv4(ip)) => {
                let header = ip.header();
                (
                    u32::from(header.identification()),
                    header.fragments_offset().byte_offset(),
                )
            }
            Some(NetSlice::Ipv6(ip)) => {
                let header: [u8; 8] = ip.extensions().slice().try_into().ok()?;
                let [_, _, o0, o1, i0, i1, i2, i3] = header;
                (
                    u32::from_be_bytes([i0, i1, i2, i3]),
                    u16::from_be_bytes([o0, o1]) & 0xfff8,
                )
            }
            _ => return None,
        };
        Some((id, usize::from(offset), payload.payload.to_vec()))
    }
}

/// Whether IP and transport checksums are right, and DNS messages of the length they say.
pub(crate) fn checksums_are_right(inner: &Inner<'_>) -> bool {
    match (&inner.0.net, &inner.0.transport) {
        (Some(NetSlice::Ipv4(ip)), Some(transport)) => {
            let header = ip.header().to_header();
            header.calc_header_checksum() == header.header_checksum
                && match transport {
                    TransportSlice::Tcp(tcp) => {
                        tcp.calc_checksum_ipv4(header.source, header.destination)
                            == Ok(tcp.checksum())
                    }
                    TransportSlice::Udp(udp) => udp_is_right(inner.addresses(), udp.slice()),
                    TransportSlice::Icmpv4(icmp) => {
                        icmp.icmp_type().calc_checksum(icmp.payload()) == icmp.checksum()
                    }
                    TransportSlice::Icmpv6(_) | TransportSlice::Igmp(_) => false,
                }
        }
        (Some(NetSlice::Ipv6(ip)), Some(transport)) => {
            let header = ip.header().to_header();
            match transport {
                TransportSlice::Tcp(tcp) => {
                    tcp.calc_checksum_ipv6(header.source, header.destination) == Ok(tcp.checksum())
                }
                TransportSlice::Udp(udp) => udp_is_right(inner.addresses(), udp.slice()),
                TransportSlice::Icmpv6(icmp) => {
                    icmp.is_checksum_valid(header.source, header.destination)
                }
                TransportSlice::Icmpv4(_) | TransportSlice::Igmp(_) => false,
            }
        }
        _ => false,
    }
}

/// Whether a UDP datagram between these addresses has the right length and checksum.
pub(crate) fn udp_is_right((from, to): (IpAddr, IpAddr), datagram: &[u8]) -> bool {
    let Ok((header, payload)) = UdpHeader::from_slice(datagram) else {
        return false;
    };
    let sum = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            header.calc_checksum_ipv4_raw(from.octets(), to.octets(), payload)
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            header.calc_checksum_ipv6_raw(from.octets(), to.octets(), payload)
        }
        _ => return false,
    };
    usize::from(header.length) == datagram.len() && sum == Ok(header.checksum)
}
