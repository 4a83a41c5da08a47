//! Sessions as others leave them.

use std::time::Duration;

use vxscope_control::Row;
use vxscope_control::guard::Enrolment;
use vxscope_control::keeper::Mode;
use vxscope_control::mirror::Session;
use vxscope_control::reconcile::{Basis, Deed};
use vxscope_control::simulated::Faults;
use vxscope_units::Grade;

use super::world::{World, interface, owner, subject};

#[test]
fn a_session_that_somebody_deletes_comes_back() {
    let mut world = settled();
    let id = world.api.mirrored(&interface(0)).unwrap().id.clone();
    world.api.delete_foreign(&id, world.now);
    world.settle(120);
    assert_eq!(world.grade(0), Grade::Full);
}

#[test]
fn a_session_that_somebody_changes_is_as_before() {
    let mut world = settled();
    let mut session = world.api.mirrored(&interface(0)).unwrap().clone();
    session.settings.filter = "tmf-nothing".to_owned();
    world.api.create_foreign(session, world.now);
    assert_eq!(world.grade(0), Grade::Off);
    world.settle(120);
    assert_eq!(world.grade(0), Grade::Full);
}

#[test]
fn what_somebody_did_to_a_session_is_told_in_particulars() {
    type Act = fn(&mut World, Session);
    let table: [(Deed, Act, &[&str]); 5] = [
        (
            Deed::Changed,
            |world, mut there| {
                there.settings.filter = "tmf-nothing".to_owned();
                there.settings.packet_length = Some(40);
                world.api.create_foreign(there, world.now);
            },
            &[
                "filter: tmf-all -> tmf-nothing",
                "packet_length: none -> 40",
            ],
        ),
        (
            Deed::Removed,
            |world, there| world.api.delete_foreign(&there.id, world.now),
            &[],
        ),
        (
            Deed::Disowned,
            |world, mut there| {
                there.tags.clear();
                world.api.create_foreign(there, world.now);
            },
            &["owner_tag: us -> none"],
        ),
        (
            Deed::Disowned,
            |world, mut there| {
                there.settings.description = "mine".to_owned();
                world.api.create_foreign(there, world.now);
            },
            &["description: ours: mirror -> mine"],
        ),
        (
            Deed::Replaced,
            |world, mut there| {
                world.api.delete_foreign(&there.id, world.now);
                there.id = "tms-zz".to_owned();
                there.settings.number = 9;
                world.api.create_foreign(there, world.now);
            },
            &["number: 2 -> 9"],
        ),
    ];
    for (deed, act, expected) in table {
        let mut world = settled();
        let there = world.api.mirrored(&interface(0)).unwrap().clone();
        act(&mut world, there.clone());
        let since = world.now;
        let mut told = Vec::new();
        for _ in 0..120 {
            world.step(1_000);
            let reconciler = world.keeper.as_ref().unwrap().reconciler();
            told.extend(reconciler.findings().tampered.first().cloned());
        }
        let first = told.first().unwrap();
        assert_eq!((first.deed, &first.session), (deed, &there.id));
        assert_eq!((first.row, &first.interface), (Row::new(0), &interface(0)));
        assert!(first.at >= since && first.at <= world.now);
        let changes = first.changes.iter();
        let changes: Vec<String> = changes
            .map(|one| format!("{}: {} -> {}", one.field, one.wanted, one.found))
            .collect();
        assert_eq!(changes, expected, "{deed:?}");
    }
}

#[test]
fn foreign_sessions_are_not_touched() {
    let mut world = settled();
    let ours = world.api.mirrored(&interface(0)).unwrap().clone();
    let foreign = |id: &str, number, tagged: bool, marked: bool| {
        let mut session = Session {
            id: id.to_owned(),
            ..ours.clone()
        };
        session.settings.number = number;
        if !tagged {
            session.tags.clear();
        }
        if !marked {
            session.settings.description = "theirs".to_owned();
        }
        assert!(!owner().owns(&session));
        session
    };
    let others = [
        foreign("tms-x", 1, false, false),
        foreign("tms-y", 3, true, false),
        foreign("tms-z", 4, false, true),
    ];
    for other in &others {
        world.api.create_foreign(other.clone(), world.now);
    }
    for second in 0..3_000_u32 {
        if second % 300 == 0 {
            world.wish(0, Grade::Off);
        }
        world.step(1_000);
    }
    for other in &others {
        let there = world.api.sessions().find(|session| session.id == other.id);
        assert_eq!(there, Some(other));
    }
    let findings = world.keeper.as_ref().unwrap().reconciler().findings();
    let [first] = &findings.overtaken[..] else {
        panic!("{findings:?}");
    };
    assert_eq!((first.row, first.by.as_str()), (Row::new(0), "tms-x"));
    assert_eq!((first.by_number, first.number), (1, 2));
    let seconds = world.now.nanos_since(first.since) / 1_000_000_000;
    assert!(seconds > 2_900, "since it was there: {seconds} s");
    assert_eq!(findings.foreign, 3);
}

#[test]
fn a_second_session_of_ours_is_removed() {
    let mut world = settled();
    let mut second = world.api.mirrored(&interface(1)).unwrap().clone();
    second.id = "tms-zz".to_owned();
    second.settings.number = 9;
    world.api.create_foreign(second, world.now);
    world.settle(120);
    let ours = world
        .api
        .sessions()
        .filter(|one| one.interface == interface(1));
    assert_eq!(ours.count(), 1);
    assert_eq!(world.grade(1), Grade::Full);
}

#[test]
fn a_changed_target_is_one_modify() {
    let mut world = settled();
    let created = world.api.tally("create").done;
    let mut moved = subject(0);
    moved.saved.settings.target = "tmt-2".to_owned();
    let now = world.now;
    let keeper = world.keeper.as_mut().unwrap();
    let enrolment = Enrolment {
        bounds: super::world::BOUNDS,
        group: 0,
        pinned: Duration::ZERO,
    };
    assert!(keeper.enrol(Row::new(0), moved, enrolment, now));
    world.settle(10);
    let session = world.api.mirrored(&interface(0)).unwrap();
    assert_eq!(session.settings.target, "tmt-2");
    assert_eq!(world.api.tally("create").done, created);
}

#[test]
fn manual_resumes_everything_and_says_how_long_that_takes() {
    let mut world = settled();
    assert!(world.wish(0, Grade::Off));
    world.settle(10);
    assert_eq!(world.grade(0), Grade::Off);
    let keeper = world.keeper.as_mut().unwrap();
    keeper.set_mode(Mode::Manual);
    let takes = keeper.resume_takes();
    assert!(takes.as_secs() >= 1);
    world.settle(takes.as_secs());
    assert_eq!(world.grade(0), Grade::Full);
    world.settle(300);
    assert!(!world.wish(0, Grade::Off));
}

#[test]
fn calls_stay_within_the_budget_while_everything_is_throttled() {
    let mut world = settled();
    for row in 0..4 {
        world.wish(row, Grade::Sentinel);
    }
    world.settle(5);
    world.api.handle_faults(Faults {
        throttled: 1_000_000,
        ..Faults::default()
    });
    world.keeper.as_mut().unwrap().resume_all();
    let before = world.api.tally("modify").calls;
    world.settle(600);
    let calls = world.api.tally("modify").calls - before;
    assert!(calls <= 60, "{calls} calls in ten minutes without success");
    world.api.handle_faults(Faults::default());
    world.settle(60);
    for row in 0..4 {
        assert_eq!(world.grade(row), Grade::Full);
    }
}

/// The reaper, or a controller before this one: whoever it was, it is ours.
#[test]
fn a_session_that_was_made_while_ours_was_away_is_taken_over_by_the_next_reading() {
    // Soon after our deletion, when readings are doubted, and long after it.
    for away in [5, 300] {
        let mut world = settled();
        let before = world.api.mirrored(&interface(0)).unwrap().clone();
        assert!(world.wish(0, Grade::Off));
        world.settle(away);
        assert_eq!(world.grade(0), Grade::Off);
        let made = Session {
            id: "tms-reaped".to_owned(),
            ..before
        };
        world.api.create_foreign(made, world.now);
        world.keeper.as_mut().unwrap().resume_all();
        let calls = world.api.tally("create").calls;
        world.settle(8);
        let keeper = world.keeper.as_ref().unwrap();
        let row = Row::new(0);
        assert_eq!(keeper.blocked(row), None, "{away} s after the deletion");
        let seen = Some((Grade::Full, Basis::Seen));
        assert_eq!(keeper.reconciler().effective(row), seen, "{away}");
        assert!(world.api.tally("create").calls <= calls + 1);
        let ours = world.api.sessions().filter(|one| owner().owns(one));
        assert_eq!(ours.count(), 4, "{away}");
    }
}

/// Reading all sessions as often as a few would cost pages by the square of their number.
#[test]
fn while_somebody_is_in_doubt_pages_are_read_at_one_rate_however_many_there_are() {
    for sources in [4, 1_100] {
        let mut world = World::new(sources, Faults::default(), 1);
        let made = u64::from(sources) * 1_000 / 2_500;
        world.settle(made);
        let sessions = world.api.sessions().count();
        assert!(sessions + 30 >= sources as usize, "{sessions} of {sources}");
        world.settle(90);
        let pages = world.api.tally("describe").calls;
        // One in two seconds, and a whole reading at the begin and the end.
        let pages_of_all = u64::from(sources).div_ceil(1_000);
        let most = (made + 90) / 2 + 2 * pages_of_all + 2;
        assert!(pages <= most, "{pages} pages for {sources}, {most} at most");
        let keeper = world.keeper.as_ref().unwrap();
        for row in 0..sources {
            let basis = keeper.reconciler().effective(Row::new(row));
            assert_eq!(basis, Some((Grade::Full, Basis::Seen)));
        }
    }
}

fn settled() -> World {
    let mut world = World::new(4, Faults::default(), 1);
    world.settle(200);
    for row in 0..4 {
        assert_eq!(world.grade(row), Grade::Full);
    }
    world
}

#[test]
fn a_source_that_leaves_has_no_session_and_nobody_brings_it_back() {
    let mut world = settled();
    let now = world.now;
    world.keeper.as_mut().unwrap().leave(Row::new(1), now);
    world.settle(120);
    assert_eq!(world.grade(1), Grade::Off);
    let others = (0..world.sources).filter(|row| *row != 1);
    others.for_each(|row| assert_eq!(world.grade(row), Grade::Full));
    let keeper = world.keeper.as_ref().unwrap();
    assert!(
        !keeper
            .compacted()
            .iter()
            .any(|one| format!("{one:?}").contains(&interface(1)))
    );
    // The tag comes back while the session is being removed: one session, under a new row.
    let now = world.now;
    let keeper = world.keeper.as_mut().unwrap();
    keeper.leave(Row::new(2), now);
    let enrolment = Enrolment {
        bounds: super::world::BOUNDS,
        group: 0,
        pinned: Duration::ZERO,
    };
    for seconds in [0, 1, 3] {
        world.settle(seconds);
        let (now, row) = (world.now, Row::new(100 + u32::try_from(seconds).unwrap()));
        let keeper = world.keeper.as_mut().unwrap();
        keeper.enrol(row, subject(2), enrolment, now);
        world.settle(120);
        assert_eq!(world.grade(2), Grade::Full, "after {seconds} s");
        let on = world
            .api
            .sessions()
            .filter(|one| one.interface == interface(2));
        assert_eq!(on.count(), 1);
        let now = world.now;
        world.keeper.as_mut().unwrap().leave(row, now);
    }
}

#[test]
fn a_source_that_moves_is_changed_in_place() {
    let mut world = settled();
    let before = world.api.mirrored(&interface(1)).unwrap().id.clone();
    let mut moved = subject(1);
    moved.saved.settings.target = "tmt-2".to_owned();
    let now = world.now;
    world
        .keeper
        .as_mut()
        .unwrap()
        .change(Row::new(1), moved, now);
    world.settle(60);
    let session = world.api.mirrored(&interface(1)).unwrap();
    assert_eq!(
        (&session.id, session.settings.target.as_str()),
        (&before, "tmt-2")
    );
    assert_eq!(world.api.tally("delete").calls, 0);
}

#[test]
fn a_session_that_two_fight_for_is_restored_now_and_then() {
    let mut world = settled();
    let (mut restored, mut contested) = (0_u32, false);
    for _ in 0..2 * 3_600 {
        world.settle(1);
        let id = world.api.mirrored(&interface(0)).map(|one| one.id.clone());
        if let Some(id) = id {
            restored += 1;
            world.api.delete_foreign(&id, world.now);
        }
        let findings = world.keeper.as_ref().unwrap().reconciler().findings();
        contested |= !findings.contested.is_empty();
    }
    assert!(contested);
    // Six at once, then one in ten minutes.
    assert!((10..=25).contains(&restored), "{restored}");
    world.settle(700);
    assert_eq!(world.grade(0), Grade::Full);
}
