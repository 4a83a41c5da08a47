//! What raises a source, and what keeps it up.

use vxscope_policy::rules::Rules;
use vxscope_policy::{Bytes, Cause, Event, Hindrance, Observation, Sighted};
use vxscope_report::EventKind;
use vxscope_units::{Grade, Timestamp};

use crate::world::{START, TICK, World, all_low, at, rules, talk};

fn with(kind: EventKind, count: u32) -> Observation<'static> {
    let mut observation = talk();
    observation.events[kind.index()] = count;
    observation
}

#[test]
fn a_quiet_fleet_is_paused_by_halves_after_a_day_and_comes_back() {
    let mut world = World::new(10, all_low(), 1);
    world.talk_for(23);
    assert_eq!(
        world.policy.lowered(),
        0,
        "new sources are pinned for a day"
    );
    let mut most = 0;
    for _ in 0..72 {
        world.talk_for(1);
        most = most.max(world.policy.lowered());
    }
    assert_eq!(most, 5, "half of the group, and not more");
    let ups = world.decided.wishes.iter().filter(|wish| !wish.lowers());
    assert!(ups.clone().count() > 50);
    assert!(ups.clone().all(|wish| wish.cause == Cause::Deadline));
}

#[test]
fn a_wish_tells_the_numbers_that_allowed_it() {
    let mut world = World::new(2, all_low(), 2);
    let row = world.talk_until_lowered();
    let wish = world.decided.wishes[0];
    assert_eq!(wish.source, world.sources[row]);
    assert_eq!((wish.grade, wish.cause), (Grade::Off, Cause::Quiet));
    let numbers = wish.numbers;
    assert_eq!(numbers.events, 0);
    assert!((numbers.rate_upper - 2.9957 / numbers.hours).abs() < 1e-3);
    assert!(numbers.rate_upper * numbers.blind_max <= numbers.tolerance);
    assert_eq!((numbers.blind_max, numbers.tolerance), (4.0, 1.0));
    assert!(numbers.saving.dollars() >= 0.01);
}

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
        let source = vxscope_policy::SourceKey::new(0);
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

fn retarget(event: Event, to: vxscope_policy::SourceKey) -> Event {
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
fn two_ends_of_an_edge_are_never_hidden_together() {
    // Everybody speaks with everybody: one of them may be hidden, whatever the group would allow.
    let mut world = World::new(6, all_low(), 6);
    let keys = world.sources.clone();
    let mut lowered_once = 0;
    for _ in 0..96 * 60 {
        world.tick(true, |_, grade| {
            (grade >= Grade::Truncated).then_some(Observation {
                edges: &keys,
                ..talk()
            })
        });
        let down = world
            .grades
            .iter()
            .filter(|grade| **grade < Grade::Truncated)
            .count();
        assert!(down <= 1);
        lowered_once += down;
    }
    assert!(lowered_once > 0);
    let residual = world
        .decided
        .kept
        .iter()
        .any(|kept| kept.hindrance == Hindrance::Residual);
    assert!(residual);
}

#[test]
fn a_source_whose_flows_its_partner_shows_too_is_hidden_and_one_whose_partner_does_not_is_not() {
    // The first of each pair speaks with a critical source, which is always at full. The filter
    // of the second pair's critical source leaves their conversation out.
    for partner_shows in [true, false] {
        let text = r#"{"mode": "dynamic", "assign": [
            {"importance": "critical", "cidr": "10.0.0.1/32"},
            {"importance": "low", "cidr": "10.0.0.0/8"}]}"#;
        let mut world = World::new(4, rules(text), 31);
        let keys = world.sources.clone();
        let mut hidden = 0;
        for _ in 0..48 * 60 {
            world.tick(true, |row, grade| {
                let edges = match row {
                    0 => &keys[1..2],
                    1 if partner_shows => &keys[..1],
                    _ => &[],
                };
                (grade >= Grade::Truncated).then_some(Observation { edges, ..talk() })
            });
            hidden += u32::from(world.grades[0] < Grade::Truncated);
        }
        assert_eq!(world.grades[1], Grade::Full);
        assert_eq!(hidden > 0, partner_shows);
        let alone = world.decided.kept.iter().any(|kept| {
            kept.source == keys[0]
                && kept.hindrance == Hindrance::Residual
                && kept.numbers.residual < 1.0
        });
        assert_eq!(alone, !partner_shows);
    }
}

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
    let of_first = |kept: &&vxscope_policy::Kept| kept.source.get() == 0;
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
fn saturation_holds_at_truncated() {
    let rules: Rules = rules(
        r#"{"mode": "dynamic", "limits": {"saving_min": 0},
            "assign": [{"importance": "low", "cidr": "10.0.0.0/8"}]}"#,
    );
    let mut world = World::new(4, rules, 10);
    for _ in 0..96 * 60 {
        world.tick(true, |_, grade| {
            let saturated = Observation {
                saturated: true,
                ..talk()
            };
            (grade >= Grade::Truncated).then_some(saturated)
        });
    }
    let lowest = world.decided.wishes.iter().map(|wish| wish.grade).min();
    assert_eq!(lowest, Some(Grade::Truncated));
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
fn some_pauses_are_refused_at_random_and_what_they_would_hide_is_counted() {
    let rules = rules(
        r#"{"mode": "dynamic", "limits": {"refusal": 0.5},
            "assign": [{"importance": "low", "cidr": "10.0.0.0/8"}]}"#,
    );
    let mut world = World::new(40, rules, 12);
    for minute in 0..14 * 24 * 60_u64 {
        world.tick(true, |row, grade| {
            let rare = minute % 2_880 == 60 * (row as u64 % 48);
            (grade >= Grade::Truncated).then(|| with(EventKind::FirstEdge, u32::from(rare)))
        });
    }
    let honesty = *world.policy.honesty();
    assert!(honesty.refused > 300, "{honesty:?}");
    let unseen = honesty.unseen().unwrap();
    // One event in 48 hours, for the 3 hours of a mean pause.
    let expected = honesty.granted as f64 * 3.0 / 48.0;
    assert!(
        unseen.low <= expected && expected <= unseen.high,
        "{unseen:?} {expected}"
    );
}

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
        let mut count = |_: &vxscope_policy::Wish| wishes += 1;
        world
            .policy
            .decide(now, &crate::world::BySecond, &mut count);
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
    let addresses: Vec<_> = (0..2).map(crate::world::address).collect();
    world.policy.handle_rules(strict, at(world.now), |key| {
        Some(vxscope_policy::rules::SourceFacts::bare(
            addresses[key.index()],
        ))
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
        let mut take = |wish: &vxscope_policy::Wish| wishes.push(*wish);
        world.policy.decide(now, &crate::world::BySecond, &mut take);
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
    assert!(Timestamp::ZERO < until);
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
    let facts = vxscope_policy::rules::SourceFacts {
        role: "web",
        subnet: "a",
        ..vxscope_policy::rules::SourceFacts::bare(crate::world::address(9))
    };
    let again = world.policy.enroll(&facts, Grade::Full, at(world.now));
    assert_eq!(again, Some(key));
    let pin = world.policy.pinned_until(key).unwrap();
    assert_eq!(pin, at(world.now + 3_600), "its group has a baseline");
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
fn a_class_without_a_deadline_is_never_hidden() {
    let rules = rules(
        r#"{"mode": "dynamic", "limits": {"saving_min": 0},
            "importance": {"low": {"blind_minutes": {"flow": 0}}},
            "assign": [{"importance": "low", "cidr": "10.0.0.0/8"}]}"#,
    );
    let mut world = World::new(4, rules, 21);
    world.talk_for(72);
    let lowest = world.decided.wishes.iter().map(|wish| wish.grade).min();
    assert_eq!(lowest, Some(Grade::Truncated));
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

#[test]
fn in_place_grades_are_chosen_where_they_save_and_off_is_not_allowed() {
    let rules = rules(r#"{"mode": "dynamic"}"#);
    let mut world = World::new(4, rules, 23);
    for _ in 0..60 * 60 {
        let from = world.now;
        world.now += TICK;
        let (from, now) = (at(from), at(world.now));
        world
            .policy
            .handle_tick(Default::default(), from, now, true);
        for (row, key) in world.sources.iter().enumerate() {
            if world.grades[row] >= Grade::Truncated {
                world.policy.observe(*key, &talk());
            }
        }
        let mut wishes = Vec::new();
        let mut take = |wish: &vxscope_policy::Wish| wishes.push(*wish);
        world.policy.decide(now, &ByGigabyte, &mut take);
        for wish in wishes {
            world.grades[wish.source.index()] = wish.grade;
            world.policy.handle_grade(wish.source, wish.grade, now, now);
            if wish.lowers() {
                // Neither DNS nor management: a sentinel saves no more, and shows less.
                assert_eq!(wish.grade, Grade::Essential);
                assert_eq!(wish.importance, vxscope_policy::Importance::Standard);
                assert!((wish.numbers.saving.dollars() - 3e6 * 1e-6 * 0.75).abs() < 0.1);
            }
            world.decided.wishes.push(wish);
        }
    }
    assert!(world.decided.wishes.iter().any(|wish| wish.lowers()));
}

/// A dollar for a million bytes, and nothing for sessions.
struct ByGigabyte;

impl vxscope_policy::money::Prices for ByGigabyte {
    fn saving(&self, pause: &vxscope_policy::money::Pause) -> vxscope_policy::Usd {
        let hours = (pause.seconds.0 + pause.seconds.1) / 7_200.0;
        let rate = |grade: Grade| pause.bytes_per_hour[grade.index()];
        vxscope_policy::Usd::from_dollars((rate(pause.from) - rate(pause.to)) * hours * 1e-6)
    }

    fn paid_until(&self, _: Timestamp, now: Timestamp) -> Timestamp {
        now
    }
}

/// Hours paid when they begin, counted from the creation of the session.
struct ByStartedHour;

impl vxscope_policy::money::Prices for ByStartedHour {
    fn saving(&self, pause: &vxscope_policy::money::Pause) -> vxscope_policy::Usd {
        let cents = if pause.to == Grade::Off { 3.0 } else { 0.0 };
        vxscope_policy::Usd::from_dollars(cents / 100.0)
    }

    fn paid_until(&self, since: Timestamp, now: Timestamp) -> Timestamp {
        let hours = now.nanos_since(since) / 3_600_000_000_000 + 1;
        since.plus_nanos(hours * 3_600_000_000_000)
    }
}

#[test]
fn on_time_fills_the_hour_that_is_paid_and_one_on_time_needs_one() {
    let mut world = World::new(2, all_low(), 24);
    let mut created = [at(START); 2];
    let mut lengths = Vec::new();
    for step in 1..7 * 24 * 240_u64 {
        let now = at(START + step * 15);
        if step % 4 == 0 {
            let from = at(START + (step - 4) * 15);
            world
                .policy
                .handle_tick(Default::default(), from, now, true);
            for (row, key) in world.sources.iter().enumerate() {
                if world.grades[row] == Grade::Full {
                    world.policy.observe(*key, &talk());
                }
            }
        }
        let mut wishes = Vec::new();
        let mut take = |wish: &vxscope_policy::Wish| wishes.push(*wish);
        world.policy.decide(now, &ByStartedHour, &mut take);
        for wish in wishes {
            let row = wish.source.index();
            if wish.lowers() {
                lengths.push(now.nanos_since(created[row]) / 60_000_000_000);
            } else {
                created[row] = now;
            }
            world.grades[row] = wish.grade;
            world.policy.handle_grade(wish.source, wish.grade, now, now);
        }
    }
    assert!(lengths.len() > 20, "{lengths:?}");
    let within = |minutes: &u64| (56..60).contains(&(minutes % 60));
    assert!(lengths.iter().all(within), "{lengths:?}");
    // The others had to wait until their only companion was back.
    let in_one = lengths.iter().filter(|minutes| **minutes < 60).count();
    assert!(in_one > 3, "{lengths:?}");
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

#[test]
fn events_that_only_the_other_end_would_show_count_while_that_is_hidden() {
    let mut world = World::new(4, all_low(), 27);
    let keys = world.sources.clone();
    let sightings = |peer: usize| {
        [Sighted {
            kind: EventKind::FirstEdge,
            peer: keys[peer],
        }]
    };
    let (of_first, of_second) = (sightings(1), sightings(0));
    let mut together = [0, 0];
    for minute in 0..240 * 60_u64 {
        world.tick(true, |row, grade| {
            let mut observation = talk();
            if minute < 50 && row < 2 {
                observation.events[EventKind::FirstEdge.index()] = 1;
                observation.sightings = if row == 0 { &of_first } else { &of_second };
            }
            (grade == Grade::Full).then_some(observation)
        });
        for (pair, rows) in [[0, 1], [2, 3]].into_iter().enumerate() {
            let hidden = rows.iter().all(|row| world.grades[*row] == Grade::Off);
            together[pair] += u32::from(hidden);
        }
    }
    // For the first four days nobody else would show the fifty edges of the one.
    assert_eq!(together[0], 0);
    assert!(together[1] > 0);
}
