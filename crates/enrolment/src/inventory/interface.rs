//! A network interface, as `DescribeNetworkInterfaces` has it.

use std::net::IpAddr;

use super::Tags;

/// `NetworkInterface` of the EC2 API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// `NetworkInterfaceId`.
    pub id: String,
    /// `InterfaceType`.
    pub kind: InterfaceKind,
    /// `RequesterManaged`: a service made it.
    pub requester_managed: bool,
    /// `RequesterId`: which, such as `amazon-elb` or `amazon-rds`.
    pub requester: Option<String>,
    /// `Attachment`, if it is attached to an instance and not being detached.
    pub attachment: Option<Attachment>,
    /// `AvailabilityZone`.
    pub zone: String,
    /// `SubnetId`.
    pub subnet: String,
    /// `VpcId`.
    pub vpc: String,
    /// `OwnerId`: in a shared VPC not that of the subnet, and who alone may mirror it.
    pub account: String,
    /// `PrivateIpAddress`, else the first of `Ipv6Addresses`: mirrored packets come from here.
    pub primary: Option<IpAddr>,
    /// All of `PrivateIpAddresses` and `Ipv6Addresses`, the primary one included.
    pub addresses: Vec<IpAddr>,
    /// `MacAddress`, as it is written.
    pub mac: String,
    /// `Description`.
    pub description: String,
    /// `Groups`, by `GroupId`.
    pub security_groups: Vec<String>,
    /// `TagSet`.
    pub tags: Tags,
}

/// `NetworkInterfaceAttachment`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// `InstanceId`.
    pub instance: String,
    /// `DeviceIndex`; 0 is the first interface.
    pub device: u32,
}

/// `InterfaceType`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum InterfaceKind {
    /// `interface`: the only kind that can be mirrored.
    #[default]
    Interface,
    /// Any other, such as `nat_gateway`, `gateway_load_balancer_endpoint`, `trunk` or `efa`.
    Other(String),
}

impl InterfaceKind {
    /// From the API's word.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "interface" => Self::Interface,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The API's word.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Interface => "interface",
            Self::Other(name) => name,
        }
    }
}
