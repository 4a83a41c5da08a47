//! Laws that hold whatever happens: random fleets, events, losses and refusals.

use std::collections::BTreeMap;

use proptest::prelude::*;
use vxscope_policy::rules::Rules;
use vxscope_policy::{Cause, Event, Importance, Observation, SensorKey, SourceKey, Wish};
use vxscope_report::EventKind;
use vxscope_units::{EvidenceClass, Grade};

use crate::world::{BySecond, START, TICK, World, at, rules, talk};

/// Something that may happen to a source in an hour.
#[derive(Clone, Copy, Debug)]
enum Luck {
    Nothing,
    Alert(bool),
    NeverHit,
    NewEdge,
    Loss,
    Silence,
    Edge(usize),
    Pin,
    Refusal,
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![
        30 => Just(Luck::Nothing),
        1 => any::<bool>().prop_map(Luck::Alert),
        1 => Just(Luck::NeverHit),
        2 => Just(Luck::NewEdge),
        1 => Just(Luck::Loss),
        1 => Just(Luck::Silence),
        3 => (0_usize..SOURCES).prop_map(Luck::Edge),
        1 => Just(Luck::Pin),
        2 => Just(Luck::Refusal),
    ]
}

const SOURCES: usize = 8;
const HOURS: usize = 90;

fn mixed() -> Rules {
    rules(
        r#"{"mode": "dynamic",
            "limits": {"saving_min": 0, "refusal": 0.1},
            "assign": [
                {"importance": "critical", "cidr": "10.0.0.0/31"},
                {"importance": "standard", "allow_off": true, "cidr": "10.0.0.2/31"},
                {"importance": "low", "cidr": "10.0.0.4/30"}]}"#,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_wish_breaks_a_law(
        lucks in proptest::collection::vec(luck(), HOURS * SOURCES), seed: u64
    ) {
        let mut world = World::new(SOURCES, mixed(), seed);
        let mut watch = Watch::default();
        for hour in 0..HOURS {
            let of_hour = &lucks[hour * SOURCES..][..SOURCES];
            strike(&mut world, of_hour);
            for minute in 0..60 {
                play(&mut world, of_hour, minute);
                watch.check(&world)?;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_slow_control_hides_no_edge_at_both_ends(
        delays in proptest::collection::vec(0_u64..12, 64), seed: u64, spread in 1_usize..4
    ) {
        let mut world = World::new(SOURCES, mixed(), seed);
        let mut calls: Vec<(u64, Wish)> = Vec::new();
        let mut lowered = 0;
        for minute in 0..80 * 60_u64 {
            let peers: Vec<[SourceKey; 2]> = (0..SOURCES)
                .map(|row| [spread, SOURCES - spread].map(|away| world.sources[(row + away) % SOURCES]))
                .collect();
            for (row, key) in world.sources.clone().into_iter().enumerate() {
                // What is due is done now; of two calls for one source the later one holds.
                let due = calls.iter().rposition(|(at, wish)| *at <= minute && wish.source == key);
                if let Some(index) = due {
                    world.grades[row] = calls[index].1.grade;
                    calls.retain(|(at, wish)| *at > minute || wish.source != key);
                }
                let now = at(world.now);
                world.policy.handle_grade(key, world.grades[row], now, now);
            }
            advance(&mut world, &peers);
            let wishes = std::mem::take(&mut world.decided.wishes);
            for (index, wish) in wishes.into_iter().enumerate() {
                lowered += u32::from(wish.lowers());
                let delay = delays[(calls.len() + 7 * index) % delays.len()];
                // Control keeps the order of what it was asked for one source.
                let last = calls.iter().filter(|(_, one)| one.source == wish.source);
                let last = last.map(|(at, _)| *at).max().unwrap_or(0);
                calls.push(((minute + 1 + delay).max(last), wish));
            }
            let hidden = |row: usize| world.grades[row % SOURCES] < Grade::Truncated;
            for row in 0..SOURCES {
                let both = hidden(row) && hidden(row + spread);
                prop_assert!(!both || minute < 60, "{row} and {}", row + spread);
            }
        }
        prop_assert!(lowered > 0);
    }
}

/// One minute in which everybody speaks with two others; decides without carrying out.
fn advance(world: &mut World, peers: &[[SourceKey; 2]]) {
    let from = at(world.now);
    world.now += TICK;
    let now = at(world.now);
    world
        .policy
        .handle_tick(SensorKey::default(), from, now, true);
    for (row, key) in world.sources.iter().enumerate() {
        if world.grades[row] >= Grade::Truncated {
            let observation = Observation {
                edges: &peers[row],
                ..talk()
            };
            world.policy.observe(*key, &observation);
        }
    }
    world.policy.decide(now, &BySecond, &mut world.decided);
}

/// What comes from outside the traffic.
fn strike(world: &mut World, lucks: &[Luck]) {
    let now = at(world.now);
    for (row, luck) in lucks.iter().enumerate() {
        let source = world.sources[row];
        match luck {
            Luck::Alert(severe) => {
                let severe = *severe;
                world
                    .policy
                    .handle_event(Event::Alert { source, severe }, now);
            }
            Luck::Pin => {
                let until = at(world.now + 7_200);
                world.policy.handle_event(Event::Pin { source, until }, now);
            }
            Luck::Refusal => world.policy.handle_refusal(source, now),
            _ => {}
        }
        if let Some(grade) = world.policy.planned(source) {
            world.grades[row] = grade;
            world.policy.handle_grade(source, grade, now, now);
        }
    }
}

/// One minute of traffic.
fn play(world: &mut World, lucks: &[Luck], minute: usize) {
    let lossy = minute == 5 && lucks.iter().any(|luck| matches!(luck, Luck::Loss));
    let keys: Vec<[SourceKey; 1]> = lucks
        .iter()
        .map(|luck| match luck {
            Luck::Edge(peer) => [world.sources[*peer]],
            _ => [world.sources[0]],
        })
        .collect();
    world.tick(!lossy, |row, grade| {
        let luck = lucks[row];
        if grade < Grade::Truncated || matches!(luck, Luck::Silence) {
            return None;
        }
        let mut observation = Observation { ..talk() };
        if matches!(luck, Luck::Edge(_)) {
            observation.edges = &keys[row];
        }
        if minute == 10 {
            observation.events[EventKind::FirstEdge.index()] =
                u32::from(matches!(luck, Luck::NewEdge));
            observation.events[EventKind::NeverHit.index()] =
                u32::from(matches!(luck, Luck::NeverHit));
        }
        Some(observation)
    });
}

/// Follows all wishes and holds them to the laws.
#[derive(Default)]
struct Watch {
    seen: usize,
    /// When each source was lowered, and for how long it may be.
    down_since: BTreeMap<SourceKey, (u64, u64)>,
    up_since: BTreeMap<SourceKey, u64>,
    changes: BTreeMap<SourceKey, Vec<u64>>,
}

impl Watch {
    fn check(&mut self, world: &World) -> Result<(), TestCaseError> {
        let wishes: Vec<Wish> = world.decided.wishes[self.seen..].to_vec();
        self.seen = world.decided.wishes.len();
        for wish in &wishes {
            self.check_wish(wish, world)?;
        }
        for (source, (since, most)) in &self.down_since {
            if world.grades[source.index()] < Grade::Full {
                let blind = world.now - since;
                prop_assert!(blind <= most + TICK, "{source:?} blind for {blind} s");
            }
        }
        let down = world
            .grades
            .iter()
            .filter(|grade| **grade < Grade::Full)
            .count();
        prop_assert!(down <= SOURCES / 2, "{down} of the group");
        Ok(())
    }

    fn check_wish(&mut self, wish: &Wish, world: &World) -> Result<(), TestCaseError> {
        let source = wish.source;
        let changes = self.changes.entry(source).or_default();
        if wish.lowers() {
            changes.push(world.now);
        } else {
            changes.push(world.now);
            self.up_since.insert(source, world.now);
            self.down_since.remove(&source);
            return Ok(());
        }
        let recent = changes
            .iter()
            .filter(|at| **at + 86_400 > world.now)
            .count();
        prop_assert!(recent <= 24);
        let rules = world.policy.rules();
        let terms = rules.terms[wish.importance.index()];
        prop_assert_ne!(wish.importance, Importance::Critical);
        prop_assert_eq!(wish.cause, Cause::Quiet);
        prop_assert!(wish.grade >= Grade::Off);
        prop_assert!(world.now >= START + 86_400, "new sources are pinned");
        let pinned = world.policy.pinned_until(source).unwrap_or_default();
        prop_assert!(pinned <= at(world.now));
        let numbers = wish.numbers;
        prop_assert!(numbers.rate_upper * numbers.blind_max <= numbers.tolerance + 1e-12);
        prop_assert!((numbers.tolerance - terms.tolerance).abs() < 1e-12);
        let blind_max = terms
            .blind_max_of(wish.grade)
            .map_or(0, |most| most.as_secs());
        let until = wish.until.map_or(u64::MAX, |until| until.seconds());
        prop_assert!(until <= world.now + blind_max);
        prop_assert!(until + 1 >= world.now + blind_max / 2);
        if let Some(up) = self.up_since.get(&source) {
            prop_assert!(world.now - up >= terms.on_min.as_secs() - TICK);
        }
        prop_assert!(
            wish.grade.shows(EvidenceClass::Flow) || (numbers.residual - 1.0).abs() < 1e-12
        );
        self.down_since.insert(source, (world.now, blind_max));
        Ok(())
    }
}
