//! A steward over a simulated mirror API: sources are found in the reports, and whoever plays the
//! mirrored interfaces obeys the sessions.

use std::collections::BTreeMap;
use std::time::Duration;

use vxscope_control::journal::{Record, Saved};
use vxscope_control::keeper::Setup;
use vxscope_control::mirror::{MirrorApi, Session, Settings};
use vxscope_control::reconcile::{self, Limits, Owner};
use vxscope_control::simulated::{Faults, Simulated};
use vxscope_policy::money::PriceTable;
use vxscope_policy::rules::Rules;
use vxscope_report::Report;
use vxscope_units::{Grade, MirrorSource, Timestamp, Vni};

use crate::notice::Notice;
use crate::past::Learned;
use crate::roll::Enrolled;
use crate::setup::{StewardSetup, guard_rules};
use crate::steward::{Command, Detection, Steward};

/// What the filters of the grades are called in the simulated account.
const FULL: &str = "tmf-full";
const ESSENTIAL: &str = "tmf-essential";
const SENTINEL: &str = "tmf-sentinel";
const MARKER: &str = "vxscope: simulated";

/// What it is made from.
#[derive(Clone, Debug)]
pub struct EmbeddedSetup {
    /// What the user allows.
    pub rules: Rules,
    /// What things cost.
    pub prices: PriceTable,
    /// How the API behaves.
    pub faults: Faults,
    /// Between two readings of all sessions.
    pub describe_every: Duration,
    /// How long a source is only watched after it was seen first: all that it does is new then,
    /// and none of it is held against it.
    pub learn: Duration,
    /// For all that is random.
    pub seed: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Embedded {
    steward: Steward,
    api: Simulated,
    packet_length: u16,
    learn: Duration,
    /// Sources that were seen, and when first.
    found: BTreeMap<MirrorSource, Timestamp>,
    mirrors: BTreeMap<String, (MirrorSource, reconcile::Subject)>,
    records: Vec<Record>,
}

impl Embedded {
    /// An account without sessions and a sensor without sources.
    #[must_use]
    pub fn new(setup: EmbeddedSetup, now: Timestamp) -> Self {
        let EmbeddedSetup {
            rules,
            prices,
            faults,
            describe_every,
            learn,
            seed,
        } = setup;
        let gate = guard_rules(&rules);
        let limits = Limits {
            burst: gate.burst,
            rate_milli: gate.rate_milli,
            describe_every,
        };
        let packet_length = u16::try_from(rules.limits.packet_length).unwrap_or(u16::MAX);
        let keeper = Setup {
            owner: owner(),
            limits,
            rules: gate,
            epoch: now.as_nanos() / 1_000,
            seed,
        };
        let setup = StewardSetup {
            rules,
            prices,
            keeper,
            seed,
        };
        let mut steward = Steward::new(setup, now);
        // Its sessions end with the process, so that nobody stays off without anybody to know.
        steward.handle_safety(true);
        Self {
            steward,
            api: Simulated::new(faults, seed, now),
            packet_length,
            learn,
            found: BTreeMap::new(),
            mirrors: BTreeMap::new(),
            records: Vec::new(),
        }
    }

    /// A sensor's tick. A source that is seen for the first time has a session.
    pub fn handle_report(&mut self, report: &Report, now: Timestamp) {
        for source in &report.sources {
            let Some(vni) = Vni::try_new(source.vni) else {
                continue;
            };
            let mirror = MirrorSource {
                address: source.outer_ip,
                vni,
            };
            let first = *self.found.entry(mirror).or_insert(now);
            let learned = now.nanos_since(first) >= nanos(self.learn);
            if learned && !self.steward.knows(mirror) {
                self.enrol(mirror, now);
                // Its counters so far belong to the time before.
                self.steward.skip(mirror);
            }
        }
        self.steward.handle_report(report, now);
    }

    fn enrol(&mut self, mirror: MirrorSource, now: Timestamp) {
        let enrolled = Enrolled::bare(mirror);
        let interface = enrolled.interface.clone();
        let subject = subject(&interface, mirror, self.packet_length);
        let session = Session {
            id: format!("tms-{}", interface.trim_start_matches("eni-")),
            interface: interface.clone(),
            account: String::new(),
            settings: subject.saved.settings.clone(),
            tags: subject.saved.tags.clone(),
        };
        if self.steward.enrol(enrolled, subject.clone(), now).is_some() {
            self.api.create_foreign(session, now);
            self.mirrors.insert(interface, (mirror, subject));
        }
    }

    /// Decides, calls, listens. Call it several times a second.
    pub fn tick(&mut self, now: Timestamp) {
        while let Some((id, result)) = self.api.poll(now) {
            self.steward.handle_reply(id, result, now);
        }
        self.steward.tick(now);
        for step in self.steward.poll_steps(now) {
            self.records.extend(step.record);
            self.api.submit(step.id, step.call, now);
        }
        self.records.extend(self.steward.poll_records());
    }

    /// Mirrors that changed since the last call: what each interface must send from now on.
    #[must_use]
    pub fn poll_mirror(&mut self) -> Option<(MirrorSource, Grade)> {
        loop {
            let change = self.api.poll_change()?;
            let Some((mirror, subject)) = self.mirrors.get(&change.interface) else {
                continue;
            };
            let settings = change.session.map(|session| session.settings);
            let grade = settings.map_or(Some(Grade::Off), |there| subject.grade_of(&there));
            return Some((*mirror, grade.unwrap_or(Grade::Off)));
        }
    }

    /// What happened, oldest first.
    #[must_use]
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.steward.poll_notice()
    }

    /// Records for a journal, in their order. A simulated session ends with its process, so
    /// nothing waits for them.
    #[must_use]
    pub fn poll_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// The operator spoke. False if the source is not looked after.
    pub fn handle_command(&mut self, command: Command, now: Timestamp) -> bool {
        self.steward.handle_command(command, now)
    }

    /// A detector named a source.
    pub fn handle_alert(&mut self, mirror: MirrorSource, severe: bool, now: Timestamp) {
        self.steward.handle_alert(mirror, severe, now);
    }

    /// A detector named a source and said why.
    pub fn handle_detection(&mut self, detection: &Detection, now: Timestamp) {
        self.steward.handle_detection(detection, now);
    }

    /// Other rules, as a whole.
    pub fn handle_rules(&mut self, rules: Rules, now: Timestamp) {
        self.steward.handle_rules(rules, now);
    }

    /// What an earlier run had learned, for sources that will be seen.
    pub fn remember(&mut self, past: Vec<(MirrorSource, Learned)>) {
        self.steward.remember(past);
    }

    /// The API behaves otherwise from now on.
    pub fn handle_faults(&mut self, faults: Faults) {
        self.api.handle_faults(faults);
    }

    /// The steward, to look at.
    #[must_use]
    pub fn steward(&self) -> &Steward {
        &self.steward
    }

    /// The API, to look at.
    #[must_use]
    pub fn api(&self) -> &Simulated {
        &self.api
    }
}

fn owner() -> Owner {
    Owner {
        tag: "managed-by".to_owned(),
        value: "vxscope".to_owned(),
        marker: MARKER.to_owned(),
    }
}

fn subject(interface: &str, mirror: MirrorSource, packet_length: u16) -> reconcile::Subject {
    let owner = owner();
    reconcile::Subject {
        saved: Saved {
            interface: interface.to_owned(),
            settings: Settings {
                target: "tmt-sensor".to_owned(),
                filter: FULL.to_owned(),
                number: 1,
                packet_length: None,
                vni: Some(mirror.vni.get()),
                description: MARKER.to_owned(),
            },
            tags: [(owner.tag, owner.value)].into(),
        },
        essential: Some(ESSENTIAL.to_owned()),
        sentinel: Some(SENTINEL.to_owned()),
        truncated: packet_length,
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
