//! What belongs beside the controller: hints, the reaper's function, rules about others.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use vxscope_standin::{Moto, Standin, complaints};

use crate::kit::{ALL, site, site_with_bucket, tagged, until};

#[test]
fn an_event_shortens_the_wait_through_the_exported_queue() {
    let Some((mut site, moto)) = site_with_bucket("unused") else {
        return;
    };
    let url = stack(&moto, &site.ok(&["export", "hints"]));
    site.configure(
        "",
        &format!("[limits]\ndescribe_seconds = 600\n[hint]\nqueue_url = \"{url}\""),
    );
    let running = site.start();
    until("looks", Duration::from_secs(60), || {
        site.standin.log().count("ReceiveMessage") > 0 && looks(&site.standin) > 0
    });
    // The next reading would be in ten minutes.
    site.account(|account| account.add_instance(tagged("a", "10.0.0.1", ALL)));
    moto.script(
        "client('events').put_events(Entries=[dict(Source='aws.ec2', Detail='{\"state\": \"running\"}', \
         DetailType='EC2 Instance State-change Notification')])",
    )
    .expect("an event");
    until("session", Duration::from_secs(120), || {
        site.sessions("eni-a").len() == 1
    });
    running.kill();
    let left = moto.script(&format!(
        "print(client('sqs').get_queue_attributes(QueueUrl='{url}', AttributeNames=['All'])\
         ['Attributes']['ApproximateNumberOfMessages'])"
    ));
    assert_eq!(left.expect("a queue").trim(), "0", "what was taken is gone");
    let policy = site.ok(&["iam-policy"]);
    assert!(policy.contains("sqs:ReceiveMessage") && policy.contains("sqs:DeleteMessage"));
}

#[test]
fn templates_are_taken_and_name_what_is_ours() {
    let Some((site, moto)) = site_with_bucket("code") else {
        return;
    };
    let reaper = site.ok(&["export", "reaper"]);
    assert!(!reaper.contains("DeleteTrafficMirrorSession"), "{reaper}");
    let watch = site.ok(&["export", "watch", "--role", "mirrors"]);
    let watch: Value = serde_json::from_str(&watch).unwrap();
    let rule = &watch["Resources"]["ForeignMirrorCalls"]["Properties"]["EventPattern"];
    let calls = rule["detail"]["eventName"].as_array().unwrap();
    assert!(
        calls.contains(&"DeleteTrafficMirrorSession".into()),
        "{rule}"
    );
    assert!(
        rule["detail"]["$or"]
            .to_string()
            .contains(r#"{"anything-but":["mirrors"]}"#)
    );
    let sigma = site.ok(&["export", "sigma", "--role", "mirrors"]);
    // moto takes the reaper's function without running it, and PyYAML reads the rules.
    let checked = moto.script(&format!(
        "import yaml\n\
         for rule in yaml.safe_load_all({sigma:?}):\n\
         \x20   missing = {{'title', 'id', 'logsource', 'detection', 'level'}} - set(rule)\n\
         \x20   assert not missing and rule['detection']['condition'].endswith('not ours'), rule\n\
         print('read')\n"
    ));
    assert_eq!(checked.expect("rules").trim(), "read");
    let template: Value = serde_json::from_str(&reaper).unwrap();
    let kinds: Vec<&str> = template["Resources"]
        .as_object()
        .unwrap()
        .values()
        .map(|one| one["Type"].as_str().unwrap())
        .collect();
    for kind in [
        "AWS::Lambda::Function",
        "AWS::Events::Rule",
        "AWS::Lambda::Permission",
        "AWS::IAM::Role",
    ] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
}

/// Who takes our template or module gets what the program would print for it.
#[test]
fn the_roles_of_template_and_module_are_those_that_are_printed() {
    let mut site = site();
    site.aim_at(
        "network_load_balancer = \"arn:aws:elasticloadbalancing:eu-west-1:123456789012:\
         loadbalancer/net/v/50dc6c495c0c9188\"",
    );
    let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let controller = json(&site.ok(&["iam-policy"]));
    let reaper = json(&site.ok(&["export", "reaper"]));
    let reaper = &reaper["Resources"]["Role"]["Properties"]["Policies"][0]["PolicyDocument"];
    let packaging = concat!(env!("CARGO_MANIFEST_DIR"), "/../vxscope/packaging");
    let read = |name: &str| std::fs::read_to_string(format!("{packaging}/{name}")).unwrap();
    let template = read("cloudformation/sensor.yaml");
    for (role, printed) in [("controller", &controller), ("reaper", reaper)] {
        let module = json(&read(&format!("terraform/{role}-policy.json")));
        assert_eq!(&module, printed, "terraform/{role}-policy.json");
        let resource =
            |what: &str| format!("  {}{}{what}:\n", role[..1].to_uppercase(), &role[1..]);
        let (_, rest) = template.split_once(&resource("Role")).expect(role);
        let (text, _) = rest.split_once(&resource("Profile")).expect(role);
        // JSON is YAML, too: each statement is a line of it.
        let statements = text.lines().filter_map(|line| {
            let line = line.trim_start().strip_prefix("- ")?;
            line.starts_with("{\"").then(|| json(line))
        });
        let statements: Vec<Value> = statements.collect();
        assert_eq!(Value::from(statements), printed["Statement"], "{role}");
    }
}

#[test]
fn templates_are_what_their_checker_takes() {
    let site = site();
    site.account(|account| account.add_instance(tagged("a", "10.0.0.1", ALL)));
    site.settle();
    let table: [(&str, &[&str]); 4] = [
        ("cloudformation", &[]),
        ("hints", &[]),
        ("reaper", &[]),
        ("watch", &["--role", "mirrors"]),
    ];
    for (what, options) in table {
        let template = site.folder.path().join(format!("{what}.json"));
        let text = site.ok(&[&["export", what], options].concat());
        std::fs::write(&template, text).unwrap();
        if let Some(complaints) = complaints(&template) {
            assert_eq!(complaints, "", "{what}");
        }
    }
}

#[test]
fn the_functions_runtime_reaps_once_for_each_invocation() {
    if Command::new("curl")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        return;
    }
    let site = site();
    site.account(|account| account.add_instance(tagged("a", "10.0.0.1", ALL)));
    site.settle();
    let script = site.folder.path().join("bootstrap");
    std::fs::write(&script, site.ok(&["export", "bootstrap"])).unwrap();
    let binary = site.folder.path().join("vxscope-controller");
    symlink(env!("CARGO_BIN_EXE_vxscope-controller"), binary).unwrap();
    let api = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut runtime = Command::new("sh");
    runtime
        .arg(&script)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("LAMBDA_TASK_ROOT", site.folder.path())
        .env(
            "AWS_LAMBDA_RUNTIME_API",
            api.local_addr().unwrap().to_string(),
        )
        .env("AWS_ENDPOINT_URL", site.standin.url())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIASTANDIN")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .stdout(Stdio::null());
    let mut runtime = runtime.spawn().unwrap();
    for invocation in ["one", "two"] {
        let (mut next, head) = accept(&api);
        assert!(
            head.starts_with("GET /2018-06-01/runtime/invocation/next"),
            "{head}"
        );
        let id = format!("Lambda-Runtime-Aws-Request-Id: {invocation}");
        respond(&mut next, &id, "{}");
        let (mut told, head) = accept(&api);
        let path = format!("POST /2018-06-01/runtime/invocation/{invocation}/response");
        assert!(head.starts_with(&path), "{head}");
        assert!(head.contains("0 brought back"), "{head}");
        respond(&mut told, "X: y", "");
    }
    drop(api);
    runtime.kill().unwrap();
    runtime.wait().unwrap();
}

fn accept(api: &TcpListener) -> (TcpStream, String) {
    let (mut stream, _) = api.accept().unwrap();
    let mut text = Vec::new();
    let mut some = [0; 4_096];
    loop {
        let read = stream.read(&mut some).unwrap();
        text.extend_from_slice(&some[..read]);
        let said = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = said.split_once("\r\n\r\n") else {
            assert!(read > 0, "{said}");
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let length: usize = length.map_or(0, |text| text.parse().unwrap());
        if body.len() >= length {
            return (stream, said);
        }
    }
}

fn respond(stream: &mut TcpStream, header: &str, body: &str) {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 200 OK\r\n{header}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).unwrap();
}

/// Makes what a template says; its output.
fn stack(moto: &Moto, template: &str) -> String {
    let made = moto.script(&format!(
        "formation = client('cloudformation')\n\
         formation.create_stack(StackName='beside', TemplateBody={template:?})\n\
         print(formation.describe_stacks(StackName='beside')['Stacks'][0]['Outputs'][0]['OutputValue'])\n"
    ));
    made.expect("a stack").trim().to_owned()
}

fn looks(standin: &Standin) -> usize {
    standin.log().count("DescribeInstances")
}
