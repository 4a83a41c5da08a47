//! What is asked of the bucket: which names hold, and who acts.

use vxscope_ec2::ObjectId;
use vxscope_units::Timestamp;

use super::{AFTER_FAILURE, Driver, after};

/// The number of the question for `sta.conf`.
const NAMES: ObjectId = 1;
/// That of questions for the lease.
pub(super) const LEASE: ObjectId = 2;

impl Driver {
    /// Answers that have come.
    pub(super) fn take_objects(&mut self, now: Timestamp) {
        while let Some((id, answer)) = self.ec2.poll_object() {
            if id == LEASE {
                self.lead.handle(answer);
                continue;
            }
            self.names_open = false;
            self.names.handle(answer);
            self.rename(now);
        }
    }

    /// Looks whether `sta.conf` has changed, as often as at the account.
    pub(super) fn look_for_names(&mut self, now: Timestamp) {
        // A clock that went back must not make it wait.
        let every = self.config.limits.describe_every;
        let far = after(now, every + AFTER_FAILURE);
        if self.names_open || (now < self.names_at && self.names_at <= far) {
            return;
        }
        self.names_at = after(now, every);
        match self.names.ask() {
            Some(ask) => {
                self.names_open = true;
                self.ec2.submit_object(NAMES, ask);
            }
            None => self.rename(now),
        }
    }

    /// What `sta.conf` says holds from now on.
    fn rename(&mut self, now: Timestamp) {
        let settings = self.names.settings(&self.config);
        let other_mode = settings.rules.mode != self.settings.rules.mode;
        if !other_mode && settings.selection == self.settings.selection {
            return;
        }
        if other_mode {
            self.steward.handle_rules(settings.rules.clone(), now);
        }
        self.enroller.handle_settings(settings.clone());
        self.settings = settings;
        self.soon(now);
    }
}
