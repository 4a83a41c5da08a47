//! Sources that send what their mirrors let through, and the sensor that reports it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use vxscope_control::simulated::Faults;
use vxscope_policy::Importance;
use vxscope_policy::money::PriceTable;
use vxscope_policy::rules::{Mode, Rules, Terms};
use vxscope_report::{
    Category, Direction, Edge, EventKind, Protocol, Report, SCHEMA, Sighting, Signals, SourceReport,
};
use vxscope_steward::{Embedded, EmbeddedSetup, Notice};
use vxscope_units::{Grade, MirrorSource, Timestamp, Vni};

/// See the module.
pub(crate) struct Fleet {
    pub(crate) embedded: Embedded,
    pub(crate) notices: Vec<Notice>,
    signals: BTreeMap<u8, Signals>,
    mirrors: BTreeMap<MirrorSource, Grade>,
    second: u64,
    /// When it began: the epoch of its reports.
    began: u64,
    sources: u8,
}

/// An hour is a second.
pub(crate) fn rules(mode: Mode) -> Rules {
    let mut rules = Rules {
        mode,
        ..Rules::default()
    };
    let seconds = Duration::from_secs;
    rules.terms[Importance::Standard.index()] = Terms {
        floor: Grade::Off,
        allow_off: true,
        blind_max: [seconds(20); 4],
        on_min: seconds(10),
        tolerance: 10.0,
        ..Terms::of(Importance::Standard)
    };
    let limits = &mut rules.limits;
    limits.cycle = seconds(2);
    limits.new_pin = seconds(5);
    limits.baseline_pin = seconds(5);
    limits.alert_pin = seconds(30);
    limits.saving_min = -1.0;
    limits.refusal = 0.0;
    limits.changes_max = 100;
    rules
}

pub(crate) fn mirror(source: u8) -> MirrorSource {
    MirrorSource {
        address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, source + 1)),
        vni: Vni::try_new(100 + u32::from(source)).expect("it is small"),
    }
}

pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos((1_800_000_000_000 + millis) * 1_000_000)
}

impl Fleet {
    pub(crate) fn new(sources: u8, rules: Rules, seed: u64) -> Self {
        Self::later(sources, rules, seed, 0)
    }

    /// One that begins so many seconds later.
    pub(crate) fn later(sources: u8, rules: Rules, seed: u64, second: u64) -> Self {
        let prices = PriceTable::published().and_then(|table| table.with("billing = ['second']"));
        let setup = EmbeddedSetup {
            rules,
            prices: prices.expect("the published prices are readable"),
            faults: Faults::default(),
            describe_every: Duration::from_secs(1),
            learn: Duration::from_secs(3),
            seed,
        };
        Self {
            embedded: Embedded::new(setup, at(second * 1_000)),
            notices: Vec::new(),
            signals: BTreeMap::new(),
            mirrors: BTreeMap::new(),
            second,
            began: second,
            sources,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        at(self.second * 1_000)
    }

    pub(crate) fn grade(&self, source: u8) -> Grade {
        self.mirrors
            .get(&mirror(source))
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn lowered(&self) -> usize {
        (0..self.sources)
            .filter(|source| self.grade(*source) < Grade::Full)
            .count()
    }

    /// Two that know each other speak.
    pub(crate) fn speak(&mut self, one: u8, other: u8) {
        for (own, peer) in [(one, other), (other, one)] {
            self.signals.entry(own).or_default().edges.push(Edge {
                peer: mirror(peer).address,
                protocol: Protocol::Tcp,
                port: 443,
                inbound: own == other,
                flows: 1,
            });
        }
    }

    /// `from` tries a port at `to` that it should never try; whoever is mirrored sees it.
    pub(crate) fn strike(&mut self, from: u8, to: u8) {
        for (one, other) in [(from, to), (to, from)] {
            if self.grade(one) < Grade::Sentinel {
                continue;
            }
            let signals = self.signals.entry(one).or_default();
            signals.events[EventKind::NeverHit.index()] += 1;
            signals.sightings.push(Sighting {
                kind: EventKind::NeverHit,
                peer: Some(mirror(other).address),
                protocol: Protocol::Tcp,
                port: 445,
            });
            signals.edges.push(Edge {
                peer: mirror(other).address,
                protocol: Protocol::Tcp,
                port: 445,
                inbound: one == to,
                flows: 1,
            });
        }
    }

    pub(crate) fn run(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.send();
            self.second += 1;
            let report = self.report();
            self.embedded.handle_report(&report, self.now());
            for step in 0..10 {
                let now = at(self.second * 1_000 + step * 100);
                self.embedded.tick(now);
                while let Some((mirror, grade)) = self.embedded.poll_mirror() {
                    self.mirrors.insert(mirror, grade);
                }
            }
            while let Some(notice) = self.embedded.poll_notice() {
                self.notices.push(notice);
            }
        }
    }

    fn send(&mut self) {
        for source in 0..self.sources {
            if self.grade(source) < Grade::Truncated {
                continue;
            }
            let signals = self.signals.entry(source).or_default();
            signals.packets += 100;
            signals.flows += 1;
            for direction in [Direction::Ingress, Direction::Egress] {
                signals.bytes[direction.index()][Category::Web.index()] += 30_000;
                signals.bytes[direction.index()][Category::Dns.index()] += 500;
            }
        }
    }

    fn report(&mut self) -> Report {
        let sources = self.signals.iter_mut().map(|(source, signals)| {
            let told = signals.clone();
            signals.sightings.clear();
            signals.edges.clear();
            SourceReport {
                outer_ip: mirror(*source).address,
                vni: mirror(*source).vni.get(),
                eni: None,
                signals: told,
            }
        });
        let micros = |seconds: u64| at(seconds * 1_000).as_nanos() / 1_000;
        Report {
            schema: SCHEMA,
            sensor: "test".to_owned(),
            epoch: 1 + self.began,
            seq: self.second - self.began - 1,
            from: micros(self.second - 1),
            to: micros(self.second),
            received: 0,
            kernel_dropped: 0,
            sources: sources.collect(),
            full: true,
        }
    }

    pub(crate) fn count(&self, outcome: &str, reason: &str) -> usize {
        let is = |notice: &&Notice| notice.outcome() == outcome && notice.reason() == reason;
        self.notices.iter().filter(is).count()
    }
}
