//! What holds for any bytes and for frames of any shape.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of a test: a panic is its failure"
)]

mod against;

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;

use proptest::prelude::*;
use vxscope_units::{LinkType, Vni};
use vxscope_wire::steer::Steering;
use vxscope_wire::{
    Addresses, Class, DEPTH_MAX, Decapsulated, Options, Ports, Tunnel, Tuple, decapsulate_datagram,
    decapsulate_record, ethernet, parse_frame,
};

const LINKS: [LinkType; 12] = [
    LinkType::Null,
    LinkType::Ethernet,
    LinkType::Ppp,
    LinkType::PppHdlc,
    LinkType::CiscoHdlc,
    LinkType::Loop,
    LinkType::RawIp,
    LinkType::LinuxSll,
    LinkType::RawIp4,
    LinkType::RawIp6,
    LinkType::LinuxSll2,
    LinkType::Other(147),
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5_000) })]

    #[test]
    fn any_bytes_are_read_by_every_path_alike(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        hint in any::<u32>(),
    ) {
        against::every_path(&bytes, hint);
    }

    #[test]
    fn frames_of_any_shape_are_read_by_every_path_alike(
        frame in any_frame(),
        cut in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        against::every_path(&frame, 0);
        let mut frame = frame;
        for (at, byte) in flips {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        against::every_path(&frame, 0);
        against::every_path(&frame[..cut.index(frame.len() + 1)], u32::try_from(frame.len()).unwrap());
    }

    #[test]
    fn both_directions_have_swapped_tuples_and_one_worker(
        frame in any_frame().prop_filter("IP", |frame| parse_frame(frame, 0).class == Class::Ip),
        seed in any::<u32>(),
        workers in 1..=64_u16,
        vni in 0..1_u32 << 24,
    ) {
        let there = parse_frame(&frame, 0);
        let reversed = reverse(&frame);
        let back = parse_frame(&reversed, 0);
        if !there.tuple.one_way {
            prop_assert_eq!(back.tuple, swapped(there.tuple));
        }
        let vni = Vni::try_new(vni).unwrap();
        let steering = Steering::new(seed, NonZeroU16::new(workers).unwrap());
        let hash = steering.hash(&there, &frame, vni);
        prop_assert_eq!(steering.hash(&back, &reversed, vni), hash);
        let worker = steering.worker(&there, &frame, vni);
        prop_assert_eq!(steering.worker(&back, &reversed, vni), worker);
        prop_assert_eq!(worker, (hash >> 8) as usize % usize::from(workers));
    }

    #[test]
    fn any_record_is_refused_or_opened_inside_its_bytes(
        record in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), any_mirrored()],
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        link in prop::sample::select(LINKS.as_slice()),
        depth in 0..=5_u8,
    ) {
        let mut record = record;
        for (at, byte) in flips {
            if !record.is_empty() {
                let at = at.index(record.len());
                record[at] = byte;
            }
        }
        let options = Options { depth, ..Options::default() };
        for link in [link, LinkType::Ethernet] {
            if let Ok(opened) = decapsulate_record(link, &record, &options) {
                inside(&record, &opened, depth);
            }
            let mut scratch = Vec::new();
            if let Ok(frame) = ethernet(link, &record, &mut scratch) {
                prop_assert!(frame.len() >= 14 && frame.len() <= record.len() + 14);
            }
        }
        for tunnel in [Tunnel::Vxlan, Tunnel::Geneve] {
            let source = IpAddr::V4(Ipv4Addr::LOCALHOST);
            if let Ok(opened) = decapsulate_datagram(tunnel, source, &record, &options) {
                inside(&record, &opened, depth);
            }
        }
    }

    #[test]
    fn a_wrapped_frame_comes_out_as_it_went_in(
        frame in any_frame(),
        vni in 0..1_u32 << 24,
        port in 1..=u16::MAX,
        geneve in any::<bool>(),
    ) {
        let record = wrap(&frame, vni, port, geneve);
        let options = Options {
            vxlan_ports: if geneve { Ports::NONE } else { Ports::one(port) },
            geneve_ports: if geneve { Ports::one(port) } else { Ports::NONE },
            depth: 0,
        };
        let opened = decapsulate_record(LinkType::Ethernet, &record, &options).unwrap();
        prop_assert_eq!(opened.frame, frame.as_slice());
        prop_assert_eq!(opened.original_len as usize, frame.len());
        prop_assert_eq!(opened.source.vni.get(), vni);
    }
}

fn inside(record: &[u8], opened: &Decapsulated<'_>, depth: u8) {
    let (outer, inner) = (record.as_ptr_range(), opened.frame.as_ptr_range());
    assert!(outer.start <= inner.start && inner.end <= outer.end);
    assert!(opened.frame.len() >= 14);
    assert!(opened.original_len as usize >= opened.frame.len());
    assert!(opened.depth <= depth.min(DEPTH_MAX));
    against::every_path(opened.frame, opened.original_len);
}

fn swapped(tuple: Tuple) -> Tuple {
    let addresses = match tuple.addresses {
        Addresses::V4 {
            source,
            destination,
        } => Addresses::V4 {
            source: destination,
            destination: source,
        },
        Addresses::V6 {
            source,
            destination,
        } => Addresses::V6 {
            source: destination,
            destination: source,
        },
    };
    Tuple {
        addresses,
        source_port: tuple.destination_port,
        destination_port: tuple.source_port,
        ..tuple
    }
}

/// The answer to a frame: addresses and ports swapped, ICMP types answered.
fn reverse(frame: &[u8]) -> Vec<u8> {
    let view = parse_frame(frame, 0);
    let mut frame = frame.to_vec();
    let network = usize::from(view.network_offset);
    let (start, half) = match view.tuple.addresses {
        Addresses::V4 { .. } => (network + 12, 4),
        Addresses::V6 { .. } => (network + 8, 16),
    };
    frame[start..start + 2 * half].rotate_left(half);
    frame[..12].rotate_left(6);
    let transport = usize::from(view.transport_offset);
    match view.tuple.protocol {
        6 | 17 | 132 if transport != 0 => frame[transport..transport + 4].rotate_left(2),
        1 | 58 if transport != 0 && !view.tuple.one_way => {
            frame[transport] = u8::try_from(view.tuple.destination_port).unwrap();
        }
        _ => {}
    }
    frame
}

/// Ethernet, up to nine tags, IPv4 with options or IPv6 with extension headers, any transport.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let tags = prop::collection::vec((0..3_usize, any::<u16>()), 0..10);
    let tags = prop_oneof![4 => Just(Vec::new()), 1 => tags];
    (
        prop::array::uniform12(any::<u8>()),
        tags,
        prop_oneof![any_ipv4(), any_ipv6()],
    )
        .prop_map(|(addresses, tags, (ether_type, packet))| {
            let types: Vec<u16> = tags
                .iter()
                .map(|(kind, _)| [0x8100, 0x88a8, 0x9100][*kind])
                .collect();
            let mut frame = addresses.to_vec();
            for (kind, (_, control)) in types.iter().zip(&tags) {
                frame.extend(kind.to_be_bytes());
                frame.extend(control.to_be_bytes());
            }
            frame.extend(ether_type.to_be_bytes());
            frame.extend(packet);
            frame
        })
}

fn any_segment() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let protocol = prop_oneof![
        3 => Just(6_u8), 3 => Just(17), 1 => Just(132), 1 => Just(1), 1 => Just(58), 1 => any::<u8>(),
    ];
    let bytes = prop::collection::vec(any::<u8>(), 0..60);
    (protocol, bytes, any::<bool>()).prop_map(|(protocol, mut bytes, tidy)| {
        if let (true, Some(data_offset)) = (tidy && protocol == 6, bytes.get_mut(12)) {
            *data_offset = 0x50;
        }
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        if let (true, Some(field)) = (tidy && protocol == 17, bytes.get_mut(4..6)) {
            field.copy_from_slice(&length);
        }
        (protocol, bytes)
    })
}

fn any_ipv4() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let fragment = prop_oneof![3 => Just(0x4000_u16), 1 => any::<u16>()];
    let options = prop_oneof![3 => Just(0_u8), 1 => 0..=10_u8];
    (
        prop::array::uniform20(any::<u8>()),
        options,
        fragment,
        any_segment(),
    )
        .prop_map(|(mut header, options, fragment, (protocol, segment))| {
            let options = usize::from(options);
            let total = u16::try_from(20 + options * 4 + segment.len()).unwrap();
            header[0] = 0x45 + u8::try_from(options).unwrap();
            header[2..4].copy_from_slice(&total.to_be_bytes());
            header[6..8].copy_from_slice(&fragment.to_be_bytes());
            header[9] = protocol;
            (
                0x0800,
                [&header[..], &vec![1; options * 4], &segment].concat(),
            )
        })
}

fn any_ipv6() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let kind = prop::sample::select([0_u8, 43, 44, 51, 60, 135, 139, 140].as_slice());
    let extensions = prop::collection::vec((kind, prop::array::uniform8(any::<u8>())), 0..10);
    let extensions = prop_oneof![1 => Just(Vec::new()), 1 => extensions];
    (
        prop::array::uniform32(any::<u8>()),
        extensions,
        any_segment(),
    )
        .prop_map(|(addresses, extensions, (protocol, segment))| {
            let (next, payload) =
                extensions
                    .iter()
                    .rev()
                    .fold((protocol, segment), |(next, rest), (kind, bytes)| {
                        (*kind, [&extension(*kind, next, *bytes)[..], &rest].concat())
                    });
            let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
            let header = [0x60, 0, 0, 0, length[0], length[1], next, 7];
            (0x86dd, [&header[..], &addresses, &payload].concat())
        })
}

/// A header whose length field tells the truth; what else stands in it is arbitrary.
fn extension(kind: u8, next: u8, bytes: [u8; 8]) -> Vec<u8> {
    let [_, _, high, low, rest @ ..] = bytes;
    match kind {
        51 => [&[next, 4, high, low][..], &rest, &[0; 16]].concat(),
        // Mostly first or atomic fragments, else nothing behind would be read.
        44 => [&[next, 0, 0, low & 9][..], &rest].concat(),
        _ => {
            let words = low & 3;
            [
                &[next, words, high, low][..],
                &rest,
                &vec![0; usize::from(words) * 8],
            ]
            .concat()
        }
    }
}

fn any_mirrored() -> impl Strategy<Value = Vec<u8>> {
    let port = prop::sample::select([4_789_u16, 6_081].as_slice());
    (
        any_frame(),
        any::<u32>(),
        port,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(frame, vni, port, geneve, twice)| {
            let vni = vni & 0xff_ffff;
            let once = wrap(&frame, vni, port, geneve);
            if twice {
                wrap(&once, vni, port, geneve)
            } else {
                once
            }
        })
}

/// Ethernet, IPv4, UDP and a tunnel header around a frame.
fn wrap(frame: &[u8], vni: u32, port: u16, geneve: bool) -> Vec<u8> {
    let length = |headers: usize| u16::try_from(headers + frame.len()).unwrap().to_be_bytes();
    let (ip, udp, [_, v1, v2, v3]) = (length(36), length(16), vni.to_be_bytes());
    let tunnel = if geneve {
        [0, 0, 0x65, 0x58]
    } else {
        [8, 0, 0, 0]
    };
    let mut record = vec![0x02; 12];
    record.extend([
        0x08, 0x00, 0x45, 0, ip[0], ip[1], 0, 0, 0x40, 0, 64, 17, 0, 0,
    ]);
    record.extend([192, 0, 2, 1, 192, 0, 2, 2, 0xff, 0xdc]);
    record.extend(port.to_be_bytes());
    record.extend([udp[0], udp[1], 0, 0]);
    record.extend(tunnel);
    record.extend([v1, v2, v3, 0]);
    record.extend(frame);
    record
}
