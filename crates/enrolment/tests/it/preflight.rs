//! What keeps copies from arriving is found, with what to do; where all is right nothing is.

use std::collections::BTreeMap;

use vxscope_enrolment::inventory::{
    HealthCheck, InstanceKind, Listener, LoadBalancer, LoadBalancerKind, Net, Peers, Ports,
    SecurityGroup, SecurityRule, TargetGroup, TargetKind, TargetPlace, Transport,
};
use vxscope_enrolment::preflight::{
    Facts, HEALTH_PATH, Host, HostInterface, MANAGEMENT_GROUP, Route, TRAFFIC_GROUP, check,
};
use vxscope_enrolment::{FindingKind, Plan, SensorPlace};

use super::account::Account;

/// A sensor with two interfaces, sources that it takes, and nothing wrong.
fn good() -> (Account, Host) {
    let mut account = Account::new();
    account.filter("f", "f", "10 accept ingress");
    account.source("web", "f");
    account.source("db", "f");
    let traffic = group(TRAFFIC_GROUP, Some(Transport::Udp), 4_789, "10.0.0.0/8");
    account.inventory.security_groups = [traffic].into();
    let interface = account
        .inventory
        .interfaces
        .get_mut("eni-s1")
        .expect("it is there");
    interface.security_groups = vec![TRAFFIC_GROUP.to_owned()];
    let address = interface.primary.expect("it is there");
    let kind = InstanceKind {
        cores: 96,
        memory_mib: 393_216,
        baseline_mbps: Some(25_000),
    };
    account.inventory.kinds = [("m5.24xlarge".to_owned(), kind)].into();
    let host = Host {
        sensor: "s1".to_owned(),
        interfaces: vec![HostInterface {
            name: "ens6".to_owned(),
            mtu: 9_001,
            rp_filter: 2,
            addresses: vec![address],
            ..HostInterface::default()
        }],
        routes: vec![route("0.0.0.0/0", "ens5"), route("10.0.0.0/16", "ens5")],
        routed_by_source: vec![address],
        listens: Some(true),
        ..Host::default()
    };
    (account, host)
}

#[test]
fn where_all_is_right_only_what_is_never_mirrored_is_told() {
    let (mut account, host) = good();
    assert_eq!(kinds(&mut account, &host), [FindingKind::NeverMirrored]);
    behind_a_balancer(&mut account);
    assert_eq!(kinds(&mut account, &host), [FindingKind::NeverMirrored]);
}

#[test]
fn security_groups_must_let_copies_and_health_checks_in() {
    let closed = |change: fn(&mut Account)| {
        let (mut account, host) = good();
        behind_a_balancer(&mut account);
        change(&mut account);
        kinds(&mut account, &host)
    };
    let found = closed(|account| {
        let groups = &mut account.inventory.security_groups;
        groups.get_mut(TRAFFIC_GROUP).unwrap().inbound = Vec::new();
    });
    assert!(found.contains(&FindingKind::ClosedToCopies), "{found:?}");
    assert!(found.contains(&FindingKind::ClosedToHealth), "{found:?}");
    let found = closed(|account| {
        let groups = &mut account.inventory.security_groups;
        let inbound = &mut groups.get_mut(TRAFFIC_GROUP).unwrap().inbound;
        inbound.retain(|rule| rule.protocol == Some(Transport::Tcp));
        // TCP to the port of copies is of no use.
        inbound.push(rule(Some(Transport::Tcp), 4_789, "0.0.0.0/0"));
    });
    assert!(found.contains(&FindingKind::ClosedToCopies), "{found:?}");
    assert!(!found.contains(&FindingKind::ClosedToHealth), "{found:?}");
    let found = closed(|account| {
        let groups = &mut account.inventory.security_groups;
        let inbound = &mut groups.get_mut(TRAFFIC_GROUP).unwrap().inbound;
        *inbound = vec![rule(None, 0, "0.0.0.0/0")];
    });
    assert_eq!(found, [FindingKind::NeverMirrored], "all protocols");
    let found = closed(|account| {
        let interface = account.inventory.interfaces.get_mut("eni-s1").unwrap();
        interface.security_groups.push("not read".to_owned());
        let groups = &mut account.inventory.security_groups;
        groups.get_mut(TRAFFIC_GROUP).unwrap().inbound = Vec::new();
    });
    assert!(!found.contains(&FindingKind::ClosedToCopies), "{found:?}");
}

#[test]
fn a_group_may_name_another_group() {
    let (mut account, host) = good();
    let groups = &mut account.inventory.security_groups;
    groups.get_mut(TRAFFIC_GROUP).unwrap().inbound = vec![SecurityRule {
        peers: Peers::Group("sg-app".to_owned()),
        ..rule(Some(Transport::Udp), 4_789, "0.0.0.0/0")
    }];
    let interfaces = &mut account.inventory.interfaces;
    interfaces.get_mut("eni-web").unwrap().security_groups = vec!["sg-app".to_owned()];
    let plan = account.settle();
    let finding = run(&account, &plan, &host).remove(0);
    assert_eq!(finding.kind, FindingKind::ClosedToCopies);
    let other = account.inventory.interfaces["eni-db"].primary.unwrap();
    assert_eq!(
        finding.detail,
        format!("from {other}"),
        "only the one outside"
    );
}

#[test]
fn the_traffic_interface_has_the_traffic_group() {
    let (mut account, host) = good();
    let (name, management) = group(MANAGEMENT_GROUP, None, 0, "10.0.0.0/8");
    account
        .inventory
        .security_groups
        .insert(name.clone(), management);
    let interface = account.inventory.interfaces.get_mut("eni-s1").unwrap();
    interface.security_groups = vec![name];
    let found = kinds(&mut account, &host);
    assert!(found.contains(&FindingKind::WrongGroup), "{found:?}");
}

#[test]
fn a_balancer_needs_listener_group_health_and_stickiness() {
    type Change = fn(&mut Account);
    let table: [(Change, FindingKind); 8] = [
        (|it| balancer(it).listeners.clear(), FindingKind::NoListener),
        (
            |it| balancer(it).listeners[0].protocol = "TCP".to_owned(),
            FindingKind::NoListener,
        ),
        (
            |it| balancer(it).cross_zone = Some(false),
            FindingKind::NotAcrossZones,
        ),
        (
            |it| targets(it).kind = TargetKind::Instance,
            FindingKind::WrongTargetGroup,
        ),
        (|it| targets(it).port = 4_790, FindingKind::WrongTargetGroup),
        (
            |it| targets(it).health_check.port = None,
            FindingKind::WrongHealthCheck,
        ),
        (|it| targets(it).stickiness = None, FindingKind::NotSticky),
        (
            |it| targets(it).targets[0].1 = false,
            FindingKind::NoneHealthy,
        ),
    ];
    for (change, expected) in table {
        let (mut account, host) = good();
        behind_a_balancer(&mut account);
        change(&mut account);
        let found = kinds(&mut account, &host);
        assert!(found.contains(&expected), "{expected:?}: {found:?}");
    }
}

#[test]
fn the_sensors_machine_must_take_what_arrives() {
    type Change = fn(&mut Host);
    let table: [(Change, FindingKind); 5] = [
        (|host| host.interfaces[0].mtu = 1_500, FindingKind::SmallMtu),
        (
            |host| host.interfaces[0].rp_filter = 1,
            FindingKind::StrictReversePath,
        ),
        (
            |host| (host.interfaces[0].rp_filter, host.rp_filter_all) = (0, 1),
            FindingKind::StrictReversePath,
        ),
        (
            |host| host.listens = Some(false),
            FindingKind::NobodyListens,
        ),
        (|host| host.routed_by_source.clear(), FindingKind::NoWayBack),
    ];
    for (change, expected) in table {
        let (mut account, mut host) = good();
        behind_a_balancer(&mut account);
        change(&mut host);
        let found = kinds(&mut account, &host);
        assert!(found.contains(&expected), "{expected:?}: {found:?}");
    }
    // Strict, and the way back is the same interface.
    let (mut account, mut host) = good();
    host.interfaces[0].rp_filter = 1;
    host.routes.push(route("10.0.0.0/24", "ens6"));
    assert_eq!(kinds(&mut account, &host), [FindingKind::NeverMirrored]);
}

#[test]
fn a_sensor_is_large_enough_and_there_are_enough() {
    let (mut account, host) = good();
    account.inventory.instances.get_mut("i-s1").unwrap().kind = "m5.large".to_owned();
    let found = kinds(&mut account, &host);
    assert!(found.contains(&FindingKind::SmallInstance), "{found:?}");
    let (mut account, host) = good();
    account.seen.bytes = [("eni-web".to_owned(), 4_000_000_000)].into();
    let found = kinds(&mut account, &host);
    assert!(found.contains(&FindingKind::OverCapacity), "{found:?}");
    let (mut account, host) = good();
    account.enroller.handle_target_full("tmt-s1", 1);
    let found = kinds(&mut account, &host);
    assert!(found.contains(&FindingKind::TooFewSlots), "{found:?}");
}

fn kinds(account: &mut Account, host: &Host) -> Vec<FindingKind> {
    let plan = account.settle();
    assert!(!plan.sources.is_empty());
    run(account, &plan, host)
        .into_iter()
        .map(|one| one.kind)
        .collect()
}

fn run(account: &Account, plan: &Plan, host: &Host) -> Vec<vxscope_enrolment::Finding> {
    check(&Facts {
        inventory: &account.inventory,
        sensors: &account.seen.sensors,
        plan,
        bytes: &account.seen.bytes,
        hosts: std::slice::from_ref(host),
        unread: &BTreeMap::new(),
    })
}

/// Puts the sensor behind a balancer that is right.
fn behind_a_balancer(account: &mut Account) {
    let address = account.inventory.interfaces["eni-s1"]
        .primary
        .expect("it is there");
    let place = TargetPlace::NetworkLoadBalancer("nlb".to_owned());
    account.target("tmt-nlb", place.clone());
    account.seen.sensors[0].place = SensorPlace::Place(place);
    let subnet = account
        .inventory
        .subnets
        .get_mut("subnet-a")
        .expect("it is there");
    subnet.blocks = vec!["10.0.0.0/24".parse().expect("it is there")];
    let group = TargetGroup {
        arn: "tg".to_owned(),
        name: "sensors".to_owned(),
        vpc: "vpc-1".to_owned(),
        protocol: "UDP".to_owned(),
        port: 4_789,
        kind: TargetKind::Ip,
        health_check: HealthCheck {
            protocol: "HTTP".to_owned(),
            port: Some(80),
            path: HEALTH_PATH.to_owned(),
        },
        stickiness: Some("source_ip".to_owned()),
        targets: vec![(address.to_string(), true)],
    };
    let balancer = LoadBalancer {
        arn: "nlb".to_owned(),
        name: "mirrors".to_owned(),
        kind: LoadBalancerKind::Network,
        subnets: vec!["subnet-a".to_owned()],
        cross_zone: Some(true),
        listeners: vec![Listener {
            protocol: "UDP".to_owned(),
            port: 4_789,
            target_groups: vec!["tg".to_owned()],
        }],
    };
    account
        .inventory
        .target_groups
        .insert("tg".to_owned(), group);
    account
        .inventory
        .load_balancers
        .insert("nlb".to_owned(), balancer);
    let groups = &mut account.inventory.security_groups;
    let health = rule(Some(Transport::Tcp), 80, "10.0.0.0/24");
    groups
        .get_mut(TRAFFIC_GROUP)
        .expect("it is there")
        .inbound
        .push(health);
}

fn balancer(account: &mut Account) -> &mut LoadBalancer {
    account
        .inventory
        .load_balancers
        .get_mut("nlb")
        .expect("it is there")
}

fn targets(account: &mut Account) -> &mut TargetGroup {
    account
        .inventory
        .target_groups
        .get_mut("tg")
        .expect("it is there")
}

fn group(
    name: &str,
    protocol: Option<Transport>,
    port: u16,
    from: &str,
) -> (String, SecurityGroup) {
    let group = SecurityGroup {
        id: name.to_owned(),
        name: name.to_owned(),
        vpc: "vpc-1".to_owned(),
        inbound: vec![rule(protocol, port, from)],
    };
    (name.to_owned(), group)
}

fn rule(protocol: Option<Transport>, port: u16, from: &str) -> SecurityRule {
    SecurityRule {
        protocol,
        ports: Ports::one(port),
        peers: Peers::Block(from.parse::<Net>().expect("a block")),
    }
}

fn route(to: &str, device: &str) -> Route {
    let (_, bits) = to.split_once('/').expect("a length");
    Route {
        to: to.parse().expect("a block"),
        bits: bits.parse().expect("a number"),
        device: device.to_owned(),
        metric: 0,
    }
}
