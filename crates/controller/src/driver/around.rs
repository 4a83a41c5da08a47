//! What is around the mirrors: read rarely, looked at with every plan.

use std::time::Duration;

use vxscope_enrolment::inventory::{Around, Inventory};
use vxscope_enrolment::lead::Standing;
use vxscope_enrolment::{Finding, Plan, preflight};
use vxscope_units::Timestamp;

use super::{Driver, after};

/// Between two readings; targets behind junctions change as often as tags do, and are read with
/// them.
const EVERY: Duration = Duration::from_secs(300);
/// The first plan waits for the first reading, but not longer: something may have to come back.
const PATIENCE: Duration = Duration::from_secs(20);

impl Driver {
    /// Completes a reading of the account with what is around it; the first one waits for that.
    pub(super) fn handle_inventory(&mut self, mut inventory: Inventory, now: Timestamp) {
        self.place_lease(&inventory);
        if self.lead.standing == Standing::Raises {
            // What is there now is for whoever acts; this one brings back what it knows.
            return;
        }
        self.read_around(&inventory, now);
        if self.around_is_known {
            self.surroundings.complete(&mut inventory);
            self.carry(inventory, now);
        } else {
            self.first = Some((inventory, now));
        }
    }

    pub(super) fn take_around(&mut self, now: Timestamp) {
        while let Some(found) = self.ec2.poll_surroundings() {
            self.around_open = false;
            self.around_is_known = true;
            self.hosts = self.config.hosts();
            self.surroundings.update(found);
        }
        let waited = self
            .first
            .as_ref()
            .map(|(_, since)| now.nanos_since(*since));
        let is_late = waited.is_some_and(|nanos| Duration::from_nanos(nanos) >= PATIENCE);
        if (self.around_is_known || is_late)
            && let Some((mut inventory, _)) = self.first.take()
        {
            self.surroundings.complete(&mut inventory);
            self.carry(inventory, now);
        }
    }

    fn read_around(&mut self, inventory: &Inventory, now: Timestamp) {
        let every = if self.settings.selection.junctions.is_empty() {
            EVERY
        } else {
            self.config.limits.describe_every
        };
        // A clock that went back must not make it wait.
        let waits = now < self.around_at && self.around_at <= after(now, every);
        if self.around_open || waits {
            return;
        }
        self.around_at = after(now, every);
        self.around_open = true;
        let junctions = self.settings.selection.junctions.keys();
        let mut around = Around::of(inventory, &self.config.sensors, junctions);
        let known = &self.surroundings.kinds;
        around.kinds.retain(|kind| !known.contains_key(kind));
        self.ec2.submit_around(around);
    }

    /// What would keep copies from arriving.
    pub(super) fn preflight(&self, inventory: &Inventory, plan: &Plan) -> Vec<Finding> {
        let facts = preflight::Facts {
            inventory,
            sensors: &self.seen.sensors,
            plan,
            bytes: &self.seen.bytes,
            hosts: &self.hosts,
            unread: &self.surroundings.unread,
        };
        preflight::check(&facts)
    }
}
