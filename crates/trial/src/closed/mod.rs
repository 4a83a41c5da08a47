//! The closed loop: the product's policy and gate over a simulated fleet. What they decide changes
//! what they see.

mod calls;
mod detectors;
mod rules;
mod sensor;

use std::collections::BTreeMap;

use vxscope_control::Row;
use vxscope_control::guard::{Enrolment, Guard, Pin, Verdict};
use vxscope_policy::money::{Ledger, Path};
use vxscope_policy::rules::SourceFacts;
use vxscope_policy::{
    Decisions, Event as PolicyEvent, Hindrance, Kept, Policy, SensorKey, SourceKey, Wish,
};
use vxscope_sim::random::hash;
use vxscope_units::{EvidenceClass, Grade, MirrorSource, Vni};

use crate::activity::Day;
use crate::cost::{REGION, timestamp};
use crate::fleet;
use crate::time::{DAY, HOUR, MINUTE, SECOND};
use crate::timeline::Timeline;
use crate::world::World;

pub use calls::Rate;
use calls::{Calls, Effect};
use detectors::{Alert, Detectors};
pub use rules::{bounds_of, fleet_rules};
use sensor::Sensor;

/// How often policy and gate are asked.
const STEP: u64 = 15 * SECOND;
/// How often the sensor reports.
const TICK: u64 = MINUTE;
/// A source with nothing but bytes to tell is told so often: the sums are the same.
const QUIET: u64 = 10 * MINUTE;
/// How often the senders' own counters are read.
const COUNTERS: u64 = 5 * MINUTE;

/// What the policy is given to sense with. Leaving some out shows what they are worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Senses {
    /// Others show a source that is hidden, and with whom it speaks.
    pub residual: bool,
    /// Detectors speak.
    pub alerts: bool,
    /// Sightings, alerts and counters end a pause early.
    pub wakeups: bool,
    /// False alerts an hour over the whole fleet, made by an attacker who wants the pins used up.
    pub storm: f64,
}

impl Senses {
    /// Everything.
    pub const ALL: Self = Self {
        residual: true,
        alerts: true,
        wakeups: true,
        storm: 0.0,
    };
}

/// Looks at a run from outside; every method may do nothing.
pub trait Watch {
    /// Before the policy decides.
    fn before_decision(&mut self) {}
    /// After it did.
    fn after_decision(&mut self) {}
}

/// Looks at nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWatch;

impl Watch for NoWatch {}

/// What a run left beside its grades.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Wishes that lowered a source, and those that the gate refused.
    pub lowered: u64,
    /// Refused by the gate, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Raises by the gate, by reason.
    pub forced: BTreeMap<&'static str, u64>,
    /// Raises by the policy, by cause.
    pub raised: BTreeMap<&'static str, u64>,
    /// Why sources that may be lowered were full: source-hours by the policy's word for it.
    pub kept_hours: BTreeMap<&'static str, u64>,
    /// Bytes of the policy's memory at the end.
    pub memory_bytes: usize,
}

/// Runs the policy over a world, and returns the grades it came to.
pub fn run(
    world: &World,
    rules: &vxscope_policy::rules::Rules,
    senses: Senses,
    watch: &mut dyn Watch,
) -> (Timeline, Run) {
    let mut closed = Closed::new(world, rules, senses);
    let mut activity = world.activity();
    let mut day = Day::default();
    let (mut events, mut contacts) = (0, 0);
    closed.come_and_go(0);
    for step in 0..world.fleet.end / STEP {
        let now = step * STEP;
        closed.take_effects(now);
        events += take_while(
            &day.events[events..],
            now,
            |one| one.at,
            |one| {
                closed.handle_event(one);
            },
        );
        contacts += take_while(
            &day.contacts[contacts..],
            now,
            |one| one.at,
            |one| {
                closed
                    .sensor
                    .handle_contact(one, &closed.keys, &closed.timeline);
            },
        );
        if now.is_multiple_of(DAY) {
            day = activity.next_day(&world.fleet);
            (events, contacts) = (0, 0);
        }
        if now > 0 && now.is_multiple_of(TICK) {
            closed.tick(now - TICK, now);
        }
        closed.come_and_go(now);
        closed.decide(now, watch);
    }
    closed.finish()
}

/// Hands on what lies before `to`, and says how much that was.
fn take_while<T>(all: &[T], to: u64, at: impl Fn(&T) -> u64, mut take: impl FnMut(&T)) -> usize {
    let count = all.partition_point(|one| at(one) < to);
    all[..count].iter().for_each(&mut take);
    count
}

/// What one decision came to.
#[derive(Default)]
struct Decided {
    wishes: Vec<Wish>,
    kept: Vec<Kept>,
}

impl Decisions for Decided {
    fn wish(&mut self, wish: &Wish) {
        self.wishes.push(*wish);
    }

    fn kept(&mut self, kept: &Kept) {
        self.kept.push(*kept);
    }
}

struct Closed<'a> {
    world: &'a World,
    senses: Senses,
    policy: Policy,
    guard: Guard,
    prices: Ledger,
    calls: Calls,
    sensor: Sensor,
    timeline: Timeline,
    /// By source: its row in the policy while it lives.
    keys: Vec<Option<SourceKey>>,
    /// By row of the policy.
    sources: Vec<u32>,
    /// By source: the grade now.
    grades: Vec<Grade>,
    /// Sources that live now.
    alive: Vec<u32>,
    born: usize,
    detectors: Detectors<'a>,
    /// Signs of attacks in order of time.
    signs: Vec<crate::activity::Event>,
    sign: usize,
    /// By source: why it was not lowered when it was looked at last.
    told: Vec<Option<Hindrance>>,
    run: Run,
}

impl<'a> Closed<'a> {
    fn new(world: &'a World, rules: &vxscope_policy::rules::Rules, senses: Senses) -> Self {
        let mut signs: Vec<_> = world
            .attacks
            .iter()
            .flat_map(|attack| attack.signs.iter().copied())
            .collect();
        signs.sort_by_key(|sign| (sign.at, sign.source));
        let mut sensor = Sensor::new(&world.fleet);
        sensor.sightings = senses.residual && senses.wakeups;
        sensor.edges = senses.residual;
        let mut guard = Guard::new(rules::guard_rules(rules));
        guard.handle_safety(true);
        Self {
            world,
            senses,
            policy: Policy::new(rules.clone(), hash(world.seed, 12)),
            guard,
            prices: Ledger::new(world.prices.clone()),
            calls: Calls::new(rules::rate(rules), hash(world.seed, 13)),
            sensor,
            timeline: Timeline::new(&world.fleet, |_| Grade::Full),
            keys: vec![None; world.fleet.sources.len()],
            sources: Vec::new(),
            grades: vec![Grade::Full; world.fleet.sources.len()],
            alive: Vec::new(),
            born: 0,
            detectors: Detectors::new(world),
            signs,
            sign: 0,
            told: vec![None; world.fleet.sources.len()],
            run: Run::default(),
        }
    }

    /// Sources whose life ends or begins by `at`.
    fn come_and_go(&mut self, at: u64) {
        let fleet = &self.world.fleet;
        let gone: Vec<u32> = self
            .alive
            .iter()
            .copied()
            .filter(|source| fleet.sources[*source as usize].alive.end <= at)
            .collect();
        for source in gone {
            self.go(source, at);
        }
        while let Some(source) = fleet.sources.get(self.born) {
            if source.alive.start > at {
                break;
            }
            let index = u32::try_from(self.born).unwrap_or(u32::MAX);
            self.born += 1;
            self.come(index, at);
        }
    }

    fn go(&mut self, source: u32, at: u64) {
        self.alive.retain(|one| *one != source);
        if let Some(key) = self.keys[source as usize].take() {
            self.policy.retire(key);
            self.prices.retire(key, timestamp(at));
        }
        self.guard.withdraw(Row::new(source), timestamp(at));
        self.calls.forget(source);
    }

    fn come(&mut self, source: u32, at: u64) {
        let fleet = &self.world.fleet;
        let one = &fleet.sources[source as usize];
        let now = timestamp(at);
        let subnet = one.group.to_string();
        let facts = SourceFacts {
            role: &fleet.role(source).name,
            subnet: &subnet,
            ..SourceFacts::bare(MirrorSource {
                address: fleet::address(source),
                vni: Vni::try_new(source + 1).unwrap_or(Vni::ZERO),
            })
        };
        let Some(key) = self.policy.enroll(&facts, Grade::Full, now) else {
            return;
        };
        let path = if one.cross_zone {
            Path::CrossAz
        } else {
            Path::SameAz
        };
        self.prices.enroll(key, REGION, path, now);
        let (_, terms) = self.policy.rules().terms_of(&facts);
        let limits = &self.policy.rules().limits;
        // The policy knows whether a group has a baseline; the gate takes what is certain.
        let pinned = if at < DAY {
            limits.new_pin
        } else {
            limits.baseline_pin
        };
        let enrolment = Enrolment {
            bounds: rules::guard_bounds(&terms),
            group: one.group,
            pinned,
        };
        self.guard.enrol(Row::new(source), enrolment, now);
        self.guard.handle_seen(Row::new(source), Grade::Full, now);
        self.keys[source as usize] = Some(key);
        if self.sources.len() <= key.index() {
            self.sources.resize(key.index() + 1, u32::MAX);
        }
        self.sources[key.index()] = source;
        self.sensor.restart(source, at);
        self.alive.push(source);
    }

    fn handle_event(&mut self, event: &crate::activity::Event) {
        if event.kind == vxscope_report::EventKind::Alert {
            let grade = self.timeline.grade(event.source, event.at);
            if grade.shows(event.class()) {
                self.detectors.mistake(event.source, event.at);
            }
        } else {
            self.sensor.handle_event(event, &self.keys, &self.timeline);
        }
    }

    /// One report of the sensor, and what others say.
    fn tick(&mut self, from: u64, to: u64) {
        while let Some(sign) = self
            .signs
            .get(self.sign)
            .copied()
            .filter(|sign| sign.at < to)
        {
            self.handle_event(&sign);
            self.sign += 1;
        }
        self.policy
            .handle_tick(SensorKey(0), timestamp(from), timestamp(to), true);
        self.report(to);
        self.read_counters(to);
        self.detectors.detect(&self.timeline, to);
        self.detectors.storm(self.senses.storm, &self.alive, to);
        self.tell_alerts(to);
        if to.is_multiple_of(HOUR) {
            self.count_kept();
        }
    }

    /// Tells who has something to tell, and everybody else in turns.
    fn report(&mut self, now: u64) {
        let turn = now / TICK % (QUIET / TICK);
        let mut due = self.sensor.take_dirty();
        due.extend(
            self.alive
                .iter()
                .filter(|source| u64::from(**source) % (QUIET / TICK) == turn),
        );
        due.sort_unstable();
        due.dedup();
        for source in due {
            let (Some(key), grade) = (self.keys[source as usize], self.grades[source as usize])
            else {
                continue;
            };
            let policy = &mut self.policy;
            self.sensor
                .tell(&self.world.fleet, source, (grade, now), |observation| {
                    policy.observe(key, observation);
                });
        }
    }

    /// The senders' own counters, of whom nothing is mirrored.
    fn read_counters(&mut self, now: u64) {
        if !self.senses.wakeups || !now.is_multiple_of(COUNTERS) {
            return;
        }
        for source in &self.alive {
            let hidden = !self.grades[*source as usize].shows(EvidenceClass::Flow);
            if let (true, Some(key)) = (hidden, self.keys[*source as usize]) {
                let from = now - COUNTERS;
                let seen =
                    crate::cost::traffic(&self.world.fleet, *source, &(from..now), Grade::Full);
                let event = PolicyEvent::Counters {
                    source: key,
                    from: timestamp(from),
                    to: timestamp(now),
                    bytes: seen.bytes,
                };
                self.policy.handle_event(event, timestamp(now));
            }
        }
    }

    fn tell_alerts(&mut self, now: u64) {
        for Alert { source, severe, .. } in self.detectors.due(now) {
            let Some(key) = self.keys[source as usize] else {
                continue;
            };
            let paused = self.grades[source as usize] < Grade::Full;
            if !self.senses.alerts || (!self.senses.wakeups && paused) {
                continue;
            }
            let event = PolicyEvent::Alert {
                source: key,
                severe,
            };
            self.policy.handle_event(event, timestamp(now));
            let limits = &self.policy.rules().limits;
            let length = if severe {
                limits.severe_pin
            } else {
                limits.alert_pin
            };
            self.guard
                .pin(Row::new(source), Pin::Alert, length, timestamp(now));
        }
    }

    fn count_kept(&mut self) {
        let full = self
            .alive
            .iter()
            .filter(|source| self.grades[**source as usize] == Grade::Full);
        for told in full.filter_map(|source| self.told[*source as usize]) {
            *self.run.kept_hours.entry(told.name()).or_default() += 1;
        }
    }

    /// What is decided, and what is sent.
    fn decide(&mut self, now: u64, watch: &mut dyn Watch) {
        let mut decided = Decided::default();
        watch.before_decision();
        self.policy
            .decide(timestamp(now), &self.prices, &mut decided);
        watch.after_decision();
        for kept in decided.kept {
            self.told[self.sources[kept.source.index()] as usize] = Some(kept.hindrance);
        }
        for wish in decided.wishes {
            self.handle_wish(&wish, now);
        }
        for forced in self.guard.force(timestamp(now)) {
            *self.run.forced.entry(forced.why.name()).or_default() += 1;
            self.calls.want(forced.row.get(), forced.grade, now);
        }
        self.calls.send(&(now..now + STEP));
    }

    fn take_effects(&mut self, now: u64) {
        while let Some(effect) = self.calls.poll_effect(now) {
            self.take_effect(effect, now);
        }
    }

    fn take_effect(&mut self, effect: Effect, now: u64) {
        let Some(key) = self.keys[effect.source as usize] else {
            return;
        };
        self.timeline.set(effect.source, effect.at, effect.grade);
        self.grades[effect.source as usize] = effect.grade;
        self.sensor.restart(effect.source, effect.at);
        let (since, now) = (timestamp(effect.at), timestamp(now));
        self.policy.handle_grade(key, effect.grade, since, now);
        self.guard
            .handle_seen(Row::new(effect.source), effect.grade, now);
    }

    fn handle_wish(&mut self, wish: &Wish, now: u64) {
        let source = self.sources[wish.source.index()];
        if wish.lowers() {
            self.run.lowered += 1;
        } else {
            *self.run.raised.entry(wish.cause.name()).or_default() += 1;
        }
        match self
            .guard
            .judge(Row::new(source), wish.grade, timestamp(now))
        {
            Verdict::Granted(grade) => self.calls.want(source, grade, now),
            Verdict::Refused(refusal) => {
                *self.run.refused.entry(refusal.name()).or_default() += 1;
                self.policy.handle_refusal(wish.source, timestamp(now));
            }
        }
    }

    fn finish(mut self) -> (Timeline, Run) {
        self.run.memory_bytes = self.policy.memory_bytes();
        (self.timeline, self.run)
    }
}

#[cfg(test)]
mod tests;
