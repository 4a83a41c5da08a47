//! The rings against a simple oracle, and the promise between sources.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use vxscope_units::{SourceId, Timestamp};

use super::record::size_of_record;
use super::{NewFrame, RingSizes, RingState, Rings, Unstored};

const SMALL: RingSizes = RingSizes {
    head_log: 4096,
    tail_log: 8192,
    pool: 4096,
    head: 600,
    tail: 900,
    private: 1024,
};

/// One flow as the oracle sees it: every frame in order, and where it must have gone.
#[derive(Default)]
struct Oracle {
    state: RingState,
    frames: Vec<Vec<u8>>,
    logged: usize,
    ring: VecDeque<Vec<u8>>,
}

proptest! {
    /// Random frames of random flows: what is found of a flow is, in order, a run of its head,
    /// a run of its tail, and exactly the newest frames that fit its private ring.
    #[test]
    fn finds_in_order_what_was_stored(operations in prop::collection::vec((0..5_u64, 0..300_usize, any::<u8>()), 1..400)) {
        let mut rings = Rings::try_new(SMALL, 4).unwrap();
        let mut flows: BTreeMap<u64, Oracle> = BTreeMap::new();
        for (time, (flow, length, fill)) in operations.into_iter().enumerate() {
            let oracle = flows.entry(flow).or_default();
            let mut frame = vec![fill; length];
            frame.extend_from_slice(&(time as u64).to_le_bytes());
            let in_log = oracle.state.private == 0 && oracle.logged < 1500;
            let result = rings.store(&mut oracle.state, &new(flow + 1, SourceId::new(0), time as u64, &frame));
            if in_log {
                prop_assert_eq!(result, Ok(()));
                oracle.logged += size_of_record(frame.len());
                oracle.frames.push(frame);
            } else if result.is_ok() {
                oracle.ring.push_back(frame);
            } else {
                prop_assert_eq!(result, Err(Unstored::PoolEmpty));
            }
        }
        for (flow, oracle) in &flows {
            let found = visit(&rings, &oracle.state, flow + 1);
            let logged: Vec<_> = found.iter().filter(|frame| oracle.frames.contains(frame)).collect();
            let in_order: Vec<_> = oracle.frames.iter().filter(|frame| found.contains(frame)).collect();
            prop_assert_eq!(&logged, &in_order);
            let ringed: Vec<_> = found.iter().filter(|frame| !oracle.frames.contains(frame)).cloned().collect();
            let newest = oracle.ring.iter().skip(oracle.ring.len() - ringed.len()).cloned().collect::<Vec<_>>();
            prop_assert_eq!(&ringed, &newest);
            // What was overwritten would not have fitted beside what is left.
            if ringed.len() < oracle.ring.len() {
                let kept: usize = ringed.iter().map(|frame| size_of_record(frame.len())).sum();
                let lost = oracle.ring.len() - ringed.len() - 1;
                let waste = 400;
                prop_assert!(kept + size_of_record(oracle.ring[lost].len()) + waste > SMALL.private);
            }
        }
    }
}

#[test]
fn a_small_flow_comes_back_whole_and_says_its_direction() {
    let mut rings = Rings::try_new(SMALL, 4).unwrap();
    let mut state = RingState::default();
    for time in 0..12_u8 {
        let frame = [time; 80];
        let reverse = time % 2 == 1;
        let new = NewFrame {
            reverse,
            original_len: 90,
            ..new(7, SourceId::new(1), time.into(), &frame)
        };
        rings.store(&mut state, &new).unwrap();
    }
    let mut seen = Vec::new();
    let mut reader = rings.reader(&state, 7);
    while rings.read(&mut reader, 100, &mut |stored| {
        assert_eq!((stored.original_len, stored.frame.len()), (90, 80));
        seen.push((stored.timestamp.as_nanos(), stored.reverse));
    }) {}
    assert_eq!(
        seen,
        (0..12)
            .map(|time| (time, time % 2 == 1))
            .collect::<Vec<_>>()
    );
}

#[test]
fn what_comes_while_a_flow_is_read_is_not_part_of_it() {
    let mut rings = Rings::try_new(SMALL, 4).unwrap();
    let mut state = RingState::default();
    let store = |rings: &mut Rings, state: &mut RingState, time: u64| {
        let frame = time.to_le_bytes();
        rings.store(state, &new(7, SourceId::new(1), time, &frame))
    };
    // Into the head log, the tail log, and the private ring.
    for time in 0..50 {
        store(&mut rings, &mut state, time).unwrap();
    }
    let mut reader = rings.reader(&state, 7);
    let (mut seen, mut time) = (Vec::new(), 50);
    while rings.read(&mut reader, 1, &mut |stored| {
        seen.push(stored.timestamp.as_nanos());
    }) {
        // The ring is overwritten while it is read: what is gone is left out, nothing is twice.
        store(&mut rings, &mut state, time).unwrap();
        time += 1;
    }
    assert!(
        seen.is_sorted_by(|before, after| before < after),
        "{seen:?}"
    );
    assert!(seen.iter().all(|time| *time < 50), "{seen:?}");
    assert!(seen.contains(&0) && time > 50);
}

#[test]
fn a_frame_longer_than_every_store_is_refused() {
    let mut rings = Rings::try_new(SMALL, 4).unwrap();
    let mut state = RingState::default();
    let frame = vec![0; 9000];
    assert_eq!(
        rings.store(&mut state, &new(1, SourceId::new(0), 0, &frame)),
        Err(Unstored::TooLarge)
    );
    assert!(visit(&rings, &state, 1).is_empty());
}

#[test]
fn a_flood_from_one_source_leaves_anothers_frames() {
    let sizes = RingSizes {
        head_log: 64 << 10,
        head: 16 << 10,
        ..SMALL
    };
    let mut rings = Rings::try_new(sizes, 4).unwrap();
    let (quiet, flood) = (SourceId::new(1), SourceId::new(2));
    let mut state = RingState::default();
    let mut time = 0;
    for _ in 0..20 {
        time += 1;
        rings
            .store(&mut state, &new(1, quiet, time, &[1; 100]))
            .unwrap();
        // Thousands of one-packet flows: many times the log between two quiet frames.
        for _ in 0..2000 {
            time += 1;
            let mut other = RingState::default();
            rings
                .store(&mut other, &new(1000 + time, flood, time, &[2; 100]))
                .unwrap();
        }
    }
    let kept = visit(&rings, &state, 1).len();
    assert!(
        kept >= 19,
        "{kept} of 20: only what was written before the flood showed may be lost"
    );
    assert!(rings.logs[0].heavy_segments() <= rings.logs[0].segments() / 2);
}

#[test]
fn a_flood_gets_the_whole_log_once_nobody_else_is_active() {
    let sizes = RingSizes {
        head_log: 64 << 10,
        head: 16 << 10,
        ..SMALL
    };
    let mut rings = Rings::try_new(sizes, 4).unwrap();
    let mut state = RingState::default();
    rings
        .store(&mut state, &new(1, SourceId::new(1), 0, &[1; 100]))
        .unwrap();
    for frame in 0..4000_u64 {
        let mut other = RingState::default();
        let time = frame * 1_000_000_000;
        rings
            .store(
                &mut other,
                &new(1000 + frame, SourceId::new(2), time, &[2; 100]),
            )
            .unwrap();
    }
    assert_eq!(
        visit(&rings, &state, 1).len(),
        0,
        "more than an hour of the other's frames came"
    );
}

#[test]
fn a_source_alone_uses_the_whole_log() {
    let sizes = RingSizes {
        head_log: 64 << 10,
        head: 64 << 10,
        tail: 0,
        ..SMALL
    };
    let mut rings = Rings::try_new(sizes, 4).unwrap();
    let mut state = RingState::default();
    for time in 0..400 {
        rings
            .store(&mut state, &new(1, SourceId::new(3), time, &[0; 96]))
            .unwrap();
    }
    assert_eq!(
        visit(&rings, &state, 1).len(),
        400,
        "400 records of 128 bytes are 50 of 64 KiB"
    );
}

#[test]
fn a_closed_flow_keeps_its_ring_until_it_is_needed() {
    let sizes = RingSizes {
        head: 0,
        tail: 0,
        pool: 2048,
        private: 1024,
        ..SMALL
    };
    let mut rings = Rings::try_new(sizes, 4).unwrap();
    let mut states = [RingState::default(); 3];
    let source = SourceId::new(0);
    for (flow, state) in states.iter_mut().enumerate().take(2) {
        rings
            .store(state, &new(flow as u64 + 1, source, 0, &[0; 64]))
            .unwrap();
    }
    let refused = rings.store(&mut states[2], &new(3, source, 1, &[0; 64]));
    assert_eq!(refused, Err(Unstored::PoolEmpty));
    rings.release(&states[0]);
    assert_eq!(visit(&rings, &states[0], 1).len(), 1);
    rings
        .store(&mut states[2], &new(3, source, 2, &[0; 64]))
        .unwrap();
    assert_eq!(visit(&rings, &states[0], 1).len(), 0);
    assert_eq!(visit(&rings, &states[2], 3).len(), 1);
}

#[test]
fn one_source_cannot_hold_all_private_rings_of_another() {
    let sizes = RingSizes {
        head: 0,
        tail: 0,
        pool: 4096,
        private: 1024,
        ..SMALL
    };
    let mut rings = Rings::try_new(sizes, 4).unwrap();
    let mut first = RingState::default();
    rings
        .store(&mut first, &new(1, SourceId::new(1), 0, &[0; 64]))
        .unwrap();
    let results: Vec<_> = (2..5)
        .map(|flow| {
            rings.store(
                &mut RingState::default(),
                &new(flow, SourceId::new(2), 0, &[0; 64]),
            )
        })
        .collect();
    assert_eq!(results, [Ok(()), Ok(()), Err(Unstored::SourceShare)]);
}

#[test]
fn how_full_the_stores_are_is_what_was_put_there_and_never_more_than_there_is() {
    let mut rings = Rings::try_new(SMALL, 4).unwrap();
    let mut state = RingState::default();
    let size = size_of_record(100);
    for number in 1..=200_u64 {
        let stored = rings.store(&mut state, &new(1, SourceId::new(0), number, &[7; 100]));
        assert_eq!(stored, Ok(()));
        let fill = rings.fill();
        if number == 3 {
            assert_eq!((fill.head.used, fill.tail.used), (3 * size as u64, 0));
        }
        for store in [fill.head, fill.tail, fill.private] {
            assert!(store.used <= store.size, "{fill:?}");
        }
    }
    let fill = rings.fill();
    let logged = usize::try_from(fill.head.used + fill.tail.used).unwrap();
    let private = usize::try_from(fill.private.used).unwrap();
    // The flow left the logs with the record that passed head and tail.
    assert!((1_500..1_500 + 2 * size).contains(&logged), "{fill:?}");
    assert!(private > SMALL.private - size, "{fill:?}");
}

fn new(flow_id: u64, source: SourceId, time: u64, frame: &[u8]) -> NewFrame<'_> {
    let timestamp = Timestamp::from_nanos(time);
    let original_len = u32::try_from(frame.len()).unwrap();
    NewFrame {
        flow_id,
        source,
        timestamp,
        frame,
        original_len,
        reverse: false,
    }
}

fn visit(rings: &Rings, state: &RingState, flow_id: u64) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut reader = rings.reader(state, flow_id);
    while rings.read(&mut reader, 300, &mut |stored| {
        found.push(stored.frame.to_vec())
    }) {}
    found
}
