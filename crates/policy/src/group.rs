//! Groups of like sources: how many of them may be lowered at once, and in one cycle.

use std::collections::BTreeMap;
use std::time::Duration;

use vxscope_units::Timestamp;

use crate::SourceKey;

/// Sources of one role in one subnet.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// In the order in which they came.
    pub(crate) members: Vec<SourceKey>,
    pub(crate) lowered: u32,
    /// What its strictest member allows to be lowered at once.
    pub(crate) share: f64,
    cycle_since: Timestamp,
    cycle_lowered: u32,
}

impl Default for Group {
    fn default() -> Self {
        Self {
            members: Vec::new(),
            lowered: 0,
            share: 1.0,
            cycle_since: Timestamp::ZERO,
            cycle_lowered: 0,
        }
    }
}

impl Group {
    /// A member that allows so much.
    pub(crate) fn restrict(&mut self, share: f64) {
        self.share = self.share.min(share);
    }

    fn size(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }

    /// Whether one more may be lowered: at most the share, and never all.
    pub(crate) fn has_room(&self) -> bool {
        let lowered = f64::from(self.lowered) + 1.0;
        lowered <= f64::from(self.size()) * self.share && self.lowered + 1 < self.size()
    }

    /// When the next one may be lowered: `None` if now, else the end of the cycle.
    pub(crate) fn waits(&self, share: f64, cycle: Duration, now: Timestamp) -> Option<Timestamp> {
        let end = crate::window::plus(self.cycle_since, cycle);
        let most = (f64::from(self.size()) * share).floor().max(1.0);
        (now < end && f64::from(self.cycle_lowered) >= most).then_some(end)
    }

    /// Counts one that is lowered now towards the cycle.
    pub(crate) fn count_in_cycle(&mut self, cycle: Duration, now: Timestamp) {
        if now >= crate::window::plus(self.cycle_since, cycle) {
            self.cycle_since = now;
            self.cycle_lowered = 0;
        }
        self.cycle_lowered += 1;
    }
}

/// All groups. A group without members is forgotten, so there are never more than sources.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    rows: Vec<Group>,
    names: BTreeMap<(String, String), u32>,
    free: Vec<u32>,
}

impl Groups {
    pub(crate) fn join(&mut self, role: &str, place: &str, source: SourceKey) -> u32 {
        let name = (role.to_owned(), place.to_owned());
        let row = *self.names.entry(name).or_insert_with(|| {
            self.free.pop().unwrap_or_else(|| {
                self.rows.push(Group::default());
                u32::try_from(self.rows.len() - 1).unwrap_or(u32::MAX)
            })
        });
        self.get_mut(row).members.push(source);
        row
    }

    pub(crate) fn leave(&mut self, row: u32, source: SourceKey) {
        let group = self.get_mut(row);
        group.members.retain(|member| *member != source);
        if group.members.is_empty() {
            *group = Group::default();
            self.names.retain(|_, named| *named != row);
            self.free.push(row);
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let members: usize = self.rows.iter().map(|group| group.members.capacity()).sum();
        let names: usize = (self.names.keys())
            .map(|(role, place)| role.len() + place.len())
            .sum();
        members * size_of::<SourceKey>()
            + self.rows.capacity() * size_of::<Group>()
            + names
            + self.names.len() * size_of::<((String, String), u32)>()
    }

    /// Every row, also those of no group.
    pub(crate) fn rows(&self) -> std::ops::Range<u32> {
        0..u32::try_from(self.rows.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn get(&self, row: u32) -> &Group {
        &self.rows[row as usize]
    }

    pub(crate) fn get_mut(&mut self, row: u32) -> &mut Group {
        &mut self.rows[row as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_group_at_most_and_never_all() {
        for (size, share, most) in [
            (1, 0.5, 0),
            (1, 1.0, 0),
            (2, 0.5, 1),
            (3, 0.5, 1),
            (4, 0.5, 2),
            (4, 1.0, 3),
            (10, 0.75, 7),
        ] {
            let mut group = group(size);
            group.restrict(share);
            while group.has_room() {
                group.lowered += 1;
            }
            assert_eq!(group.lowered, most, "{size} {share}");
        }
    }

    #[test]
    fn a_tenth_of_a_group_in_one_cycle_at_most_but_one_always() {
        let cycle = Duration::from_secs(60);
        for (size, most) in [(3, 1), (10, 1), (25, 2)] {
            let mut group = group(size);
            let start = Timestamp::new(1_000, 0);
            let mut lowered = 0;
            while group.waits(0.1, cycle, start).is_none() {
                group.count_in_cycle(cycle, start);
                lowered += 1;
            }
            assert_eq!(lowered, most, "{size}");
            assert_eq!(
                group.waits(0.1, cycle, start),
                Some(Timestamp::new(1_060, 0))
            );
            assert_eq!(group.waits(0.1, cycle, Timestamp::new(1_060, 0)), None);
        }
    }

    #[test]
    fn a_group_without_members_gives_its_row_to_the_next() {
        let mut groups = Groups::default();
        let web = groups.join("web", "a", SourceKey::new(1));
        assert_eq!(groups.join("web", "a", SourceKey::new(2)), web);
        assert_ne!(groups.join("web", "b", SourceKey::new(3)), web);
        groups.leave(web, SourceKey::new(1));
        groups.leave(web, SourceKey::new(2));
        assert_eq!(groups.join("db", "a", SourceKey::new(4)), web);
    }

    fn group(size: u32) -> Group {
        Group {
            members: (0..size).map(SourceKey::new).collect(),
            ..Group::default()
        }
    }
}
