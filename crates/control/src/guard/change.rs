//! What a granted grade does to the books, and who is raised without a wish.

use std::collections::BTreeMap;
use std::time::Duration;

use vxscope_units::Grade;

use super::check::{cycle_of, steady};
use super::{Force, Forced, Guard};
use crate::Row;

impl Guard {
    pub(super) fn lower(&mut self, row: Row, grade: Grade, now: Duration) {
        let Some(mut member) = self.take(row) else {
            return;
        };
        member.granted = grade;
        member.hide(grade, now);
        member.note_change(self.rules.changes_per_day, now);
        member.demand = member.demand.max(steady(&member.bounds, grade));
        member.demand_until = None;
        let group = member.group;
        self.put(row, member);
        let cycle = cycle_of(now, self.rules.cycle);
        self.groups.entry(group).or_default().note_lowering(cycle);
    }

    /// Grants a grade that is not lower; the last change of a day leads to full.
    pub(super) fn raise(&mut self, row: Row, grade: Grade, now: Duration) -> Grade {
        let per_day = self.rules.changes_per_day;
        let Some(mut member) = self.take(row) else {
            return Grade::Full;
        };
        if grade > member.granted {
            let last = member.changes_left(per_day, now) <= 1;
            member.granted = if last { Grade::Full } else { grade };
            member.note_change(per_day, now);
        }
        let granted = member.granted;
        self.put(row, member);
        granted
    }

    /// Raises everybody whose grade is lower than what is required now, if that is `least` or more.
    pub(super) fn raise_overdue(&mut self, least: Grade, now: Duration) -> Vec<Forced> {
        let overdue = self.members.iter().filter_map(|(row, member)| {
            let (grade, why) = member.required(now, self.off_is_safe);
            (member.granted < grade && grade >= least).then(|| Forced {
                row: *row,
                from: member.granted,
                grade,
                why,
                blind: member.blind_longest(now),
            })
        });
        let mut overdue: Vec<Forced> = overdue.collect();
        for one in &mut overdue {
            one.grade = self.raise(one.row, one.grade, now);
        }
        overdue
    }

    /// Raises the longest blind of groups that shrank until as many are full as must be.
    pub(super) fn excess(&mut self, now: Duration) -> Vec<Forced> {
        let mut lowered: BTreeMap<u32, Vec<(Duration, Row, Grade)>> = BTreeMap::new();
        for (row, member) in &self.members {
            if member.granted < Grade::Full {
                let blind = member.blind_longest(now);
                lowered
                    .entry(member.group)
                    .or_default()
                    .push((blind, *row, member.granted));
            }
        }
        let mut forced = Vec::new();
        for (group, mut rows) in lowered {
            let size = self.groups.get(&group).map_or(0, |group| group.size);
            let allowed = self.rules.group_lowered_max(size) as usize;
            rows.sort();
            for (blind, row, from) in rows.split_off(allowed.min(rows.len())) {
                let grade = self.raise(row, Grade::Full, now);
                let why = Force::GroupShare;
                forced.push(Forced {
                    row,
                    from,
                    grade,
                    why,
                    blind,
                });
            }
        }
        forced
    }
}
