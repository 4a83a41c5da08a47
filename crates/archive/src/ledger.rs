//! The ledger: which files are archived, one line each, on the disk before anything else relies
//! on it.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ArchiveError;

const NAME: &str = "archived.ndjson";

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Archived {
    /// SHA-256 of its bytes, in hexadecimal.
    pub(crate) sha256: String,
    /// What it was called.
    pub(crate) file: String,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) malformed: u64,
    /// Where its rows are.
    pub(crate) parts: Vec<String>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    /// Locked as long as this lives.
    file: File,
    known: BTreeSet<String>,
}

impl Ledger {
    /// Opens it, for this process alone.
    pub(crate) fn open(folder: &Path) -> Result<Self, ArchiveError> {
        let path = folder.join(NAME);
        let failed = |cause| ArchiveError::io("opened", &path, cause);
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut options = OpenOptions::new();
        let options = options.read(true).append(true).create(true);
        let mut file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = folder.to_owned();
                return Err(ArchiveError::InUse { path });
            }
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n');
        let whole = whole.map_or(0, |at| at + 1);
        if whole < text.len() {
            // Whoever was killed in the middle of a line has stored the file and not said so: it
            // is archived again, under the same names.
            file.set_len(whole as u64).map_err(failed)?;
        }
        let lines = text.get(..whole).unwrap_or_default();
        let known = lines
            .split(|byte| *byte == b'\n')
            .enumerate()
            .filter(|(_, line)| !line.is_empty())
            .map(
                |(number, line)| match serde_json::from_slice::<Archived>(line) {
                    Ok(entry) => Ok(entry.sha256),
                    Err(_) => Err(ArchiveError::Ledger {
                        path: path.clone(),
                        line: number + 1,
                    }),
                },
            )
            .collect::<Result<_, _>>()?;
        Ok(Self { path, file, known })
    }

    pub(crate) fn knows(&self, sha256: &str) -> bool {
        self.known.contains(sha256)
    }

    /// Writes a file down; it is on the disk once this returns.
    pub(crate) fn record(&mut self, entry: &Archived) -> Result<(), ArchiveError> {
        let failed = |cause| ArchiveError::io("written", &self.path, cause);
        let mut line = serde_json::to_vec(entry).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(failed)?;
        self.file.sync_all().map_err(failed)?;
        self.known.insert(entry.sha256.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_known_and_half_a_line_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path()).unwrap();
        ledger.record(&entry("a")).unwrap();
        assert!(matches!(
            Ledger::open(dir.path()),
            Err(ArchiveError::InUse { .. })
        ));
        drop(ledger);
        let path = dir.path().join(NAME);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"sha256\":\"b\"").unwrap();
        drop(file);
        let mut ledger = Ledger::open(dir.path()).unwrap();
        assert!(ledger.knows("a") && !ledger.knows("b"));
        ledger.record(&entry("c")).unwrap();
        drop(ledger);
        assert!(Ledger::open(dir.path()).unwrap().knows("c"));
    }

    #[test]
    fn a_ledger_that_says_nonsense_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(NAME), "nonsense\n").unwrap();
        let refused = Ledger::open(dir.path()).unwrap_err().to_string();
        assert!(
            refused.contains("archived.ndjson:1: is no line"),
            "{refused}"
        );
    }

    fn entry(sha256: &str) -> Archived {
        Archived {
            sha256: sha256.to_owned(),
            file: "eve.json".to_owned(),
            bytes: 1,
            rows: 1,
            malformed: 0,
            parts: Vec::new(),
        }
    }
}
