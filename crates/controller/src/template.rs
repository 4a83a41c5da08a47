//! Templates beside the sessions': a queue of hints, a reaper of its own, and rules that tell of
//! mirror calls that are not ours.

use serde_json::{Value, json};

use crate::config::Config;
use crate::driver::{CONTROLLER, HEARTBEAT, HOLD};

/// Calls that change what is mirrored, or where it goes.
const MIRROR_CALLS: [&str; 11] = [
    "CreateTrafficMirrorFilter",
    "CreateTrafficMirrorFilterRule",
    "CreateTrafficMirrorSession",
    "CreateTrafficMirrorTarget",
    "DeleteTrafficMirrorFilter",
    "DeleteTrafficMirrorFilterRule",
    "DeleteTrafficMirrorSession",
    "DeleteTrafficMirrorTarget",
    "ModifyTrafficMirrorFilterNetworkServices",
    "ModifyTrafficMirrorFilterRule",
    "ModifyTrafficMirrorSession",
];

/// The runtime of the reaper's function: AWS's protocol for custom runtimes, a round each time.
pub(crate) const BOOTSTRAP: &str = include_str!("bootstrap.sh");

/// A queue that is told of launches, ends and tags of instances and interfaces.
pub(crate) fn hints() -> Value {
    let changed = json!({"source": ["aws.ec2"], "detail-type": [
        "EC2 Instance State-change Notification"]});
    let tagged = json!({"source": ["aws.tag"], "detail-type": ["Tag Change on Resource"],
        "detail": {"service": ["ec2"], "resource-type": ["instance", "network-interface"]}});
    let rule = |pattern: Value| {
        json!({"Type": "AWS::Events::Rule", "Properties": {
            "EventPattern": pattern,
            "Targets": [{"Id": "queue", "Arn": {"Fn::GetAtt": ["Queue", "Arn"]}}]}})
    };
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Hints for vxscope-controller: launches and tags shorten its wait",
        "Resources": {
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {
                // An old hint is worth nothing: the account has been read since.
                "MessageRetentionPeriod": 60, "VisibilityTimeout": 30}},
            "QueuePolicy": {"Type": "AWS::SQS::QueuePolicy", "Properties": {
                "Queues": [{"Ref": "Queue"}],
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [{
                    "Effect": "Allow", "Action": "sqs:SendMessage",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Resource": {"Fn::GetAtt": ["Queue", "Arn"]}}]}}},
            "Changed": rule(changed),
            "Tagged": rule(tagged),
        },
        "Outputs": {"QueueUrl": {"Value": {"Ref": "Queue"},
            "Description": "[hint] queue_url of controller.toml"}},
    })
}

/// `reap` once a minute, as a function that has nothing in common with the controller but the
/// account and the key.
pub(crate) fn reaper(config: &Config) -> Value {
    let role = json!({"Type": "AWS::IAM::Role", "Properties": {
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Service": "lambda.amazonaws.com"}}]},
        "ManagedPolicyArns": [
            "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"],
        "Policies": [{"PolicyName": "reap", "PolicyDocument": reaper_policy(config)}]}});
    let function = json!({"Type": "AWS::Lambda::Function", "Properties": {
        "Runtime": "provided.al2023", "Handler": "bootstrap",
        "Architectures": [{"Ref": "Architecture"}],
        "Code": {"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": "CodeKey"}},
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        // One round at a time; the next one does what it could not.
        "ReservedConcurrentExecutions": 1, "MemorySize": 256, "Timeout": 55}});
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "The reaper of vxscope-controller: brings back mirrors that are overdue",
        "Parameters": {
            "CodeBucket": {"Type": "String", "Description": "A bucket with the archive below"},
            "CodeKey": {"Type": "String", "Description":
                "A zip of bootstrap (`export bootstrap`), vxscope-controller, controller.toml and \
                 the key that [reaper] key_file names"},
            "Architecture": {"Type": "String", "Default": "x86_64",
                "AllowedValues": ["x86_64", "arm64"]},
        },
        "Resources": {
            "Role": role,
            "Function": function,
            "Every": {"Type": "AWS::Events::Rule", "Properties": {
                "ScheduleExpression": "rate(1 minute)",
                "Targets": [{"Id": "reaper", "Arn": {"Fn::GetAtt": ["Function", "Arn"]}}]}},
            "MayCall": {"Type": "AWS::Lambda::Permission", "Properties": {
                "Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com",
                "FunctionName": {"Ref": "Function"},
                "SourceArn": {"Fn::GetAtt": ["Every", "Arn"]}}},
        },
    })
}

/// What `reap` calls, and nothing else: it never deletes.
fn reaper_policy(config: &Config) -> Value {
    let owner = &config.enrolment.owner.value;
    let arn = |kind: &str| format!("arn:aws:ec2:*:*:{kind}/*");
    let session = arn("traffic-mirror-session");
    let ours = json!({"StringEquals": {"ec2:ResourceTag/managed-by": owner}});
    json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "See", "Effect": "Allow", "Resource": "*", "Action": [
            "ec2:DescribeInstances", "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeTrafficMirrorFilters", "ec2:DescribeTrafficMirrorSessions",
            "ec2:DescribeTrafficMirrorTargets"]},
        {"Sid": "UseForSessions", "Effect": "Allow",
            "Action": ["ec2:CreateTrafficMirrorSession", "ec2:ModifyTrafficMirrorSession"],
            "Resource": [arn("network-interface"), arn("traffic-mirror-target"),
                arn("traffic-mirror-filter")]},
        {"Sid": "CreateOwnSessions", "Effect": "Allow",
            "Action": "ec2:CreateTrafficMirrorSession", "Resource": session,
            "Condition": {"StringEquals": {"aws:RequestTag/managed-by": owner}}},
        {"Sid": "TagAtCreation", "Effect": "Allow", "Action": "ec2:CreateTags",
            "Resource": session, "Condition": {"StringEquals": {
                "ec2:CreateAction": "CreateTrafficMirrorSession"}}},
        {"Sid": "ChangeOwnSessions", "Effect": "Allow",
            "Action": "ec2:ModifyTrafficMirrorSession", "Resource": session, "Condition": ours},
        {"Sid": "SignOfLife", "Effect": "Allow", "Action": "ec2:CreateTags",
            "Resource": arn("traffic-mirror-target"),
            "Condition": {"StringEquals": {"ec2:ResourceTag/managed-by": owner},
                "ForAllValues:StringEquals": {"aws:TagKeys": [HEARTBEAT]}}},
    ]})
}

/// `EventBridge` tells a topic of every mirror call by somebody else than this role.
pub(crate) fn watch(role: &str) -> Value {
    let issuer = |name: Value| {
        json!({"userIdentity": {"sessionContext": {"sessionIssuer": {
        "userName": [name]}}}})
    };
    let pattern = json!({
        "source": ["aws.ec2"], "detail-type": ["AWS API Call via CloudTrail"],
        "detail": {
            "eventSource": ["ec2.amazonaws.com"], "eventName": MIRROR_CALLS,
            // Users have no session; whoever has one is not the controller.
            "$or": [issuer(json!({"anything-but": [role]})), issuer(json!({"exists": false}))],
        },
    });
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": format!("Mirror calls that are not by the role {role}"),
        "Parameters": {"TopicArn": {"Type": "String", "Description":
            "An SNS topic that lets events.amazonaws.com publish"}},
        "Resources": {"ForeignMirrorCalls": {"Type": "AWS::Events::Rule", "Properties": {
            "EventPattern": pattern,
            "Targets": [{"Id": "topic", "Arn": {"Ref": "TopicArn"}}]}}},
    })
}

/// The same for whoever reads `CloudTrail` elsewhere: two Sigma rules.
pub(crate) fn sigma(role: &str) -> String {
    let calls: Vec<String> = MIRROR_CALLS
        .iter()
        .map(|call| format!("            - {call}\n"))
        .collect();
    let calls = calls.concat();
    format!(
        "title: Traffic Mirroring Changed by Somebody Else Than the Controller\n\
         id: 5a0e2b1c-6f0b-4a52-9d0c-0f4a8f6c7b11\n\
         status: experimental\n\
         description: >-\n    \
             Mirror sessions, targets and filters are made by the role {role} alone. Others may\n    \
             blind sensors, or copy traffic to a place of their own.\n\
         references:\n    \
             - https://attack.mitre.org/techniques/T1020/001/\n    \
             - https://attack.mitre.org/techniques/T1562/\n\
         tags:\n    \
             - attack.exfiltration\n    \
             - attack.t1020.001\n    \
             - attack.defense-evasion\n\
         logsource:\n    \
             product: aws\n    \
             service: cloudtrail\n\
         detection:\n    \
             selection:\n        \
                 eventSource: ec2.amazonaws.com\n        \
                 eventName:\n{calls}    \
             ours:\n        \
                 userIdentity.sessionContext.sessionIssuer.userName: {role}\n    \
             condition: selection and not ours\n\
         falsepositives:\n    \
             - other tools that mirror traffic in the same account\n\
         level: high\n\
         ---\n\
         title: Tags of the Mirror Controller Changed by Somebody Else\n\
         id: 2f3d7f0e-1c34-4a8e-8a58-9a7a0a4d5e22\n\
         status: experimental\n\
         description: >-\n    \
             These tags stop all mirroring, and tell who is there: nobody else has a reason to\n    \
             write them.\n\
         tags:\n    \
             - attack.defense-evasion\n\
         logsource:\n    \
             product: aws\n    \
             service: cloudtrail\n\
         detection:\n    \
             selection:\n        \
                 eventSource: ec2.amazonaws.com\n        \
                 eventName:\n            \
                     - CreateTags\n            \
                     - DeleteTags\n    \
             keys:\n        \
                 requestParameters|contains:\n            \
                     - '{HOLD}'\n            \
                     - '{HEARTBEAT}'\n            \
                     - '{CONTROLLER}'\n    \
             ours:\n        \
                 userIdentity.sessionContext.sessionIssuer.userName|startswith: {role}\n    \
             condition: selection and keys and not ours\n\
         level: medium\n"
    )
}
