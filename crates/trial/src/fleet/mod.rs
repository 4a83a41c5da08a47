//! A synthetic fleet: slots of roles in subnets, the machines that fill them one after the other,
//! whom they talk to, and how much.

mod build;
mod rate;
mod spec;

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

use vxscope_policy::Importance;

pub use spec::{Calendar, Place, Role, STANDARD, Spec, SpecError};

/// Fewest sources of a fleet: below, roles have no member.
pub const SOURCES_MIN: u32 = 10;
/// Most sources of a fleet, as many as an account may have sessions.
pub const SOURCES_MAX: u32 = 10_000;

/// A place for one machine at a time: an autoscaled one is filled again and again.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Index of the role.
    pub role: usize,
    /// Index of the (role, subnet) group.
    pub group: u32,
    /// Availability zone.
    pub zone: u32,
    /// Slots it talks to, the most usual first.
    pub peers: Vec<u32>,
    /// The sources that fill it, in order of time.
    pub lives: Vec<u32>,
}

/// One mirrored interface, from its creation to its end.
#[derive(Clone, Debug)]
pub struct Source {
    /// The slot that it fills.
    pub slot: u32,
    /// Index of the role.
    pub role: usize,
    /// Index of the (role, subnet) group.
    pub group: u32,
    /// Availability zone.
    pub zone: u32,
    /// How much it matters.
    pub importance: Importance,
    /// Whether it may have no session at all for a while.
    pub allow_off: bool,
    /// Whether its mirror crosses zones.
    pub cross_zone: bool,
    /// When it exists, ms.
    pub alive: Range<u64>,
    /// Mean bytes a second of a busy hour.
    pub bytes_per_second: f64,
    /// Bytes of a full mirror since the hour in which it was created, at each full hour.
    pub(crate) bytes_until_hour: Vec<f64>,
}

/// A fleet over the whole time of a trial.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// What it was made from.
    pub spec: Spec,
    /// Places for machines.
    pub slots: Vec<Slot>,
    /// Every source that ever exists, in order of creation.
    pub sources: Vec<Source>,
    /// How many groups there are.
    pub groups: u32,
    /// End of the trial, ms.
    pub end: u64,
}

impl Fleet {
    /// The source that fills a slot at that time.
    #[must_use]
    pub fn at(&self, slot: u32, at: u64) -> Option<u32> {
        let lives = &self.slots[slot as usize].lives;
        let after =
            lives.partition_point(|source| self.sources[*source as usize].alive.start <= at);
        let source = *lives.get(after.checked_sub(1)?)?;
        self.sources[source as usize]
            .alive
            .contains(&at)
            .then_some(source)
    }

    /// The role of a source.
    #[must_use]
    pub fn role(&self, source: u32) -> &Role {
        &self.spec.roles[self.sources[source as usize].role]
    }

    /// Milliseconds that all sources exist, summed.
    #[must_use]
    pub fn source_time(&self) -> u64 {
        self.sources
            .iter()
            .map(|source| source.alive.end - source.alive.start)
            .sum()
    }
}

/// The address of a source's mirror session.
#[must_use]
pub fn address(source: u32) -> IpAddr {
    let [_, a, b, c] = (source + 1).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, a, b, c))
}
