//! Holds a frame view against the other readers of the same bytes.

use etherparse::{LaxLinkExtSlice, LaxNetSlice, LaxSlicedPacket, TransportSlice};
use vxscope_wire::{Addresses, Class, Fragment, FrameView, flag, oracle, parse_frame};

/// Reads the frame by every path: they agree, and nothing points outside.
pub(crate) fn every_path(frame: &[u8], original_hint: u32) -> FrameView {
    let view = parse_frame(frame, original_hint);
    let slow = oracle::slow(frame, original_hint);
    assert_eq!(view, slow, "{frame:02x?}");
    assert_eq!(oracle::fast(frame).unwrap_or(slow), slow, "{frame:02x?}");
    assert_eq!(view.captured_len as usize, frame.len());
    assert!(view.original_len >= view.captured_len);
    assert_eq!(view.truncated, view.original_len > view.captured_len);
    assert!(usize::from(view.network_offset) <= frame.len());
    assert!(usize::from(view.transport_offset) <= frame.len());
    assert!(view.payload_len <= view.ip_len);
    etherparse_walk(frame, &view);
    view
}

/// etherparse's own walk over the packet, where it goes as far as ours.
fn etherparse_walk(frame: &[u8], view: &FrameView) {
    let Ok(packet) = LaxSlicedPacket::from_ethernet(frame) else {
        assert_eq!(view.class, Class::Truncated);
        return;
    };
    let tags = packet.link_exts.iter().map_while(|header| match header {
        LaxLinkExtSlice::Vlan(tag) => Some(tag.vlan_identifier().value()),
        LaxLinkExtSlice::Macsec(_) => None,
    });
    for (ours, theirs) in view.vlan.iter().zip(tags) {
        assert_eq!(*ours, theirs);
    }
    if view.class != Class::Ip || view.vlan_count > 3 {
        return;
    }
    let Some(net) = packet.net else {
        // The one case that we read and etherparse does not: IPv4 options that are cut.
        let network = usize::from(view.network_offset);
        let header_len = usize::from(frame[network] & 0x0f) * 4;
        assert!(frame.len() < network + header_len, "{frame:02x?}");
        return;
    };
    match net {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            let source = u32::from_be_bytes(header.source());
            let destination = u32::from_be_bytes(header.destination());
            assert_eq!(
                view.tuple.addresses,
                Addresses::V4 {
                    source,
                    destination
                }
            );
            assert_eq!(view.ttl, header.ttl());
            assert_eq!(view.tuple.protocol, header.protocol().0);
            assert_eq!(view.fragment != Fragment::No, ip.is_payload_fragmented());
            if header.protocol().0 == 51 {
                return;
            }
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            let (source, destination) = (header.source(), header.destination());
            assert_eq!(
                view.tuple.addresses,
                Addresses::V6 {
                    source,
                    destination
                }
            );
            assert_eq!(view.ttl, header.hop_limit());
            let next = ip.payload().ip_number.0;
            if matches!(view.fragment, Fragment::Later { .. })
                || matches!(next, 0 | 135 | 139 | 140)
            {
                return;
            }
            assert_eq!(view.tuple.protocol, next, "{frame:02x?}");
        }
        LaxNetSlice::Arp(_) => unreachable!("ARP taken for IP"),
    }
    if let Some(transport) = packet.transport {
        transport_fields(&transport, view);
    }
}

fn transport_fields(transport: &TransportSlice<'_>, view: &FrameView) {
    let ports = (view.tuple.source_port, view.tuple.destination_port);
    match transport {
        TransportSlice::Tcp(tcp) => {
            assert_eq!(ports, (tcp.source_port(), tcp.destination_port()));
            assert_eq!(view.tcp.sequence, tcp.sequence_number());
            assert_eq!(view.tcp.acknowledgement, tcp.acknowledgment_number());
            assert_eq!(view.tcp.window, tcp.window_size());
            let bits = [
                (flag::FIN, tcp.fin()),
                (flag::SYN, tcp.syn()),
                (flag::RST, tcp.rst()),
                (flag::PSH, tcp.psh()),
                (flag::ACK, tcp.ack()),
                (flag::URG, tcp.urg()),
                (flag::ECE, tcp.ece()),
                (flag::CWR, tcp.cwr()),
            ];
            for (bit, theirs) in bits {
                assert_eq!(view.tcp.flags & bit != 0, theirs);
            }
            if !view.truncated {
                assert_eq!(view.payload_len as usize, tcp.payload().len());
            }
        }
        TransportSlice::Udp(udp) => {
            assert_eq!(ports, (udp.source_port(), udp.destination_port()));
            // A length below the header's own counts as no payload here, as unknown there.
            if !view.truncated && !(1..8).contains(&udp.length()) {
                assert_eq!(view.payload_len as usize, udp.payload().len());
            }
        }
        TransportSlice::Icmpv4(icmp) => {
            assert_eq!(
                (view.icmp_type, view.icmp_code),
                (icmp.type_u8(), icmp.code_u8())
            );
        }
        TransportSlice::Icmpv6(icmp) => {
            assert_eq!(
                (view.icmp_type, view.icmp_code),
                (icmp.type_u8(), icmp.code_u8())
            );
        }
        TransportSlice::Igmp(_) => assert_eq!(ports, (0, 0)),
    }
}
