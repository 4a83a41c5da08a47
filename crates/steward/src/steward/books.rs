//! How everything stands, for whoever looks.

use std::time::Duration;

use vxscope_control::keeper::Keeper;
use vxscope_control::mirror::ErrorKind;
use vxscope_policy::money::Ledger;
use vxscope_policy::{Missed, Policy, SourceKey};
use vxscope_report::{BlindWindow, MirrorRow};
use vxscope_units::{EvidenceClass, Grade, MirrorSource, Timestamp};

use super::{Steward, row};
use crate::notice::ENROLLED;
use crate::setup::bounds_of;

impl Steward {
    /// Why a source cannot have what it may have, if that is so.
    #[must_use]
    pub fn blocked(&self, mirror: MirrorSource) -> Option<ErrorKind> {
        self.keeper.blocked(row(self.roll.key(mirror)?))
    }

    /// What a source really has; `None` if nobody knows, or if it is not looked after.
    #[must_use]
    pub fn effective(&self, mirror: MirrorSource) -> Option<Grade> {
        self.keeper.effective(row(self.roll.key(mirror)?))
    }

    /// Why a source was last asked to change, in one word; `None` if it is not looked after.
    #[must_use]
    pub fn why(&self, mirror: MirrorSource) -> Option<&'static str> {
        let key = self.roll.key(mirror)?;
        Some(self.why.get(&key).copied().unwrap_or(ENROLLED))
    }

    /// What a source may have, and is to have; `None` if it is not looked after.
    #[must_use]
    pub fn granted(&self, mirror: MirrorSource) -> Option<Grade> {
        Some(self.keeper.guard().granted(row(self.roll.key(mirror)?)))
    }

    /// In how much time a source that is lowered must be back.
    #[must_use]
    pub fn due_in(&self, mirror: MirrorSource) -> Option<Duration> {
        self.keeper.guard().due_in(row(self.roll.key(mirror)?))
    }

    /// Whether a source is looked after.
    #[must_use]
    pub fn knows(&self, mirror: MirrorSource) -> bool {
        self.roll.key(mirror).is_some()
    }

    /// How long it takes until everything that is lowered is back.
    #[must_use]
    pub fn resume_takes(&self) -> Duration {
        self.keeper.resume_takes()
    }

    /// Notices that nobody read in time.
    #[must_use]
    pub fn notices_forgotten(&self) -> u64 {
        self.notices_forgotten + self.keeper.events_forgotten()
    }

    /// The policy, to look at.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        self.mind.policy()
    }

    /// In the shadow: what would have been missed.
    #[must_use]
    pub fn missed(&self) -> Option<&Missed> {
        self.mind.missed()
    }

    /// The keeper, to look at.
    #[must_use]
    pub fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// What everything cost.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Sources that are looked after.
    #[must_use]
    pub fn sources(&self) -> u64 {
        self.roll.iter().count() as u64
    }

    /// What a source really has; full if it is not looked after.
    #[must_use]
    pub fn grade(&self, mirror: MirrorSource) -> Grade {
        let key = self.roll.key(mirror);
        let grade = key.and_then(|key| self.keeper.effective(row(key)));
        grade.unwrap_or_default()
    }

    /// Whether the operator allows no pause.
    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// Who is looked after, by address and VNI.
    pub(crate) fn enrolled(&self) -> impl Iterator<Item = (SourceKey, MirrorSource)> {
        self.roll.by_mirror()
    }

    /// Every mirror that is looked after, as it stands by the gate's books. Since when and why is
    /// for whoever followed the notices.
    pub fn rows(&self, now: Timestamp) -> impl Iterator<Item = MirrorRow> + '_ {
        self.roll.iter().map(move |(key, enrolled)| {
            let row = row(key);
            let (_, terms) = self.policy().rules().terms_of(&enrolled.facts());
            let (bounds, guard) = (bounds_of(&terms), self.keeper.guard());
            let due = guard.due_in(row).map(|due| nanos_of(due) + now.as_nanos());
            let blind = EvidenceClass::ALL.into_iter().map(|class| BlindWindow {
                class: class.name().to_owned(),
                seconds: guard.blind(row, class).as_secs_f64(),
                bound_seconds: bounds.of(class).as_secs_f64(),
            });
            MirrorRow {
                outer_ip: enrolled.mirror.address,
                vni: enrolled.mirror.vni.get(),
                interface: enrolled.interface.clone(),
                grade: self.grade(enrolled.mirror).name().to_owned(),
                since: 0,
                pinned: guard.is_pinned(row),
                reason: String::new(),
                sentence: String::new(),
                until: due.map(|nanos| nanos / 1_000),
                blind: blind.collect(),
            }
        })
    }
}

fn nanos_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2)
}
