//! Pauses, wake-ups and returns.

use std::time::Duration;

use vxscope_policy::rules::Mode;
use vxscope_steward::{Command, Decided, Learned};
use vxscope_units::Grade;

use super::fleet::{Fleet, mirror, rules};

#[test]
fn quiet_sources_are_paused_and_come_back_by_themselves() {
    let mut fleet = dynamic();
    fleet.run(200);
    assert!(fleet.count("granted", "quiet") >= 6, "{:?}", fleet.notices);
    assert!(fleet.count("granted", "deadline") >= 5);
    let guard = fleet.embedded.steward().keeper().guard();
    assert!(
        guard.overrun_max().as_secs() <= 3,
        "{:?}",
        guard.overrun_max()
    );
    let total = fleet.embedded.steward().ledger().total(fleet.now());
    assert!(total.saved().low > vxscope_policy::Usd::ZERO);
}

#[test]
fn at_most_half_of_a_group_is_off_at_any_time() {
    let mut fleet = dynamic();
    let mut most = 0;
    for _ in 0..200 {
        fleet.run(1);
        most = most.max(fleet.lowered());
    }
    assert_eq!(most, 3);
}

#[test]
fn whoever_another_one_sees_misbehave_is_back_in_seconds() {
    let mut fleet = dynamic();
    while fleet.lowered() == 0 {
        fleet.run(1);
    }
    let off = (0..6)
        .find(|source| fleet.grade(*source) == Grade::Off)
        .unwrap();
    let on = (0..6)
        .find(|source| fleet.grade(*source) == Grade::Full)
        .unwrap();
    fleet.strike(off, on);
    fleet.run(5);
    assert_eq!(fleet.grade(off), Grade::Full);
    assert_eq!(
        fleet.count("granted", "peer_sighting") + fleet.count("granted", "never_hit"),
        1
    );
}

#[test]
fn an_alert_brings_a_source_back_and_keeps_it() {
    let mut fleet = dynamic();
    while fleet.lowered() == 0 {
        fleet.run(1);
    }
    let off = (0..6)
        .find(|source| fleet.grade(*source) == Grade::Off)
        .unwrap();
    fleet.embedded.handle_alert(mirror(off), false, fleet.now());
    fleet.run(5);
    for _ in 0..20 {
        fleet.run(1);
        assert_eq!(fleet.grade(off), Grade::Full);
    }
}

#[test]
fn resume_all_brings_everybody_back_and_nobody_leaves_until_release() {
    let mut fleet = dynamic();
    while fleet.lowered() < 2 {
        fleet.run(1);
    }
    assert!(
        fleet
            .embedded
            .handle_command(Command::ResumeAll, fleet.now())
    );
    let takes = fleet.embedded.steward().resume_takes();
    fleet.run(takes.as_secs() + 2);
    for _ in 0..60 {
        assert_eq!(fleet.lowered(), 0);
        fleet.run(1);
    }
    let before = fleet.count("granted", "quiet");
    assert!(fleet.embedded.handle_command(Command::Release, fleet.now()));
    fleet.run(60);
    assert!(fleet.count("granted", "quiet") > before);
}

#[test]
fn a_pinned_source_stays_until_it_is_unpinned() {
    let mut fleet = dynamic();
    let pin = Command::Pin(mirror(2), None);
    assert!(
        !fleet.embedded.handle_command(pin, fleet.now()),
        "nobody knows it yet"
    );
    fleet.run(6);
    assert!(fleet.embedded.handle_command(pin, fleet.now()));
    for _ in 0..120 {
        fleet.run(1);
        assert_eq!(fleet.grade(2), Grade::Full);
    }
    assert!(
        fleet
            .embedded
            .handle_command(Command::Unpin(mirror(2)), fleet.now())
    );
    let before = fleet.notices.len();
    fleet.run(120);
    let lowered =
        fleet.notices.iter().skip(before).any(|notice| {
            notice.mirror == mirror(2) && matches!(notice.decided, Decided::Granted(_))
        });
    assert!(lowered);
}

#[test]
fn manual_brings_everybody_back() {
    let mut fleet = dynamic();
    while fleet.lowered() < 2 {
        fleet.run(1);
    }
    fleet
        .embedded
        .handle_rules(rules(Mode::Manual), fleet.now());
    fleet.run(5);
    for _ in 0..60 {
        assert_eq!(fleet.lowered(), 0);
        fleet.run(1);
    }
}

#[test]
fn without_a_mode_nothing_is_lowered() {
    let mut fleet = Fleet::new(6, rules(Mode::default()), 1);
    fleet.run(120);
    assert_eq!(fleet.lowered(), 0);
    assert_eq!(fleet.count("granted", "quiet"), 0);
}

#[test]
fn in_the_shadow_mirrors_stay_on_and_what_would_have_been_is_told() {
    let mut fleet = Fleet::new(6, rules(Mode::Shadow), 1);
    for _ in 0..100 {
        fleet.run(1);
        assert_eq!(fleet.lowered(), 0);
    }
    assert!(fleet.count("imagined", "quiet") > 3);
    let steward = fleet.embedded.steward();
    let missed = steward.missed().unwrap();
    assert!(missed.pauses > 3);
    assert!(steward.ledger().total(fleet.now()).saved().low > vxscope_policy::Usd::ZERO);
}

#[test]
fn the_same_seed_gives_the_same_decisions() {
    let run = |seed| {
        let mut fleet = Fleet::new(6, rules(Mode::Dynamic), seed);
        fleet.run(100);
        let lines = fleet
            .notices
            .iter()
            .map(|notice| notice.to_json().to_string());
        lines.collect::<Vec<_>>()
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn a_decision_explains_itself_in_numbers() {
    let mut fleet = dynamic();
    fleet.run(60);
    let granted = fleet
        .notices
        .iter()
        .find(|notice| notice.reason() == "quiet");
    let json = granted.unwrap().to_json();
    let numbers = &json["numbers"];
    let expected = numbers["expected_upper"].as_f64().unwrap();
    assert!(
        expected > 0.0 && expected <= numbers["tolerance"].as_f64().unwrap(),
        "{json}"
    );
    assert!(numbers["hours"].as_f64().unwrap() > 0.0);
    for key in [
        "at",
        "outer_ip",
        "vni",
        "interface",
        "from",
        "until",
        "sentence",
        "outcome",
        "importance",
    ] {
        assert!(json.get(key).is_some(), "{key} is missing in {json}");
    }
}

fn dynamic() -> Fleet {
    Fleet::new(6, rules(Mode::Dynamic), 1)
}

#[test]
fn a_restart_forgets_nothing_that_was_learned() {
    let rules = || {
        let mut rules = rules(Mode::Dynamic);
        // In a life as short as this one a new source is never lowered.
        rules.limits.new_pin = Duration::from_secs(40);
        rules.limits.baseline_pin = Duration::from_secs(40);
        rules
    };
    let mut before = Fleet::new(6, rules(), 5);
    before.run(10);
    before.speak(0, 3);
    before.run(50);
    assert!(before.lowered() > 0);
    let steward = before.embedded.steward();
    let all: Vec<_> = steward.looked_after(None).collect();
    assert_eq!(all.len(), 6);
    assert_eq!(
        steward.looked_after(Some(all[2])).collect::<Vec<_>>(),
        all[3..]
    );
    let learned = |fleet: &Fleet| -> Vec<_> {
        let steward = fleet.embedded.steward();
        let each = steward.looked_after(None);
        each.filter_map(|one| Some((one, steward.learned(one)?)))
            .collect()
    };
    let kept = learned(&before);
    let (first, other) = (&kept[0].1, &kept[3].1);
    assert_eq!(first.edges[0].outer_ip, mirror(3).address);
    assert_eq!(other.edges[0].outer_ip, mirror(0).address);
    // As text, as it lies in the file.
    let text = serde_json::to_string(&kept[0].1).unwrap();
    assert_eq!(&serde_json::from_str::<Learned>(&text).unwrap(), first);
    // One that remembers goes on at once, one that does not watches for as long as a new one.
    for remembers in [true, false] {
        let mut after = Fleet::later(6, rules(), 6, 60);
        if remembers {
            after.embedded.remember(kept.clone());
        }
        after.run(20);
        assert_eq!(after.lowered() > 0, remembers);
        if remembers {
            for ((_, old), (_, new)) in kept.iter().zip(learned(&after)) {
                assert_eq!(new.evidence.enrolled, old.evidence.enrolled);
                assert!(
                    old.edges
                        .iter()
                        .all(|edge| { new.edges.iter().any(|one| one.outer_ip == edge.outer_ip) })
                );
            }
        }
    }
}

#[test]
fn pins_of_alerts_and_operators_hold_over_a_restart() {
    let mut before = Fleet::new(4, rules(Mode::Dynamic), 5);
    before.run(10);
    let now = before.now();
    assert!(
        before
            .embedded
            .handle_command(Command::Pin(mirror(1), Some(Duration::from_secs(600))), now)
    );
    before.embedded.handle_alert(mirror(2), false, now);
    let steward = before.embedded.steward();
    let kept: Vec<_> = steward
        .looked_after(None)
        .filter_map(|one| Some((one, steward.learned(one)?)))
        .collect();
    let mut after = Fleet::later(4, rules(Mode::Dynamic), 6, 10);
    after.embedded.remember(kept);
    after.run(25);
    let steward = after.embedded.steward();
    let guard = steward.keeper().guard();
    let pinned: Vec<_> = (0..4)
        .map(|row| guard.is_pinned(vxscope_control::Row::new(row)))
        .collect();
    assert_eq!(pinned, [false, true, true, false]);
    for _ in 0..60 {
        after.run(1);
        assert_eq!(after.grade(1), Grade::Full);
    }
}
