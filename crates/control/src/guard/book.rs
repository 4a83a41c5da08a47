//! Sums over all sources: a source is taken out of them, changed, and put back.

use std::time::Duration;

use vxscope_units::Timestamp;

use super::member::Member;
use super::{Guard, Pin};
use crate::Row;

impl Guard {
    pub(super) fn set_pin(&mut self, row: Row, pin: Pin, until: Duration) -> bool {
        let Some(mut member) = self.take(row) else {
            return false;
        };
        member.pin(pin, until);
        self.put(row, member);
        true
    }

    /// Moves to a later time and ends what ends there.
    pub(super) fn advance(&mut self, now: Timestamp) -> Duration {
        if self.clock.advance(now) {
            self.recall();
        }
        let now = self.clock.now();
        while let Some((at, row)) = self.expiries.first().copied().filter(|(at, _)| *at <= now) {
            self.expiries.remove(&(at, row));
            if let Some(mut member) = self.take(row) {
                for pin in Pin::ALL {
                    if member.pinned_until(*pin).is_some_and(|until| until <= now) {
                        member.unpin(*pin);
                    }
                }
                if member.demand_until.is_some_and(|until| until <= now) {
                    member.demand = 0;
                    member.demand_until = None;
                }
                self.put(row, member);
            }
        }
        now
    }

    /// Takes a source out of all sums.
    pub(super) fn take(&mut self, row: Row) -> Option<Member> {
        let member = self.members.remove(&row)?;
        let lowered = u32::from(member.is_lowered());
        self.lowered = self.lowered.saturating_sub(lowered);
        self.demand = self.demand.saturating_sub(member.demand);
        self.alert_pins = self.alert_pins.saturating_sub(alert_pin(&member));
        if let Some(group) = self.groups.get_mut(&member.group) {
            group.size = group.size.saturating_sub(1);
            group.lowered = group.lowered.saturating_sub(lowered);
        }
        for at in expiries(&member) {
            self.expiries.remove(&(at, row));
        }
        self.changed = true;
        Some(member)
    }

    /// Puts it back.
    pub(super) fn put(&mut self, row: Row, member: Member) {
        let lowered = u32::from(member.is_lowered());
        self.lowered += lowered;
        self.demand = self.demand.saturating_add(member.demand);
        self.alert_pins += alert_pin(&member);
        let group = self.groups.entry(member.group).or_default();
        group.size += 1;
        group.lowered += lowered;
        self.expiries.extend(expiries(&member).map(|at| (at, row)));
        self.members.insert(row, member);
    }
}

fn alert_pin(member: &Member) -> u32 {
    u32::from(member.pinned_until(Pin::Alert).is_some())
}

fn expiries(member: &Member) -> impl Iterator<Item = Duration> {
    let pins = Pin::ALL.iter().map(|pin| member.pinned_until(*pin));
    let ends: Vec<_> = pins.chain([member.demand_until]).flatten().collect();
    ends.into_iter()
}
