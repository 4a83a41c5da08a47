//! The policy: takes what happens, keeps what it must, and decides when asked.

use vxscope_units::{EvidenceClass, Grade, Timestamp};

use crate::admission::Admission;
use crate::agenda::Agenda;
use crate::bound::Schedule;
use crate::group::Groups;
use crate::honesty::Honesty;
use crate::poisson::Uppers;
use crate::rules::{Mode, Rules, SourceFacts};
use crate::seeded::Seeded;
use crate::sensor::{Sensor, SensorKey};
use crate::source::{PinKind, Rest, Source};
use crate::window::{DayParts, plus};
use crate::{Cause, Importance, SourceKey};

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
    /// Rows in use.
    pub(crate) live: u32,
    free: Vec<SourceKey>,
    pub(crate) groups: Groups,
    pub(crate) sensors: Vec<Sensor>,
    /// Ends of pauses, real and refused.
    pub(crate) ends: Agenda,
    pub(crate) reviews: Agenda,
    /// Sources with `woken` set, perhaps more than once.
    pub(crate) woken: Vec<SourceKey>,
    /// Ends of alert pins.
    pub(crate) alert_pins: Agenda,
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
            live: 0,
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
        self.groups.get_mut(group).restrict(terms.group_lowered_max);
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
        self.live += 1;
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
        if let Rest::Refused {
            events, refusal, ..
        } = rest
        {
            self.honesty.record(refusal, events);
        }
        if std::mem::take(&mut self.sources[key.index()].alert_counted) {
            self.alert_pinned -= 1;
        }
        self.set_lowered(key, false);
        self.admission.demand = self.admission.demand.saturating_sub(demand);
        for peer in peers {
            self.sources[peer.index()].edges.remove(key);
        }
        self.groups.leave(group, key);
        self.share_group(group);
        self.sources[key.index()].live = false;
        self.live -= 1;
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

    /// Finds out anew what the strictest member of a group allows.
    fn share_group(&mut self, row: u32) {
        let group = self.groups.get_mut(row);
        let members = group.members.iter();
        let shares = members.map(|member| self.sources[member.index()].terms.group_lowered_max);
        group.share = shares.fold(1.0, f64::min);
    }

    /// The row of a source that is enrolled; anything else is counted.
    pub(crate) fn get(&mut self, key: SourceKey) -> Option<&mut Source> {
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
        for row in self.groups.rows() {
            self.share_group(row);
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
}

/// A positive number of nanoseconds.
#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
pub(crate) fn nanos(value: f64) -> u64 {
    value.max(0.0) as u64
}
