//! What should be there: sources with their sessions, what must be made first, and what to know.

use vxscope_control::reconcile::Subject;
use vxscope_policy::Importance;
use vxscope_policy::money::Path;
use vxscope_units::MirrorSource;

use crate::filter::FilterNeed;
use crate::finding::{Finding, FindingKind, Weight};
use crate::inventory::Tags;
use crate::target::TargetNeed;

/// Everything that follows from one look at the account. Interfaces that are in none of the lists
/// are left as they are.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Who is mirrored, by interface.
    pub sources: Vec<Source>,
    /// Interfaces whose session is to be removed now.
    pub leaving: Vec<String>,
    /// Interfaces that are gone, and their sessions with them.
    pub gone: Vec<String>,
    /// Filters to be made.
    pub filters: Vec<FilterNeed>,
    /// Targets to be made.
    pub targets: Vec<TargetNeed>,
    /// What to know, most important first.
    pub findings: Vec<Finding>,
    /// Interfaces of instances that nobody asked for.
    pub untagged: usize,
}

/// One mirrored interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// `NetworkInterfaceId`.
    pub interface: String,
    /// `InstanceId`, if it is attached to one.
    pub instance: Option<String>,
    /// The tag `Name` of its instance, or of itself.
    pub name: Option<String>,
    /// `VpcId`: within it, addresses are unique.
    pub vpc: String,
    /// `SubnetId`.
    pub subnet: String,
    /// `OwnerId`.
    pub account: String,
    /// What it is for, from the tag of that.
    pub role: String,
    /// What the rules say of it.
    pub importance: Importance,
    /// Tags of its instance, over them its own.
    pub tags: Tags,
    /// Where its copies come from: its primary address and the VNI of its session.
    pub mirror: MirrorSource,
    /// Which way they take.
    pub path: Path,
    /// Its session at every grade.
    pub subject: Subject,
    /// Whether it has a slot.
    pub slot: Slot,
}

/// Whether a source has a place at its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Always.
    Own,
    /// It takes turns, and has one now: at full.
    Turn,
    /// It takes turns, and waits for one: off. One that had no session yet gets none.
    Waits,
}

impl Plan {
    /// How many findings of each weight there are: notes, warnings, blind.
    #[must_use]
    pub fn weights(&self) -> [usize; 3] {
        let count = |weight| {
            let of = |one: &&Finding| one.kind.weight() == weight;
            self.findings.iter().filter(of).count()
        };
        [
            count(Weight::Note),
            count(Weight::Warning),
            count(Weight::Blind),
        ]
    }

    /// More to know, in its place.
    pub fn tell(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
        self.findings.sort_by(|one, two| {
            let weight = |finding: &Finding| std::cmp::Reverse(finding.kind.weight());
            (weight(one), one).cmp(&(weight(two), two))
        });
        self.findings.dedup();
    }

    /// The findings of a kind.
    pub fn of(&self, kind: FindingKind) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |one| one.kind == kind)
    }

    /// The source on an interface.
    #[must_use]
    pub fn source(&self, interface: &str) -> Option<&Source> {
        let by = |one: &Source| one.interface.as_str().cmp(interface);
        let place = self.sources.binary_search_by(by).ok()?;
        self.sources.get(place)
    }
}
