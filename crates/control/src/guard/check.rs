//! Whether a source may be lowered.

use std::time::Duration;

use vxscope_units::Grade;

use super::member::{Member, Sight};
use super::rules::{Bounds, demand, hidden};
use super::{Force, Guard, Refusal};
use crate::Row;

impl Guard {
    /// Whether a source may go down to this grade.
    pub(super) fn check(&mut self, row: Row, grade: Grade, now: Duration) -> Result<(), Refusal> {
        let Some(member) = self.members.get_mut(&row) else {
            return Err(Refusal::Unknown);
        };
        let left = member.changes_left(self.rules.changes_per_day, now);
        let (required, why) = member.required(now, self.off_is_safe);
        if self.held {
            return Err(Refusal::Held);
        }
        if grade < required {
            return Err(match why {
                Force::Deadline => Refusal::Bound,
                Force::Recalled => Refusal::Held,
                Force::Pinned => Refusal::Pinned,
                Force::Floor | Force::GroupShare => Refusal::Floor,
                Force::Unsafe => Refusal::Unsafe,
            });
        }
        check_sight(member, grade, now)?;
        // The raise needs one as well.
        if left < 2 {
            return Err(Refusal::Changes);
        }
        if self.alert_pins >= self.rules.pins_max {
            return Err(Refusal::PinBudget);
        }
        self.check_caps(row, grade, now)
    }

    fn check_caps(&self, row: Row, grade: Grade, now: Duration) -> Result<(), Refusal> {
        let Some(member) = self.members.get(&row) else {
            return Err(Refusal::Unknown);
        };
        let group = self.groups.get(&member.group).copied().unwrap_or_default();
        // Whoever is lowered already must fit in with the others to go further down.
        let itself = u32::from(member.is_lowered());
        let rules = &self.rules;
        if group.lowered - itself >= rules.group_lowered_max(group.size) {
            return Err(Refusal::GroupShare);
        }
        let cycle = group.lowered_in(cycle_of(now, rules.cycle));
        if cycle >= rules.cycle_lowered_max(group.size) {
            return Err(Refusal::GroupCycle);
        }
        let demand = self.demand.saturating_sub(member.demand);
        let wanted = steady(&member.bounds, grade).max(member.demand);
        if demand.saturating_add(wanted) > rules.demand_max() {
            return Err(Refusal::Demand);
        }
        if u64::from(self.lowered - itself) >= rules.lowered_max() {
            return Err(Refusal::Backlog);
        }
        Ok(())
    }
}

/// Nothing is hidden again too early, and nothing longer than its bound.
fn check_sight(member: &Member, grade: Grade, now: Duration) -> Result<(), Refusal> {
    for class in hidden(grade) {
        let bound = member.bounds.of(class);
        match member.sight(class) {
            _ if bound.is_zero() => return Err(Refusal::Bound),
            Sight::Hidden { since } if now.saturating_sub(since) >= bound => {
                return Err(Refusal::Bound);
            }
            Sight::Seen { since } if now.saturating_sub(since) < member.bounds.on_time => {
                return Err(Refusal::OnTime);
            }
            Sight::Unseen { .. } => return Err(Refusal::OnTime),
            Sight::Hidden { .. } | Sight::Seen { .. } => {}
        }
    }
    Ok(())
}

/// What a source at this grade adds to the steady demand.
pub(super) fn steady(bounds: &Bounds, grade: Grade) -> u64 {
    bounds
        .shortest(grade)
        .map_or(0, |blind| demand(blind, bounds.on_time))
}

pub(super) fn cycle_of(now: Duration, cycle: Duration) -> u128 {
    now.as_nanos() / cycle.as_nanos().max(1)
}
