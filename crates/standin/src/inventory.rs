//! Instances and their interfaces: who can be mirrored.

use std::collections::BTreeMap;

use crate::account::{Account, OWNER};
use crate::answer::Answer;
use crate::listing::{Described, Listing, tag_attribute};
use crate::request::Request;
use crate::tagging::write_tags;
use crate::xml::Xml;

/// Families that cannot be sources: AWS's list of August 2025 does not have them.
const UNSUPPORTED: [&str; 8] = ["t2", "p2", "m8g", "c8g", "r8g", "x8g", "i8g", "c7gn"];

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// `i-…`.
    pub id: String,
    /// Such as `m5.large`.
    pub kind: String,
    /// `running`, `stopped`, `terminated` …
    pub state: String,
    /// Which launch it belongs to: several instances may share one.
    pub reservation: String,
    /// Where it is.
    pub vpc: String,
    /// Where it is.
    pub subnet: String,
    /// Where it is.
    pub zone: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// `eni-…`.
    pub id: String,
    /// `interface`, `nat_gateway` …
    pub kind: String,
    /// To which it is attached.
    pub instance: Option<String>,
    /// The how manieth of it.
    pub device: u32,
    /// Its primary address.
    pub address: String,
    /// Further addresses.
    pub secondary: Vec<String>,
    /// IPv6 addresses.
    pub ipv6: Vec<String>,
    /// Where it is.
    pub vpc: String,
    /// Where it is.
    pub subnet: String,
    /// Where it is.
    pub zone: String,
    /// Its security groups, by id.
    pub groups: Vec<String>,
    /// Whether an AWS service made it.
    pub requester_managed: bool,
    /// What that service, or somebody else, wrote of it.
    pub description: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// What an instance with its interfaces is made from.
#[derive(Clone, Debug)]
pub struct Seed {
    instance: Instance,
    interfaces: Vec<Interface>,
}

impl Seed {
    /// A running `m5.large` in `vpc-1`, `subnet-1`, with one interface.
    #[must_use]
    pub fn new(instance: &str, interface: &str, address: &str) -> Self {
        let seed = Self {
            instance: Instance {
                id: instance.to_owned(),
                kind: "m5.large".to_owned(),
                state: "running".to_owned(),
                reservation: instance.replacen("i-", "r-", 1),
                vpc: "vpc-1".to_owned(),
                subnet: "subnet-1".to_owned(),
                zone: "us-east-1a".to_owned(),
                tags: BTreeMap::new(),
            },
            interfaces: Vec::new(),
        };
        seed.interface(interface, address)
    }

    /// One more interface.
    #[must_use]
    pub fn interface(mut self, id: &str, address: &str) -> Self {
        self.interfaces.push(Interface {
            id: id.to_owned(),
            kind: "interface".to_owned(),
            instance: Some(self.instance.id.clone()),
            device: u32::try_from(self.interfaces.len()).unwrap_or(0),
            address: address.to_owned(),
            secondary: Vec::new(),
            ipv6: Vec::new(),
            vpc: self.instance.vpc.clone(),
            subnet: self.instance.subnet.clone(),
            zone: self.instance.zone.clone(),
            groups: vec!["sg-1".to_owned()],
            requester_managed: false,
            description: String::new(),
            tags: BTreeMap::new(),
        });
        self
    }

    /// Another type of instance.
    #[must_use]
    pub fn kind(mut self, kind: &str) -> Self {
        kind.clone_into(&mut self.instance.kind);
        self
    }

    /// A tag of the instance.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.instance.tags.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Elsewhere; for the interfaces that it has so far, too.
    #[must_use]
    pub fn place(mut self, vpc: &str, subnet: &str, zone: &str) -> Self {
        vpc.clone_into(&mut self.instance.vpc);
        subnet.clone_into(&mut self.instance.subnet);
        zone.clone_into(&mut self.instance.zone);
        for one in &mut self.interfaces {
            vpc.clone_into(&mut one.vpc);
            subnet.clone_into(&mut one.subnet);
            zone.clone_into(&mut one.zone);
        }
        self
    }

    /// Launched together with others.
    #[must_use]
    pub fn reservation(mut self, id: &str) -> Self {
        id.clone_into(&mut self.instance.reservation);
        self
    }

    pub(crate) fn build(self) -> (Instance, Vec<Interface>) {
        (self.instance, self.interfaces)
    }
}

impl Instance {
    pub(crate) fn can_be_mirrored(&self) -> bool {
        let family = self.kind.split('.').next().unwrap_or_default();
        !UNSUPPORTED.contains(&family)
    }

    /// How many sources an interface of it may have as a target, in tens.
    pub(crate) fn is_largest(&self) -> bool {
        ["24xlarge", "32xlarge", "48xlarge"]
            .iter()
            .any(|size| self.kind.ends_with(size))
    }
}

impl Described for Instance {
    fn attribute(&self, id: &str, name: &str) -> Option<Vec<String>> {
        let one = |text: &str| Some(vec![text.to_owned()]);
        match name {
            "instance-id" => one(id),
            "instance-state-name" => one(&self.state),
            "instance-type" => one(&self.kind),
            "vpc-id" => one(&self.vpc),
            "subnet-id" => one(&self.subnet),
            _ => tag_attribute(&self.tags, name),
        }
    }
}

impl Described for Interface {
    fn attribute(&self, id: &str, name: &str) -> Option<Vec<String>> {
        let one = |text: &str| Some(vec![text.to_owned()]);
        match name {
            "network-interface-id" => one(id),
            "attachment.instance-id" => Some(self.instance.clone().into_iter().collect()),
            "interface-type" => one(&self.kind),
            "vpc-id" => one(&self.vpc),
            "subnet-id" => one(&self.subnet),
            _ => tag_attribute(&self.tags, name),
        }
    }
}

impl Account {
    pub(crate) fn describe_instances(&self, request: &Request) -> Answer {
        let listing = Listing {
            ids: "InstanceId",
            unknown: "InvalidInstanceID.NotFound",
            filters: &[
                "instance-id",
                "instance-state-name",
                "instance-type",
                "vpc-id",
                "subnet-id",
                "tag:",
                "tag-key",
            ],
        };
        Self::stop_if_dry(request)?;
        let at = self.visible_at();
        let things = self.instances.iter_at(at);
        let things = things.map(|(id, one)| (id.clone(), one.clone())).collect();
        let (found, next) = listing.page(self, request, things)?;
        let mut reservations: BTreeMap<String, Vec<Instance>> = BTreeMap::new();
        for (_, instance) in found {
            let reservation = instance.reservation.clone();
            reservations.entry(reservation).or_default().push(instance);
        }
        let mut attached: BTreeMap<&str, Vec<&Interface>> = BTreeMap::new();
        for (_, one) in self.interfaces.iter_at(at) {
            if let Some(instance) = &one.instance {
                attached.entry(instance).or_default().push(one);
            }
        }
        let mut xml = Xml::default();
        xml.list("reservationSet", reservations, |xml, (id, instances)| {
            xml.leaf("reservationId", id).leaf("ownerId", OWNER);
            xml.list("instancesSet", instances, |xml, instance| {
                let its = attached.get(instance.id.as_str());
                write_instance(xml, &instance, its.map_or(&[], Vec::as_slice));
            });
        });
        xml.maybe("nextToken", next);
        Ok(xml)
    }

    pub(crate) fn describe_interfaces(&self, request: &Request) -> Answer {
        let listing = Listing {
            ids: "NetworkInterfaceId",
            unknown: "InvalidNetworkInterfaceID.NotFound",
            filters: &[
                "network-interface-id",
                "attachment.instance-id",
                "interface-type",
                "vpc-id",
                "subnet-id",
                "tag:",
                "tag-key",
            ],
        };
        Self::stop_if_dry(request)?;
        let things = self.interfaces.iter_at(self.visible_at());
        let things = things.map(|(id, one)| (id.clone(), one.clone())).collect();
        let (found, next) = listing.page(self, request, things)?;
        let mut xml = Xml::default();
        xml.list("networkInterfaceSet", found, |xml, (_, one)| {
            write_interface(xml, &one);
        });
        xml.maybe("nextToken", next);
        Ok(xml)
    }
}

fn write_instance(xml: &mut Xml, instance: &Instance, interfaces: &[&Interface]) {
    xml.leaf("instanceId", &instance.id)
        .leaf("instanceType", &instance.kind)
        .leaf("vpcId", &instance.vpc)
        .leaf("subnetId", &instance.subnet);
    xml.nest("instanceState", |xml| {
        let code = match instance.state.as_str() {
            "running" => 16,
            "terminated" => 48,
            "stopped" => 80,
            _ => 0,
        };
        xml.leaf("code", code).leaf("name", &instance.state);
    });
    xml.nest("placement", |xml| {
        xml.leaf("availabilityZone", &instance.zone);
    });
    write_tags(xml, &instance.tags);
    xml.list("networkInterfaceSet", interfaces, |xml, one| {
        xml.leaf("networkInterfaceId", &one.id)
            .leaf("privateIpAddress", &one.address);
    });
}

fn write_interface(xml: &mut Xml, one: &Interface) {
    xml.leaf("networkInterfaceId", &one.id)
        .leaf("ownerId", OWNER)
        .leaf("interfaceType", &one.kind)
        .leaf("requesterManaged", one.requester_managed)
        .leaf("description", &one.description)
        .leaf("vpcId", &one.vpc)
        .leaf("subnetId", &one.subnet)
        .leaf("availabilityZone", &one.zone)
        .leaf("privateIpAddress", &one.address)
        .leaf(
            "status",
            if one.instance.is_some() {
                "in-use"
            } else {
                "available"
            },
        );
    if let Some(instance) = &one.instance {
        xml.nest("attachment", |xml| {
            xml.leaf("attachmentId", format!("eni-attach-{}", one.id))
                .leaf("deviceIndex", one.device)
                .leaf("instanceId", instance)
                .leaf("status", "attached");
        });
    }
    xml.list("groupSet", &one.groups, |xml, group| {
        xml.leaf("groupId", group).leaf("groupName", group);
    });
    let addresses = std::iter::once((&one.address, true));
    let addresses = addresses.chain(one.secondary.iter().map(|address| (address, false)));
    xml.list(
        "privateIpAddressesSet",
        addresses,
        |xml, (address, first)| {
            xml.leaf("privateIpAddress", address).leaf("primary", first);
        },
    );
    xml.list("ipv6AddressesSet", &one.ipv6, |xml, address| {
        xml.leaf("ipv6Address", address);
    });
    write_tags(xml, &one.tags);
}
