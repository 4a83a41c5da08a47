//! What of an attack was visible, by three measures that ask for more and more.

use std::ops::Range;

use vxscope_units::EvidenceClass;

use super::{Attack, Leg, Pattern};
use crate::timeline::{self, Timeline};

/// How much of an attack was visible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// L1: any packet of it.
    pub packet: bool,
    /// L2: the start of one of its flows.
    pub flow_start: bool,
    /// L3: enough of it in a row for a detector.
    pub evidence: bool,
}

/// What of the attack the timeline shows.
#[must_use]
pub fn sight(attack: &Attack, timeline: &Timeline) -> Sight {
    let mut sight = Sight::default();
    for leg in &attack.legs {
        let spans = visible(leg, leg.traffic, timeline);
        sight.packet |= spans.iter().any(|span| has_packet(leg, span));
        sight.flow_start |= spans.iter().any(|span| has_flow_start(leg, span));
        sight.evidence |= evidence_at(leg, timeline).is_some();
    }
    sight
}

/// When a detector has enough of the leg, if it ever has.
#[must_use]
pub fn evidence_at(leg: &Leg, timeline: &Timeline) -> Option<u64> {
    let spans = visible(leg, leg.evidence, timeline);
    spans.iter().find_map(|span| complete_at(leg, span))
}

/// Where a class of the leg's evidence is visible at either end.
fn visible(leg: &Leg, class: EvidenceClass, timeline: &Timeline) -> Vec<Range<u64>> {
    let own = timeline.visible(leg.source, class, &leg.span);
    match leg.peer {
        Some(peer) => timeline::union(own, timeline.visible(peer, class, &leg.span)),
        None => own,
    }
}

/// When the evidence in one visible span is complete.
fn complete_at(leg: &Leg, span: &Range<u64>) -> Option<u64> {
    match leg.pattern {
        Pattern::Steady(_) => {
            let at = span.start + leg.needed;
            (at <= span.end).then_some(at)
        }
        Pattern::Bursts { period, burst } => {
            let first = (span.start - leg.span.start).div_ceil(period);
            let bursts = leg.needed.saturating_sub(burst) / period;
            let last = first + bursts.max(1) - 1;
            let at = leg.span.start + last * period + burst;
            (at <= span.end).then_some(at)
        }
    }
}

fn has_packet(leg: &Leg, span: &Range<u64>) -> bool {
    match leg.pattern {
        Pattern::Steady(_) => span.start < span.end,
        Pattern::Bursts { period, burst } => {
            let since = span.start - leg.span.start;
            since % period < burst || next(since, period) + leg.span.start < span.end
        }
    }
}

fn has_flow_start(leg: &Leg, span: &Range<u64>) -> bool {
    let since = span.start - leg.span.start;
    match leg.pattern {
        Pattern::Steady(None) => since == 0,
        Pattern::Steady(Some(period)) | Pattern::Bursts { period, .. } => {
            next(since, period) + leg.span.start < span.end
        }
    }
}

/// The first multiple of `period` at or after `since`.
const fn next(since: u64, period: u64) -> u64 {
    since.div_ceil(period) * period
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::Kind;
    use crate::fleet::{Fleet, STANDARD, Spec};
    use crate::time::MINUTE;
    use vxscope_units::Grade;

    const STEADY: Pattern = Pattern::Steady(None);
    const BEACON: Pattern = Pattern::Bursts {
        period: 10 * MINUTE,
        burst: MINUTE,
    };

    #[test]
    fn evidence_needs_its_length_in_a_row() {
        // Visible before minute 10, from 20 to 30 and after 60; the attack lasts 5..55.
        check(STEADY, 10, Some(30));
        check(STEADY, 5, Some(10));
        check(STEADY, 11, None);
    }

    #[test]
    fn bursts_count_whole() {
        // Bursts begin at 5, 15, 25, 35 and 45; those of 5 and 25 are visible.
        check(BEACON, 11, Some(6));
        check(BEACON, 21, None);
    }

    #[test]
    fn a_peer_shows_what_the_source_does_not() {
        let (fleet, mut timeline) = stage();
        timeline.set(1, 0, Grade::Off);
        assert!(fleet.sources[1].alive.start == 0);
        let mut leg = leg(STEADY, 11 * MINUTE);
        leg.peer = Some(1);
        assert_eq!(evidence_at(&leg, &timeline), None);
        leg.peer = Some(2);
        assert_eq!(evidence_at(&leg, &timeline), Some(16 * MINUTE));
    }

    #[test]
    fn levels_ask_for_more_and_more() {
        let (_, timeline) = stage();
        let seen = |span: Range<u64>, pattern| {
            let mut leg = leg(pattern, 8 * MINUTE);
            leg.span = span.start * MINUTE..span.end * MINUTE;
            let attack = Attack {
                kind: Kind::Scan,
                legs: vec![leg],
                signs: Vec::new(),
                precursors: false,
            };
            let sight = sight(&attack, &timeline);
            [sight.packet, sight.flow_start, sight.evidence]
        };
        assert_eq!(seen(12..19, STEADY), [false, false, false]);
        assert_eq!(seen(12..22, STEADY), [true, false, false]);
        assert_eq!(seen(8..12, STEADY), [true, true, false]);
        assert_eq!(seen(1..12, STEADY), [true, true, true]);
        assert_eq!(seen(12..29, BEACON), [true, true, true]);
        assert_eq!(seen(11..19, BEACON), [false, false, false]);
    }

    fn stage() -> (Fleet, Timeline) {
        let fleet = Fleet::new(Spec::parse(STANDARD).expect("well-formed"), 10, 1, 1);
        let mut timeline = Timeline::new(&fleet, |_| Grade::Full);
        for (minute, grade) in [
            (10, Grade::Off),
            (20, Grade::Full),
            (30, Grade::Off),
            (60, Grade::Full),
        ] {
            timeline.set(0, minute * MINUTE, grade);
        }
        (fleet, timeline)
    }

    fn leg(pattern: Pattern, needed: u64) -> Leg {
        Leg {
            source: 0,
            peer: None,
            span: 5 * MINUTE..55 * MINUTE,
            traffic: EvidenceClass::Flow,
            evidence: EvidenceClass::Flow,
            pattern,
            needed,
        }
    }

    fn check(pattern: Pattern, needed: u64, expected: Option<u64>) {
        let (_, timeline) = stage();
        let found = evidence_at(&leg(pattern, needed * MINUTE), &timeline);
        assert_eq!(
            found.map(|at| at / MINUTE),
            expected,
            "{pattern:?} {needed}"
        );
    }
}
