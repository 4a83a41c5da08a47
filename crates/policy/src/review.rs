//! The sources whose turn it is: looked at one by one, lowered, refused at random, or kept.

use std::time::Duration;

use vxscope_units::Timestamp;

use crate::judge::{No, Review, Yes};
use crate::money::Prices;
use crate::policy::{Policy, nanos};
use crate::source::Rest;
use crate::{Cause, Decisions, Hindrance, Kept, SourceKey, Wish};

/// Sources looked at in one decision, at most; the others are looked at in the next one.
pub(crate) const REVIEWS_MAX: usize = 2_048;
/// A source that was not lowered is looked at again after a time drawn from this range, so that
/// sources do not move in step.
const AGAIN_NANOS: [f64; 2] = [300e9, 900e9];

impl Policy {
    pub(crate) fn review_due(
        &mut self,
        now: Timestamp,
        prices: &dyn Prices,
        decisions: &mut dyn Decisions,
    ) {
        let mut looked = 0;
        while looked < REVIEWS_MAX {
            let Some((at, key)) = self.reviews.take_due(now) else {
                return;
            };
            let source = &self.sources[key.index()];
            if source.live && source.review_at == at {
                self.review(key, now, prices, decisions);
                looked += 1;
            }
        }
        if self.reviews.next().is_some_and(|at| at <= now) {
            self.counts.reviews_deferred += 1;
        }
    }

    fn review(
        &mut self,
        key: SourceKey,
        now: Timestamp,
        prices: &dyn Prices,
        decisions: &mut dyn Decisions,
    ) {
        let parts = self.parts;
        let source = &mut self.sources[key.index()];
        source.window.advance(parts, now);
        source.edges.expire(now);
        match Review::new(self, key, now, prices).judge() {
            Ok(yes) => self.lower_or_refuse(key, &yes, now, decisions),
            Err(no) => self.keep(key, &no, now, decisions),
        }
    }

    fn keep(&mut self, key: SourceKey, no: &No, now: Timestamp, decisions: &mut dyn Decisions) {
        let hindrance = no.hindrance;
        let [low, high] = AGAIN_NANOS;
        let wait = nanos(self.random.between(low, high));
        // A source that fell out of its rhythm adds no steady demand until it is back in it.
        let stays = !matches!(
            hindrance,
            Hindrance::OnTime | Hindrance::PaidHour | Hindrance::GroupCycle | Hindrance::Settling
        );
        let source = &mut self.sources[key.index()];
        if stays && source.demand > 0 {
            self.admission.demand = self.admission.demand.saturating_sub(source.demand);
            source.demand = 0;
        }
        match hindrance {
            Hindrance::Relevant => source.failed = true,
            Hindrance::Residual | Hindrance::Saving => source.failed = false,
            _ => {}
        }
        let kept = Kept {
            source: key,
            at: now,
            grade: no.grade,
            importance: source.importance,
            hindrance,
            numbers: no.numbers,
        };
        if source.told.replace(hindrance) != Some(hindrance) {
            decisions.kept(&kept);
        }
        let again = no.again.filter(|at| *at > now);
        self.schedule_review(key, again.unwrap_or_else(|| now.plus_nanos(wait)));
    }

    /// Everything allows the pause; chance may still refuse it.
    fn lower_or_refuse(
        &mut self,
        key: SourceKey,
        yes: &Yes,
        now: Timestamp,
        decisions: &mut dyn Decisions,
    ) {
        let most = nanos_of(yes.blind_max) as f64;
        // Drawn in any case, so that a refusal changes nothing for anybody else.
        let until = now.plus_nanos(nanos(self.random.between(most / 2.0, most)));
        let refused = self.random.unit() < self.rules.limits.refusal;
        let source = &mut self.sources[key.index()];
        source.failed = false;
        self.ends.add(until, key);
        if refused {
            source.rest = Rest::Refused {
                until,
                grade: yes.grade,
                events: 0,
                refusal: yes.numbers.refusal,
            };
            source.told = Some(Hindrance::Honesty);
            decisions.kept(&Kept {
                source: key,
                at: now,
                grade: yes.grade,
                importance: source.importance,
                hindrance: Hindrance::Honesty,
                numbers: yes.numbers,
            });
            return;
        }
        let wish = Wish {
            source: key,
            at: now,
            from: source.observed,
            grade: yes.grade,
            until: Some(until),
            importance: source.importance,
            cause: Cause::Quiet,
            numbers: yes.numbers,
        };
        self.admission.demand += yes.demand.saturating_sub(source.demand);
        source.demand = source.demand.max(yes.demand);
        source.rest = Rest::Paused { until };
        source.planned = yes.grade;
        source.changes.push(now);
        source.told = None;
        let (group, cycle) = (source.group, self.rules.limits.cycle);
        self.set_lowered(key, true);
        self.groups.get_mut(group).count_in_cycle(cycle, now);
        self.honesty.grant();
        decisions.wish(&wish);
    }
}

fn nanos_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
