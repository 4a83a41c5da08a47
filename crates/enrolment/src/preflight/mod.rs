//! What would keep copies from arriving, found before anything is created.
//!
//! [`check`] is a function of what EC2 and the sensors' machines tell; what nobody told is not
//! concluded from. Each finding says what to do.

mod balancer;
mod group;
mod host;
mod size;

use std::net::IpAddr;

use crate::finding::{Finding, FindingKind};
use crate::inventory::{Interface, Inventory, TargetPlace};
use crate::plan::{Plan, Source};
use crate::target::{Sensor, SensorPlace};

pub use group::{MANAGEMENT_GROUP, TRAFFIC_GROUP};
pub use host::{Host, HostInterface, Route};

/// Where copies arrive.
pub const VXLAN_PORT: u16 = 4789;
/// Where balancers ask whether a sensor is well.
pub const HEALTH_PORT: u16 = 80;
/// What they ask for.
pub const HEALTH_PATH: &str = "/api/2.0/status";

/// Everything that is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The account.
    pub inventory: &'a Inventory,
    /// Who takes copies.
    pub sensors: &'a [Sensor],
    /// What is, or is to be, mirrored.
    pub plan: &'a Plan,
    /// Bytes a second of each interface.
    pub bytes: &'a std::collections::BTreeMap<String, u64>,
    /// What sensors tell of their machines.
    pub hosts: &'a [Host],
    /// Calls that could not be made, and why.
    pub unread: &'a std::collections::BTreeMap<String, String>,
}

/// One sensor's interface that copies reach.
#[derive(Clone, Copy, Debug)]
struct Ear<'a> {
    sensor: &'a Sensor,
    interface: &'a Interface,
    /// The subnets of the balancer in front, if there is one.
    balancer: Option<&'a str>,
}

/// All findings, the blind ones first.
#[must_use]
pub fn check(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let ears = ears(facts);
    for ear in &ears {
        group::check(facts, ear, &mut findings);
        size::check(facts, ear, &mut findings);
    }
    for sensor in facts.sensors {
        balancer::check(facts, sensor, &mut findings);
    }
    for host in facts.hosts {
        host::check(facts, host, &ears, &mut findings);
    }
    size::slots(facts, &mut findings);
    let unread = facts.unread.iter();
    findings
        .extend(unread.map(|(call, why)| Finding::new(FindingKind::NotRead, call, why.as_str())));
    let never = "ARP, DHCP, instance metadata, NTP, Windows activation; what a security group or \
                 network ACL of the source drops on its way in; VPC Flow Logs do not show copies";
    findings.push(Finding::new(FindingKind::NeverMirrored, "all", never));
    findings.sort_by(|one, two| {
        let weight = |finding: &Finding| std::cmp::Reverse(finding.kind.weight());
        (weight(one), one).cmp(&(weight(two), two))
    });
    findings.dedup();
    findings
}

/// The interfaces that copies reach: a sensor's own, or those of a balancer's targets.
fn ears<'a>(facts: &Facts<'a>) -> Vec<Ear<'a>> {
    let mut ears = Vec::new();
    for sensor in facts.sensors {
        match place(facts, sensor) {
            Some(TargetPlace::Interface(id)) => {
                let there = facts.inventory.interfaces.get(id);
                ears.extend(there.map(|interface| Ear {
                    sensor,
                    interface,
                    balancer: None,
                }));
            }
            Some(TargetPlace::NetworkLoadBalancer(arn)) => {
                let behind = crate::junction::interfaces_of(arn, facts.inventory);
                for id in behind {
                    let there = facts.inventory.interfaces.get(&id);
                    ears.extend(there.map(|interface| Ear {
                        sensor,
                        interface,
                        balancer: Some(arn.as_str()),
                    }));
                }
            }
            Some(TargetPlace::GatewayEndpoint(_)) | None => {}
        }
    }
    ears
}

fn place<'a>(facts: &Facts<'a>, sensor: &'a Sensor) -> Option<&'a TargetPlace> {
    match &sensor.place {
        SensorPlace::Place(place) => Some(place),
        SensorPlace::Target(id) => facts.inventory.targets.get(id).map(|target| &target.place),
    }
}

/// The sources whose copies go to a sensor.
fn sources<'a>(facts: &Facts<'a>, sensor: &'a Sensor) -> impl Iterator<Item = &'a Source> {
    let targets = &facts.inventory.targets;
    let place = place(facts, sensor);
    facts.plan.sources.iter().filter(move |source| {
        let target = targets.get(&source.subject.saved.settings.target);
        target.is_some_and(|target| Some(&target.place) == place)
    })
}

/// `10.0.0.1, 10.0.0.2 and 7 others`.
fn some_of(addresses: &[IpAddr]) -> String {
    let shown: Vec<String> = addresses.iter().take(3).map(ToString::to_string).collect();
    let rest = addresses.len().saturating_sub(shown.len());
    let text = shown.join(", ");
    if rest == 0 {
        text
    } else {
        format!("{text} and {rest} others")
    }
}
