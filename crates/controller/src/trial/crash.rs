//! Killed while a pause or a resume is under way: the next run makes it right.

use std::time::Duration;

use vxscope_standin::{Fault, FaultKind, Session};

use super::{BOUND, Trial};

#[test]
fn killed_at_a_call_of_a_pause_or_a_resume_leaves_one_session_or_a_bounded_pause() {
    let calls = [
        ("CreateTags", "vxscope:resume"),
        ("DeleteTrafficMirrorSession", ""),
        ("CreateTrafficMirrorSession", ""),
        ("DeleteTags", "vxscope:resume"),
    ];
    for (action, naming) in calls {
        for after in [false, true] {
            killed(action, naming, after, false);
        }
    }
}

#[test]
fn killed_while_the_journal_takes_the_record_of_a_pause() {
    killed("DeleteTrafficMirrorSession", "", false, true);
}

fn killed(action: &str, naming: &str, after: bool, torn: bool) {
    let context = format!("{action} {naming} done: {after} torn: {torn}");
    let mut trial = Trial::new(2);
    trial.pass(60);
    let foreign = Session {
        id: "tms-foreign".to_owned(),
        description: "somebody else's".to_owned(),
        number: 9,
        tags: [].into(),
        ..trial
            .standin
            .account(|account| account.sessions_of("eni-0"))[0]
            .clone()
    };
    trial
        .standin
        .account(|account| account.put_session(foreign.clone()));
    trial.trouble(Fault::once(action, FaultKind::Freeze { after }, 0).naming(naming));
    let frozen = |trial: &Trial| trial.standin.wait_frozen(Duration::ZERO);
    trial.until(&context, 12 * 3_600, frozen);
    trial.standin.thaw();
    trial.kill();
    if torn {
        let journal = trial.folder.path().join("state/journal");
        let whole = std::fs::read(&journal).unwrap();
        std::fs::write(&journal, &whole[..whole.len() - 5]).unwrap();
    }
    trial.begin();
    // Until whoever was away is back, and some time more.
    let mut left = 10;
    while left > 0 {
        trial.pass(60);
        left -= u64::from(left < 10 || trial.paused().is_empty());
        for n in 0..2 {
            let sessions = trial
                .standin
                .account(|one| one.sessions_of(&format!("eni-{n}")));
            let ours = sessions.iter().filter(|one| one.id != foreign.id);
            assert!(ours.count() <= 1, "{context}: {sessions:?}");
        }
        assert!(trial.paused().len() <= 1, "{context}");
        assert!(trial.longest <= BOUND + 120, "{context}: {}", trial.longest);
    }
    let there = trial.standin.account(|account| account.sessions());
    assert!(there.contains(&foreign), "{context}");
}
