//! What is left in the account before a session shows less or is deleted: a tag of its interface
//! with all that it takes to make the session as it was, for a reaper that has nothing else.
//!
//! The tag is sealed: who may describe interfaces must not learn from it when a source is not
//! watched, and who may tag interfaces must not make the reaper create sessions.

use std::collections::BTreeMap;
use std::time::Duration;

use vxscope_control::journal::{Record, Saved};
use vxscope_control::keeper::Step;
use vxscope_control::mirror::{ApiError, Call, CallId, MirrorApi};
use vxscope_ec2::{Chore, ChoreId, Done};
use vxscope_enrolment::inventory::{Interface, Inventory};
use vxscope_enrolment::{Plan, Slot};
use vxscope_units::{Grade, Timestamp};

use super::Driver;
use super::chores::CRUMBS;
use crate::seal::Seal;

/// The key of the tag.
const KEY: &str = "vxscope:resume";
/// Later than that the reconciler has given the call up.
const STALE_NANOS: u64 = 20_000_000_000;
/// Where the gate names no time, which it does for every source that is lowered.
const DUE_SECONDS: u64 = 3_600;
/// Crumbs that are swept at once.
const SWEEP_MAX: usize = 4;

/// What it takes to make a session again.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Crumb {
    /// When it must be back, in seconds since 1970.
    #[serde(rename = "d")]
    pub(crate) due: u64,
    #[serde(rename = "t")]
    pub(crate) target: String,
    #[serde(rename = "f")]
    pub(crate) filter: String,
    #[serde(rename = "n")]
    pub(crate) number: u16,
    #[serde(rename = "l", skip_serializing_if = "Option::is_none", default)]
    pub(crate) packet_length: Option<u16>,
    #[serde(rename = "v", skip_serializing_if = "Option::is_none", default)]
    pub(crate) vni: Option<u32>,
}

/// Whether an interface has one, readable or not.
pub(crate) fn is_crumb(interface: &Interface) -> bool {
    interface.tags.contains_key(KEY)
}

/// The crumb of an interface, if it is ours.
pub(crate) fn crumb_of(interface: &Interface, seal: &Seal) -> Option<Crumb> {
    let text = interface.tags.get(KEY)?;
    serde_json::from_slice(&seal.open(text, &interface.id)?).ok()
}

/// A call that waits until its crumb is there.
#[derive(Debug)]
struct Waiting {
    step: Step,
    interface: String,
    since: Timestamp,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Breadcrumbs {
    next: ChoreId,
    /// Calls that wait until their crumb is there.
    waiting: BTreeMap<ChoreId, Waiting>,
    /// Crumbs that are being taken away, by interface.
    sweeping: BTreeMap<ChoreId, String>,
}

impl Driver {
    /// Leaves the crumb; the call follows when it is there.
    pub(super) fn leave_crumb(&mut self, step: Step, now: Timestamp) {
        let Some(saved) = self.saved_of(&step) else {
            // Nobody knows how to make it again: so it stays.
            self.steward.handle_not_durable(step.id, now);
            return;
        };
        let known = self.known.get(&saved.interface);
        let due = known.and_then(|known| self.steward.due_in(known.mirror));
        self.leave_crumb_of(saved, due, step, now);
    }

    /// As [`Driver::leave_crumb`], of a session that is to be back in so much time.
    pub(super) fn leave_crumb_of(
        &mut self,
        saved: Saved,
        due: Option<Duration>,
        step: Step,
        now: Timestamp,
    ) {
        let crumb = crumb(&saved, due, now);
        let text = serde_json::to_vec(&crumb).unwrap_or_default();
        let Some(sealed) = self.seal.seal(&text, &saved.interface) else {
            return self.handle_not_left(step.id, now);
        };
        self.crumbs.next += 1;
        let chore = CRUMBS + self.crumbs.next;
        let waiting = Waiting {
            step,
            interface: saved.interface.clone(),
            since: now,
        };
        self.crumbs.waiting.insert(chore, waiting);
        let tag = Chore::Tag {
            resource: saved.interface,
            tags: [(KEY.to_owned(), sealed)].into(),
        };
        self.ec2.submit_chore(chore, tag);
    }

    /// How to make the session again that a step changes. A step that is repeated has no record.
    fn saved_of(&self, step: &Step) -> Option<Saved> {
        if let Some(Record::Lower { saved, .. }) = &step.record {
            return Some(saved.clone());
        }
        let (Call::Delete { id } | Call::Modify { id, .. }) = &step.call else {
            return None;
        };
        let session = self.inventory.as_ref()?.sessions.get(id)?;
        Some(self.known.get(&session.interface)?.subject.saved.clone())
    }

    /// The call that waited for its crumb is not made.
    fn handle_not_left(&mut self, id: CallId, now: Timestamp) {
        self.removals.withdraw(id);
        self.steward.handle_not_durable(id, now);
    }

    /// Does something whose failure only means that it is tried again.
    pub(super) fn do_aside(&mut self, chore: Chore) {
        self.crumbs.next += 1;
        self.ec2.submit_chore(CRUMBS + self.crumbs.next, chore);
    }

    /// A crumb is there, or gone, or could not be left.
    pub(super) fn handle_crumb(
        &mut self,
        id: ChoreId,
        done: &Result<Done, ApiError>,
        now: Timestamp,
    ) {
        self.crumbs.sweeping.remove(&id);
        let Some(Waiting { step, since, .. }) = self.crumbs.waiting.remove(&id) else {
            return;
        };
        match done {
            Ok(_) if !self.lead.acts() => self.handle_not_left(step.id, now),
            Ok(_) if now.nanos_since(since) < STALE_NANOS => {
                self.ec2.submit(step.id, step.call, now)
            }
            // It was given up meanwhile; another attempt will leave its own.
            Ok(_) => self.removals.withdraw(step.id),
            Err(error) => {
                tracing::warn!(%error, "no crumb can be left: the source stays mirrored");
                self.handle_not_left(step.id, now);
            }
        }
    }

    /// Takes away the crumbs of sources that are visible again, or nobody's.
    pub(super) fn handle_crumbs(&mut self, inventory: &Inventory, plan: &Plan) {
        let with = inventory.interfaces.values().filter(|one| is_crumb(one));
        let stale = with.filter(|interface| {
            let mut waiting = self.crumbs.waiting.values();
            let waits = waiting.any(|one| one.interface == interface.id);
            let swept = self.crumbs.sweeping.values().any(|id| *id == interface.id);
            let is_back = self.known.get(&interface.id).is_none_or(|known| {
                let full = Some(Grade::Full);
                let is_full = self.steward.effective(known.mirror) == full;
                known.has_session && is_full && self.steward.granted(known.mirror) == full
            });
            let source = plan.source(&interface.id);
            let has_no_turn = source.is_some_and(|source| source.slot == Slot::Waits);
            is_back && !waits && !swept && !has_no_turn
        });
        let stale: Vec<String> = stale.take(SWEEP_MAX).map(|one| one.id.clone()).collect();
        for interface in stale {
            self.crumbs.next += 1;
            let id = CRUMBS + self.crumbs.next;
            self.crumbs.sweeping.insert(id, interface.clone());
            let keys = vec![KEY.to_owned()];
            let resource = interface;
            self.ec2.submit_chore(id, Chore::Untag { resource, keys });
        }
    }
}

fn crumb(saved: &Saved, due: Option<Duration>, now: Timestamp) -> Crumb {
    let due = due.map_or(DUE_SECONDS, |due| due.as_secs());
    let settings = &saved.settings;
    Crumb {
        due: now.as_nanos() / 1_000_000_000 + due,
        target: settings.target.clone(),
        filter: settings.filter.clone(),
        number: settings.number,
        packet_length: settings.packet_length,
        vni: settings.vni,
    }
}
