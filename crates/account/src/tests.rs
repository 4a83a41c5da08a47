//! Merging in any order gives one statement, and a lost packet shows.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use vxscope_flow::{
    CloseReason, Crossing, Joined, Label, Observed, Sources, Unstored, Untracked, Verdict,
};
use vxscope_units::{MirrorSource, SourceId, Timestamp, Vni};
use vxscope_wire::{Reject, parse_frame};

use crate::{Frame, Ledger, Statement};

type Event = (u8, u8, u16, u8);

proptest! {
    #[test]
    fn merging_is_associative_and_commutative(
        a in prop::collection::vec(any::<Event>(), 0..40),
        b in prop::collection::vec(any::<Event>(), 0..40),
        c in prop::collection::vec(any::<Event>(), 0..40),
    ) {
        let [a, b, c] = [a, b, c].map(|events| statement(&events, 3));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&a, &Statement::default()), a);
    }

    #[test]
    fn every_event_keeps_the_balance(events in prop::collection::vec(any::<Event>(), 0..200)) {
        prop_assert_eq!(statement(&events, 3).unbalanced(), vec![]);
    }
}

#[test]
fn a_lost_packet_shows() {
    let mut ledger = Ledger::new(3);
    ledger.receive(100);
    let broken = ledger.named(&Sources::new(3, 0)).unbalanced();
    assert_eq!(broken.len(), 1);
    assert_eq!(
        broken[0].to_string(),
        "received = decapsulated + rejected: 1 is not 0"
    );
}

#[test]
fn a_quarantined_frame_without_a_row_shows() {
    let mut ledger = Ledger::new(3);
    ledger.receive(100);
    ledger.reject(Reject::Quarantined);
    let broken = ledger.named(&Sources::new(3, 0)).unbalanced();
    assert_eq!(broken.len(), 1);
    assert_eq!(broken[0].law, "quarantined = sum over unknown sources");
}

#[test]
fn a_flow_that_never_ended_shows() {
    let mut sources = Sources::new(3, 0);
    let source = row(&mut sources, 1);
    let mut ledger = Ledger::new(3);
    ledger.close(source, CloseReason::Idle);
    let broken = ledger.named(&sources).unbalanced_at_end();
    assert_eq!(broken[0].law, "flows opened = flows closed");
}

#[test]
fn a_change_is_handed_over_once_and_as_it_stands() {
    let mut sources = Sources::new(1, 0);
    let mut ledger = Ledger::new(1);
    let [known, beyond] = [1, 2].map(|number| row(&mut sources, number));
    let mut rows = BTreeMap::new();
    for closed in [
        vec![known],
        vec![beyond, known, known],
        vec![],
        vec![beyond],
    ] {
        for source in &closed {
            ledger.close(*source, CloseReason::Idle);
        }
        let mut changes = Vec::new();
        let counted = ledger.take_changes(&sources, &mut changes);
        let distinct: BTreeSet<_> = closed.iter().collect();
        assert_eq!(changes.len(), distinct.len());
        assert!(counted.rows.is_empty());
        rows.extend(changes);
    }
    let statement = ledger.named(&sources);
    assert_eq!(rows.remove(&None), Some(statement.overflow));
    let named: BTreeMap<_, _> = statement
        .rows
        .into_iter()
        .map(|(source, row)| (Some(source), row))
        .collect();
    assert_eq!(rows, named);
}

#[test]
fn sources_beyond_the_limit_share_one_row() {
    let events: Vec<Event> = (0..10).map(|source| (source, 200, 60, 0)).collect();
    let statement = statement(&events, 4);
    assert_eq!((statement.rows.len(), statement.overflow.packets), (4, 6));
    assert_eq!(statement.unbalanced(), vec![]);
}

fn merged(left: &Statement, right: &Statement) -> Statement {
    let mut sum = left.clone();
    sum.merge(right);
    sum
}

fn row(sources: &mut Sources, number: u8) -> SourceId {
    match sources.intern(mirror(number)) {
        Verdict::Known(id) | Verdict::Unknown(id) => id,
    }
}

fn mirror(number: u8) -> MirrorSource {
    let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, number));
    MirrorSource {
        address,
        vni: Vni::try_new(7).expect("24 bits"),
    }
}

fn statement(events: &[Event], sources_max: u32) -> Statement {
    let mut sources = Sources::new(sources_max, 0);
    let mut ledger = Ledger::new(sources_max);
    for (source, what, length, second) in events {
        ledger.receive(u64::from(*length));
        let timestamp = Timestamp::new(u64::from(*second), 0);
        if *what < 40 {
            match Reject::ALL[usize::from(*what) % Reject::COUNT] {
                Reject::Quarantined => {
                    let row = SourceId::new(u32::from(*source));
                    ledger.quarantine(row, u64::from(*length), timestamp);
                }
                reason => ledger.reject(reason),
            }
            continue;
        }
        let id = row(&mut sources, *source);
        let bytes = vec![0; usize::from(*length % 2000)];
        let view = parse_frame(&bytes, u32::from(*length));
        let untracked = Untracked::ALL[usize::from(*what) % Untracked::COUNT];
        let unstored = Unstored::ALL[usize::from(*what) % Unstored::COUNT];
        let frame = Frame {
            view: &view,
            timestamp,
            crossing: [Crossing::Ingress, Crossing::Egress, Crossing::Unknown]
                [usize::from(*what) % 3],
            joined: [Joined::Whole, Joined::First, Joined::Later, Joined::Orphan]
                [usize::from(*what) % 4],
            reserved_bits: what % 5 == 0,
            observed: Observed {
                tracked: if what % 2 == 0 {
                    Ok(())
                } else {
                    Err(untracked)
                },
                stored: if what % 3 == 0 { Ok(()) } else { Err(unstored) },
                opened: what % 7 == 0,
                label: Label::new(usize::from(*what) % Label::GIVEN_MAX).unwrap_or_default(),
            },
        };
        ledger.count(id, &frame);
    }
    ledger.named(&sources)
}
