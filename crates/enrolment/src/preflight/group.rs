//! Security groups: whom a sensor's interface lets in.

use std::net::IpAddr;

use super::{Ear, Facts, HEALTH_PORT, VXLAN_PORT, some_of, sources};
use crate::finding::{Finding, FindingKind};
use crate::inventory::{Interface, Net, Peers, SecurityGroup, SecurityRule, Transport};

/// The name of the group of a sensor's traffic interface (Vectra sensor guide).
pub const TRAFFIC_GROUP: &str = "Sensor-TrafficSecurityGroup";
/// The name of the group of a sensor's management interface.
pub const MANAGEMENT_GROUP: &str = "Sensor-ManagementSecurityGroup";

pub(super) fn check(facts: &Facts<'_>, ear: &Ear<'_>, findings: &mut Vec<Finding>) {
    let groups = groups_of(facts, ear.interface);
    names(facts, ear, &groups, findings);
    // A group that was not read says nothing.
    if groups.len() < ear.interface.security_groups.len() || groups.is_empty() {
        return;
    }
    let id = ear.interface.id.as_str();
    let closed: Vec<IpAddr> = sources(facts, ear.sensor)
        .filter(|source| {
            let interface = facts.inventory.interfaces.get(&source.interface);
            let from = Peer::Address(source.mirror.address, interface);
            !lets_in(&groups, Transport::Udp, VXLAN_PORT, from)
        })
        .map(|source| source.mirror.address)
        .collect();
    // Before there is a target nobody is known to send copies to it.
    let nobody = sources(facts, ear.sensor).next().is_none();
    let is_shut = nobody && !takes(&groups, Transport::Udp, VXLAN_PORT);
    if !closed.is_empty() || is_shut {
        let detail = if is_shut {
            "from anywhere".to_owned()
        } else {
            format!("from {}", some_of(&closed))
        };
        findings.push(Finding::new(FindingKind::ClosedToCopies, id, detail));
    }
    let Some(balancer) = ear
        .balancer
        .and_then(|arn| facts.inventory.load_balancers.get(arn))
    else {
        return;
    };
    let subnets = balancer
        .subnets
        .iter()
        .filter_map(|id| facts.inventory.subnets.get(id));
    let blocks = subnets.flat_map(|subnet| subnet.blocks.iter().copied());
    let closed: Vec<String> = blocks
        .filter(|block| !lets_in(&groups, Transport::Tcp, HEALTH_PORT, Peer::Block(*block)))
        .map(|block| block.to_string())
        .collect();
    if !closed.is_empty() {
        let detail = format!("from {}", closed.join(", "));
        findings.push(Finding::new(FindingKind::ClosedToHealth, id, detail));
    }
}

/// The groups that guides name are where guides say, if they exist.
fn names(facts: &Facts<'_>, ear: &Ear<'_>, groups: &[&SecurityGroup], findings: &mut Vec<Finding>) {
    let has = |name: &str| groups.iter().any(|group| group.name == name);
    let mut there = facts.inventory.security_groups.values();
    let exists = there.any(|one| one.vpc == ear.interface.vpc && one.name == TRAFFIC_GROUP);
    let detail = if has(MANAGEMENT_GROUP) {
        format!("it has {MANAGEMENT_GROUP}")
    } else if exists && !has(TRAFFIC_GROUP) {
        format!("it lacks {TRAFFIC_GROUP}")
    } else {
        return;
    };
    findings.push(Finding::new(
        FindingKind::WrongGroup,
        &ear.interface.id,
        detail,
    ));
}

fn groups_of<'a>(facts: &Facts<'a>, interface: &Interface) -> Vec<&'a SecurityGroup> {
    let groups = &facts.inventory.security_groups;
    let ids = interface.security_groups.iter();
    ids.filter_map(|id| groups.get(id)).collect()
}

#[derive(Clone, Copy)]
enum Peer<'a> {
    /// One address, and the interface that has it.
    Address(IpAddr, Option<&'a Interface>),
    Block(Net),
}

fn lets_in(groups: &[&SecurityGroup], transport: Transport, port: u16, from: Peer<'_>) -> bool {
    let mut rules = groups.iter().flat_map(|group| &group.inbound);
    rules.any(|rule| is_for(rule, transport, port) && names_peer(rule, from))
}

/// Whether any peer is let in.
fn takes(groups: &[&SecurityGroup], transport: Transport, port: u16) -> bool {
    let mut rules = groups.iter().flat_map(|group| &group.inbound);
    rules.any(|rule| is_for(rule, transport, port))
}

fn is_for(rule: &SecurityRule, transport: Transport, port: u16) -> bool {
    let protocol = rule.protocol.is_none_or(|one| one == transport);
    protocol && (rule.protocol.is_none() || rule.ports.contains(port))
}

fn names_peer(rule: &SecurityRule, from: Peer<'_>) -> bool {
    match (&rule.peers, from) {
        (Peers::Block(block), Peer::Address(address, _)) => block.contains(address),
        (Peers::Block(block), Peer::Block(peer)) => block.covers(peer),
        (Peers::Group(group), Peer::Address(_, interface)) => {
            interface.is_some_and(|one| one.security_groups.contains(group))
        }
        // A balancer's group may be it; and what a list holds is not known here.
        (Peers::Group(_), Peer::Block(_)) | (Peers::PrefixList(_), _) => true,
    }
}
