//! What is due: sources that were woken, pauses that end, sources to look at again.

use vxscope_units::{Grade, Timestamp};

use crate::money::Prices;
use crate::policy::Policy;
use crate::source::{PinKind, Rest};
use crate::watch::RAISE_AGAIN_NANOS;
use crate::window::plus;
use crate::{Cause, Decisions, Numbers, SourceKey, Wish};

impl Policy {
    /// Everything that is due: sources that were woken, pauses that end, and a bounded number of
    /// sources that may be worth lowering.
    pub fn decide(&mut self, now: Timestamp, prices: &dyn Prices, decisions: &mut dyn Decisions) {
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
            let source = &mut self.sources[key.index()];
            if source.alert_counted && source.pins.of(PinKind::Alert) == at {
                source.alert_counted = false;
                self.alert_pinned -= 1;
            }
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
    pub(crate) fn end(
        &mut self,
        key: SourceKey,
        cause: Cause,
        now: Timestamp,
        decisions: &mut dyn Decisions,
    ) {
        let source = &mut self.sources[key.index()];
        let rest = std::mem::take(&mut source.rest);
        if let Rest::Refused {
            events, refusal, ..
        } = rest
        {
            self.honesty.record(refusal, events);
            // As if it had been raised: the next pause is as far away as after a granted one.
            source.on_nanos = 0;
            let review_at = plus(now, source.terms.on_min);
            self.schedule_review(key, review_at);
        }
        let source = &mut self.sources[key.index()];
        let is_wished = source.planned == Grade::Full
            && now.nanos_since(source.raise_wished) < RAISE_AGAIN_NANOS;
        if !source.is_down() || is_wished {
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
            numbers: Numbers::NONE,
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
}
