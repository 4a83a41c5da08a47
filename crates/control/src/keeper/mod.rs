//! Gate, journal and reconciliation together: wishes in, calls out, and every source back in time.
//!
//! Whoever drives it calls [`Keeper::tick`] and [`Keeper::poll_steps`] at least once a second or
//! so, makes the calls, and hands the answers back. Before a call whose step says so its record
//! must be durable; if it cannot be, [`Keeper::handle_not_durable`], and nothing is lowered.

mod recover;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use vxscope_units::{EvidenceClass, Grade, Timestamp};

use crate::Row;
use crate::guard::{Enrolment, Forced, Guard, Pin, Refusal, Rules, Verdict};
use crate::journal::{Hidden, Memory, Pending, Record, SCHEMA, Saved};
use crate::mirror::{ApiError, Call, CallId, ErrorKind, Reply};
use crate::reconcile::{Action, Basis, Limits, Owner, Reconciler, Subject};

/// What a keeper is made from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How to know our sessions.
    pub owner: Owner,
    /// How often to ask the API, and how much.
    pub limits: Limits,
    /// What the gate holds everybody to; rate and burst are those of `limits`.
    pub rules: Rules,
    /// Differs from that of every run before: when this one began, µs since 1970.
    pub epoch: u64,
    /// For jitter.
    pub seed: u64,
}

/// Whether anything is lowered at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Everything that is enrolled is full.
    #[default]
    Manual,
    /// Wishes are granted as far as the gate lets them.
    Dynamic,
}

/// One call, and what must be written before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Names the call.
    pub id: CallId,
    /// What to ask for.
    pub call: Call,
    /// To be appended to the journal first.
    pub record: Option<Record>,
    /// Without the record on the disk the call must not be made.
    pub must_be_durable: bool,
}

/// What somebody may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A wish was granted; the calls for it follow.
    Granted {
        /// Whose.
        row: Row,
        /// What it might have until now.
        from: Grade,
        /// What it may have.
        grade: Grade,
    },
    /// A wish was refused.
    Refused {
        /// Whose.
        row: Row,
        /// What was wished.
        grade: Grade,
        /// Why not.
        refusal: Refusal,
    },
    /// The gate brings a source back by itself.
    Forced(Forced),
    /// What a source really has changed.
    Effective {
        /// Whose.
        row: Row,
        /// What it had.
        from: Grade,
        /// What it has.
        grade: Grade,
    },
}

/// How many events wait for whoever looks; the oldest are forgotten and counted.
const EVENTS_MAX: usize = 65_536;

/// See the module.
#[derive(Clone, Debug)]
pub struct Keeper {
    guard: Guard,
    reconciler: Reconciler,
    /// What the journal says.
    memory: Memory,
    mode: Mode,
    held: bool,
    interfaces: BTreeMap<Row, String>,
    /// What each source really had when it was last looked at.
    effective: BTreeMap<Row, Grade>,
    limits: Limits,
    records: Vec<Record>,
    events: VecDeque<Event>,
    events_forgotten: u64,
}

impl Keeper {
    /// Nobody is enrolled, and nothing is lowered until [`Keeper::set_mode`].
    #[must_use]
    pub fn new(setup: Setup, now: Timestamp) -> Self {
        let Setup {
            owner,
            limits,
            rules,
            epoch,
            seed,
        } = setup;
        let rules = Rules {
            rate_milli: limits.rate_milli,
            burst: limits.burst,
            ..rules
        };
        let begin = Record::Begin {
            schema: SCHEMA,
            epoch,
        };
        let mut memory = Memory::default();
        memory.handle(&begin);
        let mut guard = Guard::new(rules);
        guard.hold(true);
        Self {
            guard,
            reconciler: Reconciler::new(owner, limits, epoch, seed, now),
            memory,
            mode: Mode::Manual,
            held: false,
            interfaces: BTreeMap::new(),
            effective: BTreeMap::new(),
            limits,
            records: vec![begin],
            events: VecDeque::new(),
            events_forgotten: 0,
        }
    }

    /// Takes a source in. What the journal says of its interface goes on. False if there is no
    /// room in the gate's books: the source has its session and stays full.
    pub fn enrol(
        &mut self,
        row: Row,
        subject: Subject,
        enrolment: Enrolment,
        now: Timestamp,
    ) -> bool {
        let interface = subject.saved.interface.clone();
        let is_new = self.interfaces.insert(row, interface.clone()).is_none();
        self.reconciler.enrol(row, subject, now);
        let taken = self.guard.enrol(row, enrolment, now);
        if is_new {
            self.restore(row, &interface, now);
        }
        taken
    }

    /// A source's interface is gone, and so is its session.
    pub fn forget(&mut self, row: Row, now: Timestamp) {
        self.guard.withdraw(row, now);
        self.reconciler.forget(row);
        self.effective.remove(&row);
        if let Some(interface) = self.interfaces.remove(&row) {
            self.note(Record::Gone { interface });
        }
    }

    /// What a source's session is to be from now on: another filter, another target.
    pub fn change(&mut self, row: Row, subject: Subject, now: Timestamp) {
        if self.interfaces.contains_key(&row) {
            self.reconciler.enrol(row, subject, now);
        }
    }

    /// A source is no longer to be mirrored: its session is removed, then it is forgotten.
    pub fn leave(&mut self, row: Row, now: Timestamp) {
        self.guard.withdraw(row, now);
        self.reconciler.remove(row);
        self.effective.remove(&row);
        if let Some(interface) = self.interfaces.remove(&row) {
            self.note(Record::Gone { interface });
        }
    }

    /// Asks for a grade.
    pub fn wish(&mut self, row: Row, grade: Grade, now: Timestamp) -> Verdict {
        let from = self.guard.granted(row);
        let verdict = self.guard.judge(row, grade, now);
        match verdict {
            Verdict::Granted(granted) if granted != from => {
                self.reconciler.want(row, granted, false, now);
                let grade = granted;
                self.tell(Event::Granted { row, from, grade });
            }
            Verdict::Granted(_) => {}
            Verdict::Refused(refusal) => {
                self.tell(Event::Refused {
                    row,
                    grade,
                    refusal,
                });
            }
        }
        verdict
    }

    /// Keeps a source full for so long.
    pub fn pin(&mut self, row: Row, pin: Pin, lasts: Duration, now: Timestamp) {
        self.guard.pin(row, pin, lasts, now);
        if let Some(interface) = self.interfaces.get(&row).cloned() {
            let lasts = u64::try_from(lasts.as_micros()).unwrap_or(u64::MAX);
            let until = micros(now).saturating_add(lasts);
            self.note(Record::Pin { interface, until });
        }
    }

    /// Ends a pin.
    pub fn unpin(&mut self, row: Row, pin: Pin, now: Timestamp) {
        self.guard.unpin(row, pin, now);
        if let Some(interface) = self.interfaces.get(&row).cloned() {
            let until = micros(now);
            self.note(Record::Pin { interface, until });
        }
    }

    /// Manual brings everything back.
    pub fn set_mode(&mut self, mode: Mode) {
        if mode == Mode::Manual {
            self.guard.recall();
        }
        self.mode = mode;
        self.guard.hold(self.held || mode == Mode::Manual);
    }

    /// With `true` nothing is lowered until `false`; what is lowered comes back in its time.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
        self.guard.hold(held || self.mode == Mode::Manual);
    }

    /// Everything comes back; afterwards sources may be lowered again.
    pub fn recall(&mut self) {
        self.guard.recall();
    }

    /// Everything comes back, and nothing is lowered until [`Keeper::hold`] with `false`.
    pub fn resume_all(&mut self) {
        self.guard.recall();
        self.hold(true);
    }

    /// How long it takes until everything that is lowered now is back, while the API takes calls.
    #[must_use]
    pub fn resume_takes(&self) -> Duration {
        let lowered = u64::from(self.guard.lowered());
        let waiting = lowered.saturating_sub(u64::from(self.limits.burst));
        let seconds = waiting.saturating_mul(1_000) / self.limits.rate_milli.max(1);
        // A call has its effect in seconds, and it is known with the next Describe.
        Duration::from_secs(seconds) + self.limits.describe_every
    }

    /// Whether off is safe: the journal takes records, and a reaper is alive.
    pub fn handle_safety(&mut self, off_is_safe: bool) {
        self.guard.handle_safety(off_is_safe);
    }

    /// Other rules of the gate; rate and burst stay.
    pub fn handle_rules(&mut self, rules: Rules) {
        self.guard.handle_rules(Rules {
            rate_milli: self.limits.rate_milli,
            burst: self.limits.burst,
            ..rules
        });
    }

    /// Packets of a source came that were captured after `since`.
    pub fn handle_packets(&mut self, row: Row, since: Timestamp) {
        self.reconciler.handle_packets(row, since);
    }

    /// An answer came.
    pub fn handle_reply(&mut self, id: CallId, result: Result<Reply, ApiError>, now: Timestamp) {
        self.reconciler.handle_reply(id, result, now);
    }

    /// A step's record could not be made durable, and the call was not made.
    pub fn handle_not_durable(&mut self, id: CallId, now: Timestamp) {
        self.reconciler.handle_not_made(id, now);
    }

    /// Looks at what is really there, and brings back who must come back.
    pub fn tick(&mut self, now: Timestamp) {
        self.look(now);
        for forced in self.guard.force(now) {
            self.reconciler.want(forced.row, forced.grade, true, now);
            self.tell(Event::Forced(forced));
        }
    }

    /// The calls to be made now, most urgent first.
    #[must_use]
    pub fn poll_steps(&mut self, now: Timestamp) -> Vec<Step> {
        let actions = self.reconciler.poll_actions(now);
        let steps = actions.into_iter().map(|action| self.step(action, now));
        steps.collect()
    }

    /// Records that nothing waits for, to be appended to the journal in this order, before those
    /// of later steps.
    #[must_use]
    pub fn poll_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// What happened, oldest first.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Events that nobody looked at in time.
    #[must_use]
    pub fn events_forgotten(&self) -> u64 {
        self.events_forgotten
    }

    /// The gate.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// The reconciliation.
    #[must_use]
    pub fn reconciler(&self) -> &Reconciler {
        &self.reconciler
    }

    /// What the journal says.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// What the journal says, as the shortest journal that says it: instead of a long one.
    #[must_use]
    pub fn compacted(&self) -> Vec<Record> {
        self.memory.records()
    }

    /// The mode.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What a source really has, as far as it is known.
    #[must_use]
    pub fn effective(&self, row: Row) -> Option<Grade> {
        self.effective.get(&row).copied()
    }

    /// Why a source cannot have what it may have, if that is so.
    #[must_use]
    pub fn blocked(&self, row: Row) -> Option<ErrorKind> {
        self.reconciler.blocked(row)
    }

    /// Tells the gate what is visible, and everybody what changed.
    fn look(&mut self, now: Timestamp) {
        let rows: Vec<Row> = self.interfaces.keys().copied().collect();
        for row in rows {
            let grade = match self.reconciler.effective(row) {
                Some((grade, Basis::Seen)) => {
                    self.guard.handle_seen(row, grade, now);
                    self.note_seen(row, grade, now);
                    grade
                }
                // What is gone is gone at once; what is there again must be seen first.
                Some((grade, _)) if Some(&grade) < self.effective.get(&row) => grade,
                Some(_) => continue,
                None if self.reconciler.is_strange(row) => {
                    self.guard.handle_seen(row, Grade::Off, now);
                    continue;
                }
                None => continue,
            };
            let from = self.effective.insert(row, grade).unwrap_or(Grade::Off);
            if from != grade {
                self.tell(Event::Effective { row, from, grade });
            }
        }
    }

    /// Writes down that something is visible again, once.
    fn note_seen(&mut self, row: Row, grade: Grade, now: Timestamp) {
        let Some(interface) = self.interfaces.get(&row) else {
            return;
        };
        let Some(entry) = self.memory.entries.get(interface) else {
            return;
        };
        let shows = |class: &EvidenceClass| grade.shows(*class) && entry.grade.shows(*class);
        let hidden = |class: &EvidenceClass| entry.hidden.0[class.index()].is_some();
        let news = EvidenceClass::ALL
            .iter()
            .any(|one| shows(one) && hidden(one));
        if news || (entry.pending.is_some() && grade > Grade::Off) {
            self.note(Record::Seen {
                interface: interface.clone(),
                at: micros(now),
                grade,
            });
        }
    }

    fn step(&mut self, action: Action, now: Timestamp) -> Step {
        let record = self.record(&action, now);
        if let Some(record) = &record {
            self.memory.handle(record);
        }
        Step {
            id: action.id,
            must_be_durable: action.lowers,
            record,
            call: action.call,
        }
    }

    /// The intent of an action; `None` if it is written already or there is nothing to write.
    fn record(&self, action: &Action, now: Timestamp) -> Option<Record> {
        let row = action.row?;
        // Whoever leaves is not to be brought back by anybody who reads this.
        self.interfaces.get(&row)?;
        let saved = self.reconciler.subject(row)?.saved.clone();
        let (generation, at) = (self.memory.generation + 1, micros(now));
        let grade = action.grade;
        let entry = self.memory.entries.get(&saved.interface);
        if action.lowers {
            let hidden = self.hidden(row, grade, now);
            let written = entry.is_some_and(|entry| entry.grade == grade && entry.hidden == hidden);
            return (!written).then_some(Record::Lower {
                generation,
                at,
                saved,
                grade,
                hidden,
            });
        }
        let create = match &action.call {
            Call::Create(create) => Some(Pending {
                token: create.client_token.clone(),
                settings: create.settings.clone(),
            }),
            Call::Modify { .. } => None,
            Call::Describe { .. } | Call::Delete { .. } => return None,
        };
        let written = entry.is_some_and(|entry| entry.grade == grade && entry.pending == create);
        (!written).then_some(Record::Raise {
            generation,
            at,
            saved,
            grade,
            create,
        })
    }

    /// Since when each class is hidden once the source has this grade.
    fn hidden(&self, row: Row, grade: Grade, now: Timestamp) -> Hidden {
        let since = |class: EvidenceClass| {
            let blind = self.guard.blind(row, class);
            let blind = u64::try_from(blind.as_micros()).unwrap_or(u64::MAX);
            let hides = !grade.shows(class) || blind > 0;
            hides.then(|| micros(now).saturating_sub(blind))
        };
        Hidden(EvidenceClass::ALL.map(since))
    }

    fn note(&mut self, record: Record) {
        self.memory.handle(&record);
        self.records.push(record);
    }

    fn tell(&mut self, event: Event) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
            self.events_forgotten += 1;
        }
        self.events.push_back(event);
    }
}

/// µs since 1970.
pub(crate) fn micros(time: Timestamp) -> u64 {
    time.as_nanos() / 1_000
}

/// How to make a session again, for whoever has nothing but the journal.
#[must_use]
pub fn resumable(memory: &Memory) -> Vec<&Saved> {
    let lowered = memory
        .entries
        .values()
        .filter(|entry| entry.grade < Grade::Full || entry.hidden.0.iter().any(Option::is_some));
    lowered.filter_map(|entry| entry.saved.as_ref()).collect()
}
