//! `iam-policy`: what the controller's role needs, and nothing else; and whether it has it.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use vxscope_control::mirror::{Call, Create, ErrorKind, Settings};
use vxscope_ec2::Chore;
use vxscope_enrolment::inventory::{Inventory, TargetPlace};
use vxscope_enrolment::{Sensor, SensorPlace};

use crate::config::Config;
use crate::desk::Desk;
use crate::failure::Failure;
use crate::print;

pub(crate) fn run(file: &Path, setup: bool, check: bool) -> Result<(), Failure> {
    let config = Config::read(file).map_err(Failure::Configuration)?;
    if check {
        return self_test(config);
    }
    let policy = policy(&config, setup);
    let text = serde_json::to_string_pretty(&policy);
    let text = text.map_err(|error| Failure::Failed(error.to_string()))?;
    print(&format!("{text}\n"))
}

/// With these statements IAM itself sees to it that no mistake of ours touches what is not ours:
/// only sessions with our owner tag are changed or deleted. `setup` adds what is needed until
/// filters and targets are there.
fn policy(config: &Config, setup: bool) -> Value {
    let owner = &config.enrolment.owner.value;
    let arn = |kind: &str| format!("arn:aws:ec2:*:*:{kind}/*");
    let session = arn("traffic-mirror-session");
    let ours = json!({"StringEquals": {"ec2:ResourceTag/managed-by": owner}});
    let asked = json!({"StringEquals": {"aws:RequestTag/managed-by": owner}});
    let mut statements = vec![
        json!({"Sid": "See", "Effect": "Allow", "Resource": "*", "Action": [
            "ec2:DescribeInstanceTypes", "ec2:DescribeInstances",
            "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets", "ec2:DescribeTrafficMirrorFilters",
            "ec2:DescribeTrafficMirrorSessions", "ec2:DescribeTrafficMirrorTargets"]}),
        json!({"Sid": "UseForSessions", "Effect": "Allow",
            "Action": ["ec2:CreateTrafficMirrorSession", "ec2:ModifyTrafficMirrorSession"],
            "Resource": [arn("network-interface"), arn("traffic-mirror-target"),
                arn("traffic-mirror-filter")]}),
        json!({"Sid": "CreateOwnSessions", "Effect": "Allow",
            "Action": "ec2:CreateTrafficMirrorSession", "Resource": session, "Condition": asked}),
        json!({"Sid": "TagAtCreation", "Effect": "Allow", "Action": "ec2:CreateTags",
            "Resource": session, "Condition": {"StringEquals": {
                "ec2:CreateAction": "CreateTrafficMirrorSession"}}}),
        json!({"Sid": "ChangeOwnSessions", "Effect": "Allow", "Action": [
            "ec2:ModifyTrafficMirrorSession", "ec2:DeleteTrafficMirrorSession"],
            "Resource": session, "Condition": ours}),
        json!({"Sid": "Breadcrumbs", "Effect": "Allow",
            "Action": ["ec2:CreateTags", "ec2:DeleteTags"], "Resource": arn("network-interface"),
            "Condition": {"ForAllValues:StringEquals": {"aws:TagKeys": ["vxscope:resume"]}}}),
        json!({"Sid": "SignsOfLife", "Effect": "Allow",
            "Action": ["ec2:CreateTags", "ec2:DeleteTags"],
            "Resource": arn("traffic-mirror-target"),
            "Condition": {"StringEquals": {"ec2:ResourceTag/managed-by": owner},
                "ForAllValues:StringEquals": {"aws:TagKeys": [
                    "vxscope:controller-at", "vxscope:hold", "vxscope:reaper-at"]}}}),
    ];
    statements.extend(junction_statements(config));
    if config.metrics_per_hour > 0 {
        statements.push(
            json!({"Sid": "AskWhatIsCopied", "Effect": "Allow", "Resource": "*",
            "Action": "cloudwatch:GetMetricData"}),
        );
    }
    if let Some(arn) = config.queue.as_deref().and_then(queue_arn) {
        statements.push(
            json!({"Sid": "TakeHints", "Effect": "Allow", "Resource": arn,
            "Action": ["sqs:DeleteMessage", "sqs:ReceiveMessage"]}),
        );
    }
    if let Some(bucket) = &config.enrolment.selection.bucket {
        statements.extend(bucket_statements(bucket));
    }
    if setup {
        statements.extend(setup_statements(&arn, &ours, &asked));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// `https://sqs.REGION.amazonaws.com/ACCOUNT/NAME`, as an ARN.
fn queue_arn(url: &str) -> Option<String> {
    let (_, path) = url.split_once("://")?;
    let mut parts = path.split('/');
    let (host, account, name) = (parts.next()?, parts.next()?, parts.next()?);
    let region = host
        .strip_prefix("sqs.")
        .and_then(|rest| rest.split('.').next());
    let region = region.unwrap_or("*");
    Some(format!("arn:aws:sqs:{region}:{account}:{name}"))
}

/// What stands before targets is read only where the configuration names some.
fn junction_statements(config: &Config) -> Vec<Value> {
    let junctions = &config.enrolment.selection.junctions;
    let is_balancer = |sensor: &Sensor| {
        let interface = |place: &TargetPlace| matches!(place, TargetPlace::Interface(_));
        !matches!(&sensor.place, SensorPlace::Place(place) if interface(place))
    };
    let mut statements = Vec::new();
    if !junctions.is_empty() || config.sensors.iter().any(is_balancer) {
        statements.push(
            json!({"Sid": "SeeBalancers", "Effect": "Allow", "Resource": "*",
            "Action": ["elasticloadbalancing:DescribeListeners",
                "elasticloadbalancing:DescribeLoadBalancerAttributes",
                "elasticloadbalancing:DescribeLoadBalancers",
                "elasticloadbalancing:DescribeTargetGroupAttributes",
                "elasticloadbalancing:DescribeTargetGroups",
                "elasticloadbalancing:DescribeTargetHealth"]}),
        );
    }
    let acls: Vec<&String> = junctions
        .keys()
        .filter(|arn| arn.contains(":wafv2:"))
        .collect();
    if !acls.is_empty() {
        statements.push(json!({"Sid": "SeeWebAcls", "Effect": "Allow",
            "Action": "wafv2:ListResourcesForWebACL", "Resource": acls}));
    }
    statements
}

/// Who may not list a bucket is not told that something is missing there.
fn bucket_statements(bucket: &str) -> Vec<Value> {
    let arn = format!("arn:aws:s3:::{bucket}");
    vec![
        json!({"Sid": "SeeWhatIsMissing", "Effect": "Allow", "Action": "s3:ListBucket",
            "Resource": arn}),
        json!({"Sid": "ReadNames", "Effect": "Allow", "Action": "s3:GetObject",
            "Resource": format!("{arn}/sta.conf")}),
        json!({"Sid": "Lease", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": format!("{arn}/vxscope/*")}),
    ]
}

fn setup_statements(arn: &impl Fn(&str) -> String, ours: &Value, asked: &Value) -> Vec<Value> {
    let made = [arn("traffic-mirror-filter"), arn("traffic-mirror-target")];
    vec![
        json!({"Sid": "SetUpMake", "Effect": "Allow", "Resource": made, "Condition": asked,
            "Action": ["ec2:CreateTrafficMirrorFilter", "ec2:CreateTrafficMirrorTarget"]}),
        json!({"Sid": "SetUpTarget", "Effect": "Allow",
            "Action": "ec2:CreateTrafficMirrorTarget", "Resource": arn("network-interface")}),
        json!({"Sid": "SetUpTags", "Effect": "Allow", "Action": "ec2:CreateTags",
            "Resource": made, "Condition": {"StringEquals": {"ec2:CreateAction": [
                "CreateTrafficMirrorFilter", "CreateTrafficMirrorTarget"]}}}),
        json!({"Sid": "SetUpRules", "Effect": "Allow", "Condition": ours, "Action": [
            "ec2:CreateTrafficMirrorFilterRule", "ec2:ModifyTrafficMirrorFilterNetworkServices",
            "ec2:DeleteTags"], "Resource": arn("traffic-mirror-filter")}),
        json!({"Sid": "SetUpNewRules", "Effect": "Allow",
            "Action": "ec2:CreateTrafficMirrorFilterRule",
            "Resource": arn("traffic-mirror-filter-rule")}),
    ]
}

/// Asks EC2 with `DryRun`, which changes nothing.
fn self_test(config: Config) -> Result<(), Failure> {
    let mut desk = Desk::open(config)?;
    let inventory = desk.account()?;
    let mut said = "allowed  describe\n".to_owned();
    let mut denied = desk.unread().len();
    for (call, why) in desk.unread() {
        let _ = writeln!(said, "DENIED   {call}: {why}");
    }
    if let Some(finding) = desk.look_for_names() {
        denied += 1;
        let _ = writeln!(said, "DENIED   {finding}");
    }
    for (name, call) in probes(&desk.config, &inventory) {
        let Some(call) = call else {
            let _ = writeln!(said, "unknown  {name}: there is nothing to ask about yet");
            continue;
        };
        match desk.chore(&Chore::Probe(Box::new(call))) {
            Ok(_) => {
                let _ = writeln!(said, "allowed  {name}");
            }
            Err(error) if error.kind == ErrorKind::Unauthorized => {
                denied += 1;
                let _ = writeln!(said, "DENIED   {name}: {error}");
            }
            // Let in, and refused for another reason.
            Err(error) => {
                let _ = writeln!(said, "allowed  {name} ({})", error.code);
            }
        }
    }
    print(&said)?;
    if denied > 0 {
        return Err(Failure::Failed(format!("{denied} calls are denied")));
    }
    Ok(())
}

fn probes(config: &Config, inventory: &Inventory) -> [(&'static str, Option<Call>); 3] {
    let owner = &config.enrolment.owner;
    let ours = inventory.sessions.values().find(|one| owner.owns(one));
    let create = || {
        Some(Call::Create(Create {
            interface: inventory.interfaces.keys().next()?.clone(),
            settings: Settings {
                target: inventory.targets.keys().next()?.clone(),
                filter: inventory.filters.keys().next()?.clone(),
                number: 32_766,
                description: format!("{}self-test", owner.marker),
                ..Settings::default()
            },
            tags: [(owner.tag.clone(), owner.value.clone())].into(),
            client_token: "vxscope-self-test".to_owned(),
        }))
    };
    let modify = ours.map(|session| Call::Modify {
        id: session.id.clone(),
        settings: session.settings.clone(),
    });
    let delete = ours.map(|session| Call::Delete {
        id: session.id.clone(),
    });
    [("create", create()), ("modify", modify), ("delete", delete)]
}
