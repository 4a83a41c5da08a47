//! Who acts: this controller or another one, by a lease in the bucket. Without a bucket nobody
//! else is known, and this one acts.

use std::time::Duration;

use vxscope_control::keeper::Step;
use vxscope_control::mirror::{ApiError, Call};
use vxscope_ec2::{ObjectAnswer, ObjectAsk, ObjectCall};
use vxscope_enrolment::inventory::Inventory;
use vxscope_enrolment::lead::{Answer, Ask, Lease, Standing};
use vxscope_log::TOLD;
use vxscope_steward::Command;
use vxscope_units::Timestamp;

use super::Driver;
use super::bucket::LEASE;
use crate::steady::steady;

/// How often the end looks whether the lease is let go, and how long it waits each time.
const LET_GO_WAITS: u32 = 20;
const LET_GO_WAIT: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Debug)]
pub(super) struct Lead {
    lease: Option<Lease>,
    /// Where the lease is; known with the account.
    key: Option<String>,
    /// By a clock that does not jump; `None` while nobody tells it.
    steady: Option<Timestamp>,
    pub(super) standing: Standing,
    /// The last tenure of this folder's, and whether somebody else had one since.
    pub(super) fence: u64,
    pub(super) others_acted: bool,
    /// Everything is brought back because nobody knows who acts.
    raises: bool,
    pub(super) problem: Option<String>,
}

impl Lead {
    /// `fence` is the last tenure of this folder's.
    pub(super) fn new(lease: Option<Lease>, fence: u64) -> Self {
        let standing = if lease.is_some() {
            Standing::Watches
        } else {
            Standing::Acts(fence)
        };
        Self {
            lease,
            key: None,
            steady: None,
            standing,
            fence,
            others_acted: false,
            raises: false,
            problem: None,
        }
    }

    pub(super) fn acts(&self) -> bool {
        matches!(self.standing, Standing::Acts(_))
    }

    /// Whether a call may be sent now.
    pub(super) fn lets(&self, step: &Step) -> bool {
        match (self.standing, &step.call) {
            (Standing::Acts(_), _) | (_, Call::Describe { .. }) => true,
            (Standing::Raises, Call::Create(_) | Call::Modify { .. }) => !step.must_be_durable,
            (Standing::Raises, Call::Delete { .. }) | (Standing::Watches, _) => false,
        }
    }

    /// Who acts, if it is somebody else and known.
    pub(super) fn holder(&self) -> Option<&str> {
        let holder = self.lease.as_ref()?.holder()?;
        Some(holder.holder.as_str()).filter(|name| !name.is_empty() && !self.acts())
    }

    pub(super) fn handle(&mut self, answer: Result<ObjectAnswer, ApiError>) {
        let (Some(lease), Some(steady)) = (&mut self.lease, self.steady) else {
            return;
        };
        self.problem = None;
        let answer = match answer {
            Ok(ObjectAnswer::There { bytes, tag }) => match serde_json::from_slice(&bytes) {
                Ok(body) => Answer::There { body, tag },
                Err(error) => {
                    self.problem = Some(format!("the lease cannot be read: {error}"));
                    Answer::Unknown
                }
            },
            Ok(ObjectAnswer::Missing) => Answer::Missing,
            Ok(ObjectAnswer::Stored { tag }) => Answer::Done { tag },
            Ok(ObjectAnswer::Refused) => Answer::Refused,
            Ok(ObjectAnswer::Same | ObjectAnswer::Keys(_) | ObjectAnswer::Deleted) => {
                Answer::Unknown
            }
            Err(error) => {
                self.problem = Some(format!("the lease: {error}"));
                Answer::Unknown
            }
        };
        lease.handle(answer, steady);
    }

    /// What to ask of the bucket now.
    fn poll(&mut self, bucket: &str) -> Option<ObjectAsk> {
        let (Some(lease), Some(key), Some(steady)) = (&mut self.lease, &self.key, self.steady)
        else {
            return None;
        };
        let key = key.clone();
        let what = match lease.poll(steady)? {
            Ask::Get => ObjectCall::Get { key, unless: None },
            Ask::Put { body, condition } => ObjectCall::Put {
                key,
                bytes: serde_json::to_vec(&body).unwrap_or_default(),
                condition: Some(condition),
            },
        };
        Some(ObjectAsk {
            bucket: bucket.to_owned(),
            what,
        })
    }
}

impl Driver {
    /// Asks for the lease, and does what follows from having or losing it.
    pub(super) fn hold_lease(&mut self, now: Timestamp) {
        self.ask_for_lease();
        let Some(lease) = &self.lead.lease else {
            return;
        };
        let standing = self.lead.steady.map(|steady| lease.standing(steady));
        let standing = standing.unwrap_or(Standing::Watches);
        if standing == self.lead.standing {
            return;
        }
        tracing::warn!(target: TOLD, ?standing, "who acts has changed");
        self.lead.standing = standing;
        match standing {
            Standing::Acts(fence) => self.begin_tenure(fence, now),
            Standing::Raises => {
                self.lead.raises = true;
                self.steward.handle_command(Command::ResumeAll, now);
            }
            Standing::Watches => self.step_down(now),
        }
    }

    fn begin_tenure(&mut self, fence: u64, now: Timestamp) {
        let before = std::mem::replace(&mut self.lead.fence, fence);
        // What the journal says of sources that somebody else looked after since is of yesterday.
        self.lead.others_acted |= fence > before + 1;
        self.lower_again(now);
        self.save();
        (self.survey_at, self.busy_at) = (now, now);
    }

    /// Somebody else acts: nobody is looked after here.
    fn step_down(&mut self, now: Timestamp) {
        for (_, known) in std::mem::take(&mut self.known) {
            self.steward.retire(known.mirror, now);
        }
        self.lower_again(now);
    }

    fn lower_again(&mut self, now: Timestamp) {
        if std::mem::take(&mut self.lead.raises) && !self.resumed_by_order {
            self.steward.handle_command(Command::Release, now);
        }
    }

    /// The account is known, and with it where the lease is.
    pub(super) fn place_lease(&mut self, inventory: &Inventory) {
        let (account, region) = (&inventory.account, &inventory.region);
        let owner = &self.config.enrolment.owner.value;
        let key = format!("vxscope/{account}/{region}/{owner}/lease.json");
        self.lead.key.get_or_insert(key);
    }

    fn ask_for_lease(&mut self) {
        self.lead.steady = steady();
        let bucket = self.config.enrolment.selection.bucket.as_deref();
        if let Some(ask) = bucket.and_then(|bucket| self.lead.poll(bucket)) {
            self.ec2.submit_object(LEASE, ask);
        }
    }

    /// Lets the next one have the lease at once; nothing is sent any more. Who cannot tell it
    /// lets it wait for a term.
    pub(crate) fn let_go(&mut self) {
        for _ in 0..LET_GO_WAITS {
            let Some(lease) = &mut self.lead.lease else {
                return;
            };
            lease.release();
            if lease.is_released() || lease.holder().is_none() {
                return;
            }
            self.ask_for_lease();
            self.ec2.wait(LET_GO_WAIT);
            while let Some((id, answer)) = self.ec2.poll_object() {
                if id == LEASE {
                    self.lead.handle(answer);
                }
            }
        }
    }
}
