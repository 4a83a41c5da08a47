//! The last step: numbers, virtual networks and sessions at every grade.

use std::collections::{BTreeMap, BTreeSet};

use vxscope_control::journal::Saved;
use vxscope_control::mirror;
use vxscope_control::reconcile::Subject;
use vxscope_policy::money::Path;
use vxscope_policy::strategy::filter::Standard;
use vxscope_units::{MirrorSource, Vni};

use crate::balance::hash;
use crate::draft::{Draft, Look};
use crate::filter::{Filters, system_of};
use crate::finding::{Finding, FindingKind};
use crate::plan::{Slot, Source};
use crate::settings::VniChoice;
use crate::stay::FILTER_TAG;
use crate::target::Slots;

/// Where a draft ends.
pub(crate) struct Placed<'a> {
    pub(crate) target: String,
    /// `None` for one that only we still know.
    pub(crate) slots: Option<&'a Slots>,
    pub(crate) slot: Slot,
}

/// Gives each source what is its own.
pub(crate) struct Finish<'a> {
    look: &'a Look<'a>,
    /// Virtual networks that others have.
    taken: BTreeSet<u32>,
}

const VNI_END: u64 = 1 << 24;

impl<'a> Finish<'a> {
    pub(crate) fn new(look: &'a Look<'a>) -> Self {
        let foreign = look.others.values().flatten();
        let theirs = foreign.filter_map(|session| session.settings.vni);
        let ours = look
            .ours
            .values()
            .filter_map(|session| session.settings.vni);
        let kept = look.memory.kept.values().filter_map(|kept| kept.vni);
        let lingering = look.memory.lingering.iter().map(|one| one.vni);
        Self {
            look,
            taken: theirs.chain(ours).chain(kept).chain(lingering).collect(),
        }
    }

    pub(crate) fn source(
        &mut self,
        draft: Draft<'_>,
        placed: Placed<'_>,
        filters: &mut Filters<'_>,
        findings: &mut Vec<Finding>,
    ) -> Option<Source> {
        let interface = draft.interface;
        let number = self.number(&draft);
        let vni = self.vni(&draft);
        self.tell(&draft, &placed, number, findings);
        let system = system_of(draft.platform);
        let path = path_of(placed.slots, &interface.zone);
        let mut tags = draft
            .session
            .map(|one| one.tags.clone())
            .unwrap_or_default();
        tags.insert(
            self.look.settings.owner.tag.clone(),
            self.look.settings.owner.value.clone(),
        );
        tags.insert("Name".to_owned(), format!("vxscope {}", interface.id));
        tags.insert(FILTER_TAG.to_owned(), draft.filter.clone());
        let settings = mirror::Settings {
            target: placed.target,
            filter: draft.filter.clone(),
            number,
            packet_length: self.look.settings.packet_length,
            vni: Some(vni),
            description: format!("{}{}", self.look.settings.owner.marker, interface.id),
        };
        let subject = Subject {
            saved: Saved {
                interface: interface.id.clone(),
                settings,
                tags,
            },
            essential: filters.below(&draft.filter, Standard::Essential(system)),
            sentinel: filters.below(&draft.filter, Standard::Sentinel(system)),
            truncated: self.look.settings.truncated,
        };
        let mirror = MirrorSource {
            address: interface.primary?,
            vni: Vni::try_new(vni)?,
        };
        Some(Source {
            interface: interface.id.clone(),
            instance: interface.attachment.as_ref().map(|it| it.instance.clone()),
            name: draft.tags.get("Name").cloned(),
            vpc: interface.vpc.clone(),
            subnet: interface.subnet.clone(),
            account: interface.account.clone(),
            role: draft.role,
            importance: draft.importance,
            tags: draft.tags,
            mirror,
            path,
            subject,
            slot: placed.slot,
        })
    }

    /// Ours if there is one, else the lowest that is free.
    fn number(&self, draft: &Draft<'_>) -> u16 {
        let others = self.look.others.get(draft.interface.id.as_str());
        let taken: BTreeSet<u16> = others
            .into_iter()
            .flatten()
            .map(|session| session.settings.number)
            .collect();
        let kept = draft.kept.as_ref().map(|kept| kept.number);
        let ours = draft.session.map(|session| session.settings.number);
        let known = ours
            .or(kept)
            .filter(|number| *number > 0 && !taken.contains(number));
        let first = self.look.settings.first_number.max(1);
        let mut free = (first..=32_766).filter(|number| !taken.contains(number));
        known.or_else(|| free.next()).unwrap_or(first)
    }

    fn vni(&mut self, draft: &Draft<'_>) -> u32 {
        if let VniChoice::Fixed(vni) = self.look.settings.vni {
            return vni;
        }
        let ours = draft.session.and_then(|session| session.settings.vni);
        let kept = draft.kept.as_ref().and_then(|kept| kept.vni);
        if let Some(known) = kept.or(ours) {
            return known;
        }
        // The same for everyone who looks; the next one if somebody has it.
        let drawn = 1 + hash(&draft.interface.id, "vni") % (VNI_END - 1);
        let mut vni = u32::try_from(drawn).unwrap_or(1);
        while !self.taken.insert(vni) {
            vni = vni % (u32::try_from(VNI_END - 1).unwrap_or(1)) + 1;
        }
        vni
    }

    fn tell(
        &self,
        draft: &Draft<'_>,
        placed: &Placed<'_>,
        number: u16,
        findings: &mut Vec<Finding>,
    ) {
        let id = draft.interface.id.as_str();
        let mut tell = |kind, detail: String| findings.push(Finding::new(kind, id, detail));
        let others = self.look.others.get(id).into_iter().flatten();
        for session in others.filter(|session| session.settings.number < number) {
            let detail = format!("{} has number {}", session.id, session.settings.number);
            tell(FindingKind::Overtaken, detail);
        }
        match placed.slots {
            None => tell(FindingKind::DeadTarget, placed.target.clone()),
            Some(slots) if !slots.alive => tell(FindingKind::DeadTarget, placed.target.clone()),
            Some(slots) => {
                if path_of(Some(slots), &draft.interface.zone) == Path::CrossAz {
                    let zone = slots.zone.clone().unwrap_or_default();
                    tell(
                        FindingKind::CrossZone,
                        format!("{} to {zone}", draft.interface.zone),
                    );
                }
            }
        }
        if placed.slot != Slot::Own {
            tell(FindingKind::TakesTurns, String::new());
        }
    }

    /// Instances that mirroring asks for more bandwidth than they have: 1 + 1 needs 4.
    pub(crate) fn bandwidth(&self, drafts: &BTreeMap<&str, Draft<'_>>) -> Vec<Finding> {
        let mut bytes: BTreeMap<&str, u64> = BTreeMap::new();
        for draft in drafts.values() {
            if let Some(attachment) = &draft.interface.attachment {
                *bytes.entry(&attachment.instance).or_default() += draft.bytes;
            }
        }
        let over = |(id, bytes): (&str, u64)| {
            let instance = self.look.inventory.instances.get(id)?;
            let kind = self.look.inventory.kinds.get(&instance.kind)?;
            let needs = bytes.saturating_mul(8 * 2) / 1_000_000;
            let has = u64::from(kind.baseline_mbps?);
            (needs > has).then(|| {
                let detail = format!("needs {needs} of {has} Mbit/s ({})", instance.kind);
                Finding::new(FindingKind::OverBandwidth, id, detail)
            })
        };
        bytes.into_iter().filter_map(over).collect()
    }
}

fn path_of(slots: Option<&Slots>, zone: &str) -> Path {
    let Some(slots) = slots else {
        return Path::SameAz;
    };
    match (&slots.zone, slots.path) {
        (Some(its), Path::SameAz) if its != zone => Path::CrossAz,
        (_, path) => path,
    }
}
