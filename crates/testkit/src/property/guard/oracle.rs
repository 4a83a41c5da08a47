//! What the gate must do, told from a log of what happened: slow, plain, and written apart from it.

use std::time::Duration;

use vxscope_control::Row;
use vxscope_control::guard::{Enrolment, Forced, Past, Pin, Refusal, Rules};
use vxscope_units::{EvidenceClass, Grade};

/// Seconds before the first, so that what was before a restart has a time.
const BEGIN: u64 = 1 << 30;
const DAY: u64 = 86_400;

/// One source.
#[derive(Clone, Debug)]
struct Source {
    row: Row,
    enrolment: Enrolment,
    granted: Grade,
    /// Since when a class has been visible; else since when a grant hid it, if one did.
    seen: [Option<u64>; EvidenceClass::COUNT],
    hidden: [Option<u64>; EvidenceClass::COUNT],
    changes: Vec<u64>,
    pins: Vec<(Pin, u64)>,
    recalled: bool,
    /// When it was seen at full after it had been lower.
    back: Option<u64>,
}

/// See the module. Its time only goes forward.
#[derive(Debug)]
pub(super) struct Oracle {
    rules: Rules,
    sources: Vec<Source>,
    /// When a source of which group was lowered.
    lowerings: Vec<(u64, u32)>,
    pub(super) now: u64,
    pub(super) held: bool,
    pub(super) off_is_safe: bool,
}

impl Source {
    fn is_lowered(&self) -> bool {
        self.granted != Grade::Full || self.seen.iter().any(Option::is_none)
    }

    fn bound(&self, class: EvidenceClass) -> u64 {
        self.enrolment.bounds.of(class).as_secs()
    }

    fn on_time(&self) -> u64 {
        self.enrolment.bounds.on_time.as_secs()
    }

    fn is_pinned(&self, now: u64, by: impl Fn(Pin) -> bool) -> bool {
        self.pins
            .iter()
            .any(|(pin, until)| by(*pin) && *until > now)
    }

    fn changes_of_day(&self, now: u64) -> usize {
        let of_day = |at: &&u64| **at + DAY > now;
        self.changes.iter().filter(of_day).count()
    }

    /// Whether this grade leaves something hidden for longer than it may be.
    fn is_overdue_at(&self, grade: Grade, now: u64) -> bool {
        EvidenceClass::ALL.into_iter().any(|class| {
            let since = self.hidden[class.index()];
            !grade.shows(class) && since.is_some_and(|since| now - since >= self.bound(class))
        })
    }

    /// Whether it may stay at this grade.
    fn may_stay_at(&self, grade: Grade, now: u64, off_is_safe: bool) -> bool {
        grade == Grade::Full
            || (grade >= self.enrolment.bounds.floor
                && (off_is_safe || grade != Grade::Off)
                && !self.recalled
                && !self.is_pinned(now, |_| true)
                && !self.is_overdue_at(grade, now))
    }

    /// Resumes a second if it goes between full and a grade that hides this.
    fn demand(&self, grade: Grade) -> f64 {
        let hidden = EvidenceClass::ALL.into_iter().filter(|c| !grade.shows(*c));
        let shortest = hidden.map(|class| self.bound(class)).min();
        shortest.map_or(0.0, |bound| {
            1.0 / ((bound + self.on_time()) as f64).max(0.001)
        })
    }
}

impl Oracle {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            sources: Vec::new(),
            lowerings: Vec::new(),
            now: BEGIN,
            held: false,
            off_is_safe: false,
        }
    }

    fn source(&mut self, row: Row) -> Option<&mut Source> {
        self.sources.iter_mut().find(|source| source.row == row)
    }

    pub(super) fn enrol(&mut self, row: Row, enrolment: Enrolment) -> bool {
        if let Some(source) = self.source(row) {
            source.enrolment = enrolment;
            return true;
        }
        if self.sources.len() >= self.rules.sources_max as usize {
            return false;
        }
        self.sources.push(Source {
            row,
            enrolment,
            granted: Grade::Full,
            seen: [None; EvidenceClass::COUNT],
            hidden: [None; EvidenceClass::COUNT],
            changes: Vec::new(),
            pins: vec![(Pin::New, self.now + enrolment.pinned.as_secs())],
            recalled: false,
            back: None,
        });
        true
    }

    pub(super) fn withdraw(&mut self, row: Row) {
        self.sources.retain(|source| source.row != row);
    }

    pub(super) fn pin(&mut self, row: Row, pin: Pin, lasts: Duration) -> bool {
        let until = self.now + lasts.as_secs();
        let source = self.source(row);
        source
            .map(|source| source.pins.push((pin, until)))
            .is_some()
    }

    pub(super) fn unpin(&mut self, row: Row, pin: Pin) {
        if let Some(source) = self.source(row) {
            source.pins.retain(|(of, _)| *of != pin);
        }
    }

    pub(super) fn recall(&mut self) {
        for source in &mut self.sources {
            source.recalled = source.is_lowered();
        }
    }

    pub(super) fn handle_jump_back(&mut self) {
        self.recall();
    }

    /// Whether the gate should be told: it restores each source once, before anything else.
    pub(super) fn restore(&mut self, row: Row, past: &Past) -> bool {
        let now = self.now;
        let Some(source) = self.source(row) else {
            return false;
        };
        if source.granted != Grade::Full || !source.changes.is_empty() {
            return false;
        }
        source.granted = past.grade;
        for class in EvidenceClass::ALL {
            if let Some(ago) = past.blind[class.index()] {
                source.seen[class.index()] = None;
                source.hidden[class.index()] = Some(now - ago.as_secs());
            }
        }
        let changes = past.changes.iter().map(|ago| now - ago.as_secs());
        source.changes.extend(changes);
        true
    }

    pub(super) fn see(&mut self, row: Row, grade: Grade) {
        let now = self.now;
        let Some(source) = self.source(row) else {
            return;
        };
        let before = source.is_lowered();
        for class in EvidenceClass::ALL {
            let index = class.index();
            if !grade.shows(class) || !source.granted.shows(class) {
                source.seen[index] = None;
            } else if source.seen[index].is_none() {
                source.seen[index] = Some(now);
                source.hidden[index] = None;
            }
        }
        if !source.is_lowered() {
            source.recalled = false;
            if before {
                source.back = Some(now);
            }
        }
    }

    /// What forbids that a source goes down to this grade; the demand apart.
    pub(super) fn forbids(&self, row: Row, grade: Grade) -> Vec<Refusal> {
        let now = self.now;
        let Some(source) = self.sources.iter().find(|source| source.row == row) else {
            return vec![Refusal::Unknown];
        };
        let alerted = |one: &&Source| one.is_pinned(now, |pin| pin == Pin::Alert);
        let alerted = self.sources.iter().filter(alerted).count();
        let in_cycle = self.lowerings.iter().filter(|(at, group)| {
            let cycle = self.rules.cycle.as_secs();
            (at - BEGIN) / cycle == (now - BEGIN) / cycle && *group == source.enrolment.group
        });
        let group: Vec<&Source> = self.group(source.enrolment.group).collect();
        let lowered = group
            .iter()
            .filter(|one| one.is_lowered() && one.row != row);
        let all_lowered = self
            .sources
            .iter()
            .filter(|one| one.is_lowered() && one.row != row);
        let backlog = f64::from(self.rules.burst) + 0.9 * self.rules.rate_milli as f64;
        let cycle_max = (group.len() * self.rules.cycle_percent as usize / 100).max(1);
        let rules = [
            (Refusal::Held, self.held || source.recalled),
            (Refusal::Pinned, source.is_pinned(now, |_| true)),
            (Refusal::Floor, grade < source.enrolment.bounds.floor),
            (Refusal::Unsafe, grade == Grade::Off && !self.off_is_safe),
            (Refusal::Bound, self.hides_too_long(source, grade)),
            (Refusal::OnTime, self.hides_too_soon(source, grade)),
            (
                Refusal::GroupShare,
                (lowered.count() + 1) * 100 > group.len() * self.rules.group_percent as usize,
            ),
            (Refusal::GroupCycle, in_cycle.count() >= cycle_max),
            (
                Refusal::Changes,
                source.changes_of_day(now) + 2 > self.rules.changes_per_day as usize,
            ),
            (Refusal::PinBudget, alerted >= self.rules.pins_max as usize),
            (
                Refusal::Backlog,
                (all_lowered.count() + 1) as f64 > backlog.floor(),
            ),
        ];
        let broken = rules.into_iter().filter(|(_, broken)| *broken);
        broken.map(|(refusal, _)| refusal).collect()
    }

    fn hides_too_long(&self, source: &Source, grade: Grade) -> bool {
        let hides_what_it_must_not = EvidenceClass::ALL
            .into_iter()
            .any(|class| !grade.shows(class) && source.bound(class) == 0);
        hides_what_it_must_not || source.is_overdue_at(grade, self.now)
    }

    fn hides_too_soon(&self, source: &Source, grade: Grade) -> bool {
        EvidenceClass::ALL.into_iter().any(|class| {
            let (seen, hidden) = (source.seen[class.index()], source.hidden[class.index()]);
            let ready = seen.is_some_and(|since| self.now - since >= source.on_time());
            !grade.shows(class) && !ready && hidden.is_none()
        })
    }

    fn group(&self, group: u32) -> impl Iterator<Item = &Source> {
        self.sources
            .iter()
            .filter(move |source| source.enrolment.group == group)
    }

    /// Whether the demand may be too much for one more, counted generously.
    pub(super) fn is_busy(&self, row: Row, grade: Grade) -> bool {
        let rotates = |one: &&Source| {
            let returned = one.back.is_some_and(|at| at + one.on_time() >= self.now);
            one.row == row || one.granted != Grade::Full || one.is_lowered() || returned
        };
        let demands = self.sources.iter().filter(rotates);
        let demand: f64 = demands
            .map(|one| one.demand(Grade::Off).max(one.demand(grade)))
            .sum();
        demand > 0.000_7 * self.rules.rate_milli as f64 * 0.999
    }

    /// The gate granted this.
    pub(super) fn grant(&mut self, row: Row, grade: Grade) {
        let now = self.now;
        let Some(source) = self.source(row) else {
            return;
        };
        if grade == source.granted {
            return;
        }
        source.changes.push(now);
        let lowers = grade < source.granted;
        source.granted = grade;
        for class in EvidenceClass::ALL.into_iter().filter(|c| !grade.shows(*c)) {
            source.seen[class.index()] = None;
            source.hidden[class.index()].get_or_insert(now);
        }
        let group = source.enrolment.group;
        if lowers {
            self.lowerings.push((now, group));
            let lowered = self.sources.iter().filter(|one| one.granted < Grade::Full);
            let demand: f64 = lowered.map(|one| one.demand(one.granted)).sum();
            assert!(demand <= 0.000_7 * self.rules.rate_milli as f64 * 1.001 + 1e-9);
        }
    }

    /// Everybody who must come back does, and nobody else.
    pub(super) fn check_forced(&mut self, forced: &[Forced]) {
        let mut excess = false;
        for one in forced {
            let source = self.source(one.row).expect("who is forced is enrolled");
            assert_eq!(source.granted, one.from);
            self.grant(one.row, one.grade);
        }
        for source in &self.sources {
            let stays = source.may_stay_at(source.granted, self.now, self.off_is_safe);
            assert!(stays, "{source:?} must come back at {}", self.now);
            let group = self.group(source.enrolment.group);
            let lowered = group.filter(|one| one.granted != Grade::Full).count();
            let size = self.group(source.enrolment.group).count();
            assert!(lowered * 100 <= size * self.rules.group_percent as usize);
            excess |= (lowered + 1) * 100 > size * self.rules.group_percent as usize;
        }
        for one in forced {
            let source = self.sources.iter().find(|source| source.row == one.row);
            let source = source.expect("who is forced is enrolled");
            let needless = source.may_stay_at(one.from, self.now, self.off_is_safe);
            assert!(!needless || excess, "{one:?} needs not come back");
        }
    }

    /// No source changes more often than a day allows, whoever asks.
    pub(super) fn check_caps_of_days(&self) {
        for source in &self.sources {
            let changes = source.changes_of_day(self.now);
            assert!(changes <= self.rules.changes_per_day as usize, "{source:?}");
        }
    }
}
