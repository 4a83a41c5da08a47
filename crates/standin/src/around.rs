//! What is around mirrors: subnets, security groups, types of instances, and what web ACLs
//! protect. Nothing is there unless somebody put it there.

use std::collections::BTreeMap;

use crate::account::{Account, OWNER};
use crate::answer::Answer;
use crate::listing::{Described, Listing};
use crate::request::Request;
use crate::xml::Xml;

/// A subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subnet {
    /// `subnet-…`.
    pub id: String,
    /// Where it is.
    pub vpc: String,
    /// Where it is.
    pub zone: String,
    /// Its IPv4 addresses; empty if it has none.
    pub block: String,
    /// Its IPv6 addresses; empty if it has none.
    pub ipv6: String,
}

/// A security group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityGroup {
    /// `sg-…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub vpc: String,
    /// Whom it lets in: protocol, port and block; `-1` is every protocol.
    pub inbound: Vec<(String, u16, String)>,
}

/// A type of instances.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kind {
    /// Such as `m5.xlarge`.
    pub name: String,
    /// `VCpuInfo.DefaultVCpus`.
    pub cores: u32,
    /// `MemoryInfo.SizeInMiB`.
    pub memory_mib: u64,
    /// `BaselineBandwidthInGbps` of its network card.
    pub baseline_gbps: f64,
}

impl Described for Subnet {
    fn attribute(&self, id: &str, name: &str) -> Option<Vec<String>> {
        match name {
            "subnet-id" => Some(vec![id.to_owned()]),
            "vpc-id" => Some(vec![self.vpc.clone()]),
            _ => None,
        }
    }
}

impl Described for SecurityGroup {
    fn attribute(&self, id: &str, name: &str) -> Option<Vec<String>> {
        match name {
            "group-id" => Some(vec![id.to_owned()]),
            "group-name" => Some(vec![self.name.clone()]),
            "vpc-id" => Some(vec![self.vpc.clone()]),
            _ => None,
        }
    }
}

impl Described for Kind {
    fn attribute(&self, id: &str, name: &str) -> Option<Vec<String>> {
        (name == "instance-type").then(|| vec![id.to_owned()])
    }
}

impl Account {
    /// A subnet, instead of one of the same id.
    pub fn put_subnet(&mut self, subnet: Subnet) {
        self.subnets.put(&subnet.id.clone(), subnet, self.now);
    }

    /// A security group, instead of one of the same id.
    pub fn put_group(&mut self, group: SecurityGroup) {
        self.groups.put(&group.id.clone(), group, self.now);
    }

    /// A type of instances.
    pub fn put_kind(&mut self, kind: Kind) {
        self.kinds.put(&kind.name.clone(), kind, self.now);
    }

    /// A web ACL protects these balancers, by ARN.
    pub fn protect(&mut self, acl: &str, balancers: &[&str]) {
        let balancers = balancers.iter().map(|arn| (*arn).to_owned());
        self.protected.insert(acl.to_owned(), balancers.collect());
    }

    /// What `wafv2:ListResourcesForWebACL` says; `None` for an ACL that there is not.
    pub(crate) fn resources_of(&self, body: &[u8]) -> Option<String> {
        let asked: serde_json::Value = serde_json::from_slice(body).ok()?;
        let acl = asked.get("WebACLArn")?.as_str()?;
        let arns = self.protected.get(acl)?;
        Some(serde_json::json!({"ResourceArns": arns}).to_string())
    }

    pub(crate) fn describe_subnets(&self, request: &Request) -> Answer {
        let listing = Listing {
            ids: "SubnetId",
            unknown: "InvalidSubnetID.NotFound",
            filters: &["subnet-id", "vpc-id"],
        };
        Self::stop_if_dry(request)?;
        let things = self.subnets.iter_at(self.visible_at());
        let things = things.map(|(id, one)| (id.clone(), one.clone())).collect();
        let (found, next) = listing.page(self, request, things)?;
        let mut xml = Xml::default();
        xml.list("subnetSet", found, |xml, (id, one)| {
            xml.leaf("subnetId", id)
                .leaf("vpcId", &one.vpc)
                .leaf("availabilityZone", &one.zone)
                .leaf("ipv6Native", one.block.is_empty());
            if !one.block.is_empty() {
                xml.leaf("cidrBlock", &one.block);
            }
            let v6 = Some(&one.ipv6).filter(|block| !block.is_empty());
            xml.list("ipv6CidrBlockAssociationSet", v6, |xml, block| {
                xml.leaf("ipv6CidrBlock", block);
            });
        });
        xml.maybe("nextToken", next);
        Ok(xml)
    }

    pub(crate) fn describe_groups(&self, request: &Request) -> Answer {
        let listing = Listing {
            ids: "GroupId",
            unknown: "InvalidGroup.NotFound",
            filters: &["group-id", "group-name", "vpc-id"],
        };
        Self::stop_if_dry(request)?;
        let things = self.groups.iter_at(self.visible_at());
        let things = things.map(|(id, one)| (id.clone(), one.clone())).collect();
        let (found, next) = listing.page(self, request, things)?;
        let mut xml = Xml::default();
        xml.list("securityGroupInfo", found, |xml, (id, one)| {
            xml.leaf("groupId", id)
                .leaf("groupName", &one.name)
                .leaf("ownerId", OWNER)
                .leaf("vpcId", &one.vpc);
            xml.list("ipPermissions", &one.inbound, write_permission);
        });
        xml.maybe("nextToken", next);
        Ok(xml)
    }

    pub(crate) fn describe_kinds(&self, request: &Request) -> Answer {
        let listing = Listing {
            ids: "InstanceType",
            unknown: "InvalidInstanceType",
            filters: &["instance-type"],
        };
        Self::stop_if_dry(request)?;
        let things = self.kinds.iter_at(self.visible_at());
        let things = things.map(|(id, one)| (id.clone(), one.clone())).collect();
        let (found, next) = listing.page(self, request, things)?;
        let mut xml = Xml::default();
        xml.list("instanceTypeSet", found, |xml, (name, one)| {
            xml.leaf("instanceType", name)
                .nest("vCpuInfo", |xml| {
                    xml.leaf("defaultVCpus", one.cores);
                })
                .nest("memoryInfo", |xml| {
                    xml.leaf("sizeInMiB", one.memory_mib);
                })
                .nest("networkInfo", |xml| {
                    xml.list("networkCards", [one.baseline_gbps], |xml, gbps| {
                        xml.leaf("baselineBandwidthInGbps", gbps);
                    });
                });
        });
        xml.maybe("nextToken", next);
        Ok(xml)
    }
}

fn write_permission(xml: &mut Xml, (protocol, port, block): &(String, u16, String)) {
    xml.leaf("ipProtocol", protocol);
    if protocol != "-1" {
        xml.leaf("fromPort", port).leaf("toPort", port);
    }
    let is_v6 = block.contains(':');
    let (v4, v6) = if is_v6 {
        (None, Some(block))
    } else {
        (Some(block), None)
    };
    xml.list("ipRanges", v4, |xml, block| {
        xml.leaf("cidrIp", block);
    });
    xml.list("ipv6Ranges", v6, |xml, block| {
        xml.leaf("cidrIpv6", block);
    });
}

/// What each web ACL protects.
pub(crate) type Protected = BTreeMap<String, Vec<String>>;
