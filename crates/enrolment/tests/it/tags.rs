//! Tags say who is mirrored; every other one that was asked for is named with its reason.

use vxscope_enrolment::inventory::{InstanceState, InterfaceKind};
use vxscope_enrolment::{FindingKind, TagMatch, WhenStopped};

use super::account::{Account, INDICATOR, KEY, has, mirrored};

#[test]
fn every_interface_of_a_tagged_instance_gets_a_session_with_the_filter_of_the_tag() {
    let mut account = Account::new();
    account.filter("tmf-mine", "mine", "10 accept ingress\n10 accept egress");
    account.source("web", "tmf-mine");
    account.interface("eni-web2", "i-web", 1);
    account.instance("i-other", "a", &[("Name", "untagged")]);
    account.interface("eni-other", "i-other", 0);
    let plan = account.settle();
    assert_eq!(mirrored(&plan), "eni-web eni-web2");
    for source in &plan.sources {
        let settings = &source.subject.saved.settings;
        assert_eq!((settings.filter.as_str(), settings.number), ("tmf-mine", 1));
        assert_eq!(settings.target, "tmt-s1");
        assert!(settings.description.starts_with("vxscope: "));
        assert_eq!(
            source.subject.saved.tags.get("managed-by").unwrap(),
            "vxscope"
        );
    }
    assert_eq!(plan.untagged, 1, "the sensor is not counted");
}

#[test]
fn the_key_is_named_by_the_operator_by_the_sensor_or_by_the_bucket() {
    let wanted = |account: &mut Account| {
        account.filter("tmf-mine", "mine", "10 accept ingress");
        account.source("web", "tmf-mine");
        mirrored(&account.look())
    };
    let mut account = Account::new();
    assert_eq!(wanted(&mut account), "eni-web", "the indicator tag");
    let mut account = Account::new();
    account.tag("s1", INDICATOR, None);
    assert_eq!(wanted(&mut account), "");
    assert!(has(&account.look(), FindingKind::NoKey, "s1"));
    account.settings.selection.bucket = Some("bucket".to_owned());
    assert_eq!(wanted(&mut account), "eni-web", "the bucket's template");
    let mut account = Account::new();
    account.settings.selection.tag_key = Some("Mirror".to_owned());
    assert_eq!(wanted(&mut account), "", "the operator's key goes first");
    account.tag("web", "Mirror", Some("tmf-mine"));
    assert_eq!(mirrored(&account.look()), "eni-web");
}

#[test]
fn a_tag_may_name_a_filter_by_name_by_kind_or_say_just_yes() {
    let mut account = Account::new();
    account.filter("tmf-mine", "my filter", "10 accept ingress");
    let table = [
        ("1", "my filter", "my filter"),
        (
            "2",
            "STA - Mirror Filter - Moderate",
            "STA - Mirror Filter - Moderate",
        ),
        ("3", "essential", "STA - Mirror Filter - Essential"),
        ("4", "True", "STA - Mirror Filter - All"),
        ("5", "", "STA - Mirror Filter - All"),
    ];
    for (name, value, _) in table {
        account.source(name, value);
    }
    account.source("6", "No");
    account.source("7", "tmf-nobody-has");
    let plan = account.settle();
    for (name, value, filter) in table {
        let source = plan.source(&format!("eni-{name}")).expect(value);
        let id = &source.subject.saved.settings.filter;
        assert_eq!(account.inventory.filters[id].filter.name, filter, "{value}");
    }
    assert!(has(&plan, FindingKind::SwitchedOff, "eni-6"));
    assert!(has(&plan, FindingKind::UnknownFilter, "eni-7"));
    assert_eq!(plan.sources.len(), table.len());
}

#[test]
fn all_required_tags_no_excluded_one_and_the_right_place() {
    let mut account = Account::new();
    account.filter("f", "f", "10 accept ingress");
    for name in ["1", "2", "3", "4", "5"] {
        account.source(name, "f");
    }
    let selection = &mut account.settings.selection;
    selection.require = vec![TagMatch::parse("env=prod"), TagMatch::parse("team")];
    selection.exclude = vec![TagMatch::parse("no-mirror")];
    selection.subnets = ["subnet-a".to_owned()].into();
    selection.vpcs = ["vpc-1".to_owned()].into();
    for name in ["1", "3", "4", "5"] {
        account.tag(name, "env", Some("prod"));
        account.tag(name, "team", Some("x"));
    }
    account.tag("2", "env", Some("prod"));
    account.tag("3", "no-mirror", Some("yes"));
    let interface = |account: &mut Account, id: &str, subnet: &str, vpc: &str| {
        let one = account.inventory.interfaces.get_mut(id).unwrap();
        (one.subnet, one.vpc) = (subnet.to_owned(), vpc.to_owned());
    };
    interface(&mut account, "eni-4", "subnet-b", "vpc-1");
    interface(&mut account, "eni-5", "subnet-a", "vpc-2");
    let plan = account.look();
    assert_eq!(mirrored(&plan), "eni-1");
    assert!(has(&plan, FindingKind::LacksTag, "eni-2"));
    assert!(has(&plan, FindingKind::Excluded, "eni-3"));
    assert!(has(&plan, FindingKind::OtherSubnet, "eni-4"));
    assert!(has(&plan, FindingKind::OtherVpc, "eni-5"));
}

#[test]
fn what_can_never_be_mirrored_is_named() {
    let mut account = Account::new();
    account.filter("f", "f", "10 accept ingress");
    for name in ["kind", "ipv6", "shared"] {
        account.source(name, "f");
    }
    account.tag("s1", KEY, Some("f"));
    let interfaces = &mut account.inventory.interfaces;
    interfaces.get_mut("eni-kind").unwrap().kind = InterfaceKind::from_name("trunk");
    interfaces.get_mut("eni-ipv6").unwrap().subnet = "subnet-b".to_owned();
    interfaces.get_mut("eni-shared").unwrap().account = "222".to_owned();
    account
        .inventory
        .subnets
        .get_mut("subnet-b")
        .unwrap()
        .ipv6_only = true;
    let plan = account.look();
    assert_eq!(mirrored(&plan), "");
    assert!(has(&plan, FindingKind::InterfaceKind, "eni-kind"));
    assert!(has(&plan, FindingKind::Ipv6Only, "eni-ipv6"));
    assert!(has(&plan, FindingKind::OtherAccount, "eni-shared"));
    assert!(
        has(&plan, FindingKind::OwnInterface, "eni-s1"),
        "no mirror of the mirror"
    );
}

#[test]
fn what_ec2_refuses_is_remembered_until_the_type_changes() {
    let mut account = Account::new();
    account.filter("f", "f", "10 accept ingress");
    account.source("new", "f");
    account.inventory.instances.get_mut("i-new").unwrap().kind = "m8g.large".to_owned();
    assert_eq!(
        mirrored(&account.look()),
        "eni-new",
        "the API decides, no list"
    );
    account.enroller.handle_unsupported("eni-new", "m8g.large");
    let plan = account.look();
    assert_eq!((mirrored(&plan), plan.leaving.len()), (String::new(), 1));
    assert!(has(&plan, FindingKind::Unsupported, "eni-new"));
    account.minutes(100_000);
    assert_eq!(mirrored(&account.look()), "", "days later, too");
    account.inventory.instances.get_mut("i-new").unwrap().kind = "m7g.large".to_owned();
    assert_eq!(mirrored(&account.look()), "eni-new");
}

#[test]
fn a_stopped_instance_costs_and_is_removed_or_reported() {
    let mut account = Account::new();
    account.filter("f", "f", "10 accept ingress");
    account.source("web", "f");
    account.settle();
    account.state("web", InstanceState::Stopped);
    let plan = account.settle();
    assert_eq!(mirrored(&plan), "eni-web", "a restart is no reason");
    assert!(has(&plan, FindingKind::Waits, "eni-web"));
    account.minutes(61);
    assert_eq!(account.settle().leaving, ["eni-web"]);
    account.state("web", InstanceState::Running);
    assert_eq!(mirrored(&account.settle()), "eni-web", "it starts again");
    account.settings.selection.stopped = WhenStopped::Report;
    account.state("web", InstanceState::Stopped);
    account.minutes(500);
    let plan = account.settle();
    assert_eq!(mirrored(&plan), "eni-web");
    assert!(has(&plan, FindingKind::StoppedBilled, "eni-web"));
}

#[test]
fn a_tag_of_the_interface_goes_before_that_of_its_instance() {
    let mut account = Account::new();
    account.filter("f", "f", "10 accept ingress");
    account.filter("g", "g", "10 accept egress");
    account.source("web", "f");
    account.interface("eni-web2", "i-web", 1);
    account.interface("eni-db", "", 0);
    let interfaces = &mut account.inventory.interfaces;
    let mut tag = |id: &str, value: &str| {
        let tags = &mut interfaces.get_mut(id).unwrap().tags;
        tags.insert(KEY.to_owned(), value.to_owned());
    };
    tag("eni-web2", "off");
    tag("eni-db", "g");
    let plan = account.look();
    assert_eq!(
        mirrored(&plan),
        "eni-db eni-web",
        "a database has no instance of ours"
    );
    assert!(has(&plan, FindingKind::SwitchedOff, "eni-web2"));
}
