//! Policy, gate and keeper in one loop.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use vxscope_control::Row;
use vxscope_control::guard::{Enrolment, Pin, Verdict};
use vxscope_control::journal::{Record, Replay};
use vxscope_control::keeper::{self, Keeper, Step};
use vxscope_control::mirror::{ApiError, CallId, ErrorKind, Reply};
use vxscope_control::reconcile;
use vxscope_policy::money::{Ledger, Path, Traffic};
use vxscope_policy::rules::{Mode, Rules};
use vxscope_policy::{
    Decision, Decisions, Event, Intake, Kept, Missed, Observation, Observer, Policy, SensorKey,
    SourceKey, Wish,
};
use vxscope_report::{BlindWindow, EventKind, MirrorRow, Report};
use vxscope_units::{EvidenceClass, Grade, MirrorSource, Timestamp};

use crate::mind::Mind;
use crate::notice::{Decided, Notice};
use crate::past::Past;
use crate::roll::{Enrolled, Roll};
use crate::setup::{StewardSetup, bounds_of, guard_rules};

/// Why a source has a session at all.
const ENROLLED: &str = "enrolled";
/// Why a source is lower when a run begins.
const ADOPTED: &str = "adopted";
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

/// What a detector says of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    /// Whom it concerns.
    pub mirror: MirrorSource,
    /// Who troubled it, or was troubled by it.
    pub peer: Option<IpAddr>,
    /// Whether it keeps the source full for the longer time.
    pub severe: bool,
    /// Why, for people.
    pub reason: String,
}

/// See the module.
#[derive(Debug)]
pub struct Steward {
    pub(crate) mind: Mind,
    keeper: Keeper,
    ledger: Ledger,
    pub(crate) roll: Roll,
    intake: Intake,
    /// Sources whose counters so far belong to the time before they were enrolled.
    fresh: BTreeSet<SourceKey>,
    /// Why each source was last asked to change.
    why: BTreeMap<SourceKey, &'static str>,
    notices: VecDeque<Notice>,
    notices_forgotten: u64,
    decided_at: Timestamp,
    held: bool,
    /// What an earlier run had learned of sources that are not enrolled yet.
    pub(crate) past: Past,
    /// When the last alert about a source was told, and whether it was severe.
    alerted: BTreeMap<SourceKey, (Timestamp, bool)>,
}

/// Notices that wait for whoever writes them; the oldest are forgotten and counted.
const NOTICES_MAX: usize = 65_536;
/// Nanoseconds between two notices of alerts about one source: who raises a storm of alerts fills
/// no disk. All of them pin.
const TELL_ALERT_EVERY: u64 = 10_000_000_000;
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

/// Passes on what a report shows, to everybody whom it concerns.
struct Watch<'a> {
    mind: &'a mut Mind,
    keeper: &'a mut Keeper,
    ledger: &'a mut Ledger,
    fresh: &'a mut BTreeSet<SourceKey>,
    from: Timestamp,
    to: Timestamp,
}

impl Observer for Watch<'_> {
    fn handle_tick(&mut self, sensor: SensorKey, from: Timestamp, to: Timestamp, loss_free: bool) {
        (self.from, self.to) = (from, to);
        self.mind.handle_tick(sensor, from, to, loss_free);
    }

    fn handle_move(&mut self, source: SourceKey, sensor: SensorKey, now: Timestamp) {
        self.mind.handle_move(source, sensor, now);
    }

    fn observe(&mut self, source: SourceKey, observation: &Observation<'_>) {
        if self.fresh.remove(&source) {
            return;
        }
        if observation.packets > 0 {
            self.keeper.handle_packets(row(source), self.from);
        }
        let traffic = Traffic {
            packets: observation.packets,
            bytes: observation.bytes.sum(),
        };
        self.ledger.observe(source, self.to, traffic, None);
        if observation.events[EventKind::Alert.index()] > 0 {
            let lasts = self.mind.policy().rules().limits.alert_pin;
            self.keeper.pin(row(source), Pin::Alert, lasts, self.to);
        }
        self.mind.observe(source, observation);
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
            mind: Mind::new(rules, seed),
            keeper,
            ledger: Ledger::new(prices),
            roll: Roll::default(),
            intake: Intake::new(),
            fresh: BTreeSet::new(),
            why: BTreeMap::new(),
            notices: VecDeque::new(),
            notices_forgotten: 0,
            decided_at: Timestamp::ZERO,
            held: false,
            past: Past::default(),
            alerted: BTreeMap::new(),
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

    /// Why a source cannot have what it may have, if that is so.
    #[must_use]
    pub fn blocked(&self, mirror: MirrorSource) -> Option<ErrorKind> {
        self.keeper.blocked(row(self.roll.key(mirror)?))
    }

    /// What a source really has; `None` if nobody knows, or if it is not looked after.
    #[must_use]
    pub fn effective(&self, mirror: MirrorSource) -> Option<Grade> {
        self.keeper.effective(row(self.roll.key(mirror)?))
    }

    /// Why a source was last asked to change, in one word; `None` if it is not looked after.
    #[must_use]
    pub fn why(&self, mirror: MirrorSource) -> Option<&'static str> {
        let key = self.roll.key(mirror)?;
        Some(self.why.get(&key).copied().unwrap_or(ENROLLED))
    }

    /// What a source may have, and is to have; `None` if it is not looked after.
    #[must_use]
    pub fn granted(&self, mirror: MirrorSource) -> Option<Grade> {
        Some(self.keeper.guard().granted(row(self.roll.key(mirror)?)))
    }

    /// In how much time a source that is lowered must be back.
    #[must_use]
    pub fn due_in(&self, mirror: MirrorSource) -> Option<Duration> {
        self.keeper.guard().due_in(row(self.roll.key(mirror)?))
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

    /// Whether a source is looked after.
    #[must_use]
    pub fn knows(&self, mirror: MirrorSource) -> bool {
        self.roll.key(mirror).is_some()
    }

    /// A sensor's tick. Sources that nobody enrolled are ignored.
    pub fn handle_report(&mut self, report: &Report, now: Timestamp) {
        let mut watch = Watch {
            mind: &mut self.mind,
            keeper: &mut self.keeper,
            ledger: &mut self.ledger,
            fresh: &mut self.fresh,
            from: Timestamp::ZERO,
            to: Timestamp::ZERO,
        };
        self.intake.handle_report(report, now, &mut watch);
    }

    /// What a source showed until its next report belongs to the time before anybody looked
    /// after it.
    pub fn skip(&mut self, mirror: MirrorSource) {
        self.fresh.extend(self.roll.key(mirror));
    }

    /// What the sender's own counters say of a while: bytes that it sent and received. They wake
    /// a hidden source that begins to speak, and tell an idle one from a broken mirror.
    pub fn handle_counters(
        &mut self,
        mirror: MirrorSource,
        from: Timestamp,
        to: Timestamp,
        bytes: u64,
        now: Timestamp,
    ) {
        if let Some(source) = self.roll.key(mirror) {
            let event = Event::Counters {
                source,
                from,
                to,
                bytes,
            };
            self.mind.handle_event(event, now);
        }
    }

    /// A detector named a source.
    pub fn handle_alert(&mut self, mirror: MirrorSource, severe: bool, now: Timestamp) {
        let Some(source) = self.roll.key(mirror) else {
            return;
        };
        let limits = &self.policy().rules().limits;
        let lasts = if severe {
            limits.severe_pin
        } else {
            limits.alert_pin
        };
        self.keeper.pin(row(source), Pin::Alert, lasts, now);
        self.mind.handle_event(Event::Alert { source, severe }, now);
    }

    /// A detector named a source and said why: a notice tells it, once in [`TELL_ALERT_EVERY`]
    /// and whenever it became worse.
    pub fn handle_detection(&mut self, detection: &Detection, now: Timestamp) {
        let Detection {
            mirror,
            peer,
            severe,
            ref reason,
        } = *detection;
        let Some(key) = self.roll.key(mirror) else {
            return;
        };
        self.handle_alert(mirror, severe, now);
        if let Some((at, was_severe)) = self.alerted.get(&key)
            && now.nanos_since(*at) < TELL_ALERT_EVERY
            && (*was_severe || !severe)
        {
            return;
        }
        self.alerted.insert(key, (now, severe));
        let grade = self.grade(mirror);
        let decided = Decided::Alerted {
            severe,
            peer,
            reason: reason.as_str().into(),
        };
        self.tell(key, grade, grade, decided, now);
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
                self.mind.handle_event(Event::Pin { source, until }, now);
            }
            Command::Unpin(mirror) => {
                let Some(source) = self.roll.key(mirror) else {
                    return false;
                };
                self.keeper.unpin(row(source), Pin::Operator, now);
                let until = Timestamp::ZERO;
                self.mind.handle_event(Event::Pin { source, until }, now);
            }
            Command::Hold => self.hold(true),
            Command::Release => self.hold(false),
            Command::ResumeAll => {
                self.hold(true);
                self.keeper.resume_all();
                self.mind.handle_event(Event::ResumeAll, now);
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
        let is_shadow = rules.mode == Mode::Shadow;
        match &mut self.mind {
            Mind::Real(policy) if !is_shadow => {
                policy.handle_rules(rules, now, |key| roll.get(key).map(Enrolled::facts))
            }
            // What one has learned in the other's world is of no use: it begins anew.
            Mind::Real(_) | Mind::Shadow(_) => self.begin_anew(rules, &all, now),
        }
    }

    /// Another mind, which knows who there is and nothing else.
    fn begin_anew(&mut self, rules: Rules, all: &[(SourceKey, Enrolled)], now: Timestamp) {
        let seed = now.as_nanos();
        let mut mind = Mind::new(rules, seed);
        let mut kept = Vec::new();
        for (key, enrolled) in all {
            // Rows are given in order, so that everybody keeps the own one unless some are free.
            match mind.enroll(&enrolled.facts(), now) {
                Some(given) if given == *key => {}
                _ => kept.push(enrolled.mirror),
            }
        }
        self.mind = mind;
        for mirror in kept {
            self.retire(mirror, now);
        }
    }

    /// How long it takes until everything that is lowered is back.
    #[must_use]
    pub fn resume_takes(&self) -> Duration {
        self.keeper.resume_takes()
    }

    /// Everything comes back now; afterwards sources may be lowered again.
    pub fn recall(&mut self, now: Timestamp) {
        self.keeper.recall();
        self.mind.handle_event(Event::ResumeAll, now);
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
        let due = self.policy().next_due().is_some_and(|due| due <= now);
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
        self.mind.policy()
    }

    /// In the shadow: what would have been missed.
    #[must_use]
    pub fn missed(&self) -> Option<&Missed> {
        self.mind.missed()
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

    /// Sources that are looked after.
    #[must_use]
    pub fn sources(&self) -> u64 {
        self.roll.iter().count() as u64
    }

    /// What a source really has; full if it is not looked after.
    #[must_use]
    pub fn grade(&self, mirror: MirrorSource) -> Grade {
        let key = self.roll.key(mirror);
        let grade = key.and_then(|key| self.keeper.effective(row(key)));
        grade.unwrap_or_default()
    }

    /// Whether the operator allows no pause.
    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// Who is looked after, by address and VNI.
    pub(crate) fn enrolled(&self) -> impl Iterator<Item = (SourceKey, MirrorSource)> {
        self.roll.by_mirror()
    }

    /// Every mirror that is looked after, as it stands by the gate's books. Since when and why is
    /// for whoever followed the notices.
    pub fn rows(&self, now: Timestamp) -> impl Iterator<Item = MirrorRow> + '_ {
        self.roll.iter().map(move |(key, enrolled)| {
            let row = row(key);
            let (_, terms) = self.policy().rules().terms_of(&enrolled.facts());
            let (bounds, guard) = (bounds_of(&terms), self.keeper.guard());
            let due = guard.due_in(row).map(|due| nanos_of(due) + now.as_nanos());
            let blind = EvidenceClass::ALL.into_iter().map(|class| BlindWindow {
                class: class.name().to_owned(),
                seconds: guard.blind(row, class).as_secs_f64(),
                bound_seconds: bounds.of(class).as_secs_f64(),
            });
            MirrorRow {
                outer_ip: enrolled.mirror.address,
                vni: enrolled.mirror.vni.get(),
                interface: enrolled.interface.clone(),
                grade: self.grade(enrolled.mirror).name().to_owned(),
                since: 0,
                pinned: guard.is_pinned(row),
                reason: String::new(),
                sentence: String::new(),
                until: due.map(|nanos| nanos / 1_000),
                blind: blind.collect(),
            }
        })
    }

    fn decide(&mut self, now: Timestamp) {
        if self.held {
            // Nobody knows for how long, so the policy looks again and again.
            let until = now.plus_nanos(2 * DECIDE_EVERY_NANOS);
            self.mind.handle_event(Event::Hold { until }, now);
        }
        let mut minutes = Minutes::default();
        self.mind.decide(now, &self.ledger, &mut minutes);
        for minute in minutes.0 {
            match minute {
                Minute::Wish(wish) => self.ask(&wish, now),
                Minute::Kept(kept) => {
                    let Some(enrolled) = self.roll.get(kept.source) else {
                        continue;
                    };
                    let decision = Decision::of_kept(&kept, enrolled.mirror);
                    let decided = Decided::Kept(Box::new(decision));
                    self.tell(kept.source, Grade::Full, kept.grade, decided, kept.at);
                }
            }
        }
    }

    /// Asks the gate for what the policy wishes.
    fn ask(&mut self, wish: &Wish, now: Timestamp) {
        let Some(enrolled) = self.roll.get(wish.source) else {
            return;
        };
        let decision = Box::new(Decision::of_wish(wish, enrolled.mirror));
        if self.mind.missed().is_some() {
            self.ledger.change(wish.source, now, wish.grade);
            let decided = Decided::Imagined(decision);
            return self.tell(wish.source, wish.from, wish.grade, decided, now);
        }
        let from = self.keeper.guard().granted(row(wish.source));
        match self.keeper.wish(row(wish.source), wish.grade, now) {
            Verdict::Granted(grade) => {
                self.why.insert(wish.source, wish.cause.name());
                let decided = Decided::Granted(decision);
                self.tell(wish.source, from, grade, decided, now);
            }
            Verdict::Refused(refusal) => {
                self.mind.handle_refusal(wish.source, now);
                let decided = Decided::Refused(decision, refusal);
                self.tell(wish.source, from, wish.grade, decided, now);
            }
        }
    }

    fn read_events(&mut self, now: Timestamp) {
        while let Some(event) = self.keeper.poll_event() {
            match event {
                keeper::Event::Forced(forced) => {
                    let key = SourceKey::new(forced.row.get());
                    self.why.insert(key, forced.why.name());
                    let decided = Decided::Forced {
                        force: forced.why,
                        blind: forced.blind,
                    };
                    self.tell(key, forced.from, forced.grade, decided, now);
                }
                keeper::Event::Effective { row, from, grade } => {
                    let key = SourceKey::new(row.get());
                    self.mind.handle_grade(key, grade, now);
                    if self.mind.missed().is_none() {
                        self.ledger.change(key, now, grade);
                    }
                    let why = self.why.get(&key).copied().unwrap_or(ENROLLED);
                    self.tell(key, from, grade, Decided::Effective(why), now);
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
        let (mirror, interface) = (enrolled.mirror, enrolled.interface.clone());
        if self.notices.len() == NOTICES_MAX {
            self.notices.pop_front();
            self.notices_forgotten += 1;
        }
        self.notices.push_back(Notice {
            at,
            mirror,
            interface,
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

fn nanos_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2)
}

fn row(key: SourceKey) -> Row {
    Row::new(key.get())
}
