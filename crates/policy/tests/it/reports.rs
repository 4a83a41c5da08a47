//! Cumulative reports, restarts and losses, as observations.

use std::net::IpAddr;

use vxscope_policy::{Intake, Observation, Observer, SensorKey, SourceKey};
use vxscope_report::{Category, Direction, EventKind, Report, SourceReport};
use vxscope_report::{Edge, Protocol, Sighting, Signals};
use vxscope_units::Timestamp;

use crate::world::address;

/// Writes down what it is told.
#[derive(Default)]
struct Notes {
    ticks: Vec<(u64, u64, bool)>,
    packets: Vec<u64>,
    domains: Vec<u32>,
    alerts: Vec<u32>,
    bytes: Vec<(u64, u64, u64, u64)>,
    peers: Vec<SourceKey>,
    sensors: Vec<SensorKey>,
}

impl Observer for Notes {
    fn handle_tick(&mut self, _: SensorKey, from: Timestamp, to: Timestamp, loss_free: bool) {
        self.ticks.push((from.seconds(), to.seconds(), loss_free));
    }

    fn handle_move(&mut self, _: SourceKey, sensor: SensorKey, _: Timestamp) {
        self.sensors.push(sensor);
    }

    fn observe(&mut self, _: SourceKey, observation: &Observation<'_>) {
        let bytes = observation.bytes;
        self.packets.push(observation.packets);
        self.domains
            .push(observation.events[EventKind::FirstDomain.index()]);
        self.alerts
            .push(observation.events[EventKind::Alert.index()]);
        self.bytes
            .push((bytes.dns_never, bytes.management, bytes.bulk, bytes.other));
        self.peers.extend(observation.edges);
        self.peers
            .extend(observation.sightings.iter().map(|one| one.peer));
    }
}

#[test]
fn counters_become_deltas_and_a_lost_report_costs_time_but_no_truth() {
    let mut intake = bound();
    let notes = read(
        &mut intake,
        &[
            report("a", 1, 0, 10, 1),
            report("a", 1, 1, 30, 4),
            report("a", 1, 3, 70, 9),
        ],
    );
    assert_eq!(notes.packets, [10, 20, 40]);
    assert_eq!(notes.domains, [1, 3, 5]);
    // The third tick begins where the lost one would have ended.
    assert_eq!(notes.ticks, [(0, 10, true), (10, 20, true), (30, 40, true)]);
    assert_eq!(intake.counts().lost, 1);
}

#[test]
fn a_new_epoch_counts_from_zero() {
    let mut intake = bound();
    let notes = read(
        &mut intake,
        &[
            report("a", 1, 0, 10, 1),
            report("a", 1, 1, 30, 1),
            report("a", 2, 0, 5, 1),
        ],
    );
    assert_eq!(notes.packets, [10, 20, 5]);
    assert_eq!(notes.domains, [1, 0, 1]);
}

#[test]
fn a_report_that_comes_twice_or_late_is_counted_and_not_read() {
    let mut intake = bound();
    let notes = read(
        &mut intake,
        &[
            report("a", 2, 5, 10, 0),
            report("a", 2, 5, 10, 0),
            report("a", 2, 4, 8, 0),
            report("a", 1, 9, 8, 0),
        ],
    );
    assert_eq!(notes.ticks.len(), 1);
    assert_eq!(intake.counts().stale, 3);
}

#[test]
fn counters_met_in_the_middle_of_an_epoch_are_only_a_baseline() {
    let mut intake = bound();
    let notes = read(
        &mut intake,
        &[report("a", 1, 7, 1_000, 50), report("a", 1, 8, 1_010, 51)],
    );
    assert_eq!(notes.packets, [10]);
    assert_eq!(notes.domains, [1]);
    assert!(
        !notes.ticks[0].2,
        "what was before is not known to be without loss"
    );
    assert_eq!(intake.counts().without_baseline, 1);
}

/// A controller that begins after its sensor misses no alert about a source that sends nothing.
#[test]
fn a_source_that_a_report_of_all_does_not_list_had_counters_of_zero() {
    let alert = |seq, packets| {
        let mut told = report("a", 1, seq, packets, 0);
        told.full = false;
        told.sources[0].signals.events[EventKind::Alert.index()] = 1;
        told
    };
    let nobody = |full| Report {
        sources: Vec::new(),
        full,
        ..report("a", 1, 7, 0, 0)
    };
    for (full, alerts) in [(true, &[1][..]), (false, &[])] {
        let mut intake = bound();
        let notes = read(&mut intake, &[nobody(full), alert(8, 0)]);
        assert_eq!(notes.alerts, alerts, "a report of all: {full}");
        assert_eq!(notes.sensors, [], "it has sent nothing there");
    }
}

#[test]
fn a_kernel_drop_makes_its_tick_one_of_loss_and_only_its() {
    let mut intake = bound();
    let dropped = |seq, kernel_dropped| Report {
        kernel_dropped,
        ..report("a", 1, seq, seq, 0)
    };
    let notes = read(&mut intake, &[dropped(0, 0), dropped(1, 3), dropped(2, 3)]);
    let loss_free: Vec<bool> = notes.ticks.iter().map(|tick| tick.2).collect();
    assert_eq!(loss_free, [true, false, true]);
}

#[test]
fn a_source_that_moves_between_sensors_is_compared_with_each_ones_own_counters() {
    let mut intake = bound();
    let notes = read(
        &mut intake,
        &[
            report("a", 1, 0, 100, 0),
            report("b", 1, 0, 7, 0),
            report("a", 1, 1, 105, 0),
            report("b", 1, 1, 9, 0),
        ],
    );
    assert_eq!(notes.packets, [100, 7, 5, 2]);
    assert_ne!(notes.sensors[0], notes.sensors[1]);
}

#[test]
fn sources_that_nobody_bound_have_no_say() {
    let mut intake = bound();
    intake.unbind(address(0));
    let notes = read(&mut intake, &[report("a", 1, 0, 10, 1)]);
    assert!(notes.packets.is_empty());
    assert_eq!(intake.counts().unbound, 1);
    assert_eq!(intake.key_of(&address(0)), None);
}

#[test]
fn peers_are_named_within_their_network_only() {
    let mut intake = bound();
    intake.bind(address(1), "vpc-1", SourceKey::new(1));
    intake.bind(address(2), "vpc-2", SourceKey::new(2));
    let edge = |row| Edge {
        peer: address(row).address,
        protocol: Protocol::Tcp,
        port: 443,
        inbound: false,
        flows: 1,
    };
    let mut told = report("a", 1, 0, 10, 1);
    told.sources[0].signals.edges = vec![edge(1), edge(2)];
    told.sources[0].signals.sightings = vec![Sighting {
        kind: EventKind::FirstEdge,
        peer: Some(address(1).address),
        protocol: Protocol::Tcp,
        port: 443,
    }];
    let notes = read(&mut intake, &[told]);
    assert_eq!(notes.peers, [SourceKey::new(1), SourceKey::new(1)]);
}

#[test]
fn every_byte_is_in_one_part_of_an_observation() {
    let mut intake = bound();
    let mut told = report("a", 1, 0, 10, 0);
    let bytes = &mut told.sources[0].signals.bytes;
    for (direction, row) in bytes.iter_mut().enumerate() {
        for (category, cell) in row.iter_mut().enumerate() {
            *cell = 1 << (10 * direction + category);
        }
    }
    let notes = read(&mut intake, &[told]);
    let thrice = |category: Category| {
        (0..Direction::COUNT)
            .map(|direction| 1_u64 << (10 * direction + category.index()))
            .sum::<u64>()
    };
    let (dns_never, management, bulk, other) = notes.bytes[0];
    assert_eq!(dns_never, thrice(Category::Dns) + thrice(Category::Never));
    assert_eq!(management, thrice(Category::Management));
    assert_eq!(bulk, thrice(Category::OpaqueBulk));
    assert_eq!(dns_never + management + bulk + other, (1 << 30) - 1);
}

/// Row 0 in a network of its own.
fn bound() -> Intake {
    let mut intake = Intake::new();
    intake.bind(address(0), "vpc-1", SourceKey::new(0));
    intake
}

fn report(sensor: &str, epoch: u64, seq: u64, packets: u64, domains: u64) -> Report {
    let mut signals = Signals {
        packets,
        ..Signals::default()
    };
    signals.events[EventKind::FirstDomain.index()] = domains;
    Report {
        schema: vxscope_report::SCHEMA,
        sensor: sensor.to_owned(),
        epoch,
        seq,
        from: seq * 10_000_000,
        to: (seq + 1) * 10_000_000,
        received: packets,
        kernel_dropped: 0,
        sources: vec![SourceReport {
            outer_ip: IpAddr::from([10, 0, 0, 0]),
            vni: 0,
            eni: None,
            signals,
        }],
        full: true,
    }
}

fn read(intake: &mut Intake, reports: &[Report]) -> Notes {
    let mut notes = Notes::default();
    for report in reports {
        intake.handle_report(report, Timestamp::new(1_000_000, 0), &mut notes);
    }
    notes
}
