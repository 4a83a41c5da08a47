//! What frames say: tables, and every prefix of samples of every shape.

use super::{oracle, parse_frame};
use crate::build::{ethernet, extension, ipv4, ipv4_with, ipv6, tcp, udp, vlan};
use crate::ether::{IPV4, IPV6};
use crate::view::{Addresses, Class, Fragment, FrameView, TcpSegment, flag};

const V4: Addresses = Addresses::V4 {
    source: 0x0a01_0203,
    destination: 0x0a09_0807,
};
const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];

#[test]
fn tcp_over_ipv4_has_every_field() {
    let frame = ethernet(
        IPV4,
        &ipv4(6, &tcp(1_024, 443, flag::SYN | flag::CWR, b"hello")),
    );
    let view = parse_frame(&frame, 0);
    assert_eq!(view.class, Class::Ip);
    assert_eq!(view.tuple.addresses, V4);
    assert_eq!(
        (view.tuple.source_port, view.tuple.destination_port),
        (1_024, 443)
    );
    assert_eq!(
        (view.tuple.protocol, view.tuple.one_way, view.ttl),
        (6, false, 64)
    );
    assert_eq!(
        (view.captured_len, view.original_len, view.ip_len),
        (59, 59, 45)
    );
    assert_eq!((view.payload_len, view.truncated), (5, false));
    assert_eq!((view.network_offset, view.transport_offset), (14, 34));
    let flags = flag::SYN | flag::CWR;
    let tcp = TcpSegment {
        sequence: 1,
        acknowledgement: 2,
        window: 3,
        flags,
    };
    assert_eq!(view.tcp, tcp);
    assert_eq!((view.fragment, view.ether_type), (Fragment::No, IPV4));
}

#[test]
fn udp_over_ipv6_has_its_addresses_and_lengths() {
    let view = parse_frame(&ethernet(IPV6, &ipv6(17, &udp(5_353, 53, b"query"))), 0);
    let mut ends = [[0; 16]; 2];
    for (end, last) in ends.iter_mut().zip([1, 2]) {
        end[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        end[15] = last;
    }
    let [source, destination] = ends;
    assert_eq!(
        view.tuple.addresses,
        Addresses::V6 {
            source,
            destination
        }
    );
    assert_eq!(
        (view.tuple.source_port, view.tuple.destination_port),
        (5_353, 53)
    );
    assert_eq!(
        (view.ip_len, view.payload_len, view.transport_offset),
        (53, 5, 54)
    );
}

#[test]
fn up_to_eight_vlan_tags_are_skipped_and_two_kept() {
    for count in 0..=9_u16 {
        let packet = ipv4(17, &udp(1, 2, b"x"));
        let (ether_type, payload) = (0..count).rev().fold((IPV4, packet), |(next, rest), id| {
            (TAGS[usize::from(id) % 3], vlan(100 + id, next, &rest))
        });
        let view = parse_frame(&ethernet(ether_type, &payload), 0);
        let kept = |id: u16| if id < count { 100 + id } else { 0 };
        assert_eq!(view.vlan, [kept(0), kept(1)], "{count}");
        assert_eq!(u16::from(view.vlan_count), count.min(8));
        if count <= 8 {
            assert_eq!((view.class, view.ether_type), (Class::Ip, IPV4), "{count}");
            assert_eq!(view.network_offset, 14 + 4 * count);
        } else {
            assert_eq!((view.class, view.ether_type), (Class::NonIp, TAGS[8 % 3]));
        }
    }
}

#[test]
fn what_is_not_ip_is_told_by_its_type() {
    let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0, 0x45];
    let cases: [(u16, &[u8]); 6] = [
        (0x0806, &[0; 28]),
        (0x88cc, b"lldp"),
        (0x8847, &[0; 40]),
        (9, &snap),
        (38, &[0x42; 38]),
        (0x88e5, &[0; 40]),
    ];
    for (ether_type, payload) in cases {
        let view = parse_frame(&ethernet(ether_type, payload), 100);
        assert_eq!((view.class, view.ether_type), (Class::NonIp, ether_type));
        assert_eq!(
            (view.ip_len, view.network_offset, view.transport_offset),
            (0, 0, 0)
        );
        assert_eq!((view.original_len, view.truncated), (100, true));
    }
}

#[test]
fn ipv4_options_are_skipped() {
    let payload = [&[1; 40][..], &tcp(7, 8, 0, b"abc")].concat();
    let view = parse_frame(&ethernet(IPV4, &ipv4_with(0x4f, 0, 6, &payload)), 0);
    assert_eq!(
        (view.class, view.transport_offset, view.payload_len),
        (Class::Ip, 74, 3)
    );
    assert_eq!(
        (view.tuple.source_port, view.tuple.destination_port),
        (7, 8)
    );
}

#[test]
fn cut_options_leave_a_protocol_without_ports_whole() {
    let payload = [&[1; 4][..], &[0x16; 8]].concat();
    let frame = ethernet(IPV4, &ipv4_with(0x46, 0, 2, &payload));
    let view = parse_frame(&frame[..36], 0);
    assert_eq!(
        (view.class, view.tuple.protocol, view.transport_offset),
        (Class::Ip, 2, 0)
    );
    assert_eq!((view.payload_len, view.truncated), (8, true));
    let frame = ethernet(IPV4, &ipv4_with(0x46, 0, 17, &payload));
    assert_eq!(parse_frame(&frame[..36], 0).class, Class::Truncated);
}

#[test]
fn ipv6_extension_headers_are_skipped_in_any_order() {
    for kind in [0, 43, 60, 135, 139, 140] {
        let view = v6(kind, &extension(6, 16, &tcp(7, 8, 0, b"abc")));
        assert_eq!((view.class, view.tuple.protocol), (Class::Ip, 6), "{kind}");
        assert_eq!((view.tuple.destination_port, view.payload_len), (8, 3));
        assert_eq!(
            (view.ip_len, view.transport_offset),
            (40 + 16 + 23, 14 + 40 + 16)
        );
        let twice = extension(0, 8, &extension(6, 8, &tcp(7, 8, 0, b"abc")));
        assert_eq!(
            v6(kind, &twice).tuple.destination_port,
            8,
            "hop-by-hop need not be first"
        );
    }
    // AH counts its length in four bytes less two.
    let authentication = [&[17, 4][..], &[0; 22], &udp(7, 8, b"abc")].concat();
    let view = v6(51, &authentication);
    assert_eq!(
        (view.tuple.protocol, view.payload_len, view.transport_offset),
        (17, 3, 78)
    );
}

#[test]
fn eight_extension_headers_are_read_and_a_ninth_is_malformed() {
    let chain = |count: usize| {
        (0..count)
            .fold((17, udp(1, 2, b"")), |(next, rest), _| {
                (60, extension(next, 8, &rest))
            })
            .1
    };
    assert_eq!(v6(60, &chain(8)).class, Class::Ip);
    assert_eq!(v6(60, &chain(8)).tuple.destination_port, 2);
    assert_eq!(v6(60, &chain(9)).class, Class::Malformed);
}

#[test]
fn protocols_without_ports_end_the_walk() {
    for protocol in [2, 41, 47, 50, 59, 89, 112, 255] {
        for view in [v4(protocol, &[0x7f; 12]), v6(protocol, &[0x7f; 12])] {
            assert_eq!((view.class, view.tuple.protocol), (Class::Ip, protocol));
            assert_eq!(
                (view.tuple.source_port, view.tuple.destination_port),
                (0, 0)
            );
            assert_eq!((view.payload_len, view.tuple.one_way), (12, false));
        }
    }
    assert_eq!(
        v4(51, &[6, 4, 0, 0]).tuple.protocol,
        51,
        "AH is skipped in IPv6 only"
    );
}

#[test]
fn sctp_has_ports() {
    let view = v4(
        132,
        &[0, 80, 0x0f, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 16],
    );
    assert_eq!(
        (view.tuple.source_port, view.tuple.destination_port),
        (80, 4_000)
    );
    assert_eq!(view.payload_len, 4);
}

#[test]
fn icmp_types_become_ports() {
    let message = |icmp_type, icmp_code| [icmp_type, icmp_code, 0, 0, 0, 0, 0, 0, 1, 2];
    let ports = |view: FrameView| {
        assert_eq!((view.class, view.payload_len), (Class::Ip, 2));
        (
            view.tuple.source_port,
            view.tuple.destination_port,
            view.tuple.one_way,
        )
    };
    assert_eq!(ports(v4(1, &message(8, 0))), (8, 0, false));
    assert_eq!(ports(v4(1, &message(0, 0))), (0, 8, false));
    assert_eq!(ports(v4(1, &message(3, 1))), (3, 1, true));
    assert_eq!(ports(v6(58, &message(135, 0))), (135, 136, false));
    assert_eq!(ports(v6(58, &message(2, 0))), (2, 0, true));
    let view = v4(1, &message(3, 13));
    assert_eq!((view.icmp_type, view.icmp_code), (3, 13));
}

#[test]
fn ipv4_fragments_are_first_or_later() {
    let fragment = |bits| {
        let packet = ipv4_with(0x45, bits, 17, &udp(7, 8, &[0; 16]));
        let view = parse_frame(&ethernet(IPV4, &packet), 0);
        assert_eq!(view.class, Class::Ip);
        (
            view.fragment,
            view.tuple.destination_port,
            view.payload_len,
            view.transport_offset,
        )
    };
    assert_eq!(fragment(0x4000), (Fragment::No, 8, 16, 34));
    assert_eq!(
        fragment(0x2000),
        (Fragment::First { id: 0xabcd }, 8, 16, 34)
    );
    assert_eq!(fragment(0x2001), (Fragment::Later { id: 0xabcd }, 0, 24, 0));
    assert_eq!(fragment(0x1fff), (Fragment::Later { id: 0xabcd }, 0, 24, 0));
}

#[test]
fn ipv6_fragments_are_first_later_or_atomic() {
    let fragment = |next, low, rest: &[u8]| {
        let mut payload = extension(next, 8, rest);
        payload[3] = low;
        payload[4..8].copy_from_slice(&0xdead_beef_u32.to_be_bytes());
        let view = v6(44, &payload);
        assert_eq!(view.class, Class::Ip);
        (
            view.fragment,
            view.tuple.protocol,
            view.tuple.destination_port,
        )
    };
    let whole = udp(7, 8, &[0; 16]);
    assert_eq!(fragment(17, 0, &whole), (Fragment::No, 17, 8));
    assert_eq!(
        fragment(17, 1, &whole),
        (Fragment::First { id: 0xdead_beef }, 17, 8)
    );
    assert_eq!(
        fragment(17, 9, &whole),
        (Fragment::Later { id: 0xdead_beef }, 17, 0)
    );
    assert_eq!(
        fragment(17, 8, &whole),
        (Fragment::Later { id: 0xdead_beef }, 17, 0)
    );
    let behind = extension(17, 8, &whole);
    assert_eq!(
        fragment(60, 1, &behind),
        (Fragment::First { id: 0xdead_beef }, 17, 8)
    );
    assert_eq!(
        fragment(60, 8, &behind),
        (Fragment::Later { id: 0xdead_beef }, 60, 0)
    );
}

#[test]
fn headers_that_contradict_themselves_are_malformed() {
    let good = ethernet(IPV4, &ipv4(6, &tcp(1, 2, 0, b"abc")));
    // Version, header length twice, total length below the header's, room for no ports.
    for (at, byte) in [
        (14, 0x65),
        (14, 0x44),
        (14, 0x40),
        (17, 19),
        (17, 23),
        (17, 20),
    ] {
        let mut bad = good.clone();
        bad[at] = byte;
        assert_eq!(
            parse_frame(&bad, 0).class,
            Class::Malformed,
            "{at} {byte:#x}"
        );
    }
    let mut bad = ethernet(IPV6, &ipv6(6, &tcp(1, 2, 0, b"abc")));
    bad[14] = 0x45;
    assert_eq!(parse_frame(&bad, 0).class, Class::Malformed);
    assert_eq!(v6(17, &[0; 3]).class, Class::Malformed);
    assert_eq!(v4(1, &[8]).class, Class::Malformed);
    assert_eq!(
        v6(60, &[17, 1, 0, 0, 0, 0, 0, 0, 0]).class,
        Class::Malformed
    );
    assert_eq!(v6(44, &[17, 0, 0, 0]).class, Class::Malformed);
    assert_eq!(
        v6(51, &[17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).class,
        Class::Malformed
    );
}

#[test]
fn a_malformed_total_length_is_not_counted() {
    let mut frame = ethernet(IPV4, &ipv4(6, &tcp(1, 2, 0, b"abc")));
    frame[17] = 19;
    let view = parse_frame(&frame, 70);
    assert_eq!((view.ip_len, view.original_len), (0, 70));
}

#[test]
fn a_length_of_zero_means_the_rest_of_the_frame() {
    let mut frame = ethernet(IPV4, &ipv4(6, &tcp(1, 2, 0, &[0; 100])));
    frame[16..18].fill(0);
    let view = parse_frame(&frame, 0);
    assert_eq!(
        (view.class, view.ip_len, view.payload_len),
        (Class::Ip, 140, 100)
    );
    assert_eq!((view.original_len, view.truncated), (154, false));
    let view = parse_frame(&frame[..60], 154);
    assert_eq!(
        (view.class, view.ip_len, view.payload_len),
        (Class::Ip, 140, 100)
    );
    assert_eq!((view.original_len, view.truncated), (154, true));
    assert_eq!(parse_frame(&frame[..35], 0).class, Class::Truncated);

    let mut frame = ethernet(IPV6, &ipv6(17, &udp(1, 2, &[0; 100])));
    frame[18..20].fill(0);
    assert_eq!(parse_frame(&frame, 0).ip_len, 148);
}

#[test]
fn the_ip_header_outranks_the_hint() {
    let frame = ethernet(IPV4, &ipv4(6, &tcp(1, 2, 0, &[0; 100])));
    assert_eq!(parse_frame(&frame, 9_000).original_len, 154);
    assert_eq!(parse_frame(&frame[..64], 64).original_len, 154);
    assert!(parse_frame(&frame[..64], 64).truncated);
}

#[test]
fn padding_belongs_to_no_layer() {
    let frame = [
        ethernet(IPV4, &ipv4(6, &tcp(1, 2, flag::ACK, b""))),
        vec![0xff; 6],
    ]
    .concat();
    let view = parse_frame(&frame, 0);
    assert_eq!(
        (view.captured_len, view.original_len, view.ip_len),
        (60, 60, 40)
    );
    assert_eq!((view.payload_len, view.truncated), (0, false));
    let short = [ethernet(IPV4, &ipv4(6, &[0, 1, 0, 2])), vec![0xff; 30]].concat();
    let view = parse_frame(&short, 0);
    assert_eq!((view.class, view.tuple.destination_port), (Class::Ip, 2));
    assert_eq!((view.tcp, view.payload_len), (TcpSegment::default(), 0));
}

#[test]
fn tcp_fields_need_fourteen_bytes_and_the_window_sixteen() {
    let frame = ethernet(IPV4, &ipv4(6, &tcp(1, 2, flag::ACK, &[0; 100])));
    for length in 38..=54 {
        let view = parse_frame(&frame[..length], 0);
        let expected = match length {
            ..48 => (0, 0, 0, 0, 0),
            48..50 => (1, 2, 0, flag::ACK, 100),
            _ => (1, 2, 3, flag::ACK, 100),
        };
        let TcpSegment {
            sequence,
            acknowledgement,
            window,
            flags,
        } = view.tcp;
        assert_eq!(
            (sequence, acknowledgement, window, flags, view.payload_len),
            expected
        );
        assert_eq!(view.class, Class::Ip);
    }
}

#[test]
fn payload_lengths_follow_both_headers() {
    let segment = |data_offset: u8| {
        let mut segment = tcp(1, 2, 0, &[0; 40]);
        segment[12] = data_offset << 4;
        v4(6, &segment).payload_len
    };
    assert_eq!([0, 4, 5, 6, 15].map(segment), [0, 0, 40, 36, 0]);
    let beyond = {
        let mut segment = tcp(1, 2, 0, &[0; 4]);
        segment[12] = 0xf0;
        v4(6, &segment).payload_len
    };
    assert_eq!(beyond, 0);
    let datagram = |length: u16| {
        let mut datagram = udp(1, 2, &[0; 40]);
        datagram[4..6].copy_from_slice(&length.to_be_bytes());
        v4(17, &datagram).payload_len
    };
    assert_eq!(
        [0, 7, 8, 18, 48, 49, 65_535].map(datagram),
        [40, 0, 0, 10, 40, 40, 40]
    );
}

#[test]
fn every_prefix_is_read_as_far_as_it_goes() {
    for frame in samples() {
        let whole = parse_frame(&frame, 0);
        assert!(!whole.truncated);
        let mut last = parse_frame(&[], 0);
        for length in 0..=frame.len() {
            let view = parse_frame(&frame[..length], 0);
            assert_eq!(view.captured_len as usize, length);
            assert!(view.original_len >= last.original_len && view.ip_len >= last.ip_len);
            assert!(usize::from(view.network_offset) <= length || view.class != Class::Ip);
            assert!(usize::from(view.transport_offset) <= length);
            assert!(last.class == Class::Truncated || last.class == view.class);
            if view.class == Class::Ip {
                assert_eq!(view.tuple, whole.tuple);
                assert_eq!(
                    view.truncated,
                    view.ip_len as usize + usize::from(view.network_offset) > length
                );
            }
            if let Some(fast) = oracle::fast(&frame[..length]) {
                assert_eq!(fast, oracle::slow(&frame[..length], 0));
            }
            last = view;
        }
    }
}

/// One frame of every shape.
fn samples() -> Vec<Vec<u8>> {
    let mut packets = vec![(0x0806, vec![0; 28])];
    let segments = [
        (6, tcp(1, 2, 0x12, &[1; 20])),
        (17, udp(1, 2, &[1; 20])),
        (132, [&[0, 1, 0, 2][..], &[0; 20]].concat()),
        (1, vec![8; 20]),
        (58, vec![128; 20]),
        (47, vec![3; 20]),
    ];
    for (protocol, segment) in segments {
        packets.push((IPV4, ipv4(protocol, &segment)));
        packets.push((IPV4, ipv4_with(0x45, 0x2000, protocol, &segment)));
        packets.push((IPV4, ipv4_with(0x45, 0x0010, protocol, &segment)));
        packets.push((
            IPV4,
            ipv4_with(0x47, 0, protocol, &[&[1; 8][..], &segment].concat()),
        ));
        packets.push((IPV6, ipv6(protocol, &segment)));
        packets.push((
            IPV6,
            ipv6(0, &extension(44, 16, &extension(protocol, 8, &segment))),
        ));
        packets.push((
            IPV6,
            ipv6(60, &extension(60, 8, &extension(protocol, 24, &segment))),
        ));
    }
    let tagged = |(ether_type, packet): &(u16, Vec<u8>), tags: usize| {
        let (ether_type, payload) = (0..tags)
            .fold((*ether_type, packet.clone()), |(next, rest), id| {
                (TAGS[id % 3], vlan(9, next, &rest))
            });
        ethernet(ether_type, &payload)
    };
    packets
        .iter()
        .flat_map(|packet| [0, 1, 2, 5].map(|tags| tagged(packet, tags)))
        .collect()
}

fn v4(protocol: u8, payload: &[u8]) -> FrameView {
    parse_frame(&ethernet(IPV4, &ipv4(protocol, payload)), 0)
}

fn v6(next: u8, payload: &[u8]) -> FrameView {
    parse_frame(&ethernet(IPV6, &ipv6(next, payload)), 0)
}
