//! What whoever keeps the mirrors apart from the sensor tells of them: shown to who asks, written
//! down from run to run, and marked on the flows of that time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::Sender;
use vxscope_api::Hub;
use vxscope_export::GradeChange;
use vxscope_report::{MirrorRow, Oversight, SourceStatus};
use vxscope_units::{Grade, MirrorSource, Timestamp, Vni};

use crate::clock::LiveClock;
use crate::evidence::Evidence;

/// Mirrors that are taken: as many as sources. A longer list is refused as a whole.
const MIRRORS_MAX: usize = 16_384;
/// Longest word for a reason, and longest id: several times those that there are.
const WORD_BYTES_MAX: usize = 64;
/// How long whoever tells waits for room on the way to the disk.
const ROOM_MAX: Duration = Duration::from_secs(1);
/// What comes so long after a mirror was switched off does not come from before: it is back,
/// whatever was said.
const LATE_MICROS: u64 = 5_000_000;
/// The reason of that.
const HEARD: &str = "heard";

/// See the module. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Overseer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    hub: Hub,
    evidence: Option<Evidence>,
    /// To the writer.
    changes: Sender<GradeChange>,
    clock: LiveClock,
    told: Mutex<BTreeMap<MirrorSource, Standing>>,
}

/// How a mirror stands, by the last word about it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Standing {
    interface: String,
    grade: Grade,
    reason: String,
    /// µs since 1970.
    since: u64,
}

impl Overseer {
    pub(crate) fn new(
        hub: Hub,
        evidence: Option<Evidence>,
        changes: Sender<GradeChange>,
        clock: LiveClock,
    ) -> Self {
        Self(Arc::new(Inner {
            hub,
            evidence,
            changes,
            clock,
            told: Mutex::default(),
        }))
    }

    /// Takes the word of whoever keeps the mirrors. Who is not named stays as it was told, as long
    /// as there is room.
    ///
    /// # Errors
    /// What is wrong with the list, of which nothing is taken then; or that the disk is too slow
    /// for it, which is to be told again.
    pub(crate) fn hear(&self, oversight: Oversight) -> Result<(), String> {
        let count = oversight.mirrors.len();
        if count > MIRRORS_MAX {
            return Err(format!("{count} mirrors: {MIRRORS_MAX} at most"));
        }
        let rows = oversight.mirrors.iter().enumerate();
        let rows = rows.map(|(place, row)| {
            standing(row).map_err(|why| format!("oversight.mirrors[{place}]: {why}"))
        });
        let rows: Vec<(MirrorSource, Standing)> = rows.collect::<Result<_, _>>()?;
        let mut told = self.told();
        make_room(&mut told, &rows, MIRRORS_MAX);
        for (source, standing) in rows {
            let before = told.get(&source);
            let is_known = before == Some(&standing);
            // What was heard since then is better known than what is said.
            let is_old = before.is_some_and(|it| it.reason == HEARD && standing.since <= it.since);
            if !is_known && !is_old {
                self.note(source, before, &standing, ROOM_MAX)?;
                told.insert(source, standing);
            }
        }
        drop(told);
        self.0.hub.oversee(oversight);
        Ok(())
    }

    /// A tick: whose packets come although it is said to be off is not. Never waits: who finds
    /// the list in use, or no room, looks again at the next tick.
    pub(crate) fn look(&self, sources: &[Arc<SourceStatus>]) {
        let Ok(mut told) = self.0.told.try_lock() else {
            return;
        };
        for (source, standing) in told.iter_mut().filter(|(_, it)| it.grade == Grade::Off) {
            let key = (source.address, source.vni.get());
            let seen = sources.binary_search_by_key(&key, |it| it.key());
            let seen = seen.ok().and_then(|place| sources.get(place));
            let seen = seen.map_or(0, |it| it.last_seen);
            if seen <= standing.since.saturating_add(LATE_MICROS) {
                continue;
            }
            let heard = Standing {
                interface: standing.interface.clone(),
                grade: Grade::Full,
                reason: HEARD.to_owned(),
                since: seen,
            };
            let noted = self.note(*source, Some(standing), &heard, Duration::ZERO);
            if noted.is_ok() {
                *standing = heard;
            }
        }
    }

    /// Shows which mirrors are said to be lower than full. Never waits: while the list is in use,
    /// nobody is shown.
    pub(crate) fn with_lowered(&self, look: impl FnOnce(&dyn Fn(MirrorSource) -> bool)) {
        if let Ok(told) = self.0.told.try_lock() {
            look(&|source| told.get(&source).is_some_and(|it| it.grade < Grade::Full));
        }
    }

    fn note(
        &self,
        source: MirrorSource,
        before: Option<&Standing>,
        now: &Standing,
        longest: Duration,
    ) -> Result<(), String> {
        let slow = |_| "the disk is too slow for so many changes; tell them again".to_owned();
        let since = before.map_or(now.since, |it| it.since.max(now.since));
        let change = GradeChange {
            at: Timestamp::from_nanos(since.saturating_mul(1_000)),
            source,
            interface: now.interface.clone(),
            from: before.map_or(Grade::Full, |it| it.grade),
            grade: now.grade,
            reason: now.reason.clone().into(),
        };
        if let Some(evidence) = &self.0.evidence {
            let at = self.0.clock.at(self.0.clock.elapsed());
            evidence.kept_grade(&change, at, longest).map_err(slow)?;
        }
        if change.from != change.grade {
            let sent = self.0.changes.send_timeout(change, longest);
            sent.map_err(|_| slow(()))?;
        }
        Ok(())
    }

    fn told(&self) -> MutexGuard<'_, BTreeMap<MirrorSource, Standing>> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn standing(row: &MirrorRow) -> Result<(MirrorSource, Standing), String> {
    let vni = Vni::try_new(row.vni).ok_or_else(|| format!("vni {}: above 2^24 - 1", row.vni))?;
    let grade = Grade::from_name(&row.grade);
    let grade = grade.ok_or_else(|| format!("grade {:?}: there is no such grade", row.grade))?;
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    if row.reason.len() > WORD_BYTES_MAX || !row.reason.bytes().all(is_word) {
        return Err(format!("reason {:?}: one word of a-z and _", row.reason));
    }
    let is_id = row.interface.bytes().all(|byte| byte.is_ascii_graphic());
    if row.interface.len() > WORD_BYTES_MAX || !is_id {
        return Err(format!("interface {:?}: not an id", row.interface));
    }
    let source = MirrorSource {
        address: row.outer_ip,
        vni,
    };
    let standing = Standing {
        interface: row.interface.clone(),
        grade,
        reason: row.reason.clone(),
        since: row.since,
    };
    Ok((source, standing))
}

/// Forgets of those that are not named as many as it takes to hold all that are: first who is
/// mirrored in full, then whose last word is oldest. A fleet changes its mirrors all the time, and
/// nobody says that one will never come back.
fn make_room(
    told: &mut BTreeMap<MirrorSource, Standing>,
    rows: &[(MirrorSource, Standing)],
    most: usize,
) {
    let named: BTreeSet<MirrorSource> = rows.iter().map(|(source, _)| *source).collect();
    let mut others: Vec<_> = told
        .iter()
        .filter(|(source, _)| !named.contains(source))
        .map(|(source, it)| (it.grade < Grade::Full, it.since, *source))
        .collect();
    let surplus = (others.len() + named.len()).saturating_sub(most);
    others.sort_unstable();
    for (_, _, source) in others.into_iter().take(surplus) {
        told.remove(&source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(vni: u32, grade: Grade, since: u64) -> (MirrorSource, Standing) {
        let source = MirrorSource {
            address: [10, 0, 0, 1].into(),
            vni: Vni::try_new(vni).expect("24 bits"),
        };
        let standing = Standing {
            interface: format!("eni-{vni}"),
            grade,
            reason: "quiet".to_owned(),
            since,
        };
        (source, standing)
    }

    #[test]
    fn room_is_made_by_forgetting_full_ones_first_then_the_oldest() {
        let all = [
            mirror(1, Grade::Off, 50),
            mirror(2, Grade::Full, 90),
            mirror(3, Grade::Off, 10),
            mirror(4, Grade::Off, 70),
        ];
        let rows = [mirror(4, Grade::Full, 95), mirror(5, Grade::Off, 95)];
        for (most, kept) in [
            (5, vec![1, 2, 3, 4]),
            (4, vec![1, 3, 4]),
            (3, vec![1, 4]),
            (2, vec![4]),
        ] {
            let mut told = BTreeMap::from(all.clone());
            make_room(&mut told, &rows, most);
            let left: Vec<u32> = told.keys().map(|source| source.vni.get()).collect();
            assert_eq!(left, kept, "{most} at most");
        }
    }
}
