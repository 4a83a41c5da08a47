//! Whether a source may be off, and whether anything may be made at all.

use vxscope_enrolment::inventory::{Inventory, Target};
use vxscope_units::Timestamp;

use super::Driver;
use crate::hold;

/// The tag of our targets with the time of the reaper's last round, in seconds since 1970.
pub(crate) const HEARTBEAT: &str = "vxscope:reaper-at";
/// The tag of our targets that stops everything: why.
pub(crate) const HOLD: &str = "vxscope:hold";

/// Why everything is stopped, if one of our targets says so.
pub(crate) fn hold_of(inventory: &Inventory, is_ours: impl Fn(&Target) -> bool) -> Option<String> {
    let mut targets = inventory.targets.values().filter(|target| is_ours(target));
    targets.find_map(|target| target.tags.get(HOLD).cloned())
}

impl Driver {
    /// Off is only for sources that somebody else brings back if we cannot.
    pub(super) fn is_off_safe(&self, now: Timestamp) -> bool {
        self.store.is_writable()
            && self.reaper_age(now).is_some_and(|age| {
                let most = self.config.reaper_max.map(|most| most.as_secs());
                most.is_some_and(|most| age <= most)
            })
    }

    /// Seconds since the reaper's last round, as the account shows it.
    pub(super) fn reaper_age(&self, now: Timestamp) -> Option<u64> {
        let targets = self.inventory.as_ref()?.targets.values();
        let beats = targets.filter(|target| self.is_our_target(target));
        let beats = beats.filter_map(|target| target.tags.get(HEARTBEAT)?.parse::<u64>().ok());
        let now = now.as_nanos() / 1_000_000_000;
        Some(now.saturating_sub(beats.max()?))
    }

    pub(super) fn is_our_target(&self, target: &Target) -> bool {
        let owner = &self.config.enrolment.owner;
        target.tags.get(&owner.tag) == Some(&owner.value)
    }

    /// Somebody stopped everything, or lets it go on. While it is stopped nobody is looked after,
    /// so that nothing is made again.
    pub(super) fn handle_hold(&mut self, inventory: &Inventory, now: Timestamp) {
        let local = hold::read(&self.config.folder);
        let held = local.or_else(|| hold_of(inventory, |target| self.is_our_target(target)));
        if held.is_some() && self.held.is_none() {
            tracing::warn!(reason = held, "everything is stopped");
            for (_, known) in std::mem::take(&mut self.known) {
                self.steward.retire(known.mirror, now);
            }
        }
        self.held = held;
    }
}
