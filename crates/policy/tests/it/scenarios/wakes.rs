//! What happens keeps a source up, or raises it at once.

use vxscope_policy::{Cause, Event, Hindrance, Observation, Sighted, SourceKey};
use vxscope_report::EventKind;
use vxscope_units::Grade;

use super::with;
use crate::world::{START, World, all_low, at};

#[test]
fn events_keep_a_source_up_and_only_those_that_a_pause_would_hide() {
    let busy = |kind| {
        let mut world = World::new(4, all_low(), 3);
        for minute in 0..72 * 60 {
            world.tick(true, |row, grade| {
                let event = row == 0 && minute % 60 == 0;
                (grade >= Grade::Truncated).then(|| with(kind, u32::from(event)))
            });
        }
        let told = world
            .decided
            .kept
            .iter()
            .filter(|kept| kept.source.get() == 0);
        let lowered = world
            .decided
            .wishes
            .iter()
            .any(|wish| wish.source.get() == 0);
        (lowered, told.map(|kept| kept.hindrance).next_back())
    };
    assert_eq!(
        busy(EventKind::FirstEdge),
        (false, Some(Hindrance::Relevant))
    );
    assert_eq!(
        busy(EventKind::FirstDomain),
        (false, Some(Hindrance::Relevant))
    );
}

#[test]
fn everything_that_wakes_does_so_at_the_next_decision() {
    let wakes: [(Event, Cause); 7] = {
        let source = SourceKey::new(0);
        let hour_ago = |now: u64| at(now - 3_600);
        let now = START + 100 * 3_600;
        [
            (
                Event::Alert {
                    source,
                    severe: false,
                },
                Cause::Alert,
            ),
            (Event::PeerSighting { source }, Cause::PeerSighting),
            (Event::NeverHit { source }, Cause::NeverHit),
            (Event::ConfigChanged { source }, Cause::ConfigChanged),
            (
                Event::Counters {
                    source,
                    from: hour_ago(now),
                    to: at(now),
                    bytes: 100_000_000,
                },
                Cause::CountersMoved,
            ),
            (
                Event::Pin {
                    source,
                    until: at(u64::from(u32::MAX)),
                },
                Cause::Pinned,
            ),
            (Event::ResumeAll, Cause::Manual),
        ]
    };
    for (event, cause) in wakes {
        let mut world = World::new(2, all_low(), 4);
        let row = world.talk_until_lowered();
        world
            .policy
            .handle_event(retarget(event, world.sources[row]), at(world.now));
        world.decide();
        let last = world.decided.wishes.last().expect("a wish");
        assert_eq!((last.grade, last.cause), (Grade::Full, cause), "{event:?}");
        assert_eq!(world.grades[row], Grade::Full);
    }
}

fn retarget(event: Event, to: SourceKey) -> Event {
    match event {
        Event::Alert { severe, .. } => Event::Alert { source: to, severe },
        Event::PeerSighting { .. } => Event::PeerSighting { source: to },
        Event::NeverHit { .. } => Event::NeverHit { source: to },
        Event::ConfigChanged { .. } => Event::ConfigChanged { source: to },
        Event::Counters {
            from,
            to: end,
            bytes,
            ..
        } => Event::Counters {
            source: to,
            from,
            to: end,
            bytes,
        },
        Event::Pin { until, .. } => Event::Pin { source: to, until },
        other => other,
    }
}

#[test]
fn a_peer_that_sees_something_new_wakes_the_hidden_end() {
    let mut world = World::new(2, all_low(), 5);
    let hidden = world.talk_until_lowered();
    let sightings = [Sighted {
        kind: EventKind::FirstEdge,
        peer: world.sources[hidden],
    }];
    world.tick(true, |row, _| {
        (row != hidden).then_some(Observation {
            sightings: &sightings,
            ..with(EventKind::FirstEdge, 1)
        })
    });
    assert_eq!(world.grades[hidden], Grade::Full);
    assert_eq!(
        world.decided.wishes.last().unwrap().cause,
        Cause::PeerSighting
    );
}

#[test]
fn a_late_report_that_shows_too_much_ends_the_pause() {
    let mut world = World::new(2, all_low(), 20);
    let row = world.talk_until_lowered();
    // Thirty new edges in what was watched for about a day are far above one in four hours.
    let late = with(EventKind::FirstEdge, 30);
    world.policy.observe(world.sources[row], &late);
    world.decide();
    let last = world.decided.wishes.last().unwrap();
    assert_eq!((last.cause, last.grade), (Cause::Relevant, Grade::Full));
}

#[test]
fn a_storm_of_alerts_stops_pausing_and_refuses_no_pin() {
    let mut world = World::new(20, all_low(), 11);
    world.talk_until_lowered();
    for row in 0..10 {
        let source = world.sources[row];
        let alert = Event::Alert {
            source,
            severe: true,
        };
        world.policy.handle_event(alert, at(world.now));
        let until = world.policy.pinned_until(source);
        assert_eq!(until, Some(at(world.now + 24 * 3_600)));
    }
    world.decide();
    let before = world
        .decided
        .wishes
        .iter()
        .filter(|wish| wish.lowers())
        .count();
    world.talk_for(23);
    let after = world
        .decided
        .wishes
        .iter()
        .filter(|wish| wish.lowers())
        .count();
    assert_eq!(after, before, "more than a fifth of the fleet is pinned");
    world.talk_for(24);
    assert!(
        world
            .decided
            .wishes
            .iter()
            .filter(|wish| wish.lowers())
            .count()
            > before
    );
}

#[test]
fn alerts_of_retired_sources_do_not_hold_the_others() {
    let mut world = World::new(10, all_low(), 22);
    for row in 5..10 {
        let source = world.sources[row];
        let alert = Event::Alert {
            source,
            severe: true,
        };
        world.policy.handle_event(alert, at(world.now));
        world.policy.retire(source);
    }
    world.sources.truncate(5);
    world.talk_until_lowered();
}
