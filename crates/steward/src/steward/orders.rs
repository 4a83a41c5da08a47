//! What others say: operators, detectors, and who changes the rules.

use std::net::IpAddr;
use std::time::Duration;

use vxscope_control::guard::{Enrolment, Pin};
use vxscope_policy::rules::{Mode, Rules};
use vxscope_policy::{Event, SourceKey};
use vxscope_units::{MirrorSource, Timestamp};

use super::{Steward, keeper_mode, row};
use crate::mind::Mind;
use crate::notice::Decided;
use crate::roll::Enrolled;
use crate::setup::{bounds_of, guard_rules};

/// A pin without end.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);
/// Nanoseconds between two notices of alerts about one source: who raises a storm of alerts fills
/// no disk. All of them pin.
const TELL_ALERT_EVERY: u64 = 10_000_000_000;

/// What an operator can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Keep a source full for so long; without end if `None`.
    Pin(MirrorSource, Option<Duration>),
    /// End that.
    Unpin(MirrorSource),
    /// Lower nothing from now on; what is lowered comes back in its time.
    Hold,
    /// Lower again.
    Release,
    /// Bring everything back now, and lower nothing until [`Command::Release`].
    ResumeAll,
}

/// What a detector says of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    /// Whom it concerns.
    pub mirror: MirrorSource,
    /// Who troubled it, or was troubled by it.
    pub peer: Option<IpAddr>,
    /// Whether it keeps the source full for the longer time.
    pub severe: bool,
    /// Why, for people.
    pub reason: String,
}

impl Steward {
    /// A detector named a source.
    pub fn handle_alert(&mut self, mirror: MirrorSource, severe: bool, now: Timestamp) {
        let Some(source) = self.roll.key(mirror) else {
            return;
        };
        let limits = &self.policy().rules().limits;
        let lasts = if severe {
            limits.severe_pin
        } else {
            limits.alert_pin
        };
        self.keeper.pin(row(source), Pin::Alert, lasts, now);
        self.mind.handle_event(Event::Alert { source, severe }, now);
    }

    /// A detector named a source and said why: a notice tells it, once in [`TELL_ALERT_EVERY`]
    /// and whenever it became worse.
    pub fn handle_detection(&mut self, detection: &Detection, now: Timestamp) {
        let Detection {
            mirror,
            peer,
            severe,
            ref reason,
        } = *detection;
        let Some(key) = self.roll.key(mirror) else {
            return;
        };
        self.handle_alert(mirror, severe, now);
        if let Some((at, was_severe)) = self.alerted.get(&key)
            && now.nanos_since(*at) < TELL_ALERT_EVERY
            && (*was_severe || !severe)
        {
            return;
        }
        self.alerted.insert(key, (now, severe));
        let grade = self.grade(mirror);
        let decided = Decided::Alerted {
            severe,
            peer,
            reason: reason.as_str().into(),
        };
        self.tell(key, grade, grade, decided, now);
    }

    /// The operator spoke. False if the source is not looked after.
    pub fn handle_command(&mut self, command: Command, now: Timestamp) -> bool {
        match command {
            Command::Pin(mirror, lasts) => {
                let Some(source) = self.roll.key(mirror) else {
                    return false;
                };
                let lasts = lasts.unwrap_or(FOREVER);
                self.keeper.pin(row(source), Pin::Operator, lasts, now);
                let nanos = u64::try_from(lasts.as_nanos()).unwrap_or(u64::MAX);
                let until = now.plus_nanos(nanos);
                self.mind.handle_event(Event::Pin { source, until }, now);
            }
            Command::Unpin(mirror) => {
                let Some(source) = self.roll.key(mirror) else {
                    return false;
                };
                self.keeper.unpin(row(source), Pin::Operator, now);
                let until = Timestamp::ZERO;
                self.mind.handle_event(Event::Pin { source, until }, now);
            }
            Command::Hold => self.hold(true),
            Command::Release => self.hold(false),
            Command::ResumeAll => {
                self.hold(true);
                self.keeper.resume_all();
                self.mind.handle_event(Event::ResumeAll, now);
            }
        }
        true
    }

    fn hold(&mut self, held: bool) {
        self.held = held;
        self.keeper.hold(held);
    }

    /// Other rules, as a whole. To manual everything comes back.
    pub fn handle_rules(&mut self, rules: Rules, now: Timestamp) {
        self.keeper.handle_rules(guard_rules(&rules));
        let all: Vec<(SourceKey, Enrolled)> = self
            .roll
            .iter()
            .map(|(key, enrolled)| (key, enrolled.clone()))
            .collect();
        for (key, enrolled) in &all {
            let (_, terms) = rules.terms_of(&enrolled.facts());
            let group = self.roll.group(enrolled);
            let Some(session) = self.keeper.reconciler().subject(row(*key)).cloned() else {
                continue;
            };
            let enrolment = Enrolment {
                bounds: bounds_of(&terms),
                group,
                pinned: Duration::ZERO,
            };
            self.keeper.enrol(row(*key), session, enrolment, now);
        }
        self.keeper.set_mode(keeper_mode(rules.mode));
        let roll = &self.roll;
        let is_shadow = rules.mode == Mode::Shadow;
        match &mut self.mind {
            Mind::Real(policy) if !is_shadow => {
                policy.handle_rules(rules, now, |key| roll.get(key).map(Enrolled::facts))
            }
            // What one has learned in the other's world is of no use: it begins anew.
            Mind::Real(_) | Mind::Shadow(_) => self.begin_anew(rules, &all, now),
        }
    }

    /// Another mind, which knows who there is and nothing else.
    fn begin_anew(&mut self, rules: Rules, all: &[(SourceKey, Enrolled)], now: Timestamp) {
        let seed = now.as_nanos();
        let mut mind = Mind::new(rules, seed);
        let mut kept = Vec::new();
        for (key, enrolled) in all {
            // Rows are given in order, so that everybody keeps the own one unless some are free.
            match mind.enroll(&enrolled.facts(), now) {
                Some(given) if given == *key => {}
                _ => kept.push(enrolled.mirror),
            }
        }
        self.mind = mind;
        for mirror in kept {
            self.retire(mirror, now);
        }
    }

    /// Everything comes back now; afterwards sources may be lowered again.
    pub fn recall(&mut self, now: Timestamp) {
        self.keeper.recall();
        self.mind.handle_event(Event::ResumeAll, now);
    }
}
