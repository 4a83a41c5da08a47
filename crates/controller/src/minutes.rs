//! `decisions.ndjson`: what was decided about each source, and why, line by line.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

const FILE: &str = "decisions.ndjson";
/// The file before; an older one is replaced.
const BEFORE: &str = "decisions.old.ndjson";
/// From this length on a new file begins: weeks of a large fleet, and nothing that fills a disk.
const BYTES_MAX: u64 = 64 << 20;

/// The open file. Whoever cannot write it goes on without, and says so.
#[derive(Debug)]
pub(crate) struct Minutes {
    folder: PathBuf,
    file: Option<(File, u64)>,
}

impl Minutes {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            file: None,
        }
    }

    /// One line.
    pub(crate) fn note(&mut self, line: &Value) {
        let line = format!("{line}\n");
        if let Err(error) = self.append(line.as_bytes()) {
            tracing::warn!(%error, "{FILE} takes no lines");
            self.file = None;
        }
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let path = self.folder.join(FILE);
        if self
            .file
            .as_ref()
            .is_some_and(|(_, length)| *length >= BYTES_MAX)
        {
            self.file = None;
            std::fs::rename(&path, self.folder.join(BEFORE))?;
        }
        let (file, length) = match &mut self.file {
            Some(open) => open,
            none => {
                let file = OpenOptions::new().create(true).append(true).open(&path)?;
                let length = file.metadata()?.len();
                none.insert((file, length))
            }
        };
        file.write_all(line)?;
        *length += u64::try_from(line.len()).unwrap_or(u64::MAX);
        Ok(())
    }
}
