//! Who is looked after, and the session that each of them is to have.

use std::time::Duration;

use vxscope_control::guard::{Enrolment, Pin};
use vxscope_control::reconcile;
use vxscope_policy::SourceKey;
use vxscope_policy::money::Path;
use vxscope_units::{Grade, MirrorSource, Timestamp};

use super::{Steward, row};
use crate::roll::Enrolled;
use crate::setup::bounds_of;

/// Why a source is lower when a run begins.
const ADOPTED: &str = "adopted";

impl Steward {
    /// Takes a source in, whose session is to be that of `session`. Nothing if it is there
    /// already, or if there is no room: then it stays full.
    pub fn enrol(
        &mut self,
        enrolled: Enrolled,
        session: reconcile::Subject,
        now: Timestamp,
    ) -> Option<SourceKey> {
        if self.roll.key(enrolled.mirror).is_some() {
            return None;
        }
        let facts = enrolled.facts();
        let key = self.mind.enroll(&facts, now)?;
        let (_, terms) = self.policy().rules().terms_of(&facts);
        let [pinned_until, alert, operator] = self.restore(key, &enrolled, now);
        let enrolment = Enrolment {
            bounds: bounds_of(&terms),
            group: self.roll.group(&enrolled),
            pinned: Duration::from_nanos(pinned_until.nanos_since(now)),
        };
        self.keeper.enrol(row(key), session, enrolment, now);
        for (pin, until) in [(Pin::Alert, alert), (Pin::Operator, operator)] {
            let lasts = Duration::from_nanos(until.nanos_since(now));
            if !lasts.is_zero() {
                self.keeper.pin(row(key), pin, lasts, now);
            }
        }
        self.ledger
            .enroll(key, &enrolled.region, enrolled.path, now);
        self.intake.bind(enrolled.mirror, &enrolled.network, key);
        self.roll.add(key, enrolled);
        self.adopt(key, now);
        Some(key)
    }

    /// What an earlier run lowered stays so until it is due.
    fn adopt(&mut self, key: SourceKey, now: Timestamp) {
        let guard = self.keeper.guard();
        let granted = guard.granted(row(key));
        if granted == Grade::Full {
            return;
        }
        let due_in = guard.due_in(row(key)).unwrap_or_default();
        self.mind.adopt(key, granted, due_in, now);
        self.ledger.change(key, now, granted);
        self.why.insert(key, ADOPTED);
    }

    /// What a source's session is to be has changed: another filter, target or number. Nothing if
    /// the source is not looked after.
    pub fn handle_session(
        &mut self,
        mirror: MirrorSource,
        session: reconcile::Subject,
        now: Timestamp,
    ) {
        let enrolled = self.roll.key(mirror).and_then(|key| {
            let enrolled = self.roll.get(key)?.clone();
            Some((key, enrolled))
        });
        if let Some((key, enrolled)) = enrolled {
            let (_, terms) = self.policy().rules().terms_of(&enrolled.facts());
            let enrolment = Enrolment {
                bounds: bounds_of(&terms),
                group: self.roll.group(&enrolled),
                pinned: Duration::ZERO,
            };
            self.keeper.enrol(row(key), session, enrolment, now);
        }
    }

    /// A source's interface is gone.
    pub fn retire(&mut self, mirror: MirrorSource, now: Timestamp) {
        if let Some(key) = self.strike_off(mirror, now) {
            self.keeper.forget(row(key), now);
        }
    }

    /// A source is no longer to be mirrored: its session is removed. Nobody has to be asked, so
    /// whoever decides it has waited long enough.
    pub fn leave(&mut self, mirror: MirrorSource, now: Timestamp) {
        if let Some(key) = self.strike_off(mirror, now) {
            self.keeper.leave(row(key), now);
        }
    }

    /// The session of a source is to be another one: other filter, other target. It stays what it
    /// is until a call has changed it. False if nobody looks after the source.
    pub fn change(
        &mut self,
        mirror: MirrorSource,
        path: Path,
        session: reconcile::Subject,
        now: Timestamp,
    ) -> bool {
        let Some(key) = self.roll.key(mirror) else {
            return false;
        };
        self.keeper.change(row(key), session, now);
        if let Some(account) = self.ledger.account_mut(key) {
            account.reroute(now, path);
        }
        true
    }

    fn strike_off(&mut self, mirror: MirrorSource, now: Timestamp) -> Option<SourceKey> {
        let key = self.roll.key(mirror)?;
        self.roll.remove(key);
        self.intake.unbind(mirror);
        self.fresh.remove(&key);
        self.why.remove(&key);
        self.alerted.remove(&key);
        self.mind.retire(key, now);
        self.ledger.retire(key, now);
        Some(key)
    }

    /// What a source showed until its next report belongs to the time before anybody looked
    /// after it.
    pub fn skip(&mut self, mirror: MirrorSource) {
        self.fresh.extend(self.roll.key(mirror));
    }
}
