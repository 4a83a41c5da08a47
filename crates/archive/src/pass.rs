//! One file, from the first look to the ledger.
//!
//! It is opened once: a sensor that starts gives the files of the run before other names, and the
//! next run's file may then be behind the same path.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata};
use std::io::{BufRead, BufReader, ErrorKind, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

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

/// A file, whatever it is called meanwhile.
struct Source {
    path: PathBuf,
    file: File,
    kind: Kind,
}

/// What a first look at a file gives.
struct Look {
    sha256: String,
    bytes: u64,
    days: BTreeSet<Day>,
}

/// Archives a file unless it is in the ledger. One that is gone has another name, under which it is
/// found the next time.
pub(crate) fn archive(
    path: &Path,
    kind: Kind,
    remove: bool,
    store: &Store,
    ledger: &mut Ledger,
    done: &mut Done,
    reached: &mut dyn FnMut(Step),
) -> Result<(), ArchiveError> {
    let Some(source) = Source::open(path, kind)? else {
        return Ok(());
    };
    let before = source.measure()?;
    let look = source.look()?;
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
            source.write_days(days, store, &mut entry, reached)?;
        }
        source.must_be_as(&before, entry.bytes)?;
        reached(Step::Complete);
        ledger.record(&entry)?;
        reached(Step::Recorded);
        done.files += 1;
        done.rows += entry.rows;
        done.malformed += entry.malformed;
        done.parts += entry.parts.len() as u64;
    }
    if remove {
        // Of one that is known, too, nothing may have been added since it was read.
        source.must_be_as(&before, look.bytes)?;
        if source.remove()? {
            reached(Step::Removed);
            done.removed += 1;
        }
    }
    Ok(())
}

/// When a file was last written to, in nanoseconds.
fn changed(metadata: &Metadata) -> (i64, i64) {
    (metadata.mtime(), metadata.mtime_nsec())
}

impl Source {
    /// `None` if there is no such file any more.
    fn open(path: &Path, kind: Kind) -> Result<Option<Self>, ArchiveError> {
        match File::open(path) {
            Ok(file) => Ok(Some(Self {
                path: path.to_owned(),
                file,
                kind,
            })),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(ArchiveError::io("read", path, cause)),
        }
    }

    fn measure(&self) -> Result<Metadata, ArchiveError> {
        let metadata = self.file.metadata();
        metadata.map_err(|cause| ArchiveError::io("read", &self.path, cause))
    }

    /// Fails if it was written to since `before`, or had not so many bytes then.
    fn must_be_as(&self, before: &Metadata, bytes: u64) -> Result<(), ArchiveError> {
        let after = self.measure()?;
        match after.len() == bytes && changed(&after) == changed(before) {
            true => Ok(()),
            false => Err(ArchiveError::Changed {
                path: self.path.clone(),
            }),
        }
    }

    /// Removes it, if it is still what its path leads to; whether it was.
    fn remove(&self) -> Result<bool, ArchiveError> {
        let failed = |cause| ArchiveError::io("removed", &self.path, cause);
        let there = match std::fs::symlink_metadata(&self.path) {
            Ok(there) => there,
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(false),
            Err(cause) => return Err(failed(cause)),
        };
        let ours = self.measure()?;
        if (there.dev(), there.ino()) != (ours.dev(), ours.ino()) {
            return Ok(false);
        }
        std::fs::remove_file(&self.path).map_err(failed)?;
        Ok(true)
    }

    /// Hashes a file, and sees of which days it has lines.
    fn look(&self) -> Result<Look, ArchiveError> {
        let (mut hash, mut bytes, mut days) = (Sha256::new(), 0, BTreeSet::new());
        let mut lines = Lines::new(self.kind);
        self.each_line(|line| {
            hash.update(line);
            bytes += line.len() as u64;
            days.extend(lines.row(line).map(|row| row.day));
            match days.len() {
                0..=DAYS_MAX => Ok(()),
                _ => Err(ArchiveError::Days {
                    path: self.path.clone(),
                }),
            }
        })?;
        let sha256 = hash.finalize();
        Ok(Look {
            sha256: sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
            bytes,
            days,
        })
    }

    /// Writes the rows of some days, in the order of their lines.
    fn write_days(
        &self,
        days: &[Day],
        store: &Store,
        entry: &mut Archived,
        reached: &mut dyn FnMut(Step),
    ) -> Result<(), ArchiveError> {
        let mut open: BTreeMap<Day, (u32, Sheet)> = BTreeMap::new();
        let mut lines = Lines::new(self.kind);
        let mut put = |day: Day, part: u32, sheet: Sheet, entry: &mut Archived| {
            let hash = entry.sha256.get(..32).unwrap_or_default();
            let name = format!(
                "{}/event_day={day}/{hash}-{part}.parquet",
                self.kind.table()
            );
            let rows = sheet.rows;
            store.put(&name, sheet.finish()?)?;
            entry.rows += rows;
            entry.parts.push(name);
            reached(Step::Stored);
            Ok::<_, ArchiveError>(())
        };
        self.each_line(|line| {
            let Some(row) = lines.row(line).filter(|row| days.contains(&row.day)) else {
                return Ok(());
            };
            entry.malformed += u64::from(row.malformed);
            let day = row.day;
            let (part, sheet) = match open.entry(day) {
                Entry::Occupied(there) => there.into_mut(),
                Entry::Vacant(place) => place.insert((0, Sheet::new(self.kind)?)),
            };
            sheet.push(row)?;
            if sheet.rows >= PART_ROWS {
                let full = std::mem::replace(sheet, Sheet::new(self.kind)?);
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
        &self,
        mut line: impl FnMut(&[u8]) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let read = |cause| ArchiveError::io("read", &self.path, cause);
        let mut file = &self.file;
        file.rewind().map_err(read)?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            if reader.read_until(b'\n', &mut buffer).map_err(read)? == 0 {
                return Ok(());
            }
            line(&buffer)?;
        }
    }
}
