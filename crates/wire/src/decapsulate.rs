//! From a record or a datagram to the mirrored Ethernet frame and its mirror source.

use std::net::{IpAddr, Ipv4Addr};

use vxscope_units::{LinkType, MirrorSource, Vni};

use crate::outer::{self, Datagram};
use crate::ports::Ports;
use crate::reject::Reject;
use crate::view::protocol;
use crate::{ether, geneve, link, vxlan};

/// How many further tunnels inside the first may be opened: bounds the work per packet. Overlays
/// nest two or three deep; larger values of [`Options::depth`] count as this one.
pub const DEPTH_MAX: u8 = 4;

/// Which port group a datagram came on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tunnel {
    /// RFC 7348: what AWS Traffic Mirroring sends.
    Vxlan,
    /// RFC 8926: what a Gateway Load Balancer wraps around it.
    Geneve,
}

/// What is a tunnel, and how deep to dig.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// UDP destination ports that carry VXLAN; a port in both sets counts as VXLAN.
    pub vxlan_ports: Ports,
    /// UDP destination ports that carry GENEVE.
    pub geneve_ports: Ports,
    /// How many further VXLAN or GENEVE tunnels inside the first are opened, at most
    /// [`DEPTH_MAX`]. 0: a tunnel inside a mirrored frame is that frame's business.
    pub depth: u8,
}

/// The registered ports (4789, 6081), only the outermost tunnel.
impl Default for Options {
    fn default() -> Self {
        Self {
            vxlan_ports: Ports::one(4789),
            geneve_ports: Ports::one(6081),
            depth: 0,
        }
    }
}

impl Options {
    /// The tunnel expected on a UDP destination port.
    #[must_use]
    #[inline]
    pub fn tunnel(&self, port: u16) -> Option<Tunnel> {
        if self.vxlan_ports.contains(port) {
            Some(Tunnel::Vxlan)
        } else if self.geneve_ports.contains(port) {
            Some(Tunnel::Geneve)
        } else {
            None
        }
    }
}

/// A mirrored frame and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decapsulated<'a> {
    /// Source of the IP header that directly carries the tunnel, and the tunnel's VNI.
    pub source: MirrorSource,
    /// The inner Ethernet frame as captured; at least an Ethernet header.
    pub frame: &'a [u8],
    /// Length of the frame by the headers around it; never less than `frame.len()`.
    pub original_len: u32,
    /// A VXLAN header had reserved bits set: an extension, read as plain VXLAN.
    pub reserved_bits: bool,
    /// The outermost tunnel.
    pub tunnel: Tunnel,
    /// How many further tunnels inside the first were opened.
    pub depth: u8,
}

/// Opens a capture file's record: link layer, IP, UDP, tunnel.
///
/// # Errors
///
/// The one [`Reject`] that says why there is no mirrored frame.
pub fn decapsulate_record<'a>(
    link: LinkType,
    record: &'a [u8],
    options: &Options,
) -> Result<Decapsulated<'a>, Reject> {
    let (ether_type, packet) = link::network(link, record)?;
    open(outer::datagram(ether_type, packet, options)?, options)
}

/// A frame that AWS mirrored, from an IPv4 address: little enough to stay in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain<'a> {
    /// Source of the IP header.
    pub address: Ipv4Addr,
    /// The tunnel's VNI.
    pub vni: Vni,
    /// The whole inner frame; at least an Ethernet header.
    pub frame: &'a [u8],
}

impl<'a> Plain<'a> {
    /// Whose mirror it comes from.
    #[must_use]
    pub fn source(&self) -> MirrorSource {
        MirrorSource {
            address: self.address.into(),
            vni: self.vni,
        }
    }
}

impl<'a> From<Plain<'a>> for Decapsulated<'a> {
    fn from(plain: Plain<'a>) -> Self {
        Self {
            source: plain.source(),
            frame: plain.frame,
            original_len: u32::try_from(plain.frame.len()).unwrap_or(u32::MAX),
            reserved_bits: false,
            tunnel: Tunnel::Vxlan,
            depth: 0,
        }
    }
}

/// Bytes in front of the frame in what [`plain_record`] takes.
pub const PLAIN_HEADERS: usize = 50;

/// The record as AWS mirrors it, whole: Ethernet, IPv4 without options, UDP to a VXLAN port, VXLAN
/// without reserved bits, all lengths in agreement. One look at 50 bytes; what it declines is no
/// error yet, and what it takes is read exactly as [`decapsulate_record`] would.
#[inline(always)]
pub fn plain_record<'a>(link: LinkType, record: &'a [u8], options: &Options) -> Option<Plain<'a>> {
    let (header, frame) = record.split_first_chunk::<PLAIN_HEADERS>()?;
    let word = |high: u8, low: u8| usize::from(u16::from_be_bytes([high, low]));
    let ip_len = word(header[16], header[17]);
    let is_plain = link == LinkType::Ethernet
        && options.depth == 0
        && header[12..15] == [0x08, 0x00, 0x45]
        && word(header[20], header[21]) & 0x3fff == 0
        && header[23] == protocol::UDP
        && ip_len + ether::HEADER_LEN == record.len()
        && word(header[38], header[39]) + 20 == ip_len
        && header[42..46] == [0x08, 0, 0, 0]
        && header[49] == 0
        && frame.len() >= ether::HEADER_LEN
        && options
            .vxlan_ports
            .contains(u16::from_be_bytes([header[36], header[37]]));
    is_plain.then(|| Plain {
        address: Ipv4Addr::new(header[26], header[27], header[28], header[29]),
        vni: Vni::from_bytes([header[46], header[47], header[48]]),
        frame,
    })
}

/// As [`plain_record`], of a UDP payload that came to a port of this group: what it takes is read
/// exactly as [`decapsulate_datagram`] would.
#[inline(always)]
pub fn plain_datagram<'a>(
    tunnel: Tunnel,
    source: IpAddr,
    payload: &'a [u8],
    options: &Options,
) -> Option<Plain<'a>> {
    let (IpAddr::V4(address), Tunnel::Vxlan, 0) = (source, tunnel, options.depth) else {
        return None;
    };
    let (header, frame) = payload.split_first_chunk::<{ vxlan::HEADER_LEN }>()?;
    let is_plain =
        header[0..4] == [0x08, 0, 0, 0] && header[7] == 0 && frame.len() >= ether::HEADER_LEN;
    is_plain.then(|| Plain {
        address,
        vni: Vni::from_bytes([header[4], header[5], header[6]]),
        frame,
    })
}

/// Opens a UDP payload that a socket of this port group received from `source`. An IPv4 address
/// in IPv6 form (a dual-stack socket's) names the same mirror source as the plain one.
///
/// # Errors
///
/// The one [`Reject`] that says why there is no mirrored frame.
#[inline(always)]
pub fn decapsulate_datagram<'a>(
    tunnel: Tunnel,
    source: IpAddr,
    payload: &'a [u8],
    options: &Options,
) -> Result<Decapsulated<'a>, Reject> {
    let source = source.to_canonical();
    open(
        Datagram {
            tunnel,
            source,
            payload,
            claimed_len: payload.len(),
            checksum: 0,
        },
        options,
    )
}

/// The hot path is inlined as one: results of this size are slow to hand from call to call.
#[inline(always)]
fn open<'a>(datagram: Datagram<'a>, options: &Options) -> Result<Decapsulated<'a>, Reject> {
    match (datagram.tunnel, options.depth) {
        (Tunnel::Vxlan, 0) => vxlan_frame(&datagram, Tunnel::Vxlan, 0),
        _ => open_deeper(&datagram, options),
    }
}

#[inline(never)]
fn open_deeper<'a>(datagram: &Datagram<'a>, options: &Options) -> Result<Decapsulated<'a>, Reject> {
    let mut opened = frame(datagram, options, 0)?;
    while opened.depth < options.depth.min(DEPTH_MAX) {
        // What does not open cleanly stays the frame that it is: nothing is lost by looking.
        let Some(deeper) = nested(&opened, options) else {
            break;
        };
        opened = deeper;
    }
    Ok(opened)
}

/// The frame inside a tunnel inside this frame.
fn nested<'a>(outside: &Decapsulated<'a>, options: &Options) -> Option<Decapsulated<'a>> {
    let (ether_type, packet) = link::network(LinkType::Ethernet, outside.frame).ok()?;
    let datagram = outer::datagram(ether_type, packet, options).ok()?;
    let inside = frame(&datagram, options, outside.depth.saturating_add(1)).ok()?;
    Some(Decapsulated {
        reserved_bits: inside.reserved_bits | outside.reserved_bits,
        tunnel: outside.tunnel,
        ..inside
    })
}

/// The Ethernet frame in this datagram, whose tunnel is number `depth` inside the first.
fn frame<'a>(
    datagram: &Datagram<'a>,
    options: &Options,
    depth: u8,
) -> Result<Decapsulated<'a>, Reject> {
    match datagram.tunnel {
        Tunnel::Vxlan => vxlan_frame(datagram, Tunnel::Vxlan, depth),
        Tunnel::Geneve => geneve_frame(*datagram, options, depth),
    }
}

#[inline(always)]
fn vxlan_frame<'a>(
    datagram: &Datagram<'a>,
    outermost: Tunnel,
    depth: u8,
) -> Result<Decapsulated<'a>, Reject> {
    let header = vxlan::parse(datagram.payload)?;
    Ok(Decapsulated {
        original_len: original_len(datagram, vxlan::HEADER_LEN, header.frame)?,
        source: MirrorSource {
            address: datagram.source,
            vni: header.vni,
        },
        frame: header.frame,
        reserved_bits: header.reserved_bits,
        tunnel: outermost,
        depth,
    })
}

/// GENEVE carries the frame itself or, from a Gateway Load Balancer, the IP packet with the VXLAN
/// in it: then both count as one tunnel, and the source is the one inside. GENEVE in such a
/// packet is a further tunnel, and there is no frame to fall back to when no depth is left.
fn geneve_frame<'a>(
    mut datagram: Datagram<'a>,
    options: &Options,
    mut depth: u8,
) -> Result<Decapsulated<'a>, Reject> {
    loop {
        let header = geneve::parse(datagram.payload)?;
        if header.protocol == ether::ETHERNET {
            return Ok(Decapsulated {
                original_len: original_len(&datagram, header.header_len, header.payload)?,
                source: MirrorSource {
                    address: datagram.source,
                    vni: header.vni,
                },
                frame: header.payload,
                reserved_bits: false,
                tunnel: Tunnel::Geneve,
                depth,
            });
        }
        let inside = outer::datagram(header.protocol, header.payload, options);
        datagram = inside.map_err(|reject| match reject {
            Reject::NotMirror => Reject::GeneveProtocol,
            other => other,
        })?;
        match datagram.tunnel {
            Tunnel::Vxlan => return vxlan_frame(&datagram, Tunnel::Geneve, depth),
            Tunnel::Geneve if depth < options.depth.min(DEPTH_MAX) => {
                depth = depth.saturating_add(1);
            }
            Tunnel::Geneve => return Err(Reject::DepthExceeded),
        }
    }
}

/// The frame's length by the headers around it; a frame must have an Ethernet header.
#[inline(always)]
fn original_len(datagram: &Datagram<'_>, header_len: usize, frame: &[u8]) -> Result<u32, Reject> {
    if frame.len() < ether::HEADER_LEN {
        return Err(Reject::InnerTruncated);
    }
    let claimed_len = datagram.claimed_len.saturating_sub(header_len);
    Ok(u32::try_from(claimed_len.max(frame.len())).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::{
        Decapsulated, Options, Tunnel, decapsulate_datagram, decapsulate_record, plain_datagram,
        plain_record,
    };
    use crate::build::{
        ethernet, geneve, ipv4, ipv4_from, ipv6, tcp, tcp_frame, udp, vlan, vxlan, vxlan_record,
    };
    use crate::ports::Ports;
    use crate::reject::Reject;
    use vxscope_units::LinkType;

    const OUTSIDE: [u8; 4] = [192, 0, 2, 1];
    const INSIDE: [u8; 4] = [10, 0, 0, 9];

    /// Every single-bit change and every cut of a plain record: the short way declines it or
    /// reads it as the long way does.
    #[test]
    fn the_short_way_reads_what_the_long_way_reads() {
        let options = Options::default();
        let plain = vxlan_record(OUTSIDE, 7, &tcp_frame(100));
        assert!(plain_record(LinkType::Ethernet, &plain, &options).is_some());
        let check = |record: &[u8]| {
            if let Some(short) = plain_record(LinkType::Ethernet, record, &options) {
                let long = decapsulate_record(LinkType::Ethernet, record, &options);
                assert_eq!(Ok(Decapsulated::from(short)), long, "{record:02x?}");
            }
            let (tunnel, source) = (Tunnel::Vxlan, std::net::Ipv4Addr::from(OUTSIDE).into());
            let payload = record.get(42..).unwrap_or_default();
            if let Some(short) = plain_datagram(tunnel, source, payload, &options) {
                let long = decapsulate_datagram(tunnel, source, payload, &options);
                assert_eq!(Ok(Decapsulated::from(short)), long, "{payload:02x?}");
            }
        };
        for cut in 0..=plain.len() {
            check(&plain[..cut]);
        }
        for bit in 0..plain.len() * 8 {
            let mut changed = plain.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            check(&changed);
        }
        let mut longer = plain.clone();
        longer.extend_from_slice(&[0; 9]);
        check(&longer);
    }

    #[test]
    fn vxlan_yields_the_frame_and_its_source() {
        let frame = tcp_frame(100);
        let record = vxlan_record(OUTSIDE, 5_569_041, &frame);
        let opened = decapsulate_record(LinkType::Ethernet, &record, &Options::default()).unwrap();
        assert_eq!(opened.source.to_string(), "192.0.2.1 vni 5569041");
        assert_eq!(opened.frame, frame);
        assert_eq!(opened.original_len as usize, frame.len());
        assert_eq!(
            (opened.tunnel, opened.depth, opened.reserved_bits),
            (Tunnel::Vxlan, 0, false)
        );
    }

    #[test]
    fn a_sockets_payload_yields_the_same_as_its_record() {
        let record = vxlan_record(OUTSIDE, 77, &tcp_frame(100));
        let of_record = decapsulate_record(LinkType::Ethernet, &record, &Options::default());
        for source in ["192.0.2.1", "::ffff:192.0.2.1"] {
            let source = source.parse().unwrap();
            let payload = &record[14 + 20 + 8..];
            let of_datagram =
                decapsulate_datagram(Tunnel::Vxlan, source, payload, &Options::default());
            assert_eq!(of_datagram, of_record);
        }
    }

    #[test]
    fn a_cut_record_keeps_the_claimed_length() {
        let frame = tcp_frame(1_000);
        let record = vxlan_record(OUTSIDE, 77, &frame);
        for length in 0..=record.len() {
            let opened =
                decapsulate_record(LinkType::Ethernet, &record[..length], &Options::default());
            let expected = match length {
                0..42 => Err(Reject::OuterTruncated),
                42..50 => Err(Reject::VxlanTruncated),
                50..64 => Err(Reject::InnerTruncated),
                _ => Ok((length - 50, frame.len())),
            };
            let got = opened.map(|it| (it.frame.len(), it.original_len as usize));
            assert_eq!(got, expected, "{length}");
        }
    }

    #[test]
    fn geneve_carries_ethernet_with_the_outer_source() {
        let payload = geneve(0, 0x6558, 4242, &[1, 2, 3, 1, 0, 0, 0, 0], &tcp_frame(10));
        check(
            &outside(6081, &payload),
            0,
            Ok(("192.0.2.1 vni 4242", Tunnel::Geneve, 0)),
        );
    }

    #[test]
    fn behind_a_load_balancer_the_source_is_the_one_inside() {
        let inside = udp(1, 4789, &vxlan(77, &tcp_frame(10)));
        let v4 = geneve(0, 0x0800, 1, &[], &ipv4_from(INSIDE, 17, &inside));
        check(
            &outside(6081, &v4),
            0,
            Ok(("10.0.0.9 vni 77", Tunnel::Geneve, 0)),
        );
        let v6 = geneve(0, 0x86dd, 1, &[], &ipv6(17, &inside));
        check(
            &outside(6081, &v6),
            0,
            Ok(("2001:db8::1 vni 77", Tunnel::Geneve, 0)),
        );
    }

    #[test]
    fn geneve_with_anything_else_inside_is_refused() {
        let other_port = ipv4(17, &udp(1, 53, &vxlan(77, &tcp_frame(10))));
        let other_protocol = ipv4(6, &tcp(1, 4789, 0, b""));
        for (ether_type, inside) in [
            (0x0800, other_port),
            (0x0800, other_protocol),
            (0x0806, vec![0; 28]),
        ] {
            let payload = geneve(0, ether_type, 1, &[], &inside);
            check(&outside(6081, &payload), 0, Err(Reject::GeneveProtocol));
        }
        let cut = geneve(0, 0x0800, 1, &[], &ipv4(17, &[])[..10]);
        check(&outside(6081, &cut), 0, Err(Reject::OuterTruncated));
    }

    #[test]
    fn geneve_in_geneve_without_a_frame_needs_depth() {
        let innermost = geneve(0, 0x6558, 3, &[], &tcp_frame(10));
        let middle = geneve(
            0,
            0x0800,
            2,
            &[],
            &ipv4_from(INSIDE, 17, &udp(1, 6081, &innermost)),
        );
        let payload = geneve(0, 0x0800, 1, &[], &ipv4(17, &udp(1, 6081, &middle)));
        check(&outside(6081, &payload), 0, Err(Reject::DepthExceeded));
        check(&outside(6081, &payload), 1, Err(Reject::DepthExceeded));
        check(
            &outside(6081, &payload),
            2,
            Ok(("10.0.0.9 vni 3", Tunnel::Geneve, 2)),
        );
    }

    #[test]
    fn nested_tunnels_are_opened_as_deep_as_asked() {
        let mut frame = tcp_frame(10);
        for (source, vni) in [([4, 4, 4, 4], 4), ([3, 3, 3, 3], 3), ([2, 2, 2, 2], 2)] {
            let datagram = udp(1, 4789, &vxlan(vni, &frame));
            frame = ethernet(0x8100, &vlan(5, 0x0800, &ipv4_from(source, 17, &datagram)));
        }
        let record = vxlan_record(OUTSIDE, 1, &frame);
        check(&record, 0, Ok(("192.0.2.1 vni 1", Tunnel::Vxlan, 0)));
        check(&record, 1, Ok(("2.2.2.2 vni 2", Tunnel::Vxlan, 1)));
        check(&record, 2, Ok(("3.3.3.3 vni 3", Tunnel::Vxlan, 2)));
        check(&record, 4, Ok(("4.4.4.4 vni 4", Tunnel::Vxlan, 3)));
        check(&record, 255, Ok(("4.4.4.4 vni 4", Tunnel::Vxlan, 3)));
    }

    #[test]
    fn a_nested_tunnel_that_does_not_open_stays_a_frame() {
        let no_vni = ethernet(0x0800, &ipv4(17, &udp(1, 4789, &[0; 40])));
        check(
            &vxlan_record(OUTSIDE, 1, &no_vni),
            4,
            Ok(("192.0.2.1 vni 1", Tunnel::Vxlan, 0)),
        );
    }

    #[test]
    fn no_datagram_opens_more_than_the_limit() {
        let mut frame = tcp_frame(10);
        for _ in 0..64 {
            frame = vxlan_record(INSIDE, 9, &frame);
        }
        check(
            &vxlan_record(OUTSIDE, 1, &frame),
            255,
            Ok(("10.0.0.9 vni 9", Tunnel::Vxlan, 4)),
        );
    }

    #[test]
    fn ports_are_what_the_options_say() {
        let options = Options {
            vxlan_ports: Ports::one(8472),
            ..Options::default()
        };
        let record = vxlan_record(OUTSIDE, 1, &tcp_frame(0));
        let got = decapsulate_record(LinkType::Ethernet, &record, &options);
        assert_eq!(got.err(), Some(Reject::NotMirror));
    }

    #[test]
    fn reserved_bits_of_any_opened_header_are_told() {
        let flagged = |at: Option<usize>, depth| {
            let mut record = vxlan_record(OUTSIDE, 1, &vxlan_record(INSIDE, 2, &tcp_frame(0)));
            if let Some(at) = at {
                record[at] |= 0x04;
            }
            let options = Options {
                depth,
                ..Options::default()
            };
            decapsulate_record(LinkType::Ethernet, &record, &options)
                .unwrap()
                .reserved_bits
        };
        let (first, second) = (Some(42), Some(50 + 42));
        assert!(flagged(first, 0) && flagged(first, 1) && flagged(second, 1));
        assert!(!flagged(None, 1) && !flagged(second, 0));
    }

    fn outside(port: u16, payload: &[u8]) -> Vec<u8> {
        ethernet(0x0800, &ipv4_from(OUTSIDE, 17, &udp(40_000, port, payload)))
    }

    fn check(record: &[u8], depth: u8, expected: Result<(&str, Tunnel, u8), Reject>) {
        let options = Options {
            depth,
            ..Options::default()
        };
        let got = decapsulate_record(LinkType::Ethernet, record, &options);
        let got = got.map(|it| (it.source.to_string(), it.tunnel, it.depth));
        assert_eq!(
            got,
            expected.map(|(source, tunnel, depth)| (source.into(), tunnel, depth))
        );
    }
}
