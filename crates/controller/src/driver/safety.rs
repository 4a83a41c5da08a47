//! Whether a source may be off, and whether anything may be made at all.

use vxscope_ec2::Chore;
use vxscope_enrolment::inventory::{Inventory, Target};
use vxscope_enrolment::lead::{Return, returns};
use vxscope_log::TOLD;
use vxscope_policy::rules::Mode;
use vxscope_units::Timestamp;

use super::Driver;
use crate::hold;

/// The tag of our targets with the time of the reaper's last round, in seconds since 1970.
pub(crate) const HEARTBEAT: &str = "vxscope:reaper-at";
/// The tag of our targets with the time when the controller was last there, likewise.
pub(crate) const CONTROLLER: &str = "vxscope:controller-at";
/// Between two signs of life; a reaper takes all that is lowered after five minutes without.
const BEAT_NANOS: u64 = 60_000_000_000;
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

    /// Tells the reaper that somebody is here, while anything may be lowered.
    pub(super) fn beat(&mut self, now: Timestamp) {
        let some_wait = self.waiting().next().is_some();
        let lowers = some_wait || self.settings.rules.mode == Mode::Dynamic;
        let lowers = lowers && self.lead.acts();
        let is_due = now.nanos_since(self.beat_at) >= BEAT_NANOS || now < self.beat_at;
        let Some(inventory) = self.inventory.as_ref().filter(|_| lowers && is_due) else {
            return;
        };
        let targets = self.our_targets(inventory);
        // Where the target is still being made it is told with the first reading that shows it.
        if targets.is_empty() {
            return;
        }
        self.beat_at = now;
        let seconds = now.seconds().to_string();
        for resource in targets {
            let tags = [(CONTROLLER.to_owned(), seconds.clone())].into();
            self.do_aside(Chore::Tag { resource, tags });
        }
    }

    /// Nobody will be here: the reaper's next round brings back all that is left.
    pub(crate) fn leave_to_reaper(&mut self) {
        let Some(inventory) = self.inventory.as_ref().filter(|_| self.lead.acts()) else {
            return;
        };
        let targets = self.our_targets(inventory);
        for resource in targets {
            let keys = vec![CONTROLLER.to_owned()];
            self.do_aside(Chore::Untag { resource, keys });
        }
    }

    fn our_targets(&self, inventory: &Inventory) -> Vec<String> {
        let targets = inventory.targets.values();
        let ours = targets.filter(|target| self.is_our_target(target));
        ours.map(|target| target.id.clone()).collect()
    }

    /// What is paused when a run begins stays so if the run before ended minutes ago. After longer
    /// the reaper has begun to bring it back, and this run does, too.
    pub(super) fn return_once(&mut self, inventory: &Inventory, now: Timestamp) {
        if std::mem::take(&mut self.lead.others_acted) {
            self.returned = true;
            return self.steward.recall(now);
        }
        if std::mem::replace(&mut self.returned, true) {
            return;
        }
        let targets = inventory.targets.values();
        let ours = targets.filter(|target| self.is_our_target(target));
        let beats = ours.filter_map(|target| target.tags.get(CONTROLLER)?.parse::<u64>().ok());
        let last = beats.max().map(|seconds| Timestamp::new(seconds, 0));
        if returns(last, now) == Return::ResumesAll {
            self.steward.recall(now);
        }
    }

    /// Somebody on this machine stopped everything: at once, not with the next reading.
    pub(super) fn look_for_hold(&mut self, now: Timestamp) {
        if self.held.is_none() {
            self.hold(hold::read(&self.config.folder), now);
        }
    }

    /// Somebody stopped everything, or lets it go on.
    pub(super) fn handle_hold(&mut self, inventory: &Inventory, now: Timestamp) {
        let local = hold::read(&self.config.folder);
        let held = local.or_else(|| hold_of(inventory, |target| self.is_our_target(target)));
        self.hold(held, now);
    }

    /// While everything is stopped nobody is looked after, so that nothing is made again.
    fn hold(&mut self, held: Option<String>, now: Timestamp) {
        if held.is_some() && self.held.is_none() {
            tracing::warn!(target: TOLD, reason = held, "everything is stopped");
            for (_, known) in std::mem::take(&mut self.known) {
                self.steward.retire(known.mirror, now);
            }
        }
        self.words.is_new |= self.held != held;
        self.held = held;
    }
}
