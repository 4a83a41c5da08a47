//! Who decides: the policy, or a shadow of it whose wishes come true only there.

use std::time::Duration;

use vxscope_policy::rules::{Mode, Rules, SourceFacts};
use vxscope_policy::{
    Decisions, Event, Evidence, KeptEdge, Missed, Observation, Observer, Policy, SensorKey, Shadow,
    SourceKey, money,
};
use vxscope_units::{Grade, Timestamp};

/// See the module.
#[derive(Debug)]
pub(crate) enum Mind {
    Real(Box<Policy>),
    Shadow(Box<Shadow>),
}

impl Mind {
    pub(crate) fn new(rules: Rules, seed: u64) -> Self {
        if rules.mode == Mode::Shadow {
            Self::Shadow(Box::new(Shadow::new(rules, seed)))
        } else {
            Self::Real(Box::new(Policy::new(rules, seed)))
        }
    }

    pub(crate) fn policy(&self) -> &Policy {
        match self {
            Self::Real(policy) => policy,
            Self::Shadow(shadow) => shadow.policy(),
        }
    }

    /// What the shadow would have missed.
    pub(crate) fn missed(&self) -> Option<&Missed> {
        match self {
            Self::Real(_) => None,
            Self::Shadow(shadow) => Some(shadow.missed()),
        }
    }

    pub(crate) fn enroll(&mut self, facts: &SourceFacts<'_>, now: Timestamp) -> Option<SourceKey> {
        match self {
            Self::Real(policy) => policy.enroll(facts, Grade::Full, now),
            Self::Shadow(shadow) => shadow.enroll(facts, now),
        }
    }

    /// What an earlier run had learned of a source that was just enrolled.
    pub(crate) fn restore(&mut self, key: SourceKey, evidence: &Evidence, now: Timestamp) {
        match self {
            Self::Real(policy) => policy.restore(key, evidence, now),
            Self::Shadow(shadow) => shadow.restore(key, evidence, now),
        }
    }

    pub(crate) fn restore_edge(&mut self, ends: [SourceKey; 2], edge: &KeptEdge) {
        match self {
            Self::Real(policy) => policy.restore_edge(ends, edge),
            Self::Shadow(shadow) => shadow.restore_edge(ends, edge),
        }
    }

    pub(crate) fn retire(&mut self, key: SourceKey, now: Timestamp) {
        match self {
            Self::Real(policy) => policy.retire(key),
            Self::Shadow(shadow) => shadow.retire(key, now),
        }
    }

    pub(crate) fn handle_event(&mut self, event: Event, now: Timestamp) {
        match self {
            Self::Real(policy) => policy.handle_event(event, now),
            Self::Shadow(shadow) => shadow.handle_event(event, now),
        }
    }

    /// What is really so; the shadow knows its own truth.
    pub(crate) fn handle_grade(&mut self, key: SourceKey, grade: Grade, now: Timestamp) {
        if let Self::Real(policy) = self {
            policy.handle_grade(key, grade, now, now);
        }
    }

    /// A source that was just enrolled is lowered already; the shadow lowers nothing.
    pub(crate) fn adopt(&mut self, key: SourceKey, grade: Grade, due_in: Duration, now: Timestamp) {
        if let Self::Real(policy) = self {
            policy.adopt(key, grade, due_in, now);
        }
    }

    pub(crate) fn handle_refusal(&mut self, key: SourceKey, now: Timestamp) {
        if let Self::Real(policy) = self {
            policy.handle_refusal(key, now);
        }
    }

    pub(crate) fn decide(
        &mut self,
        now: Timestamp,
        prices: &dyn money::Prices,
        decisions: &mut dyn Decisions,
    ) {
        match self {
            Self::Real(policy) => policy.decide(now, prices, decisions),
            Self::Shadow(shadow) => shadow.decide(now, prices, decisions),
        }
    }
}

impl Observer for Mind {
    fn handle_tick(&mut self, sensor: SensorKey, from: Timestamp, to: Timestamp, loss_free: bool) {
        match self {
            Self::Real(policy) => policy.handle_tick(sensor, from, to, loss_free),
            Self::Shadow(shadow) => shadow.handle_tick(sensor, from, to, loss_free),
        }
    }

    fn handle_move(&mut self, source: SourceKey, sensor: SensorKey, now: Timestamp) {
        match self {
            Self::Real(policy) => policy.handle_move(source, sensor, now),
            Self::Shadow(shadow) => shadow.handle_move(source, sensor, now),
        }
    }

    fn observe(&mut self, source: SourceKey, observation: &Observation<'_>) {
        match self {
            Self::Real(policy) => policy.observe(source, observation),
            Self::Shadow(shadow) => shadow.observe(source, observation),
        }
    }
}
