//! Candidates: interfaces that tags want or that we have, with filter, importance and limits.

use std::collections::{BTreeMap, BTreeSet};

use vxscope_policy::Importance;
use vxscope_policy::money::{Path, Traffic};
use vxscope_policy::rules::{SourceFacts, Terms};
use vxscope_policy::strategy::filter::Family;
use vxscope_policy::{Usd, strategy::MONTH_HOURS};
use vxscope_units::{MirrorSource, Vni};

use crate::filter::{Filters, Named, mirrors_anything, mirrors_family, system_of};
use crate::finding::{Finding, FindingKind};
use crate::inventory::{Interface, Inventory, Platform, Session, Tags};
use crate::memory::{Kept, Memory};
use crate::selection::{Selected, Wanted, tags_of};
use crate::settings::{PER_INTERFACE, SESSIONS_MAX, Seen, Settings};

/// An interface on its way to a session.
#[derive(Clone, Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) interface: &'a Interface,
    pub(crate) tags: Tags,
    pub(crate) platform: Platform,
    pub(crate) role: String,
    pub(crate) importance: Importance,
    pub(crate) terms: Terms,
    /// The key that its tag stands under.
    pub(crate) key: String,
    /// Bytes a second.
    pub(crate) bytes: u64,
    /// The filter at full; empty while none is ready.
    pub(crate) filter: String,
    /// What is known of it from before.
    pub(crate) kept: Option<Kept>,
    /// Our session, if there is one.
    pub(crate) session: Option<&'a Session>,
    /// Why it should not be there, if so.
    pub(crate) unwanted: Option<Finding>,
}

impl Draft<'_> {
    /// Whether there is something to lose.
    pub(crate) fn is_enrolled(&self) -> bool {
        self.session.is_some() || self.kept.as_ref().is_some_and(|kept| kept.number > 0)
    }
}

/// What drafts are made from.
pub(crate) struct Look<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) inventory: &'a Inventory,
    pub(crate) memory: &'a Memory,
    pub(crate) seen: &'a Seen,
    /// Our session on each interface: of several the lowest id.
    pub(crate) ours: BTreeMap<&'a str, &'a Session>,
    /// Others' sessions on each interface.
    pub(crate) others: BTreeMap<&'a str, Vec<&'a Session>>,
}

impl<'a> Look<'a> {
    pub(crate) fn new(
        settings: &'a Settings,
        inventory: &'a Inventory,
        memory: &'a Memory,
        seen: &'a Seen,
    ) -> Self {
        let mut ours = BTreeMap::new();
        let mut others: BTreeMap<&str, Vec<&Session>> = BTreeMap::new();
        for session in inventory.sessions.values() {
            let interface = session.interface.as_str();
            if settings.owner.owns(session) {
                ours.entry(interface).or_insert(session);
            } else {
                others.entry(interface).or_default().push(session);
            }
        }
        Self {
            settings,
            inventory,
            memory,
            seen,
            ours,
            others,
        }
    }

    /// Candidates by interface. Who was asked for and cannot be there, and has nothing to lose,
    /// is a finding only.
    pub(crate) fn drafts(
        &self,
        selected: Selected,
        filters: &mut Filters<'_>,
        findings: &mut Vec<Finding>,
    ) -> BTreeMap<&'a str, Draft<'a>> {
        let Selected {
            mut wanted,
            mut refused,
            ..
        } = selected;
        let mut drafts = BTreeMap::new();
        let known = self.memory.kept.keys().map(String::as_str);
        let ids: BTreeSet<&str> = known.chain(self.ours.keys().copied()).collect();
        let asked: Vec<String> = wanted.keys().chain(refused.keys()).cloned().collect();
        let ids: BTreeSet<&str> = ids
            .into_iter()
            .chain(asked.iter().map(String::as_str))
            .collect();
        for id in ids {
            let Some(interface) = self.inventory.interfaces.get(id) else {
                continue;
            };
            let mut draft = self.draft(interface);
            match wanted.remove(id) {
                Some(wanted) => self.want(&mut draft, &wanted, filters, findings),
                None => draft.unwanted = Some(refused.remove(id).unwrap_or_else(|| untagged(id))),
            }
            if let (Some(finding), false) = (&draft.unwanted, draft.is_enrolled()) {
                findings.push(finding.clone());
            } else {
                drafts.insert(interface.id.as_str(), draft);
            }
        }
        drafts
    }

    fn draft(&self, interface: &'a Interface) -> Draft<'a> {
        let id = interface.id.as_str();
        let instance = self.inventory.instance_of(interface);
        let tags = tags_of(interface, self.inventory);
        let role = tags.get(&self.settings.selection.role_key);
        let role = role.cloned().unwrap_or_default();
        let (importance, terms) = self.terms(interface, &role, &tags);
        Draft {
            interface,
            platform: instance.map(|one| one.platform).unwrap_or_default(),
            role,
            importance,
            terms,
            tags,
            key: String::new(),
            bytes: self.seen.bytes.get(id).copied().unwrap_or(0),
            filter: String::new(),
            kept: self.memory.kept.get(id).cloned(),
            session: self.ours.get(id).copied(),
            unwanted: None,
        }
    }

    fn terms(&self, interface: &Interface, role: &str, tags: &Tags) -> (Importance, Terms) {
        let address = interface.primary.unwrap_or_else(|| [0_u8; 4].into());
        let vni = Vni::ZERO;
        let pairs: Vec<(String, String)> = tags
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let facts = SourceFacts {
            eni: Some(&interface.id),
            network: &interface.vpc,
            role,
            subnet: &interface.subnet,
            tags: &pairs,
            ..SourceFacts::bare(MirrorSource { address, vni })
        };
        self.settings.rules.terms_of(&facts)
    }

    fn want(
        &self,
        draft: &mut Draft<'_>,
        wanted: &Wanted,
        filters: &mut Filters<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let id = draft.interface.id.as_str();
        draft.key.clone_from(&wanted.key);
        if let Some(kind) = self.memory.unsupported.get(id) {
            let instance = self.inventory.instance_of(draft.interface);
            if instance.map_or("", |one| one.kind.as_str()) == kind {
                draft.unwanted = Some(Finding::new(FindingKind::Unsupported, id, kind.clone()));
                return;
            }
        }
        let others = self.others.get(id).map_or(0, Vec::len);
        if others >= PER_INTERFACE && draft.session.is_none() {
            draft.unwanted = Some(Finding::new(FindingKind::NoSession, id, ""));
            return;
        }
        if draft.interface.primary.is_none() {
            // Just made: the next look shows its address.
            draft.unwanted = Some(Finding::new(
                FindingKind::Ipv6Only,
                id,
                "it has no address yet",
            ));
            return;
        }
        let instance = self.inventory.instance_of(draft.interface);
        if let Some(instance) = instance.filter(|one| !one.state.is_up()) {
            let state = instance.state.name();
            findings.push(Finding::new(FindingKind::StoppedBilled, id, state));
        }
        self.name_filter(draft, &wanted.filter, filters, findings);
    }

    fn name_filter(
        &self,
        draft: &mut Draft<'_>,
        value: &str,
        filters: &mut Filters<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let id = draft.interface.id.as_str();
        let mut tell = |kind, detail: &str| findings.push(Finding::new(kind, id, detail));
        draft.filter = match filters.named(value, system_of(draft.platform)) {
            Named::Id(filter) => filter,
            Named::Ambiguous(filter) => {
                tell(FindingKind::AmbiguousFilter, value);
                filter
            }
            // What it has is better than nothing until somebody corrects the tag.
            Named::Pending | Named::Unknown if draft.is_enrolled() => {
                tell(FindingKind::UnknownFilter, value);
                return;
            }
            Named::Pending => {
                draft.unwanted = Some(Finding::new(FindingKind::FilterPending, id, value));
                return;
            }
            Named::Unknown => {
                draft.unwanted = Some(Finding::new(FindingKind::UnknownFilter, id, value));
                return;
            }
        };
        let Some(filter) = self.inventory.filters.get(&draft.filter) else {
            return;
        };
        if !mirrors_anything(&filter.filter) {
            tell(FindingKind::EmptyFilter, &draft.filter);
            return;
        }
        let of = |family| {
            draft
                .interface
                .addresses
                .iter()
                .any(|one| Family::of(*one) == family)
        };
        if of(Family::V6) && !mirrors_family(&filter.filter, Family::V6) {
            tell(FindingKind::FilterLacksIpv6, &draft.filter);
        }
    }

    /// Takes out whom limits of number and cost leave no place: least important, newest last in.
    pub(crate) fn limit(&self, drafts: &mut BTreeMap<&str, Draft<'_>>, path: Path) {
        let mut order: Vec<(Importance, bool, &str)> = drafts
            .iter()
            .filter(|(_, draft)| draft.unwanted.is_none())
            .map(|(id, draft)| (draft.importance, draft.is_enrolled(), *id))
            .collect();
        order.sort_by(|one, two| (two.0, two.1, one.2).cmp(&(one.0, one.1, two.2)));
        let order: Vec<String> = order.into_iter().map(|(_, _, id)| id.to_owned()).collect();
        let foreign: usize = self.others.values().map(Vec::len).sum();
        let quota = (SESSIONS_MAX as usize).saturating_sub(foreign);
        let (mut sessions, mut cost) = (0, Usd::ZERO);
        for id in order {
            let Some(draft) = drafts.get_mut(id.as_str()) else {
                continue;
            };
            let month = cost + self.month(draft, path);
            let over = sessions >= self.settings.sessions_max as usize
                || self
                    .settings
                    .usd_per_month_max
                    .is_some_and(|most| month > most);
            let (kind, detail) = if sessions >= quota {
                (FindingKind::AccountFull, String::new())
            } else if over && draft.importance < Importance::Critical {
                (FindingKind::OverBudget, draft.importance.name().to_owned())
            } else {
                (sessions, cost) = (sessions + 1, month);
                continue;
            };
            draft.unwanted = Some(Finding::new(kind, &id, detail));
        }
    }

    /// What a source costs in a month at the higher end.
    fn month(&self, draft: &Draft<'_>, path: Path) -> Usd {
        let card = self.settings.prices.card(&self.inventory.region);
        let bytes = draft.bytes.saturating_mul(MONTH_HOURS * 3_600);
        // Frames of 800 bytes, where nobody counted them: they only add headers.
        let traffic = Traffic {
            packets: bytes / 800,
            bytes,
        };
        #[expect(clippy::cast_precision_loss, reason = "some hundred hours")]
        let sessions = card.session_hour().high.scaled(MONTH_HOURS as f64);
        sessions + card.data(path, traffic).high
    }
}

fn untagged(id: &str) -> Finding {
    Finding::new(FindingKind::LacksTag, id, "its tag is gone")
}
