//! Reading what is around an account's mirrors: subnets, security groups, instance types, and by
//! Elastic Load Balancing and WAF what stands before targets.

use std::collections::BTreeMap;

use aws_sdk_ec2::types;
use vxscope_control::mirror::ApiError;
use vxscope_enrolment::inventory::{
    Around, InstanceKind, Peers, Ports, SecurityGroup, SecurityRule, Subnet, Surroundings,
    Transport,
};

use crate::error::{api_error, incomplete};
use crate::filter::net;
use crate::session::{PAGE, tags};
use crate::survey::{Surveyor, by_id, pages};

/// Names of types in one call (EC2).
const KINDS_MAX: usize = 100;

impl Surveyor<'_> {
    /// Everything that can be read; what cannot is named.
    pub(crate) async fn look_around(&self, around: Around) -> Surroundings {
        let mut found = Surroundings::default();
        match self.subnets().await {
            Ok(subnets) => found.subnets = subnets,
            Err(error) => unread(&mut found, "ec2:DescribeSubnets", &error),
        }
        match self.groups().await {
            Ok(groups) => found.security_groups = groups,
            Err(error) => unread(&mut found, "ec2:DescribeSecurityGroups", &error),
        }
        let kinds: Vec<String> = around.kinds.into_iter().collect();
        for some in kinds.chunks(KINDS_MAX) {
            match self.kinds(some).await {
                Ok(kinds) => found.kinds.extend(kinds),
                Err(error) => unread(&mut found, "ec2:DescribeInstanceTypes", &error),
            }
        }
        self.follow(around.junctions, &mut found).await;
        found
    }

    async fn subnets(&self) -> Result<BTreeMap<String, Subnet>, ApiError> {
        let subnets = pages!(self, describe_subnets, subnets, subnet);
        Ok(by_id(subnets, |one| one.id.clone()))
    }

    async fn groups(&self) -> Result<BTreeMap<String, SecurityGroup>, ApiError> {
        let groups = pages!(self, describe_security_groups, security_groups, group);
        Ok(by_id(groups, |one| one.id.clone()))
    }

    async fn kinds(&self, names: &[String]) -> Result<BTreeMap<String, InstanceKind>, ApiError> {
        let named = types::Filter::builder().name("instance-type");
        let named = named.set_values(Some(names.to_vec())).build();
        // A filter: a type that is no longer offered would make a list of names an error.
        let kinds = self
            .all(async |next: Option<String>| {
                let call = self.clients.ec2.describe_instance_types();
                let call = call.filters(named.clone()).max_results(100);
                let page = call.set_next_token(next).send().await;
                let page = page.map_err(|error| api_error(&error))?;
                let kinds = page.instance_types.ok_or_else(|| incomplete("types"))?;
                Ok((
                    kinds.into_iter().filter_map(kind).collect(),
                    page.next_token,
                ))
            })
            .await?;
        Ok(kinds.into_iter().collect())
    }
}

pub(crate) fn unread(found: &mut Surroundings, call: &str, error: &ApiError) {
    found.unread.insert(call.to_owned(), error.to_string());
}

fn subnet(there: types::Subnet) -> Option<Subnet> {
    let v6 = there.ipv6_cidr_block_association_set.unwrap_or_default();
    let v6 = v6.into_iter().filter_map(|one| one.ipv6_cidr_block);
    let blocks = there.cidr_block.into_iter().chain(v6);
    Some(Subnet {
        id: there.subnet_id?,
        vpc: there.vpc_id.unwrap_or_default(),
        zone: there.availability_zone.unwrap_or_default(),
        blocks: blocks.filter_map(|block| net(&block)).collect(),
        ipv6_only: there.ipv6_native.unwrap_or_default(),
        tags: tags(there.tags),
    })
}

fn group(there: types::SecurityGroup) -> Option<SecurityGroup> {
    let inbound = there.ip_permissions.unwrap_or_default().into_iter();
    Some(SecurityGroup {
        id: there.group_id?,
        name: there.group_name.unwrap_or_default(),
        vpc: there.vpc_id.unwrap_or_default(),
        inbound: inbound.flat_map(rules).collect(),
    })
}

/// One rule for each that a permission names.
fn rules(there: types::IpPermission) -> Vec<SecurityRule> {
    let Some((protocol, ports)) = what(&there) else {
        return Vec::new();
    };
    let v4 = there.ip_ranges.unwrap_or_default();
    let v4 = v4.into_iter().filter_map(|one| one.cidr_ip);
    let v6 = there.ipv6_ranges.unwrap_or_default();
    let v6 = v6.into_iter().filter_map(|one| one.cidr_ipv6);
    let blocks = v4.chain(v6).filter_map(|block| net(&block));
    let groups = there.user_id_group_pairs.unwrap_or_default();
    let groups = groups.into_iter().filter_map(|one| one.group_id);
    let lists = there.prefix_list_ids.unwrap_or_default();
    let lists = lists.into_iter().filter_map(|one| one.prefix_list_id);
    let peers = blocks.map(Peers::Block);
    let peers = peers.chain(groups.map(Peers::Group));
    let peers = peers.chain(lists.map(Peers::PrefixList));
    peers
        .map(|peers| SecurityRule {
            protocol,
            ports,
            peers,
        })
        .collect()
}

/// Protocol and ports of a permission; `None` if there are no such ports.
fn what(there: &types::IpPermission) -> Option<(Option<Transport>, Ports)> {
    let port = |port: Option<i32>, otherwise: u16| match port {
        None | Some(-1) => Some(otherwise),
        Some(port) => u16::try_from(port).ok(),
    };
    let ports = || Ports::try_new(port(there.from_port, 0)?, port(there.to_port, u16::MAX)?);
    Some(match there.ip_protocol()? {
        "-1" => (None, Ports::ALL),
        "tcp" | "6" => (Some(Transport::Tcp), ports()?),
        "udp" | "17" => (Some(Transport::Udp), ports()?),
        // Of ICMP the ports are types and codes.
        "icmp" => (Some(Transport::Other(1)), Ports::ALL),
        "icmpv6" => (Some(Transport::Other(58)), Ports::ALL),
        other => (Some(Transport::Other(other.parse().ok()?)), Ports::ALL),
    })
}

fn kind(there: types::InstanceTypeInfo) -> Option<(String, InstanceKind)> {
    let cards = there.network_info.and_then(|network| network.network_cards);
    let cards = cards.unwrap_or_default().into_iter();
    let mbps: Option<f64> = cards
        .map(|card| Some(card.baseline_bandwidth_in_gbps? * 1_000.0))
        .sum();
    let cores = there.v_cpu_info.and_then(|cores| cores.default_v_cpus);
    let memory = there.memory_info.and_then(|memory| memory.size_in_mib);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float that is too large or below zero becomes the nearest"
    )]
    let whole = |mbps: f64| mbps as u32;
    let kind = InstanceKind {
        cores: cores.and_then(|cores| u32::try_from(cores).ok())?,
        memory_mib: memory.and_then(|memory| u64::try_from(memory).ok())?,
        baseline_mbps: mbps.map(whole).filter(|mbps| *mbps > 0),
    };
    Some((there.instance_type?.as_str().to_owned(), kind))
}
