//! Level-triggered: what is wanted and what is there make the calls, whatever happened before.
//!
//! One call for a source at a time, each safe to repeat. After a change of ours the answer is
//! believed; Describe is believed where it agrees, and against us only after a grace. What nobody
//! knows is asked again by repeating what cannot do harm: a Modify that sets what is wanted, a
//! Create with the same client token. Sessions that are not ours are never touched.

mod answer;
mod gate;
mod place;
mod subject;
mod sweep;
mod tamper;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vxscope_units::{Grade, Timestamp};

use crate::Row;
use crate::budget::{Bucket, Random};
use crate::mirror::{Call, CallId, Create, ErrorKind, Session};
use gate::Gate;
use place::{Need, Place};
use sweep::Sweep;

pub use subject::Subject;
pub use sweep::Findings;
pub use tamper::{Deed, Overtaking, Tampering};

/// How to know our sessions: both must be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Key of the tag.
    pub tag: String,
    /// Its value: the deployment.
    pub value: String,
    /// How the description begins; Describe can filter by it, and a copied tag does not bring it.
    pub marker: String,
}

impl Owner {
    /// Whether the session is ours.
    #[must_use]
    pub fn owns(&self, session: &Session) -> bool {
        let tagged = session.tags.get(&self.tag) == Some(&self.value);
        tagged && session.settings.description.starts_with(&self.marker)
    }
}

/// How often to ask, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Changing calls at once: our share of the account's.
    pub burst: u32,
    /// Changing calls a second in the long run, in thousandths.
    pub rate_milli: u64,
    /// Between two readings of all sessions.
    pub describe_every: Duration,
}

impl Default for Limits {
    /// Half of what EC2 gives an account.
    fn default() -> Self {
        Self {
            burst: 25,
            rate_milli: 2_500,
            describe_every: Duration::from_secs(30),
        }
    }
}

/// How the state of a session is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Not yet: no Describe was complete.
    Unknown,
    /// A call may have changed it or not.
    Doubtful,
    /// The answer to a call of ours said so.
    Answered,
    /// Describe shows it, or packets came.
    Seen,
}

vxscope_units::reasons! {
    /// What is done first when not all can be done.
    pub enum Priority {
        /// A source that is, or may be, not mirrored at all, or whose time is over.
        Resume = "resume",
        /// A source that has never had a session.
        Create = "create",
        /// Any other raise.
        Raise = "raise",
        /// Lowering, and removing what is too much. Only while the API takes calls, and while
        /// half of the burst is left for resumes.
        Pause = "pause",
    }
}

/// A call to be made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Names the call.
    pub id: CallId,
    /// What to ask for.
    pub call: Call,
    /// For whom; nobody's is a Describe.
    pub row: Option<Row>,
    /// How urgent it was.
    pub priority: Priority,
    /// The grade that it leads to.
    pub grade: Grade,
    /// Whether it makes something invisible, so that its intent must be durable before.
    pub lowers: bool,
}

/// What a call under way is for.
#[derive(Clone, Debug)]
struct Flight {
    purpose: Purpose,
    sent: Timestamp,
}

#[derive(Clone, Debug)]
enum Purpose {
    Page,
    Change(Row, Need),
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Reconciler {
    owner: Owner,
    limits: Limits,
    /// Part of every client token, so that no two runs use the same.
    epoch: u64,
    generation: u64,
    places: BTreeMap<Row, Place>,
    by_interface: BTreeMap<String, Row>,
    /// Who may need something.
    attention: BTreeSet<Row>,
    flights: BTreeMap<CallId, Flight>,
    calls: u64,
    changing: Bucket,
    describing: Bucket,
    gate: Gate,
    sweep: Option<Sweep>,
    swept_at: Option<Timestamp>,
    /// Of the last complete reading.
    pages: u32,
    sweep_failures: u32,
    sweep_again_at: Timestamp,
    findings: Findings,
    random: Random,
    actions: [u64; Priority::COUNT],
    errors: [u64; ErrorKind::COUNT],
}

/// A call without an answer for so long has none.
const CALL_TIMEOUT_NANOS: u64 = 30_000_000_000;
/// Between two readings while somebody's state is in doubt, for each page that one takes: a large
/// account is read at the same rate of pages as a small one, not as often.
const DOUBT_NANOS: u64 = 2_000_000_000;

impl Reconciler {
    /// `epoch` must differ from that of every run before; `seed` is for jitter.
    #[must_use]
    pub fn new(owner: Owner, limits: Limits, epoch: u64, seed: u64, now: Timestamp) -> Self {
        Self {
            owner,
            epoch,
            generation: 0,
            places: BTreeMap::new(),
            by_interface: BTreeMap::new(),
            attention: BTreeSet::new(),
            flights: BTreeMap::new(),
            calls: 0,
            changing: Bucket::new(limits.burst, limits.rate_milli, now),
            describing: Bucket::new(50, 10_000, now),
            gate: Gate::default(),
            sweep: None,
            swept_at: None,
            pages: 1,
            sweep_failures: 0,
            sweep_again_at: Timestamp::ZERO,
            findings: Findings::default(),
            random: Random::new(seed),
            actions: [0; Priority::COUNT],
            errors: [0; ErrorKind::COUNT],
            limits,
        }
    }

    /// Generations go on from here.
    pub fn restore_generation(&mut self, generation: u64) {
        self.generation = self.generation.max(generation);
    }

    /// Takes a source in, at full, or changes what its session is to be.
    pub fn enrol(&mut self, row: Row, subject: Subject, now: Timestamp) {
        let interface = subject.saved.interface.clone();
        let before = self.by_interface.insert(interface, row);
        // An interface that is to have no session any more, and then one again: what is known of
        // it goes over to its new row, so that nobody removes what the other makes.
        if let Some(mut place) = before
            .filter(|before| *before != row)
            .and_then(|before| self.places.remove(&before))
        {
            if place.in_flight.take().is_some() && place.basis != Basis::Unknown {
                place.basis = Basis::Doubtful;
            }
            (place.want, place.urgent, place.since) = (Grade::Full, false, now);
            self.places.insert(row, place);
        }
        match self.places.get_mut(&row) {
            Some(place) => (place.subject, place.leaving) = (subject, false),
            None => {
                self.places.insert(row, Place::new(subject, now));
            }
        }
        self.attention.insert(row);
    }

    /// What was known of a source before this run: that there was a session, and a creation
    /// whose end nobody knows.
    pub fn restore(&mut self, row: Row, pending: Option<Create>) {
        if let Some(place) = self.places.get_mut(&row) {
            place.had_one = true;
            place.pending = pending;
        }
    }

    /// Removes a source's session, then forgets the source.
    pub fn remove(&mut self, row: Row) {
        if let Some(place) = self.places.get_mut(&row) {
            place.leaving = true;
            self.attention.insert(row);
        }
    }

    /// Forgets a source, whatever its session: its interface is gone.
    pub fn forget(&mut self, row: Row) {
        if let Some(place) = self.places.remove(&row) {
            let interface = place.subject.saved.interface;
            if self.by_interface.get(&interface) == Some(&row) {
                self.by_interface.remove(&interface);
            }
        }
    }

    /// What a source is to have from now on.
    pub fn want(&mut self, row: Row, grade: Grade, urgent: bool, now: Timestamp) {
        let Some(place) = self.places.get_mut(&row) else {
            return;
        };
        place.urgent = urgent || (place.urgent && place.want == grade);
        if place.want != grade {
            place.want = grade;
            place.since = now;
            // A new wish need not wait for what failed before it.
            place.failures = 0;
            place.retry_at = Timestamp::ZERO;
        }
        self.attention.insert(row);
    }

    /// Packets of a source came that were captured after `since`.
    pub fn handle_packets(&mut self, row: Row, since: Timestamp) {
        if let Some(place) = self.places.get_mut(&row)
            && place.basis == Basis::Answered
            && place.session.is_some()
            && place.changed_at.is_none_or(|changed| changed <= since)
        {
            place.basis = Basis::Seen;
        }
    }

    /// The calls to be made now, most urgent first.
    #[must_use]
    pub fn poll_actions(&mut self, now: Timestamp) -> Vec<Action> {
        self.give_up(now);
        let mut actions: Vec<Action> = self.poll_sweep(now).into_iter().collect();
        let mut ready = self.ready(now);
        ready.sort_by_key(|(priority, since, row, _)| (*priority, *since, *row));
        let mut room = self.gate.room(self.flights.len(), now);
        for (priority, _, row, need) in ready {
            let left = self.changing.tokens(now);
            let kept = u64::from(self.limits.burst / 2);
            let pause = priority == Priority::Pause;
            if room == 0 || left == 0 || (pause && (left <= kept || !self.gate.is_open())) {
                break;
            }
            room -= 1;
            self.changing.take(now);
            actions.push(self.act(row, priority, need, now));
        }
        actions
    }

    /// The call was not made after all, because its intent could not be made durable.
    pub fn handle_not_made(&mut self, id: CallId, now: Timestamp) {
        if let Some(Flight {
            purpose: Purpose::Change(row, need),
            ..
        }) = self.flights.remove(&id)
            && let Some(place) = self.places.get_mut(&row)
        {
            place.in_flight = None;
            if let Need::Create { .. } = need {
                place.pending = None;
            }
            self.back_off(row, now);
        }
    }

    /// The grade that a source's session has, and how that is known. `None` while nobody knows, or
    /// if the session is not as any of ours.
    #[must_use]
    pub fn effective(&self, row: Row) -> Option<(Grade, Basis)> {
        let place = self.places.get(&row)?;
        match place.basis {
            Basis::Unknown | Basis::Doubtful => None,
            Basis::Answered | Basis::Seen => Some((place.believed()?, place.basis)),
        }
    }

    /// Whether somebody changed a source's session into something that is none of ours.
    #[must_use]
    pub fn is_strange(&self, row: Row) -> bool {
        let place = self.places.get(&row);
        place.is_some_and(|place| place.basis == Basis::Seen && place.believed().is_none())
    }

    /// Why a source cannot have what it is to have, if that is so.
    #[must_use]
    pub fn blocked(&self, row: Row) -> Option<ErrorKind> {
        self.places.get(&row)?.blocked
    }

    /// What is to be done about a source.
    #[must_use]
    pub fn subject(&self, row: Row) -> Option<&Subject> {
        Some(&self.places.get(&row)?.subject)
    }

    /// The row of an interface.
    #[must_use]
    pub fn row_of(&self, interface: &str) -> Option<Row> {
        self.by_interface.get(interface).copied()
    }

    /// What the last complete Describe showed.
    #[must_use]
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// When the last complete Describe began; `None` before the first.
    #[must_use]
    pub fn described_at(&self) -> Option<Timestamp> {
        self.swept_at
    }

    /// Whether the API takes calls.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.gate.is_open()
    }

    /// Sources that are not yet as they are wanted.
    #[must_use]
    pub fn open(&self) -> usize {
        let is_open = |place: &&Place| place.in_flight.is_some() || place.need().is_some();
        self.places.values().filter(is_open).count()
    }

    /// Calls made with a priority.
    #[must_use]
    pub fn actions(&self, priority: Priority) -> u64 {
        self.actions[priority.index()]
    }

    /// Answers that were errors of a kind.
    #[must_use]
    pub fn errors(&self, kind: ErrorKind) -> u64 {
        self.errors[kind.index()]
    }

    /// Who needs something and may have it now.
    fn ready(&mut self, now: Timestamp) -> Vec<(Priority, Timestamp, Row, Need)> {
        let (mut ready, mut done) = (Vec::new(), Vec::new());
        for row in &self.attention {
            let Some(place) = self.places.get(row) else {
                done.push(*row);
                continue;
            };
            if place.in_flight.is_some() || place.retry_at > now {
                continue;
            }
            match place.need() {
                Some(need) => ready.push((place.priority(&need), place.since, *row, need)),
                None if place.basis == Basis::Unknown => {}
                None => done.push(*row),
            }
        }
        for row in done {
            self.attention.remove(&row);
            if self.places.get(&row).is_some_and(|place| place.leaving) {
                self.forget(row);
            }
        }
        ready
    }

    fn act(&mut self, row: Row, priority: Priority, need: Need, now: Timestamp) -> Action {
        let id = self.next_id();
        let lowers = priority == Priority::Pause && !matches!(need, Need::DeleteExtra { .. });
        let mut grade = Grade::Full;
        let mut call = Call::Describe { next: None };
        if let Some(place) = self.places.get_mut(&row) {
            grade = if place.leaving {
                Grade::Off
            } else {
                place.want
            };
            place.in_flight = Some(id);
            if let Need::Create { settings } = &need {
                self.generation += 1;
                let saved = &place.subject.saved;
                place.pending = Some(Create {
                    interface: saved.interface.clone(),
                    settings: settings.clone(),
                    tags: saved.tags.clone(),
                    client_token: format!("vxscope-{:x}-{:x}", self.epoch, self.generation),
                });
            }
            call = match &need {
                Need::Create { .. } | Need::Repeat(_) => {
                    place.pending.clone().map_or(call, Call::Create)
                }
                Need::Modify { id, settings } => Call::Modify {
                    id: id.clone(),
                    settings: settings.clone(),
                },
                Need::Delete { id } | Need::DeleteExtra { id } => Call::Delete { id: id.clone() },
            };
        }
        self.fly(id, Purpose::Change(row, need), now);
        self.actions[priority.index()] += 1;
        Action {
            id,
            call,
            row: Some(row),
            priority,
            grade,
            lowers,
        }
    }

    fn next_id(&mut self) -> CallId {
        self.calls += 1;
        CallId::new(self.calls)
    }

    fn fly(&mut self, id: CallId, purpose: Purpose, now: Timestamp) {
        self.flights.insert(id, Flight { purpose, sent: now });
    }

    /// The next page, or the first one of the next reading.
    fn poll_sweep(&mut self, now: Timestamp) -> Option<Action> {
        let is_page = |flight: &Flight| matches!(flight.purpose, Purpose::Page);
        if self.flights.values().any(is_page) || now < self.sweep_again_at {
            return None;
        }
        if self.sweep.is_none() {
            let every = u64::try_from(self.limits.describe_every.as_nanos()).unwrap_or(u64::MAX);
            let every = if self.in_doubt() {
                every.min(DOUBT_NANOS.saturating_mul(self.pages.into()))
            } else {
                every
            };
            let due = self.swept_at.is_none_or(|at| now >= at.plus_nanos(every));
            // A clock that went back makes it due, too.
            if !due && self.swept_at.is_none_or(|at| at <= now) {
                return None;
            }
        }
        if !self.describing.take(now) {
            return None;
        }
        let sweep = self.sweep.get_or_insert_with(|| Sweep {
            started: now,
            pages: 0,
            sessions: Vec::new(),
            next: None,
        });
        let next = sweep.next.clone();
        let id = self.next_id();
        self.fly(id, Purpose::Page, now);
        Some(Action {
            id,
            call: Call::Describe { next },
            row: None,
            priority: Priority::Resume,
            grade: Grade::Full,
            lowers: false,
        })
    }

    /// Whether Describe would tell something that is not known.
    fn in_doubt(&self) -> bool {
        self.attention.iter().any(|row| {
            let Some(place) = self.places.get(row) else {
                return false;
            };
            // Once for each refusal: it may be in the way for ever.
            place.basis != Basis::Seen || place.in_the_way_at > self.swept_at
        })
    }
}
