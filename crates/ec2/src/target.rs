//! Targets, as enrolment sees them, and how they are made.

use std::collections::BTreeMap;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{ResourceType, TrafficMirrorTarget};
use vxscope_control::mirror::ApiError;
use vxscope_enrolment::inventory::{Target, TargetPlace};

use crate::error::{api_error, incomplete};
use crate::session::{tagged, tags};

/// A target; `None` without what makes it one.
pub(crate) fn target(there: TrafficMirrorTarget) -> Option<Target> {
    let interface = there.network_interface_id.map(TargetPlace::Interface);
    let balancer = there.network_load_balancer_arn;
    let endpoint = there.gateway_load_balancer_endpoint_id;
    Some(Target {
        id: there.traffic_mirror_target_id?,
        place: interface
            .or_else(|| balancer.map(TargetPlace::NetworkLoadBalancer))
            .or_else(|| endpoint.map(TargetPlace::GatewayEndpoint))?,
        account: there.owner_id.unwrap_or_default(),
        description: there.description.unwrap_or_default(),
        tags: tags(there.tags),
    })
}

/// Makes one; its id.
pub(crate) async fn create(
    client: &Client,
    place: TargetPlace,
    description: String,
    owned: BTreeMap<String, String>,
    token: String,
) -> Result<String, ApiError> {
    let call = client
        .create_traffic_mirror_target()
        .description(description)
        .set_tag_specifications(tagged(ResourceType::TrafficMirrorTarget, owned))
        .client_token(token);
    let call = match place {
        TargetPlace::Interface(id) => call.network_interface_id(id),
        TargetPlace::NetworkLoadBalancer(arn) => call.network_load_balancer_arn(arn),
        TargetPlace::GatewayEndpoint(id) => call.gateway_load_balancer_endpoint_id(id),
    };
    let made = call.send().await.map_err(|error| api_error(&error))?;
    let made = made.traffic_mirror_target.and_then(target);
    made.map(|target| target.id)
        .ok_or_else(|| incomplete("target"))
}
