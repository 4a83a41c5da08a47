//! Shadow mode against the real thing: the same decisions, and nothing lost.

use vxscope_policy::rules::SourceFacts;
use vxscope_policy::{Observation, SensorKey, Shadow, Sighted, SourceKey, Usd, Wish};
use vxscope_report::EventKind;
use vxscope_units::{EvidenceClass, Grade};

use crate::world::{BySecond, START, TICK, World, address, all_low, at, talk};

#[test]
fn a_shadow_decides_as_the_policy_would_have() {
    // The world obeys wishes, and shows nothing of what is switched off; the shadow is shown all.
    let mut world = World::new(6, all_low(), 21);
    let (mut shadow, keys) = shadow(6, 21);
    let mut wishes = Vec::new();
    for minute in 0..96 * 60_u64 {
        let show = |row: usize| {
            let mut observation = talk();
            let event = (minute + 31 * row as u64).is_multiple_of(1_440);
            observation.events[EventKind::FirstEdge.index()] = u32::from(event);
            observation
        };
        world.tick(true, |row, grade| {
            (grade >= Grade::Truncated).then(|| show(row))
        });
        step(&mut shadow, &keys, minute, &mut wishes, show);
    }
    assert!(wishes.len() > 20);
    assert_eq!(wishes, world.decided.wishes);
    assert!(shadow.missed().pauses > 10);
    assert!(shadow.missed().events[EventKind::FirstEdge.index()] > 0);
    assert!(shadow.missed().hidden_seconds[EvidenceClass::Flow.index()] > 3_600);
}

#[test]
fn what_a_visible_peer_shows_is_not_missed_and_wakes() {
    let (mut shadow, keys) = shadow(2, 22);
    let mut wishes = Vec::new();
    let mut minute = 0;
    while wishes.is_empty() {
        step(&mut shadow, &keys, minute, &mut wishes, |_| talk());
        minute += 1;
    }
    let hidden = wishes[0].source;
    let peer = keys.iter().copied().find(|key| *key != hidden).unwrap();
    let sightings = |key| {
        [Sighted {
            kind: EventKind::FirstEdge,
            peer: if key == hidden { peer } else { hidden },
        }]
    };
    let (of_first, of_second) = (sightings(keys[0]), sightings(keys[1]));
    step(&mut shadow, &keys, minute, &mut wishes, |row| {
        let mut observation = Observation {
            sightings: if row == 0 { &of_first } else { &of_second },
            ..talk()
        };
        observation.events[EventKind::FirstEdge.index()] = 1;
        observation
    });
    assert_eq!(shadow.missed().events, [0; EventKind::COUNT]);
    assert_eq!(shadow.policy().planned(hidden), Some(Grade::Full));
}

#[test]
fn an_alert_is_missed_if_everybody_it_names_is_hidden() {
    let (mut shadow, keys) = shadow(2, 23);
    let mut wishes = Vec::new();
    let mut minute = 0;
    while wishes.is_empty() {
        step(&mut shadow, &keys, minute, &mut wishes, |_| talk());
        minute += 1;
    }
    let hidden = wishes[0].source;
    let now = at(START + minute * TICK);
    shadow.handle_alert(&[hidden], true, "ET SCAN", now);
    assert_eq!(shadow.missed().alerts_count, 1);
    assert_eq!(shadow.missed().alerts[0].text, "ET SCAN");
    assert_eq!(shadow.policy().planned(hidden), Some(Grade::Off));
    let sentence = shadow.missed().sentence(Usd::from_dollars(412.0));
    assert_eq!(
        sentence,
        "$412.0000 would have been saved in 1 pause, 1 alert missed, 0 relevant events not seen by \
         anybody"
    );
    shadow.handle_alert(&keys, false, "ET SCAN", now);
    step(&mut shadow, &keys, minute, &mut wishes, |_| talk());
    assert_eq!(shadow.missed().alerts_count, 1);
    assert_eq!(shadow.policy().planned(hidden), Some(Grade::Full));
}

fn shadow(sources: usize, seed: u64) -> (Shadow, Vec<SourceKey>) {
    let mut shadow = Shadow::new(all_low(), seed);
    let keys = (0..sources).map(|row| {
        let facts = SourceFacts {
            role: "web",
            subnet: "a",
            ..SourceFacts::bare(address(row))
        };
        shadow.enroll(&facts, at(START)).expect("room")
    });
    let keys = keys.collect();
    (shadow, keys)
}

/// One minute in which everything is really mirrored.
fn step<'a>(
    shadow: &mut Shadow,
    keys: &[SourceKey],
    minute: u64,
    wishes: &mut Vec<Wish>,
    show: impl Fn(usize) -> Observation<'a>,
) {
    let (from, to) = (START + minute * TICK, START + (minute + 1) * TICK);
    shadow.handle_tick(SensorKey::default(), at(from), at(to), true);
    for (row, key) in keys.iter().enumerate() {
        shadow.observe(*key, &show(row));
    }
    let mut take = |wish: &Wish| wishes.push(*wish);
    shadow.decide(at(to), &BySecond, &mut take);
}
