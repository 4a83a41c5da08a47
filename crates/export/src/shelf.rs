//! The shelf: captures of pins and alerts, each kept for a while, all together within a budget,
//! the oldest removed first. They outlive the run; only what bears a name of ours is counted and
//! removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use vxscope_units::Timestamp;

use crate::error::ExportError;
use crate::file::{OutputDir, OutputFile};

/// How the names of our files begin.
const PREFIXES: [&str; 2] = ["alert-", "pin-"];

/// How much may lie there, and how long.
#[derive(Clone, Copy, Debug)]
pub struct ShelfLimits {
    /// Bytes of all files, those that grow included.
    pub bytes_max: u64,
    /// Seconds after its last change after which a file is removed.
    pub keep_seconds: u64,
}

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Files that were too old.
    pub old: u64,
    /// Files that had to make room.
    pub room: u64,
}

/// A folder of captures.
#[derive(Debug)]
pub struct Shelf {
    dir: OutputDir,
    limits: ShelfLimits,
}

/// A file on the shelf.
struct Kept {
    path: PathBuf,
    bytes: u64,
    /// Seconds since 1970.
    changed: u64,
    /// Somebody still writes it.
    hidden: bool,
}

impl Shelf {
    /// Makes the folder where it is missing, and removes what a crash left half written.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(path: impl Into<PathBuf>, limits: ShelfLimits) -> Result<Self, ExportError> {
        let dir = OutputDir::create(path)?;
        let shelf = Self { dir, limits };
        for left in shelf.files()?.into_iter().filter(|file| file.hidden) {
            let removed = fs::remove_file(&left.path);
            removed.map_err(|cause| ExportError::io("remove", &left.path, cause))?;
        }
        Ok(shelf)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The most that may lie there.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        self.limits.bytes_max
    }

    /// Begins a file, hidden until it is finished. Its name must begin as ours do.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create_file(&self, name: &str) -> Result<OutputFile, ExportError> {
        debug_assert!(PREFIXES.iter().any(|prefix| name.starts_with(prefix)));
        self.dir.create_file(name)
    }

    /// Removes files that are too old, and then the oldest until `coming` more bytes fit. What is
    /// still being written is never removed.
    ///
    /// # Errors
    /// The folder cannot be read, or a file in it cannot be removed.
    pub fn sweep(&self, now: Timestamp, coming: u64) -> Result<Swept, ExportError> {
        let mut files = self.files()?;
        files.sort_by(|one, other| (one.changed, &one.path).cmp(&(other.changed, &other.path)));
        let mut total: u64 = files.iter().map(|file| file.bytes).sum();
        let mut swept = Swept::default();
        for file in files.iter().filter(|file| !file.hidden) {
            let is_old = now.seconds().saturating_sub(file.changed) > self.limits.keep_seconds;
            let is_needed = total.saturating_add(coming) > self.limits.bytes_max;
            if !is_old && !is_needed {
                continue;
            }
            match fs::remove_file(&file.path) {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                    return Err(ExportError::io("remove", &file.path, cause));
                }
                _ => {}
            }
            total = total.saturating_sub(file.bytes);
            swept.old += u64::from(is_old);
            swept.room += u64::from(!is_old);
        }
        Ok(swept)
    }

    /// Bytes of all files of ours.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn bytes(&self) -> Result<u64, ExportError> {
        Ok(self.files()?.iter().map(|file| file.bytes).sum())
    }

    fn files(&self) -> Result<Vec<Kept>, ExportError> {
        let read = |cause| ExportError::io("read the folder", self.dir.path(), cause);
        let mut files = Vec::new();
        for entry in fs::read_dir(self.dir.path()).map_err(read)? {
            let entry = entry.map_err(read)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let hidden = name.starts_with('.');
            let visible = name.strip_prefix('.').unwrap_or(name);
            // A link is nobody's capture, and what it leads to is somebody else's.
            let Some(metadata) = fs::symlink_metadata(entry.path())
                .ok()
                .filter(|found| found.is_file())
                .filter(|_| PREFIXES.iter().any(|prefix| visible.starts_with(prefix)))
            else {
                continue;
            };
            let changed = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let changed = changed.duration_since(SystemTime::UNIX_EPOCH);
            files.push(Kept {
                path: entry.path(),
                bytes: metadata.len(),
                changed: changed.unwrap_or_default().as_secs(),
                hidden,
            });
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMITS: ShelfLimits = ShelfLimits {
        bytes_max: 1_000,
        keep_seconds: 100,
    };

    #[test]
    fn the_oldest_makes_room_and_what_is_too_old_goes() {
        let (_guard, shelf) = shelf();
        for (name, age) in [
            ("alert-a", 90),
            ("alert-b", 50),
            ("pin-c", 10),
            ("alert-d", 150),
        ] {
            put(&shelf, name, 300, age);
        }
        put(&shelf, "notes.txt", 5_000, 500);
        let swept = shelf.sweep(NOW, 350).unwrap();
        assert_eq!(swept, Swept { old: 1, room: 1 });
        assert_eq!(names(&shelf), ["alert-b", "notes.txt", "pin-c"]);
        assert_eq!(shelf.sweep(NOW, 350).unwrap(), Swept::default());
    }

    #[test]
    fn what_is_being_written_stays_and_counts() {
        let (_guard, shelf) = shelf();
        put(&shelf, "alert-a", 300, 10);
        put(&shelf, ".pin-b.tmp", 800, 500);
        assert_eq!(shelf.sweep(NOW, 0).unwrap(), Swept { old: 0, room: 1 });
        assert_eq!(names(&shelf), [".pin-b.tmp"]);
        assert_eq!(shelf.bytes().unwrap(), 800);
    }

    #[test]
    fn what_a_crash_left_half_written_goes_with_the_next_start() {
        let (guard, shelf) = shelf();
        put(&shelf, ".pin-b.tmp", 800, 500);
        put(&shelf, "pin-a", 10, 5);
        let shelf = Shelf::open(guard.path(), LIMITS).unwrap();
        assert_eq!(names(&shelf), ["pin-a"]);
    }

    const NOW: Timestamp = Timestamp::new(1_000_000, 0);

    fn shelf() -> (tempfile::TempDir, Shelf) {
        let guard = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(guard.path(), LIMITS).unwrap();
        (guard, shelf)
    }

    fn put(shelf: &Shelf, name: &str, bytes: usize, age: u64) {
        let path = shelf.path().join(name);
        fs::write(&path, vec![0; bytes]).unwrap();
        let changed = Duration::from_secs(NOW.seconds() - age);
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + changed).unwrap();
    }

    fn names(shelf: &Shelf) -> Vec<String> {
        let entries = fs::read_dir(shelf.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}
