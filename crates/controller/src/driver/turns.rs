//! Turns: where there are more sources than slots, whoever waits is off, and whoever follows
//! begins when the slot is free.
//!
//! A source with a turn is kept full: a pause within it would add to the time that it waits.

use std::time::Duration;

use vxscope_control::keeper::Step;
use vxscope_control::mirror::{Call, Session};
use vxscope_enrolment::inventory::Inventory;
use vxscope_enrolment::{Plan, Slot, Source};
use vxscope_steward::Command;
use vxscope_units::Timestamp;

use super::Driver;
use super::carry::enrolled;
use super::removal::Begun;

impl Driver {
    /// Whoever waits has its session removed, behind a crumb with the time at which it must be
    /// back.
    pub(super) fn end_turns(&mut self, plan: &Plan, inventory: &Inventory, now: Timestamp) {
        for source in plan.sources.iter().filter(|one| one.slot == Slot::Waits) {
            if let Some(known) = self.known.remove(&source.interface) {
                self.steward.retire(known.mirror, now);
            }
            let Some(session) = self.ours(inventory, &source.interface).cloned() else {
                continue;
            };
            let id = match self.removals.begin(&session.id, now) {
                Begun::Now(id) => id,
                Begun::Already => continue,
                Begun::Later => return self.soon(now),
            };
            tracing::info!(interface = source.interface, "its turn is over");
            let due = self.longest_off(source, &inventory.region);
            let step = Step {
                id,
                call: Call::Delete { id: session.id },
                record: None,
                must_be_durable: true,
            };
            self.leave_crumb_of(source.subject.saved.clone(), Some(due), step, now);
        }
    }

    /// Whether a source can have its session: the slot of one that waits must be free first.
    pub(super) fn may_begin(&self, source: &Source, plan: &Plan, inventory: &Inventory) -> bool {
        let has = || self.ours(inventory, &source.interface).is_some();
        match source.slot {
            Slot::Own => true,
            Slot::Waits => false,
            Slot::Turn if self.known.contains_key(&source.interface) || has() => true,
            Slot::Turn => {
                let target = &source.subject.saved.settings.target;
                let mut waiting = plan.sources.iter().filter(|one| one.slot == Slot::Waits);
                !waiting.any(|one| {
                    let session = self.ours(inventory, &one.interface);
                    session.is_some_and(|session| session.settings.target == *target)
                })
            }
        }
    }

    /// Whether some session still has the slot of the one that follows.
    pub(super) fn hands_over(&self, plan: &Plan, inventory: &Inventory) -> bool {
        let mut waiting = plan.sources.iter().filter(|one| one.slot == Slot::Waits);
        waiting.any(|source| self.ours(inventory, &source.interface).is_some())
    }

    /// Who waits for a turn.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Source> {
        let sources = self.plan.sources.iter();
        sources.filter(|source| source.slot == Slot::Waits)
    }

    /// Keeps a source full while it takes turns.
    pub(super) fn pin_turn(&mut self, source: &Source, now: Timestamp) {
        let takes = source.slot == Slot::Turn;
        let Some(known) = self.known.get_mut(&source.interface) else {
            return;
        };
        if known.pinned == takes {
            return;
        }
        known.pinned = takes;
        let command = if takes {
            Command::Pin(source.mirror, None)
        } else {
            Command::Unpin(source.mirror)
        };
        self.steward.handle_command(command, now);
    }

    fn ours<'a>(&self, inventory: &'a Inventory, interface: &'a str) -> Option<&'a Session> {
        let owner = &self.config.enrolment.owner;
        let mut sessions = inventory.sessions_on(interface);
        sessions.find(|session| owner.owns(session))
    }

    /// b of a source.
    fn longest_off(&self, source: &Source, region: &str) -> Duration {
        let enrolled = enrolled(source, region);
        let (_, terms) = self.settings.rules.terms_of(&enrolled.facts());
        terms.blind_max.into_iter().min().unwrap_or_default()
    }
}
