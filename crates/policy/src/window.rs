//! Fourteen days of evidence of one source: hours in which a class was visible without loss, and
//! relevant events, by day and part of the day.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vxscope_units::{EvidenceClass, Timestamp};

use crate::rules::{DAY_PARTS_MAX, Limits};

/// Days that count; what is older is forgotten, as what is "first seen" is.
pub(crate) const DAYS: usize = 14;
const PARTS: usize = DAY_PARTS_MAX as usize;
const DAY_SECONDS: u64 = 86_400;

/// How days are cut into comparable parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DayParts {
    begins: u64,
    length: u64,
}

impl DayParts {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            begins: limits.day_begins.as_secs(),
            length: DAY_SECONDS / u64::from(limits.day_parts.clamp(1, DAY_PARTS_MAX)),
        }
    }

    /// Day and part of a moment; a day here begins with its first part.
    fn of(self, at: Timestamp) -> (u64, usize) {
        let shifted = at.seconds() + DAY_SECONDS - self.begins % DAY_SECONDS;
        let part = (shifted % DAY_SECONDS) / self.length;
        (
            shifted / DAY_SECONDS,
            usize::try_from(part).unwrap_or(0).min(PARTS - 1),
        )
    }

    /// Every part that a time from `at` on touches, as a set of bits.
    pub(crate) fn touched(self, at: Timestamp, length: Duration) -> u32 {
        let mut parts = 1 << self.of(plus(at, length)).1;
        let mut moment = 0;
        while moment < length.as_secs().min(DAY_SECONDS) {
            parts |= 1 << self.of(plus(at, Duration::from_secs(moment))).1;
            moment += self.length;
        }
        parts
    }
}

/// `at` later by `length`, saturating.
pub(crate) fn plus(at: Timestamp, length: Duration) -> Timestamp {
    at.plus_nanos(u64::try_from(length.as_nanos()).unwrap_or(u64::MAX))
}

type PerClass = [u32; EvidenceClass::COUNT];

/// One part of one day, or a sum of such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cell {
    /// Milliseconds in which the class was visible, and known to be.
    millis: PerClass,
    /// Events that needed the class.
    events: PerClass,
    /// Milliseconds in which flows should have been visible.
    expected: u32,
}

/// Hours and events in comparable parts of the day.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Comparable {
    pub(crate) hours: f64,
    pub(crate) events: u32,
}

/// The window. It knows nothing of now: whoever asks or adds tells the time.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    cells: [[Cell; PARTS]; DAYS],
    /// Sum of `cells` over the days.
    sums: [Cell; PARTS],
    /// The newest day in `cells`.
    day: u64,
}

impl Window {
    pub(crate) const fn new() -> Self {
        let nothing = Cell {
            millis: [0; EvidenceClass::COUNT],
            events: [0; EvidenceClass::COUNT],
            expected: 0,
        };
        Self {
            cells: [[nothing; PARTS]; DAYS],
            sums: [nothing; PARTS],
            day: 0,
        }
    }

    /// Milliseconds in which the `visible` classes were known to be visible, and in which flows
    /// should have been.
    pub(crate) fn add_time(
        &mut self,
        parts: DayParts,
        at: Timestamp,
        [known, expected]: [u32; 2],
        visible: impl Fn(EvidenceClass) -> bool,
    ) {
        self.add(parts, at, |cell| {
            for class in EvidenceClass::ALL
                .into_iter()
                .filter(|class| visible(*class))
            {
                let sum = &mut cell.millis[class.index()];
                *sum = sum.saturating_add(known);
            }
            cell.expected = cell.expected.saturating_add(expected);
        });
    }

    /// Events by the class that they needed.
    pub(crate) fn add_events(&mut self, parts: DayParts, at: Timestamp, events: &PerClass) {
        self.add(parts, at, |cell| {
            for (sum, events) in cell.events.iter_mut().zip(events) {
                *sum = sum.saturating_add(*events);
            }
        });
    }

    /// What the window has in one part of the day for a grade that hides `hidden`: events of all
    /// hidden classes, in the hours of the one that was visible least.
    pub(crate) fn comparable(
        &self,
        part: usize,
        hidden: impl Fn(EvidenceClass) -> bool,
    ) -> Comparable {
        let sum = &self.sums[part.min(PARTS - 1)];
        let mut millis = u32::MAX;
        let mut events = 0_u32;
        for class in EvidenceClass::ALL
            .into_iter()
            .filter(|class| hidden(*class))
        {
            millis = millis.min(sum.millis[class.index()]);
            events = events.saturating_add(sum.events[class.index()]);
        }
        let hours = if millis == u32::MAX {
            0.0
        } else {
            f64::from(millis) / 3_600_000.0
        };
        Comparable { hours, events }
    }

    /// Share of the time in which flows should have been visible and were, over this day and the
    /// one before; `None` if they never should have been.
    pub(crate) fn availability(&self) -> Option<f64> {
        let (mut known, mut expected) = (0_u64, 0_u64);
        for day in self.day.saturating_sub(1)..=self.day {
            for cell in &self.cells[slot(day)] {
                known += u64::from(cell.millis[EvidenceClass::Flow.index()]);
                expected += u64::from(cell.expected);
            }
        }
        (expected > 0).then(|| known as f64 / expected as f64)
    }

    /// Drops the days that are too old by `at`.
    pub(crate) fn advance(&mut self, parts: DayParts, at: Timestamp) {
        self.advance_to(parts.of(at).0);
    }

    fn advance_to(&mut self, day: u64) {
        if day <= self.day {
            return;
        }
        let stale = (day - self.day).min(DAYS as u64);
        for passed in 0..stale {
            self.clear(slot(day - passed));
        }
        self.day = day;
    }

    fn clear(&mut self, slot: usize) {
        for (sum, cell) in self.sums.iter_mut().zip(&mut self.cells[slot]) {
            for class in 0..EvidenceClass::COUNT {
                sum.millis[class] = sum.millis[class].saturating_sub(cell.millis[class]);
                sum.events[class] = sum.events[class].saturating_sub(cell.events[class]);
            }
            sum.expected = sum.expected.saturating_sub(cell.expected);
            *cell = Cell::default();
        }
    }

    /// Adds to the cell of a moment and to its sum alike; moments before the window are dropped.
    fn add(&mut self, parts: DayParts, at: Timestamp, add: impl Fn(&mut Cell)) {
        let (day, part) = parts.of(at);
        self.advance_to(day);
        if day + DAYS as u64 <= self.day {
            return;
        }
        add(&mut self.cells[slot(day)][part]);
        add(&mut self.sums[part]);
    }
}

/// Hours and events as they are kept over a restart: cells that are not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cells {
    /// How days were cut: seconds at which they begin, and of a part. Other parts cannot be
    /// compared.
    parts: [u64; 2],
    /// Day, part, milliseconds and events by class, milliseconds expected.
    cells: Vec<(u64, u8, PerClass, PerClass, u32)>,
}

impl Window {
    /// What is to be kept.
    pub(crate) fn cells(&self, parts: DayParts) -> Cells {
        let days = (0..DAYS as u64).filter_map(|back| self.day.checked_sub(back));
        let cells = days.flat_map(|day| {
            let of_day = (0_u8..).zip(&self.cells[slot(day)]);
            of_day
                .filter(|(_, cell)| **cell != Cell::default())
                .map(move |(part, cell)| (day, part, cell.millis, cell.events, cell.expected))
        });
        Cells {
            parts: [parts.begins, parts.length],
            cells: cells.collect(),
        }
    }

    /// What an earlier run kept, as far as it is not too old, not of the future, and cut alike.
    pub(crate) fn restore(&mut self, parts: DayParts, kept: &Cells, now: Timestamp) {
        if kept.parts != [parts.begins, parts.length] {
            return;
        }
        let today = parts.of(now).0;
        self.advance_to(today);
        for (day, part, millis, events, expected) in &kept.cells {
            let part = usize::from(*part);
            if *day > today || day + DAYS as u64 <= today || part >= PARTS {
                continue;
            }
            let add = |cell: &mut Cell| {
                for class in 0..EvidenceClass::COUNT {
                    cell.millis[class] = cell.millis[class].saturating_add(millis[class]);
                    cell.events[class] = cell.events[class].saturating_add(events[class]);
                }
                cell.expected = cell.expected.saturating_add(*expected);
            };
            add(&mut self.cells[slot(*day)][part]);
            add(&mut self.sums[part]);
        }
    }
}

fn slot(day: u64) -> usize {
    usize::try_from(day % DAYS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_of_a_day_begin_when_the_rules_say() {
        let parts = DayParts::new(&Limits::default());
        let part = |hour: u64| parts.of(Timestamp::new(hour * 3_600, 0)).1;
        assert_eq!([6, 7, 18, 19, 30].map(part), [1, 0, 0, 1, 1]);
        let touched = |hour: u64, length: u64| {
            parts.touched(
                Timestamp::new(hour * 3_600, 0),
                Duration::from_secs(length * 3_600),
            )
        };
        assert_eq!(touched(8, 4), 0b01);
        assert_eq!(touched(17, 4), 0b11);
        assert_eq!(touched(20, 4), 0b10);
        assert_eq!(touched(8, 24), 0b11);
    }

    #[test]
    fn a_grade_is_judged_by_the_hours_of_the_class_that_was_visible_least() {
        let parts = DayParts::new(&Limits::default());
        let mut window = Window::new();
        let at = Timestamp::new(10 * 3_600, 0);
        window.add_time(parts, at, [7_200_000, 7_200_000], |_| true);
        window.add_time(parts, at, [3_600_000, 0], |class| {
            class == EvidenceClass::DnsNever
        });
        window.add_events(parts, at, &[1, 2, 4, 8]);
        let off = window.comparable(0, |_| true);
        assert_eq!((off.events, off.hours), (15, 2.0));
        let dns = window.comparable(0, |class| class == EvidenceClass::DnsNever);
        assert_eq!((dns.events, dns.hours), (8, 3.0));
        assert_eq!(window.comparable(1, |_| true), Comparable::default());
        assert_eq!(window.availability(), Some(1.0));
    }

    proptest! {
        #[test]
        fn sums_are_those_of_the_last_fourteen_days(
            steps in proptest::collection::vec((0_u64..200_000, 0_u32..5_000), 1..60)
        ) {
            let parts = DayParts::new(&Limits { day_parts: 3, ..Limits::default() });
            let mut window = Window::new();
            let mut clock = 1_000_000;
            for (pause, seconds) in steps {
                clock += pause;
                let at = Timestamp::new(clock, 0);
                window.add_time(parts, at, [seconds, seconds], |_| true);
                window.add_events(parts, at, &[1, 0, 0, seconds]);
                for part in 0..PARTS {
                    let mut sum = Cell::default();
                    for cell in window.cells.iter().map(|day| &day[part]) {
                        sum.expected += cell.expected;
                        for class in 0..EvidenceClass::COUNT {
                            sum.millis[class] += cell.millis[class];
                            sum.events[class] += cell.events[class];
                        }
                    }
                    prop_assert_eq!(sum, window.sums[part]);
                }
            }
        }
    }
}
