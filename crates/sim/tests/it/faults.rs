//! What leaves is compared with what was made: every fault is done as often as the truth says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use vxscope_sim::traffic::{
    Carrier, Datagram, Faults, FaultsError, Generator, Kind, Scenario, Spec, SpecError, Stream,
    StreamError, Truth,
};

use crate::walk::{Inner, Outer};

const ALL: &str = "loss=0.05,reorder=0.1,duplicate=0.05,corrupt=0.1,forged=0.2";
const CARRIERS: [Carrier; 3] = [
    Carrier::Capture,
    Carrier::Loopback,
    Carrier::Shared(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
];

#[test]
fn without_faults_what_was_made_leaves() {
    for scenario in Scenario::ALL.iter().copied() {
        let spec = Spec {
            scenario,
            packets: 5_000,
            ..Spec::default()
        };
        let (sent, truth) = send(spec.clone(), Faults::default());
        let (made, told) = make(spec);
        assert_eq!(truth, told);
        let sent: Vec<_> = sent.into_iter().map(|(_, bytes)| bytes).collect();
        assert!(sent == made, "{scenario:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_faults() {
    let spec = |seed| Spec {
        seed,
        ..Spec::default()
    };
    let first = send(spec(1), faults(ALL));
    assert!(first == send(spec(1), faults(ALL)));
    assert!(first != send(spec(2), faults(ALL)));
}

#[test]
fn every_fault_is_done_as_often_as_the_truth_says() {
    for carrier in CARRIERS {
        for gwlb in [false, true] {
            let spec = Spec {
                carrier,
                gwlb,
                scenario: Scenario::EastWest,
                ..Spec::default()
            };
            for text in [
                ALL,
                "loss=0.95",
                "loss=1",
                "reorder=1",
                "duplicate=1",
                "corrupt=1",
                "forged=1",
            ] {
                check(&spec, faults(text));
            }
        }
    }
}

#[test]
fn shares_are_those_that_were_asked_for() {
    let counts = send(Spec::default(), faults(ALL)).1.faults;
    let near = |count: u64, expected: u64| (expected * 9 / 10..expected * 11 / 10).contains(&count);
    assert!(near(counts.loss, 500), "{counts:?}");
    assert!(near(counts.duplicate, 500), "{counts:?}");
    assert!(near(counts.corrupt, 1_000), "{counts:?}");
    assert!(near(counts.forged, 2_000), "{counts:?}");
    // A packet that waits for others to pass may wait for one that waits as well.
    assert!((700..1_000).contains(&counts.reorder), "{counts:?}");
}

#[test]
fn corrupted_packets_keep_right_outer_lengths() {
    let (sent, _) = send(Spec::default(), faults("corrupt=1"));
    let mut lengths = BTreeSet::new();
    for (_, bytes) in sent {
        let ip = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
        let udp = usize::from(u16::from_be_bytes([bytes[38], bytes[39]]));
        assert_eq!((ip, udp), (bytes.len() - 14, bytes.len() - 34));
        let header = etherparse::Ipv4Header::from_slice(&bytes[14..]).unwrap().0;
        assert_eq!(header.calc_header_checksum(), header.header_checksum);
        lengths.insert(bytes.len());
    }
    assert!(lengths.contains(&42), "some are cut to nothing");
}

#[test]
fn forged_packets_are_of_no_source() {
    for carrier in CARRIERS {
        let spec = Spec {
            carrier,
            ..Spec::default()
        };
        let (_, truth) = send(spec, faults("forged=0.5"));
        let known = |row: &_| -> bool {
            let sources = &mut truth.per_source.iter();
            sources.any(|source| (source.outer_ip, source.vni) == *row)
        };
        let rows = truth.forged_sources.iter();
        let rows: Vec<_> = rows.map(|row| (row.outer_ip, row.vni)).collect();
        assert!(!rows.is_empty() && !rows.iter().any(known), "{rows:?}");
        let addresses: BTreeSet<_> = truth.per_source.iter().map(|row| row.outer_ip).collect();
        let foreign = rows
            .iter()
            .filter(|row| !addresses.contains(&row.0))
            .count();
        let by_address = !matches!(carrier, Carrier::Shared(_));
        assert_eq!(foreign > 0, by_address, "{carrier:?}");
        assert!(foreign < rows.len(), "some have a right address");
        let packets: u64 = truth.forged_sources.iter().map(|row| row.packets).sum();
        assert_eq!(packets, truth.faults.forged);
    }
}

#[test]
fn loopback_sources_have_addresses_of_their_own() {
    let spec = |sources| Spec {
        sources,
        flows: 1_000,
        carrier: Carrier::Loopback,
        ..Spec::default()
    };
    let stream = Stream::try_new(spec(750), faults("forged=0.1")).unwrap();
    let senders = stream.senders();
    assert_eq!(senders.len(), 750 + 16);
    assert!(senders.iter().all(IpAddr::is_loopback));
    assert_eq!(senders.iter().collect::<BTreeSet<_>>().len(), senders.len());
    for (source, address) in [
        (0, [127, 0, 0, 2]),
        (249, [127, 0, 0, 251]),
        (250, [127, 0, 1, 2]),
        (749, [127, 0, 2, 251]),
    ] {
        assert_eq!(senders[source], IpAddr::from(address));
        assert_eq!(stream.truth().per_source[source].outer_ip, senders[source]);
    }
    let error = Stream::try_new(spec(751), Faults::default()).unwrap_err();
    assert_eq!(error, StreamError::Spec(SpecError::Sockets));
}

#[test]
fn sources_that_look_alike_and_headers_of_the_kernel_are_refused() {
    let shared = Spec {
        carrier: Carrier::Shared(Ipv4Addr::LOCALHOST.into()),
        ..Spec::default()
    };
    let one_vni = Spec {
        one_vni: true,
        ..shared.clone()
    };
    assert_eq!(one_vni.check(), Err(SpecError::Alike));
    let behind_balancer = Spec {
        gwlb: true,
        ..one_vni
    };
    assert_eq!(behind_balancer.check(), Ok(()));
    let malformed = Spec {
        scenario: Scenario::Malformed,
        ..shared
    };
    assert_eq!(malformed.check(), Err(SpecError::Malformed));
}

#[test]
fn impossible_faults_are_refused() {
    let share = |name| FaultsError::Share { name };
    for (text, error) in [
        ("", FaultsError::Name),
        ("loss", FaultsError::Name),
        ("delay=0.1", FaultsError::Name),
        ("loss=0.1,loss=0.1", FaultsError::Name),
        ("loss=0.1,", FaultsError::Name),
        ("loss=1.1", share("loss")),
        ("forged=-0.1", share("forged")),
        ("corrupt=NaN", share("corrupt")),
        ("reorder=x", share("reorder")),
        ("loss=0.6,duplicate=0.6", FaultsError::Sum),
    ] {
        assert_eq!(text.parse::<Faults>(), Err(error), "{text}");
    }
    assert!(
        "loss=0.1,reorder=0.2,duplicate=0.3,corrupt=0.4,forged=1"
            .parse::<Faults>()
            .is_ok()
    );
}

#[test]
fn what_could_not_leave_is_counted_apart() {
    let mut stream = Stream::try_new(Spec::default(), faults(ALL)).unwrap();
    let mut buffer = Vec::new();
    let mut left = 0;
    while let Some(datagram) = stream.next_datagram(&mut buffer) {
        if datagram.source == 0 {
            stream.handle_not_sent();
        } else {
            stream.handle_sent(&datagram);
            left += 1;
        }
    }
    let truth = stream.truth();
    assert_eq!(truth.sent, left);
    let row = &truth.per_source[0];
    assert_eq!(
        (row.packets, row.bytes, row.flows, row.corrupt),
        (0, 0, 0, 0)
    );
    let (all, _) = send(Spec::default(), faults(ALL));
    assert_eq!(truth.sent + truth.not_sent, all.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_faults_balance(
        shares in prop::array::uniform4(0.0_f64..0.25),
        forged in 0.0_f64..1.0,
        scenario in prop::sample::select(Scenario::ALL),
        seed in any::<u64>(),
    ) {
        let [loss, reorder, duplicate, corrupt] = shares;
        let faults = Faults { loss, reorder, duplicate, corrupt, forged };
        let spec = Spec { scenario, seed, packets: 2_000, ..Spec::default() };
        let (sent, truth) = send(spec, faults);
        check_balance(&truth, 2_000);
        prop_assert_eq!(truth.sent, sent.len() as u64);
    }
}

/// Compares each datagram with the packet that it was made from, counts, and compares the counts.
fn check(spec: &Spec, faults: Faults) {
    let (made, _) = make(spec.clone());
    let (sent, truth) = send(spec.clone(), faults);
    let mut rows = vec![(0, 0, 0); truth.per_source.len()];
    let mut left = BTreeSet::new();
    let mut flows = vec![BTreeSet::new(); truth.per_source.len()];
    let (mut reorder, mut latest) = (0, None);
    let mut counts = BTreeMap::<_, (u64, u64)>::new();
    for (datagram, bytes) in &sent {
        let origin = &made[usize::try_from(datagram.made).expect("a small number")];
        let length = bytes.len() - spec.carrier.headers();
        assert_eq!(datagram.bytes, length);
        let count = counts.entry(datagram.kind.name()).or_default();
        *count = (count.0 + 1, count.1 + length as u64);
        let row = &mut rows[datagram.source as usize];
        match datagram.kind {
            Kind::Genuine => assert!(left.insert(datagram.made) && bytes == origin),
            Kind::Duplicate => assert!(left.contains(&datagram.made) && bytes == origin),
            Kind::Corrupt => assert!(left.insert(datagram.made) && bytes != origin),
            Kind::Forged => check_forged(datagram, bytes, origin),
        }
        match datagram.kind {
            Kind::Genuine | Kind::Duplicate => *row = (row.0 + 1, row.1 + length as u64, row.2),
            Kind::Corrupt => row.2 += 1,
            Kind::Forged => {}
        }
        if matches!(datagram.kind, Kind::Genuine) {
            let inner = inner(bytes);
            flows[datagram.source as usize].insert(inner.tuple());
        }
        if matches!(datagram.kind, Kind::Genuine | Kind::Corrupt) {
            reorder += u64::from(latest.is_some_and(|latest| datagram.made < latest));
            latest = latest.max(Some(datagram.made));
        }
    }
    let count = |kind: Kind| counts.get(kind.name()).copied().unwrap_or_default();
    let told = truth.faults;
    assert_eq!(told.reorder, reorder);
    assert_eq!(told.loss, (made.len() - left.len()) as u64);
    assert_eq!(told.duplicate, count(Kind::Duplicate).0);
    assert_eq!((told.corrupt, told.corrupt_bytes), count(Kind::Corrupt));
    assert_eq!((told.forged, told.forged_bytes), count(Kind::Forged));
    let told = truth.per_source.iter();
    let told: Vec<_> = told
        .map(|row| (row.packets, row.bytes, row.corrupt))
        .collect();
    assert_eq!(told, rows);
    assert!(
        sent.windows(2)
            .all(|pair| pair[0].0.timestamp <= pair[1].0.timestamp)
    );
    let told = truth.per_source.iter().map(|row| row.flows);
    assert!(told.eq(flows.iter().map(|flows| flows.len() as u64)));
    check_balance(&truth, spec.packets);
}

/// Only the address or only the VNI differs, and the truth knows what it is now.
fn check_forged(datagram: &Datagram, bytes: &[u8], origin: &[u8]) {
    let (forged, genuine) = (outer(bytes), outer(origin));
    let address = |outer: &Outer<'_>| outer.ip.header().source_addr();
    assert_eq!(forged.frame, genuine.frame);
    assert_ne!(
        address(&forged) == address(&genuine),
        forged.vni == genuine.vni
    );
    let header = forged.ip.header();
    assert_eq!(
        header.to_header().calc_header_checksum(),
        header.header_checksum()
    );
    assert_eq!(forged.vni, datagram.vni);
    if !datagram.outer_ip.is_ipv4() || address(&forged) != address(&genuine) {
        assert_eq!(datagram.outer_ip, address(&forged));
    }
    assert!(Inner::of(forged.frame).is_some());
}

/// What left is what was made and what was done to it.
fn check_balance(truth: &Truth, made: u64) {
    let faults = truth.faults;
    assert_eq!(truth.not_sent, 0);
    assert_eq!(
        truth.sent,
        made - faults.loss + faults.duplicate + faults.forged
    );
    let sum = |field: fn(&vxscope_sim::traffic::SourceTruth) -> u64| -> u64 {
        truth.per_source.iter().map(field).sum()
    };
    assert_eq!(
        truth.sent,
        sum(|row| row.packets) + faults.corrupt + faults.forged
    );
    assert_eq!(
        truth.bytes,
        sum(|row| row.bytes) + faults.corrupt_bytes + faults.forged_bytes
    );
    assert_eq!(sum(|row| row.corrupt), faults.corrupt);
}

fn outer(bytes: &[u8]) -> Outer<'_> {
    Outer::of(bytes).expect("a mirrored packet")
}

fn inner(bytes: &[u8]) -> Inner<'_> {
    Inner::of(outer(bytes).frame).expect("a frame")
}

fn faults(text: &str) -> Faults {
    text.parse().expect("faults")
}

/// Everything that leaves.
fn send(spec: Spec, faults: Faults) -> (Vec<(Datagram, Vec<u8>)>, Truth) {
    let mut stream = Stream::try_new(spec, faults).expect("possible traffic");
    let (mut sent, mut buffer) = (Vec::new(), Vec::new());
    while let Some(datagram) = stream.next_datagram(&mut buffer) {
        stream.handle_sent(&datagram);
        sent.push((datagram, buffer.clone()));
    }
    (sent, stream.truth())
}

/// Everything that is made.
fn make(spec: Spec) -> (Vec<Vec<u8>>, Truth) {
    let mut generator = Generator::try_new(spec).expect("possible traffic");
    let (mut made, mut buffer) = (Vec::new(), Vec::new());
    while generator.next_packet(&mut buffer).is_some() {
        made.push(buffer.clone());
    }
    (made, generator.truth())
}
