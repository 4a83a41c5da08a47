//! Subnets, security groups and load balancers, as far as mirroring needs them.

use std::net::IpAddr;

use super::{Net, Ports, Tags};

/// `Subnet` of the EC2 API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subnet {
    /// `SubnetId`.
    pub id: String,
    /// `VpcId`.
    pub vpc: String,
    /// `AvailabilityZone`.
    pub zone: String,
    /// `CidrBlock` and the blocks of `Ipv6CidrBlockAssociationSet`.
    pub blocks: Vec<Net>,
    /// `Ipv6Native`: it has no IPv4, and its interfaces cannot be mirrored.
    pub ipv6_only: bool,
    /// `TagSet`.
    pub tags: Tags,
}

/// `SecurityGroup` of the EC2 API; only what it lets in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityGroup {
    /// `GroupId`.
    pub id: String,
    /// `GroupName`.
    pub name: String,
    /// `VpcId`.
    pub vpc: String,
    /// `IpPermissions`.
    pub inbound: Vec<SecurityRule>,
}

/// One protocol, range and peer of an `IpPermission`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityRule {
    /// `IpProtocol`; `None` for all (`-1`).
    pub protocol: Option<Transport>,
    /// `FromPort` to `ToPort`; [`Ports::ALL`] with all protocols.
    pub ports: Ports,
    /// Who is let in.
    pub peers: Peers,
}

/// Protocols that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `tcp`.
    Tcp,
    /// `udp`.
    Udp,
    /// Any other, by number.
    Other(u8),
}

/// Whom a rule names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peers {
    /// `IpRanges`, `Ipv6Ranges`.
    Block(Net),
    /// `UserIdGroupPairs`, by `GroupId`.
    Group(String),
    /// `PrefixListIds`: whatever is in it is not known here.
    PrefixList(String),
}

/// `LoadBalancer` of the Elastic Load Balancing API (v2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancer {
    /// `LoadBalancerArn`.
    pub arn: String,
    /// `LoadBalancerName`.
    pub name: String,
    /// `Type`.
    pub kind: LoadBalancerKind,
    /// `AvailabilityZones`, by `SubnetId`.
    pub subnets: Vec<String>,
    /// Attribute `load_balancing.cross_zone.enabled`, where it was asked for.
    pub cross_zone: Option<bool>,
    /// `DescribeListeners`.
    pub listeners: Vec<Listener>,
}

/// `Type` of a load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadBalancerKind {
    /// `application`.
    Application,
    /// `network`.
    Network,
    /// `gateway`.
    Gateway,
}

/// `Listener`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// `Protocol`, in capitals as the API has it: `UDP`, `TCP_UDP`, `HTTPS`.
    pub protocol: String,
    /// `Port`.
    pub port: u16,
    /// `TargetGroupArn` of its forwarding actions.
    pub target_groups: Vec<String>,
}

/// `TargetGroup` with what `DescribeTargetHealth` and `DescribeTargetGroupAttributes` add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetGroup {
    /// `TargetGroupArn`.
    pub arn: String,
    /// `TargetGroupName`.
    pub name: String,
    /// `VpcId`.
    pub vpc: String,
    /// `Protocol`, in capitals.
    pub protocol: String,
    /// `Port`.
    pub port: u16,
    /// `TargetType`: what [`TargetGroup::targets`] names.
    pub kind: TargetKind,
    /// `HealthCheck…`.
    pub health_check: HealthCheck,
    /// Attribute `stickiness.type` if `stickiness.enabled`.
    pub stickiness: Option<String>,
    /// `Target.Id` of every target: instances, addresses or ARNs; and whether it is healthy.
    pub targets: Vec<(String, bool)>,
}

/// `TargetType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// `instance`.
    Instance,
    /// `ip`.
    Ip,
    /// `lambda`: nothing to mirror.
    Lambda,
    /// `alb`: a load balancer behind a load balancer.
    LoadBalancer,
}

/// How targets are asked whether they are well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthCheck {
    /// `HealthCheckProtocol`, in capitals.
    pub protocol: String,
    /// `HealthCheckPort`; `None` for `traffic-port`.
    pub port: Option<u16>,
    /// `HealthCheckPath`.
    pub path: String,
}

impl TargetGroup {
    /// Targets that are addresses, where [`TargetGroup::kind`] says so.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let ips = self.kind == TargetKind::Ip;
        let ids = self.targets.iter().map(|(id, _)| id);
        ids.filter(move |_| ips).filter_map(|id| id.parse().ok())
    }
}
