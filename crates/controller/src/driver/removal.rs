//! Sessions that are to go: ours, on interfaces that nobody wants mirrored any more.

use std::collections::{BTreeMap, BTreeSet};

use vxscope_control::Bucket;
use vxscope_control::mirror::{ApiError, Call, CallId, MirrorApi, Reply};
use vxscope_units::Timestamp;

use super::{Driver, is_done};

/// Numbers of removals begin here; the steward's never come so far.
const FIRST: u64 = 1 << 62;
/// A removal without an answer is tried again after so long.
const AGAIN_NANOS: u64 = 60_000_000_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Removals {
    next: u64,
    bucket: Bucket,
    /// Sessions that were asked to be deleted, and when: Describe may show them for a while.
    asked: BTreeMap<String, Timestamp>,
    open: BTreeMap<CallId, String>,
    pub(super) done: u64,
}

/// Whether a session may be deleted now.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begun {
    /// By this call.
    Now(CallId),
    /// It was asked for a moment ago.
    Already,
    /// There were enough for now.
    Later,
}

impl Removals {
    /// Far below the account's rate: resumes come first.
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            next: FIRST,
            bucket: Bucket::new(5, 500, now),
            asked: BTreeMap::new(),
            open: BTreeMap::new(),
            done: 0,
        }
    }

    /// True if the answer is to one of these.
    pub(super) fn handle(&mut self, id: CallId, result: &Result<Reply, ApiError>) -> bool {
        let Some(session) = self.open.remove(&id) else {
            return id.get() >= FIRST;
        };
        match result {
            Ok(_) => self.done += 1,
            Err(_) if is_done(result) => {}
            Err(error) => {
                tracing::warn!(session, %error, "EC2 refused to delete");
                self.asked.remove(&session);
            }
        }
        true
    }

    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    /// The number of a call that deletes this session, if it is time for one.
    pub(super) fn begin(&mut self, session: &str, now: Timestamp) -> Begun {
        let asked = self.asked.get(session);
        if asked.is_some_and(|at| now.nanos_since(*at) < AGAIN_NANOS) {
            return Begun::Already;
        }
        if !self.bucket.take(now) {
            return Begun::Later;
        }
        self.next += 1;
        let id = CallId::new(self.next);
        self.asked.insert(session.to_owned(), now);
        self.open.insert(id, session.to_owned());
        Begun::Now(id)
    }

    /// The call was not made.
    pub(super) fn withdraw(&mut self, id: CallId) {
        if let Some(session) = self.open.remove(&id) {
            self.asked.remove(&session);
        }
    }
}

impl Driver {
    /// Deletes what the plan lets go. Whether it is ours is looked at again.
    pub(super) fn remove(&mut self, now: Timestamp) {
        let Some(inventory) = self.inventory.as_ref().filter(|_| self.lead.acts()) else {
            return;
        };
        let owner = &self.config.enrolment.owner;
        let is_there = |id: &String, _: &mut Timestamp| inventory.sessions.contains_key(id);
        self.removals.asked.retain(is_there);
        if self.held.is_none() && self.plan.leaving.is_empty() {
            return;
        }
        let leaving: BTreeSet<&String> = self.plan.leaving.iter().collect();
        let is_leaving = |interface| self.held.is_some() || leaving.contains(interface);
        let sessions = inventory.sessions.values();
        let sessions = sessions.filter(|one| is_leaving(&one.interface) && owner.owns(one));
        let removals = &mut self.removals;
        for session in sessions {
            let id = match removals.begin(&session.id, now) {
                Begun::Now(id) => id,
                Begun::Already => continue,
                Begun::Later => break,
            };
            tracing::info!(
                session = session.id,
                interface = session.interface,
                "deleted: its interface is no longer to be mirrored"
            );
            let call = Call::Delete {
                id: session.id.clone(),
            };
            self.ec2.submit(id, call, now);
        }
    }
}
