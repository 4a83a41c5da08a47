//! A Network Load Balancer in front of sensors: listener, target group, health, stickiness.

use super::{Facts, HEALTH_PATH, HEALTH_PORT, VXLAN_PORT, place};
use crate::finding::{Finding, FindingKind};
use crate::inventory::{Listener, LoadBalancer, TargetGroup, TargetKind, TargetPlace};
use crate::target::Sensor;

pub(super) fn check(facts: &Facts<'_>, sensor: &Sensor, findings: &mut Vec<Finding>) {
    let Some(TargetPlace::NetworkLoadBalancer(arn)) = place(facts, sensor) else {
        return;
    };
    // What was not read, such as another account's, says nothing.
    let Some(balancer) = facts.inventory.load_balancers.get(arn) else {
        return;
    };
    let mut tell = |kind, detail: String| findings.push(Finding::new(kind, &balancer.name, detail));
    if balancer.cross_zone == Some(false) {
        tell(FindingKind::NotAcrossZones, String::new());
    }
    let Some(listener) = listener(balancer) else {
        let there: Vec<String> = balancer
            .listeners
            .iter()
            .map(|one| format!("{} {}", one.protocol, one.port))
            .collect();
        let there = if there.is_empty() {
            "none".to_owned()
        } else {
            there.join(", ")
        };
        return tell(FindingKind::NoListener, format!("listeners: {there}"));
    };
    let groups = listener.target_groups.iter();
    for group in groups.filter_map(|arn| facts.inventory.target_groups.get(arn)) {
        target_group(group, findings);
    }
}

fn listener(balancer: &LoadBalancer) -> Option<&Listener> {
    let mut listeners = balancer.listeners.iter();
    listeners.find(|one| one.port == VXLAN_PORT && takes_udp(&one.protocol))
}

fn takes_udp(protocol: &str) -> bool {
    matches!(protocol, "UDP" | "TCP_UDP")
}

fn target_group(group: &TargetGroup, findings: &mut Vec<Finding>) {
    let mut tell = |kind, detail: String| findings.push(Finding::new(kind, &group.name, detail));
    let usable = takes_udp(&group.protocol) && group.port == VXLAN_PORT;
    if !usable || group.kind != TargetKind::Ip {
        let kind = match group.kind {
            TargetKind::Ip => "ip",
            TargetKind::Instance => "instance",
            TargetKind::Lambda => "lambda",
            TargetKind::LoadBalancer => "alb",
        };
        let detail = format!("{kind}, {} {}", group.protocol, group.port);
        tell(FindingKind::WrongTargetGroup, detail);
    }
    let health = &group.health_check;
    let right =
        health.protocol == "HTTP" && health.port == Some(HEALTH_PORT) && health.path == HEALTH_PATH;
    if !right {
        let port = health
            .port
            .map_or_else(|| "traffic port".to_owned(), |port| port.to_string());
        let detail = format!("{} {port} {}", health.protocol, health.path);
        tell(FindingKind::WrongHealthCheck, detail.trim_end().to_owned());
    }
    if group.stickiness.as_deref() != Some("source_ip") {
        tell(
            FindingKind::NotSticky,
            group.stickiness.clone().unwrap_or_else(|| "off".to_owned()),
        );
    }
    let healthy = group.targets.iter().filter(|(_, healthy)| *healthy).count();
    if healthy == 0 {
        let detail = format!("{} targets", group.targets.len());
        tell(FindingKind::NoneHealthy, detail);
    }
}
