//! What there is in one Region of an account, as the EC2 API describes it.
//!
//! Names are those of the API where they differ from ours (Amazon EC2 API reference, the page of
//! the type that each field names). Identifiers are opaque: nothing here looks into one. Whoever
//! reads the pages fills this; what a page leaves out is empty, and nothing is concluded from it.

mod instance;
mod interface;
mod mirror;
mod network;
mod surroundings;

use std::collections::BTreeMap;

use vxscope_units::Timestamp;

pub use instance::{Instance, InstanceKind, InstanceState, Platform};
pub use interface::{Attachment, Interface, InterfaceKind};
pub use mirror::{MirrorFilter, Target, TargetPlace};
pub use network::{
    HealthCheck, Listener, LoadBalancer, LoadBalancerKind, Peers, SecurityGroup, SecurityRule,
    Subnet, TargetGroup, TargetKind, Transport,
};
pub use surroundings::{Around, Surroundings};
pub use vxscope_control::mirror::Session;
pub use vxscope_policy::strategy::filter::{Action, Clause, Direction, Filter, Net, Ports, Rule};

/// Tags of a resource, by key (`Tag`). Keys are compared as they are written, case and all.
pub type Tags = BTreeMap<String, String>;

/// Everything of one reading. Each map is by the identifier that the value carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// When the first page of the reading was asked for: what happened later may be missing.
    pub read_at: Timestamp,
    /// The account that asks (`sts:GetCallerIdentity`).
    pub account: String,
    /// The Region, such as `us-east-1`.
    pub region: String,
    /// `DescribeInstances`, every instance of every reservation.
    pub instances: BTreeMap<String, Instance>,
    /// `DescribeNetworkInterfaces`.
    pub interfaces: BTreeMap<String, Interface>,
    /// `DescribeSubnets`.
    pub subnets: BTreeMap<String, Subnet>,
    /// `DescribeSecurityGroups`; only preflight looks at them.
    pub security_groups: BTreeMap<String, SecurityGroup>,
    /// `DescribeTrafficMirrorTargets`, those that other accounts share with us too.
    pub targets: BTreeMap<String, Target>,
    /// `DescribeTrafficMirrorFilters`, with their rules.
    pub filters: BTreeMap<String, MirrorFilter>,
    /// `DescribeTrafficMirrorSessions`, ours and others', by session.
    pub sessions: BTreeMap<String, Session>,
    /// `elasticloadbalancing:DescribeLoadBalancers`, by ARN; only targets and junctions need them.
    pub load_balancers: BTreeMap<String, LoadBalancer>,
    /// `elasticloadbalancing:DescribeTargetGroups` with `DescribeTargetHealth`, by ARN.
    pub target_groups: BTreeMap<String, TargetGroup>,
    /// Web ACLs by ARN, and the load balancers that each protects
    /// (`wafv2:ListResourcesForWebACL`); only junctions need them.
    pub web_acls: BTreeMap<String, Vec<String>>,
    /// `DescribeInstanceTypes`, by `InstanceType`; where one is missing nothing is concluded.
    pub kinds: BTreeMap<String, InstanceKind>,
}

impl Inventory {
    /// The instance that an interface is attached to.
    #[must_use]
    pub fn instance_of(&self, interface: &Interface) -> Option<&Instance> {
        self.instances.get(&interface.attachment.as_ref()?.instance)
    }

    /// Interfaces that are attached to an instance, by device index.
    #[must_use]
    pub fn interfaces_of(&self, instance: &str) -> Vec<&Interface> {
        let is_there = |one: &&Interface| {
            one.attachment
                .as_ref()
                .is_some_and(|attachment| attachment.instance == instance)
        };
        let mut found: Vec<&Interface> = self.interfaces.values().filter(is_there).collect();
        found.sort_by_key(|one| (one.attachment.as_ref().map(|it| it.device), &one.id));
        found
    }

    /// Sessions whose source is this interface, whoever owns them.
    pub fn sessions_on<'a>(&'a self, interface: &'a str) -> impl Iterator<Item = &'a Session> {
        let on = move |session: &&Session| session.interface == interface;
        self.sessions.values().filter(on)
    }
}
