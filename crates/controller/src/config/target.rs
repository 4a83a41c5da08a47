//! `[target]` and `[[sensor]]`: who takes copies.

use std::path::PathBuf;

use serde::Deserialize;
use vxscope_enrolment::inventory::TargetPlace;
use vxscope_enrolment::{Sensor, SensorPlace};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawTarget {
    pub(super) name: Option<String>,
    pub(super) instance: Option<String>,
    pub(super) network_interface: Option<String>,
    pub(super) network_load_balancer: Option<String>,
    pub(super) gateway_endpoint: Option<String>,
    pub(super) target: Option<String>,
    pub(super) weight: Option<u32>,
    pub(super) control_socket: Option<PathBuf>,
}

pub(super) fn sensor(raw: RawTarget, at: usize, problems: &mut Vec<String>) -> Option<Sensor> {
    let places = [
        raw.network_interface
            .map(|id| SensorPlace::Place(TargetPlace::Interface(id))),
        raw.network_load_balancer
            .map(|arn| SensorPlace::Place(TargetPlace::NetworkLoadBalancer(arn))),
        raw.gateway_endpoint
            .map(|id| SensorPlace::Place(TargetPlace::GatewayEndpoint(id))),
        raw.target.map(SensorPlace::Target),
    ];
    let mut places: Vec<SensorPlace> = places.into_iter().flatten().collect();
    let (Some(place), true) = (places.pop(), places.is_empty()) else {
        problems.push(format!(
            "target {}: exactly one of network_interface, network_load_balancer, \
             gateway_endpoint, target",
            at + 1
        ));
        return None;
    };
    Some(Sensor {
        name: raw.name.unwrap_or_else(|| format!("sensor-{}", at + 1)),
        instance: raw.instance,
        place,
        weight: raw.weight.unwrap_or(1),
        alive: true,
    })
}
