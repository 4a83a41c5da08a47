//! A small gate that every wish passes, whatever the policy or a compromised sensor says.
//!
//! It keeps its own books, from nothing but what it granted and what was seen to be so. A source
//! counts as blind from the moment at which a grade that hides something is granted until it is
//! known that the evidence is visible again; a new source until it was seen first. [`Guard::force`] brings sources back by itself.
//!
//! It errs on the side of sight: who is not enrolled is not lowered; raises are never refused; a
//! clock that goes back calls everything back, because nobody knows how long it has been hidden.
//!
//! ```
//! use std::time::Duration;
//! use vxscope_control::Row;
//! use vxscope_control::guard::{Bounds, Enrolment, Guard, Refusal, Rules, Verdict};
//! use vxscope_units::{Grade, Timestamp};
//!
//! let mut guard = Guard::new(Rules::default());
//! guard.handle_safety(true);
//! let at = |minutes: u64| Timestamp::new(minutes * 60, 0);
//! for row in [0, 1] {
//!     let enrolment = Enrolment { bounds: Bounds::LOW, group: 7, pinned: Duration::from_secs(3_600) };
//!     assert!(guard.enrol(Row::new(row), enrolment, at(0)));
//!     guard.handle_seen(Row::new(row), Grade::Full, at(0));
//! }
//! let (one, other) = (Row::new(0), Row::new(1));
//! assert_eq!(guard.judge(one, Grade::Off, at(30)), Verdict::Refused(Refusal::Pinned));
//! assert_eq!(guard.judge(one, Grade::Off, at(60)), Verdict::Granted(Grade::Off));
//! assert_eq!(guard.judge(other, Grade::Off, at(61)), Verdict::Refused(Refusal::GroupShare));
//! assert_eq!(guard.force(at(299)), []);
//! assert_eq!(guard.force(at(300)).first().map(|forced| forced.grade), Some(Grade::Full));
//! ```

mod book;
mod change;
mod check;
mod clock;
mod group;
mod member;
mod rules;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vxscope_units::{EvidenceClass, Grade, Timestamp};

use crate::Row;
use check::{cycle_of, steady};
use clock::Clock;
use group::Group;
use member::Member;

pub use rules::{Bounds, MARGIN, Rules};
pub use verdict::{Force, Forced, Pin, Refusal, Verdict};

/// What the gate must know of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// How far it may be lowered, and for how long.
    pub bounds: Bounds,
    /// Sources that stand in for each other: one role in one subnet.
    pub group: u32,
    /// How long it is pinned because it is new.
    pub pinned: Duration,
}

/// What was so before the gate began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The grade that was granted last.
    pub grade: Grade,
    /// How long each [`EvidenceClass`] has been hidden; `None` if it is visible.
    pub blind: [Option<Duration>; EvidenceClass::COUNT],
    /// How long ago each change of the last day was, oldest first.
    pub changes: Vec<Duration>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Guard {
    rules: Rules,
    clock: Clock,
    members: BTreeMap<Row, Member>,
    groups: BTreeMap<u32, Group>,
    /// Ends of pins and of parts of the demand.
    expiries: BTreeSet<(Duration, Row)>,
    lowered: u32,
    demand: u64,
    /// Sources pinned by [`Pin::Alert`].
    alert_pins: u32,
    held: bool,
    off_is_safe: bool,
    /// Before this nobody is due, unless `changed`.
    next_due: Duration,
    changed: bool,
    refused: [u64; Refusal::COUNT],
    forced: [u64; Force::COUNT],
    overrun: Duration,
}

impl Guard {
    /// Nobody is enrolled, and off counts as unsafe until [`Guard::handle_safety`] says otherwise.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            clock: Clock::default(),
            members: BTreeMap::new(),
            groups: BTreeMap::new(),
            expiries: BTreeSet::new(),
            lowered: 0,
            demand: 0,
            alert_pins: 0,
            held: false,
            off_is_safe: false,
            next_due: Duration::MAX,
            changed: false,
            refused: [0; Refusal::COUNT],
            forced: [0; Force::COUNT],
            overrun: Duration::ZERO,
        }
    }

    /// Takes a source into the books, or changes what is known of it; a pin that is there stays.
    /// False if [`Rules::sources_max`] are enrolled: the source stays full.
    pub fn enrol(&mut self, row: Row, enrolment: Enrolment, now: Timestamp) -> bool {
        let now = self.advance(now);
        let Enrolment {
            bounds,
            group,
            pinned,
        } = enrolment;
        if let Some(mut member) = self.take(row) {
            if member.bounds != bounds {
                member.demand = steady(&bounds, member.granted);
            }
            member.bounds = bounds;
            member.group = group;
            self.put(row, member);
            return true;
        }
        if self.members.len() >= self.rules.sources_max as usize {
            return false;
        }
        self.put(row, Member::new(bounds, group, now));
        if !pinned.is_zero() {
            self.set_pin(row, Pin::New, now.saturating_add(pinned));
        }
        true
    }

    /// Tells what an enrolled source was at when an earlier gate ended. It is due by what it has
    /// been blind then and now together.
    pub fn restore(&mut self, row: Row, past: &Past, now: Timestamp) {
        let now = self.advance(now);
        let per_day = self.rules.changes_per_day;
        let Some(mut member) = self.take(row) else {
            return;
        };
        let since = past
            .blind
            .map(|blind| blind.map(|blind| now.saturating_sub(blind)));
        member.restore(past.grade, &since, now);
        for ago in &past.changes {
            member.note_change(per_day, now.saturating_sub(*ago));
        }
        if past.grade < Grade::Full {
            let bounds = member.bounds;
            member.demand = steady(&bounds, past.grade);
            // It may have been seen at full, or new, just before; what ends then is not this.
            member.demand_until = None;
        }
        self.put(row, member);
    }

    /// Forgets a source: its interface is gone.
    pub fn withdraw(&mut self, row: Row, now: Timestamp) {
        self.advance(now);
        self.take(row);
    }

    /// Other rules from now on. What they no longer allow is raised by the next [`Guard::force`].
    pub fn handle_rules(&mut self, rules: Rules) {
        self.rules = rules;
        self.changed = true;
    }

    /// Whether off is safe: the journal takes records, and a reaper is alive.
    pub fn handle_safety(&mut self, off_is_safe: bool) {
        self.changed |= self.off_is_safe != off_is_safe;
        self.off_is_safe = off_is_safe;
    }

    /// Keeps a source full for so long. Always taken; a longer pin of the same kind stays.
    /// False if the source is not enrolled, and so is full anyway.
    pub fn pin(&mut self, row: Row, pin: Pin, lasts: Duration, now: Timestamp) -> bool {
        let now = self.advance(now);
        self.set_pin(row, pin, now.saturating_add(lasts))
    }

    /// Ends a pin.
    pub fn unpin(&mut self, row: Row, pin: Pin, now: Timestamp) {
        self.advance(now);
        if let Some(mut member) = self.take(row) {
            member.unpin(pin);
            self.put(row, member);
        }
    }

    /// With `true` nothing is lowered until `false`; what is lowered comes back in its time.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Calls everything back to full. Afterwards sources may be lowered again unless held.
    pub fn recall(&mut self) {
        for member in self.members.values_mut() {
            member.recalled = member.is_lowered();
        }
        self.changed = true;
    }

    /// The source is known to be at this grade now: the API's own books say so after the last
    /// change had its effect, or a packet came that a lower grade does not show.
    pub fn handle_seen(&mut self, row: Row, grade: Grade, now: Timestamp) {
        let now = self.advance(now);
        let is_known = |member: &Member| member.is_seen_at(grade);
        if self.members.get(&row).is_some_and(is_known) {
            return;
        }
        let Some(mut member) = self.take(row) else {
            return;
        };
        let before = member.is_lowered();
        member.show(grade, now);
        self.overrun = self.overrun.max(member.overrun);
        if before && !member.is_lowered() {
            // What is steady about the demand is that it comes again after the on-time.
            let until = now.saturating_add(member.bounds.on_time);
            member.demand_until = Some(until);
        }
        self.put(row, member);
    }

    /// Asks for a grade.
    pub fn judge(&mut self, row: Row, grade: Grade, now: Timestamp) -> Verdict {
        let now = self.advance(now);
        let Some(member) = self.members.get(&row) else {
            return self.refuse_unless(grade == Grade::Full, grade, Refusal::Unknown);
        };
        if grade == member.granted {
            return Verdict::Granted(grade);
        }
        if grade > member.granted {
            return Verdict::Granted(self.raise(row, grade, now));
        }
        if let Err(refusal) = self.check(row, grade, now) {
            return self.refuse_unless(false, grade, refusal);
        }
        self.lower(row, grade, now);
        Verdict::Granted(grade)
    }

    /// Raises who must be raised now, longest overdue first. Call it at every tick; between two
    /// calls nobody is brought back.
    #[must_use]
    pub fn force(&mut self, now: Timestamp) -> Vec<Forced> {
        let now = self.advance(now);
        if !self.changed && now < self.next_due {
            return Vec::new();
        }
        self.changed = false;
        let cycle = cycle_of(now, self.rules.cycle);
        let is_in_use = |group: &Group| group.size > 0 || group.lowered_in(cycle) > 0;
        self.groups.retain(|_, group| is_in_use(group));
        // Who comes back to full helps its group; only then it shows how many others must.
        let mut forced = self.raise_overdue(Grade::Full, now);
        forced.extend(self.excess(now));
        forced.extend(self.raise_overdue(Grade::Off, now));
        for one in &forced {
            self.forced[one.why.index()] += 1;
        }
        forced.sort_by_key(|one| (std::cmp::Reverse(one.blind), one.row));
        let due = self.members.values().filter_map(Member::due).min();
        self.next_due = due.unwrap_or(Duration::MAX);
        forced
    }

    /// What a source may have; full if it is not enrolled.
    #[must_use]
    pub fn granted(&self, row: Row) -> Grade {
        self.members
            .get(&row)
            .map_or(Grade::Full, |member| member.granted)
    }

    /// How long a class of evidence of a source has been hidden, by the gate's last time.
    #[must_use]
    pub fn blind(&self, row: Row, class: EvidenceClass) -> Duration {
        let member = self.members.get(&row);
        member.map_or(Duration::ZERO, |member| {
            member.blind(class, self.clock.now())
        })
    }

    /// How long it is until some class of a source must be visible again; `None` if nothing that
    /// is granted hides one.
    #[must_use]
    pub fn due_in(&self, row: Row) -> Option<Duration> {
        let due = self.members.get(&row)?.due()?;
        Some(due.saturating_sub(self.clock.now()))
    }

    /// Whether a source is pinned.
    #[must_use]
    pub fn is_pinned(&self, row: Row) -> bool {
        let member = self.members.get(&row);
        member.is_some_and(|member| member.is_pinned(self.clock.now()))
    }

    /// Sources below full, or not known to be there yet.
    #[must_use]
    pub fn lowered(&self) -> u32 {
        self.lowered
    }

    /// Sources that alerts have pinned.
    #[must_use]
    pub fn alert_pins(&self) -> u32 {
        self.alert_pins
    }

    /// How often a wish was refused for this reason.
    #[must_use]
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused[refusal.index()]
    }

    /// How often a source was raised for this reason.
    #[must_use]
    pub fn forced(&self, why: Force) -> u64 {
        self.forced[why.index()]
    }

    /// The longest that a class of any source was hidden beyond its bound; [`MARGIN`] is allowed.
    #[must_use]
    pub fn overrun_max(&self) -> Duration {
        let now = self.clock.now();
        let current = self.members.values().flat_map(|member| {
            EvidenceClass::ALL
                .into_iter()
                .map(|class| member.overrun(class, now))
        });
        current.max().unwrap_or_default().max(self.overrun)
    }

    fn refuse_unless(&mut self, granted: bool, grade: Grade, refusal: Refusal) -> Verdict {
        if granted {
            return Verdict::Granted(grade);
        }
        self.refused[refusal.index()] += 1;
        Verdict::Refused(refusal)
    }
}
