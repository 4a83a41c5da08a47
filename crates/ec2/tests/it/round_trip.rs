//! What is asked for is what is there, and how EC2 says no.

use vxscope_control::mirror::{Call, ErrorKind, Reply, Settings};
use vxscope_ec2::{Chore, Done};
use vxscope_standin::Seed;

use crate::kit::{kit, owned};

#[test]
fn a_session_is_made_changed_and_deleted_as_asked() {
    let mut kit = kit();
    let interface = kit.source("a", "10.0.0.1");
    let create = kit.wanted(&interface, 3);
    let session = kit.create(&create).unwrap();
    assert_eq!(session.settings, create.settings);
    assert_eq!(session.tags, owned());
    assert_eq!(session.interface, interface);
    assert_eq!(kit.sessions(), std::slice::from_ref(&session));

    let truncated = Settings {
        packet_length: Some(512),
        ..create.settings.clone()
    };
    for settings in [truncated, create.settings.clone()] {
        let modify = Call::Modify {
            id: session.id.clone(),
            settings: settings.clone(),
        };
        // Safe to repeat.
        assert_eq!(kit.call(modify.clone()), Ok(Reply::Modified));
        assert_eq!(kit.call(modify), Ok(Reply::Modified));
        assert_eq!(kit.sessions()[0].settings, settings);
    }
    let delete = Call::Delete { id: session.id };
    assert_eq!(kit.call(delete.clone()), Ok(Reply::Deleted));
    assert_eq!(kit.sessions(), []);
    let again = kit.call(delete).unwrap_err();
    assert_eq!(again.kind, ErrorKind::NotFound);
}

#[test]
fn the_same_token_makes_one_session_and_another_request_is_refused() {
    let mut kit = kit();
    let interface = kit.source("a", "10.0.0.1");
    let create = kit.wanted(&interface, 1);
    let first = kit.create(&create).unwrap();
    assert_eq!(kit.create(&create).unwrap(), first);
    assert_eq!(kit.sessions().len(), 1);
    let mut other = create.clone();
    other.settings.number = 2;
    assert_eq!(
        kit.create(&other).unwrap_err().kind,
        ErrorKind::TokenMismatch
    );
    // After a deletion EC2 answers from memory and makes nothing: the next token must differ.
    kit.call(Call::Delete { id: first.id }).unwrap();
    kit.create(&create).unwrap();
    assert_eq!(kit.sessions(), []);
    other.client_token = "another generation".to_owned();
    kit.create(&other).unwrap();
    assert_eq!(kit.sessions().len(), 1);
}

#[test]
fn refusals_have_the_kinds_that_the_reconciler_knows() {
    let mut kit = kit();
    kit.standin.account(|account| {
        account.add_instance(Seed::new("i-old", "eni-old", "10.0.0.2").kind("t2.micro"));
    });
    let interface = kit.source("a", "10.0.0.1");
    let good = kit.wanted(&interface, 1);
    kit.create(&good).unwrap();
    let mut tokens = 0;
    let mut refused = |change: &dyn Fn(&mut vxscope_control::mirror::Create)| {
        let mut create = good.clone();
        tokens += 1;
        create.client_token = format!("refused-{tokens}");
        change(&mut create);
        kit.create(&create).unwrap_err().kind
    };
    assert_eq!(refused(&|_| {}), ErrorKind::InUse);
    let unsupported = refused(&|one| one.interface = "eni-old".to_owned());
    assert_eq!(unsupported, ErrorKind::Unsupported);
    let missing = refused(&|one| one.interface = "eni-none".to_owned());
    assert_eq!(missing, ErrorKind::Missing);
    let is_target = refused(&|one| one.interface = "eni-sensor".to_owned());
    assert_eq!(is_target, ErrorKind::InUse);
    let filter = refused(&|one| one.settings.filter = "tmf-none".to_owned());
    assert_eq!(filter, ErrorKind::Missing);
    let number = refused(&|one| one.settings.number = 0);
    assert_eq!(number, ErrorKind::Invalid);
    for number in [2, 3] {
        let mut create = good.clone();
        create.settings.number = number;
        create.settings.vni = None;
        create.client_token = format!("more-{number}");
        kit.create(&create).unwrap();
    }
    let mut fourth = good.clone();
    fourth.settings.number = 4;
    fourth.client_token = "fourth".to_owned();
    assert_eq!(kit.create(&fourth).unwrap_err().kind, ErrorKind::Limit);
    for other in 0..10 {
        let interface = kit.source(&format!("n{other}"), "10.0.1.1");
        let create = kit.wanted(&interface, 1);
        let made = kit.create(&create);
        match other {
            9 => assert_eq!(made.unwrap_err().kind, ErrorKind::Limit, "11 sources"),
            _ => drop(made.unwrap()),
        }
    }
}

#[test]
fn a_question_changes_nothing() {
    let mut kit = kit();
    let interface = kit.source("a", "10.0.0.1");
    let create = kit.wanted(&interface, 1);
    let probe = Chore::Probe(Box::new(Call::Create(create)));
    assert_eq!(kit.chore(probe.clone()), Ok(Done::Allowed));
    assert_eq!(kit.sessions(), []);
    let denied = vxscope_standin::FaultKind::Denied;
    let fault = vxscope_standin::Fault::every("CreateTrafficMirrorSession", denied);
    kit.standin.faults(|faults| faults.add(fault));
    assert_eq!(kit.chore(probe).unwrap_err().kind, ErrorKind::Unauthorized);
}

#[test]
fn tags_come_and_go() {
    let mut kit = kit();
    let interface = kit.source("a", "10.0.0.1");
    let tags = [("vxscope:x".to_owned(), "é&<\"".to_owned())];
    let tag = Chore::Tag {
        resource: interface.clone(),
        tags: tags.clone().into(),
    };
    assert_eq!(kit.chore(tag), Ok(Done::Changed));
    let there = kit.survey().unwrap().interfaces[&interface].tags.clone();
    assert_eq!(there, tags.into());
    let untag = Chore::Untag {
        resource: interface.clone(),
        keys: vec!["vxscope:x".to_owned()],
    };
    assert_eq!(kit.chore(untag), Ok(Done::Changed));
    assert!(kit.survey().unwrap().interfaces[&interface].tags.is_empty());
}
