//! From the reports of sensors, cumulative and sometimes lost, to observations of one tick.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use vxscope_report::{Category, Direction, EventKind, Report, SourceReport};
use vxscope_units::{MirrorSource, Timestamp, Vni};

use crate::{Bytes, Observation, Policy, SensorKey, Shadow, Sighted, SourceKey};

/// Sensors that are known at once; reports of further ones are counted and not read.
pub const SENSORS_MAX: usize = 1_024;
/// Sensors that a source's counters are remembered of: it moves between few.
const COUNTERS_KEPT: usize = 4;

/// Who takes observations: the policy itself, or a shadow of it.
pub trait Observer {
    /// See [`Policy::handle_tick`].
    fn handle_tick(&mut self, sensor: SensorKey, from: Timestamp, to: Timestamp, loss_free: bool);
    /// See [`Policy::handle_move`].
    fn handle_move(&mut self, source: SourceKey, sensor: SensorKey, now: Timestamp);
    /// See [`Policy::observe`].
    fn observe(&mut self, source: SourceKey, observation: &Observation<'_>);
}

macro_rules! observer {
    ($($name:ty),*) => {
        $(impl Observer for $name {
            fn handle_tick(&mut self, sensor: SensorKey, from: Timestamp, to: Timestamp, loss_free: bool) {
                Self::handle_tick(self, sensor, from, to, loss_free);
            }
            fn handle_move(&mut self, source: SourceKey, sensor: SensorKey, now: Timestamp) {
                Self::handle_move(self, source, sensor, now);
            }
            fn observe(&mut self, source: SourceKey, observation: &Observation<'_>) {
                Self::observe(self, source, observation);
            }
        })*
    };
}

observer!(Policy, Shadow);

/// What reports held that could not be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IntakeCounts {
    /// Reports that came twice, or after a later one.
    pub stale: u64,
    /// Reports that never came, by their numbers.
    pub lost: u64,
    /// Reports of sensors beyond [`SENSORS_MAX`].
    pub sensors_refused: u64,
    /// Entries about sources that nobody bound, such as quarantined ones.
    pub unbound: u64,
    /// Entries whose counters could not be compared with earlier ones.
    pub without_baseline: u64,
    /// Counters that ran backwards within an epoch.
    pub backwards: u64,
}

/// A sensor's last report.
#[derive(Clone, Copy, Debug)]
struct Last {
    key: SensorKey,
    epoch: u64,
    seq: u64,
    kernel_dropped: u64,
    /// Whether the epoch was followed from its first report, or since one with all sources: then a
    /// source that was never listed had counters of zero.
    has_all: bool,
}

/// What is compared of a source's signals from report to report.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    packets: u64,
    bytes: Bytes,
    ingress: u64,
    egress: u64,
    events: [u64; EventKind::COUNT],
    edges_omitted: u64,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    sensor: SensorKey,
    epoch: u64,
    counters: Counters,
}

#[derive(Clone, Debug)]
struct Bound {
    key: SourceKey,
    network: String,
    known: Vec<Known>,
}

/// Keeps what makes deltas of cumulative counters and rows of addresses.
#[derive(Clone, Debug, Default)]
pub struct Intake {
    sensors: BTreeMap<String, Last>,
    sources: HashMap<MirrorSource, Bound>,
    /// Rows by network and address: how the other end of an edge is named.
    peers: HashMap<(String, IpAddr), SourceKey>,
    edges: Vec<SourceKey>,
    sightings: Vec<Sighted>,
    counts: IntakeCounts,
}

impl Intake {
    /// Nobody is bound.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A mirror source is in that row; `network` is where its address is unique.
    pub fn bind(&mut self, mirror: MirrorSource, network: &str, key: SourceKey) {
        self.unbind(mirror);
        self.peers.insert((network.to_owned(), mirror.address), key);
        let bound = Bound {
            key,
            network: network.to_owned(),
            known: Vec::new(),
        };
        self.sources.insert(mirror, bound);
    }

    /// A mirror source was retired.
    pub fn unbind(&mut self, mirror: MirrorSource) {
        if let Some(bound) = self.sources.remove(&mirror) {
            let peer = (bound.network, mirror.address);
            if self.peers.get(&peer) == Some(&bound.key) {
                self.peers.remove(&peer);
            }
        }
    }

    /// The row of a mirror source.
    #[must_use]
    pub fn key_of(&self, mirror: &MirrorSource) -> Option<SourceKey> {
        self.sources.get(mirror).map(|bound| bound.key)
    }

    /// What could not be used so far.
    #[must_use]
    pub fn counts(&self) -> IntakeCounts {
        self.counts
    }

    /// Reads one report. What lies between two reports and in none of them is unknown: the
    /// counters of the later one tell what happened, but nobody may conclude that it was all.
    pub fn handle_report(
        &mut self,
        report: &Report,
        now: Timestamp,
        observer: &mut (impl Observer + ?Sized),
    ) {
        let Some((sensor, is_loss_free)) = self.follow(report) else {
            return;
        };
        let to = Timestamp::new(0, report.to.saturating_mul(1_000)).min(now);
        let from = Timestamp::new(0, report.from.saturating_mul(1_000)).min(to);
        observer.handle_tick(sensor.key, from, to, is_loss_free);
        for source in &report.sources {
            self.handle_source(source, &sensor, now, observer);
        }
        if report.full
            && let Some(last) = self.sensors.get_mut(&report.sensor)
        {
            last.has_all = true;
        }
    }

    /// Which sensor it is, and whether it received everything in this tick. `None` if the report
    /// is not to be read.
    fn follow(&mut self, report: &Report) -> Option<(Last, bool)> {
        let Some(last) = self.sensors.get(&report.sensor).copied() else {
            return self.meet(report);
        };
        let is_same = report.epoch == last.epoch;
        if report.epoch < last.epoch || (is_same && report.seq <= last.seq) {
            self.counts.stale += 1;
            return None;
        }
        let begins = if is_same { last.seq + 1 } else { 0 };
        self.counts.lost += report.seq - begins;
        let dropped_before = if is_same { last.kernel_dropped } else { 0 };
        let next = Last {
            key: last.key,
            epoch: report.epoch,
            seq: report.seq,
            kernel_dropped: report.kernel_dropped,
            has_all: if is_same {
                last.has_all
            } else {
                report.seq == 0
            },
        };
        self.sensors.insert(report.sensor.clone(), next);
        Some((next, report.kernel_dropped == dropped_before))
    }

    fn meet(&mut self, report: &Report) -> Option<(Last, bool)> {
        if self.sensors.len() >= SENSORS_MAX {
            self.counts.sensors_refused += 1;
            return None;
        }
        let last = Last {
            key: SensorKey(u16::try_from(self.sensors.len()).unwrap_or(u16::MAX)),
            epoch: report.epoch,
            seq: report.seq,
            kernel_dropped: report.kernel_dropped,
            has_all: report.seq == 0,
        };
        self.sensors.insert(report.sensor.clone(), last);
        let is_loss_free = last.has_all && report.kernel_dropped == 0;
        Some((last, is_loss_free))
    }

    fn handle_source(
        &mut self,
        source: &SourceReport,
        sensor: &Last,
        now: Timestamp,
        observer: &mut (impl Observer + ?Sized),
    ) {
        let mirror = Vni::try_new(source.vni).map(|vni| MirrorSource {
            address: source.outer_ip,
            vni,
        });
        let Some(bound) = mirror.and_then(|mirror| self.sources.get_mut(&mirror)) else {
            self.counts.unbound += 1;
            return;
        };
        let key = bound.key;
        let current = Counters::of(&source.signals);
        // Of whom a sensor has only heard by alerts it sees nothing.
        if current.packets > 0 {
            observer.handle_move(key, sensor.key, now);
        }
        let Some(before) = bound.remember(sensor, current) else {
            self.counts.without_baseline += 1;
            return;
        };
        let network = bound.network.clone();
        self.name_peers(&network, source);
        let (mut observation, is_backwards) = current.since(&before);
        self.counts.backwards += u64::from(is_backwards);
        observation.saturated = source.signals.saturated;
        observation.sightings = &self.sightings;
        observation.edges = &self.edges;
        observer.observe(key, &observation);
    }

    /// Turns the addresses of a source's peers into rows.
    fn name_peers(&mut self, network: &str, source: &SourceReport) {
        let mut name = (network.to_owned(), source.outer_ip);
        let mut row_of = |address: IpAddr| {
            name.1 = address;
            self.peers.get(&name).copied()
        };
        self.edges.clear();
        let edges = source.signals.edges.iter();
        self.edges
            .extend(edges.filter_map(|edge| row_of(edge.peer)));
        self.sightings.clear();
        let sightings = source.signals.sightings.iter();
        self.sightings.extend(sightings.filter_map(|one| {
            Some(Sighted {
                kind: one.kind,
                peer: row_of(one.peer?)?,
            })
        }));
    }
}

impl Bound {
    /// Keeps the counters of a sensor and returns the earlier ones; `None` if these are unknown.
    fn remember(&mut self, sensor: &Last, current: Counters) -> Option<Counters> {
        let now = Known {
            sensor: sensor.key,
            epoch: sensor.epoch,
            counters: current,
        };
        let zero = sensor.has_all.then_some(Counters::default());
        let known = self.known.iter().position(|one| one.sensor == sensor.key);
        let Some(index) = known else {
            if self.known.len() >= COUNTERS_KEPT {
                self.known.remove(0);
            }
            self.known.push(now);
            return zero;
        };
        let before = std::mem::replace(&mut self.known[index], now);
        if before.epoch == sensor.epoch {
            Some(before.counters)
        } else {
            zero
        }
    }
}

impl Counters {
    fn of(signals: &vxscope_report::Signals) -> Self {
        let sum_of = |category: Category| signals.bytes_of(category);
        let dns_never = sum_of(Category::Dns).saturating_add(sum_of(Category::Never));
        let management = sum_of(Category::Management);
        let bulk = sum_of(Category::OpaqueBulk);
        let direction = |one: Direction| signals.bytes[one.index()].iter().sum();
        Self {
            packets: signals.packets,
            bytes: Bytes {
                dns_never,
                management,
                bulk,
                other: (signals.bytes_sum()).saturating_sub(dns_never + management + bulk),
            },
            ingress: direction(Direction::Ingress),
            egress: direction(Direction::Egress),
            events: signals.events,
            edges_omitted: signals.edges_omitted,
        }
    }

    /// What happened since, and whether any counter ran backwards.
    fn since(&self, before: &Self) -> (Observation<'static>, bool) {
        let mut is_backwards = false;
        let mut delta = |now: u64, before: u64| {
            is_backwards |= now < before;
            now.saturating_sub(before)
        };
        let observation = Observation {
            packets: delta(self.packets, before.packets),
            bytes: Bytes {
                dns_never: delta(self.bytes.dns_never, before.bytes.dns_never),
                management: delta(self.bytes.management, before.bytes.management),
                bulk: delta(self.bytes.bulk, before.bytes.bulk),
                other: delta(self.bytes.other, before.bytes.other),
            },
            ingress_bytes: delta(self.ingress, before.ingress),
            egress_bytes: delta(self.egress, before.egress),
            events: std::array::from_fn(|kind| {
                let events = delta(self.events[kind], before.events[kind]);
                u32::try_from(events).unwrap_or(u32::MAX)
            }),
            edges_omitted: delta(self.edges_omitted, before.edges_omitted) > 0,
            ..Observation::default()
        };
        (observation, is_backwards)
    }
}
