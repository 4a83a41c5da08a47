//! Inner frames of any bytes: the view agrees with itself, its prefixes and its answer.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;

use vxscope_flow::{
    CloseReason, Closing, CommunityId, Crossing, FlowLimits, FlowRecord, FlowScope, Flows,
    Fragments, Joined, Packet, Prepared, StoredFrames, Timeouts,
};
use vxscope_units::{MirrorSource, SourceId, Timestamp, Vni};
use vxscope_wire::steer::Steering;
use vxscope_wire::{
    Addresses, Class, Fragment, FrameView, IPV6_EXTENSIONS_MAX, TcpSegment, Tuple, VLAN_TAGS_MAX,
    oracle, parse_frame,
};

use super::prefix_lengths;

/// Prefixes of one input that are read.
const PREFIXES_MAX: usize = 256;
/// Seeds of the steering function.
const SEEDS: [u32; 2] = [0, 0xdead_beef];
/// Whose frames these are.
const SOURCE: MirrorSource = MirrorSource {
    address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
    vni: Vni::from_bytes([0, 0x12, 0x34]),
};

/// The input with which [`frame`] reads these bytes; `original_len` is their length on the wire
/// as the caller knows it, or 0.
#[must_use]
pub fn frame_input(original_len: u16, bytes: &[u8]) -> Vec<u8> {
    [&original_len.to_be_bytes(), bytes].concat()
}

/// The first two bytes are what the caller knows of the frame's length on the wire; the rest is
/// the frame.
///
/// # Panics
/// If lengths or offsets contradict each other, the fast path and etherparse disagree, a prefix
/// is read as something that the whole is not, or a frame and its answer differ in steering hash,
/// flow, or Community ID.
pub fn frame(data: &[u8]) {
    let Some(([high, low], bytes)) = data.split_first_chunk() else {
        return;
    };
    let hint = u32::from(u16::from_be_bytes([*high, *low]));
    let view = parse_frame(bytes, hint);
    consistent(bytes, &view);
    assert_eq!(oracle::slow(bytes, hint), view);
    assert!(oracle::fast(bytes).is_none_or(|fast| fast == view));
    let whole_len = u32::try_from(bytes.len()).expect("an input is shorter than 4 GiB");
    prefixes_read_the_same(bytes, hint.max(whole_len));
    match view.class {
        Class::Ip => {
            let answer = answer_to(bytes, &view);
            let answer_view = parse_frame(&answer, hint);
            assert_eq!(answer_view, answered(&view));
            one_worker([(bytes, &view), (&answer, &answer_view)]);
            one_flow([(bytes, &view), (&answer, &answer_view)]);
            later_fragments_follow(&view);
        }
        Class::NonIp => {
            let mut answer = bytes.to_vec();
            answer[..12].rotate_left(6);
            one_worker([(bytes, &view), (&answer, &view)]);
        }
        Class::Malformed | Class::Truncated => {
            for seed in SEEDS {
                let steering = Steering::new(seed, NonZeroU16::MAX);
                assert_eq!(steering.hash(&view, bytes, SOURCE.vni), 0);
            }
        }
    }
}

/// What the documentation of the view says about its fields.
fn consistent(bytes: &[u8], view: &FrameView) {
    assert_eq!(view.captured_len as usize, bytes.len());
    assert!(view.original_len >= view.captured_len);
    assert_eq!(view.truncated, view.captured_len < view.original_len);
    assert!(view.payload_len <= view.ip_len, "{view:?}");
    assert!(view.vlan_count <= VLAN_TAGS_MAX);
    let (network, transport) = (
        usize::from(view.network_offset),
        usize::from(view.transport_offset),
    );
    assert!(network <= bytes.len() && transport <= bytes.len());
    if network != 0 {
        assert_eq!(network, 14 + 4 * usize::from(view.vlan_count));
    }
    if transport != 0 {
        let headers_max = 60 + IPV6_EXTENSIONS_MAX * 256 * 8;
        assert!((network + 20..=network + headers_max).contains(&transport));
        assert!(!matches!(view.fragment, Fragment::Later { .. }));
    }
    match view.class {
        Class::Ip => assert!(network != 0 && view.ip_len >= 20),
        Class::NonIp => assert_eq!((network, transport, view.ip_len), (0, 0, 0)),
        Class::Malformed | Class::Truncated => {}
    }
}

/// Reads prefixes of a frame whose length on the wire is known: each is truncated, or says what
/// the whole says as far as its bytes go.
fn prefixes_read_the_same(bytes: &[u8], original_len: u32) {
    let whole = parse_frame(bytes, original_len);
    for length in prefix_lengths(bytes.len(), PREFIXES_MAX) {
        let prefix = parse_frame(&bytes[..length], original_len);
        if prefix.class == Class::Truncated {
            continue;
        }
        let longer = FrameView {
            captured_len: prefix.captured_len,
            truncated: prefix.truncated,
            // Padding behind the IP packet is part of the whole only.
            original_len: prefix.original_len,
            // The rest stands behind or in headers that are cut without harm.
            transport_offset: prefix.transport_offset,
            payload_len: prefix.payload_len,
            tcp: prefix.tcp,
            ..whole
        };
        assert_eq!(prefix, longer, "{length} bytes");
        assert!(prefix.original_len <= whole.original_len);
        assert!([0, whole.transport_offset].contains(&prefix.transport_offset));
        assert!(prefix.tcp == whole.tcp || is_cut(&prefix.tcp, &whole.tcp));
    }
}

/// Whether a segment's header was cut before its flags, or before its window.
fn is_cut(prefix: &TcpSegment, whole: &TcpSegment) -> bool {
    let without_window = TcpSegment {
        window: 0,
        ..*whole
    };
    *prefix == TcpSegment::default() || *prefix == without_window
}

/// The frame that travels back: addresses and ports swapped, an ICMP type answered.
fn answer_to(bytes: &[u8], view: &FrameView) -> Vec<u8> {
    let mut answer = bytes.to_vec();
    answer[..12].rotate_left(6);
    let network = usize::from(view.network_offset);
    match view.tuple.addresses {
        Addresses::V4 { .. } => answer[network + 12..network + 20].rotate_left(4),
        Addresses::V6 { .. } => answer[network + 8..network + 40].rotate_left(16),
    }
    let transport = usize::from(view.transport_offset);
    if transport != 0 {
        match view.tuple.protocol {
            6 | 17 | 132 => answer[transport..transport + 4].rotate_left(2),
            1 | 58 if !view.tuple.one_way => {
                answer[transport] =
                    u8::try_from(view.tuple.destination_port).expect("a port of ICMP is a type");
            }
            _ => {}
        }
    }
    answer
}

/// What the answer's view must be.
fn answered(view: &FrameView) -> FrameView {
    let tuple = view.tuple;
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
    let (source_port, destination_port) = if tuple.one_way {
        (tuple.source_port, tuple.destination_port)
    } else {
        (tuple.destination_port, tuple.source_port)
    };
    let is_icmp = matches!(tuple.protocol, 1 | 58) && view.transport_offset != 0;
    FrameView {
        tuple: Tuple {
            addresses,
            source_port,
            destination_port,
            ..tuple
        },
        icmp_type: if is_icmp {
            u8::try_from(source_port).expect("a port of ICMP is a type")
        } else {
            0
        },
        ..*view
    }
}

/// Both directions have one hash and one worker, which exists.
fn one_worker([there, back]: [(&[u8], &FrameView); 2]) {
    for seed in SEEDS {
        for workers in [1, 3, 64].map(|count| NonZeroU16::new(count).expect("not zero")) {
            let steering = Steering::new(seed, workers);
            let of = |(bytes, view): (&[u8], &FrameView)| {
                (
                    steering.hash(view, bytes, SOURCE.vni),
                    steering.worker(view, bytes, SOURCE.vni),
                )
            };
            assert_eq!(of(there), of(back));
            assert!(of(there).1 < usize::from(workers.get()));
        }
    }
}

/// Both directions are one flow, unless they are ICMP that has no answer; every packet and byte
/// is in a record.
fn one_flow(frames: [(&[u8], &FrameView); 2]) {
    let mut flows = Flows::try_new(limits()).expect("memory for eight flows");
    let mut records = Records(Vec::new());
    let source = SourceId::new(0);
    for (index, (bytes, view)) in (0..).zip(frames) {
        let mut prepared = Prepared::default();
        flows.prepare(&mut prepared, source, SOURCE.vni, view);
        flows.prefetch(&mut prepared);
        let packet = Packet {
            index,
            timestamp: Timestamp::new(1, index),
            now: Timestamp::new(1, index),
            source,
            mirror: SOURCE,
            view: *view,
            crossing: Crossing::Unknown,
        };
        let observed = flows.observe(&prepared, &packet, bytes, &mut records);
        assert_eq!(observed.tracked, Ok(()));
    }
    let [(_, there), (_, back)] = frames;
    let apart = there.tuple.one_way && there.tuple != back.tuple;
    assert_eq!(flows.live(), if apart { 2 } else { 1 });
    flows.close_all(Timestamp::new(2, 0), 2, &mut records);
    assert_eq!(flows.live(), 0);

    let sum = |count: fn(&FlowRecord) -> u64| records.0.iter().map(count).sum::<u64>();
    assert_eq!(
        sum(|record| record.forward.packets + record.reverse.packets),
        2
    );
    let bytes = u64::from(there.captured_len) + u64::from(back.captured_len);
    assert_eq!(
        sum(|record| record.forward.bytes + record.reverse.bytes),
        bytes
    );
    let ids = [there, back].map(|view| CommunityId::new(0, &view.tuple));
    assert_eq!(ids[0] != ids[1], apart);
    assert!(
        records
            .0
            .iter()
            .all(|record| ids.contains(&record.community_id))
    );
}

fn limits() -> FlowLimits {
    FlowLimits {
        scope: FlowScope::Source,
        flows_max: 8,
        sources_max: 1,
        source_flows_max: 8,
        timeouts: Timeouts::default(),
        active_timeout: 0,
        id_seed: 0,
        hash_seed: 1,
        rings: None,
        closed_max: 0,
    }
}

/// Keeps the records of ended flows.
struct Records(Vec<FlowRecord>);

impl Closing for Records {
    fn handle_closed(&mut self, record: &FlowRecord, _frames: &StoredFrames<'_>) {
        self.0.push(record.clone());
    }

    fn wants_records(&self) -> bool {
        true
    }

    fn count_closed(&mut self, _source: SourceId, _reason: CloseReason) {}
}

/// A later fragment of a first one gets its ports, and so its flow.
fn later_fragments_follow(view: &FrameView) {
    let Fragment::First { id } = view.fragment else {
        return;
    };
    let mut fragments = Fragments::new(1, 2);
    let mut first = *view;
    assert_eq!(
        fragments.join(&SOURCE, &mut first, Timestamp::new(1, 0)),
        Joined::First
    );
    assert_eq!(first, *view);
    let mut later = FrameView {
        fragment: Fragment::Later { id },
        tuple: Tuple {
            source_port: 0,
            destination_port: 0,
            one_way: false,
            ..view.tuple
        },
        ..*view
    };
    assert_eq!(
        fragments.join(&SOURCE, &mut later, Timestamp::new(2, 0)),
        Joined::Later
    );
    assert_eq!(later.tuple, view.tuple);
}
