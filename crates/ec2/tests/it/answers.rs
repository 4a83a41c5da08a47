//! Whatever is answered, and if nothing is: a value, and the right one.

use std::time::Duration;

use vxscope_control::mirror::{Call, ErrorKind};
use vxscope_standin::{Fault, FaultKind};

use crate::kit::{Kit, kit};

#[test]
fn every_failure_says_whether_it_was_done() {
    let second = Duration::from_secs(1);
    let table = [
        (FaultKind::Throttle, ErrorKind::Throttled, false),
        (FaultKind::Unavailable, ErrorKind::Unavailable, false),
        (FaultKind::InternalBefore, ErrorKind::UnknownOutcome, false),
        (FaultKind::InternalAfter, ErrorKind::UnknownOutcome, true),
        (FaultKind::DropBefore, ErrorKind::UnknownOutcome, false),
        (FaultKind::DropAfter, ErrorKind::UnknownOutcome, true),
        (
            FaultKind::Hang(4 * second),
            ErrorKind::UnknownOutcome,
            false,
        ),
        (FaultKind::Expired, ErrorKind::Unauthorized, false),
        (FaultKind::Denied, ErrorKind::Unauthorized, false),
        (FaultKind::Html, ErrorKind::UnknownOutcome, true),
        (FaultKind::Torn, ErrorKind::UnknownOutcome, true),
    ];
    for (fault, kind, done) in table {
        let mut kit = kit();
        kit.with_timeout(2 * second);
        let interface = kit.source("a", "10.0.0.1");
        let create = kit.wanted(&interface, 1);
        add(
            &kit,
            Fault::once("CreateTrafficMirrorSession", fault.clone(), 0),
        );
        let error = kit.create(&create).unwrap_err();
        assert_eq!(error.kind, kind, "{fault:?}: {error}");
        let there = kit.standin.account(|account| account.sessions().len());
        assert_eq!(there, usize::from(done), "{fault:?}");
        // The same again makes it one session, whether it was done or not.
        kit.create(&create).unwrap();
        assert_eq!(kit.sessions().len(), 1, "{fault:?}");
        let calls = kit.standin.log().count("CreateTrafficMirrorSession");
        assert_eq!(calls, 2, "the SDK repeats nothing by itself: {fault:?}");
    }
}

#[test]
fn an_answer_that_is_not_ec2s_is_not_an_account_without_sessions() {
    for fault in [FaultKind::Html, FaultKind::Torn] {
        let mut kit = kit();
        let interface = kit.source("a", "10.0.0.1");
        let create = kit.wanted(&interface, 1);
        kit.create(&create).unwrap();
        add(&kit, Fault::every("DescribeTrafficMirrorSessions", fault));
        let error = kit.call(Call::Describe { next: None }).unwrap_err();
        assert_eq!(error.kind, ErrorKind::UnknownOutcome);
    }
}

#[test]
fn nobody_listening_is_certainly_not_done() {
    let mut kit = kit();
    let interface = kit.source("a", "10.0.0.1");
    let create = kit.wanted(&interface, 1);
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nowhere.local_addr().unwrap());
    drop(nowhere);
    kit.ec2_at(url);
    assert_eq!(
        kit.create(&create).unwrap_err().kind,
        ErrorKind::Unavailable
    );
}

#[test]
fn a_clock_that_is_wrong_is_corrected_by_the_first_answer() {
    for seconds in [-3_600, 3_600] {
        let mut kit = kit();
        let interface = kit.source("a", "10.0.0.1");
        let create = kit.wanted(&interface, 1);
        kit.standin.set_clock_offset(seconds);
        let first = kit.create(&create).unwrap_err();
        assert_eq!(first.code, "RequestExpired");
        kit.create(&create).unwrap();
        // And back.
        kit.standin.set_clock_offset(0);
        assert_eq!(kit.create(&create).unwrap_err().code, "RequestExpired");
        kit.create(&create).unwrap();
        assert_eq!(kit.sessions().len(), 1);
    }
}

#[test]
fn a_session_too_young_to_be_known_is_not_found_yet() {
    let mut kit = kit();
    let interface = kit.source("a", "10.0.0.1");
    let create = kit.wanted(&interface, 1);
    kit.standin
        .account(|account| account.set_lag(Duration::from_secs(60)));
    let session = kit.create(&create).unwrap();
    assert_eq!(kit.sessions(), []);
    let modify = Call::Modify {
        id: session.id,
        settings: create.settings,
    };
    assert_eq!(kit.call(modify).unwrap_err().kind, ErrorKind::NotFound);
}

fn add(kit: &Kit, fault: Fault) {
    kit.standin.faults(|faults| faults.add(fault));
}
