//! The strategies: each chooses sources and says how much of them it wants.

use super::filter::Family;
use super::inventory::{Interface, Inventory};
use super::sample::{SampleSize, sample};
use crate::Importance;

vxscope_units::reasons! {
    /// A ready strategy. Several combine: a source gets the most that any of them wants.
    pub enum Strategy {
        /// Every source, everything.
        All = "all",
        /// What matters most, and the ways to it.
        Importance = "importance",
        /// Where sensitive data passes.
        Information = "information",
        /// Where the traffic of many passes.
        Junctions = "junctions",
        /// What each role is expected to serve.
        Access = "access",
        /// Some of each role, Region and subnet, in turn.
        Sample = "sample",
    }
}

impl Strategy {
    /// The strategy of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }
}

/// What a strategy needs to know beyond the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// How many of each stratum.
    pub size: SampleSize,
    /// Decides the order in each stratum.
    pub seed: u64,
    /// Which window of that order.
    pub rotation: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            size: SampleSize {
                least: 1,
                permille: 100,
            },
            seed: 0,
            rotation: 0,
        }
    }
}

/// How much of a source is mirrored at full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Extent {
    /// Nothing: no session.
    #[default]
    None,
    /// DNS and never-traffic.
    Sentinel,
    /// These, and what its role is expected to serve.
    Expected,
    /// Everything.
    All,
}

impl Extent {
    /// The name in outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Sentinel => "sentinel",
            Self::Expected => "expected",
            Self::All => "all",
        }
    }
}

/// One interface, chosen by one strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Position in [`Inventory::interfaces`].
    pub interface: usize,
    /// How much of it.
    pub extent: Extent,
    /// What it is worth to the strategy; the interface's own importance counts if it is greater.
    pub importance: Importance,
}

impl Strategy {
    /// The interfaces that the strategy wants, in the order of the inventory.
    #[must_use]
    pub fn choose(self, inventory: &Inventory, sampling: Sampling) -> Vec<Choice> {
        let interfaces = &inventory.interfaces;
        if self == Self::Sample {
            let strata = interfaces.iter().map(|one| (stratum(one), one.id.as_str()));
            let chosen = sample(strata, sampling.size, sampling.seed, sampling.rotation);
            let choice = |interface| Choice {
                interface,
                extent: Extent::All,
                importance: Importance::Low,
            };
            return chosen.into_iter().map(choice).collect();
        }
        let positions = interfaces.iter().enumerate();
        positions
            .filter_map(|(interface, one)| {
                let (extent, importance) = self.wants(one, inventory)?;
                Some(Choice {
                    interface,
                    extent,
                    importance,
                })
            })
            .collect()
    }

    fn wants(self, one: &Interface, inventory: &Inventory) -> Option<(Extent, Importance)> {
        let role = inventory.roles.get(&one.role)?;
        let wanted = match self {
            Self::All => true,
            Self::Importance => one.importance == Importance::Critical,
            Self::Information => role.sensitive || !one.data.is_empty(),
            Self::Junctions => role.junction || !one.behind.is_empty(),
            Self::Access => !role.expected.is_empty(),
            Self::Sample => false,
        };
        let extent = match self {
            Self::Access => Extent::Expected,
            _ => Extent::All,
        };
        // Whoever chose a source for its data or its place does not want it blind for hours.
        let importance = match self {
            Self::Importance => Importance::Critical,
            Self::Information | Self::Junctions => Importance::Standard,
            Self::All | Self::Access | Self::Sample => Importance::Low,
        };
        wanted.then_some((extent, importance))
    }
}

/// Who is like whom: role, Region, subnet.
pub(crate) fn stratum(one: &Interface) -> (&str, &str, &str) {
    (&one.role, &one.region, &one.subnet)
}

/// A name for the IP versions of an interface.
pub(crate) fn families_name(families: &[Family]) -> &'static str {
    match families {
        [Family::V4] => "IPv4",
        [Family::V6] => "IPv6",
        _ => "IPv4 and IPv6",
    }
}
