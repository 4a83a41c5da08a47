//! `export`: what should be there as text for other tools, for those who let them make it, and
//! what belongs beside the controller.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};
use vxscope_ec2::wall;
use vxscope_enrolment::{Enroller, Plan, Seen, Source};

use crate::config::Config;
use crate::desk::Desk;
use crate::failure::Failure;
use crate::print;
use crate::store::{Remembered, read_json};
use crate::template;

/// For which tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// HCL for the AWS provider.
    Terraform,
    /// A template in JSON.
    Cloudformation,
    /// A template in JSON: a queue that is told of launches and tags.
    Hints,
    /// A template in JSON: the reaper as a function, once a minute.
    Reaper,
    /// The script that is that function's runtime.
    Bootstrap,
    /// A template in JSON: a rule that tells a topic of mirror calls by others.
    Watch,
    /// The same as Sigma rules for `CloudTrail`.
    Sigma,
}

pub(crate) fn run(file: &Path, format: Format, role: &str) -> Result<(), Failure> {
    let config = Config::read(file).map_err(Failure::Configuration)?;
    match format {
        Format::Terraform => print(&terraform(&plan(config)?)),
        Format::Cloudformation => pretty(&cloudformation(&plan(config)?)),
        Format::Hints => pretty(&template::hints()),
        Format::Reaper => pretty(&template::reaper(&config)),
        Format::Bootstrap => print(template::BOOTSTRAP),
        Format::Watch => pretty(&template::watch(role)),
        Format::Sigma => print(&template::sigma(role)),
    }
}

fn pretty(value: &Value) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|error| Failure::Failed(error.to_string()))?;
    print(&format!("{text}\n"))
}

/// What should be there now.
fn plan(config: Config) -> Result<Plan, Failure> {
    let path = config.folder.join("enrolment.json");
    let remembered: Option<Remembered> = read_json(&path).map_err(Failure::Failed)?;
    let memory = remembered.unwrap_or_default().memory;
    let mut desk = Desk::open(config)?;
    if let Some(finding) = desk.look_for_names() {
        tracing::warn!("{finding}");
    }
    let inventory = desk.account()?;
    let mut enroller = Enroller::new(desk.config.enrolment.clone(), memory);
    let mut seen = Seen {
        sensors: desk.config.sensors.clone(),
        ..Seen::default()
    };
    seen.look(&inventory);
    Ok(enroller.plan(&inventory, &seen, wall()))
}

fn terraform(plan: &Plan) -> String {
    let mut text = String::new();
    for source in &plan.sources {
        let settings = &source.subject.saved.settings;
        let _ = writeln!(
            text,
            "resource \"aws_ec2_traffic_mirror_session\" {} {{",
            quoted(&name(source, '_'))
        );
        let mut line = |key: &str, value: String| {
            let _ = writeln!(text, "  {key} = {value}");
        };
        line("network_interface_id", quoted(&source.interface));
        line("traffic_mirror_target_id", quoted(&settings.target));
        line("traffic_mirror_filter_id", quoted(&settings.filter));
        line("session_number", settings.number.to_string());
        if let Some(vni) = settings.vni {
            line("virtual_network_id", vni.to_string());
        }
        if let Some(length) = settings.packet_length {
            line("packet_length", length.to_string());
        }
        line("description", quoted(&settings.description));
        let tags = source.subject.saved.tags.iter();
        let tags = tags.map(|(key, value)| format!("{} = {}", quoted(key), quoted(value)));
        let tags: Vec<String> = tags.collect();
        line("tags", format!("{{ {} }}", tags.join(", ")));
        text.push_str("}\n\n");
    }
    text
}

/// A string of HCL, in which templates are escaped, too.
fn quoted(text: &str) -> String {
    let text = Value::from(text).to_string();
    text.replace("${", "$${").replace("%{", "%%{")
}

fn cloudformation(plan: &Plan) -> Value {
    let mut resources = Map::new();
    for source in &plan.sources {
        let settings = &source.subject.saved.settings;
        let tags = source.subject.saved.tags.iter();
        let tags: Vec<Value> = tags
            .map(|(key, value)| json!({"Key": key, "Value": value}))
            .collect();
        let mut properties = json!({
            "NetworkInterfaceId": source.interface,
            "TrafficMirrorTargetId": settings.target,
            "TrafficMirrorFilterId": settings.filter,
            "SessionNumber": settings.number,
            "Description": settings.description,
            "Tags": tags,
        });
        if let Some(vni) = settings.vni {
            properties["VirtualNetworkId"] = vni.into();
        }
        if let Some(length) = settings.packet_length {
            properties["PacketLength"] = length.into();
        }
        let resource = json!({
            "Type": "AWS::EC2::TrafficMirrorSession",
            "Properties": properties,
        });
        resources.insert(name(source, 'x'), resource);
    }
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Mirror sessions as vxscope-controller would make them",
        "Resources": resources,
    })
}

/// A name of letters and digits; identifiers are opaque, so others become `other`.
fn name(source: &Source, other: char) -> String {
    let letters = source.interface.chars();
    let plain = letters.map(|one| {
        if one.is_ascii_alphanumeric() {
            one
        } else {
            other
        }
    });
    format!("mirror{other}{}", plain.collect::<String>())
}
