//! Policy, gate and keeper in one loop.

use std::collections::VecDeque;
use std::time::Duration;

use vxscope_control::Row;
use vxscope_control::guard::{Enrolment, Pin, Verdict};
use vxscope_control::journal::{Record, Replay};
use vxscope_control::keeper::{self, Keeper, Step};
use vxscope_control::mirror::{ApiError, CallId, Reply};
use vxscope_control::reconcile;
use vxscope_policy::money::{Ledger, Path};
use vxscope_policy::rules::{Mode, Rules};
use vxscope_policy::{Decisions, Event, Kept, Policy, SensorKey, SourceKey, Wish};
use vxscope_report::{EventKind, Report, Signals};
use vxscope_units::{Grade, MirrorSource, Timestamp, Vni};

use crate::notice::{Decided, Notice, Subject};
use crate::observe::{Memory, time};
use crate::roll::{Enrolled, Roll};
use crate::setup::{StewardSetup, bounds_of, guard_rules};

/// The sensor whose reports come in. Several are several stewards' affair, or a controller's.
const SENSOR: SensorKey = SensorKey(0);
/// A pin without end.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// What an operator can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Keep a source full for so long; without end if `None`.
    Pin(MirrorSource, Option<Duration>),
    /// End that.
    Unpin(MirrorSource),
    /// Lower nothing from now on; what is lowered comes back in its time.
    Hold,
    /// Lower again.
    Release,
    /// Bring everything back now, and lower nothing until [`Command::Release`].
    ResumeAll,
}

/// See the module.
#[derive(Debug)]
pub struct Steward {
    policy: Policy,
    keeper: Keeper,
    ledger: Ledger,
    roll: Roll,
    memory: Memory,
    notices: VecDeque<Notice>,
    notices_forgotten: u64,
    decided_at: Timestamp,
    held: bool,
}

/// Notices that wait for whoever writes them; the oldest are forgotten and counted.
const NOTICES_MAX: usize = 65_536;
/// How often the policy is asked.
const DECIDE_EVERY_NANOS: u64 = 1_000_000_000;

/// Takes decisions down in their order.
#[derive(Default)]
struct Minutes(Vec<Minute>);

enum Minute {
    Wish(Wish),
    Kept(Kept),
}

impl Decisions for Minutes {
    fn wish(&mut self, wish: &Wish) {
        self.0.push(Minute::Wish(*wish));
    }

    fn kept(&mut self, kept: &Kept) {
        self.0.push(Minute::Kept(*kept));
    }
}

impl Steward {
    /// Nobody is enrolled.
    #[must_use]
    pub fn new(setup: StewardSetup, now: Timestamp) -> Self {
        let StewardSetup {
            rules,
            prices,
            keeper,
            seed,
        } = setup;
        let keeper = keeper::Setup {
            rules: guard_rules(&rules),
            ..keeper
        };
        let mut keeper = Keeper::new(keeper, now);
        keeper.set_mode(keeper_mode(rules.mode));
        Self {
            policy: Policy::new(rules, seed),
            keeper,
            ledger: Ledger::new(prices),
            roll: Roll::default(),
            memory: Memory::default(),
            notices: VecDeque::new(),
            notices_forgotten: 0,
            decided_at: Timestamp::ZERO,
            held: false,
        }
    }

    /// What an earlier run wrote; before anybody is enrolled.
    pub fn recover(&mut self, replay: Replay) {
        self.keeper.recover(replay);
    }

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
        let key = self.policy.enroll(&facts, Grade::Full, now)?;
        let (_, terms) = self.policy.rules().terms_of(&facts);
        let pinned_until = self.policy.pinned_until(key).unwrap_or(now);
        let enrolment = Enrolment {
            bounds: bounds_of(&terms),
            group: self.roll.group(&enrolled),
            pinned: Duration::from_nanos(pinned_until.nanos_since(now)),
        };
        self.keeper.enrol(row(key), session, enrolment, now);
        self.ledger.enroll(key, "", Path::SameAz, now);
        self.roll.add(key, enrolled);
        Some(key)
    }

    /// A source's interface is gone.
    pub fn retire(&mut self, mirror: MirrorSource, now: Timestamp) {
        let Some(key) = self.roll.key(mirror) else {
            return;
        };
        self.roll.remove(key);
        self.memory.forget(key);
        self.policy.retire(key);
        self.keeper.forget(row(key), now);
        self.ledger.retire(key, now);
    }

    /// Whether a source is looked after.
    #[must_use]
    pub fn knows(&self, mirror: MirrorSource) -> bool {
        self.roll.key(mirror).is_some()
    }

    /// A sensor's tick. Sources that nobody enrolled are ignored.
    pub fn handle_report(&mut self, report: &Report) {
        let (from, to) = (time(report.from), time(report.to));
        let loss_free = self.memory.begin(report);
        self.policy.handle_tick(SENSOR, from, to, loss_free);
        for source in &report.sources {
            let Some(vni) = Vni::try_new(source.vni) else {
                continue;
            };
            let mirror = MirrorSource {
                address: source.outer_ip,
                vni,
            };
            let Some(key) = self.roll.key(mirror) else {
                continue;
            };
            let tick = self.memory.tick(key, &source.signals, &self.roll);
            if tick.packets > 0 {
                self.keeper.handle_packets(row(key), from);
            }
            self.ledger.observe(key, to, tick.traffic(), None);
            let observation = tick.observation();
            if observation.events[EventKind::Alert.index()] > 0 {
                let lasts = self.policy.rules().limits.alert_pin;
                self.keeper.pin(row(key), Pin::Alert, lasts, to);
            }
            self.policy.observe(key, &observation);
        }
    }

    /// What a source showed until now belongs to the time before anybody looked after it.
    pub fn skip(&mut self, mirror: MirrorSource, signals: &Signals) {
        if let Some(key) = self.roll.key(mirror) {
            let _ = self.memory.tick(key, signals, &self.roll);
        }
    }

    /// A detector named a source.
    pub fn handle_alert(&mut self, mirror: MirrorSource, severe: bool, now: Timestamp) {
        let Some(source) = self.roll.key(mirror) else {
            return;
        };
        let limits = &self.policy.rules().limits;
        let lasts = if severe {
            limits.severe_pin
        } else {
            limits.alert_pin
        };
        self.keeper.pin(row(source), Pin::Alert, lasts, now);
        self.policy
            .handle_event(Event::Alert { source, severe }, now);
    }

    /// The operator spoke. False if the source is not looked after.
    pub fn handle_command(&mut self, command: Command, now: Timestamp) -> bool {
        match command {
            Command::Pin(mirror, lasts) => {
                let Some(source) = self.roll.key(mirror) else {
                    return false;
                };
                let lasts = lasts.unwrap_or(FOREVER);
                self.keeper.pin(row(source), Pin::Operator, lasts, now);
                let nanos = u64::try_from(lasts.as_nanos()).unwrap_or(u64::MAX);
                let until = now.plus_nanos(nanos);
                self.policy.handle_event(Event::Pin { source, until }, now);
            }
            Command::Unpin(mirror) => {
                let Some(source) = self.roll.key(mirror) else {
                    return false;
                };
                self.keeper.unpin(row(source), Pin::Operator, now);
                let until = Timestamp::ZERO;
                self.policy.handle_event(Event::Pin { source, until }, now);
            }
            Command::Hold => self.hold(true),
            Command::Release => self.hold(false),
            Command::ResumeAll => {
                self.hold(true);
                self.keeper.resume_all();
                self.policy.handle_event(Event::ResumeAll, now);
            }
        }
        true
    }

    fn hold(&mut self, held: bool) {
        self.held = held;
        self.keeper.hold(held);
    }

    /// Other rules, as a whole. To manual everything comes back.
    pub fn handle_rules(&mut self, rules: Rules, now: Timestamp) {
        self.keeper.handle_rules(guard_rules(&rules));
        let all: Vec<(SourceKey, Enrolled)> = self
            .roll
            .iter()
            .map(|(key, enrolled)| (key, enrolled.clone()))
            .collect();
        for (key, enrolled) in &all {
            let (_, terms) = rules.terms_of(&enrolled.facts());
            let group = self.roll.group(enrolled);
            let Some(session) = self.keeper.reconciler().subject(row(*key)).cloned() else {
                continue;
            };
            let enrolment = Enrolment {
                bounds: bounds_of(&terms),
                group,
                pinned: Duration::ZERO,
            };
            self.keeper.enrol(row(*key), session, enrolment, now);
        }
        self.keeper.set_mode(keeper_mode(rules.mode));
        let roll = &self.roll;
        self.policy.handle_rules(rules, now, |key| {
            roll.get(key).map(|enrolled| enrolled.facts())
        });
    }

    /// How long it takes until everything that is lowered is back.
    #[must_use]
    pub fn resume_takes(&self) -> Duration {
        self.keeper.resume_takes()
    }

    /// Whether off is safe: the journal takes records, and a reaper is alive.
    pub fn handle_safety(&mut self, off_is_safe: bool) {
        self.keeper.handle_safety(off_is_safe);
    }

    /// An answer of the mirror API came.
    pub fn handle_reply(&mut self, id: CallId, result: Result<Reply, ApiError>, now: Timestamp) {
        self.keeper.handle_reply(id, result, now);
    }

    /// A step's record could not be made durable, and the call was not made.
    pub fn handle_not_durable(&mut self, id: CallId, now: Timestamp) {
        self.keeper.handle_not_durable(id, now);
    }

    /// Decides what is due. Call it several times a second.
    pub fn tick(&mut self, now: Timestamp) {
        self.keeper.tick(now);
        self.read_events(now);
        let since = now.nanos_since(self.decided_at);
        let due = self.policy.next_due().is_some_and(|due| due <= now);
        if due || since >= DECIDE_EVERY_NANOS || now < self.decided_at {
            self.decided_at = now;
            self.decide(now);
        }
        self.read_events(now);
    }

    /// The calls to be made now, each with the record to be written before it.
    #[must_use]
    pub fn poll_steps(&mut self, now: Timestamp) -> Vec<Step> {
        self.keeper.poll_steps(now)
    }

    /// Records that nothing waits for.
    #[must_use]
    pub fn poll_records(&mut self) -> Vec<Record> {
        self.keeper.poll_records()
    }

    /// What happened, oldest first.
    #[must_use]
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// Notices that nobody read in time.
    #[must_use]
    pub fn notices_forgotten(&self) -> u64 {
        self.notices_forgotten + self.keeper.events_forgotten()
    }

    /// The policy, to look at.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The keeper, to look at.
    #[must_use]
    pub fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// What everything cost.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What a source really has; full if it is not looked after.
    #[must_use]
    pub fn grade(&self, mirror: MirrorSource) -> Grade {
        let key = self.roll.key(mirror);
        let grade = key.and_then(|key| self.keeper.effective(row(key)));
        grade.unwrap_or_default()
    }

    fn decide(&mut self, now: Timestamp) {
        if self.held {
            // Nobody knows for how long, so the policy looks again and again.
            let until = now.plus_nanos(2 * DECIDE_EVERY_NANOS);
            self.policy.handle_event(Event::Hold { until }, now);
        }
        let mut minutes = Minutes::default();
        self.policy.decide(now, &self.ledger, &mut minutes);
        for minute in minutes.0 {
            match minute {
                Minute::Wish(wish) => self.ask(&wish, now),
                Minute::Kept(kept) => {
                    let decided = Decided::Kept {
                        hindrance: kept.hindrance,
                        numbers: kept.numbers,
                        importance: kept.importance,
                    };
                    self.tell(kept.source, Grade::Full, kept.grade, decided, kept.at);
                }
            }
        }
    }

    /// Asks the gate for what the policy wishes.
    fn ask(&mut self, wish: &Wish, now: Timestamp) {
        let from = self.keeper.guard().granted(row(wish.source));
        let (cause, numbers, importance) = (wish.cause, wish.numbers, wish.importance);
        match self.keeper.wish(row(wish.source), wish.grade, now) {
            Verdict::Granted(grade) => {
                let decided = Decided::Granted {
                    cause,
                    until: wish.until,
                    numbers,
                    importance,
                };
                self.tell(wish.source, from, grade, decided, now);
            }
            Verdict::Refused(refusal) => {
                self.policy.handle_refusal(wish.source, now);
                let decided = Decided::Refused {
                    cause,
                    refusal,
                    numbers,
                    importance,
                };
                self.tell(wish.source, from, wish.grade, decided, now);
            }
        }
    }

    fn read_events(&mut self, now: Timestamp) {
        while let Some(event) = self.keeper.poll_event() {
            match event {
                keeper::Event::Forced(forced) => {
                    let key = SourceKey::new(forced.row.get());
                    let decided = Decided::Forced {
                        force: forced.why,
                        blind: forced.blind,
                    };
                    self.tell(key, forced.from, forced.grade, decided, now);
                }
                keeper::Event::Effective { row, from, grade } => {
                    let key = SourceKey::new(row.get());
                    self.policy.handle_grade(key, grade, now, now);
                    self.ledger.change(key, now, grade);
                    self.tell(key, from, grade, Decided::Effective, now);
                }
                // Told where they were asked for.
                keeper::Event::Granted { .. } | keeper::Event::Refused { .. } => {}
            }
        }
    }

    fn tell(&mut self, key: SourceKey, from: Grade, grade: Grade, decided: Decided, at: Timestamp) {
        let Some(enrolled) = self.roll.get(key) else {
            return;
        };
        let subject = Subject {
            mirror: enrolled.mirror,
            interface: enrolled.interface.clone(),
        };
        if self.notices.len() == NOTICES_MAX {
            self.notices.pop_front();
            self.notices_forgotten += 1;
        }
        self.notices.push_back(Notice {
            at,
            subject,
            from,
            grade,
            decided,
        });
    }
}

/// In shadow the policy decides and nothing is done.
fn keeper_mode(mode: Mode) -> keeper::Mode {
    match mode {
        Mode::Dynamic => keeper::Mode::Dynamic,
        Mode::Manual | Mode::Shadow => keeper::Mode::Manual,
    }
}

fn row(key: SourceKey) -> Row {
    Row::new(key.get())
}
