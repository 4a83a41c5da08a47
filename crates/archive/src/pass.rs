//! One file, from the first look to the ledger.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::day::Day;
use crate::ledger::{Archived, Ledger};
use crate::row::Lines;
use crate::sheet::Sheet;
use crate::store::Store;
use crate::table::Kind;
use crate::{ArchiveError, Done, Step};

/// Days that one file may have lines of: eleven years.
pub(crate) const DAYS_MAX: usize = 4_096;
/// Days that are written at once; a file with more is read again for the others. Most have two.
const DAYS_AT_ONCE: usize = 4;
/// Rows of a part; the next ones go to another. Bounds what is in memory.
const PART_ROWS: u64 = 512 << 10;

/// What a first look at a file gives.
struct Look {
    sha256: String,
    bytes: u64,
    days: BTreeSet<Day>,
    modified: Option<SystemTime>,
}

/// Archives a file unless it is in the ledger.
pub(crate) fn archive(
    path: &Path,
    kind: Kind,
    remove: bool,
    store: &Store,
    ledger: &mut Ledger,
    done: &mut Done,
    reached: &mut dyn FnMut(Step),
) -> Result<(), ArchiveError> {
    let look = look(path, kind)?;
    if ledger.knows(&look.sha256) {
        done.known += 1;
    } else {
        reached(Step::Read);
        let mut entry = Archived {
            sha256: look.sha256,
            file: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            bytes: look.bytes,
            rows: 0,
            malformed: 0,
            parts: Vec::new(),
        };
        let days: Vec<Day> = look.days.into_iter().collect();
        for days in days.chunks(DAYS_AT_ONCE) {
            write_days(path, kind, days, store, &mut entry, reached)?;
        }
        if measure(path)? != (look.bytes, look.modified) {
            return Err(ArchiveError::Changed {
                path: path.to_owned(),
            });
        }
        reached(Step::Complete);
        ledger.record(&entry)?;
        reached(Step::Recorded);
        done.files += 1;
        done.rows += entry.rows;
        done.malformed += entry.malformed;
        done.parts += entry.parts.len() as u64;
    }
    if remove {
        let removed = std::fs::remove_file(path);
        removed.map_err(|cause| ArchiveError::io("removed", path, cause))?;
        reached(Step::Removed);
    }
    Ok(())
}

fn measure(path: &Path) -> Result<(u64, Option<SystemTime>), ArchiveError> {
    let metadata = std::fs::metadata(path);
    let metadata = metadata.map_err(|cause| ArchiveError::io("read", path, cause))?;
    Ok((metadata.len(), metadata.modified().ok()))
}

/// Hashes a file, and sees of which days it has lines.
fn look(path: &Path, kind: Kind) -> Result<Look, ArchiveError> {
    let (_, modified) = measure(path)?;
    let (mut hash, mut bytes, mut days) = (Sha256::new(), 0, BTreeSet::new());
    let mut lines = Lines::new(kind);
    each_line(path, |line| {
        hash.update(line);
        bytes += line.len() as u64;
        days.extend(lines.row(line).map(|row| row.day));
        match days.len() {
            0..=DAYS_MAX => Ok(()),
            _ => Err(ArchiveError::Days {
                path: path.to_owned(),
            }),
        }
    })?;
    let sha256 = hash.finalize();
    Ok(Look {
        sha256: sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
        bytes,
        days,
        modified,
    })
}

/// Writes the rows of some days, in the order of their lines.
fn write_days(
    path: &Path,
    kind: Kind,
    days: &[Day],
    store: &Store,
    entry: &mut Archived,
    reached: &mut dyn FnMut(Step),
) -> Result<(), ArchiveError> {
    let mut open: BTreeMap<Day, (u32, Sheet)> = BTreeMap::new();
    let mut lines = Lines::new(kind);
    let mut put = |day: Day, part: u32, sheet: Sheet, entry: &mut Archived| {
        let hash = entry.sha256.get(..32).unwrap_or_default();
        let name = format!("{}/event_day={day}/{hash}-{part}.parquet", kind.table());
        let rows = sheet.rows;
        store.put(&name, sheet.finish()?)?;
        entry.rows += rows;
        entry.parts.push(name);
        reached(Step::Stored);
        Ok::<_, ArchiveError>(())
    };
    each_line(path, |line| {
        let Some(row) = lines.row(line).filter(|row| days.contains(&row.day)) else {
            return Ok(());
        };
        entry.malformed += u64::from(row.malformed);
        let day = row.day;
        let (part, sheet) = match open.entry(day) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(place) => place.insert((0, Sheet::new(kind)?)),
        };
        sheet.push(row)?;
        if sheet.rows >= PART_ROWS {
            let full = std::mem::replace(sheet, Sheet::new(kind)?);
            let number = *part;
            *part += 1;
            put(day, number, full, entry)?;
        }
        Ok(())
    })?;
    for (day, (part, sheet)) in open {
        if sheet.rows > 0 {
            put(day, part, sheet, entry)?;
        }
    }
    Ok(())
}

/// Each line with its end. A last line without one counts, too.
fn each_line(
    path: &Path,
    mut line: impl FnMut(&[u8]) -> Result<(), ArchiveError>,
) -> Result<(), ArchiveError> {
    let read = |cause| ArchiveError::io("read", path, cause);
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(read)?);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        if reader.read_until(b'\n', &mut buffer).map_err(read)? == 0 {
            return Ok(());
        }
        line(&buffer)?;
    }
}
