//! Shadow mode: mirrors stay on, the policy is fed only what it would have seen, and what it would
//! have missed is kept.

use vxscope_report::EventKind;
use vxscope_units::{EvidenceClass, Grade, Timestamp};

use crate::money::Prices;
use crate::observation::class_of;
use crate::rules::{Rules, SourceFacts};
use crate::{
    Bytes, Decisions, Event, Evidence, Kept, KeptEdge, Observation, Policy, SensorKey, Sighted,
    SourceKey, Usd, Wish,
};

/// Missed alerts that are kept one by one; more are only counted.
pub const ALERTS_KEPT: usize = 1_000;

/// An alert that would not have been raised, because all whom it named were hidden.
#[derive(Clone, Debug, PartialEq)]
pub struct MissedAlert {
    /// When.
    pub at: Timestamp,
    /// The first of whom it named.
    pub source: SourceKey,
    /// Whether it was severe.
    pub severe: bool,
    /// What it said.
    pub text: String,
}

/// What would have been.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Missed {
    /// Pauses.
    pub pauses: u64,
    /// Relevant events that nobody would have shown, by [`EventKind::index`].
    pub events: [u64; EventKind::COUNT],
    /// Alerts that would not have been raised; the first [`ALERTS_KEPT`] of them.
    pub alerts: Vec<MissedAlert>,
    /// Missed alerts in all.
    pub alerts_count: u64,
    /// Seconds that sources would have been hidden, by the class of evidence.
    pub hidden_seconds: [u64; EvidenceClass::COUNT],
}

impl Missed {
    /// For people: what was saved, and at which price.
    #[must_use]
    pub fn sentence(&self, saved: Usd) -> String {
        let events: u64 = self.events.iter().sum();
        format!(
            "{saved} would have been saved in {}, {} missed, {} not seen by anybody",
            counted(self.pauses, "pause"),
            counted(self.alerts_count, "alert"),
            counted(events, "relevant event"),
        )
    }
}

fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// A policy whose wishes come true only here. It has the methods of [`Policy`].
#[derive(Clone, Debug)]
pub struct Shadow {
    policy: Policy,
    /// Since when each row has its grade, in the shadow.
    grades: Vec<(Grade, Timestamp)>,
    sightings: Vec<Sighted>,
    missed: Missed,
}

impl Shadow {
    /// See [`Policy::new`].
    #[must_use]
    pub fn new(rules: Rules, seed: u64) -> Self {
        Self {
            policy: Policy::new(rules, seed),
            grades: Vec::new(),
            sightings: Vec::new(),
            missed: Missed::default(),
        }
    }

    /// A source that is really mirrored in full.
    pub fn enroll(&mut self, facts: &SourceFacts<'_>, now: Timestamp) -> Option<SourceKey> {
        let key = self.policy.enroll(facts, Grade::Full, now)?;
        let rows = self.grades.len().max(key.index() + 1);
        self.grades.resize(rows, (Grade::Full, Timestamp::ZERO));
        self.grades[key.index()] = (Grade::Full, now);
        Some(key)
    }

    /// See [`Policy::restore`].
    pub fn restore(&mut self, key: SourceKey, evidence: &Evidence, now: Timestamp) {
        self.policy.restore(key, evidence, now);
    }

    /// See [`Policy::restore_edge`].
    pub fn restore_edge(&mut self, ends: [SourceKey; 2], edge: &KeptEdge) {
        self.policy.restore_edge(ends, edge);
    }

    /// See [`Policy::retire`].
    pub fn retire(&mut self, key: SourceKey, now: Timestamp) {
        self.change(key, Grade::Full, now);
        self.policy.retire(key);
    }

    /// See [`Policy::handle_tick`].
    pub fn handle_tick(&mut self, sensor: SensorKey, from: Timestamp, to: Timestamp, ok: bool) {
        self.policy.handle_tick(sensor, from, to, ok);
    }

    /// See [`Policy::handle_move`].
    pub fn handle_move(&mut self, key: SourceKey, sensor: SensorKey, now: Timestamp) {
        self.policy.handle_move(key, sensor, now);
    }

    /// What a source really showed: the policy gets what its grade would have left of it, and the
    /// rest is kept as missed, unless somebody else would have shown it.
    pub fn observe(&mut self, key: SourceKey, observation: &Observation<'_>) {
        let Some(grade) = self.policy.planned(key) else {
            self.policy.observe(key, observation);
            return;
        };
        if grade == Grade::Full {
            self.policy.observe(key, observation);
            return;
        }
        self.miss(grade, observation);
        let mut sightings = std::mem::take(&mut self.sightings);
        sightings.clear();
        let is_shown = |sighted: &&Sighted| grade.shows(class_of(sighted.kind));
        sightings.extend(observation.sightings.iter().filter(is_shown));
        if let Some(rest) = censor(grade, observation, &sightings) {
            self.policy.observe(key, &rest);
        }
        self.sightings = sightings;
    }

    fn miss(&mut self, grade: Grade, observation: &Observation<'_>) {
        for kind in EventKind::ALL
            .iter()
            .filter(|kind| !grade.shows(class_of(**kind)))
        {
            let peers = observation.sightings.iter().filter(|one| one.kind == *kind);
            let shown = peers.filter(|one| {
                let peer = self.policy.planned(one.peer);
                peer.is_some_and(|peer| peer.shows(class_of(*kind)))
            });
            let shown = u32::try_from(shown.count()).unwrap_or(u32::MAX);
            let count = observation.events[kind.index()].saturating_sub(shown);
            self.missed.events[kind.index()] += u64::from(count);
        }
    }

    /// An alert that was really raised: the policy hears of it if at least one whom it names would
    /// have been full; else it is missed.
    pub fn handle_alert(
        &mut self,
        sources: &[SourceKey],
        severe: bool,
        text: &str,
        now: Timestamp,
    ) {
        let is_full = |key: &SourceKey| self.policy.planned(*key) == Some(Grade::Full);
        if sources.iter().any(is_full) {
            for source in sources.iter().copied() {
                let alert = Event::Alert { source, severe };
                self.policy.handle_event(alert, now);
            }
            return;
        }
        let Some(source) = sources.first().copied() else {
            return;
        };
        self.missed.alerts_count += 1;
        if self.missed.alerts.len() < ALERTS_KEPT {
            self.missed.alerts.push(MissedAlert {
                at: now,
                source,
                severe,
                text: text.to_owned(),
            });
        }
    }

    /// See [`Policy::handle_event`]. An alert is taken as [`Self::handle_alert`] takes it; what
    /// others saw is told from observations, so sightings are not passed on.
    pub fn handle_event(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::Alert { source, severe } => self.handle_alert(&[source], severe, "", now),
            Event::PeerSighting { .. } | Event::NeverHit { .. } => {}
            Event::ConfigChanged { .. }
            | Event::Counters { .. }
            | Event::Pin { .. }
            | Event::Hold { .. }
            | Event::ResumeAll => self.policy.handle_event(event, now),
        }
    }

    /// See [`Policy::decide`]; wishes are granted at once, here, and told so that a ledger can
    /// count what they would have saved.
    pub fn decide(&mut self, now: Timestamp, prices: &dyn Prices, decisions: &mut dyn Decisions) {
        let mut granted = Granted {
            wishes: Vec::new(),
            decisions,
        };
        self.policy.decide(now, prices, &mut granted);
        for wish in granted.wishes {
            self.missed.pauses += u64::from(wish.lowers());
            self.change(wish.source, wish.grade, now);
            self.policy.handle_grade(wish.source, wish.grade, now, now);
        }
    }

    fn change(&mut self, key: SourceKey, grade: Grade, now: Timestamp) {
        let Some(row) = self.grades.get_mut(key.index()) else {
            return;
        };
        let (before, since) = std::mem::replace(row, (grade, now));
        let seconds = now.nanos_since(since) / 1_000_000_000;
        for class in EvidenceClass::ALL
            .into_iter()
            .filter(|one| !before.shows(*one))
        {
            self.missed.hidden_seconds[class.index()] += seconds;
        }
    }

    /// What would have been so far. Pauses that last are not yet in the hidden time.
    #[must_use]
    pub fn missed(&self) -> &Missed {
        &self.missed
    }

    /// The policy within, to look at.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
}

/// Keeps wishes while passing everything on.
struct Granted<'a> {
    wishes: Vec<Wish>,
    decisions: &'a mut dyn Decisions,
}

impl Decisions for Granted<'_> {
    fn wish(&mut self, wish: &Wish) {
        self.wishes.push(*wish);
        self.decisions.wish(wish);
    }

    fn kept(&mut self, kept: &Kept) {
        self.decisions.kept(kept);
    }
}

/// What a grade leaves of an observation; `None` if nothing.
fn censor<'a>(
    grade: Grade,
    observation: &Observation<'a>,
    sightings: &'a [Sighted],
) -> Option<Observation<'a>> {
    if grade == Grade::Off {
        return None;
    }
    let events = std::array::from_fn(|index| {
        let kind = EventKind::ALL[index];
        if grade.shows(class_of(kind)) {
            observation.events[index]
        } else {
            0
        }
    });
    let rest = Observation {
        events,
        sightings,
        ..*observation
    };
    if grade.shows(EvidenceClass::Flow) {
        return Some(rest);
    }
    let bytes = Bytes {
        dns_never: observation.bytes.dns_never,
        management: if grade.shows(EvidenceClass::Management) {
            observation.bytes.management
        } else {
            0
        },
        ..Bytes::default()
    };
    let kept = bytes.sum();
    // Which packets carried them is not known; that some did is all that anybody asks.
    (kept > 0 || events != [0; EventKind::COUNT]).then_some(Observation {
        packets: observation.packets.min(kept),
        bytes,
        ingress_bytes: observation.ingress_bytes.min(kept),
        egress_bytes: observation.egress_bytes.min(kept),
        edges: &[],
        edges_omitted: false,
        ..rest
    })
}
