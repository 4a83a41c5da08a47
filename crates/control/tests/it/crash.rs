//! A crash at every record and at every call.

use vxscope_control::simulated::Faults;
use vxscope_units::Grade;

use super::world::{World, interface, owner};

/// Steps of a life without crash: creations, lowerings, raises, pages.
const STEPS: usize = 60;

#[test]
fn after_a_crash_at_any_step_everything_is_as_it_should_be() {
    let mut crashes = 0;
    for step in 1..STEPS {
        for before in [true, false] {
            let mut world = World::new(4, Faults::default(), 11);
            world.crash_after = Some((step, before));
            for second in 0..900 {
                if world.keeper.is_none() {
                    world.start();
                }
                if second > 150 && second % 40 == 0 {
                    let row = second / 40 % 4;
                    let grade = Grade::ALL[second as usize / 40 % 5];
                    world.wish(row, grade);
                }
                world.step(1_000);
            }
            crashes += world.crashes;
            // Wishes are over; the longest bound and its margin pass.
            world.settle(900 + 120);
            for row in 0..4 {
                assert_eq!(world.grade(row), Grade::Full, "step {step}, {before}");
            }
            let ours = world.api.sessions().filter(|one| owner().owns(one));
            assert_eq!(ours.count(), 4, "step {step}: no orphan, no double");
        }
    }
    assert!(crashes > 80, "{crashes}");
}

#[test]
fn a_source_that_was_off_when_everything_was_forgotten_comes_back_in_its_time() {
    let mut world = World::new(6, Faults::default(), 5);
    world.settle(200);
    assert!(world.wish(0, Grade::Off));
    world.settle(10);
    assert_eq!(world.grade(0), Grade::Off);
    world.crash();
    for _ in 0..200 {
        world.step(1_000);
    }
    world.start();
    world.settle(300);
    assert_eq!(world.grade(0), Grade::Off, "its time is not over");
    world.settle(120);
    assert_eq!(
        world.grade(0),
        Grade::Truncated,
        "flows may be hidden for 600 s"
    );
    world.settle(300);
    assert_eq!(world.grade(0), Grade::Full, "and payload for 900 s");
}

#[test]
fn an_unreadable_journal_resumes_everything_and_deletes_nothing() {
    let mut world = World::new(6, Faults::default(), 5);
    world.settle(200);
    assert!(world.wish(0, Grade::Off));
    world.settle(10);
    world.crash();
    world.damage_journal();
    let deleted = world.api.tally("delete").done;
    world.start();
    world.settle(60);
    assert_eq!(world.grade(0), Grade::Full);
    assert_eq!(world.grade(1), Grade::Full);
    assert_eq!(world.api.tally("delete").done, deleted);
    assert_eq!(
        world.api.mirrored(&interface(0)).unwrap().settings.vni,
        Some(1_000)
    );
}

#[test]
fn what_cannot_be_written_is_not_done() {
    let mut world = World::new(6, Faults::default(), 5);
    world.settle(200);
    let now = world.now;
    let keeper = world.keeper.as_mut().unwrap();
    let row = vxscope_control::Row::new(0);
    let _ = keeper.wish(row, Grade::Off, now);
    let steps = keeper.poll_steps(now);
    let step = steps.iter().find(|step| step.must_be_durable).unwrap();
    assert!(step.record.is_some());
    keeper.handle_not_durable(step.id, now);
    // It is tried again later, and once more it must be written first.
    let later = now.plus_nanos(30_000_000_000);
    let again = keeper.poll_steps(later);
    assert!(again.iter().any(|step| step.must_be_durable));
}
