//! Where copies go: interfaces of sensors, load balancers, endpoints; and how many sources each takes.

use std::collections::{BTreeMap, BTreeSet};

use vxscope_policy::money::Path;

use crate::finding::{Finding, FindingKind};
use crate::inventory::{Inventory, Target, TargetPlace};
use crate::selection::Selection;

/// Sources of one interface target (Traffic Mirroring quotas, not adjustable).
pub const SOURCES_SMALL: u32 = 10;
/// Sources of one interface target on the types of [`LARGEST`].
pub const SOURCES_LARGE: u32 = 100;

/// Types whose interfaces take 100 sources; all others take 10 (Traffic Mirroring quotas).
/// What EC2 answers counts more: see [`crate::Enroller::handle_target_full`].
pub const LARGEST: &str = include_str!("largest.txt");

/// One place that takes copies, as the operator named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sensor {
    /// What people call it.
    pub name: String,
    /// The instance whose indicator tag says which tag to look for.
    pub instance: Option<String>,
    /// Where its copies go.
    pub place: SensorPlace,
    /// How much it takes, compared with others; 0 takes nothing new.
    pub weight: u32,
    /// Whether it answers. A dead one gets nothing new, and loses what others can take.
    pub alive: bool,
}

/// Where copies for a sensor go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SensorPlace {
    /// A target that exists, also of another account.
    Target(String),
    /// What a target is, or is made, for.
    Place(TargetPlace),
}

/// A target that should be there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TargetNeed {
    /// For what.
    pub place: TargetPlace,
    /// The sensor that asked for it.
    pub sensor: String,
}

/// A target that exists, and what it can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slots {
    pub(crate) target: String,
    /// The zone of its interface; `None` for balancers, and where it is not known.
    pub(crate) zone: Option<String>,
    /// Sources of ours that it may have; `None` for any number.
    pub(crate) room: Option<u32>,
    pub(crate) weight: u32,
    pub(crate) alive: bool,
    /// The key that its sensor looks for.
    pub(crate) key: Option<String>,
    pub(crate) is_interface: bool,
    pub(crate) path: Path,
}

/// What sensors come down to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    pub(crate) slots: Vec<Slots>,
    pub(crate) needs: Vec<TargetNeed>,
    /// Interfaces that must not be mirrored.
    pub(crate) own: BTreeSet<String>,
    /// What sensors look for.
    pub(crate) keys: BTreeSet<String>,
}

/// Finds the targets of all sensors. `full_at` is how many sources each target took when EC2
/// said that it takes no more; `is_ours` tells our sessions.
pub(crate) fn places(
    sensors: &[Sensor],
    selection: &Selection,
    inventory: &Inventory,
    full_at: &BTreeMap<String, u32>,
    is_ours: impl Fn(&str) -> bool,
    findings: &mut Vec<Finding>,
) -> Places {
    let mut places = Places::default();
    // An interface that is a target cannot be a source, whoever made it one.
    for target in inventory.targets.values() {
        if let TargetPlace::Interface(id) = &target.place {
            places.own.insert(id.clone());
        }
    }
    let mut taken: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for session in inventory.sessions.values().filter(|one| !is_ours(&one.id)) {
        let sources = taken.entry(&session.settings.target).or_default();
        sources.insert(&session.interface);
    }
    for sensor in sensors {
        let key = selection.key_for(sensor.instance.as_deref(), inventory);
        places.keys.extend(key.clone());
        if key.is_none() && selection.junctions.is_empty() {
            findings.push(Finding::new(FindingKind::NoKey, &sensor.name, ""));
        }
        if let Some(instance) = &sensor.instance {
            let its = inventory.interfaces_of(instance);
            places.own.extend(its.into_iter().map(|one| one.id.clone()));
        }
        if let SensorPlace::Place(TargetPlace::Interface(id)) = &sensor.place {
            places.own.insert(id.clone());
        }
        match find(sensor, inventory) {
            Found::Target(target) => {
                let others = taken.get(target.id.as_str()).map_or(0, BTreeSet::len);
                let slots = slots(target, sensor, key, inventory, full_at, others);
                places.slots.push(slots);
            }
            Found::Need(need) => places.needs.push(need),
            Found::Nothing => {
                let detail = "its target does not exist";
                findings.push(Finding::new(FindingKind::NoTarget, &sensor.name, detail));
            }
        }
    }
    places.slots.sort_by(|one, two| one.target.cmp(&two.target));
    places.slots.dedup_by(|one, two| one.target == two.target);
    places
}

enum Found<'a> {
    Target(&'a Target),
    Need(TargetNeed),
    Nothing,
}

fn find<'a>(sensor: &Sensor, inventory: &'a Inventory) -> Found<'a> {
    match &sensor.place {
        SensorPlace::Target(id) => inventory
            .targets
            .get(id)
            .map_or(Found::Nothing, Found::Target),
        SensorPlace::Place(place) => {
            // Of several the lowest id, so that every run takes the same.
            let mut there = inventory.targets.values();
            there.find(|one| one.place == *place).map_or_else(
                || {
                    Found::Need(TargetNeed {
                        place: place.clone(),
                        sensor: sensor.name.clone(),
                    })
                },
                Found::Target,
            )
        }
    }
}

fn slots(
    target: &Target,
    sensor: &Sensor,
    key: Option<String>,
    inventory: &Inventory,
    full_at: &BTreeMap<String, u32>,
    others: usize,
) -> Slots {
    let others = u32::try_from(others).unwrap_or(u32::MAX);
    let (zone, sources_max, path) = match &target.place {
        TargetPlace::Interface(id) => {
            let interface = inventory.interfaces.get(id);
            let kind = interface.and_then(|one| inventory.instance_of(one));
            let most = sources_max(kind.map_or("", |one| one.kind.as_str()));
            let zone = interface.map(|one| one.zone.clone());
            (zone, Some(most), Path::SameAz)
        }
        TargetPlace::NetworkLoadBalancer(_) => (None, None, Path::Nlb),
        TargetPlace::GatewayEndpoint(_) => (None, None, Path::Gwlb),
    };
    let learned = full_at.get(&target.id).copied();
    let room = match (sources_max, learned) {
        (Some(most), Some(learned)) => Some(most.min(learned)),
        (most, learned) => most.or(learned),
    };
    Slots {
        target: target.id.clone(),
        zone,
        room: room.map(|room| room.saturating_sub(others)),
        weight: sensor.weight,
        alive: sensor.alive,
        key,
        is_interface: matches!(target.place, TargetPlace::Interface(_)),
        path,
    }
}

/// Whether a target lives, as far as is known: an interface's instance runs, a balancer has a
/// healthy target.
#[must_use]
pub fn is_alive(place: &TargetPlace, inventory: &Inventory) -> bool {
    match place {
        TargetPlace::Interface(id) => {
            let interface = inventory.interfaces.get(id);
            let instance = interface.and_then(|one| inventory.instance_of(one));
            instance.is_none_or(|one| one.state.is_up())
        }
        TargetPlace::NetworkLoadBalancer(arn) => {
            let Some(balancer) = inventory.load_balancers.get(arn) else {
                return true;
            };
            let groups = balancer.listeners.iter().flat_map(|one| &one.target_groups);
            let mut groups = groups.filter_map(|arn| inventory.target_groups.get(arn));
            let all = groups.clone().count();
            all == 0 || groups.any(|group| group.targets.iter().any(|(_, healthy)| *healthy))
        }
        TargetPlace::GatewayEndpoint(_) => true,
    }
}

/// How many sources an interface of an instance of this type takes as a target.
#[must_use]
pub fn sources_max(kind: &str) -> u32 {
    let large = !kind.is_empty() && LARGEST.split_whitespace().any(|one| one == kind);
    if large { SOURCES_LARGE } else { SOURCES_SMALL }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_types_take_a_hundred() {
        for (kind, expected) in [
            ("m5.24xlarge", 100),
            ("m5.xlarge", 10),
            ("c5.18xlarge", 100),
            ("m7i.24xlarge", 10),
            ("r7iz.32xlarge", 100),
            ("", 10),
            ("m5", 10),
        ] {
            assert_eq!(sources_max(kind), expected, "{kind}");
        }
    }
}
