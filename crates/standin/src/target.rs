//! Mirror targets.

use std::collections::BTreeMap;

use crate::account::{Account, OWNER};
use crate::answer::{Answer, Refusal};
use crate::listing::{Described, Listing, tag_attribute};
use crate::request::Request;
use crate::tagging::write_tags;
use crate::xml::Xml;

/// Where copies go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// `tmt-…`.
    pub id: String,
    /// The interface, of one that is an interface.
    pub interface: Option<String>,
    /// The ARN, of a Network Load Balancer.
    pub nlb: Option<String>,
    /// The endpoint, of a Gateway Load Balancer.
    pub endpoint: Option<String>,
    /// What somebody wrote.
    pub description: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl Target {
    fn kind(&self) -> &'static str {
        match (&self.interface, &self.nlb) {
            (Some(_), _) => "network-interface",
            (None, Some(_)) => "network-load-balancer",
            (None, None) => "gateway-load-balancer-endpoint",
        }
    }
}

impl Described for Target {
    fn attribute(&self, id: &str, name: &str) -> Option<Vec<String>> {
        let maybe = |text: &Option<String>| Some(text.clone().into_iter().collect());
        match name {
            "traffic-mirror-target-id" => Some(vec![id.to_owned()]),
            "network-interface-id" => maybe(&self.interface),
            "network-load-balancer-arn" => maybe(&self.nlb),
            "description" => Some(vec![self.description.clone()]),
            "owner-id" => Some(vec![OWNER.to_owned()]),
            _ => tag_attribute(&self.tags, name),
        }
    }
}

impl Account {
    pub(crate) fn create_target(&mut self, request: &Request) -> Answer {
        let text = |name: &str| request.text(name).map(str::to_owned);
        let mut target = Target {
            id: String::new(),
            interface: text("NetworkInterfaceId"),
            nlb: text("NetworkLoadBalancerArn"),
            endpoint: text("GatewayLoadBalancerEndpointId"),
            description: text("Description").unwrap_or_default(),
            tags: request.tags("traffic-mirror-target")?,
        };
        let given = [&target.interface, &target.nlb, &target.endpoint];
        if given.iter().filter(|one| one.is_some()).count() != 1 {
            return Err(Refusal::new(
                "InvalidParameterCombination",
                "Exactly one of network interface, load balancer or endpoint must be given.",
            ));
        }
        if let Some(interface) = &target.interface {
            if self.interfaces.get(interface).is_none() {
                return Err(Refusal::unknown(
                    "InvalidNetworkInterfaceID.NotFound",
                    interface,
                ));
            }
            if !self.sessions_of(interface).is_empty() {
                return Err(Refusal::new(
                    "InvalidParameter",
                    format!("{interface} is already being used as a traffic mirror source."),
                ));
            }
        }
        Self::stop_if_dry(request)?;
        target.id = self.new_id("tmt");
        let mut xml = Xml::default();
        xml.nest("trafficMirrorTarget", |xml| write_target(xml, &target));
        xml.maybe("clientToken", request.text("ClientToken"));
        self.put_target(target);
        Ok(xml)
    }

    pub(crate) fn delete_target(&mut self, request: &Request) -> Answer {
        let id = request.required("TrafficMirrorTargetId")?;
        if self.targets.get(id).is_none() {
            return Err(Refusal::unknown(
                "InvalidTrafficMirrorTargetId.NotFound",
                id,
            ));
        }
        if self.sessions.iter().any(|(_, one)| one.target == id) {
            return Err(Refusal::new(
                "TrafficMirrorTargetInUseException",
                format!("{id} is used by a traffic mirror session."),
            ));
        }
        Self::stop_if_dry(request)?;
        self.targets.remove(id, self.now);
        let mut xml = Xml::default();
        xml.leaf("trafficMirrorTargetId", id);
        Ok(xml)
    }

    pub(crate) fn describe_targets(&self, request: &Request) -> Answer {
        let listing = Listing {
            ids: "TrafficMirrorTargetId",
            unknown: "InvalidTrafficMirrorTargetId.NotFound",
            filters: &[
                "description",
                "network-interface-id",
                "network-load-balancer-arn",
                "owner-id",
                "traffic-mirror-target-id",
            ],
        };
        Self::stop_if_dry(request)?;
        let things = self.targets.iter_at(self.visible_at());
        let things = things.map(|(id, one)| (id.clone(), one.clone())).collect();
        let (found, next) = listing.page(self, request, things)?;
        let mut xml = Xml::default();
        xml.list("trafficMirrorTargetSet", found, |xml, (_, target)| {
            write_target(xml, &target);
        });
        xml.maybe("nextToken", next);
        Ok(xml)
    }
}

fn write_target(xml: &mut Xml, target: &Target) {
    xml.leaf("trafficMirrorTargetId", &target.id)
        .maybe("networkInterfaceId", target.interface.as_ref())
        .maybe("networkLoadBalancerArn", target.nlb.as_ref())
        .maybe("gatewayLoadBalancerEndpointId", target.endpoint.as_ref())
        .leaf("type", target.kind())
        .leaf("description", &target.description)
        .leaf("ownerId", OWNER);
    write_tags(xml, &target.tags);
}
