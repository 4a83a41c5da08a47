//! Which grade every source had when, and what that left visible.

use std::ops::Range;

use vxscope_units::{EvidenceClass, Grade};

use crate::fleet::Fleet;

/// The grades of every source over its life, as they took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// By source: times of change in order, each with the grade from then on.
    changes: Vec<Vec<(u64, Grade)>>,
    /// By source: until when it exists.
    ends: Vec<u64>,
}

/// A stretch of time at one grade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// When.
    pub span: Range<u64>,
    /// Which grade.
    pub grade: Grade,
}

impl Timeline {
    /// Every source at the grade that `grade` gives its index, from its creation on.
    #[must_use]
    pub fn new(fleet: &Fleet, mut grade: impl FnMut(u32) -> Grade) -> Self {
        Self {
            changes: (0_u32..)
                .zip(&fleet.sources)
                .map(|(index, source)| vec![(source.alive.start, grade(index))])
                .collect(),
            ends: fleet
                .sources
                .iter()
                .map(|source| source.alive.end)
                .collect(),
        }
    }

    /// From a time on, not before the last change, the source has that grade. A change at or after
    /// the end of its life changes nothing.
    pub fn set(&mut self, source: u32, at: u64, grade: Grade) {
        let changes = &mut self.changes[source as usize];
        debug_assert!(changes.last().is_none_or(|(last, _)| *last <= at));
        if at >= self.ends[source as usize]
            || changes.last().is_some_and(|(_, last)| *last == grade)
        {
            return;
        }
        if changes.last().is_some_and(|(last, _)| *last == at) {
            changes.pop();
        }
        if changes.last().is_none_or(|(_, last)| *last != grade) {
            changes.push((at, grade));
        }
    }

    /// The grade at that time; before its creation the first one.
    #[must_use]
    pub fn grade(&self, source: u32, at: u64) -> Grade {
        let changes = &self.changes[source as usize];
        let after = changes.partition_point(|(from, _)| *from <= at);
        changes[after.saturating_sub(1)].1
    }

    /// How many sources there are.
    #[must_use]
    pub fn sources(&self) -> u32 {
        u32::try_from(self.changes.len()).unwrap_or(u32::MAX)
    }

    /// The stretches of a source's life, in order.
    pub fn stretches(&self, source: u32) -> impl Iterator<Item = Stretch> + '_ {
        let changes = &self.changes[source as usize];
        let end = self.ends[source as usize];
        let ends = changes.iter().skip(1).map(|(at, _)| *at).chain([end]);
        changes.iter().zip(ends).map(|((from, grade), to)| Stretch {
            span: *from..to,
            grade: *grade,
        })
    }

    /// The spans in which a class of evidence of the source is visible, cut to `within` and
    /// joined where they touch.
    #[must_use]
    pub fn visible(
        &self,
        source: u32,
        class: EvidenceClass,
        within: &Range<u64>,
    ) -> Vec<Range<u64>> {
        self.spans(source, within, |grade| grade.shows(class))
    }

    /// The spans in which it is not.
    #[must_use]
    pub fn blind(&self, source: u32, class: EvidenceClass, within: &Range<u64>) -> Vec<Range<u64>> {
        self.spans(source, within, |grade| !grade.shows(class))
    }

    fn spans(
        &self,
        source: u32,
        within: &Range<u64>,
        wanted: impl Fn(Grade) -> bool,
    ) -> Vec<Range<u64>> {
        let changes = &self.changes[source as usize];
        let end = self.ends[source as usize].min(within.end);
        let first = changes
            .partition_point(|(from, _)| *from <= within.start)
            .saturating_sub(1);
        let mut spans: Vec<Range<u64>> = Vec::new();
        for (index, (from, grade)) in changes.iter().enumerate().skip(first) {
            let from = (*from).max(within.start);
            let to = changes.get(index + 1).map_or(end, |(at, _)| *at).min(end);
            if from >= end {
                break;
            }
            if from >= to || !wanted(*grade) {
                continue;
            }
            match spans.last_mut() {
                Some(last) if last.end == from => last.end = to,
                _ => spans.push(from..to),
            }
        }
        spans
    }
}

/// Both lists of spans in one, joined where they touch or overlap.
#[must_use]
pub(crate) fn union(mut one: Vec<Range<u64>>, other: Vec<Range<u64>>) -> Vec<Range<u64>> {
    if other.is_empty() {
        return one;
    }
    one.extend(other);
    one.sort_by_key(|span| span.start);
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(one.len());
    for span in one {
        match joined.last_mut() {
            Some(last) if last.end >= span.start => last.end = last.end.max(span.end),
            _ => joined.push(span),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{STANDARD, Spec};

    #[test]
    fn spans_are_cut_and_joined() {
        let fleet = Fleet::new(Spec::parse(STANDARD).unwrap(), 10, 1, 1);
        let mut timeline = Timeline::new(&fleet, |_| Grade::Full);
        let source = (0..10)
            .find(|source| fleet.sources[*source as usize].alive == (0..fleet.end))
            .unwrap();
        timeline.set(source, 100, Grade::Truncated);
        timeline.set(source, 200, Grade::Off);
        timeline.set(source, 300, Grade::Full);
        timeline.set(source, 300, Grade::Off);
        timeline.set(source, 400, Grade::Sentinel);
        let check = |class, within: Range<u64>, expected: &[[u64; 2]]| {
            let visible = timeline.visible(source, class, &within);
            let found: Vec<_> = visible.iter().map(|span| [span.start, span.end]).collect();
            assert_eq!(found, expected);
            let blind = timeline.blind(source, class, &within);
            let both = visible.iter().chain(&blind);
            let sum: u64 = both.map(|span| span.end - span.start).sum();
            assert_eq!(sum, within.end - within.start);
        };
        check(EvidenceClass::Payload, 50..500, &[[50, 100]]);
        check(EvidenceClass::Flow, 50..500, &[[50, 200]]);
        check(EvidenceClass::DnsNever, 150..500, &[[150, 200], [400, 500]]);
        check(EvidenceClass::DnsNever, 210..290, &[]);
        assert_eq!(timeline.grade(source, 399), Grade::Off);
        assert_eq!(timeline.stretches(source).count(), 4);
        timeline.set(source, fleet.end, Grade::Full);
        assert_eq!(timeline.stretches(source).count(), 4);
    }

    #[test]
    fn unions_join_what_touches() {
        check_union(
            &[[0, 2], [5, 6]],
            &[[2, 3], [8, 9]],
            &[[0, 3], [5, 6], [8, 9]],
        );
        check_union(&[[0, 9]], &[[2, 3]], &[[0, 9]]);
        check_union(&[], &[], &[]);
    }

    fn check_union(one: &[[u64; 2]], other: &[[u64; 2]], expected: &[[u64; 2]]) {
        let spans = |pairs: &[[u64; 2]]| pairs.iter().map(|[from, to]| *from..*to).collect();
        let joined: Vec<Range<u64>> = spans(expected);
        assert_eq!(union(spans(one), spans(other)), joined);
    }
}
