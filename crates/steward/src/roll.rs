//! Who is looked after: sources by mirror address, interface, row.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Bound;

use vxscope_policy::SourceKey;
use vxscope_policy::money::Path;
use vxscope_policy::rules::SourceFacts;
use vxscope_units::MirrorSource;

/// What is known of a source from outside its traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// Who sends the copies.
    pub mirror: MirrorSource,
    /// The mirrored interface.
    pub interface: String,
    /// The network in which its address is unique, such as a VPC.
    pub network: String,
    /// What it does.
    pub role: String,
    /// Where it is.
    pub subnet: String,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// The Region whose prices it pays; empty where it is not known.
    pub region: String,
    /// Which way its copies take.
    pub path: Path,
}

impl Enrolled {
    /// A source of which only its address and VNI are known, with an interface by that name.
    #[must_use]
    pub fn bare(mirror: MirrorSource) -> Self {
        let address = mirror.address.to_string().replace([':', '.'], "-");
        Self {
            interface: format!("eni-{address}-{}", mirror.vni),
            mirror,
            network: String::new(),
            role: String::new(),
            subnet: String::new(),
            tags: Vec::new(),
            region: String::new(),
            path: Path::SameAz,
        }
    }

    /// As rules look at it.
    #[must_use]
    pub fn facts(&self) -> SourceFacts<'_> {
        SourceFacts {
            eni: Some(&self.interface),
            network: &self.network,
            role: &self.role,
            subnet: &self.subnet,
            tags: &self.tags,
            ..SourceFacts::bare(self.mirror)
        }
    }
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roll {
    sources: BTreeMap<SourceKey, Enrolled>,
    by_mirror: BTreeMap<MirrorSource, SourceKey>,
    groups: BTreeMap<(String, String), u32>,
}

impl Roll {
    pub(crate) fn add(&mut self, key: SourceKey, enrolled: Enrolled) {
        self.by_mirror.insert(enrolled.mirror, key);
        self.sources.insert(key, enrolled);
    }

    pub(crate) fn remove(&mut self, key: SourceKey) -> Option<Enrolled> {
        let enrolled = self.sources.remove(&key)?;
        self.by_mirror.remove(&enrolled.mirror);
        Some(enrolled)
    }

    pub(crate) fn get(&self, key: SourceKey) -> Option<&Enrolled> {
        self.sources.get(&key)
    }

    pub(crate) fn key(&self, mirror: MirrorSource) -> Option<SourceKey> {
        self.by_mirror.get(&mirror).copied()
    }

    /// By address and VNI, from the one after `last` on.
    pub(crate) fn mirrors_after(
        &self,
        last: Option<MirrorSource>,
    ) -> impl Iterator<Item = MirrorSource> {
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.by_mirror.range((after, Bound::Unbounded));
        range.map(|(mirror, _)| *mirror)
    }

    /// By address and VNI.
    pub(crate) fn by_mirror(&self) -> impl Iterator<Item = (SourceKey, MirrorSource)> {
        self.by_mirror.iter().map(|(mirror, key)| (*key, *mirror))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SourceKey, &Enrolled)> {
        self.sources.iter().map(|(key, enrolled)| (*key, enrolled))
    }

    /// The number of a group; those of roles and subnets that are gone stay theirs.
    pub(crate) fn group(&mut self, enrolled: &Enrolled) -> u32 {
        let next = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        let place = if enrolled.subnet.is_empty() {
            neighbourhood(enrolled.mirror.address)
        } else {
            enrolled.subnet.clone()
        };
        let group = (enrolled.role.clone(), place);
        *self.groups.entry(group).or_insert(next)
    }
}

/// Where the subnet is not known: addresses with the first 24 bits in common, of IPv6 64.
fn neighbourhood(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}
