//! What stands before targets: balancers, target groups and web ACLs, followed from those that
//! somebody named.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types;
use aws_sdk_wafv2::types::ResourceType;
use vxscope_control::mirror::ApiError;
use vxscope_enrolment::inventory::{
    HealthCheck, Listener, LoadBalancer, LoadBalancerKind, Surroundings, TargetGroup, TargetKind,
};

use crate::around::unread;
use crate::error::{api_error, incomplete};
use crate::survey::Surveyor;

/// Things on the way from those that are named: more is a circle, or no junction.
const STEPS_MAX: usize = 500;

impl Surveyor<'_> {
    /// Each of these, and what is behind it.
    pub(crate) async fn follow(&self, arns: BTreeSet<String>, found: &mut Surroundings) {
        let (mut open, mut seen): (Vec<String>, _) = (arns.into_iter().collect(), BTreeSet::new());
        while let Some(arn) = open.pop() {
            if seen.len() >= STEPS_MAX || !seen.insert(arn.clone()) {
                continue;
            }
            let (call, read) = if arn.contains(":wafv2:") {
                let read = self.protected(&arn).await;
                let read = read.map(|balancers| {
                    open.extend(balancers.iter().cloned());
                    found.web_acls.insert(arn, balancers);
                });
                ("wafv2:ListResourcesForWebACL", read)
            } else if arn.contains(":targetgroup/") {
                let read = self.target_group(&arn).await;
                let read = read.map(|group| {
                    if group.kind == TargetKind::LoadBalancer {
                        open.extend(group.targets.iter().map(|(id, _)| id.clone()));
                    }
                    found.target_groups.insert(arn, group);
                });
                ("elasticloadbalancing:DescribeTargetGroups", read)
            } else {
                let read = self.load_balancer(&arn).await;
                let read = read.map(|balancer| {
                    let groups = balancer.listeners.iter().flat_map(|one| &one.target_groups);
                    if balancer.kind != LoadBalancerKind::Application {
                        open.extend(groups.cloned());
                    }
                    found.load_balancers.insert(arn, balancer);
                });
                ("elasticloadbalancing:DescribeLoadBalancers", read)
            };
            match read {
                // Named, and gone: `junction_empty` tells that.
                Err(error) if error.code.ends_with("NotFound") => {}
                Err(error) => unread(found, call, &error),
                Ok(()) => {}
            }
        }
    }

    async fn protected(&self, arn: &str) -> Result<Vec<String>, ApiError> {
        self.patiently(async || {
            let call = self.clients.waf.list_resources_for_web_acl();
            let call = call.web_acl_arn(arn);
            let call = call.resource_type(ResourceType::ApplicationLoadBalancer);
            let there = call.send().await.map_err(|error| api_error(&error))?;
            Ok(there.resource_arns.unwrap_or_default())
        })
        .await
    }

    async fn load_balancer(&self, arn: &str) -> Result<LoadBalancer, ApiError> {
        let elb = &self.clients.elb;
        let there = self
            .patiently(async || {
                let call = elb.describe_load_balancers().load_balancer_arns(arn);
                let there = call.send().await.map_err(|error| api_error(&error))?;
                let mut all = there.load_balancers.unwrap_or_default();
                all.pop().ok_or_else(|| incomplete("load balancer"))
            })
            .await?;
        let listeners = self
            .all(async |next| {
                let call = elb.describe_listeners().load_balancer_arn(arn);
                let page = call.set_marker(next).send().await;
                let page = page.map_err(|error| api_error(&error))?;
                let listeners = page.listeners.ok_or_else(|| incomplete("listeners"))?;
                let listeners = listeners.into_iter().filter_map(listener).collect();
                Ok((listeners, page.next_marker))
            })
            .await?;
        let attributes = self
            .patiently(async || {
                let call = elb.describe_load_balancer_attributes();
                let there = call.load_balancer_arn(arn).send().await;
                let there = there.map_err(|error| api_error(&error))?;
                let pairs = there.attributes.unwrap_or_default().into_iter();
                let pairs: BTreeMap<String, String> = pairs
                    .filter_map(|pair| Some((pair.key?, pair.value?)))
                    .collect();
                Ok(pairs)
            })
            .await?;
        let zones = there.availability_zones.unwrap_or_default();
        let cross_zone = attributes.get("load_balancing.cross_zone.enabled");
        Ok(LoadBalancer {
            arn: arn.to_owned(),
            name: there.load_balancer_name.unwrap_or_default(),
            kind: match there.r#type.ok_or_else(|| incomplete("type"))? {
                types::LoadBalancerTypeEnum::Network => LoadBalancerKind::Network,
                types::LoadBalancerTypeEnum::Gateway => LoadBalancerKind::Gateway,
                _ => LoadBalancerKind::Application,
            },
            subnets: zones.into_iter().filter_map(|one| one.subnet_id).collect(),
            cross_zone: cross_zone.map(|enabled| enabled == "true"),
            listeners,
        })
    }

    async fn target_group(&self, arn: &str) -> Result<TargetGroup, ApiError> {
        let elb = &self.clients.elb;
        let there = self
            .patiently(async || {
                let call = elb.describe_target_groups().target_group_arns(arn);
                let there = call.send().await.map_err(|error| api_error(&error))?;
                let mut all = there.target_groups.unwrap_or_default();
                all.pop().ok_or_else(|| incomplete("target group"))
            })
            .await?;
        let targets = self
            .patiently(async || {
                let call = elb.describe_target_health().target_group_arn(arn);
                let there = call.send().await.map_err(|error| api_error(&error))?;
                let health = there.target_health_descriptions;
                health.ok_or_else(|| incomplete("targets"))
            })
            .await?;
        let stickiness = self
            .patiently(async || {
                let call = elb.describe_target_group_attributes();
                let there = call.target_group_arn(arn).send().await;
                let there = there.map_err(|error| api_error(&error))?;
                Ok(stickiness(&there.attributes.unwrap_or_default()))
            })
            .await?;
        let port = there.port.and_then(|port| u16::try_from(port).ok());
        let protocol = |protocol: Option<types::ProtocolEnum>| {
            protocol.map_or_else(String::new, |one| one.as_str().to_owned())
        };
        let health_port = there.health_check_port.and_then(|port| port.parse().ok());
        Ok(TargetGroup {
            arn: arn.to_owned(),
            name: there.target_group_name.unwrap_or_default(),
            vpc: there.vpc_id.unwrap_or_default(),
            protocol: protocol(there.protocol),
            port: port.unwrap_or_default(),
            kind: match there.target_type {
                Some(types::TargetTypeEnum::Ip) => TargetKind::Ip,
                Some(types::TargetTypeEnum::Lambda) => TargetKind::Lambda,
                Some(types::TargetTypeEnum::Alb) => TargetKind::LoadBalancer,
                _ => TargetKind::Instance,
            },
            health_check: HealthCheck {
                protocol: protocol(there.health_check_protocol),
                port: health_port,
                path: there.health_check_path.unwrap_or_default(),
            },
            stickiness,
            targets: targets.into_iter().filter_map(target).collect(),
        })
    }
}

fn listener(there: types::Listener) -> Option<Listener> {
    let actions = there.default_actions.unwrap_or_default();
    let mut groups = Vec::new();
    for action in actions {
        groups.extend(action.target_group_arn);
        let forward = action.forward_config.and_then(|one| one.target_groups);
        let forward = forward.unwrap_or_default().into_iter();
        groups.extend(forward.filter_map(|one| one.target_group_arn));
    }
    groups.sort();
    groups.dedup();
    Some(Listener {
        protocol: there.protocol?.as_str().to_owned(),
        port: u16::try_from(there.port?).ok()?,
        target_groups: groups,
    })
}

fn stickiness(attributes: &[types::TargetGroupAttribute]) -> Option<String> {
    let value = |key: &str| {
        let mut attributes = attributes.iter();
        let attribute = attributes.find(|one| one.key() == Some(key));
        attribute.and_then(|one| one.value())
    };
    let is_on = value("stickiness.enabled") == Some("true");
    value("stickiness.type")
        .filter(|_| is_on)
        .map(str::to_owned)
}

fn target(there: types::TargetHealthDescription) -> Option<(String, bool)> {
    let state = there.target_health.and_then(|health| health.state);
    let healthy = state == Some(types::TargetHealthStateEnum::Healthy);
    Some((there.target?.id?, healthy))
}
