//! What changes rarely and is read rarely: networks, groups, balancers, instance types.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    InstanceKind, Inventory, LoadBalancer, SecurityGroup, Subnet, TargetGroup, TargetPlace,
};
use crate::target::{Sensor, SensorPlace};

/// What to read beyond subnets and security groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// Types of instances to be described.
    pub kinds: BTreeSet<String>,
    /// ARNs of target groups, balancers and web ACLs, to be followed to the targets behind.
    pub junctions: BTreeSet<String>,
}

/// What was read. What could not be is named, and nothing is concluded from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// As [`Inventory::subnets`].
    pub subnets: BTreeMap<String, Subnet>,
    /// As [`Inventory::security_groups`].
    pub security_groups: BTreeMap<String, SecurityGroup>,
    /// As [`Inventory::kinds`].
    pub kinds: BTreeMap<String, InstanceKind>,
    /// As [`Inventory::load_balancers`].
    pub load_balancers: BTreeMap<String, LoadBalancer>,
    /// As [`Inventory::target_groups`].
    pub target_groups: BTreeMap<String, TargetGroup>,
    /// As [`Inventory::web_acls`].
    pub web_acls: BTreeMap<String, Vec<String>>,
    /// Calls that failed, by the names that policies give them, and why.
    pub unread: BTreeMap<String, String>,
}

impl Around {
    /// What these sensors and junctions make worth knowing.
    #[must_use]
    pub fn of<'a>(
        inventory: &'a Inventory,
        sensors: &'a [Sensor],
        junctions: impl IntoIterator<Item = &'a String>,
    ) -> Self {
        let kinds = inventory.instances.values().map(|one| one.kind.clone());
        let places = sensors.iter().filter_map(|sensor| match &sensor.place {
            SensorPlace::Place(place) => Some(place),
            SensorPlace::Target(id) => inventory.targets.get(id).map(|target| &target.place),
        });
        let balancers = places.filter_map(|place| match place {
            TargetPlace::NetworkLoadBalancer(arn) => Some(arn),
            TargetPlace::Interface(_) | TargetPlace::GatewayEndpoint(_) => None,
        });
        Self {
            kinds: kinds.filter(|kind| !kind.is_empty()).collect(),
            junctions: balancers.chain(junctions).cloned().collect(),
        }
    }
}

impl Surroundings {
    /// A later reading; what it could not read stays as it was.
    pub fn update(&mut self, newer: Self) {
        let failed = |call: &str| newer.unread.keys().any(|one| one.starts_with(call));
        if !failed("ec2:DescribeSubnets") {
            self.subnets = newer.subnets;
        }
        if !failed("ec2:DescribeSecurityGroups") {
            self.security_groups = newer.security_groups;
        }
        // Those that are known are not asked for again: a type stays what it is.
        self.kinds.extend(newer.kinds);
        if !failed("elasticloadbalancing:") {
            self.load_balancers = newer.load_balancers;
            self.target_groups = newer.target_groups;
        }
        if !failed("wafv2:") {
            self.web_acls = newer.web_acls;
        }
        self.unread = newer.unread;
    }

    /// Adds what is known to a reading of the account.
    pub fn complete(&self, inventory: &mut Inventory) {
        inventory.subnets.clone_from(&self.subnets);
        inventory.security_groups.clone_from(&self.security_groups);
        inventory.kinds.clone_from(&self.kinds);
        inventory.load_balancers.clone_from(&self.load_balancers);
        inventory.target_groups.clone_from(&self.target_groups);
        inventory.web_acls.clone_from(&self.web_acls);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_read_stays_as_it_was() {
        let subnet = |id: &str| (id.to_owned(), Subnet::default());
        let mut known = Surroundings {
            subnets: [subnet("one")].into(),
            web_acls: [("acl".to_owned(), Vec::new())].into(),
            ..Surroundings::default()
        };
        known.update(Surroundings {
            unread: [("ec2:DescribeSubnets".to_owned(), "denied".to_owned())].into(),
            ..Surroundings::default()
        });
        assert!(known.subnets.contains_key("one") && known.web_acls.is_empty());
        known.update(Surroundings {
            subnets: [subnet("two")].into(),
            ..Surroundings::default()
        });
        assert_eq!(known.subnets.keys().collect::<Vec<_>>(), ["two"]);
        assert!(known.unread.is_empty());
    }
}
