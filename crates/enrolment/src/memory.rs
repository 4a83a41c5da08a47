//! What enrolment must not forget between two looks at the account. Times are µs since 1970, so
//! that they outlive the process; without any of it sources stay longer than they must, never shorter.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Everything, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Sources that are enrolled, by interface.
    pub kept: BTreeMap<String, Kept>,
    /// Interfaces that EC2 refused to mirror, with the instance type that they had.
    pub unsupported: BTreeMap<String, String>,
    /// How many sources a target took when EC2 said that it takes no more.
    pub full_at: BTreeMap<String, u32>,
    /// When sources left, of the last waiting time.
    pub left: Vec<u64>,
    /// Sources that are gone, whose last packets may still be under way.
    pub lingering: Vec<Lingering>,
}

/// One enrolled source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// The filter of its session at full.
    pub filter: String,
    /// Where its copies go.
    pub target: String,
    /// `SessionNumber`.
    pub number: u16,
    /// `VirtualNetworkId`.
    pub vni: Option<u32>,
    /// Where its packets come from.
    pub address: Option<IpAddr>,
    /// Since when it is no longer wanted.
    pub unwanted_since: Option<u64>,
    /// Since when its tag names a filter that mirrors less.
    pub narrower_since: Option<u64>,
    /// When its turn began or ended, if it takes turns, and whether it has one.
    pub turn: Option<(u64, bool)>,
}

/// A source that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lingering {
    /// Its interface.
    pub interface: String,
    /// Where its packets came from.
    pub address: IpAddr,
    /// With which VNI.
    pub vni: u32,
    /// Until when it is known to sensors.
    pub until: u64,
}
