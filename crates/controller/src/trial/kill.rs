//! Killed at every call and every write on the way from an empty account to mirrored sources: the
//! next run makes it right.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use vxscope_enrolment::BUILDING;
use vxscope_standin::{Fault, FaultKind, FilterRule, Session};

use super::{CONTROLLER, POLICY, Trial};
use crate::store::trap::{self, Killed, Part};

/// Until everything is made, in seconds.
const MADE: u64 = 120;

#[test]
fn killed_at_every_call_while_everything_is_made() {
    let right = clean();
    // In the order of a clean run: each action, the how manieth of it.
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut calls = Vec::new();
    for action in &right.calls {
        let count = counts.entry(action.clone()).or_default();
        calls.push((action.clone(), *count));
        *count += 1;
    }
    // Of readings, which change nothing, the first ones.
    calls.retain(|(action, nth)| !action.starts_with("Describe") || *nth < 2);
    let mut killed = 0;
    for (action, nth) in &calls {
        for after in [false, true] {
            let mut trial = empty();
            trial.trouble(Fault::once(action, FaultKind::Freeze { after }, *nth));
            let context = format!("{action} {nth} done: {after}");
            let frozen = |trial: &Trial| trial.standin.wait_frozen(Duration::ZERO);
            trial.until(&context, MADE, frozen);
            trial.standin.thaw();
            trial.kill();
            killed += 1;
            is_right_again(&mut trial, &right, &context);
        }
    }
    eprintln!("killed {killed} times at {} calls", calls.len());
    assert!(killed > 60, "{calls:?}");
}

#[test]
fn killed_at_every_write_while_everything_is_made() {
    let right = clean();
    for (place, file) in right.writes.iter().enumerate() {
        for part in [Part::Nothing, Part::Half, Part::All] {
            trap::clear();
            trap::kill_at(place, part);
            let context = format!("write {place} to {file}, {part:?} of it");
            let mut trial = None;
            let lived = catch_unwind(AssertUnwindSafe(|| {
                let trial = trial.insert(nobody());
                trial.begin();
                trial.pass(MADE);
            }));
            let killed = lived.unwrap_err();
            assert!(killed.is::<Killed>(), "{context}: {killed:?}");
            let mut trial = trial.unwrap();
            trap::clear();
            trial.kill();
            is_right_again(&mut trial, &right, &context);
        }
    }
    eprintln!("killed at {} writes", right.writes.len());
    assert!(right.writes.len() >= 5, "{:?}", right.writes);
}

/// What a run without trouble makes, and how.
struct Clean {
    calls: Vec<String>,
    writes: Vec<String>,
    sessions: Vec<Session>,
    filters: Vec<Vec<FilterRule>>,
}

fn clean() -> Clean {
    trap::clear();
    let mut trial = nobody();
    trial.begin();
    trial.pass(MADE);
    let log = trial.standin.log();
    let calls = log.entries().iter().filter(|one| one.caller == CONTROLLER);
    let clean = Clean {
        calls: calls.map(|one| one.action.clone()).collect(),
        writes: trap::writes(),
        sessions: sessions(&trial),
        filters: filters(&trial),
    };
    assert_eq!(clean.sessions.len(), 2);
    assert!(clean.filters.len() > 2, "{:?}", clean.filters);
    clean
}

/// Two sources, somebody else's session, and no controller yet.
fn nobody() -> Trial {
    let trial = Trial::without_controller(2, POLICY, "");
    trial.account(|account| {
        account.put_session(Session {
            id: "tms-other".to_owned(),
            interface: "eni-0".to_owned(),
            target: "tmt-other".to_owned(),
            number: 7,
            vni: 9,
            ..Session::default()
        });
    });
    trial
}

fn empty() -> Trial {
    let mut trial = nobody();
    trial.begin();
    trial
}

/// One reading after a restart, and whatever it takes then, all is as a clean run makes it.
fn is_right_again(trial: &mut Trial, right: &Clean, context: &str) {
    trial.begin();
    trial.pass(MADE);
    let rights = sessions(trial);
    assert_eq!(rights.len(), right.sessions.len(), "{context}: {rights:?}");
    for (one, expected) in rights.iter().zip(&right.sessions) {
        assert_eq!(
            (&one.interface, one.number, one.vni, &one.description),
            (
                &expected.interface,
                expected.number,
                expected.vni,
                &expected.description
            ),
            "{context}"
        );
    }
    assert_eq!(filters(trial), right.filters, "{context}");
    assert_eq!(
        trial.account(|account| account.targets()).len(),
        1,
        "{context}"
    );
    let foreign = trial.sessions("eni-0");
    let foreign = foreign.iter().find(|one| one.id == "tms-other").unwrap();
    assert_eq!((foreign.number, foreign.vni), (7, 9), "{context}");
    trial.standin.clear_log();
    trial.pass(70);
    let log = trial.standin.log();
    let changes: Vec<&str> = log
        .changes()
        .map(|one| one.action.as_str())
        .filter(|action| action.contains("TrafficMirror"))
        .collect();
    assert_eq!(changes, [""; 0], "{context}: nothing is left to do");
}

/// Ours, by interface.
fn sessions(trial: &Trial) -> Vec<Session> {
    let mut sessions = trial.account(|account| account.sessions());
    sessions.retain(|one| one.tags.contains_key("managed-by"));
    sessions.sort_by(|one, other| one.interface.cmp(&other.interface));
    sessions
}

/// The rules of each filter, which must be complete, by its name.
fn filters(trial: &Trial) -> Vec<Vec<FilterRule>> {
    let mut filters = trial.account(|account| account.filters());
    filters.sort_by(|one, other| one.tags["Name"].cmp(&other.tags["Name"]));
    let names: Vec<&String> = filters.iter().map(|one| &one.tags["Name"]).collect();
    assert!(names.windows(2).all(|two| two[0] != two[1]), "{names:?}");
    let complete = |one: &vxscope_standin::Filter| !one.tags.contains_key(BUILDING);
    assert!(filters.iter().all(complete), "{filters:?}");
    let rules = filters.into_iter().map(|one| {
        let rules = one.rules.into_iter();
        let without_ids = rules.map(|rule| FilterRule {
            id: String::new(),
            filter: String::new(),
            ..rule
        });
        without_ids.collect()
    });
    rules.collect()
}
