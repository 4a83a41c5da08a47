//! From facts to events, and what happens at the limits.

use vxscope_report::{EDGES_MAX, EventKind, SIGHTINGS_MAX};
use vxscope_units::Timestamp;

use super::{Book, BookLimits};
use crate::fact::{Fact, FactKind};
use crate::mix::hash;
use crate::role::Roles;
use crate::state::{SHARE_BYTES, STATE_BYTES, STATE_BYTES_MAX};
use crate::testing::{OWN, address, fact, mirror};

const TALKED: FactKind = FactKind::Conversation { answered: true };
const DAY: u64 = 86_400;

#[test]
fn state_of_a_source_is_within_sixteen_kibibytes_with_the_shares_of_twelve_workers() {
    const { assert!(STATE_BYTES + 12 * SHARE_BYTES <= STATE_BYTES_MAX) };
    assert_eq!(STATE_BYTES_MAX, 16_384);
}

#[test]
fn an_edge_is_new_once_in_a_fortnight() {
    let mut book = book(1);
    let edge = fact(TALKED, "10.0.0.9", 80, true);
    for (day, events) in [(0, 1), (1, 1), (6, 1), (12, 1), (26, 2)] {
        book.observe(&at(edge, day * DAY));
        assert_eq!(count(&book, EventKind::FirstEdge), events, "day {day}");
    }
}

#[test]
fn peer_port_protocol_and_direction_make_an_edge() {
    let first = fact(TALKED, "10.0.0.9", 80, true);
    let others = [
        fact(TALKED, "10.0.0.8", 80, true),
        fact(TALKED, "10.0.0.9", 81, true),
        fact(TALKED, "10.0.0.9", 80, false),
        Fact {
            protocol: 17,
            ..first
        },
    ];
    let same = [
        Fact {
            originator_port: 1,
            flow_id: 9,
            ..first
        },
        fact(
            FactKind::Conversation { answered: false },
            "10.0.0.9",
            80,
            true,
        ),
    ];
    let mut book = book(1);
    let mut expected = 0;
    for (fact, is_new) in [(first, 1)]
        .into_iter()
        .chain(others.map(|fact| (fact, 1)))
        .chain(same.map(|fact| (fact, 0)))
    {
        book.observe(&fact);
        expected += is_new;
        assert_eq!(count(&book, EventKind::FirstEdge), expected, "{fact:?}");
    }
}

#[test]
fn two_ports_that_are_nobodys_for_long_are_one_edge_and_no_service() {
    let mut book = book(1);
    for port in 40_000..40_100 {
        book.observe(&fact(TALKED, "10.0.0.9", port, true));
    }
    assert_eq!(count(&book, EventKind::FirstEdge), 1);
    assert_eq!(count(&book, EventKind::NewService), 0);
}

#[test]
fn a_service_is_new_once_whoever_asks_and_only_if_the_source_answers() {
    let mut book = book(1);
    book.observe(&fact(
        FactKind::Conversation { answered: false },
        "10.0.0.8",
        80,
        true,
    ));
    book.observe(&fact(TALKED, "10.0.0.8", 81, false));
    assert_eq!(count(&book, EventKind::NewService), 0);
    for peer in ["10.0.0.7", "10.0.0.8", "10.0.0.9"] {
        book.observe(&fact(TALKED, peer, 80, true));
    }
    assert_eq!(count(&book, EventKind::NewService), 1);
}

#[test]
fn every_answered_login_is_an_event() {
    let mut book = book(1);
    for port in [22, 22, 3_389, 23, 21, 389, 80] {
        book.observe(&fact(TALKED, "10.0.0.9", port, true));
    }
    book.observe(&fact(
        FactKind::Conversation { answered: false },
        "10.0.0.9",
        22,
        true,
    ));
    let logins = [EventKind::ManagementLogin, EventKind::CleartextLogin];
    assert_eq!(logins.map(|kind| count(&book, kind)), [4, 3]);
}

#[test]
fn domains_are_new_once_and_never_hits_each_time() {
    let mut book = book(1);
    let role = Roles::default().find("linux").expect("it is known");
    for domain in [1, 2, 1] {
        let hash = hash(7, [domain]);
        book.observe(&fact(FactKind::Domain { hash }, "10.0.0.2", 53, false));
        book.observe(&fact(FactKind::NeverHit { role }, "10.0.0.9", 3_389, true));
    }
    let kinds = [
        EventKind::FirstDomain,
        EventKind::NeverHit,
        EventKind::FirstEdge,
    ];
    assert_eq!(kinds.map(|kind| count(&book, kind)), [2, 3, 0]);
}

#[test]
fn failures_in_each_direction_count_by_themselves() {
    let mut book = book(1);
    let peers: Vec<String> = (0..9).map(|n| format!("10.0.1.{n}")).collect();
    for peer in &peers {
        book.observe(&fact(FactKind::Failure, peer, 80, true));
        book.observe(&fact(FactKind::Failure, peer, 80, false));
    }
    assert_eq!(count(&book, EventKind::ManyFailures), 0);
    book.observe(&fact(FactKind::Failure, "10.0.1.9", 80, false));
    assert_eq!(count(&book, EventKind::ManyFailures), 1);
    for port in 100..110 {
        book.observe(&fact(FactKind::Failure, "10.0.1.1", port, true));
    }
    assert_eq!(count(&book, EventKind::ManyFailures), 2);
}

#[test]
fn sources_know_each_other_by_their_addresses() {
    let mut book = book(3);
    book.introduce(address("10.0.0.9"));
    for (peer, port) in [
        ("10.0.0.9", 80),
        ("10.0.0.9", 80),
        ("10.0.0.8", 80),
        (OWN, 80),
    ] {
        book.observe(&fact(TALKED, peer, port, true));
    }
    book.observe(&fact(TALKED, "10.0.0.9", 22, false));
    book.observe(&fact(FactKind::Failure, "10.0.0.9", 23, false));
    let edges = book.take_lists(mirror(OWN)).edges;
    let found: Vec<_> = edges
        .iter()
        .map(|edge| (edge.peer, edge.port, edge.inbound, edge.flows))
        .collect();
    let peer = address("10.0.0.9");
    assert_eq!(found, [(peer, 22, false, 1), (peer, 80, true, 2)]);
    assert_eq!(book.events(mirror(OWN)).edges, [], "each tick begins anew");
}

#[test]
fn lists_are_bounded_and_what_found_no_room_is_counted() {
    let mut book = book(3);
    book.introduce(address("10.0.0.9"));
    for port in 1_000..1_100 {
        book.observe(&fact(TALKED, "10.0.0.9", port, true));
    }
    assert_eq!(book.news().count(), 1);
    let events = book.take_lists(mirror(OWN));
    assert_eq!(
        (events.sightings.len(), events.edges.len()),
        (SIGHTINGS_MAX, EDGES_MAX)
    );
    // Each is a first edge and a new service.
    assert_eq!(events.sightings_omitted, 200 - SIGHTINGS_MAX as u64);
    assert_eq!(events.edges_omitted, 100 - EDGES_MAX as u64);
    assert_eq!(book.news().count(), 0);
    let again = book.take_lists(mirror(OWN));
    assert_eq!((again.counts, again.sightings.len()), (events.counts, 0));
}

#[test]
fn a_source_without_memory_is_saturated_and_its_facts_are_counted() {
    let mut book = book(1);
    let known = fact(TALKED, "10.0.0.9", 80, true);
    let late = Fact {
        mirror: mirror("10.0.0.6"),
        ..known
    };
    assert!(!book.events(late.mirror).saturated, "there is memory yet");
    book.observe(&known);
    book.observe(&late);
    assert!(!book.alert(late.mirror, None));
    assert_eq!(book.unheld(), 2);
    assert!(book.events(late.mirror).saturated && !book.events(known.mirror).saturated);
    assert_eq!(book.memory_bytes(), STATE_BYTES as u64);
}

#[test]
fn a_source_that_saw_too_much_is_saturated_until_the_week_turns() {
    let mut book = book(1);
    for domain in 0..10_000 {
        let hash = hash(7, [domain]);
        book.observe(&at(
            fact(FactKind::Domain { hash }, "10.0.0.2", 53, false),
            DAY,
        ));
    }
    let told = count(&book, EventKind::FirstDomain);
    assert!(book.events(mirror(OWN)).saturated && told < 5_000, "{told}");
    book.tick(Timestamp::new(8 * DAY, 0));
    assert!(!book.events(mirror(OWN)).saturated);
}

#[test]
fn an_alert_is_an_event_with_its_peer() {
    let mut book = book(1);
    assert!(book.alert(mirror(OWN), Some(address("10.0.0.9"))));
    let events = book.take_lists(mirror(OWN));
    assert_eq!(events.counts[EventKind::Alert.index()], 1);
    assert_eq!(events.sightings[0].peer, Some(address("10.0.0.9")));
}

#[test]
fn memory_is_turned_into_sources() {
    let of = |memory, sources| BookLimits::new(memory, sources, 0).sources_max;
    assert_eq!(of(0, 10), 1);
    assert_eq!(of(5 * STATE_BYTES as u64, 10), 5);
    assert_eq!(of(256 << 20, 16_384), 16_384, "the default holds all");
}

fn book(sources_max: usize) -> Book {
    Book::new(BookLimits {
        sources_max,
        seed: 7,
    })
}

fn count(book: &Book, kind: EventKind) -> u64 {
    book.events(mirror(OWN)).counts[kind.index()]
}

fn at(fact: Fact, second: u64) -> Fact {
    Fact {
        now: Timestamp::new(second, 0),
        ..fact
    }
}
