//! What must hold, whatever happens.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use vxscope_control::guard::MARGIN;
use vxscope_control::mirror::Call;
use vxscope_control::simulated::{Change, Simulated};
use vxscope_enrolment::lead::Standing;
use vxscope_units::{EvidenceClass, Grade};

use super::actor::BOUNDS;
use super::store::Store;
use super::world::{Sender, interface, owner, shown};

const SECOND: u64 = 1_000_000_000;

/// What one life, or many, came to.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) problems: Vec<String>,
    pub(crate) pauses: u64,
    pub(crate) takeovers: u64,
    /// The longest blind time beyond bound and trouble.
    pub(crate) overrun_max: Duration,
    pub(crate) worst_seed: u64,
    calls: u64,
}

impl Verdict {
    pub(crate) fn add(&mut self, other: Self) {
        self.pauses += other.pauses;
        self.takeovers += other.takeovers;
        self.calls += other.calls;
        if other.overrun_max > self.overrun_max {
            (self.overrun_max, self.worst_seed) = (other.overrun_max, other.worst_seed);
        }
        let room = 20_usize.saturating_sub(self.problems.len());
        self.problems.extend(other.problems.into_iter().take(room));
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} pauses, {} takeovers, {} calls; the longest overrun {:.1} s beyond bound and \
             trouble (seed {}); {} problems",
            self.pauses,
            self.takeovers,
            self.calls,
            self.overrun_max.as_secs_f64(),
            self.worst_seed,
            self.problems.len()
        )
    }
}

#[derive(Debug)]
pub(crate) struct Judge {
    /// Since when each class of each interface is not visible.
    blind: BTreeMap<String, [Option<u64>; EvidenceClass::COUNT]>,
    /// Times that are over: interface, class, begin, end.
    over: Vec<(String, EvidenceClass, u64, u64)>,
    /// Seconds in which nobody could bring anything back.
    unable: Vec<u64>,
    /// Who acted last, and until when.
    last: Option<(usize, u64)>,
    problems: Vec<String>,
    begin: u64,
    takeovers: u64,
    calls: u64,
}

impl Judge {
    pub(crate) fn new(sources: u32, now: u64) -> Self {
        let blind = (0..sources).map(|row| (interface(row), [Some(now); EvidenceClass::COUNT]));
        Self {
            blind: blind.collect(),
            over: Vec::new(),
            unable: Vec::new(),
            last: None,
            problems: Vec::new(),
            begin: now,
            takeovers: 0,
            calls: 0,
        }
    }

    pub(crate) fn demand(&mut self, holds: bool, what: &str) {
        if !holds {
            self.problems.push(what.to_owned());
        }
    }

    pub(crate) fn takeovers(&mut self, takeovers: u64) {
        self.takeovers = takeovers;
    }

    /// A call is sent.
    pub(crate) fn sent(
        &mut self,
        api: &Simulated,
        store: &Store,
        sender: Sender,
        call: &Call,
        now: u64,
    ) {
        self.calls += 1;
        let id = match call {
            Call::Describe { .. } | Call::Create(_) => None,
            Call::Modify { id, .. } | Call::Delete { id } => Some(id),
        };
        let session = id.and_then(|id| api.sessions().find(|one| one.id == *id));
        if session.is_some_and(|session| !owner().owns(session)) {
            self.problems
                .push(format!("{sender:?} touches what is not ours: {call:?}"));
        }
        let lowers = match call {
            Call::Delete { .. } => session.is_some(),
            Call::Modify { settings, .. } => session.is_some_and(|session| {
                let mut after = session.clone();
                after.settings = settings.clone();
                shown(Some(&after)) < shown(Some(session))
            }),
            Call::Describe { .. } | Call::Create(_) => false,
        };
        if !lowers {
            return;
        }
        match sender {
            Sender::Controller(_, _, Standing::Acts(_)) => {}
            Sender::Controller(_, _, Standing::Raises | Standing::Watches) | Sender::Reaper => {
                self.problems
                    .push(format!("{sender:?} lowers at {now}: {call:?}"));
            }
        }
        // Nothing goes dark that the store does not know.
        let known = session.is_some_and(|session| {
            let crumbs = store.crumbs.sources.iter();
            let mut its = crumbs.filter(|one| one.saved.interface == session.interface);
            let off = matches!(call, Call::Delete { .. });
            its.any(|one| !off || one.grade == Grade::Off.name())
        });
        let extra = session.is_some_and(|session| {
            let ours = api.sessions().filter(|one| owner().owns(one));
            ours.filter(|one| one.interface == session.interface)
                .count()
                > 1
        });
        self.demand(known || extra, "a source goes dark without a breadcrumb");
    }

    /// What is really mirrored changed.
    pub(crate) fn changed(&mut self, change: &Change) {
        let Some(blind) = self.blind.get_mut(&change.interface) else {
            return;
        };
        let grade = shown(change.session.as_ref());
        let at = change.at.as_nanos();
        for class in EvidenceClass::ALL {
            let since = &mut blind[class.index()];
            match (*since, grade.shows(class)) {
                (None, false) => *since = Some(at),
                (Some(begin), true) => {
                    *since = None;
                    self.over.push((change.interface.clone(), class, begin, at));
                }
                (None, true) | (Some(_), false) => {}
            }
        }
    }

    /// Whether anybody could have brought something back in this second.
    pub(crate) fn second(&mut self, now: u64, able: bool) {
        if !able {
            self.unable.push(now);
        }
    }

    /// Two that act must not overlap, with room for the last call of the first.
    pub(crate) fn acts(&mut self, who: usize, acts: bool, now: u64) {
        if !acts {
            return;
        }
        if let Some((other, until)) = self.last
            && other != who
            && now < until + 5 * SECOND
        {
            self.problems
                .push(format!("two act at {}", (now - self.begin) / SECOND));
        }
        self.last = Some((who, now));
    }

    pub(crate) fn verdict(mut self, seed: u64, classes: &[EvidenceClass]) -> Verdict {
        let dark: Vec<String> = self
            .blind
            .iter()
            .filter(|(_, blind)| blind.iter().any(Option::is_some))
            .map(|(interface, _)| format!("{interface} is dark in the end"))
            .collect();
        self.problems.extend(dark);
        let mut verdict = Verdict {
            takeovers: self.takeovers,
            calls: self.calls,
            worst_seed: seed,
            ..Verdict::default()
        };
        let over = std::mem::take(&mut self.over);
        for (name, class, begin, end) in over {
            // The first is the time before there was any session.
            if begin == self.begin || !classes.contains(&class) {
                continue;
            }
            verdict.pauses += 1;
            let blind = Duration::from_nanos(end - begin);
            let allowed = BOUNDS.of(class) + self.lost(begin, end);
            let overrun = blind.saturating_sub(allowed);
            verdict.overrun_max = verdict.overrun_max.max(overrun);
            if overrun > MARGIN {
                let from = (begin - self.begin) / SECOND;
                self.problems.push(format!(
                    "{name} {class} dark from {from} s for {blind:?}: {overrun:?} too long"
                ));
            }
        }
        let seeded = self
            .problems
            .into_iter()
            .map(|one| format!("seed {seed}: {one}"));
        verdict.problems = seeded.collect();
        verdict
    }

    /// Seconds of a time in which nobody could do anything, and a minute after each.
    fn lost(&self, begin: u64, end: u64) -> Duration {
        let (mut lost, mut until) = (0, 0);
        for second in &self.unable {
            let (from, to) = (
                (*second).max(until).max(begin),
                (second + 61 * SECOND).min(end),
            );
            lost += to.saturating_sub(from);
            until = until.max(second + 61 * SECOND);
        }
        Duration::from_nanos(lost)
    }
}
