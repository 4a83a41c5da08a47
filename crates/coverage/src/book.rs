//! From records to timelines.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use crate::record::{Event, Record};

/// A sensor says at each tick, or every ten seconds, that it is there; the longest tick is a
/// minute. After so long without a word nobody was.
pub const GAP_MICROS: u64 = 150_000_000;

/// Outer address and network identifier.
pub type Source = (IpAddr, u32);

/// Whether something of a source could be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sight {
    /// Everything that its grade lets through was received.
    Mirrored,
    /// The same, but datagrams were lost on the way; whose they were nobody knows.
    Lossy,
    /// On purpose nothing was sent.
    NotMirrored,
    /// Nobody was there to receive.
    NotSeen,
    /// No record speaks of it.
    Unknown,
}

impl Sight {
    /// All of them, best first.
    pub const ALL: [Self; 5] = [
        Self::Mirrored,
        Self::Lossy,
        Self::NotMirrored,
        Self::NotSeen,
        Self::Unknown,
    ];

    /// The word in outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mirrored => "mirrored",
            Self::Lossy => "lossy",
            Self::NotMirrored => "not_mirrored",
            Self::NotSeen => "not_seen",
            Self::Unknown => "unknown",
        }
    }
}

/// A time in which nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// µs since 1970.
    pub from: u64,
    /// µs since 1970; the next begins there.
    pub to: u64,
    /// Whether something could be seen.
    pub sight: Sight,
    /// The grade of the mirror; empty where it is not known.
    pub grade: String,
    /// Why it was as it was, in one word.
    pub cause: String,
    /// Datagrams lost in this time, of all sources together.
    pub lost: u64,
}

/// Everything that records say. Grades are kept by source, the rest once for all.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// When somebody was there: begin and end.
    runs: Vec<(u64, u64)>,
    losses: Vec<(u64, u64, u64)>,
    sources: BTreeMap<Source, Track>,
    is_running: bool,
}

#[derive(Clone, Debug, Default)]
struct Track {
    names: Vec<String>,
    /// When it was first heard of.
    known: u64,
    /// In the order of time.
    grades: Vec<Told>,
}

/// A grade, from when on, and why.
#[derive(Clone, Debug)]
struct Told {
    at: u64,
    grade: String,
    reason: String,
    origin: Origin,
}

/// How a grade is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// Nobody said otherwise: sessions are full.
    Assumed,
    /// The sensor itself: it ends with the run.
    Run,
    /// Somebody else keeps the mirrors: it outlives the run.
    Outside,
}

impl Book {
    /// Takes a record. They come in the order of their times; what a clock that went back tells
    /// counts from the latest time so far.
    pub fn add(&mut self, record: &Record) {
        let last = self.runs.last().map_or(0, |(_, end)| *end);
        let at = record.at.max(last);
        match &record.event {
            Event::Start { .. } => {
                self.runs.push((at, at));
                self.is_running = true;
                for track in self.sources.values_mut() {
                    track.begin(at);
                }
                return;
            }
            Event::Loss { from, lost, .. } => self.losses.push((*from, at, *lost)),
            Event::Source { outer_ip, vni, eni } => {
                let track = self.track((*outer_ip, *vni), at);
                if let Some(eni) = eni {
                    track.name(eni);
                }
                track.hear(at);
            }
            Event::Grade {
                outer_ip,
                vni,
                interface,
                grade,
                reason,
                since,
            } => {
                let track = self.track((*outer_ip, *vni), at);
                track.name(interface);
                track.tell(grade, reason, *since, at);
            }
            Event::Alive | Event::Stop => {}
        }
        self.reach(at);
        self.is_running &= record.event != Event::Stop;
    }

    /// Whoever writes was there until now, unless that is too long after the word before.
    fn reach(&mut self, at: u64) {
        match self.runs.last_mut() {
            Some((_, end)) if self.is_running && at.saturating_sub(*end) <= GAP_MICROS => *end = at,
            _ => self.runs.push((at, at)),
        }
        self.is_running = true;
    }

    fn track(&mut self, source: Source, at: u64) -> &mut Track {
        self.sources.entry(source).or_insert_with(|| Track {
            known: at,
            grades: vec![Told::full(at, "heard", Origin::Assumed)],
            ..Track::default()
        })
    }

    /// Every source that a record names.
    pub fn sources(&self) -> impl Iterator<Item = (Source, &str)> {
        let sources = self.sources.iter();
        sources.map(|(source, track)| (*source, track.names.first().map_or("", String::as_str)))
    }

    /// Sources with this address, `ADDRESS,VNI` or interface.
    #[must_use]
    pub fn find(&self, name: &str) -> Vec<Source> {
        let is_it = |((address, vni), track): (&Source, &Track)| {
            let named = track.names.iter().any(|it| it == name);
            named || address.to_string() == name || format!("{address},{vni}") == name
        };
        let sources = self.sources.iter();
        let found = sources.filter(|(source, track)| is_it((source, track)));
        found.map(|(source, _)| *source).collect()
    }

    /// What could be seen of a source from one time to another, without gaps.
    #[must_use]
    pub fn timeline(&self, source: Source, from: u64, to: u64) -> Vec<Span> {
        let mut edges = vec![from, to];
        edges.extend(self.runs.iter().flat_map(|(begin, end)| [*begin, *end]));
        edges.extend(
            self.losses
                .iter()
                .flat_map(|(begin, end, _)| [*begin, *end]),
        );
        let track = self.sources.get(&source);
        edges.extend(
            track
                .iter()
                .flat_map(|it| it.grades.iter().map(|told| told.at)),
        );
        edges.extend(track.map(|it| it.known));
        edges.retain(|edge| (from..=to).contains(edge));
        edges.sort_unstable();
        edges.dedup();
        let mut spans: Vec<Span> = Vec::new();
        for pair in edges.windows(2) {
            let &[begin, end] = pair else { continue };
            let span = self.span(track, begin, end);
            match spans.last_mut() {
                Some(last) if last.is_like(&span) => {
                    last.to = end;
                    last.lost += span.lost;
                }
                _ => spans.push(span),
            }
        }
        spans
    }

    /// Between two edges nothing changes.
    fn span(&self, track: Option<&Track>, from: u64, to: u64) -> Span {
        let span = |sight, grade: &str, cause: &str, lost| Span {
            from,
            to,
            sight,
            grade: grade.to_owned(),
            cause: cause.to_owned(),
            lost,
        };
        let Some(track) = track.filter(|it| it.known <= from) else {
            return span(Sight::Unknown, "", "not_heard_of", 0);
        };
        let is_there = self
            .runs
            .iter()
            .any(|(begin, end)| *begin <= from && to <= *end);
        if !is_there {
            return span(Sight::NotSeen, "", "sensor_down", 0);
        }
        let mut grades = track.grades.iter().rev();
        let told = grades.find(|told| told.at <= from);
        let (grade, reason) = told.map_or(("full", ""), |told| (&*told.grade, &*told.reason));
        let losses = self.losses.iter();
        let lost: u64 = losses
            .filter(|(begin, end, _)| *begin <= from && to <= *end)
            // What is lost in a time that edges cut is told where it ends.
            .map(|(_, end, lost)| if *end == to { *lost } else { 0 })
            .sum();
        let is_lossy = self
            .losses
            .iter()
            .any(|(begin, end, _)| *begin <= from && to <= *end);
        match (grade, is_lossy) {
            ("off", _) => span(Sight::NotMirrored, grade, reason, 0),
            (grade, true) => span(Sight::Lossy, grade, "kernel_dropped", lost),
            (grade, false) => span(Sight::Mirrored, grade, reason, 0),
        }
    }
}

impl Told {
    fn full(at: u64, reason: &str, origin: Origin) -> Self {
        Self {
            at,
            grade: "full".to_owned(),
            reason: reason.to_owned(),
            origin,
        }
    }
}

impl Track {
    /// A new run knows of no grade before somebody tells, unless somebody else keeps it.
    fn begin(&mut self, at: u64) {
        let kept = self.grades.last();
        if kept.is_none_or(|told| told.origin != Origin::Outside) {
            self.grades.push(Told::full(at, "start", Origin::Assumed));
        }
    }

    /// It was heard for the first time in this run: whatever was said before, it is mirrored.
    fn hear(&mut self, at: u64) {
        if self.grades.last().is_some_and(|told| told.grade == "off") {
            self.grades.push(Told::full(at, "heard", Origin::Outside));
        }
    }

    /// A grade counts from `since` on, as far as only assumptions were there before.
    fn tell(&mut self, grade: &str, reason: &str, since: Option<u64>, at: u64) {
        let mut from = at;
        if let Some(since) = since {
            while let Some(assumed) = self.grades.pop_if(|it| it.origin == Origin::Assumed) {
                if assumed.at < since {
                    self.grades.push(assumed);
                    break;
                }
            }
            let before = self.grades.last().map_or(0, |told| told.at);
            from = since.clamp(before, at.max(before));
            self.known = self.known.min(from);
        }
        let origin = since.map_or(Origin::Run, |_| Origin::Outside);
        self.grades.push(Told {
            at: from,
            grade: grade.to_owned(),
            reason: reason.to_owned(),
            origin,
        });
    }

    fn name(&mut self, name: &str) {
        if !self.names.iter().any(|it| it == name) {
            self.names.push(name.to_owned());
        }
    }
}

impl Span {
    fn is_like(&self, other: &Self) -> bool {
        self.sight == other.sight && self.grade == other.grade && self.cause == other.cause
    }

    /// How long it is, in µs.
    #[must_use]
    pub const fn micros(&self) -> u64 {
        self.to - self.from
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const S: u64 = 1_000_000;

    fn source() -> Source {
        ([10, 0, 0, 5].into(), 7)
    }

    fn grade(grade: &str, reason: &str) -> Event {
        Event::Grade {
            outer_ip: source().0,
            vni: source().1,
            interface: "eni-1".to_owned(),
            grade: grade.to_owned(),
            reason: reason.to_owned(),
            since: None,
        }
    }

    /// As somebody tells who keeps mirrors apart from the sensor.
    fn kept(word: &str, why: &str, since: u64) -> Event {
        match grade(word, why) {
            Event::Grade {
                outer_ip,
                vni,
                interface,
                grade,
                reason,
                ..
            } => Event::Grade {
                outer_ip,
                vni,
                interface,
                grade,
                reason,
                since: Some(since * S),
            },
            other => other,
        }
    }

    fn start() -> Event {
        Event::Start {
            sensor: "a".to_owned(),
        }
    }

    fn book(records: impl IntoIterator<Item = (u64, Event)>) -> Book {
        let mut book = Book::default();
        for (at, event) in records {
            book.add(&Record { at: at * S, event });
        }
        book
    }

    fn told(spans: &[Span]) -> Vec<(u64, u64, &'static str, &str, &str)> {
        let told = spans.iter();
        told.map(|it| {
            (
                it.from / S,
                it.to / S,
                it.sight.name(),
                &*it.grade,
                &*it.cause,
            )
        })
        .collect()
    }

    #[test]
    fn not_seen_and_not_mirrored_are_two_things() {
        let alive = |at| (at, Event::Alive);
        let loss = Event::Loss {
            from: 240 * S,
            lost: 9,
            received: 100,
        };
        let book = book([
            (0, start()),
            (10, grade("full", "enrolled")),
            alive(60),
            (100, grade("off", "quiet")),
            alive(120),
            alive(180),
            (200, grade("full", "deadline")),
            alive(240),
            (300, loss),
            (330, Event::Stop),
            (500, start()),
            (560, Event::Alive),
            // Killed; back long after.
            (1_000, start()),
            (1_050, Event::Alive),
        ]);
        let spans = book.timeline(source(), 0, 1_100 * S);
        assert_eq!(
            told(&spans),
            [
                (0, 10, "unknown", "", "not_heard_of"),
                (10, 100, "mirrored", "full", "enrolled"),
                (100, 200, "not_mirrored", "off", "quiet"),
                (200, 240, "mirrored", "full", "deadline"),
                (240, 300, "lossy", "full", "kernel_dropped"),
                (300, 330, "mirrored", "full", "deadline"),
                (330, 500, "not_seen", "", "sensor_down"),
                (500, 560, "mirrored", "full", "start"),
                (560, 1_000, "not_seen", "", "sensor_down"),
                (1_000, 1_050, "mirrored", "full", "start"),
                (1_050, 1_100, "not_seen", "", "sensor_down"),
            ]
        );
        let lossy = spans.iter().find(|it| it.sight == Sight::Lossy);
        assert_eq!(lossy.map(|it| it.lost), Some(9));
        assert_eq!(book.find("eni-1"), [source()]);
        assert_eq!(book.find("10.0.0.5"), [source()]);
        assert_eq!(book.find("10.0.0.5,7"), [source()]);
        assert!(book.find("10.0.0.5,8").is_empty());
    }

    #[test]
    fn what_others_keep_is_known_over_restarts_and_since_when() {
        let alive = |at| (at, Event::Alive);
        let heard = Event::Source {
            outer_ip: source().0,
            vni: source().1,
            eni: None,
        };
        let book = book([
            (0, start()),
            (10, heard.clone()),
            // The word comes late; what it says began before.
            (60, kept("off", "quiet", 50)),
            alive(100),
            (110, Event::Stop),
            // Nobody has said anything in this run yet: it is still off.
            (200, start()),
            alive(210),
            (220, kept("off", "quiet", 50)),
            (230, kept("full", "deadline", 225)),
            (240, Event::Stop),
            // Back meanwhile, and nobody said so: it was heard.
            (250, kept("off", "quiet", 240)),
            (300, start()),
            (310, heard),
            alive(320),
        ]);
        let spans = book.timeline(source(), 0, 320 * S);
        assert_eq!(
            told(&spans),
            [
                (0, 10, "unknown", "", "not_heard_of"),
                (10, 50, "mirrored", "full", "heard"),
                (50, 110, "not_mirrored", "off", "quiet"),
                (110, 200, "not_seen", "", "sensor_down"),
                (200, 225, "not_mirrored", "off", "quiet"),
                (225, 240, "mirrored", "full", "deadline"),
                (240, 300, "not_seen", "", "sensor_down"),
                (300, 310, "not_mirrored", "off", "quiet"),
                (310, 320, "mirrored", "full", "heard"),
            ]
        );
    }

    #[test]
    fn a_source_that_was_never_heard_is_known_since_it_was_enrolled() {
        let book = book([
            (0, start()),
            (40, kept("off", "no_session", 20)),
            (60, kept("full", "enrolled", 55)),
            (90, Event::Alive),
        ]);
        let spans = book.timeline(source(), 0, 90 * S);
        assert_eq!(
            told(&spans),
            [
                (0, 20, "unknown", "", "not_heard_of"),
                (20, 55, "not_mirrored", "off", "no_session"),
                (55, 90, "mirrored", "full", "enrolled"),
            ]
        );
    }

    #[test]
    fn who_was_never_heard_of_is_unknown() {
        let book = book([(0, start()), (60, Event::Alive)]);
        let spans = book.timeline(source(), 0, 60 * S);
        assert_eq!(told(&spans), [(0, 60, "unknown", "", "not_heard_of")]);
    }

    proptest! {
        /// Whatever is told: spans join, begin and end where they should, differ from their
        /// neighbours, and no time without a word counts as seen.
        #[test]
        fn timelines_have_no_gap(
            events in vec((0_u64..400, 0_u8..8, 0_u64..200), 0..60),
            from in 0_u64..3_000, length in 1_u64..3_000,
        ) {
            let mut at = 0;
            let records: Vec<(u64, Event)> = events.into_iter().map(|(step, kind, back)| {
                at += step;
                (at, match kind {
                    0 => start(),
                    1 => Event::Stop,
                    2 => grade("off", "quiet"),
                    3 => grade("truncated", "quiet"),
                    4 => kept("off", "quiet", at.saturating_sub(back)),
                    5 => kept("full", "deadline", at + back),
                    6 => Event::Loss { from: at.saturating_sub(back) * S, lost: 1, received: 1 },
                    _ => Event::Alive,
                })
            }).collect();
            let times: Vec<u64> = records.iter().map(|(at, _)| at * S).collect();
            let to = from + length;
            let spans = book(records).timeline(source(), from * S, to * S);
            prop_assert_eq!(spans.first().map(|it| it.from), Some(from * S));
            prop_assert_eq!(spans.last().map(|it| it.to), Some(to * S));
            for pair in spans.windows(2) {
                prop_assert_eq!(pair[0].to, pair[1].from);
                prop_assert!(!pair[0].is_like(&pair[1]));
            }
            for span in spans {
                if matches!(span.sight, Sight::Mirrored | Sight::Lossy | Sight::NotMirrored) {
                    let next = times.iter().copied().find(|at| *at >= span.to);
                    prop_assert!(next.is_some(), "seen after the last word");
                }
            }
        }
    }
}
