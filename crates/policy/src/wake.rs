//! What wakes a source that is hidden: alerts, sightings, counters, the operator.

use vxscope_units::{EvidenceClass, Timestamp};

use crate::event::{IDLE_BYTES, MOVED_BYTES, MOVED_TIMES};
use crate::policy::Policy;
use crate::source::{PinKind, Rest};
use crate::window::plus;
use crate::{Cause, Event, SourceKey};

impl Policy {
    /// Something that happened beside traffic.
    pub fn handle_event(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::Alert { source, severe } => {
                if self.get(source).is_some() {
                    self.pin_alert(source, severe, now);
                    self.wake(source, Cause::Alert);
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

    pub(crate) fn pin_alert(&mut self, key: SourceKey, severe: bool, now: Timestamp) {
        let limits = &self.rules.limits;
        let length = if severe {
            limits.severe_pin
        } else {
            limits.alert_pin
        };
        self.hold_alert_pin(key, plus(now, length), now);
    }

    /// An alert keeps a source full until then.
    pub(crate) fn hold_alert_pin(&mut self, key: SourceKey, end: Timestamp, now: Timestamp) {
        let source = &mut self.sources[key.index()];
        let before = source.pins.of(PinKind::Alert);
        source.pins.prolong(PinKind::Alert, end);
        let until = source.pins.of(PinKind::Alert);
        if until != before {
            self.alert_pins.add(until, key);
        }
        if !source.alert_counted && until > now {
            source.alert_counted = true;
            self.alert_pinned += 1;
        }
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
        let moved = hourly > (source.rates.sum() * MOVED_TIMES).max(MOVED_BYTES);
        if source.hides_flows() && moved {
            self.wake(key, Cause::CountersMoved);
        } else if !source.observed.shows(EvidenceClass::Flow) {
            // Silence is what a hidden source is expected to show.
        } else if hourly <= IDLE_BYTES {
            source.confirm_idle(to, &sensor, parts);
        } else if source.was_silent_since(from) {
            source.miss(from, to, parts, &sensor);
        }
    }

    pub(crate) fn wake_known(&mut self, key: SourceKey, cause: Cause) {
        if self.get(key).is_some() {
            self.wake(key, cause);
        }
    }

    pub(crate) fn wake_all(&mut self, cause: Cause) {
        for key in self.keys() {
            self.wake(key, cause);
        }
    }

    /// Raises a source at the next decision, or ends the pause that it was refused; others are
    /// full anyway.
    pub(crate) fn wake(&mut self, key: SourceKey, cause: Cause) {
        let source = &mut self.sources[key.index()];
        let rests = source.rest != Rest::None || source.is_down();
        if rests && source.woken.is_none() {
            source.woken = Some(cause);
            self.woken.push(key);
        }
    }
}
