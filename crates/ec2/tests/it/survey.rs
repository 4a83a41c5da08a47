//! Reading an account: all of it or nothing, page by page, within the bucket.

use std::collections::BTreeSet;

use vxscope_control::mirror::ErrorKind;
use vxscope_ec2::{Chore, Done};
use vxscope_enrolment::inventory::{
    Action, Clause, Direction, InstanceState, Net, Ports, Rule, TargetPlace,
};
use vxscope_standin::{Fault, FaultKind, Seed};

use crate::kit::kit;

#[test]
fn every_page_of_everything_is_read() {
    let mut kit = kit();
    kit.standin.account(|account| {
        account.set_page_max(7);
        account.set_throttles(false);
        for at in 0..40 {
            // Three instances share a reservation: it may be split by a page.
            let seed = Seed::new(&format!("i-{at:03}"), &format!("eni-{at:03}"), "10.0.0.1")
                .interface(&format!("eni-{at:03}-b"), "10.0.0.2")
                .reservation(&format!("r-{}", at / 3));
            account.add_instance(seed);
        }
    });
    for number in 1..=3 {
        for at in 0..3 {
            let create = kit.wanted(&format!("eni-{at:03}"), number);
            let mut create = create;
            create.settings.vni = None;
            kit.create(&create).unwrap();
        }
    }
    let inventory = kit.survey().unwrap();
    assert_eq!(inventory.instances.len(), 41);
    assert_eq!(inventory.interfaces.len(), 81);
    assert_eq!(inventory.sessions.len(), 9);
    assert_eq!(inventory.account, "111122223333");
    assert_eq!(inventory.region, "us-east-1");
    let vnis: BTreeSet<_> = inventory
        .sessions
        .values()
        .map(|one| one.settings.vni)
        .collect();
    assert_eq!(vnis.len(), 9, "EC2 gives each its own");
    let pages = kit.standin.log().count("DescribeNetworkInterfaces");
    assert_eq!(pages, 81_usize.div_ceil(7));
    let interfaces = inventory.interfaces_of("i-007");
    let ids: Vec<&str> = interfaces.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["eni-007", "eni-007-b"]);
}

#[test]
fn things_are_as_they_are_described() {
    let mut kit = kit();
    kit.standin.account(|account| {
        let seed = Seed::new("i-a", "eni-a", "10.0.0.1")
            .kind("c5.large")
            .tag("role", "web");
        account.add_instance(seed.place("vpc-2", "subnet-2", "us-east-1b"));
        account.change_instance("i-a", |one| one.state = "stopped".to_owned());
    });
    let target = kit.target();
    let inventory = kit.survey().unwrap();
    let instance = &inventory.instances["i-a"];
    assert_eq!(instance.state, InstanceState::Stopped);
    assert_eq!(instance.kind, "c5.large");
    assert_eq!(instance.tags["role"], "web");
    assert_eq!(instance.account, "111122223333");
    let interface = &inventory.interfaces["eni-a"];
    assert_eq!(interface.primary, Some([10, 0, 0, 1].into()));
    assert_eq!(interface.zone, "us-east-1b");
    assert_eq!(inventory.instance_of(interface), Some(instance));
    let place = TargetPlace::Interface("eni-sensor".to_owned());
    assert_eq!(inventory.targets[&target].place, place);
}

#[test]
fn a_filter_has_the_rules_that_were_made() {
    let mut kit = kit();
    let filter = kit.filter("STA - Mirror Filter - Essential");
    let everywhere = |v6: bool| {
        let address: std::net::IpAddr = if v6 {
            [0_u16; 8].into()
        } else {
            [0, 0, 0, 0].into()
        };
        Net::try_new(address, 0).unwrap()
    };
    let mut rules = Vec::new();
    for (number, direction) in [(10, Direction::Ingress), (10, Direction::Egress)] {
        let clause = Clause::all(direction, everywhere(number == 20).family());
        rules.push(Rule {
            number,
            action: Action::Accept,
            clause: clause.of(17).to_ports(Ports::one(53)),
        });
    }
    let v6 = Clause::all(Direction::Egress, everywhere(true).family());
    rules.push(Rule {
        number: 20,
        action: Action::Reject,
        clause: v6,
    });
    for (at, rule) in rules.iter().enumerate() {
        let chore = Chore::CreateRule {
            filter: filter.clone(),
            rule: *rule,
            token: format!("rule-{at}"),
        };
        assert_eq!(kit.chore(chore), Ok(Done::Changed));
        // Somebody else's attempt with another token finds it there.
        let again = Chore::CreateRule {
            filter: filter.clone(),
            rule: *rule,
            token: format!("again-{at}"),
        };
        assert_eq!(kit.chore(again), Ok(Done::Changed));
    }
    let dns = Chore::AddDns {
        filter: filter.clone(),
    };
    assert_eq!(kit.chore(dns), Ok(Done::Changed));
    let there = kit.survey().unwrap().filters[&filter].filter.clone();
    assert_eq!(there.name, "STA - Mirror Filter - Essential");
    assert!(there.amazon_dns);
    assert_eq!(there.rules, rules);
}

#[test]
fn a_reading_waits_out_a_storm_and_half_of_one_is_none() {
    let mut kit = kit();
    let storm = Fault {
        times: 3,
        ..Fault::every("DescribeInstances", FaultKind::Throttle)
    };
    kit.standin.faults(|faults| faults.add(storm));
    assert_eq!(kit.survey().unwrap().instances.len(), 1);
    let denied = Fault::every("DescribeNetworkInterfaces", FaultKind::Denied);
    kit.standin.faults(|faults| faults.add(denied));
    assert_eq!(kit.survey().unwrap_err().kind, ErrorKind::Unauthorized);
}
