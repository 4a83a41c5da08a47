//! From a report's cumulative counters to what happened in a tick.

use std::collections::BTreeMap;

use vxscope_policy::money::Traffic;
use vxscope_policy::{Bytes, Observation, Sighted, SourceKey};
use vxscope_report::{Category, Direction, EventKind, Report, Signals};
use vxscope_units::Timestamp;

use crate::roll::Roll;

/// What a sensor told last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    epoch: u64,
    next: u64,
    dropped: u64,
    signals: BTreeMap<SourceKey, Signals>,
}

/// One source in one tick.
#[derive(Clone, Debug)]
pub(crate) struct Tick {
    pub(crate) packets: u64,
    bytes: Bytes,
    all_bytes: u64,
    ingress_bytes: u64,
    egress_bytes: u64,
    events: [u32; EventKind::COUNT],
    saturated: bool,
    edges_omitted: bool,
    sightings: Vec<Sighted>,
    edges: Vec<SourceKey>,
}

impl Memory {
    /// Whether the tick is one that follows the last, and lost nothing.
    pub(crate) fn begin(&mut self, report: &Report) -> bool {
        if report.epoch != self.epoch {
            *self = Self {
                epoch: report.epoch,
                next: report.seq,
                ..Self::default()
            };
        }
        let follows = report.seq == self.next;
        let lost = report.kernel_dropped > self.dropped;
        self.next = report.seq.saturating_add(1);
        self.dropped = report.kernel_dropped;
        follows && !lost
    }

    /// What a source showed since it was told of last.
    pub(crate) fn tick(&mut self, key: SourceKey, now: &Signals, roll: &Roll) -> Tick {
        let before = self.signals.entry(key).or_default();
        let tick = difference(before, now, key, roll);
        *before = Signals {
            sightings: Vec::new(),
            edges: Vec::new(),
            ..now.clone()
        };
        tick
    }

    pub(crate) fn forget(&mut self, key: SourceKey) {
        self.signals.remove(&key);
    }
}

fn difference(before: &Signals, now: &Signals, key: SourceKey, roll: &Roll) -> Tick {
    let of = |category: Category| {
        let before = before.bytes_of(category);
        now.bytes_of(category).saturating_sub(before)
    };
    let towards = |direction: Direction| {
        let sum = |signals: &Signals| signals.bytes[direction.index()].iter().sum::<u64>();
        sum(now).saturating_sub(sum(before))
    };
    let all_bytes = now.bytes_sum().saturating_sub(before.bytes_sum());
    let bytes = Bytes {
        dns_never: of(Category::Dns).saturating_add(of(Category::Never)),
        management: of(Category::Management),
        bulk: of(Category::OpaqueBulk),
        other: 0,
    };
    let events = EventKind::ALL.iter().map(|kind| {
        let events = now.events_of(*kind).saturating_sub(before.events_of(*kind));
        u32::try_from(events).unwrap_or(u32::MAX)
    });
    let mut counts = [0; EventKind::COUNT];
    counts
        .iter_mut()
        .zip(events)
        .for_each(|(count, events)| *count = events);
    let other = |address| roll.at(address).filter(|peer| *peer != key);
    let sightings = now.sightings.iter().filter_map(|sighting| {
        Some(Sighted {
            kind: sighting.kind,
            peer: other(sighting.peer?)?,
        })
    });
    Tick {
        packets: now.packets.saturating_sub(before.packets),
        bytes: Bytes {
            other: all_bytes.saturating_sub(bytes.sum()),
            ..bytes
        },
        all_bytes,
        ingress_bytes: towards(Direction::Ingress),
        egress_bytes: towards(Direction::Egress),
        events: counts,
        saturated: now.saturated,
        edges_omitted: now.edges_omitted > before.edges_omitted,
        sightings: sightings.collect(),
        edges: now
            .edges
            .iter()
            .filter_map(|edge| other(edge.peer))
            .collect(),
    }
}

impl Tick {
    pub(crate) fn observation(&self) -> Observation<'_> {
        Observation {
            packets: self.packets,
            bytes: self.bytes,
            ingress_bytes: self.ingress_bytes,
            egress_bytes: self.egress_bytes,
            events: self.events,
            saturated: self.saturated,
            edges_omitted: self.edges_omitted,
            sightings: &self.sightings,
            edges: &self.edges,
        }
    }

    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            packets: self.packets,
            bytes: self.all_bytes,
        }
    }
}

/// µs since 1970.
pub(crate) fn time(micros: u64) -> Timestamp {
    Timestamp::from_nanos(micros.saturating_mul(1_000))
}
