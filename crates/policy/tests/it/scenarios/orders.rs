//! What others say: rules, operators, the gate, and whoever enrols and retires.

use vxscope_policy::rules::{Rules, SourceFacts};
use vxscope_policy::{Cause, Event, Wish};
use vxscope_units::Grade;

use crate::world::{BySecond, START, TICK, World, address, all_low, at, talk};

#[test]
fn a_source_below_full_that_nobody_lowered_is_raised() {
    let mut world = World::new(2, all_low(), 13);
    let now = at(world.now);
    world
        .policy
        .handle_grade(world.sources[1], Grade::Off, now, now);
    world.decide();
    let wish = world.decided.wishes[0];
    assert_eq!((wish.cause, wish.grade), (Cause::Unplanned, Grade::Full));
}

#[test]
fn a_raise_that_does_not_happen_is_wished_again_each_minute() {
    let mut world = World::new(2, all_low(), 14);
    let row = world.talk_until_lowered();
    let key = world.sources[row];
    world
        .policy
        .handle_event(Event::NeverHit { source: key }, at(world.now));
    let mut wishes = 0;
    for second in 0..180 {
        let now = at(world.now + second);
        world
            .policy
            .handle_grade(key, Grade::Off, at(world.now), now);
        // Whatever else happens meanwhile asks for what was asked already.
        world
            .policy
            .handle_event(Event::PeerSighting { source: key }, now);
        let mut count = |_: &Wish| wishes += 1;
        world.policy.decide(now, &BySecond, &mut count);
    }
    assert_eq!(wishes, 3);
}

#[test]
fn new_rules_raise_what_they_no_longer_allow() {
    let mut world = World::new(2, all_low(), 15);
    let row = world.talk_until_lowered();
    let strict = Rules {
        assigns: Vec::new(),
        ..all_low()
    };
    let addresses: Vec<_> = (0..2).map(address).collect();
    world.policy.handle_rules(strict, at(world.now), |key| {
        Some(SourceFacts::bare(addresses[key.index()]))
    });
    world.decide();
    assert_eq!(world.grades[row], Grade::Full);
    assert_eq!(world.decided.wishes.last().unwrap().cause, Cause::Rules);
    world.talk_for(48);
    assert_eq!(
        world.policy.lowered(),
        0,
        "standard sources are not switched off"
    );
}

#[test]
fn manual_mode_brings_everybody_back() {
    let mut world = World::new(10, all_low(), 16);
    world.talk_until_lowered();
    world
        .policy
        .handle_rules(Rules::default(), at(world.now), |_| None);
    world.decide();
    assert_eq!(world.row_below_full(), None);
    world.talk_for(24);
    assert_eq!(world.policy.lowered(), 0);
}

#[test]
fn a_refused_wish_leaves_nothing_behind() {
    let mut world = World::new(2, all_low(), 17);
    world.talk_for(20);
    let mut refused = 0;
    for _ in 0..48 * 60 {
        world.now += TICK;
        let now = at(world.now);
        world
            .policy
            .handle_tick(Default::default(), at(world.now - TICK), now, true);
        for key in world.sources.clone() {
            world.policy.observe(key, &talk());
        }
        let mut wishes = Vec::new();
        let mut take = |wish: &Wish| wishes.push(*wish);
        world.policy.decide(now, &BySecond, &mut take);
        for wish in wishes {
            assert!(wish.lowers());
            world.policy.handle_refusal(wish.source, now);
            refused += 1;
        }
        assert_eq!(world.policy.lowered(), 0);
    }
    assert!(refused > 10, "{refused}");
}

#[test]
fn a_hold_stops_new_pauses_until_it_ends() {
    let mut world = World::new(4, all_low(), 18);
    let until = at(START + 60 * 3_600);
    world.policy.handle_event(Event::Hold { until }, at(START));
    world.talk_for(59);
    assert_eq!(world.decided.wishes, []);
    world.talk_for(10);
    assert!(!world.decided.wishes.is_empty());
}

#[test]
fn a_retired_source_leaves_its_row_and_no_trace() {
    let mut world = World::new(4, all_low(), 19);
    let row = world.talk_until_lowered();
    let key = world.sources[row];
    world.policy.retire(key);
    assert_eq!(
        (world.policy.planned(key), world.policy.lowered()),
        (None, 0)
    );
    world.policy.observe(key, &talk());
    assert_eq!(world.policy.counts().unknown_source, 1);
    let facts = SourceFacts {
        role: "web",
        subnet: "a",
        ..SourceFacts::bare(address(9))
    };
    let again = world.policy.enroll(&facts, Grade::Full, at(world.now));
    assert_eq!(again, Some(key));
    let pin = world.policy.pinned_until(key).unwrap();
    assert_eq!(pin, at(world.now + 3_600), "its group has a baseline");
}
