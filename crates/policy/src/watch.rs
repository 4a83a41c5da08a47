//! What sensors and control tell: ticks, observations, grades that are really so.

use std::time::Duration;

use vxscope_report::EventKind;
use vxscope_units::{EvidenceClass, Grade, Timestamp};

use crate::observation::{by_class, class_of};
use crate::policy::{Policy, nanos};
use crate::relevance::Relevance;
use crate::sensor::{Sensor, SensorKey};
use crate::source::Rest;
use crate::window::plus;
use crate::{Cause, Observation, SourceKey};

/// After this long a raise that control has not shown is wished again.
pub(crate) const RAISE_AGAIN_NANOS: u64 = 60_000_000_000;

impl Policy {
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

    pub(crate) fn lose_edges(&mut self, key: SourceKey, at: Timestamp) {
        let until = at.plus_nanos(86_400 * 1_000_000_000);
        self.sources[key.index()].edges_unknown_until = until;
    }

    fn observe_edge(&mut self, key: SourceKey, peer: SourceKey, at: Timestamp) {
        if key == peer || self.get(peer).is_none() {
            return;
        }
        // For the other end it is an edge that somebody else shows.
        let own = self.sources[key.index()].edges.touch(peer, at);
        let others = self.sources[peer.index()].edges.touch_shown(key, at);
        for (end, kept_all) in [(key, own), (peer, others)] {
            if !kept_all {
                self.counts.edges_forgotten += 1;
                self.lose_edges(end, at);
            }
        }
        // Seen late, or through the little that is left of one end.
        if self.is_flow_blind(key) && self.is_flow_blind(peer) {
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
        self.reconsider(key, &alone, at);
        let source = &self.sources[key.index()];
        // What a refused pause would have hidden must not end it, or its count would be too small.
        let notices = match source.rest {
            Rest::Refused { grade, .. } => grade,
            Rest::None | Rest::Paused { .. } => Grade::Full,
        };
        let happened =
            |kind: EventKind| observation.events[kind.index()] > 0 && notices.shows(class_of(kind));
        if happened(EventKind::NeverHit) {
            self.wake(key, Cause::NeverHit);
        }
        if observation.events[EventKind::Alert.index()] > 0 {
            self.pin_alert(key, false, at);
        }
        if happened(EventKind::Alert) {
            self.wake(key, Cause::Alert);
        }
    }

    /// Raises a source that a late report shows to be more relevant than it may be.
    fn reconsider(&mut self, key: SourceKey, events: &[u32; EvidenceClass::COUNT], now: Timestamp) {
        let source = &self.sources[key.index()];
        let grade = source.planned;
        let is_hidden = |class: &EvidenceClass| events[class.index()] > 0 && !grade.shows(*class);
        let relevance = Relevance {
            policy: self,
            source,
            now,
        };
        if EvidenceClass::ALL.iter().any(is_hidden) && relevance.forbids(grade) {
            self.wake(key, Cause::Relevant);
        }
    }

    /// What control says is so: the grade that a source's session really has, and since when.
    pub fn handle_grade(&mut self, key: SourceKey, grade: Grade, since: Timestamp, now: Timestamp) {
        let Some(sensor) = self.get(key).map(|source| source.sensor) else {
            return;
        };
        let sensor = self.sensor(sensor);
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
        let (planned, wished) = (source.planned, source.raise_wished);
        if grade < Grade::Full {
            self.set_lowered(key, true);
        }
        if grade < planned {
            if now.nanos_since(wished) >= RAISE_AGAIN_NANOS {
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

    /// A source that was just enrolled has been lowered by an earlier run: its pause goes on, and
    /// ends within `due_in`, when the gate would end it, at a moment that is drawn as that of any
    /// other pause.
    pub fn adopt(&mut self, key: SourceKey, grade: Grade, due_in: Duration, now: Timestamp) {
        let Some(source) = self.get(key).filter(|_| grade < Grade::Full) else {
            return;
        };
        let Some(longest) = source.terms.blind_max_of(grade) else {
            return;
        };
        source.planned = grade;
        source.observed = grade;
        for class in EvidenceClass::ALL {
            let hidden = (!grade.shows(class)).then_some(now);
            source.blind_since[class.index()] = hidden;
        }
        let in_nanos = |time: Duration| time.as_secs_f64() * 1e9;
        let earliest = in_nanos(due_in.saturating_sub(longest / 2));
        let until = nanos(self.random.between(earliest, in_nanos(due_in)));
        let until = now.plus_nanos(until);
        self.sources[key.index()].rest = Rest::Paused { until };
        self.ends.add(until, key);
        self.set_lowered(key, true);
    }

    /// Control or the gate has refused to lower a source, or has brought it back before its time:
    /// the policy no longer plans to have it lower.
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
}
