//! boto3, another official SDK, as a client of the stand-in: it must find an EC2 there, too.

use std::process::Command;

use crate::kit::kit;

const SCRIPT: &str = r#"
import boto3, sys
from botocore.config import Config
from botocore.exceptions import ClientError
ec2 = boto3.client('ec2', endpoint_url=sys.argv[1], region_name='us-east-1',
    aws_access_key_id='AKIA', aws_secret_access_key='s', config=Config(retries={'max_attempts': 0}))
def code(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response['Error']['Code']
    return 'done'
target = ec2.create_traffic_mirror_target(NetworkInterfaceId='eni-sensor')['TrafficMirrorTarget']
filter = ec2.create_traffic_mirror_filter()['TrafficMirrorFilter']['TrafficMirrorFilterId']
everywhere = dict(SourceCidrBlock='0.0.0.0/0', DestinationCidrBlock='0.0.0.0/0')
rule = dict(TrafficMirrorFilterId=filter, TrafficDirection='ingress', RuleNumber=1,
    RuleAction='accept', **everywhere)
ec2.create_traffic_mirror_filter_rule(**rule)
assert code(ec2.create_traffic_mirror_filter_rule, **rule) == 'TrafficMirrorFilterRuleAlreadyExists'
ec2.modify_traffic_mirror_filter_network_services(
    TrafficMirrorFilterId=filter, AddNetworkServices=['amazon-dns'])
there = ec2.describe_traffic_mirror_filters()['TrafficMirrorFilters'][0]
assert there['NetworkServices'] == ['amazon-dns'], there
assert len(there['IngressFilterRules']) == 1, there
wanted = dict(NetworkInterfaceId='eni-a', TrafficMirrorTargetId=target['TrafficMirrorTargetId'],
    TrafficMirrorFilterId=filter, SessionNumber=1)
assert code(ec2.create_traffic_mirror_session, DryRun=True, **wanted) == 'DryRunOperation'
session = ec2.create_traffic_mirror_session(PacketLength=100, TagSpecifications=[
    dict(ResourceType='traffic-mirror-session', Tags=[dict(Key='k', Value='v')])],
    **wanted)['TrafficMirrorSession']
assert session['Tags'] == [dict(Key='k', Value='v')], session
assert 0 < session['VirtualNetworkId'] < 1 << 24
id = session['TrafficMirrorSessionId']
changed = ec2.modify_traffic_mirror_session(TrafficMirrorSessionId=id, SessionNumber=9,
    RemoveFields=['packet-length'])['TrafficMirrorSession']
assert changed['SessionNumber'] == 9 and 'PacketLength' not in changed, changed
describe = ec2.describe_traffic_mirror_sessions
found = lambda **one: len(describe(Filters=[one])['TrafficMirrorSessions'])
assert found(Name='session-number', Values=['9']) == 1
assert found(Name='session-number', Values=['1']) == 0
assert code(describe, Filters=[dict(Name='tag:k', Values=['v'])]) == 'InvalidParameterValue'
assert code(describe, TrafficMirrorSessionIds=['tms-0']) == 'InvalidTrafficMirrorSessionId.NotFound'
pages = ec2.get_paginator('describe_network_interfaces').paginate(PaginationConfig=dict(PageSize=5))
print(sum(len(page['NetworkInterfaces']) for page in pages))
ec2.create_tags(Resources=[id], Tags=[dict(Key='a', Value='b')])
ec2.delete_tags(Resources=[id], Tags=[dict(Key='k')])
tags = describe()['TrafficMirrorSessions'][0]['Tags']
assert tags == [dict(Key='a', Value='b')], tags
assert code(ec2.delete_traffic_mirror_target,
    TrafficMirrorTargetId=wanted['TrafficMirrorTargetId']) == 'TrafficMirrorTargetInUseException'
ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=id)
assert code(ec2.delete_traffic_mirror_session,
    TrafficMirrorSessionId=id) == 'InvalidTrafficMirrorSessionId.NotFound'
"#;

#[test]
fn boto3_finds_an_ec2() {
    let python = std::env::var_os("VXSCOPE_READERS");
    let has_boto3 = python.as_ref().is_some_and(|python| {
        let status = Command::new(python).args(["-c", "import boto3"]).status();
        status.is_ok_and(|status| status.success())
    });
    let Some(python) = python.filter(|_| has_boto3) else {
        assert!(std::env::var_os("CI").is_none(), "CI has boto3");
        eprintln!("skipped: no Python with boto3 in VXSCOPE_READERS");
        return;
    };
    let kit = kit();
    kit.source("a", "10.0.0.1");
    for at in 0..12 {
        kit.source(&format!("n{at}"), "10.0.0.2");
    }
    let url = kit.standin.url();
    let output = Command::new(python).args(["-c", SCRIPT, &url]).output();
    let output = output.unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "14");
}
