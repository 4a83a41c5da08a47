//! Places where the traffic of many passes, and which interfaces that means.
//!
//! A Network Load Balancer itself cannot be mirrored: its targets can. An Application Load Balancer
//! has interfaces of its own, which Elastic Load Balancing describes as `ELB app/name/id`; a web
//! ACL has none, and means the balancers that it protects.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::{Finding, FindingKind};
use crate::inventory::{
    Interface, Inventory, LoadBalancer, LoadBalancerKind, TargetGroup, TargetKind,
};

/// Interfaces that the named junctions mean, each with the filter of the first that names it.
pub(crate) fn members(
    junctions: &BTreeMap<String, String>,
    inventory: &Inventory,
    findings: &mut Vec<Finding>,
) -> BTreeMap<String, String> {
    let mut members = BTreeMap::new();
    for (arn, filter) in junctions {
        let found = interfaces_of(arn, inventory);
        if found.is_empty() {
            let detail = kind_of(arn, inventory);
            findings.push(Finding::new(FindingKind::JunctionEmpty, arn, detail));
        }
        for interface in found {
            members.entry(interface).or_insert_with(|| filter.clone());
        }
    }
    members
}

/// The interfaces behind a target group, a balancer or a web ACL, by ARN.
#[must_use]
pub fn interfaces_of(arn: &str, inventory: &Inventory) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // A balancer may be the target of another one, and that is all there is: three steps.
    let (mut open, mut seen) = (vec![arn.to_owned()], BTreeSet::new());
    while let Some(arn) = open.pop() {
        if !seen.insert(arn.clone()) {
            continue;
        }
        if let Some(balancers) = inventory.web_acls.get(&arn) {
            open.extend(balancers.iter().cloned());
        } else if let Some(group) = inventory.target_groups.get(&arn) {
            found.extend(of_group(group, inventory, &mut open));
        } else if let Some(balancer) = inventory.load_balancers.get(&arn) {
            match balancer.kind {
                LoadBalancerKind::Application => found.extend(of_application(balancer, inventory)),
                LoadBalancerKind::Network | LoadBalancerKind::Gateway => {
                    let groups = balancer.listeners.iter().flat_map(|one| &one.target_groups);
                    open.extend(groups.cloned());
                }
            }
        }
    }
    found
}

fn of_group(
    group: &TargetGroup,
    inventory: &Inventory,
    open: &mut Vec<String>,
) -> BTreeSet<String> {
    let ids = group.targets.iter().map(|(id, _)| id);
    match group.kind {
        TargetKind::Instance => ids
            .filter_map(|id| inventory.interfaces_of(id).first().map(|it| it.id.clone()))
            .collect(),
        TargetKind::Ip => {
            let addresses: BTreeSet<_> = group.addresses().collect();
            let has = |one: &&Interface| {
                one.vpc == group.vpc && one.addresses.iter().any(|it| addresses.contains(it))
            };
            let there = inventory.interfaces.values().filter(has);
            there.map(|one| one.id.clone()).collect()
        }
        TargetKind::LoadBalancer => {
            open.extend(ids.cloned());
            BTreeSet::new()
        }
        TargetKind::Lambda => BTreeSet::new(),
    }
}

fn of_application(balancer: &LoadBalancer, inventory: &Inventory) -> BTreeSet<String> {
    // arn:…:loadbalancer/app/name/id
    let path = balancer
        .arn
        .split_once("loadbalancer/")
        .map(|(_, path)| path);
    let Some(description) = path.map(|path| format!("ELB {path}")) else {
        return BTreeSet::new();
    };
    let is_its = |one: &&Interface| one.requester_managed && one.description == description;
    let its = inventory.interfaces.values().filter(is_its);
    its.map(|one| one.id.clone()).collect()
}

fn kind_of(arn: &str, inventory: &Inventory) -> &'static str {
    if inventory.web_acls.contains_key(arn) {
        return "a web ACL without a load balancer that has interfaces";
    }
    if let Some(group) = inventory.target_groups.get(arn) {
        return match group.kind {
            TargetKind::Lambda => "a target group of functions",
            TargetKind::Instance | TargetKind::Ip | TargetKind::LoadBalancer => {
                "a target group without a target that is known here"
            }
        };
    }
    if inventory.load_balancers.contains_key(arn) {
        return "a load balancer without interfaces or targets that are known here";
    }
    "not known here"
}
