//! What would keep copies from arriving is said before anything is made, with what to do.

use serde_json::Value;
use vxscope_standin::{Fault, FaultKind, Kind, SecurityGroup, Seed, Subnet};

use crate::kit::{ALL, Site, site, site_with_bucket, tagged};

#[test]
fn findings_come_before_anything_is_made_and_go_when_it_is_mended() {
    let site = site();
    let group = |inbound: &[(&str, u16, &str)]| SecurityGroup {
        id: "sg-1".to_owned(),
        name: "Sensor-ManagementSecurityGroup".to_owned(),
        vpc: "vpc-1".to_owned(),
        inbound: inbound
            .iter()
            .map(|(protocol, port, block)| ((*protocol).to_owned(), *port, (*block).to_owned()))
            .collect(),
    };
    site.account(|account| {
        account.add_instance(tagged("a", "10.0.0.1", ALL));
        let seed = tagged("six", "10.0.9.1", ALL);
        account.add_instance(seed.place("vpc-1", "subnet-6", "us-east-1a"));
        account.put_subnet(Subnet {
            id: "subnet-6".to_owned(),
            vpc: "vpc-1".to_owned(),
            ipv6: "fd00::/64".to_owned(),
            ..Subnet::default()
        });
        account.put_group(group(&[("tcp", 22, "0.0.0.0/0")]));
        account.put_kind(Kind {
            name: "m5.xlarge".to_owned(),
            cores: 2,
            memory_mib: 8_192,
            baseline_gbps: 1.25,
        });
    });
    let told = findings(&site);
    for (about, kind, fix) in [
        (
            "eni-sensor",
            "closed_to_copies (from anywhere)",
            "let UDP 4789 in",
        ),
        (
            "eni-sensor",
            "wrong_group",
            "Sensor-TrafficSecurityGroup belongs on",
        ),
        (
            "i-sensor",
            "small_instance (m5.xlarge)",
            "use m5.xlarge or larger",
        ),
        ("eni-six", "ipv6_only", "give the subnet IPv4"),
        ("all", "never_mirrored", "AWS copies none of it"),
    ] {
        let line = told
            .iter()
            .find(|line| line.starts_with(&format!("{about}: {kind}")));
        let line = line.unwrap_or_else(|| panic!("{about} {kind}: {told:?}"));
        assert!(line.contains(fix), "{line}");
    }
    // Some are let in, and not all.
    site.account(|account| account.put_group(group(&[("udp", 4789, "10.0.1.0/24")])));
    site.settle();
    assert!(has(&findings(&site), "closed_to_copies (from 10.0.0.1)"));
    site.account(|account| account.put_group(group(&[("-1", 0, "10.0.0.0/16")])));
    site.settle();
    let status: Value = serde_json::from_str(&site.ok(&["status", "--json"])).unwrap();
    let told = lines(&status["findings"]);
    assert!(!has(&told, "closed_to_copies"), "{told:?}");
    assert!(
        has(&told, "small_instance"),
        "status has them, too: {told:?}"
    );
}

#[test]
fn what_may_not_be_read_is_named_and_nothing_is_concluded_from_it() {
    let site = site();
    site.account(|account| account.add_instance(tagged("a", "10.0.0.1", ALL)));
    let denied = Fault::every("DescribeSecurityGroups", FaultKind::Denied);
    site.standin.faults(|faults| faults.add(denied));
    let told = findings(&site);
    assert!(
        has(&told, "ec2:DescribeSecurityGroups: not_read (Unauthorized"),
        "{told:?}"
    );
    assert!(!has(&told, "closed_to_copies"), "{told:?}");
    assert!(site.settle().contains("1 sources (1 full)"));
}

#[test]
fn a_balancer_is_looked_at_and_junctions_lead_to_interfaces() {
    let Some((mut site, moto)) = site_with_bucket("unused") else {
        return;
    };
    let made = moto.script(BALANCERS).unwrap();
    let made: Value = serde_json::from_str(&made).unwrap();
    let text = |key: &str| made[key].as_str().unwrap().to_owned();
    let acl = "arn:aws:wafv2:us-east-1:111122223333:regional/webacl/front/1";
    site.account(|account| {
        let place = |seed: Seed| seed.place(&text("vpc"), "subnet-1", "us-east-1a");
        account.add_instance(place(Seed::new("i-web", "eni-web", "10.0.7.1")));
        account.add_instance(place(Seed::new("i-ears", "eni-ears", "10.0.0.77")));
        // The interface that an Application Load Balancer has of its own.
        account.add_instance(place(Seed::new("i-alb", "eni-alb", "10.0.7.9")));
        let mut interface = account.interface("eni-alb").unwrap();
        (interface.requester_managed, interface.instance) = (true, None);
        let (_, name) = text("alb")
            .split_once("loadbalancer/")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        interface.description = format!("ELB {name}");
        account.add_interface(interface);
        account.protect(acl, &[&text("alb")]);
    });
    site.aim_at(&format!("network_load_balancer = \"{}\"", text("nlb")));
    let junctions = format!(
        "[mirroring.junctions]\n\"{}\" = \"{ALL}\"\n\"{acl}\" = \"{ALL}\"",
        text("web")
    );
    site.configure(&junctions, "");
    let told = findings(&site);
    assert!(has(&told, "no_listener (listeners: TCP 80)"), "{told:?}");
    moto.script(&listener(&text("nlb"), &text("wrong")))
        .unwrap();
    let told = findings(&site);
    for kind in [
        "wrong_target_group (instance, UDP 4789)",
        "wrong_health_check (TCP",
        "not_sticky",
        "none_healthy",
    ] {
        assert!(has(&told, kind), "{kind}: {told:?}");
    }
    moto.script(&mended(&text("nlb"), &text("right"))).unwrap();
    let told = findings(&site);
    for kind in [
        "no_listener",
        "wrong_",
        "not_sticky",
        "none_healthy",
        "junction_empty",
    ] {
        assert!(!has(&told, kind), "{kind}: {told:?}");
    }
    site.settle();
    for (interface, sessions) in [("eni-web", 1), ("eni-alb", 1), ("eni-ears", 0)] {
        assert_eq!(site.sessions(interface).len(), sessions, "{interface}");
    }
    let policy = site.ok(&["iam-policy", "--setup"]);
    for entry in site.standin.log().entries() {
        let needed = format!("\"{}:{}\"", entry.service, entry.action);
        assert!(
            entry.service == "sts" || policy.contains(&needed),
            "{needed}"
        );
    }
}

/// Two balancers, and target groups as they should be and as they should not.
const BALANCERS: &str = "\
ec2, elb = client('ec2'), client('elbv2')
vpc = ec2.create_vpc(CidrBlock='10.0.0.0/16')['Vpc']['VpcId']
subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f'10.0.{n}.0/24', AvailabilityZone=f'us-east-1{z}')['Subnet']['SubnetId'] for n, z in ((0, 'a'), (1, 'b'))]
def balancer(name, kind):
    return elb.create_load_balancer(Name=name, Type=kind, Subnets=subnets)['LoadBalancers'][0]['LoadBalancerArn']
def group(name, kind, protocol, port, **health):
    return elb.create_target_group(Name=name, TargetType=kind, Protocol=protocol, Port=port, VpcId=vpc, **health)['TargetGroups'][0]['TargetGroupArn']
nlb, alb = balancer('mirrors', 'network'), balancer('front', 'application')
wrong = group('wrong', 'instance', 'UDP', 4789, HealthCheckProtocol='TCP')
right = group('right', 'ip', 'UDP', 4789, HealthCheckProtocol='HTTP', HealthCheckPort='80', HealthCheckPath='/api/2.0/status')
web = group('web', 'ip', 'HTTP', 80)
elb.register_targets(TargetGroupArn=right, Targets=[{'Id': '10.0.0.77'}])
elb.register_targets(TargetGroupArn=web, Targets=[{'Id': '10.0.7.1'}])
elb.create_listener(LoadBalancerArn=nlb, Protocol='TCP', Port=80, DefaultActions=[{'Type': 'forward', 'TargetGroupArn': web}])
elb.modify_target_group_attributes(TargetGroupArn=right, Attributes=[
    {'Key': 'stickiness.enabled', 'Value': 'true'}, {'Key': 'stickiness.type', 'Value': 'source_ip'}])
print(json.dumps(dict(vpc=vpc, nlb=nlb, alb=alb, wrong=wrong, right=right, web=web)))
";

fn listener(balancer: &str, group: &str) -> String {
    format!(
        "client('elbv2').create_listener(LoadBalancerArn='{balancer}', Protocol='UDP', Port=4789, \
         DefaultActions=[{{'Type': 'forward', 'TargetGroupArn': '{group}'}}])"
    )
}

fn mended(balancer: &str, group: &str) -> String {
    let new = listener(balancer, group);
    format!(
        "elb = client('elbv2')\n\
         for one in elb.describe_listeners(LoadBalancerArn='{balancer}')['Listeners']:\n\
         \x20   if one['Port'] == 4789: elb.delete_listener(ListenerArn=one['ListenerArn'])\n\
         {new}"
    )
}

fn findings(site: &Site) -> Vec<String> {
    lines(&site.plan()["findings"])
}

fn lines(findings: &Value) -> Vec<String> {
    let lines = findings.as_array().unwrap().iter();
    lines
        .map(|line| line.as_str().unwrap().to_owned())
        .collect()
}

fn has(told: &[String], part: &str) -> bool {
    told.iter().any(|line| line.contains(part))
}
