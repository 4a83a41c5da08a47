//! A queue of events shortens the wait for the next reading; without it the account is read in
//! its time.

use std::time::Duration;

use vxscope_units::Timestamp;

use super::{Driver, after};

/// Between two readings because of a hint: a storm of events must not use up the account's rate.
const GAP: Duration = Duration::from_secs(8);
/// After a failure.
const AGAIN: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Hints {
    open: bool,
    at: Timestamp,
    pub(super) messages: u64,
    pub(super) problem: Option<String>,
}

impl Driver {
    /// Waits for messages, one call after the other, and reads the account when some come.
    pub(super) fn take_hints(&mut self, now: Timestamp) {
        let Some(queue) = &self.config.queue else {
            return;
        };
        while let Some(answer) = self.ec2.poll_hint() {
            self.hints.open = false;
            match answer {
                Ok(messages) => {
                    self.hints.problem = None;
                    self.hints.messages += u64::try_from(messages).unwrap_or(0);
                    if messages > 0 {
                        let earliest = after(self.survey_begun, GAP).max(now);
                        self.survey_at = self.survey_at.min(earliest);
                    }
                }
                Err(error) => {
                    if self.hints.problem.is_none() {
                        tracing::warn!(%error, "the queue gives no hints");
                    }
                    self.hints.problem = Some(format!("hints: {error}"));
                    self.hints.at = after(now, AGAIN);
                }
            }
        }
        let far = after(now, AGAIN);
        if !self.hints.open && (now >= self.hints.at || self.hints.at > far) {
            self.hints.open = true;
            self.ec2.submit_hint(queue);
        }
    }
}
