//! The closed loop on small fleets.

use vxscope_policy::rules::{Limits, Rules};

use super::*;
use crate::fleet::{STANDARD, Spec};
use crate::outcome::Outcome;
use crate::world::{Setup, World};

#[test]
fn the_policy_lowers_sources_and_keeps_every_bound() {
    let (world, rules) = stage(120, 6, 1);
    let (timeline, run) = run(&world, &rules, Senses::ALL, &mut NoWatch);
    assert!(run.lowered > 300, "{run:?}");
    let outcome = Outcome::new("dynamic", &world, timeline);
    let certain = outcome.all().certain_pausable;
    assert!(
        certain.total > 200 && certain.seen == certain.total,
        "{certain:?}"
    );
    assert!(outcome.blindness.max > HOUR);
    assert!(
        outcome.blindness.overrun_max <= world.bounds.margin,
        "{:?}",
        outcome.blindness
    );
}

#[test]
fn the_same_seed_gives_the_same_grades() {
    let [(one, _), (same, _), (other, _)] = [2, 2, 3].map(|seed| {
        let (world, rules) = stage(60, 3, seed);
        run(&world, &rules, Senses::ALL, &mut NoWatch)
    });
    assert_eq!(one, same);
    assert_ne!(one, other);
}

#[test]
fn attacks_without_signs_change_nothing() {
    let (mut world, rules) = stage(60, 3, 4);
    let (with, _) = run(&world, &rules, Senses::ALL, &mut NoWatch);
    world.placebos.clear();
    let (without, _) = run(&world, &rules, Senses::ALL, &mut NoWatch);
    assert_eq!(with, without);
}

#[test]
fn what_is_hidden_is_not_told() {
    let (world, _) = stage(60, 1, 5);
    let mut day = world.activity().next_day(&world.fleet);
    day.events.retain(|event| {
        world.fleet.sources[event.source as usize].alive.start == 0 && event.peer.is_none()
    });
    let event = day.events[0];
    let keys = vec![Some(SourceKey::new(0)); world.fleet.sources.len()];
    for (grade, shown) in Grade::ALL.map(|grade| (grade, grade.shows(event.class()))) {
        let mut sensor = Sensor::new(&world.fleet);
        let timeline = crate::baseline::always(&world.fleet, grade);
        sensor.handle_event(&event, &keys, &timeline);
        assert_eq!(
            !sensor.take_dirty().is_empty(),
            shown,
            "{grade} {:?}",
            event.kind
        );
    }
}

#[test]
fn a_storm_of_alerts_ends_pausing() {
    let (world, rules) = stage(60, 4, 6);
    let calm = run(&world, &rules, Senses::ALL, &mut NoWatch).1;
    let storm = Senses {
        storm: 12.0,
        ..Senses::ALL
    };
    let stormy = run(&world, &rules, storm, &mut NoWatch).1;
    assert!(stormy.lowered * 4 < calm.lowered, "{stormy:?} {calm:?}");
}

fn stage(sources: u32, days: u32, seed: u64) -> (World, Rules) {
    let spec = Spec::parse(STANDARD).expect("well-formed");
    let rules = fleet_rules(&spec, Limits::default());
    let world = World::new(&Setup {
        spec,
        sources,
        days,
        seed,
        bounds: bounds_of(&rules),
        prices: vxscope_policy::money::PriceTable::published().expect("well-formed"),
        real: None,
    });
    (world, rules)
}
