//! How much of a time was seen: one row a source, for whoever has to show it.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use vxscope_units::{EvidenceClass, Grade};

use crate::book::{Book, Sight, Source, Span};
use crate::calendar::stamp;

/// A timeline, added up.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Share {
    /// Seconds by [`Sight`].
    pub seconds: BTreeMap<&'static str, f64>,
    /// Seconds by grade, while somebody was there.
    pub grades: BTreeMap<String, f64>,
    /// Seconds in which nothing was mirrored or seen, by cause.
    pub causes: BTreeMap<String, f64>,
    /// Percent of the time in which each class of evidence was visible, loss included.
    pub visible_percent: BTreeMap<&'static str, f64>,
    /// Datagrams lost meanwhile, of all sources together.
    pub lost: u64,
}

impl Share {
    /// Adds spans up.
    #[must_use]
    pub fn of(spans: &[Span]) -> Self {
        let mut share = Self::default();
        let all: u64 = spans.iter().map(Span::micros).sum();
        for span in spans {
            let seconds = seconds(span.micros());
            *share.seconds.entry(span.sight.name()).or_default() += seconds;
            if !span.grade.is_empty() {
                *share.grades.entry(span.grade.clone()).or_default() += seconds;
            }
            if matches!(span.sight, Sight::NotMirrored | Sight::NotSeen) {
                *share.causes.entry(span.cause.clone()).or_default() += seconds;
            }
            share.lost += span.lost;
        }
        for class in EvidenceClass::ALL {
            let visible = spans.iter().filter(|span| shows(span, class));
            let visible: u64 = visible.map(Span::micros).sum();
            let percent = 100.0 * visible as f64 / all.max(1) as f64;
            share.visible_percent.insert(class.name(), percent);
        }
        share
    }
}

fn shows(span: &Span, class: EvidenceClass) -> bool {
    let is_received = matches!(span.sight, Sight::Mirrored | Sight::Lossy);
    is_received && Grade::from_name(&span.grade).is_some_and(|grade| grade.shows(class))
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// A row for each source, with a head: what was seen of it between two times.
#[must_use]
pub fn csv(book: &Book, from: u64, to: u64) -> String {
    let mut text = String::from("source,vni,interface,from,to");
    for sight in Sight::ALL {
        let _ = write!(text, ",{}_seconds", sight.name());
    }
    for class in EvidenceClass::ALL {
        let _ = write!(text, ",{}_visible_percent", class.name());
    }
    text.push_str(",lost_packets\n");
    for (source, interface) in book.sources() {
        row(&mut text, book, source, interface, (from, to));
    }
    text
}

fn row(text: &mut String, book: &Book, source: Source, interface: &str, (from, to): (u64, u64)) {
    let share = Share::of(&book.timeline(source, from, to));
    let (address, vni) = source;
    let (begin, end) = (stamp(from), stamp(to));
    let _ = write!(text, "{address},{vni},{},{begin},{end}", quoted(interface));
    for sight in Sight::ALL {
        let seconds = share.seconds.get(sight.name()).copied().unwrap_or(0.0);
        let _ = write!(text, ",{seconds:.3}");
    }
    for class in EvidenceClass::ALL {
        let percent = share.visible_percent.get(class.name());
        let _ = write!(text, ",{:.4}", percent.copied().unwrap_or(0.0));
    }
    let _ = writeln!(text, ",{}", share.lost);
}

/// A name that comes from outside, so that no spreadsheet takes it for several cells or a formula.
fn quoted(name: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_.:".contains(it);
    match name.chars().all(is_plain) && !name.starts_with('-') {
        true => name.to_owned(),
        false => format!("\"'{}\"", name.replace('"', "\"\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Event, Record};

    #[test]
    fn a_month_is_a_row_for_each_source() {
        let mut book = Book::default();
        let grade = |grade: &str| Event::Grade {
            outer_ip: [10, 0, 0, 5].into(),
            vni: 7,
            interface: "=cmd()".to_owned(),
            grade: grade.to_owned(),
            reason: "quiet".to_owned(),
            since: None,
        };
        let start = Event::Start {
            sensor: "a".to_owned(),
        };
        for (at, event) in [
            (0, start),
            (0, grade("full")),
            (50, grade("truncated")),
            (75, grade("off")),
            (100, Event::Alive),
        ] {
            let at = at * 1_000_000;
            book.add(&Record { at, event });
        }
        let text = csv(&book, 0, 200_000_000);
        let rows: Vec<Vec<&str>> = text.lines().map(|row| row.split(',').collect()).collect();
        let [head, row] = rows.as_slice() else {
            panic!("{text}");
        };
        assert_eq!(head.len(), row.len());
        let cell = |name: &str| row[head.iter().position(|it| *it == name).unwrap()];
        assert_eq!(cell("interface"), "\"'=cmd()\"");
        assert_eq!(cell("mirrored_seconds"), "75.000");
        assert_eq!(cell("not_mirrored_seconds"), "25.000");
        assert_eq!(cell("not_seen_seconds"), "100.000");
        assert_eq!(cell("payload_visible_percent"), "25.0000");
        assert_eq!(cell("flow_visible_percent"), "37.5000");
    }
}
