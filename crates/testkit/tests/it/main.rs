//! Another parser reads what the builders write, and finds every checksum right.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use vxscope_testkit::{Frame, Geneve, Pcap, Vxlan, tcp};
use vxscope_units::{LinkType, Timestamp};

#[test]
fn lengths_and_checksums_are_right_in_both_families() {
    for payload in [&b""[..], b"x", b"some bytes", &[0xff; 1_400]] {
        for (a, b) in [
            ("10.0.0.1:1000", "10.0.0.2:80"),
            ("[fd00::1]:1000", "[fd00::2]:80"),
        ] {
            let segment = Frame::tcp(a, b).flags(tcp::SYN | tcp::ACK).seq(7).ack(9);
            check(&segment.clone().payload(payload).bytes());
            check(
                &segment
                    .options(&[2, 4, 5, 0xb4, 1])
                    .payload(payload)
                    .trailer(6)
                    .bytes(),
            );
            check(&Frame::udp(a, b).payload(payload).bytes());
        }
        for (a, b, kind) in [("10.0.0.1", "10.0.0.2", 8), ("fd00::1", "fd00::2", 128)] {
            check(
                &Frame::icmp(a, b, kind, 0, [0, 1, 0, 2])
                    .payload(payload)
                    .bytes(),
            );
        }
    }
}

#[test]
fn fields_are_where_they_belong() {
    let bytes = Frame::tcp("10.0.0.1:1000", "10.0.0.2:80")
        .macs([1; 6], [2; 6])
        .service_vlan(5)
        .vlan(6)
        .ttl(3)
        .id(9)
        .flags(tcp::FIN)
        .window(8)
        .bytes();
    let packet = SlicedPacket::from_ethernet(&bytes).unwrap();
    let tags: Vec<u16> = packet.vlan_ids().iter().map(|id| id.value()).collect();
    assert_eq!(tags, [5, 6]);
    assert_eq!(
        bytes[..14],
        [2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 0x88, 0xa8]
    );
    let Some(NetSlice::Ipv4(ip)) = &packet.net else {
        panic!("{packet:?}")
    };
    assert_eq!((ip.header().ttl(), ip.header().identification()), (3, 9));
    let Some(TransportSlice::Tcp(header)) = &packet.transport else {
        panic!("{packet:?}")
    };
    assert!(header.fin() && !header.ack());
    assert_eq!(
        (
            header.window_size(),
            header.source_port(),
            header.destination_port()
        ),
        (8, 1000, 80)
    );
}

#[test]
fn fragments_join_to_the_whole() {
    let datagram: Vec<u8> = (0..100).collect();
    for (frame, header) in [
        (Frame::udp("10.0.0.1:5", "10.0.0.2:6"), 34),
        (Frame::udp("[fd00::1]:5", "[fd00::2]:6"), 54 + 8),
    ] {
        let frame = frame.id(77).payload(&datagram);
        let fragments = frame.fragments(40);
        assert_eq!(fragments.len(), 3);
        let joined: Vec<u8> = fragments
            .iter()
            .flat_map(|bytes| bytes[header..].to_vec())
            .collect();
        assert_eq!(joined[8..], datagram);
        let ip_header = if header == 34 { 34 } else { 54 };
        assert_eq!(joined, frame.bytes()[ip_header..]);
        for bytes in &fragments {
            let packet = SlicedPacket::from_ethernet(bytes).unwrap();
            assert!(packet.is_ip_payload_fragmented());
        }
    }
}

#[test]
fn tunnels_carry_the_frame_unchanged() {
    let frame = Frame::sctp("10.0.0.1:5", "10.0.0.2:6")
        .payload(b"abc")
        .bytes();
    for source in ["10.9.9.9", "fd00::9"] {
        let outer = Vxlan::new(source, 0x12_34_56).source_port(7).wrap(&frame);
        let inner = udp_payload(&outer, (7, 4789));
        assert_eq!(inner[..8], [8, 0, 0, 0, 0x12, 0x34, 0x56, 0]);
        assert_eq!(inner[8..], frame);
    }
    let vxlan = Vxlan::new("10.9.9.9", 3).ip_packet(&frame);
    let outer = Geneve::gwlb("10.8.8.8").wrap(&vxlan);
    let inner = udp_payload(&outer, (65_000, 6081));
    assert_eq!(inner[..8], [8, 0, 8, 0, 0, 0, 0, 0]);
    assert_eq!(inner[8..14], [1, 8, 1, 2, 0x11, 0x11]);
    assert_eq!(inner[40..], vxlan);
    let outer = Geneve::new("10.8.8.8", 5)
        .flags(0x40)
        .option(1, 0x80, &[])
        .wrap(&frame);
    assert_eq!(
        udp_payload(&outer, (65_000, 6081))[..8],
        [1, 0x40, 0x65, 0x58, 0, 0, 5, 0]
    );
}

#[test]
fn a_capture_is_a_header_and_records() {
    let bytes = Pcap::new(LinkType::RawIp)
        .record(Timestamp::new(1, 2), b"ab")
        .cut_record(Timestamp::new(3, 4), b"c", 9)
        .bytes();
    let words: Vec<u32> = bytes[..40]
        .chunks(4)
        .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
        .collect();
    assert_eq!(
        words,
        [0xa1b2_3c4d, 0x0004_0002, 0, 0, 262_144, 101, 1, 2, 2, 2]
    );
    assert_eq!(
        bytes[40..],
        [
            b'a', b'b', 3, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, b'c'
        ]
    );
}

/// The frame's IP and transport lengths are consistent and its checksums right.
fn check(bytes: &[u8]) {
    let packet = SlicedPacket::from_ethernet(bytes).expect("a frame another parser reads");
    let right = match (
        packet.net.expect("IP"),
        packet.transport.expect("a transport"),
    ) {
        (NetSlice::Ipv4(ip), transport) => {
            let header = ip.header().to_header();
            assert_eq!(header.calc_header_checksum(), header.header_checksum);
            match transport {
                TransportSlice::Tcp(t) => {
                    t.calc_checksum_ipv4(header.source, header.destination) == Ok(t.checksum())
                }
                TransportSlice::Udp(u) => {
                    u.to_header().calc_checksum_ipv4(&header, u.payload()) == Ok(u.checksum())
                }
                TransportSlice::Icmpv4(i) => {
                    i.icmp_type().calc_checksum(i.payload()) == i.checksum()
                }
                TransportSlice::Icmpv6(_) | TransportSlice::Igmp(_) => false,
            }
        }
        (NetSlice::Ipv6(ip), transport) => {
            let header = ip.header().to_header();
            match transport {
                TransportSlice::Tcp(t) => {
                    t.calc_checksum_ipv6(header.source, header.destination) == Ok(t.checksum())
                }
                TransportSlice::Udp(u) => {
                    u.to_header().calc_checksum_ipv6(&header, u.payload()) == Ok(u.checksum())
                }
                TransportSlice::Icmpv6(i) => i.is_checksum_valid(header.source, header.destination),
                TransportSlice::Icmpv4(_) | TransportSlice::Igmp(_) => false,
            }
        }
        (NetSlice::Arp(_), _) => false,
    };
    assert!(right, "{bytes:02x?}");
}

fn udp_payload(bytes: &[u8], ports: (u16, u16)) -> &[u8] {
    let packet = SlicedPacket::from_ethernet(bytes).expect("a frame another parser reads");
    let Some(TransportSlice::Udp(udp)) = packet.transport else {
        unreachable!("{packet:?}")
    };
    assert_eq!(
        (udp.source_port(), udp.destination_port(), udp.checksum()),
        (ports.0, ports.1, 0)
    );
    udp.payload()
}
