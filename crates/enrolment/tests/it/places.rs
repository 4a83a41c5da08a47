//! Targets, zones, sensors that come and go, junctions.

use vxscope_enrolment::inventory::{
    HealthCheck, InstanceKind, Listener, LoadBalancer, LoadBalancerKind, TargetGroup, TargetKind,
    TargetPlace,
};
use vxscope_enrolment::{FindingKind, SensorPlace, interfaces_of};
use vxscope_policy::money::Path;

use super::account::{Account, INDICATOR, KEY, has, mirrored};

#[test]
fn the_sensor_of_the_zone_takes_its_sources() {
    let mut account = Account::new();
    account.sensor("s2", "b", "m5.24xlarge");
    account.filter("f", "f", "10 accept ingress");
    for n in 0..6 {
        let name = n.to_string();
        account.instance(
            &format!("i-{name}"),
            if n < 3 { "a" } else { "b" },
            &[(KEY, "f")],
        );
        account.interface(&format!("eni-{name}"), &format!("i-{name}"), 0);
    }
    let plan = account.settle();
    for (n, source) in plan.sources.iter().enumerate() {
        let expected = if n < 3 { "tmt-s1" } else { "tmt-s2" };
        assert_eq!(source.subject.saved.settings.target, expected);
        assert_eq!(source.path, Path::SameAz);
    }
    // The second one dies: its sources move, and are told to cross zones. It comes back.
    account.seen.sensors[1].alive = false;
    let plan = account.settle();
    assert!(
        plan.sources
            .iter()
            .all(|one| one.subject.saved.settings.target == "tmt-s1")
    );
    assert_eq!(plan.of(FindingKind::CrossZone).count(), 3);
    account.seen.sensors[1].alive = true;
    let plan = account.settle();
    assert_eq!(plan.of(FindingKind::CrossZone).count(), 0);
    assert_eq!(
        account.inventory.sessions.len(),
        6,
        "each move is a change of one session"
    );
}

#[test]
fn a_dead_sensor_alone_keeps_its_sources_and_is_told() {
    let mut account = Account::new();
    account.filter("f", "f", "10 accept ingress");
    account.source("0", "f");
    account.settle();
    account.seen.sensors[0].alive = false;
    account.source("1", "f");
    let plan = account.settle();
    assert_eq!(mirrored(&plan), "eni-0");
    assert!(has(&plan, FindingKind::DeadTarget, "eni-0"));
    assert!(has(&plan, FindingKind::NoTarget, "eni-1"));
}

#[test]
fn targets_are_asked_for_and_those_of_other_accounts_are_named_by_id() {
    let mut account = Account::new();
    account.filter("f", "f", "10 accept ingress");
    account.source("0", "f");
    let target = account.inventory.targets.remove("tmt-s1").unwrap();
    let plan = account.look();
    assert_eq!(plan.targets.len(), 1);
    assert_eq!(plan.targets[0].place, target.place);
    assert_eq!(mirrored(&plan), "");
    account.target(
        "tmt-shared",
        TargetPlace::NetworkLoadBalancer("arn:nlb".to_owned()),
    );
    account
        .inventory
        .targets
        .get_mut("tmt-shared")
        .unwrap()
        .account = "222".to_owned();
    account.seen.sensors[0].place = SensorPlace::Target("tmt-shared".to_owned());
    let plan = account.settle();
    assert_eq!(
        (mirrored(&plan), plan.sources[0].path),
        ("eni-0".to_owned(), Path::Nlb)
    );
    account.seen.sensors[0].place = SensorPlace::Target("tmt-nobody".to_owned());
    let plan = account.look();
    assert!(has(&plan, FindingKind::NoTarget, "s1"));
    assert_eq!(mirrored(&plan), "eni-0", "it keeps what it has");
}

#[test]
fn only_the_sensor_that_names_the_key_takes_a_source() {
    let mut account = Account::new();
    account.sensor("s2", "a", "m5.24xlarge");
    account.tag("s2", INDICATOR, Some("other-key"));
    account.filter("f", "f", "10 accept ingress");
    account.filter("g", "g", "10 accept egress");
    for n in 0..10 {
        account.source(&n.to_string(), "f");
        if n % 2 == 1 {
            account.tag(&n.to_string(), KEY, None);
            account.tag(&n.to_string(), "other-key", Some("f"));
        }
    }
    account.tag("0", "other-key", Some("g"));
    let plan = account.settle();
    for (n, source) in plan.sources.iter().enumerate().skip(1) {
        let expected = if n % 2 == 1 { "tmt-s2" } else { "tmt-s1" };
        assert_eq!(source.subject.saved.settings.target, expected, "{n}");
    }
    assert!(has(&plan, FindingKind::TagsDisagree, "eni-0"));
}

#[test]
fn junctions_mean_the_interfaces_behind_them() {
    let mut account = Account::new();
    account.filter("f", "f", "10 accept ingress");
    for name in ["web1", "web2", "db"] {
        account.instance(&format!("i-{name}"), "a", &[]);
        account.interface(&format!("eni-{name}"), &format!("i-{name}"), 0);
    }
    account.interface("eni-web1b", "i-web1", 1);
    let alb = "arn:aws:elasticloadbalancing:us-east-1:111:loadbalancer/app/front/50dc6c495c0c9188";
    let nlb = "arn:aws:elasticloadbalancing:us-east-1:111:loadbalancer/net/in/60dc6c495c0c9188";
    account.interface("eni-alb", "", 0);
    let interface = account.inventory.interfaces.get_mut("eni-alb").unwrap();
    interface.requester_managed = true;
    interface.description = "ELB app/front/50dc6c495c0c9188".to_owned();
    let address = account.inventory.interfaces["eni-db"]
        .primary
        .unwrap()
        .to_string();
    let inventory = &mut account.inventory;
    inventory.target_groups = [
        group(
            "tg-instances",
            TargetKind::Instance,
            &["i-web1", "i-web2", "i-gone"],
        ),
        group("tg-ips", TargetKind::Ip, &[&address, "10.9.9.9"]),
        group("tg-alb", TargetKind::LoadBalancer, &[alb]),
        group("tg-functions", TargetKind::Lambda, &["arn:function"]),
    ]
    .into();
    inventory.load_balancers = [
        balancer(alb, LoadBalancerKind::Application, &[]),
        balancer(nlb, LoadBalancerKind::Network, &["tg-instances", "tg-alb"]),
    ]
    .into();
    inventory.web_acls = [("acl".to_owned(), vec![alb.to_owned()])].into();
    let table = [
        ("tg-instances", "eni-web1 eni-web2"),
        ("tg-ips", "eni-db"),
        (nlb, "eni-alb eni-web1 eni-web2"),
        ("acl", "eni-alb"),
        ("tg-functions", ""),
        ("nobody", ""),
    ];
    for (arn, expected) in table {
        let found: Vec<String> = interfaces_of(arn, &account.inventory).into_iter().collect();
        assert_eq!(found.join(" "), expected, "{arn}");
    }
    let junctions = [("acl", "f"), ("tg-ips", "f"), ("tg-functions", "f")];
    account.settings.selection.junctions = junctions
        .map(|(arn, filter)| (arn.to_owned(), filter.to_owned()))
        .into();
    let plan = account.look();
    assert_eq!(mirrored(&plan), "eni-alb eni-db");
    assert!(has(&plan, FindingKind::JunctionEmpty, "tg-functions"));
}

#[test]
fn mirroring_one_and_one_needs_four() {
    let mut account = Account::new();
    account.filter("f", "f", "10 accept ingress");
    account.source("0", "f");
    let kind = InstanceKind {
        baseline_mbps: Some(3_900),
        ..InstanceKind::default()
    };
    account.inventory.kinds = [("m5.large".to_owned(), kind)].into();
    // One Gbit/s in and one out.
    account.seen.bytes = [("eni-0".to_owned(), 250_000_000)].into();
    let plan = account.look();
    assert!(has(&plan, FindingKind::OverBandwidth, "i-0"));
    account.seen.bytes = [("eni-0".to_owned(), 240_000_000)].into();
    assert!(!has(&account.look(), FindingKind::OverBandwidth, "i-0"));
}

fn group(arn: &str, kind: TargetKind, targets: &[&str]) -> (String, TargetGroup) {
    let group = TargetGroup {
        arn: arn.to_owned(),
        name: arn.to_owned(),
        vpc: "vpc-1".to_owned(),
        protocol: "TCP".to_owned(),
        port: 80,
        kind,
        health_check: HealthCheck::default(),
        stickiness: None,
        targets: targets.iter().map(|id| ((*id).to_owned(), true)).collect(),
    };
    (arn.to_owned(), group)
}

fn balancer(arn: &str, kind: LoadBalancerKind, groups: &[&str]) -> (String, LoadBalancer) {
    let balancer = LoadBalancer {
        arn: arn.to_owned(),
        name: arn.to_owned(),
        kind,
        subnets: Vec::new(),
        cross_zone: None,
        listeners: vec![Listener {
            protocol: "TCP".to_owned(),
            port: 80,
            target_groups: groups.iter().map(|id| (*id).to_owned()).collect(),
        }],
    };
    (arn.to_owned(), balancer)
}
