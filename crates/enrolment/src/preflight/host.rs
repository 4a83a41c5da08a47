//! The sensor's own machine: MTU, reverse path, routes, who listens.

use std::net::IpAddr;

use super::{Ear, Facts, VXLAN_PORT, some_of, sources};
use crate::finding::{Finding, FindingKind};
use crate::inventory::{Net, TargetPlace};

/// Frames of Ethernet's usual MTU, encapsulated in IPv4, are whole from here on: 1500 bytes and 54
/// of headers (Traffic Mirroring guide).
const MTU_MIN: u32 = 1_554;
/// Jumbo frames of EC2.
const MTU_FULL: u32 = 9_001;
/// Copies that come through a Gateway Load Balancer are larger by its own encapsulation.
const MTU_GATEWAY: u32 = 8_568;

/// What a sensor tells of its machine: what `/proc/sys/net`, `ip route` and `ss` show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// The name of the sensor.
    pub sensor: String,
    /// Its interfaces.
    pub interfaces: Vec<HostInterface>,
    /// `net.ipv4.conf.all.rp_filter`.
    pub rp_filter_all: u8,
    /// Routes of the main table.
    pub routes: Vec<Route>,
    /// Addresses for which a rule names another table (`ip rule … from`).
    pub routed_by_source: Vec<IpAddr>,
    /// Whether something listens on UDP 4789; `None` if nobody looked.
    pub listens: Option<bool>,
}

/// One interface of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostInterface {
    /// Such as `ens6`.
    pub name: String,
    /// As the system writes it.
    pub mac: String,
    /// In bytes.
    pub mtu: u32,
    /// `net.ipv4.conf.NAME.rp_filter`.
    pub rp_filter: u8,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub to: Net,
    /// How many of its first bits count, for the longest match.
    pub bits: u8,
    /// By which interface.
    pub device: String,
    /// Lower goes first.
    pub metric: u32,
}

pub(super) fn check(facts: &Facts<'_>, host: &Host, ears: &[Ear<'_>], findings: &mut Vec<Finding>) {
    let about = host.sensor.as_str();
    if host.listens == Some(false) {
        let detail = format!("UDP {VXLAN_PORT}");
        findings.push(Finding::new(FindingKind::NobodyListens, about, detail));
    }
    for ear in ears.iter().filter(|ear| ear.sensor.name == host.sensor) {
        let of = |one: &&HostInterface| {
            one.addresses
                .iter()
                .any(|address| ear.interface.addresses.contains(address))
                || (!one.mac.is_empty() && one.mac.eq_ignore_ascii_case(&ear.interface.mac))
        };
        if let Some(interface) = host.interfaces.iter().find(of) {
            traffic_interface(facts, host, ear, interface, findings);
        }
    }
    // Behind a Gateway Load Balancer there is no telling which interface it is: all must do.
    let mine = facts.sensors.iter().find(|one| one.name == host.sensor);
    let gateway = mine.and_then(|sensor| super::place(facts, sensor));
    if let Some(TargetPlace::GatewayEndpoint(_)) = gateway {
        let small = host.interfaces.iter().filter(|one| one.mtu < MTU_GATEWAY);
        findings.extend(small.map(|one| {
            let detail = format!(
                "{} has {}, copies have up to {MTU_GATEWAY}",
                one.name, one.mtu
            );
            Finding::new(FindingKind::SmallMtu, about, detail)
        }));
    }
}

fn traffic_interface(
    facts: &Facts<'_>,
    host: &Host,
    ear: &Ear<'_>,
    interface: &HostInterface,
    findings: &mut Vec<Finding>,
) {
    let about = format!("{} {}", host.sensor, interface.name);
    let mut tell = |kind, detail: String| findings.push(Finding::new(kind, &about, detail));
    if interface.mtu < MTU_FULL {
        let whole = interface.mtu.saturating_sub(54);
        let usual = if interface.mtu < MTU_MIN {
            "; even usual frames of 1500 are cut"
        } else {
            ""
        };
        let detail = format!(
            "{}: packets over {whole} bytes are cut{usual}",
            interface.mtu
        );
        tell(FindingKind::SmallMtu, detail);
    }
    let elsewhere: Vec<IpAddr> = sources(facts, ear.sensor)
        .map(|source| source.mirror.address)
        .filter(|address| {
            let way = way_to(&host.routes, *address);
            way.is_some_and(|device| device != interface.name)
        })
        .collect();
    // The kernel takes the greater of the two: 1 is strict, 2 asks only for any way.
    let strict = interface.rp_filter.max(host.rp_filter_all) == 1;
    if strict && !elsewhere.is_empty() {
        tell(FindingKind::StrictReversePath, some_of(&elsewhere));
    }
    let default = way_to(&host.routes, [203, 0, 113, 1].into());
    let by_source = |address: &IpAddr| host.routed_by_source.contains(address);
    if ear.balancer.is_some()
        && default.is_some_and(|device| device != interface.name)
        && !interface.addresses.iter().all(by_source)
    {
        tell(FindingKind::NoWayBack, some_of(&interface.addresses));
    }
}

/// The device of the longest match, of equal ones the lowest metric.
fn way_to(routes: &[Route], address: IpAddr) -> Option<&str> {
    let fitting = routes.iter().filter(|route| route.to.contains(address));
    let best = fitting.max_by_key(|route| (route.bits, std::cmp::Reverse(route.metric)))?;
    Some(&best.device)
}
