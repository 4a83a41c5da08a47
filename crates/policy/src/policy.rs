//! The policy: takes what happens, keeps what it must, and decides when asked.

use vxscope_units::{EvidenceClass, Grade, Timestamp};

use crate::admission::Admission;
use crate::agenda::Agenda;
use crate::bound::Schedule;
use crate::edges::Edges;
use crate::event::{IDLE_BYTES, MOVED_BYTES, MOVED_TIMES};
use crate::group::Groups;
use crate::honesty::Honesty;
use crate::observation::{by_class, class_of};
use crate::poisson::Uppers;
use crate::rules::{Limits, Mode, Rules, SourceFacts};
use crate::seeded::Seeded;
use crate::sensor::{Sensor, SensorKey};
use crate::source::{PinKind, Rest, Source};
use crate::window::{DayParts, plus};
use crate::{Cause, Decisions, Event, Importance, Observation, SourceKey, Wish};

/// After this long a raise that control has not shown is wished again.
const RAISE_AGAIN_NANOS: u64 = 60_000_000_000;

/// What did not happen because a limit was reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sources that found no row, and so are never lowered.
    pub sources_refused: u64,
    /// Current edges that were forgotten for newer ones.
    pub edges_forgotten: u64,
    /// Reviews that had to wait for the next decision.
    pub reviews_deferred: u64,
    /// What was told about rows that nobody is in.
    pub unknown_source: u64,
}

/// Decides which source's mirror is worth its price.
///
/// Methods come in four kinds. `enroll` and `retire` say who there is. `handle_*` and `observe`
/// take in what happened; none of them decides. [`Self::decide`] gives wishes, and
/// [`Self::next_due`] says by when it should be called again; call it every few seconds all the
/// same, because events raise sources only there. The others look. `now` never runs backwards.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) rules: Rules,
    pub(crate) parts: DayParts,
    pub(crate) uppers: Uppers,
    pub(crate) random: Seeded,
    pub(crate) sources: Vec<Source>,
    free: Vec<SourceKey>,
    pub(crate) groups: Groups,
    sensors: Vec<Sensor>,
    /// Ends of pauses, real and refused.
    pub(crate) ends: Agenda,
    pub(crate) reviews: Agenda,
    /// Sources with `woken` set, perhaps more than once.
    woken: Vec<SourceKey>,
    /// Ends of alert pins.
    alert_pins: Agenda,
    pub(crate) alert_pinned: u32,
    pub(crate) held_until: Timestamp,
    pub(crate) admission: Admission,
    pub(crate) honesty: Honesty,
    pub(crate) counts: Counts,
}

impl Policy {
    /// No sources yet. Whoever guesses the seed knows when a source is not watched.
    #[must_use]
    pub fn new(rules: Rules, seed: u64) -> Self {
        Self {
            parts: DayParts::new(&rules.limits),
            rules,
            uppers: Uppers::new(),
            random: Seeded::new(seed),
            sources: Vec::new(),
            free: Vec::new(),
            groups: Groups::default(),
            sensors: Vec::new(),
            ends: Agenda::default(),
            reviews: Agenda::default(),
            woken: Vec::new(),
            alert_pins: Agenda::default(),
            alert_pinned: 0,
            held_until: Timestamp::ZERO,
            admission: Admission::default(),
            honesty: Honesty::default(),
            counts: Counts::default(),
        }
    }

    /// A source that is mirrored from now on, by the grade `observed`. `None` if there are
    /// `limits.sources_max` already: it is counted and stays full.
    ///
    /// One that is below full although nobody here wished it is raised.
    pub fn enroll(
        &mut self,
        facts: &SourceFacts<'_>,
        observed: Grade,
        now: Timestamp,
    ) -> Option<SourceKey> {
        let key = self.row()?;
        let (importance, terms) = self.rules.terms_of(facts);
        let group = self.join_group(facts, key);
        let mut source = Source::new(importance, terms, group, now);
        let limits = &self.rules.limits;
        let pin = if self.has_baseline(group, now) {
            limits.baseline_pin
        } else {
            limits.new_pin
        };
        source.pins.prolong(PinKind::New, plus(now, pin));
        source.restart(now, &self.sensor(source.sensor));
        self.sources[key.index()] = source;
        self.handle_grade(key, observed, now, now);
        self.schedule_review(key, plus(now, pin));
        Some(key)
    }

    /// A source that is no longer mirrored: it ended, or lost its tag.
    pub fn retire(&mut self, key: SourceKey) {
        let Some(source) = self.get(key) else {
            return;
        };
        let (group, demand, rest) = (source.group, source.demand, source.rest);
        let peers: Vec<SourceKey> = source.edges.iter().map(|edge| edge.peer).collect();
        if let Rest::Refused { events, .. } = rest {
            self.honesty.record(self.rules.limits.refusal, events);
        }
        self.set_lowered(key, false);
        self.admission.demand = self.admission.demand.saturating_sub(demand);
        for peer in peers {
            self.sources[peer.index()].edges.remove(key);
        }
        self.groups.leave(group, key);
        self.sources[key.index()].live = false;
        self.free.push(key);
    }

    /// A free row, of a retired source or a new one.
    fn row(&mut self) -> Option<SourceKey> {
        if let Some(key) = self.free.pop() {
            return Some(key);
        }
        let next = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        if next >= self.rules.limits.sources_max {
            self.counts.sources_refused += 1;
            return None;
        }
        let terms = self.rules.terms[Importance::Critical.index()];
        let mut nobody = Source::new(Importance::Critical, terms, 0, Timestamp::ZERO);
        nobody.live = false;
        self.sources.push(nobody);
        Some(SourceKey::new(next))
    }

    fn join_group(&mut self, facts: &SourceFacts<'_>, key: SourceKey) -> u32 {
        if facts.subnet.is_empty() {
            let place = crate::rules::neighbourhood(facts.mirror.address);
            self.groups.join(facts.role, &place, key)
        } else {
            self.groups.join(facts.role, facts.subnet, key)
        }
    }

    /// The row of a source that is enrolled; anything else is counted.
    fn get(&mut self, key: SourceKey) -> Option<&mut Source> {
        let source = self.sources.get_mut(key.index()).filter(|one| one.live);
        if source.is_none() {
            self.counts.unknown_source += 1;
        }
        source
    }

    pub(crate) fn sensor(&self, key: SensorKey) -> Sensor {
        self.sensors
            .get(usize::from(key.0))
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn schedule_review(&mut self, key: SourceKey, at: Timestamp) {
        self.sources[key.index()].review_at = at;
        self.reviews.add(at, key);
    }

    /// New rules, which are valid as a whole or would not exist. `facts` tells what each source
    /// is; one of which it knows nothing keeps its importance.
    pub fn handle_rules<'a>(
        &mut self,
        rules: Rules,
        now: Timestamp,
        facts: impl Fn(SourceKey) -> Option<SourceFacts<'a>>,
    ) {
        self.rules = rules;
        let parts = DayParts::new(&self.rules.limits);
        let recut = parts != self.parts;
        self.parts = parts;
        for key in self.keys() {
            let (importance, terms) = match facts(key) {
                Some(facts) => self.rules.terms_of(&facts),
                None => {
                    let importance = self.sources[key.index()].importance;
                    (importance, self.rules.terms[importance.index()])
                }
            };
            let source = &mut self.sources[key.index()];
            (source.importance, source.terms) = (importance, terms);
            if recut {
                // Parts of another length cannot be compared: evidence begins anew.
                source.window = crate::window::Window::new();
            }
            if self.breaks_rules(key, now) {
                self.wake(key, Cause::Rules);
            }
        }
        if self.rules.mode == Mode::Manual {
            self.wake_all(Cause::Manual);
        }
    }

    /// Whether a pause is lower or longer than the rules now allow.
    fn breaks_rules(&self, key: SourceKey, now: Timestamp) -> bool {
        let source = &self.sources[key.index()];
        if source.planned == Grade::Full {
            return false;
        }
        let longest = source.terms.blind_max_of(source.planned);
        let too_long = match (source.rest, longest) {
            (Rest::Paused { until }, Some(longest)) => until > plus(now, longest),
            _ => true,
        };
        source.planned < source.terms.lowest() || too_long
    }

    pub(crate) fn keys(&self) -> Vec<SourceKey> {
        (0_u32..)
            .zip(&self.sources)
            .filter(|(_, source)| source.live)
            .map(|(row, _)| SourceKey::new(row))
            .collect()
    }

    /// A sensor's tick, `to` being no later than now; `loss_free` if it received everything that
    /// was sent to it. Comes before the observations of the tick; a tick that never comes counts
    /// as lost.
    pub fn handle_tick(
        &mut self,
        sensor: SensorKey,
        from: Timestamp,
        to: Timestamp,
        loss_free: bool,
    ) {
        let index = usize::from(sensor.0);
        if index >= self.sensors.len() {
            self.sensors.resize(index + 1, Sensor::default());
            // Nothing before its first tick was lost: nobody listened yet.
            self.sensors[index].to = from;
        }
        self.sensors[index].handle_tick(from, to, loss_free);
    }

    /// Which sensor the source's copies go to. Time is accounted anew.
    pub fn handle_move(&mut self, key: SourceKey, sensor: SensorKey, now: Timestamp) {
        let state = self.sensor(sensor);
        if let Some(source) = self.get(key).filter(|source| source.sensor != sensor) {
            source.sensor = sensor;
            source.restart(now, &state);
        }
    }

    /// What a source showed in the last tick of its sensor.
    pub fn observe(&mut self, key: SourceKey, observation: &Observation<'_>) {
        let parts = self.parts;
        let Some(sensor) = self.get(key).map(|source| source.sensor) else {
            return;
        };
        let sensor = self.sensor(sensor);
        self.sources[key.index()].observe(&sensor, parts, observation);
        if observation.edges_omitted {
            self.lose_edges(key, sensor.to);
        }
        for peer in observation.edges {
            self.observe_edge(key, *peer, sensor.to);
        }
        if observation.events.iter().any(|count| *count > 0) {
            self.observe_events(key, observation, sensor.to);
        }
    }

    fn lose_edges(&mut self, key: SourceKey, at: Timestamp) {
        let until = at.plus_nanos(86_400 * 1_000_000_000);
        self.sources[key.index()].edges_unknown_until = until;
    }

    fn observe_edge(&mut self, key: SourceKey, peer: SourceKey, at: Timestamp) {
        if key == peer || self.get(peer).is_none() {
            return;
        }
        for (one, other) in [(key, peer), (peer, key)] {
            if !self.sources[one.index()].edges.touch(other, at) {
                self.counts.edges_forgotten += 1;
                self.lose_edges(one, at);
            }
        }
        let is_blind = |key: SourceKey| {
            let source = &self.sources[key.index()];
            source.planned < Grade::Full && !source.shows(EvidenceClass::Flow)
        };
        // Seen late, or through the little that is left of one end.
        if is_blind(key) && is_blind(peer) {
            self.wake(key, Cause::Residual);
        }
    }

    fn observe_events(&mut self, key: SourceKey, observation: &Observation<'_>, at: Timestamp) {
        let mut alone = by_class(&observation.events);
        let mut hidden = [0_u32; EvidenceClass::COUNT];
        for sighted in observation.sightings {
            let class = class_of(sighted.kind);
            if sighted.peer == key || self.get(sighted.peer).is_none() {
                continue;
            }
            self.observe_edge(key, sighted.peer, at);
            self.sources[key.index()]
                .edges
                .add_event(sighted.peer, class);
            let count = &mut alone[class.index()];
            *count = count.saturating_sub(1);
            let peer = &self.sources[sighted.peer.index()];
            hidden[class.index()] += u32::from(!peer.shows(class));
            self.wake(sighted.peer, Cause::PeerSighting);
        }
        let parts = self.parts;
        let source = &mut self.sources[key.index()];
        source.window.add_events(parts, at, &alone);
        if let Rest::Refused { grade, events, .. } = &mut source.rest {
            for class in EvidenceClass::ALL {
                if !grade.shows(class) {
                    let unseen = alone[class.index()] + hidden[class.index()];
                    *events = events.saturating_add(unseen);
                }
            }
        }
        let count = |kind: vxscope_report::EventKind| observation.events[kind.index()];
        if count(vxscope_report::EventKind::NeverHit) > 0 && source.planned < Grade::Full {
            self.wake(key, Cause::NeverHit);
        }
        if count(vxscope_report::EventKind::Alert) > 0 {
            self.pin_alert(key, false, at);
        }
    }

    /// What control says is so: the grade that a source's session really has, and since when.
    pub fn handle_grade(&mut self, key: SourceKey, grade: Grade, since: Timestamp, now: Timestamp) {
        let parts_sensor = self.get(key).map(|source| source.sensor);
        let Some(sensor) = parts_sensor.map(|sensor| self.sensor(sensor)) else {
            return;
        };
        let source = &mut self.sources[key.index()];
        let before = source.observed;
        source.observed = grade;
        for class in EvidenceClass::ALL {
            let blind = &mut source.blind_since[class.index()];
            *blind = if grade.shows(class) {
                None
            } else {
                blind.or(Some(since))
            };
        }
        if before == Grade::Off && grade > Grade::Off {
            source.session_since = since;
        }
        if grade != before {
            source.on_nanos = 0;
            source.restart(since, &sensor);
        }
        let planned = source.planned;
        if grade < planned {
            let waits = source.raise_wished;
            if grade < Grade::Full && now.nanos_since(waits) >= RAISE_AGAIN_NANOS {
                self.set_lowered(key, true);
                self.wake(key, Cause::Unplanned);
            }
        } else if grade == Grade::Full && planned == Grade::Full {
            self.set_lowered(key, false);
            if before < Grade::Full {
                let on_min = self.sources[key.index()].terms.on_min;
                self.schedule_review(key, plus(since, on_min));
            }
        }
    }

    /// Control or the gate has refused to lower a source: it is as it was.
    pub fn handle_refusal(&mut self, key: SourceKey, now: Timestamp) {
        let Some(source) = self.get(key) else {
            return;
        };
        if source.planned == Grade::Full {
            return;
        }
        source.planned = Grade::Full;
        source.rest = Rest::None;
        if source.observed == Grade::Full {
            self.set_lowered(key, false);
        }
        let wait = self.random.between(300e9, 900e9);
        self.schedule_review(key, now.plus_nanos(nanos(wait)));
    }

    /// Something that happened beside traffic.
    pub fn handle_event(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::Alert { source, severe } => {
                if self.get(source).is_some() {
                    self.pin_alert(source, severe, now);
                }
            }
            Event::PeerSighting { source } => self.wake_known(source, Cause::PeerSighting),
            Event::NeverHit { source } => self.wake_known(source, Cause::NeverHit),
            Event::ConfigChanged { source } => self.wake_known(source, Cause::ConfigChanged),
            Event::Counters {
                source,
                from,
                to,
                bytes,
            } => self.handle_counters(source, from, to, bytes),
            Event::Canary { source, at } => self.confirm_idle(source, at),
            Event::Pin { source, until } => self.pin(source, until, now),
            Event::Hold { until } => self.held_until = until,
            Event::ResumeAll => self.wake_all(Cause::Manual),
        }
    }

    fn pin(&mut self, key: SourceKey, until: Timestamp, now: Timestamp) {
        let Some(source) = self.get(key) else {
            return;
        };
        if until == Timestamp::ZERO {
            source.pins.clear(PinKind::Operator);
        } else {
            source.pins.prolong(PinKind::Operator, until);
        }
        if until > now {
            self.wake(key, Cause::Pinned);
        } else {
            self.schedule_review(key, now);
        }
    }

    fn pin_alert(&mut self, key: SourceKey, severe: bool, now: Timestamp) {
        let limits = &self.rules.limits;
        let length = if severe {
            limits.severe_pin
        } else {
            limits.alert_pin
        };
        let pins = &mut self.sources[key.index()].pins;
        let before = pins.of(PinKind::Alert);
        pins.prolong(PinKind::Alert, plus(now, length));
        let until = pins.of(PinKind::Alert);
        if until != before {
            self.alert_pins.add(until, key);
        }
        self.alert_pinned += u32::from(before <= now);
        self.wake(key, Cause::Alert);
    }

    fn handle_counters(&mut self, key: SourceKey, from: Timestamp, to: Timestamp, bytes: u64) {
        let parts = self.parts;
        let Some(sensor) = self.get(key).map(|source| source.sensor) else {
            return;
        };
        let sensor = self.sensor(sensor);
        let source = &mut self.sources[key.index()];
        let hours = (to.nanos_since(from) as f64 / 3.6e12).max(1e-3);
        let hourly = bytes as f64 / hours;
        if !source.observed.shows(EvidenceClass::Flow) {
            if hourly > (source.rates.sum() * MOVED_TIMES).max(MOVED_BYTES) {
                self.wake(key, Cause::CountersMoved);
            }
        } else if hourly <= IDLE_BYTES {
            source.confirm_idle(to, &sensor, parts);
        } else if source.was_silent_since(from) {
            source.miss(from, to, parts, &sensor);
        }
    }

    fn confirm_idle(&mut self, key: SourceKey, at: Timestamp) {
        let parts = self.parts;
        let Some(sensor) = self.get(key).map(|source| source.sensor) else {
            return;
        };
        let sensor = self.sensor(sensor);
        self.sources[key.index()].confirm_idle(at, &sensor, parts);
    }

    fn wake_known(&mut self, key: SourceKey, cause: Cause) {
        if self.get(key).is_some() {
            self.wake(key, cause);
        }
    }

    fn wake_all(&mut self, cause: Cause) {
        for key in self.keys() {
            self.wake(key, cause);
        }
    }

    /// Raises a source at the next decision, or ends the pause that it was refused; others are
    /// full anyway.
    fn wake(&mut self, key: SourceKey, cause: Cause) {
        let source = &mut self.sources[key.index()];
        let rests = source.rest != Rest::None || source.is_down();
        if rests && source.woken.is_none() {
            source.woken = Some(cause);
            self.woken.push(key);
        }
    }

    /// Counts a source as lowered, or no longer, in its group and in the fleet.
    pub(crate) fn set_lowered(&mut self, key: SourceKey, lowered: bool) {
        let source = &mut self.sources[key.index()];
        if source.lowered == lowered {
            return;
        }
        source.lowered = lowered;
        let group = self.groups.get_mut(source.group);
        for count in [&mut group.lowered, &mut self.admission.lowered] {
            *count = if lowered {
                count.saturating_add(1)
            } else {
                count.saturating_sub(1)
            };
        }
    }

    /// Everything that is due: sources that were woken, pauses that end, and a bounded number of
    /// sources that may be worth lowering.
    pub fn decide(
        &mut self,
        now: Timestamp,
        prices: &dyn crate::money::Prices,
        decisions: &mut dyn Decisions,
    ) {
        for key in std::mem::take(&mut self.woken) {
            let source = &mut self.sources[key.index()];
            let woken = source.woken.take().filter(|_| source.live);
            if let Some(cause) = woken {
                self.end(key, cause, now, decisions);
            }
        }
        while let Some((at, key)) = self.ends.take_due(now) {
            let source = &self.sources[key.index()];
            if source.live && source.rest.until() == Some(at) {
                self.end(key, Cause::Deadline, now, decisions);
            }
        }
        while let Some((at, key)) = self.alert_pins.take_due(now) {
            let is_over = self.sources[key.index()].pins.of(PinKind::Alert) == at;
            self.alert_pinned = self.alert_pinned.saturating_sub(u32::from(is_over));
        }
        self.review_due(now, prices, decisions);
        self.compact();
    }

    /// When something is due without any further event; `None` if nothing is.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        if !self.woken.is_empty() {
            return Some(Timestamp::ZERO);
        }
        [self.ends.next(), self.reviews.next()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Ends a pause, real or refused, and wishes the source full if it is not.
    fn end(&mut self, key: SourceKey, cause: Cause, now: Timestamp, decisions: &mut dyn Decisions) {
        let source = &mut self.sources[key.index()];
        let rest = std::mem::take(&mut source.rest);
        if let Rest::Refused { events, .. } = rest {
            self.honesty.record(self.rules.limits.refusal, events);
            // As if it had been raised: the next pause is as far away as after a granted one.
            source.on_nanos = 0;
            let review_at = plus(now, source.terms.on_min);
            self.schedule_review(key, review_at);
        }
        let source = &mut self.sources[key.index()];
        if !source.is_down() {
            return;
        }
        let wish = Wish {
            source: key,
            at: now,
            from: source.observed,
            grade: Grade::Full,
            until: None,
            importance: source.importance,
            cause,
            numbers: crate::Numbers::default(),
        };
        if source.planned < Grade::Full {
            source.changes.push(now);
        }
        source.planned = Grade::Full;
        source.raise_wished = now;
        if source.observed == Grade::Full {
            // Control has not lowered it yet, and now need not.
            self.set_lowered(key, false);
            let on_min = self.sources[key.index()].terms.on_min;
            self.schedule_review(key, plus(now, on_min));
        }
        decisions.wish(&wish);
    }

    /// Keeps agendas from growing with entries that no longer hold.
    fn compact(&mut self) {
        let most = 4 * self.sources.len() + 1_024;
        let sources = &self.sources;
        if self.ends.len() > most {
            let holds = |at, key: SourceKey| sources[key.index()].rest.until() == Some(at);
            self.ends.retain(holds);
        }
        if self.reviews.len() > most {
            self.reviews
                .retain(|at, key| sources[key.index()].review_at == at);
        }
        if self.alert_pins.len() > most {
            self.alert_pins
                .retain(|at, key| sources[key.index()].pins.of(PinKind::Alert) == at);
        }
    }

    /// The rules that hold.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The limits that were reached.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What pauses hide, as far as refused ones tell.
    #[must_use]
    pub fn honesty(&self) -> &Honesty {
        &self.honesty
    }

    /// The grade that was wished last; `None` if nobody is in the row.
    #[must_use]
    pub fn planned(&self, key: SourceKey) -> Option<Grade> {
        let source = self.sources.get(key.index())?;
        source.live.then_some(source.planned)
    }

    /// Since when a class of a source is hidden, by what control says is so.
    #[must_use]
    pub fn blind_since(&self, key: SourceKey, class: EvidenceClass) -> Option<Timestamp> {
        let source = self.sources.get(key.index()).filter(|one| one.live)?;
        source.blind_since[class.index()]
    }

    /// Sources that are below full, or control was asked to put there.
    #[must_use]
    pub fn lowered(&self) -> u32 {
        self.admission.lowered
    }

    /// Until when a source is pinned.
    #[must_use]
    pub fn pinned_until(&self, key: SourceKey) -> Option<Timestamp> {
        let source = self.sources.get(key.index()).filter(|one| one.live)?;
        Some(source.pins.until())
    }

    /// The on- and off-times of a source at its lowest grade, in hours; `None` if it is never
    /// lowered. [`Schedule::misses`] has the chances to print beside it.
    #[must_use]
    pub fn schedule(&self, key: SourceKey) -> Option<Schedule> {
        let source = self.sources.get(key.index()).filter(|one| one.live)?;
        let off = source.terms.blind_max_of(source.terms.lowest())?;
        Some(Schedule::new(
            off.as_secs_f64() / 3_600.0,
            source.terms.on_min.as_secs_f64() / 3_600.0,
        ))
    }

    /// Share of the current edges of a source that their other ends show now; 1 if it has none.
    #[must_use]
    pub fn residual(&self, key: SourceKey, now: Timestamp) -> f64 {
        let Some(source) = self.sources.get(key.index()) else {
            return 0.0;
        };
        let (mut shown, mut all) = (0_u32, 0_u32);
        for edge in source
            .edges
            .iter()
            .filter(|edge| Edges::is_current(edge, now))
        {
            all += 1;
            shown += u32::from(self.can_show(edge.peer, EvidenceClass::Flow, now));
        }
        if all == 0 {
            1.0
        } else {
            f64::from(shown) / f64::from(all)
        }
    }

    /// Whether a source shows a class, and its sensor is alive to see it.
    pub(crate) fn can_show(&self, key: SourceKey, class: EvidenceClass, now: Timestamp) -> bool {
        let source = &self.sources[key.index()];
        source.shows(class) && !self.sensor(source.sensor).is_stale(now)
    }

    /// Bytes that the policy holds, all told.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let edges: usize = self.sources.iter().map(|one| one.edges.heap_bytes()).sum();
        let agendas = [&self.ends, &self.reviews, &self.alert_pins];
        size_of::<Self>()
            + self.sources.capacity() * size_of::<Source>()
            + edges
            + agendas.map(Agenda::heap_bytes).iter().sum::<usize>()
            + (self.free.capacity() + self.woken.capacity()) * size_of::<SourceKey>()
            + self.groups.heap_bytes()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.rules.limits
    }
}

/// A positive number of nanoseconds.
#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
pub(crate) fn nanos(value: f64) -> u64 {
    value.max(0.0) as u64
}
