//! Mirror targets and filters, as EC2 has them.

use super::{Filter, Tags};

/// `TrafficMirrorTarget` of the EC2 API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `TrafficMirrorTargetId`.
    pub id: String,
    /// Where copies go (`Type`, and the identifier that belongs to it).
    pub place: TargetPlace,
    /// `OwnerId`: another account's if it is shared with us (AWS RAM).
    pub account: String,
    /// `Description`.
    pub description: String,
    /// `TagSet`; those of another account's target are not told.
    pub tags: Tags,
}

/// What a target is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetPlace {
    /// `network-interface`, by `NetworkInterfaceId`.
    Interface(String),
    /// `network-load-balancer`, by `NetworkLoadBalancerArn`.
    NetworkLoadBalancer(String),
    /// `gateway-load-balancer-endpoint`, by `GatewayLoadBalancerEndpointId`.
    GatewayEndpoint(String),
}

impl TargetPlace {
    /// `TrafficMirrorTargetType`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Interface(_) => "network-interface",
            Self::NetworkLoadBalancer(_) => "network-load-balancer",
            Self::GatewayEndpoint(_) => "gateway-load-balancer-endpoint",
        }
    }

    /// The identifier of that kind.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Interface(id) | Self::NetworkLoadBalancer(id) | Self::GatewayEndpoint(id) => id,
        }
    }
}

/// `TrafficMirrorFilter` of the EC2 API. Its rules belong to it: a rule that a filter cannot say
/// (`TrafficMirrorFilterRule` with blocks of two families) does not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MirrorFilter {
    /// `TrafficMirrorFilterId`.
    pub id: String,
    /// `IngressFilterRules`, `EgressFilterRules` by direction and number, and `NetworkServices`;
    /// the name is that of the tag `Name`.
    pub filter: Filter,
    /// `Description`.
    pub description: String,
    /// `TagSet`.
    pub tags: Tags,
}
