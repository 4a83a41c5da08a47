//! Going on where an earlier run ended.

use std::time::Duration;

use vxscope_units::{Grade, Timestamp};

use super::{Keeper, micros};
use crate::Row;
use crate::guard::{Past, Pin};
use crate::journal::{Damage, Entry, Hidden, Replay};
use crate::mirror::Create;

/// A time that was in the future when it was read: the clock went back, and nobody knows how long
/// ago it was. Longer than any bound.
const UNKNOWN: Duration = Duration::from_secs(5 * 365 * 86_400);

impl Keeper {
    /// What an earlier run wrote; before anybody is enrolled. Of an unreadable journal everything
    /// that can be read comes back at once.
    pub fn recover(&mut self, replay: Replay) {
        let Replay { mut memory, damage } = replay;
        if let Damage::Unreadable { .. } = damage {
            for entry in memory.entries.values_mut() {
                entry.grade = Grade::Full;
            }
        }
        memory.epoch = self.memory.epoch;
        self.reconciler.restore_generation(memory.generation);
        self.memory = memory;
    }

    pub(super) fn restore(&mut self, row: Row, interface: &str, now: Timestamp) {
        let Some(entry) = self.memory.entries.get(interface).cloned() else {
            return;
        };
        if entry.saved.is_some() {
            self.guard.restore(row, &past(&entry, now), now);
            self.reconciler.restore(row, pending(&entry));
            self.reconciler
                .want(row, self.guard.granted(row), false, now);
        }
        if let Some(until) = entry.pinned_until.filter(|until| *until > micros(now)) {
            let lasts = Duration::from_micros(until - micros(now));
            self.guard.pin(row, Pin::Alert, lasts, now);
        }
    }
}

fn past(entry: &Entry, now: Timestamp) -> Past {
    let ago = |at: u64| {
        let passed = micros(now).checked_sub(at);
        passed.map_or(UNKNOWN, Duration::from_micros)
    };
    let Hidden(hidden) = entry.hidden;
    Past {
        grade: entry.grade,
        blind: hidden.map(|since| since.map(ago)),
        changes: entry.changes.iter().map(|at| ago(*at)).collect(),
    }
}

/// A creation of which nobody noted the end.
fn pending(entry: &Entry) -> Option<Create> {
    let (pending, saved) = (entry.pending.as_ref()?, entry.saved.as_ref()?);
    Some(Create {
        interface: saved.interface.clone(),
        settings: pending.settings.clone(),
        tags: saved.tags.clone(),
        client_token: pending.token.clone(),
    })
}
