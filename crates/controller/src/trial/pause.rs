//! From idle to paused and back, whoever brings it back.

use super::{BOUND, ROUND, Trial};
use crate::desk::Desk;
use crate::reap::round;

/// What law 6 allows beyond b.
pub(super) const MARGIN: u64 = 120;

#[test]
fn idle_sources_are_paused_with_reasons_and_come_back_within_their_bound() {
    let mut trial = Trial::new(4);
    let first = paused(&mut trial);
    let notice = trial.notices.iter().find(|one| one.reason() == "quiet");
    let notice = notice.unwrap();
    assert_eq!((notice.outcome(), notice.grade.name()), ("granted", "off"));
    let line = notice.to_json();
    assert!(
        line["numbers"]["expected_upper"].as_f64().unwrap() > 0.0,
        "{line}"
    );
    // The crumb was there before the session was gone.
    let log = trial.standin.log();
    let place = |is: &dyn Fn(&vxscope_standin::Entry) -> bool| {
        log.entries()
            .iter()
            .position(|entry| entry.done && is(entry))
    };
    let crumb = place(&|entry| {
        entry.action == "CreateTags"
            && entry.fields.values().any(|value| *value == first)
            && entry.fields.values().any(|value| value == "vxscope:resume")
    });
    let deleted = place(&|entry| entry.action == "DeleteTrafficMirrorSession");
    assert!(crumb.unwrap() < deleted.unwrap(), "{crumb:?} {deleted:?}");
    // Half of the group at most is away, and nobody for longer than b.
    for _ in 0..3 * BOUND / 60 {
        trial.pass(60);
        assert!(trial.paused().len() <= 2, "{:?}", trial.paused());
    }
    assert!(trial.done("DeleteTrafficMirrorSession").len() >= 3);
    assert!(
        trial.longest > BOUND / 2 && trial.longest <= BOUND + MARGIN,
        "{}",
        trial.longest
    );
    eprintln!("longest pause: {} s of {BOUND} s", trial.longest);
    // Whoever is back has no crumb, as soon as EC2 shows him back for good; others come and go.
    trial.until("crumbs of those who are away alone", 900, |trial| {
        let away = trial.paused();
        let has_crumb = |id: &str| {
            let there = trial.standin.account(|account| account.interface(id));
            there.unwrap().tags.contains_key("vxscope:resume")
        };
        (0..4).all(|n| {
            let id = format!("eni-{n}");
            has_crumb(&id) == away.contains(&id)
        })
    });
}

#[test]
fn an_alert_brings_a_paused_source_back_and_keeps_it() {
    let mut trial = Trial::new(4);
    let away = paused(&mut trial);
    trial.alert(&away);
    let took = trial.until("back", 60, |trial| trial.is_visible(&away));
    eprintln!("back after {took} s");
    for _ in 0..2 * 60 {
        trial.pass(60);
        assert!(trial.is_visible(&away), "an alert keeps it for hours");
    }
}

#[test]
fn without_a_reaper_nothing_is_off() {
    let mut trial = Trial::new(2);
    trial.reaper = None;
    trial.pass(4 * 3_600);
    assert_eq!(trial.done("DeleteTrafficMirrorSession"), []);
    let refused = trial.notices.iter().any(|one| one.reason() == "unsafe");
    assert!(refused, "{}", trial.told());
    // It dies while a source is off: the controller itself brings it back.
    trial.reaper = Some(trial.reaper());
    let away = paused(&mut trial);
    trial.reaper = None;
    let is_there = |trial: &Trial| {
        let sessions = trial.standin.account(|account| account.sessions_of(&away));
        !sessions.is_empty()
    };
    // To sentinel at least: that one needs no reaper, and has a bound of its own.
    trial.until("back", 180 + 120, is_there);
}

#[test]
fn the_reaper_brings_back_what_a_dead_controller_left() {
    let mut trial = Trial::new(4);
    let away = paused(&mut trial);
    trial.kill();
    let took = trial.until("reaped", 300 + 2 * ROUND, |trial| trial.is_visible(&away));
    eprintln!("back {took} s after the kill");
    assert!(took > 180, "an upgrade takes minutes: {took}");
    let sessions = trial.standin.account(|account| account.sessions());
    assert_eq!(sessions.len(), 4, "one each");
    // The next controller finds it as it is, and makes no second one.
    trial.begin();
    trial.pass(300);
    assert_eq!(
        trial.standin.account(|account| account.sessions()),
        sessions
    );
}

#[test]
fn a_restart_within_minutes_keeps_pauses_and_a_later_one_ends_them() {
    let mut trial = Trial::new(4);
    let away = paused(&mut trial);
    // What was learned is on the disk within a minute or so.
    trial.pass(120);
    let deleted = trial.done("DeleteTrafficMirrorSession").len();
    for crash in [true, false] {
        let before = trial.driver.take();
        if let Some(mut driver) = before.filter(|_| !crash) {
            driver.close(trial.now);
        }
        trial.pass(180);
        trial.begin();
        trial.pass(300);
        assert!(!trial.is_visible(&away), "{}", trial.told());
    }
    assert_eq!(trial.done("DeleteTrafficMirrorSession").len(), deleted);
    // The bound goes on over restarts.
    trial.until("back", BOUND, |trial| trial.is_visible(&away));
    assert!(trial.longest <= BOUND + MARGIN, "{}", trial.longest);
    // Nobody was there for ten minutes, and no reaper either.
    let away = paused(&mut trial);
    trial.kill();
    trial.reaper = None;
    trial.pass(600);
    assert!(!trial.is_visible(&away));
    trial.begin();
    trial.until("back", 60, |trial| trial.is_visible(&away));
}

#[test]
fn resume_all_brings_back_what_is_paused_with_and_without_a_controller() {
    for running in [true, false] {
        let mut trial = Trial::new(4);
        let away = paused(&mut trial);
        if !running {
            trial.kill();
        }
        let mut desk = Desk::open(trial.config.clone()).unwrap();
        let said = round(&mut desk, true, trial.now).unwrap();
        assert!(said.contains("1 brought back"), "{said}");
        assert!(trial.is_visible(&away), "{said}");
        if running {
            trial.driver.as_mut().unwrap().bring_back(trial.now);
            trial.pass(120);
            let sessions = trial.standin.account(|account| account.sessions_of(&away));
            assert_eq!(sessions.len(), 1, "never a second session");
        }
    }
}

/// Waits until somebody is off; who.
pub(super) fn paused(trial: &mut Trial) -> String {
    trial.pass(60);
    trial.until("paused", 8 * 3_600, |trial| !trial.paused().is_empty());
    trial.paused().remove(0)
}
