//! Nothing is concluded from what nobody watched.

use vxscope_policy::{Bytes, Event, Hindrance, Kept, Observation};
use vxscope_units::Grade;

use crate::world::{START, World, all_low, at, rules, talk};

#[test]
fn what_is_not_known_is_never_concluded_from() {
    type Shows = fn(usize) -> Option<Observation<'static>>;
    let table: [(Hindrance, Shows, bool); 4] = [
        (Hindrance::Silent, |_| None, true),
        (
            Hindrance::OneWay,
            |_| {
                Some(Observation {
                    ingress_bytes: 0,
                    ..talk()
                })
            },
            true,
        ),
        (Hindrance::Unavailable, |_| Some(talk()), false),
        (
            Hindrance::Saving,
            |_| {
                let bytes = Bytes {
                    bulk: 40_000,
                    other: 10_000,
                    ..Bytes::default()
                };
                Some(Observation { bytes, ..talk() })
            },
            true,
        ),
    ];
    for (hindrance, shows, loss_free) in table {
        let mut world = World::new(4, all_low(), 7);
        // The first day is well; then something is not.
        for minute in 0..96 * 60 {
            let is_well = minute < 60 || (loss_free || minute % 50 != 0);
            world.tick(is_well, |row, grade| {
                if minute < 60 {
                    return Some(talk());
                }
                (grade >= Grade::Truncated).then(|| shows(row)).flatten()
            });
        }
        assert_eq!(world.decided.wishes, [], "{hindrance:?}");
        let told = world
            .decided
            .kept
            .iter()
            .any(|kept| kept.hindrance == hindrance);
        assert!(told, "{hindrance:?} among {:?}", world.decided.kept);
    }
}

#[test]
fn an_idle_source_is_lowered_once_its_counters_confirm_it() {
    let mut world = World::new(4, all_low(), 8);
    for minute in 0..72 * 60_u64 {
        let now = world.now;
        if minute % 5 == 0 && minute > 0 {
            for source in world.sources.clone() {
                let event = Event::Counters {
                    source,
                    from: at(now - 300),
                    to: at(now),
                    bytes: 200,
                };
                world.policy.handle_event(event, at(now));
            }
        }
        world.tick(true, |_, _| (minute == 0).then(talk));
    }
    assert!(!world.decided.wishes.is_empty());
}

#[test]
fn counters_that_move_while_nothing_comes_mean_a_broken_mirror() {
    let mut world = World::new(4, all_low(), 9);
    for minute in 0..72 * 60_u64 {
        let now = world.now;
        if minute % 5 == 0 && minute > 0 {
            let source = world.sources[0];
            let event = Event::Counters {
                source,
                from: at(now - 300),
                to: at(now),
                bytes: 9_000_000,
            };
            world.policy.handle_event(event, at(now));
        }
        world.tick(true, |row, grade| {
            // The mirror of the first shows something for one minute in two hours.
            (grade == Grade::Full && (row > 0 || minute % 120 == 0)).then(talk)
        });
    }
    let of_first = |kept: &&Kept| kept.source.get() == 0;
    let told = world.decided.kept.iter().filter(of_first);
    let told: Vec<Hindrance> = told.map(|kept| kept.hindrance).collect();
    assert!(told.contains(&Hindrance::Unavailable), "{told:?}");
    assert!(
        world
            .decided
            .wishes
            .iter()
            .all(|wish| wish.source.get() != 0)
    );
}

#[test]
fn silence_between_two_packets_counts_only_while_it_is_short() {
    for (gap, is_watched) in [(14, true), (31, false)] {
        let mut world = World::new(4, all_low(), 25);
        for minute in 0..80 * 60_u64 {
            world.tick(true, |_, grade| {
                (grade == Grade::Full && minute.is_multiple_of(gap)).then(talk)
            });
        }
        let lowered = world.decided.wishes.iter().any(|wish| wish.lowers());
        assert_eq!(lowered, is_watched, "a packet every {gap} minutes");
    }
}

#[test]
fn an_on_time_counts_only_as_far_as_it_was_watched() {
    // All but one of the group may be hidden, so that nobody waits for others.
    let rules = rules(
        r#"{"mode": "dynamic", "importance": {"low": {"group_lowered_max": 1}},
            "assign": [{"importance": "low", "cidr": "10.0.0.0/8"}]}"#,
    );
    let mut world = World::new(8, rules, 26);
    let mut raised = vec![START; 8];
    let mut pauses = 0;
    for _ in 0..120 * 60 {
        let (now, up) = (world.now, raised.clone());
        let before = world.decided.wishes.len();
        // Nobody says anything in the first twenty minutes of an on-time.
        world.tick(true, |row, grade| {
            (grade == Grade::Full && now - up[row] >= 1_200).then(talk)
        });
        for wish in &world.decided.wishes[before..] {
            let row = wish.source.index();
            if wish.lowers() {
                pauses += 1;
                assert!(world.now - raised[row] >= 1_200 + 56 * 60, "{wish:?}");
            } else {
                raised[row] = world.now;
            }
        }
    }
    assert!(pauses > 5, "{pauses}");
}
