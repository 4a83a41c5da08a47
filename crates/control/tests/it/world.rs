//! A fleet, an account, a keeper and its journal, in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use vxscope_control::guard::{Bounds, Enrolment, Rules};
use vxscope_control::journal::{Record, Saved, encode, replay};
use vxscope_control::keeper::{Keeper, Mode, Setup};
use vxscope_control::mirror::{MirrorApi, Session, Settings};
use vxscope_control::reconcile::{Limits, Owner, Subject};
use vxscope_control::simulated::{Faults, Simulated};
use vxscope_control::{Random, Row};
use vxscope_units::{EvidenceClass, Grade, Timestamp};

const MILLI: u64 = 1_000_000;

/// Short enough to try often.
pub(crate) const BOUNDS: Bounds = Bounds::new(
    Grade::Off,
    Duration::from_secs(600),
    Duration::from_secs(900),
    Duration::from_secs(120),
);

/// See the module.
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) api: Simulated,
    pub(crate) keeper: Option<Keeper>,
    pub(crate) sources: u32,
    pub(crate) random: Random,
    pub(crate) truth: BTreeMap<String, Truth>,
    journal: Vec<u8>,
    /// Of the journal, what a crash leaves for certain.
    synced: usize,
    seed: u64,
    scale: Scale,
    runs: u64,
    /// Steps until the next crash: after a record, and before its call.
    pub(crate) crash_after: Option<(usize, bool)>,
    pub(crate) crashes: u32,
}

/// What a world allows.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    /// What the API takes, for the gate and for calls alike.
    pub(crate) burst: u32,
    pub(crate) rate_milli: u64,
    pub(crate) group_percent: u32,
    /// By row; the last one holds for all further ones.
    pub(crate) bounds: Vec<Bounds>,
}

impl Default for Scale {
    fn default() -> Self {
        let rules = Rules::default();
        Self {
            burst: rules.burst,
            rate_milli: rules.rate_milli,
            group_percent: rules.group_percent,
            bounds: vec![BOUNDS],
        }
    }
}

/// What is really mirrored of one interface, by class.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    /// Since when it is not.
    pub(crate) blind: [Option<Timestamp>; EvidenceClass::COUNT],
    /// Every time that is over: class, begin, end.
    pub(crate) over: Vec<(EvidenceClass, Timestamp, Timestamp)>,
}

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::new(1_700_000_000 + seconds, 0)
}

pub(crate) fn interface(row: u32) -> String {
    format!("eni-{row:04}")
}

pub(crate) fn owner() -> Owner {
    Owner {
        tag: "managed-by".to_owned(),
        value: "us".to_owned(),
        marker: "ours: ".to_owned(),
    }
}

pub(crate) fn subject(row: u32) -> Subject {
    Subject {
        saved: Saved {
            interface: interface(row),
            settings: Settings {
                target: "tmt-1".to_owned(),
                filter: "tmf-all".to_owned(),
                number: 2,
                packet_length: None,
                vni: Some(1_000 + row),
                description: "ours: mirror".to_owned(),
            },
            tags: [("managed-by".to_owned(), "us".to_owned())].into(),
        },
        essential: Some("tmf-essential".to_owned()),
        sentinel: Some("tmf-sentinel".to_owned()),
        truncated: 512,
    }
}

impl World {
    pub(crate) fn new(sources: u32, faults: Faults, seed: u64) -> Self {
        Self::scaled(sources, faults, seed, Scale::default())
    }

    pub(crate) fn scaled(sources: u32, faults: Faults, seed: u64, scale: Scale) -> Self {
        let now = at(0);
        let mut world = Self {
            now,
            api: Simulated::new(faults, seed, now),
            keeper: None,
            sources,
            random: Random::new(seed ^ 0x77),
            truth: BTreeMap::new(),
            journal: Vec::new(),
            synced: 0,
            seed,
            scale,
            runs: 0,
            crash_after: None,
            crashes: 0,
        };
        for row in 0..sources {
            let truth = Truth {
                blind: [Some(now); EvidenceClass::COUNT],
                over: Vec::new(),
            };
            world.truth.insert(interface(row), truth);
        }
        world.start();
        world
    }

    /// A keeper begins, with what is left of the journal.
    pub(crate) fn start(&mut self) {
        self.runs += 1;
        let setup = Setup {
            owner: owner(),
            limits: Limits {
                burst: self.scale.burst,
                rate_milli: self.scale.rate_milli,
                ..Limits::default()
            },
            rules: Rules {
                cycle_percent: 100,
                group_percent: self.scale.group_percent,
                rate_milli: self.scale.rate_milli,
                burst: self.scale.burst,
                ..Rules::default()
            },
            epoch: self.now.as_nanos() / 1_000,
            seed: self.seed + self.runs,
        };
        let mut keeper = Keeper::new(setup, self.now);
        let read = replay(&self.journal);
        if let vxscope_control::journal::Damage::TornTail { keep } = read.damage {
            self.journal.truncate(keep);
        }
        keeper.recover(read);
        for row in 0..self.sources {
            let enrolment = Enrolment {
                bounds: self.bounds(row),
                group: row % 3,
                pinned: Duration::ZERO,
            };
            assert!(keeper.enrol(Row::new(row), subject(row), enrolment, self.now));
        }
        keeper.set_mode(Mode::Dynamic);
        keeper.handle_safety(true);
        self.keeper = Some(keeper);
    }

    fn bounds(&self, row: u32) -> Bounds {
        let bounds = &self.scale.bounds;
        let own = bounds.get(row as usize).or_else(|| bounds.last());
        own.copied().unwrap_or(BOUNDS)
    }

    /// Everything but the journal is gone, and of that the end may be torn.
    pub(crate) fn crash(&mut self) {
        self.keeper = None;
        self.crashes += 1;
        self.api.hang_up();
        let torn = (self.journal.len() - self.synced) as u64;
        let kept = self.random.below(torn + 1);
        self.journal
            .truncate(self.synced + usize::try_from(kept).expect("it is at most a length"));
    }

    /// Lets `millis` pass, then does what is due.
    pub(crate) fn step(&mut self, millis: u64) {
        self.now = self.now.plus_nanos(millis * MILLI);
        self.answer();
        self.act();
        self.note();
    }

    fn answer(&mut self) {
        while let Some((id, result)) = self.api.poll(self.now) {
            if let Some(keeper) = &mut self.keeper {
                keeper.handle_reply(id, result, self.now);
            }
        }
    }

    fn act(&mut self) {
        let Some(keeper) = &mut self.keeper else {
            return;
        };
        keeper.tick(self.now);
        let steps = keeper.poll_steps(self.now);
        let records = keeper.poll_records();
        self.write(&records, false);
        for step in steps {
            let crash = self.crash_after.as_mut().is_some_and(|(left, _)| {
                *left = left.saturating_sub(1);
                *left == 0
            });
            let before = self.crash_after.is_some_and(|(_, before)| before);
            if let Some(record) = step.record {
                self.write(&[record], step.must_be_durable || crash);
            }
            if !(crash && before) {
                self.api.submit(step.id, step.call, self.now);
            }
            if crash {
                self.crash_after = None;
                return self.crash();
            }
        }
    }

    fn write(&mut self, records: &[Record], sync: bool) {
        for record in records {
            encode(record, &mut self.journal);
        }
        if sync {
            self.synced = self.journal.len();
        }
    }

    /// Breaks a byte of the journal that is not at its end.
    pub(crate) fn damage_journal(&mut self) {
        if let Some(byte) = self.journal.get_mut(20) {
            *byte ^= 0x10;
        }
    }

    /// What the account really mirrors from now on.
    fn note(&mut self) {
        while let Some(change) = self.api.poll_change() {
            let Some(truth) = self.truth.get_mut(&change.interface) else {
                continue;
            };
            let grade = shown(change.session.as_ref());
            for class in EvidenceClass::ALL {
                let blind = &mut truth.blind[class.index()];
                match (*blind, grade.shows(class)) {
                    (None, false) => *blind = Some(change.at),
                    (Some(since), true) => {
                        *blind = None;
                        truth.over.push((class, since, change.at));
                    }
                    (None, true) | (Some(_), false) => {}
                }
            }
        }
    }

    pub(crate) fn wish(&mut self, row: u32, grade: Grade) -> bool {
        let now = self.now;
        let Some(keeper) = &mut self.keeper else {
            return false;
        };
        let verdict = keeper.wish(Row::new(row), grade, now);
        verdict == vxscope_control::guard::Verdict::Granted(grade)
    }

    pub(crate) fn grade(&self, row: u32) -> Grade {
        shown(self.api.mirrored(&interface(row)))
    }

    /// Runs in steps of ten seconds, while there is little to do.
    pub(crate) fn doze(&mut self, seconds: u64) {
        for _ in 0..seconds / 10 {
            self.step(10_000);
        }
    }

    /// Runs without wishes; who crashed begins again.
    pub(crate) fn settle(&mut self, seconds: u64) {
        for _ in 0..seconds {
            if self.keeper.is_none() {
                self.start();
            }
            self.step(1_000);
        }
    }
}

fn shown(session: Option<&Session>) -> Grade {
    session.map_or(Grade::Off, |session| {
        let row = session.settings.vni.unwrap_or(0).wrapping_sub(1_000);
        subject(row)
            .grade_of(&session.settings)
            .unwrap_or(Grade::Off)
    })
}
