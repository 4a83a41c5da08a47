//! Another parser walks what the generator makes: headers, checksums, sequence numbers, truth.

mod faults;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use etherparse::{NetSlice, TransportSlice};
use proptest::prelude::*;
use vxscope_sim::traffic::{Generator, Packet, Scenario, Size, Spec, SpecError, Truth};
use vxscope_units::Timestamp;
use walk::{Inner, Outer, checksums_are_right};

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for scenario in Scenario::ALL {
        let spec = Spec {
            scenario: *scenario,
            packets: 2_000,
            ..Spec::default()
        };
        let (first, second) = (bytes(spec.clone()), bytes(spec.clone()));
        assert_eq!(first, second);
        assert_ne!(first, bytes(Spec { seed: 1, ..spec }));
    }
}

#[test]
fn traffic_is_the_same_in_every_version() {
    // A checksum of a whole stream: whoever changes it changes everybody's expected numbers.
    let sum = bytes(Spec {
        packets: 3_000,
        ..Spec::default()
    })
    .iter()
    .fold(0_u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(*byte))
    });
    assert_eq!(sum, 12_443_974_201_594_955_137);
}

#[test]
fn the_truth_is_what_another_parser_counts() {
    for scenario in Scenario::ALL.iter().copied() {
        for (gwlb, one_vni) in [(false, false), (true, false), (false, true)] {
            let spec = Spec {
                scenario,
                gwlb,
                one_vni,
                sources: 7,
                ipv6_share: 0.3,
                ..Spec::default()
            };
            check_truth(spec);
        }
    }
}

#[test]
fn outer_headers_are_those_of_aws() {
    for gwlb in [false, true] {
        let mut ports = BTreeMap::new();
        walk(
            Spec {
                gwlb,
                ..Spec::default()
            },
            |_, bytes| {
                let outer = Outer::of(bytes).unwrap();
                let ip = outer.ip.header();
                assert_eq!(
                    (ip.ttl(), ip.identification(), ip.dont_fragment()),
                    (255, 0, false)
                );
                assert_eq!(ip.to_header().calc_header_checksum(), ip.header_checksum());
                assert_eq!((outer.udp.checksum(), outer.flags), (0, [8, 0, 0, 0]));
                let inner = Inner::of(outer.frame).unwrap();
                let port = outer.udp.source_port();
                let flow = (ip.source_addr(), inner.tuple());
                assert_eq!(
                    *ports.entry(flow).or_insert(port),
                    port,
                    "one port for both directions"
                );
            },
        );
        assert!(ports.values().collect::<BTreeSet<_>>().len() > 60);
    }
}

#[test]
fn inner_frames_have_right_lengths_and_checksums() {
    for (scenario, size) in [
        (Scenario::Mixed, Size::Imix),
        (Scenario::Mixed, Size::Bytes(1_400)),
        (Scenario::Mixed, Size::Bytes(101)),
        (Scenario::Overlap, Size::Bytes(64)),
        (Scenario::Scan, Size::Imix),
        (Scenario::Elephant, Size::Bytes(8_900)),
        (Scenario::EastWest, Size::Imix),
    ] {
        let spec = Spec {
            scenario,
            size,
            ipv6_share: 0.4,
            ..Spec::default()
        };
        let mut families = BTreeSet::new();
        walk(spec, |packet, bytes| {
            let frame = Outer::of(bytes).unwrap().frame;
            assert_eq!(frame.len(), packet.inner_length);
            let inner = Inner::of(frame).unwrap();
            families.insert((inner.protocol(), inner.is_ipv4()));
            assert!(checksums_are_right(&inner), "{inner:?}");
        });
        assert!(families.len() >= 4, "{families:?}");
    }
}

#[test]
fn sizes_are_what_was_asked_for() {
    let mut sizes = BTreeMap::<usize, u32>::new();
    let spec = Spec {
        packets: 100_000,
        flows: 500,
        ipv6_share: 0.0,
        ..Spec::default()
    };
    walk(spec.clone(), |packet, _| {
        *sizes.entry(packet.inner_length).or_default() += 1
    });
    let count = |size| f64::from(sizes[&size]);
    assert!(
        (1.65..1.85).contains(&(count(64) / count(576))),
        "{sizes:?}"
    );
    assert!(
        (3.8..4.2).contains(&(count(576) / count(1_400))),
        "{sizes:?}"
    );
    for size in [64, 300, 1_400] {
        let mut other = BTreeSet::new();
        walk(
            Spec {
                size: Size::Bytes(size),
                ..spec.clone()
            },
            |packet, _| {
                if packet.inner_length != usize::from(size) {
                    other.insert(packet.inner_length);
                }
            },
        );
        // Only handshakes, and what closes a connection.
        assert_eq!(other.into_iter().collect::<Vec<_>>(), [54, 62]);
    }
}

#[test]
fn tcp_conversations_are_complete_and_in_sequence() {
    let mut flows = BTreeMap::<_, Vec<_>>::new();
    walk(Spec::default(), |_, bytes| {
        let outer = Outer::of(bytes).unwrap();
        let inner = Inner::of(outer.frame).unwrap();
        let key = (outer.ip.header().source_addr(), inner.tuple());
        if let Some(segment) = inner.segment() {
            flows.entry(key).or_default().push(segment);
        }
    });
    assert!(flows.len() > 60);
    for segments in flows.values() {
        assert!(segments[0].syn && !segments[0].ack_set && segments[1].syn && segments[1].ack_set);
        assert_eq!(segments.iter().filter(|segment| segment.fin).count(), 2);
        let mut next = BTreeMap::new();
        for segment in segments {
            let seq = *next.entry(segment.source_port).or_insert(segment.seq);
            assert_eq!(segment.seq, seq);
            let length = segment.length + u32::from(segment.syn) + u32::from(segment.fin);
            next.insert(segment.source_port, seq.wrapping_add(length));
            if let Some(expected) = next.get(&segment.target_port).filter(|_| segment.ack_set) {
                assert_eq!(segment.ack, *expected);
            }
        }
        assert_eq!(next.len(), 2);
    }
}

#[test]
fn a_session_that_truncates_leaves_no_transport_checksum() {
    for (spec, longest) in [
        (
            Spec {
                packet_length: Some(128),
                ..Spec::default()
            },
            128,
        ),
        (
            Spec {
                packet_length: Some(1),
                ..Spec::default()
            },
            1,
        ),
        (
            Spec {
                size: Size::Bytes(9_015),
                ..Spec::default()
            },
            9_001 - 36,
        ),
        (
            Spec {
                size: Size::Bytes(9_015),
                gwlb: true,
                ..Spec::default()
            },
            8_500 - 36 - 68,
        ),
    ] {
        let mut cut = 0;
        walk(spec, |packet, bytes| {
            assert!(packet.inner_length <= longest);
            if packet.inner_length < packet.inner_original_length {
                cut += 1;
                let frame = Outer::of(bytes).unwrap().frame;
                assert_eq!(frame.len(), longest);
                let checksum = if frame.get(12..14) == Some(&[8, 0]) {
                    14 + 20 + 16
                } else {
                    14 + 40 + 16
                };
                let tcp = frame.get(23) == Some(&6) || frame.get(20) == Some(&6);
                assert!(
                    !tcp || frame
                        .get(checksum..checksum + 2)
                        .is_none_or(|sum| sum == [0, 0])
                );
            }
        });
        assert!(cut > 1_000);
    }
}

#[test]
fn fragments_join_to_datagrams_with_right_checksums() {
    let mut datagrams = BTreeMap::<_, BTreeMap<usize, Vec<u8>>>::new();
    walk(
        Spec {
            scenario: Scenario::Fragments,
            ..Spec::default()
        },
        |_, bytes| {
            let outer = Outer::of(bytes).unwrap();
            let inner = Inner::of(outer.frame).unwrap();
            if let Some((id, offset, bytes)) = inner.fragment() {
                let key = (outer.ip.header().source_addr(), inner.addresses(), id);
                datagrams.entry(key).or_default().insert(offset, bytes);
            }
        },
    );
    let whole: Vec<_> = datagrams
        .iter()
        .filter(|(_, pieces)| pieces.len() == 3)
        .collect();
    assert!(whole.len() > 1_000, "{}", whole.len());
    for ((_, addresses, _), pieces) in whole {
        assert_eq!(
            pieces.keys().copied().collect::<Vec<_>>(),
            [0, 1_376, 2_752]
        );
        let datagram: Vec<u8> = pieces.values().flatten().copied().collect();
        assert_eq!(datagram.len(), 3_252);
        assert!(walk::udp_is_right(*addresses, &datagram));
    }
}

#[test]
fn an_elephant_sends_half_of_the_spare_packets() {
    let mut flows = BTreeMap::<_, u64>::new();
    let spec = Spec {
        scenario: Scenario::Elephant,
        ..Spec::default()
    };
    walk(spec, |_, bytes| {
        let outer = Outer::of(bytes).unwrap();
        let tuple = Inner::of(outer.frame).unwrap().tuple();
        *flows
            .entry((outer.ip.header().source_addr(), tuple))
            .or_default() += 1;
    });
    let mut counts: Vec<u64> = flows.into_values().collect();
    counts.sort_unstable();
    assert_eq!((counts.len(), counts[99]), (100, 4_950 + 51));
    assert!(counts[98] <= 51);
}

#[test]
fn a_scanner_tries_a_port_a_flow() {
    let mut ports = BTreeSet::new();
    let mut resets = 0;
    walk(
        Spec {
            scenario: Scenario::Scan,
            flows: 1_000,
            ..Spec::default()
        },
        |packet, bytes| {
            let inner = Inner::of(Outer::of(bytes).unwrap().frame).unwrap();
            let Some(segment) = inner.segment().filter(|_| inner.speaks([198, 51, 100, 7])) else {
                return;
            };
            assert_eq!(packet.source, 0);
            if segment.syn {
                assert!(ports.insert(segment.target_port));
            } else {
                assert!(segment.rst && ports.contains(&segment.source_port));
                resets += 1;
            }
        },
    );
    assert_eq!(ports, (1..=500).collect());
    assert!((200..300).contains(&resets), "{resets}");
}

#[test]
fn east_west_frames_are_seen_at_both_ends() {
    let mut frames = Vec::new();
    let spec = Spec {
        scenario: Scenario::EastWest,
        one_vni: true,
        ..Spec::default()
    };
    walk(spec, |packet, bytes| {
        let outer = Outer::of(bytes).unwrap();
        frames.push((packet.source, outer.vni, outer.frame.to_vec()));
    });
    for pair in frames.chunks(2) {
        let [(sender, vni, sent), (receiver, same_vni, received)] = pair else {
            unreachable!()
        };
        assert_ne!(sender, receiver);
        assert_eq!((vni, &sent[12..]), (same_vni, &received[12..]));
        assert_ne!(sent[..12], received[..12]);
    }
}

#[test]
fn overlapping_tenants_use_the_same_tuples() {
    let mut tuples = BTreeMap::<_, BTreeSet<u32>>::new();
    let spec = Spec {
        scenario: Scenario::Overlap,
        packets: 20_000,
        ipv6_share: 0.0,
        ..Spec::default()
    };
    walk(spec, |packet, bytes| {
        let inner = Inner::of(Outer::of(bytes).unwrap().frame).unwrap();
        tuples
            .entry(inner.addresses())
            .or_default()
            .insert(packet.source);
    });
    assert!(
        tuples.values().any(|sources| sources.len() == 4),
        "{tuples:?}"
    );
}

#[test]
fn malformed_packets_are_counted_and_differ_from_sound_ones() {
    let spec = Spec {
        scenario: Scenario::Malformed,
        packets: 50_000,
        ..Spec::default()
    };
    let sound = |bytes: &[u8]| {
        let outer = Outer::of(bytes).filter(|outer| outer.flags[0] == 8);
        outer
            .and_then(|outer| Inner::of(outer.frame))
            .is_some_and(|inner| checksums_are_right(&inner))
    };
    let mut damaged = 0_u64;
    let truth = walk(spec, |_, bytes| damaged += u64::from(!sound(bytes)));
    assert!(
        (5_900..6_600).contains(&truth.malformed),
        "{}",
        truth.malformed
    );
    assert!(
        damaged > truth.malformed * 8 / 10 && damaged <= truth.malformed,
        "{damaged}"
    );
}

#[test]
fn time_follows_the_rate_without_drift() {
    let mut last = Timestamp::ZERO;
    let spec = Spec {
        rate: 3,
        packets: 10_000,
        ..Spec::default()
    };
    walk(spec.clone(), |packet, _| {
        assert!(packet.timestamp > last);
        last = packet.timestamp;
    });
    assert_eq!(last.nanos_since(spec.start), 9_999 * 1_000_000_000 / 3);
}

#[test]
fn impossible_traffic_is_refused() {
    let check = |spec: Spec, error| assert_eq!(Generator::try_new(spec).unwrap_err(), error);
    let spec = Spec::default;
    check(
        Spec {
            sources: 0,
            ..spec()
        },
        SpecError::Sources,
    );
    check(
        Spec {
            sources: 1_000_001,
            ..spec()
        },
        SpecError::Sources,
    );
    check(
        Spec { flows: 3, ..spec() },
        SpecError::Flows { flows_min: 4 },
    );
    check(
        Spec {
            flows: 7,
            scenario: Scenario::Scan,
            ..spec()
        },
        SpecError::Flows { flows_min: 8 },
    );
    check(
        Spec {
            packets: 99,
            ..spec()
        },
        SpecError::Packets { packets_min: 100 },
    );
    check(
        Spec {
            packets: 199,
            scenario: Scenario::EastWest,
            ..spec()
        },
        SpecError::Packets { packets_min: 200 },
    );
    check(
        Spec {
            flows: 200_000,
            packets: 1_000_000,
            scenario: Scenario::EastWest,
            ..spec()
        },
        SpecError::Ports,
    );
    check(
        Spec {
            sources: 1,
            scenario: Scenario::EastWest,
            ..spec()
        },
        SpecError::Lonely,
    );
    check(Spec { rate: 0, ..spec() }, SpecError::Rate);
    check(
        Spec {
            size: Size::Bytes(63),
            ..spec()
        },
        SpecError::Size,
    );
    check(
        Spec {
            packet_length: Some(0),
            ..spec()
        },
        SpecError::PacketLength,
    );
    check(
        Spec {
            ipv6_share: f64::NAN,
            ..spec()
        },
        SpecError::Ipv6Share,
    );
    assert_eq!("63".parse::<Size>(), Err(SpecError::Size));
    assert_eq!("jumbo".parse(), Ok(Size::Bytes(9_015)));
    assert_eq!("east-west".parse(), Ok(Scenario::EastWest));
    assert_eq!("worm".parse::<Scenario>(), Err(SpecError::Scenario));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_traffic_has_as_many_packets_and_flows_as_asked_for(
        (sources, more_flows, more_packets) in (2_u32..40, 0_u32..200, 0_u64..2_000),
        scenario in prop::sample::select(Scenario::ALL),
        seed in any::<u64>(),
    ) {
        let flows = sources * 2 + more_flows;
        let packets = (u64::from(flows) + more_packets) * 2;
        let spec = Spec { sources, flows, packets, scenario, seed, ..Spec::default() };
        let truth = walk(spec, |_, _| ());
        let seen: u64 = truth.per_source.iter().map(|source| source.flows).sum();
        let twice = if scenario == Scenario::EastWest { 2 } else { 1 };
        prop_assert_eq!((truth.sent, seen), (packets, u64::from(flows) * twice));
        prop_assert!(truth.per_source.iter().all(|source| source.packets > 0));
    }
}

/// Counts every packet with another parser and compares.
fn check_truth(spec: Spec) {
    let mut counted = BTreeMap::<_, (u64, u64, u64, BTreeSet<_>)>::new();
    let mut sent = 0;
    let exact = spec.scenario != Scenario::Malformed;
    let truth = walk(spec.clone(), |_, bytes| {
        sent += 1;
        let Some(outer) = Outer::of(bytes) else {
            assert!(!exact);
            return;
        };
        let key = (outer.ip.header().source_addr(), outer.vni);
        let row = counted.entry(key).or_default();
        row.0 += 1;
        row.1 += bytes.len() as u64;
        row.2 += outer.frame.len() as u64;
        if let Some(inner) = Inner::of(outer.frame) {
            row.3.insert(inner.tuple());
        }
    });
    assert_eq!(truth.sent, sent);
    assert_eq!(
        truth.bytes,
        truth
            .per_source
            .iter()
            .map(|source| source.bytes)
            .sum::<u64>()
    );
    if !exact {
        assert!(counted.len() <= truth.per_source.len());
        return;
    }
    assert_eq!(counted.len(), truth.per_source.len());
    for source in &truth.per_source {
        let std::net::IpAddr::V4(address) = source.outer_ip else {
            unreachable!("{source:?}")
        };
        let row = &counted[&(address, source.vni)];
        assert_eq!(
            (source.packets, source.bytes, source.inner_bytes),
            (row.0, row.1, row.2)
        );
        // Later fragments have no ports, so tuples are no flows there.
        if spec.scenario != Scenario::Fragments {
            assert_eq!(source.flows, row.3.len() as u64, "{:?}", spec.scenario);
        }
    }
    let json: serde_json::Value = serde_json::from_str(&truth.to_string()).expect("JSON");
    assert_eq!(json["per_source"][0]["outer_ip"], "10.0.0.16");
    assert_eq!(json["sent"], truth.sent);
}

/// Makes all packets and shows each.
fn walk(spec: Spec, mut look: impl FnMut(Packet, &[u8])) -> Truth {
    let mut generator = Generator::try_new(spec).expect("possible traffic");
    let mut buffer = Vec::new();
    while let Some(packet) = generator.next_packet(&mut buffer) {
        assert_eq!(packet.outer_length, buffer.len());
        look(packet, &buffer);
    }
    generator.truth()
}

fn bytes(spec: Spec) -> Vec<u8> {
    let mut all = Vec::new();
    walk(spec, |packet, bytes| {
        all.extend_from_slice(&packet.timestamp.as_nanos().to_be_bytes());
        all.extend_from_slice(bytes);
    });
    all
}

/// A TCP segment's header.
#[derive(Debug)]
struct Segment {
    source_port: u16,
    target_port: u16,
    seq: u32,
    ack: u32,
    length: u32,
    syn: bool,
    fin: bool,
    rst: bool,
    ack_set: bool,
}

impl Inner<'_> {
    fn segment(&self) -> Option<Segment> {
        let Some(TransportSlice::Tcp(tcp)) = &self.0.transport else {
            return None;
        };
        Some(Segment {
            source_port: tcp.source_port(),
            target_port: tcp.destination_port(),
            seq: tcp.sequence_number(),
            ack: tcp.acknowledgment_number(),
            length: u32::try_from(tcp.payload().len()).expect("below 2^32"),
            syn: tcp.syn(),
            fin: tcp.fin(),
            rst: tcp.rst(),
            ack_set: tcp.ack(),
        })
    }

    fn is_ipv4(&self) -> bool {
        matches!(self.0.net, Some(NetSlice::Ipv4(_)))
    }
}
