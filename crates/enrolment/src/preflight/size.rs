//! Whether sensors are large enough, and enough.

use super::{Ear, Facts, sources};
use crate::finding::{Finding, FindingKind};
use crate::plan::Slot;

/// Cores and MiB of an m5.xlarge (AT&T sensor guide: at least this one).
const CORES_MIN: u32 = 4;
const MEMORY_MIN_MIB: u64 = 16_384;

pub(super) fn check(facts: &Facts<'_>, ear: &Ear<'_>, findings: &mut Vec<Finding>) {
    let Some(instance) = facts.inventory.instance_of(ear.interface) else {
        return;
    };
    let known = facts.inventory.kinds.get(&instance.kind);
    let small = known.map_or_else(
        || has_small_name(&instance.kind),
        |kind| kind.cores < CORES_MIN || kind.memory_mib < MEMORY_MIN_MIB,
    );
    if small {
        let finding = Finding::new(FindingKind::SmallInstance, &instance.id, &*instance.kind);
        findings.push(finding);
    }
    // Behind a balancer nobody knows who gets what.
    let Some(has) = known
        .and_then(|kind| kind.baseline_mbps)
        .filter(|_| ear.balancer.is_none())
    else {
        return;
    };
    let bytes = sources(facts, ear.sensor)
        .filter_map(|source| facts.bytes.get(&source.interface))
        .fold(0_u64, |sum, bytes| sum.saturating_add(*bytes));
    let needs = bytes.saturating_mul(8) / 1_000_000;
    if needs > u64::from(has) {
        let detail = format!("{needs} of {has} Mbit/s ({})", instance.kind);
        findings.push(Finding::new(
            FindingKind::OverCapacity,
            &instance.id,
            detail,
        ));
    }
}

/// Sizes below xlarge, where the type is not described.
fn has_small_name(kind: &str) -> bool {
    let size = kind.split_once('.').map(|(_, size)| size);
    matches!(size, Some("nano" | "micro" | "small" | "medium" | "large"))
}

/// Sources without a slot of their own.
pub(super) fn slots(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let turns = facts
        .plan
        .sources
        .iter()
        .filter(|one| one.slot == Slot::Waits);
    let none = facts.plan.of(FindingKind::NoSlot).count();
    let (turns, without) = (turns.count(), none);
    if turns + without > 0 {
        let detail = format!("{without} sources have none, {turns} wait for their turn");
        findings.push(Finding::new(FindingKind::TooFewSlots, "all", detail));
    }
}
