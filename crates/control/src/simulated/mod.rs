//! A mirror API in memory: EC2 as far as it can go wrong, without EC2.
//!
//! It has latency, a token bucket of its own, quotas, client tokens, paging, a Describe that lags
//! behind, outages, and answers that get lost before or after the deed. The same seed and the same
//! calls at the same times give the same answers. What is really mirrored is told by
//! [`Simulated::mirrored`], whatever the answers say.

mod account;
mod faults;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use vxscope_units::Timestamp;

use crate::budget::{Bucket, Random};
use crate::mirror::{ApiError, Call, CallId, MirrorApi, Reply, Session};
use account::Account;

pub use faults::{Faults, Outage};

/// How long a caller waits for an answer that does not come.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// Whose caller is gone.
const NOBODY: CallId = CallId::new(u64::MAX);

/// A session that came, changed or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When it had its effect.
    pub at: Timestamp,
    /// Whose session.
    pub interface: String,
    /// What is mirrored since then; `None` if nothing is.
    pub session: Option<Session>,
}

/// How often each action was asked for, did something, and was throttled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Asked for.
    pub calls: u64,
    /// Done.
    pub done: u64,
    /// Refused because there were too many.
    pub throttled: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Simulated {
    account: Account,
    faults: Faults,
    random: Random,
    /// Deeds and answers under way, by when they happen.
    due: BTreeMap<(Timestamp, u64), Due>,
    sequence: u64,
    answers: VecDeque<(CallId, Result<Reply, ApiError>)>,
    changes: VecDeque<Change>,
    changing: Bucket,
    describing: Bucket,
    tallies: BTreeMap<&'static str, Tally>,
}

#[derive(Clone, Debug)]
enum Due {
    Deed(CallId, Call),
    Answer(CallId, Box<Result<Reply, ApiError>>),
}

impl Simulated {
    /// An account without sessions.
    #[must_use]
    pub fn new(faults: Faults, seed: u64, now: Timestamp) -> Self {
        Self {
            account: Account::new(seed),
            random: Random::new(seed),
            due: BTreeMap::new(),
            sequence: 0,
            answers: VecDeque::new(),
            changes: VecDeque::new(),
            changing: Bucket::new(faults.burst, faults.rate_milli, now),
            describing: Bucket::new(100, 20_000, now),
            tallies: BTreeMap::new(),
            faults,
        }
    }

    /// Other faults from now on.
    pub fn handle_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// The session that mirrors an interface: of several that of the lowest number.
    #[must_use]
    pub fn mirrored(&self, interface: &str) -> Option<&Session> {
        self.account.mirrored(interface)
    }

    /// Every session there is, by id.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.account.sessions()
    }

    /// What changed since the last one that was asked for.
    #[must_use]
    pub fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// How often an action was asked for.
    #[must_use]
    pub fn tally(&self, action: &str) -> Tally {
        self.tallies.get(action).copied().unwrap_or_default()
    }

    /// Somebody else makes a session, without latency or limits.
    pub fn create_foreign(&mut self, session: Session, now: Timestamp) {
        let interface = session.interface.clone();
        self.account.put(session, now, Duration::ZERO);
        self.note_change(interface, now);
    }

    /// Somebody else deletes a session.
    pub fn delete_foreign(&mut self, id: &str, now: Timestamp) {
        if let Some(session) = self.account.remove(id, now, Duration::ZERO) {
            self.note_change(session.interface, now);
        }
    }

    /// Whoever called is gone: what is under way is done, and nobody is told.
    pub fn hang_up(&mut self) {
        self.answers.clear();
        self.due.retain(|_, due| matches!(due, Due::Deed(..)));
        for due in self.due.values_mut() {
            if let Due::Deed(id, _) = due {
                *id = NOBODY;
            }
        }
    }

    fn note_change(&mut self, interface: String, at: Timestamp) {
        let session = self.account.mirrored(&interface).cloned();
        self.changes.push_back(Change {
            at,
            interface,
            session,
        });
    }

    fn push(&mut self, at: Timestamp, due: Due) {
        self.sequence += 1;
        self.due.insert((at, self.sequence), due);
    }

    fn later(&mut self, now: Timestamp, range: (Duration, Duration)) -> Timestamp {
        now.plus_nanos(draw(&mut self.random, range))
    }

    /// Does everything that is due by now, in order.
    fn advance(&mut self, now: Timestamp) {
        while let Some(entry) = self.due.first_entry() {
            let at = entry.key().0;
            if at > now {
                return;
            }
            match entry.remove() {
                Due::Deed(id, call) => self.perform(id, &call, at),
                Due::Answer(id, answer) => self.answers.push_back((id, *answer)),
            }
        }
    }

    fn perform(&mut self, id: CallId, call: &Call, at: Timestamp) {
        let result = self.answer(call, at);
        let tally = self.tallies.entry(call.name()).or_default();
        tally.done += u64::from(result.is_ok());
        if id == NOBODY {
            return;
        }
        let answered = self.later(at, self.faults.latency);
        if self.random.chance(self.faults.lost_after) {
            let at = answered.plus_nanos(nanos(ANSWER_WAIT));
            let lost = Box::new(Err(ApiError::no_answer()));
            self.push(at, Due::Answer(id, lost));
        } else {
            self.push(answered, Due::Answer(id, Box::new(result)));
        }
    }

    fn answer(&mut self, call: &Call, at: Timestamp) -> Result<Reply, ApiError> {
        let bucket = match call {
            Call::Describe { .. } => &mut self.describing,
            Call::Create(_) | Call::Modify { .. } | Call::Delete { .. } => &mut self.changing,
        };
        let refused = !bucket.take(at) || self.random.chance(self.faults.throttled);
        if refused {
            self.tallies.entry(call.name()).or_default().throttled += 1;
            return Err(ApiError::new("RequestLimitExceeded", "too many calls"));
        }
        if self.random.chance(self.faults.unavailable) {
            return Err(ApiError::new("Unavailable", "try again later"));
        }
        let lag = Duration::from_nanos(draw(&mut self.random, self.faults.lag));
        let before = call_interface(&self.account, call);
        let result = self.account.perform(call, at, lag, self.faults.page);
        if let (Ok(_), Some(interface)) = (&result, before) {
            self.note_change(interface, at);
        }
        result
    }
}

/// Whose session a call changes.
fn call_interface(account: &Account, call: &Call) -> Option<String> {
    match call {
        Call::Describe { .. } => None,
        Call::Create(create) => Some(create.interface.clone()),
        Call::Modify { id, .. } | Call::Delete { id } => {
            account.get(id).map(|session| session.interface.clone())
        }
    }
}

fn draw(random: &mut Random, (least, most): (Duration, Duration)) -> u64 {
    let (least, most) = (nanos(least), nanos(most));
    least.saturating_add(random.below(most.saturating_sub(least).saturating_add(1)))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl MirrorApi for Simulated {
    fn submit(&mut self, id: CallId, call: Call, now: Timestamp) {
        self.advance(now);
        self.tallies.entry(call.name()).or_default().calls += 1;
        let at = self.later(now, self.faults.latency);
        if self.faults.is_out(at) {
            let error = ApiError::new("Unavailable", "the API takes nothing");
            return self.push(at, Due::Answer(id, Box::new(Err(error))));
        }
        if self.random.chance(self.faults.lost_before) {
            let at = at.plus_nanos(nanos(ANSWER_WAIT));
            let lost = Box::new(Err(ApiError::no_answer()));
            return self.push(at, Due::Answer(id, lost));
        }
        self.push(at, Due::Deed(id, call));
    }

    fn poll(&mut self, now: Timestamp) -> Option<(CallId, Result<Reply, ApiError>)> {
        self.advance(now);
        self.answers.pop_front()
    }
}
