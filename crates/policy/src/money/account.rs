//! One source's account: what its mirror was, and what an always-full mirror would have been.
//!
//! Only quantities are kept, in integers; prices are applied when a statement is drawn up. So it
//! makes no difference how often the account is told or asked, and statements of adjoining times
//! add up to the nano-dollar.

use vxscope_units::{Grade, Timestamp};

use super::billing::{Billed, Tenure};
use super::path::{Path, Traffic};

/// Quantities of one source. Times never go back: an earlier one counts as the latest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    path: Path,
    grade: Grade,
    latest: u64,
    tenure: Tenure,
    always: Tenure,
    mirrored: [Traffic; Path::COUNT],
    full_least: [Traffic; Path::COUNT],
    full_most: [Traffic; Path::COUNT],
    stretch: Stretch,
    full: FullRate,
    calls: Calls,
    estimated_seconds: u64,
}

/// What was asked of AWS in order to lower and raise the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Calls that change something: create, modify, delete, failed ones too.
    pub mutations: u64,
    /// Breadcrumbs written before a session was deleted.
    pub breadcrumbs: u64,
}

/// The time since grade or path changed last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stretch {
    /// Until where traffic has been told.
    told: u64,
    /// Seconds told.
    seconds: u64,
    /// What full would have mirrored, where that is known.
    whole: Traffic,
    /// Seconds for which it is not known, and what was mirrored in them.
    unknown_seconds: u64,
    unknown: Traffic,
}

/// How much a source delivers at full: over all such time, and over the latest stretch of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct FullRate {
    all: Traffic,
    all_seconds: u64,
    last: Traffic,
    last_seconds: u64,
}

/// Everything of an account that costs money, reckoned up at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quantities {
    pub(crate) billed: Billed,
    pub(crate) always: Billed,
    pub(crate) mirrored: [Traffic; Path::COUNT],
    pub(crate) full_least: [Traffic; Path::COUNT],
    pub(crate) full_most: [Traffic; Path::COUNT],
    pub(crate) calls: Calls,
    pub(crate) estimated_seconds: u64,
}

impl Account {
    /// A source is mirrored from `at` on, over `path`.
    #[must_use]
    pub fn new(at: Timestamp, path: Path, grade: Grade) -> Self {
        let second = at.seconds();
        let mut account = Self {
            path,
            grade,
            latest: second,
            tenure: Tenure::default(),
            always: Tenure::default(),
            mirrored: Default::default(),
            full_least: Default::default(),
            full_most: Default::default(),
            stretch: Stretch::starting(second),
            full: FullRate::default(),
            calls: Calls::default(),
            estimated_seconds: 0,
        };
        account.always.open(second);
        if grade != Grade::Off {
            account.tenure.open(second);
        }
        account
    }

    /// The way its mirrored bytes take.
    #[must_use]
    pub const fn path(&self) -> Path {
        self.path
    }

    /// The grade that it has.
    #[must_use]
    pub const fn grade(&self) -> Grade {
        self.grade
    }

    /// What was mirrored since the last call, and, where somebody knows, what full would have
    /// mirrored: whole lengths of truncated frames, or the source's own counters. At full both are
    /// the same. Tell it before a change.
    pub fn observe(&mut self, at: Timestamp, mirrored: Traffic, whole: Option<Traffic>) {
        let now = self.advance(at.seconds());
        let place = &mut self.mirrored[self.path.index()];
        *place = place.plus(mirrored);
        let whole = if self.grade == Grade::Full {
            Some(mirrored)
        } else {
            whole
        };
        self.stretch.tell(now, mirrored, whole);
    }

    /// The source has another grade from `at` on, as AWS confirmed. Counts the calls it takes.
    pub fn change(&mut self, at: Timestamp, grade: Grade) {
        if grade == self.grade {
            return;
        }
        self.settle(at.seconds());
        if grade == Grade::Off {
            // The second of the deletion still counts.
            self.tenure
                .close(self.latest + u64::from(at.subsec_nanos() > 0));
            self.calls.breadcrumbs += 1;
        } else if self.grade == Grade::Off {
            self.tenure.open(self.latest);
        }
        self.calls.mutations += 1;
        self.grade = grade;
    }

    /// The bytes take another way from `at` on.
    pub fn reroute(&mut self, at: Timestamp, path: Path) {
        if path != self.path {
            self.settle(at.seconds());
            self.path = path;
        }
    }

    /// Calls beyond those that [`Self::change`] counts: refused ones and repeats.
    pub fn count_calls(&mut self, calls: u64) {
        self.calls.mutations = self.calls.mutations.saturating_add(calls);
    }

    /// The source is gone: nothing is billed from here on, in either world.
    pub fn retire(&mut self, at: Timestamp) {
        self.settle(at.seconds());
        let end = self.latest + u64::from(at.subsec_nanos() > 0);
        self.tenure.close(end);
        self.always.close(end);
        self.grade = Grade::Off;
    }

    /// All quantities as of `at`.
    pub(crate) fn quantities(&self, at: Timestamp) -> Quantities {
        let mut settled = self.clone();
        settled.settle(at.seconds());
        Quantities {
            billed: settled.tenure.at(settled.latest),
            always: settled.always.at(settled.latest),
            mirrored: settled.mirrored,
            full_least: settled.full_least,
            full_most: settled.full_most,
            calls: settled.calls,
            estimated_seconds: settled.estimated_seconds,
        }
    }

    fn advance(&mut self, second: u64) -> u64 {
        self.latest = self.latest.max(second);
        self.latest
    }

    /// Ends the stretch: what full would have mirrored in it is known, or estimated now.
    fn settle(&mut self, second: u64) {
        let now = self.advance(second);
        let mut stretch = self.stretch;
        if self.always.is_open() {
            stretch.tell(now, Traffic::default(), self.whole_of_silence());
        }
        self.stretch = Stretch::starting(now);
        if self.grade == Grade::Full {
            self.full.learn(stretch.whole, stretch.seconds);
        }
        let (least, most) = self.full.estimate(stretch.unknown_seconds);
        self.estimated_seconds += stretch.unknown_seconds;
        let add = |place: &mut Traffic, estimate: Traffic| {
            *place = place
                .plus(stretch.whole)
                .plus(estimate.most(stretch.unknown));
        };
        add(&mut self.full_least[self.path.index()], least);
        add(&mut self.full_most[self.path.index()], most);
    }

    /// Silence says something only at full.
    fn whole_of_silence(&self) -> Option<Traffic> {
        (self.grade == Grade::Full).then(Traffic::default)
    }
}

impl Stretch {
    fn starting(second: u64) -> Self {
        Self {
            told: second,
            ..Self::default()
        }
    }

    fn tell(&mut self, now: u64, mirrored: Traffic, whole: Option<Traffic>) {
        let seconds = now.saturating_sub(self.told);
        self.told = now.max(self.told);
        self.seconds += seconds;
        match whole {
            Some(whole) => self.whole = self.whole.plus(whole),
            None => {
                self.unknown_seconds += seconds;
                self.unknown = self.unknown.plus(mirrored);
            }
        }
    }
}

impl FullRate {
    fn learn(&mut self, traffic: Traffic, seconds: u64) {
        if seconds == 0 {
            return;
        }
        self.all = self.all.plus(traffic);
        self.all_seconds += seconds;
        self.last = traffic;
        self.last_seconds = seconds;
    }

    /// What so many seconds at full would have delivered: by the mean of all, and by the latest
    /// stretch, the smaller first. Nothing if the source never was at full.
    fn estimate(&self, seconds: u64) -> (Traffic, Traffic) {
        let by_all = self.all.share(seconds, self.all_seconds);
        let by_last = self.last.share(seconds, self.last_seconds);
        (by_all.least(by_last), by_all.most(by_last))
    }
}
