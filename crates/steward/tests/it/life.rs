//! Pauses, wake-ups and returns.

use vxscope_policy::rules::Mode;
use vxscope_steward::{Command, Decided};
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
