//! Finished flow files become Parquet, local or in S3, never twice and never lost.
//!
//! ```text
//!  eve.json ─ hash, days ─> in the ledger? ─no─> parts by day ─> stored ─> ledger (fsync) ─> source
//!                                └─yes─> done                              may be removed from here
//! ```
//! The name of a part is made of the hash of its file, so whoever is killed anywhere stores the
//! same parts under the same names again. Every line is a row: what has no column is in `rest`.

mod day;
mod ledger;
mod pass;
mod row;
mod sheet;
mod store;
mod table;

use std::path::{Path, PathBuf};

use thiserror::Error;

use ledger::Ledger;
pub use store::{Store, Target};

/// What to do.
#[derive(Clone, Debug)]
pub struct Job {
    /// The folder of finished flow files.
    pub from: PathBuf,
    /// The folder of the ledger.
    pub state: PathBuf,
    /// Whether a file is removed once it is archived.
    pub remove: bool,
}

/// Where the work is; for whoever wants to look, or to be killed, in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A file was hashed and is not in the ledger.
    Read,
    /// A part is stored.
    Stored,
    /// All parts are stored.
    Complete,
    /// The file is in the ledger.
    Recorded,
    /// The file is removed.
    Removed,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Files that were archived.
    pub files: u64,
    /// Files that were in the ledger already.
    pub known: u64,
    /// Rows that were written.
    pub rows: u64,
    /// Lines among them that are not what their file holds; they are in `event_day=unknown`.
    pub malformed: u64,
    /// Parts that were stored.
    pub parts: u64,
    /// Files that were removed. One that has another name by then is not; the next run does it.
    pub removed: u64,
}

/// Why it could not go on. What was done until then stays done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// A file or folder.
    #[error("{}: cannot be {action}: {cause}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Another process archives with the same ledger.
    #[error("{}: another vxscope-archive works there", path.display())]
    InUse {
        /// The ledger's folder.
        path: PathBuf,
    },
    /// A line of the ledger says nothing: it must not be guessed what was archived.
    #[error("{}:{line}: is no line of a ledger; repair it, or begin another with --state", path.display())]
    Ledger {
        /// The ledger.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The target makes no sense.
    #[error("{target}: {why}")]
    Target {
        /// As it was typed.
        target: String,
        /// What is wrong.
        why: String,
    },
    /// The store refused a part.
    #[error("{path}: cannot be stored: {cause}")]
    Store {
        /// The part.
        path: String,
        /// Why.
        cause: String,
    },
    /// Parquet could not be made.
    #[error("Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// A file has lines of more days than anybody has.
    #[error("{}: has lines of more than {} days", path.display(), pass::DAYS_MAX)]
    Days {
        /// The file.
        path: PathBuf,
    },
    /// A file changed while it was read: it is not finished.
    #[error("{}: changed while it was read; only finished files are archived", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

impl ArchiveError {
    pub(crate) fn io(action: &'static str, path: &Path, cause: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            cause,
        }
    }
}

/// Archives every finished file of a folder that is not in the ledger yet, by name.
///
/// # Errors
/// See [`ArchiveError`].
pub fn run(job: &Job, store: &Store, reached: &mut dyn FnMut(Step)) -> Result<Done, ArchiveError> {
    let mut ledger = Ledger::open(&job.state)?;
    let mut done = Done::default();
    for (path, kind) in finished(&job.from)? {
        pass::archive(
            &path,
            kind,
            job.remove,
            store,
            &mut ledger,
            &mut done,
            reached,
        )?;
    }
    Ok(done)
}

/// Files whose names say what they hold, and that are not being written.
fn finished(folder: &Path) -> Result<Vec<(PathBuf, table::Kind)>, ArchiveError> {
    let read = |cause| ArchiveError::io("read", folder, cause);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let entry = entry.map_err(read)?;
        let is_file = entry.file_type().map_err(read)?.is_file();
        let kind = entry.file_name().to_str().and_then(table::Kind::of_file);
        files.extend(kind.filter(|_| is_file).map(|kind| (entry.path(), kind)));
    }
    files.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(files)
}
