//! What the two ends of a conversation show of each other.

use vxscope_policy::{Hindrance, Observation, Sighted};
use vxscope_report::EventKind;
use vxscope_units::Grade;

use crate::world::{World, all_low, rules, talk};

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
