//! A small fleet with a clock and an obedient mirror API, to see what the policy makes of it.

use std::net::IpAddr;

use vxscope_policy::money::{Pause, Prices};
use vxscope_policy::rules::{Mode, Rules, SourceFacts};
use vxscope_policy::{
    Bytes, Decisions, Kept, Observation, Policy, SensorKey, SourceKey, Usd, Wish,
};
use vxscope_units::{Grade, MirrorSource, Timestamp, Vni};

/// Length of a tick, and of the time between two decisions.
pub(crate) const TICK: u64 = 60;
/// 2026-11-02, a Monday, at midnight.
pub(crate) const START: u64 = 1_793_577_600;
const NANOS: u64 = 1_000_000_000;

/// One and a half cents an hour by the second, nothing for data, a tenth of a cent for a pause.
pub(crate) struct BySecond;

impl Prices for BySecond {
    fn saving(&self, pause: &Pause) -> Usd {
        if pause.to > Grade::Off {
            return Usd::ZERO;
        }
        let hours = (pause.seconds.0 + pause.seconds.1) / 7_200.0;
        Usd::from_dollars(0.015 * hours - 0.001)
    }

    fn paid_until(&self, _: Timestamp, now: Timestamp) -> Timestamp {
        now
    }
}

/// Whatever was decided.
#[derive(Default)]
pub(crate) struct Decided {
    pub(crate) wishes: Vec<Wish>,
    pub(crate) kept: Vec<Kept>,
}

impl Decisions for Decided {
    fn wish(&mut self, wish: &Wish) {
        self.wishes.push(*wish);
    }

    fn kept(&mut self, kept: &Kept) {
        self.kept.push(*kept);
    }
}

pub(crate) struct World {
    pub(crate) policy: Policy,
    pub(crate) now: u64,
    pub(crate) sources: Vec<SourceKey>,
    pub(crate) grades: Vec<Grade>,
    pub(crate) decided: Decided,
}

/// Rules that decide for themselves, everybody of low importance.
pub(crate) fn all_low() -> Rules {
    let text = r#"{"mode": "dynamic", "assign": [{"importance": "low", "cidr": "10.0.0.0/8"}]}"#;
    rules(text)
}

pub(crate) fn rules(json: &str) -> Rules {
    let raw: vxscope_policy::rules::RawRules = serde_json::from_str(json).expect("known keys");
    let rules = raw.check().expect("valid rules");
    assert_ne!(
        rules.mode,
        Mode::Manual,
        "a test that decides nothing shows nothing"
    );
    rules
}

pub(crate) fn at(second: u64) -> Timestamp {
    Timestamp::from_nanos(second * NANOS)
}

pub(crate) fn address(row: usize) -> MirrorSource {
    let low = u16::try_from(row).expect("small fleet").to_be_bytes();
    MirrorSource {
        address: IpAddr::from([10, 0, low[0], low[1]]),
        vni: Vni::try_new(u32::from(u16::from_be_bytes(low))).expect("small"),
    }
}

/// A minute of plain two-way traffic.
pub(crate) fn talk() -> Observation<'static> {
    Observation {
        packets: 100,
        bytes: Bytes {
            other: 50_000,
            ..Bytes::default()
        },
        ingress_bytes: 25_000,
        egress_bytes: 25_000,
        ..Observation::default()
    }
}

impl World {
    /// So many sources of one role and subnet.
    pub(crate) fn new(sources: usize, rules: Rules, seed: u64) -> Self {
        let mut world = Self {
            policy: Policy::new(rules, seed),
            now: START,
            sources: Vec::new(),
            grades: vec![Grade::Full; sources],
            decided: Decided::default(),
        };
        for row in 0..sources {
            let facts = SourceFacts {
                role: "web",
                subnet: "a",
                ..SourceFacts::bare(address(row))
            };
            let key = world.policy.enroll(&facts, Grade::Full, at(START));
            world.sources.push(key.expect("room"));
        }
        world
    }

    /// One tick in which every source does as `shows` says; wishes are obeyed at once.
    pub(crate) fn tick<'a>(
        &mut self,
        loss_free: bool,
        mut shows: impl FnMut(usize, Grade) -> Option<Observation<'a>>,
    ) {
        let from = self.now;
        self.now += TICK;
        let sensor = SensorKey::default();
        self.policy
            .handle_tick(sensor, at(from), at(self.now), loss_free);
        for (row, key) in self.sources.iter().enumerate() {
            if let Some(observation) = shows(row, self.grades[row]) {
                self.policy.observe(*key, &observation);
            }
        }
        self.decide();
    }

    pub(crate) fn decide(&mut self) {
        let before = self.decided.wishes.len();
        self.policy
            .decide(at(self.now), &BySecond, &mut self.decided);
        for wish in &self.decided.wishes[before..] {
            self.grades[wish.source.index()] = wish.grade;
            let now = at(self.now);
            self.policy.handle_grade(wish.source, wish.grade, now, now);
        }
    }

    /// Hours in which everybody talks as far as his grade lets him.
    pub(crate) fn talk_for(&mut self, hours: u64) {
        self.talk_minutes(hours * 60);
    }

    fn talk_minutes(&mut self, minutes: u64) {
        for _ in 0..minutes * 60 / TICK {
            self.tick(true, |_, grade| (grade >= Grade::Truncated).then(talk));
        }
    }

    pub(crate) fn row_below_full(&self) -> Option<usize> {
        self.grades.iter().position(|grade| *grade < Grade::Full)
    }

    /// Goes on until somebody is lowered.
    pub(crate) fn talk_until_lowered(&mut self) -> usize {
        for _ in 0..1_200 {
            if self.row_below_full().is_some() {
                break;
            }
            self.talk_minutes(10);
        }
        self.row_below_full().expect("200 hours are enough")
    }
}
