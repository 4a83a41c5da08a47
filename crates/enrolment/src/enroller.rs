//! One look at the account after the other: what should be there, and what must wait.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vxscope_policy::money::Path;
use vxscope_units::{BindTable, Binding, Conflict, MirrorSource, Prefix, Timestamp, Vni};

use crate::balance::{Load, assign};
use crate::draft::{Draft, Look};
use crate::filter::Filters;
use crate::finding::{Finding, FindingKind};
use crate::finish::{Finish, Placed};
use crate::inventory::Inventory;
use crate::lead::owned;
use crate::memory::{Kept, Lingering, Memory};
use crate::plan::{Plan, Slot, Source};
use crate::selection::select;
use crate::settings::{Seen, Settings};
use crate::stay::Stay;
use crate::target::{Places, Slots, places};
use crate::turns::{self, Taker};

/// See the crate.
///
/// Whoever drives it looks at the account, calls [`Enroller::plan`], does what the plan says, and
/// stores [`Enroller::memory`] where the next run finds it. A plan is complete: nothing depends
/// on whether the one before was carried out.
#[derive(Clone, Debug)]
pub struct Enroller {
    settings: Settings,
    memory: Memory,
}

impl Enroller {
    /// With what an earlier run remembered.
    #[must_use]
    pub fn new(settings: Settings, memory: Memory) -> Self {
        Self { settings, memory }
    }

    /// What must not be forgotten.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Other settings from now on.
    pub fn handle_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// EC2 refused to mirror an interface of an instance of this type.
    pub fn handle_unsupported(&mut self, interface: &str, kind: &str) {
        let interface = interface.to_owned();
        self.memory.unsupported.insert(interface, kind.to_owned());
    }

    /// EC2 said that a target takes no more; it had so many sources of ours.
    pub fn handle_target_full(&mut self, target: &str, sources: u32) {
        self.memory.full_at.insert(target.to_owned(), sources);
    }

    /// Forgets what EC2 refused, to try again.
    pub fn forget_refusals(&mut self) {
        self.memory.unsupported.clear();
        self.memory.full_at.clear();
    }

    /// What should be there.
    #[must_use]
    pub fn plan(&mut self, inventory: &Inventory, seen: &Seen, now: Timestamp) -> Plan {
        let now = now.as_nanos() / 1_000;
        if let Some(hold) = &self.settings.hold {
            return self.stopped(&hold.reason, inventory);
        }
        let mut plan = Plan::default();
        let memory = self.memory.clone();
        let look = Look::new(&self.settings, inventory, &memory, seen);
        let is_ours = |id: &str| {
            let session = inventory.sessions.get(id);
            session.is_some_and(|session| self.settings.owner.owns(session))
        };
        let selection = &self.settings.selection;
        let full_at = &memory.full_at;
        let mut places = places(
            &seen.sensors,
            selection,
            inventory,
            full_at,
            is_ours,
            &mut plan.findings,
        );
        plan.targets = std::mem::take(&mut places.needs);
        let mut selected = select(selection, inventory, &places.keys, &places.own);
        plan.untagged = selected.untagged;
        plan.findings.append(&mut selected.findings);
        let mut filters = Filters::new(inventory);
        let mut drafts = look.drafts(selected, &mut filters, &mut plan.findings);
        look.limit(&mut drafts, usual_path(&places.slots));
        let enrolled = drafts.values().filter(|one| one.is_enrolled()).count();
        let mut stay = Stay {
            now,
            look: &look,
            left: self.leaves_left(enrolled, now),
        };
        stay.narrow(&mut drafts, &mut plan.findings);
        plan.leaving = stay.leaving(&mut drafts, &mut plan.findings);
        let finish = Finish::new(&look);
        plan.findings.extend(finish.bandwidth(&drafts));
        let placed = self.place(&drafts, &places, now, &mut plan.findings);
        let kept;
        (plan.sources, kept) = build(
            finish,
            drafts,
            placed,
            now,
            &mut filters,
            &mut plan.findings,
        );
        plan.filters = filters.into_needs();
        plan.gone = self.gone(&look);
        plan.tell([]);
        self.remember(kept, &plan, now);
        plan
    }

    /// Everything goes at once, and is remembered for when it comes back.
    fn stopped(&self, reason: &str, inventory: &Inventory) -> Plan {
        let sessions = owned(inventory, &self.settings.owner);
        let on: BTreeSet<String> = sessions.map(|one| one.interface.clone()).collect();
        Plan {
            leaving: on.into_iter().collect(),
            findings: vec![Finding::new(FindingKind::Held, "all", reason)],
            ..Plan::default()
        }
    }

    /// Leaves that this waiting time still allows.
    fn leaves_left(&self, enrolled: usize, now: u64) -> usize {
        let since = now.saturating_sub(micros(self.settings.wait));
        let recent = self.memory.left.iter().filter(|at| **at > since).count();
        let all = enrolled + recent;
        let most = all * self.settings.leave_percent as usize / 100;
        most.max(1).saturating_sub(recent)
    }

    /// Interfaces that are gone, and whose sessions are gone with them.
    fn gone(&self, look: &Look<'_>) -> Vec<String> {
        let known = self.memory.kept.keys();
        let is_gone = |id: &&String| {
            !look.inventory.interfaces.contains_key(*id) && !look.ours.contains_key(id.as_str())
        };
        known.filter(is_gone).cloned().collect()
    }

    /// A target for each, and turns where there are too few.
    fn place<'p>(
        &self,
        drafts: &BTreeMap<&str, Draft<'_>>,
        places: &'p Places,
        now: u64,
        findings: &mut Vec<Finding>,
    ) -> Vec<Option<Placed<'p>>> {
        let loads: Vec<Load<'_>> = drafts.values().map(load).collect();
        let assigned = assign(&loads, &places.slots, self.settings.balance);
        let mut placed: Vec<Option<Placed<'p>>> = assigned
            .iter()
            .map(|place| {
                let slots = places.slots.get((*place)?)?;
                Some(Placed {
                    target: slots.target.clone(),
                    slots: Some(slots),
                    slot: Slot::Own,
                })
            })
            .collect();
        take_turns(drafts, &mut placed, now);
        let any_alive = places.slots.iter().any(|one| one.alive);
        for (draft, place) in drafts.values().zip(&mut placed) {
            if place.is_some() {
                continue;
            }
            let kind = if any_alive {
                FindingKind::NoSlot
            } else {
                FindingKind::NoTarget
            };
            findings.push(Finding::new(kind, &draft.interface.id, ""));
            // Whoever has a session keeps it: the target may come back.
            let target = draft.kept.as_ref().map(|kept| kept.target.clone());
            let there = || draft.session.map(|one| one.settings.target.clone());
            let target = target.filter(|one| !one.is_empty()).or_else(there);
            *place = target.map(|target| Placed {
                target,
                slots: None,
                slot: Slot::Own,
            });
        }
        placed
    }

    fn remember(&mut self, kept: BTreeMap<String, Kept>, plan: &Plan, now: u64) {
        let before = std::mem::replace(&mut self.memory.kept, kept);
        let since = now.saturating_sub(micros(self.settings.wait));
        self.memory.left.retain(|at| *at > since && *at <= now);
        self.memory.left.extend(plan.leaving.iter().map(|_| now));
        self.memory.lingering.retain(|one| one.until > now);
        let until = now.saturating_add(micros(self.settings.linger));
        let named: BTreeSet<&String> = plan.leaving.iter().chain(&plan.gone).collect();
        for (interface, kept) in before {
            if named.contains(&interface) {
                self.memory
                    .lingering
                    .extend(linger(&interface, &kept, until));
            } else {
                // Who was not shown this time stays known.
                self.memory.kept.entry(interface).or_insert(kept);
            }
        }
    }

    /// The sources as sensors know them, those too that left a while ago.
    ///
    /// # Errors
    /// Two of them have the same address and VNI: the conflicts, by place in the list.
    pub fn bind_table(&self, plan: &Plan) -> Result<BindTable, Vec<Conflict>> {
        let mut bindings: BTreeMap<MirrorSource, Binding> = BTreeMap::new();
        for one in &self.memory.lingering {
            if let Some(vni) = Vni::try_new(one.vni) {
                let address = one.address;
                let mirror = MirrorSource { address, vni };
                bindings.extend(binding(mirror, &one.interface));
            }
        }
        for source in &plan.sources {
            let known = binding(source.mirror, &source.interface);
            let id = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            bindings.extend(known.map(|(mirror, known)| {
                let known = Binding {
                    name: source.name.clone(),
                    instance: source.instance.clone(),
                    vpc: id(&source.vpc),
                    account: id(&source.account),
                    role: id(&source.role),
                    ..known
                };
                (mirror, known)
            }));
        }
        BindTable::try_new(bindings.into_values().collect())
    }
}

fn binding(mirror: MirrorSource, interface: &str) -> Option<(MirrorSource, Binding)> {
    let bits = if mirror.address.is_ipv4() { 32 } else { 128 };
    let prefix = Prefix::try_new(mirror.address, bits).ok()?;
    let binding = Binding {
        eni: Some(interface.to_owned()),
        ..Binding::new(prefix, Some(mirror.vni))
    };
    Some((mirror, binding))
}

fn load<'a>(draft: &'a Draft<'_>) -> Load<'a> {
    let kept = draft.kept.as_ref().map(|kept| kept.target.as_str());
    let there = || Some(draft.session?.settings.target.as_str());
    Load {
        interface: &draft.interface.id,
        zone: &draft.interface.zone,
        key: &draft.key,
        bytes: draft.bytes,
        importance: u8::try_from(draft.importance.index()).unwrap_or(u8::MAX),
        target: kept.filter(|target| !target.is_empty()).or_else(there),
    }
}

/// Where there are more sources than slots, those that may be off take turns.
fn take_turns(drafts: &BTreeMap<&str, Draft<'_>>, placed: &mut [Option<Placed<'_>>], now: u64) {
    let all: Vec<&Draft<'_>> = drafts.values().collect();
    let keys: BTreeSet<&str> = all.iter().map(|draft| draft.key.as_str()).collect();
    for key in keys {
        let may = |at: &usize| {
            let draft = all[*at];
            let limited = placed[*at].as_ref().is_none_or(|it| {
                it.slots
                    .is_some_and(|slots| slots.room.is_some() && slots.alive)
            });
            draft.key == key && draft.terms.allow_off && draft.unwanted.is_none() && limited
        };
        let takers: Vec<usize> = (0..all.len()).filter(may).collect();
        let homeless = takers.iter().any(|at| placed[*at].is_none());
        let began = |at: &usize| all[*at].kept.as_ref().is_some_and(|it| it.turn.is_some());
        if homeless || takers.iter().any(began) {
            share(&all, takers, placed, now);
        }
    }
}

fn share(all: &[&Draft<'_>], mut takers: Vec<usize>, placed: &mut [Option<Placed<'_>>], now: u64) {
    let slots = takers.iter().filter(|at| placed[**at].is_some()).count();
    let hidden = |at: &usize| all[*at].terms.blind_max.into_iter().min();
    let bounds = turns::Bounds {
        on: takers
            .iter()
            .map(|at| all[*at].terms.on_min)
            .max()
            .unwrap_or_default(),
        off: takers.iter().filter_map(hidden).min().unwrap_or_default(),
    };
    // Who has a slot, or waited for a turn before, comes before who is new.
    let turn = |at: &usize| all[*at].kept.as_ref().and_then(|kept| kept.turn);
    takers.sort_by_key(|at| (placed[*at].is_none(), turn(at).is_none(), *at));
    takers.truncate(turns::most(slots, bounds));
    if takers.iter().all(|at| placed[*at].is_some()) {
        return;
    }
    let since = |at: &usize| {
        let since = turn(at).map_or(now, |(since, _)| since);
        Duration::from_micros(now.saturating_sub(since))
    };
    let mut turning: Vec<Taker> = takers
        .iter()
        .map(|at| Taker {
            interface: all[*at].interface.id.clone(),
            since: since(at),
            has: turn(at).map_or_else(|| placed[*at].is_some(), |(_, has)| has),
        })
        .collect();
    turns::turn(&mut turning, slots, bounds);
    settle(&takers, &turning, placed);
}

/// Gives the targets that are there to those whose turn it is; who waits is off at one of them.
fn settle(takers: &[usize], turning: &[Taker], placed: &mut [Option<Placed<'_>>]) {
    let mut free: Vec<(String, Option<&Slots>)> = Vec::new();
    let mut there = takers.iter().filter_map(|at| placed[*at].as_ref());
    let waiting = there
        .next()
        .map(|place| (place.target.clone(), place.slots));
    for (at, taker) in takers.iter().zip(turning) {
        if !taker.has
            && let Some(place) = &placed[*at]
        {
            free.push((place.target.clone(), place.slots));
        }
    }
    free.reverse();
    for (at, taker) in takers.iter().zip(turning) {
        if taker.has && placed[*at].is_none() {
            placed[*at] = free.pop().map(|(target, slots)| Placed {
                target,
                slots,
                slot: Slot::Turn,
            });
        }
        if !taker.has && placed[*at].is_none() {
            placed[*at] = waiting.clone().map(|(target, slots)| Placed {
                target,
                slots,
                slot: Slot::Waits,
            });
        }
        if let Some(place) = &mut placed[*at] {
            place.slot = if taker.has { Slot::Turn } else { Slot::Waits };
        }
    }
}

/// Sources, and what to know of each the next time.
fn build(
    mut finish: Finish<'_>,
    drafts: BTreeMap<&str, Draft<'_>>,
    placed: Vec<Option<Placed<'_>>>,
    now: u64,
    filters: &mut Filters<'_>,
    findings: &mut Vec<Finding>,
) -> (Vec<Source>, BTreeMap<String, Kept>) {
    let (mut sources, mut kept) = (Vec::new(), BTreeMap::new());
    for (draft, placed) in drafts.into_values().zip(placed) {
        let id = draft.interface.id.clone();
        let old = draft.kept.clone().unwrap_or_default();
        // Without a filter there is no session to ask for.
        let placed = placed.filter(|_| !draft.filter.is_empty());
        let source = placed.and_then(|placed| finish.source(draft, placed, filters, findings));
        let new = match &source {
            Some(source) => remembered(source, &old, now),
            None if old.number == 0 => continue,
            None => old,
        };
        kept.insert(id, new);
        sources.extend(source);
    }
    (sources, kept)
}

fn remembered(source: &Source, old: &Kept, now: u64) -> Kept {
    let settings = &source.subject.saved.settings;
    let turn = match source.slot {
        Slot::Own => None,
        Slot::Turn | Slot::Waits => {
            let has = source.slot == Slot::Turn;
            let same = old.turn.filter(|(_, had)| *had == has);
            Some((same.map_or(now, |(since, _)| since), has))
        }
    };
    Kept {
        filter: settings.filter.clone(),
        target: settings.target.clone(),
        number: settings.number,
        vni: settings.vni,
        address: Some(source.mirror.address),
        turn,
        ..*old
    }
}

fn linger(interface: &str, kept: &Kept, until: u64) -> Option<Lingering> {
    Some(Lingering {
        interface: interface.to_owned(),
        address: kept.address?,
        vni: kept.vni?,
        until,
    })
}

/// The path of most copies, for an estimate before anybody is placed.
fn usual_path(slots: &[Slots]) -> Path {
    let mut paths = slots.iter().map(|one| one.path);
    let first = paths.next().unwrap_or(Path::SameAz);
    if paths.all(|path| path == first) {
        first
    } else {
        Path::SameAz
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
