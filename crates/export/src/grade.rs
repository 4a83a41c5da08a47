//! What of a source was mirrored when: grade changes in `eve.json`, and marks on the flow records
//! of that time, so that an analyst can tell "not seen" from "not mirrored".

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;
use vxscope_flow::FlowRecord;
use vxscope_units::{EvidenceClass, Grade, GradeMark, MirrorSource, Timestamp};

use crate::eve::number;
use crate::text::{push_address, push_micros, push_time, text};

/// Changes remembered of one source. A day has at most 24 by default; of older ones nothing is
/// known, and flows that began before them are marked by what is.
pub const CHANGES_KEPT: usize = 256;

/// A mirror session has another grade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GradeChange {
    /// When.
    pub at: Timestamp,
    /// Whose.
    pub source: MirrorSource,
    /// The mirrored interface.
    pub interface: String,
    /// The grade before.
    pub from: Grade,
    /// The grade since then.
    pub grade: Grade,
    /// Why, in one word of small letters and `_`.
    pub reason: Cow<'static, str>,
}

/// Every source's grades.
#[derive(Clone, Debug, Default)]
pub struct GradeBook {
    changes: BTreeMap<MirrorSource, VecDeque<(Timestamp, Grade)>>,
    forgotten: u64,
}

impl GradeBook {
    /// Notes a change. They come in the order of time for each source.
    pub fn note(&mut self, change: &GradeChange) {
        let changes = self.changes.entry(change.source).or_default();
        if changes.len() == CHANGES_KEPT {
            changes.pop_front();
            self.forgotten += 1;
        }
        changes.push_back((change.at, change.grade));
    }

    /// Changes that were forgotten for newer ones.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// What a source had from one time to another; `None` if it was full all the time.
    #[must_use]
    pub fn mark(&self, source: MirrorSource, from: Timestamp, to: Timestamp) -> Option<GradeMark> {
        let mut mark = GradeMark {
            grade: Grade::Full,
            not_mirrored: Duration::ZERO,
        };
        for (begin, end, grade) in self.spans(source, to) {
            if end < from || begin > to {
                continue;
            }
            mark.grade = mark.grade.min(grade);
            if !grade.shows(EvidenceClass::Flow) {
                let nanos = end.min(to).nanos_since(begin.max(from));
                mark.not_mirrored += Duration::from_nanos(nanos);
            }
        }
        (mark.grade < Grade::Full).then_some(mark)
    }

    /// How long a class of evidence of each source was not mirrored, all together, until `to`.
    #[must_use]
    pub fn blind(&self, class: EvidenceClass, to: Timestamp) -> Duration {
        let spans = self
            .changes
            .keys()
            .flat_map(|source| self.spans(*source, to));
        let hidden = spans.filter(|(_, _, grade)| !grade.shows(class));
        let nanos = hidden.map(|(begin, end, _)| end.nanos_since(begin));
        nanos.map(Duration::from_nanos).sum()
    }

    /// Begin, end and grade of each time, the last until `to`.
    fn spans(
        &self,
        source: MirrorSource,
        to: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, Timestamp, Grade)> + '_ {
        let changes = self.changes.get(&source);
        let all = changes.into_iter().flatten();
        let next = changes
            .into_iter()
            .flatten()
            .skip(1)
            .map(|(at, _)| *at)
            .chain([to]);
        all.zip(next)
            .map(move |((begin, grade), end)| (*begin, end.min(to).max(*begin), *grade))
    }
}

/// Appends a record of the event type `vxscope` and a newline.
pub fn write_grade_change(out: &mut Vec<u8>, change: &GradeChange) {
    let vni = u64::from(change.source.vni.get());
    text(out, "{\"timestamp\":\"");
    push_time(out, change.at);
    number(out, "\",\"in_iface\":\"vni-", vni);
    number(out, "\",\"event_type\":\"vxscope\",\"vni\":", vni);
    text(out, ",\"outer_ip\":\"");
    push_address(out, change.source.address);
    text(out, "\",\"vxscope\":{\"event\":\"grade\",\"from\":\"");
    text(out, change.from.name());
    text(out, "\",\"grade\":\"");
    text(out, change.grade.name());
    text(out, "\",\"reason\":\"");
    text(out, &change.reason);
    text(out, "\",\"hidden\":[");
    let hidden = EvidenceClass::ALL.into_iter();
    for (place, class) in hidden
        .filter(|class| !change.grade.shows(*class))
        .enumerate()
    {
        text(out, if place == 0 { "\"" } else { ",\"" });
        text(out, class.name());
        text(out, "\"");
    }
    text(out, "],\"interface\":");
    // Writing to memory cannot fail, and any text is JSON once it is escaped.
    let _ = serde_json::to_writer(&mut *out, &change.interface);
    text(out, "}}\n");
}

/// Appends a mark to a flow record that is being written.
pub(crate) fn push_mark(out: &mut Vec<u8>, mark: &GradeMark) {
    text(out, ",\"vxscope\":{\"grade\":\"");
    text(out, mark.grade.name());
    text(out, "\",\"not_mirrored_seconds\":");
    push_micros(out, micros(mark));
    text(out, "}");
}

/// A mark as an object in formats that are written as a whole: the same names everywhere.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Marked {
    grade: &'static str,
    not_mirrored_seconds: f64,
}

impl Marked {
    /// What a record is marked with, if it is.
    pub(crate) fn of(record: &FlowRecord) -> Option<Self> {
        record.mark.map(|mark| Self {
            grade: mark.grade.name(),
            not_mirrored_seconds: micros(&mark) as f64 / 1e6,
        })
    }
}

/// How much was not mirrored, in microseconds.
pub(crate) fn micros(mark: &GradeMark) -> u64 {
    u64::try_from(mark.not_mirrored.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::source;
    use serde_json::Value;

    #[test]
    fn a_flow_is_marked_by_the_lowest_grade_of_its_time() {
        let book = book();
        let table = [
            (0, 9, None),
            (0, 10, Some((Grade::Off, 0))),
            (0, 15, Some((Grade::Off, 5))),
            (12, 14, Some((Grade::Off, 2))),
            (0, 100, Some((Grade::Off, 10))),
            (21, 29, Some((Grade::Truncated, 0))),
            (25, 100, Some((Grade::Truncated, 0))),
            (31, 100, None),
        ];
        for (from, to, expected) in table {
            let mark = book.mark(source(7), at(from), at(to));
            let mark = mark.map(|mark| (mark.grade, mark.not_mirrored.as_secs()));
            assert_eq!(mark, expected, "{from} to {to}");
        }
        assert_eq!(book.mark(source(8), at(0), at(100)), None);
    }

    #[test]
    fn blind_time_is_counted_by_class() {
        let book = book();
        let blind = |class| book.blind(class, at(100)).as_secs();
        assert_eq!(blind(EvidenceClass::Payload), 20);
        assert_eq!(blind(EvidenceClass::Flow), 10);
        assert_eq!(book.blind(EvidenceClass::Flow, at(15)).as_secs(), 5);
    }

    #[test]
    fn old_changes_are_forgotten_and_counted() {
        let mut book = GradeBook::default();
        for second in 0..CHANGES_KEPT as u64 + 3 {
            book.note(&change(second, Grade::Full, Grade::Off));
        }
        assert_eq!(book.forgotten(), 3);
    }

    #[test]
    fn a_change_is_a_line_of_json() {
        let mut out = Vec::new();
        let mut change = change(1, Grade::Full, Grade::Essential);
        change.interface = "eni-\"x\"".to_owned();
        write_grade_change(&mut out, &change);
        let line = String::from_utf8(out).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        let json: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json["event_type"], "vxscope");
        assert_eq!(json["timestamp"], "1970-01-01T00:00:01.000000+0000");
        assert_eq!(json["vxscope"]["interface"], "eni-\"x\"");
        assert_eq!(
            json["vxscope"]["hidden"],
            serde_json::json!(["payload", "flow"])
        );
    }

    fn book() -> GradeBook {
        let mut book = GradeBook::default();
        book.note(&change(10, Grade::Full, Grade::Off));
        book.note(&change(20, Grade::Off, Grade::Truncated));
        book.note(&change(30, Grade::Truncated, Grade::Full));
        book
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::new(seconds, 0)
    }

    fn change(seconds: u64, from: Grade, grade: Grade) -> GradeChange {
        GradeChange {
            at: at(seconds),
            source: source(7),
            interface: "eni-1".to_owned(),
            from,
            grade,
            reason: "quiet".into(),
        }
    }
}
