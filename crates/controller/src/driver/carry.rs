//! From a plan to what is done: who is taken in, changed, and let go.

use std::collections::BTreeSet;

use vxscope_control::mirror::ErrorKind;
use vxscope_control::reconcile::Subject;
use vxscope_enrolment::Source;
use vxscope_enrolment::inventory::Inventory;
use vxscope_enrolment::lead::owned;
use vxscope_steward::Enrolled;
use vxscope_units::{MirrorSource, Timestamp};

use super::Driver;

/// A source that the steward looks after.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) mirror: MirrorSource,
    pub(super) subject: Subject,
    /// Whether the last reading showed a session of ours.
    pub(super) has_session: bool,
    /// Whether it is kept full because it takes turns.
    pub(super) pinned: bool,
}

impl Known {
    pub(super) fn target(&self) -> &str {
        &self.subject.saved.settings.target
    }
}

impl Driver {
    /// The account was read: everything that follows.
    pub(super) fn carry(&mut self, inventory: Inventory, now: Timestamp) {
        self.seen.look(&inventory);
        let mut plan = self.enroller.plan(&inventory, &self.seen, now);
        plan.tell(self.preflight(&inventory, &plan));
        self.handle_hold(&inventory, now);
        let acts = self.lead.acts();
        if acts && self.held.is_none() {
            self.end_turns(&plan, &inventory, now);
            let owner = &self.config.enrolment.owner;
            let ours = owned(&inventory, owner).map(|one| one.interface.clone());
            let ours: BTreeSet<String> = ours.collect();
            for source in &plan.sources {
                if self.may_begin(source, &plan, &inventory) {
                    let has_session = ours.contains(&source.interface);
                    self.take_in(source, has_session, &inventory.region, now);
                }
            }
        }
        let gone = self.known.keys().filter(|id| plan.source(id).is_none());
        let gone: Vec<String> = gone.cloned().collect();
        for interface in gone {
            self.forget(&interface, now);
        }
        if acts {
            self.return_once(&inventory, now);
            self.handle_crumbs(&inventory, &plan);
        }
        self.hands_over = self.held.is_none() && self.hands_over(&plan, &inventory);
        self.inventory = Some(inventory);
        self.plan = plan;
        self.table_is_new = true;
        self.words.is_new = true;
        self.chores.begin_anew();
        self.order_chores();
    }

    fn take_in(&mut self, source: &Source, has_session: bool, region: &str, now: Timestamp) {
        if let Some(known) = self.known.get(&source.interface) {
            if known.mirror != source.mirror {
                // To sensors it is another source from now on.
                self.steward.retire(known.mirror, now);
                self.known.remove(&source.interface);
            } else if known.subject != source.subject {
                let session = source.subject.clone();
                self.steward.handle_session(source.mirror, session, now);
            }
        }
        let pinned = self
            .known
            .get(&source.interface)
            .is_some_and(|it| it.pinned);
        let known = Known {
            pinned,
            mirror: source.mirror,
            subject: source.subject.clone(),
            has_session,
        };
        let is_new = self.known.insert(source.interface.clone(), known).is_none();
        if is_new {
            let enrolled = enrolled(source, region);
            let session = source.subject.clone();
            if self.steward.enrol(enrolled, session, now).is_none() {
                tracing::error!(
                    interface = source.interface,
                    "no room for this source, or another has its address and VNI"
                );
                self.known.remove(&source.interface);
            }
        }
        self.pin_turn(source, now);
    }

    /// A source that is no longer to be looked after; what remains of its session is removed
    /// where the plan says so.
    fn forget(&mut self, interface: &str, now: Timestamp) {
        if let Some(known) = self.known.remove(interface) {
            self.steward.retire(known.mirror, now);
        }
    }

    /// Why a source cannot have what it may have.
    pub(super) fn blocked(&self, interface: &str) -> Option<ErrorKind> {
        self.steward.blocked(self.known.get(interface)?.mirror)
    }
}

pub(super) fn enrolled(source: &Source, region: &str) -> Enrolled {
    let tags = source.tags.iter();
    Enrolled {
        mirror: source.mirror,
        interface: source.interface.clone(),
        network: source.vpc.clone(),
        role: source.role.clone(),
        subnet: source.subnet.clone(),
        region: region.to_owned(),
        path: source.path,
        tags: tags
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    }
}
