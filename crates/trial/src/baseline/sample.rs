//! Some of each: a stratified random sample, drawn anew every day.

use vxscope_sim::random::hash;
use vxscope_units::Grade;

use super::{always, is_critical};
use crate::draw;
use crate::fleet::Fleet;
use crate::time::DAY;
use crate::timeline::Timeline;

/// Of each group the given share of slots in full for a day, the others off; critical sources
/// always in full. Where the share is no whole number of slots, luck rounds.
#[must_use]
pub fn stratified_sample(fleet: &Fleet, share: f64, seed: u64) -> Timeline {
    let mut timeline = always(fleet, Grade::Full);
    let mut groups: Vec<Vec<u32>> = vec![Vec::new(); fleet.groups as usize];
    for (index, slot) in (0_u32..).zip(&fleet.slots) {
        groups[slot.group as usize].push(index);
    }
    for day in 0..fleet.end.div_ceil(DAY) {
        let seed = hash(hash(seed, 10), day);
        for (group, slots) in (0_u64..).zip(&mut groups) {
            slots.sort_by_key(|slot| hash(seed, u64::from(*slot)));
            let mut random = draw::stream(seed, 11, group);
            let luck = draw::share(&mut random);
            for (rank, slot) in slots.iter().enumerate() {
                let chosen = (rank as f64) + luck < share * slots.len() as f64;
                set_day(fleet, &mut timeline, *slot, day, chosen);
            }
        }
    }
    timeline
}

/// What fills the slot on that day, and is not critical, is mirrored or not.
fn set_day(fleet: &Fleet, timeline: &mut Timeline, slot: u32, day: u64, chosen: bool) {
    let (from, to) = (day * DAY, (day + 1) * DAY);
    for source in &fleet.slots[slot as usize].lives {
        let alive = &fleet.sources[*source as usize].alive;
        if alive.start < to && alive.end > from && !is_critical(fleet, *source) {
            let grade = if chosen { Grade::Full } else { Grade::Off };
            timeline.set(*source, from.max(alive.start), grade);
        }
    }
}
