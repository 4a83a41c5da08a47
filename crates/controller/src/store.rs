//! The controller's folder: one process at a time, a journal that survives a kill at any byte, and
//! files that are replaced as a whole.

#[cfg(test)]
pub(crate) mod trap;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vxscope_control::journal::{COMPACT_BYTES, Damage, Record, Replay, encode, replay};
use vxscope_enrolment::Memory;

const JOURNAL: &str = "journal";
const ENROLMENT: &str = "enrolment.json";
const LOCK: &str = "lock";

/// What else must outlive the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Remembered {
    /// What enrolment must not forget.
    pub(crate) memory: Memory,
    /// Client tokens of things that are being made, by what they are.
    pub(crate) tokens: BTreeMap<String, String>,
    /// The last tenure under a lease; 0 if there was none.
    pub(crate) fence: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    /// Held while this lives.
    _lock: File,
    identity: String,
    journal: File,
    /// Bytes that are whole.
    length: u64,
    /// Whether the last append succeeded.
    writable: bool,
    remembered: Remembered,
}

impl Store {
    /// Takes the folder, and reads what the run before wrote.
    pub(crate) fn open(folder: &Path) -> Result<(Self, Replay), String> {
        let named =
            |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        std::fs::create_dir_all(folder).map_err(|error| named(folder, &error))?;
        let path = folder.join(LOCK);
        let lock = File::create(&path).map_err(|error| named(&path, &error))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => format!(
                "{}: another controller works with this folder",
                folder.display()
            ),
            TryLockError::Error(error) => named(&path, &error),
        })?;
        let path = folder.join(JOURNAL);
        let bytes = read(&path).map_err(|error| named(&path, &error))?;
        let replayed = replay(&bytes);
        let keep = match replayed.damage {
            Damage::None => bytes.len(),
            Damage::TornTail { keep } => keep,
            Damage::Unreadable { offset } => {
                let aside = path.with_extension("damaged");
                tracing::error!(offset, kept = %aside.display(), "the journal is damaged: \
                     everything that it names is resumed");
                std::fs::rename(&path, &aside).map_err(|error| named(&path, &error))?;
                0
            }
        };
        let journal = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|error| named(&path, &error))?;
        let length = u64::try_from(keep).unwrap_or(u64::MAX);
        journal
            .set_len(length)
            .map_err(|error| named(&path, &error))?;
        let remembered = read_json(&folder.join(ENROLMENT))?.unwrap_or_default();
        let store = Self {
            folder: folder.to_owned(),
            identity: identity(&lock).map_err(|error| named(folder, &error))?,
            _lock: lock,
            journal,
            length,
            writable: true,
            remembered,
        };
        Ok((store, replayed))
    }

    /// Who works with this folder: the same for one run after the other, and different for every
    /// other folder, machine and copy of either.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// What the run before remembered, and this one so far.
    pub(crate) fn remembered(&self) -> &Remembered {
        &self.remembered
    }

    /// Appends records; on the disk when it returns. What was written of them in part, if it
    /// fails, is taken back, so that what follows can be read.
    pub(crate) fn append(&mut self, records: &[Record]) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        records.iter().for_each(|record| encode(record, &mut bytes));
        let written = self.write(&bytes);
        self.writable = written.is_ok();
        match written {
            Ok(()) => {
                self.length += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                Ok(())
            }
            Err(error) => {
                drop(self.journal.set_len(self.length));
                Err(error)
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        trap::append(&mut self.journal, JOURNAL, bytes)?;
        self.journal.write_all(bytes)?;
        self.journal.sync_data()
    }

    /// Whether the journal took what came last.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Whether a shorter journal should replace this one.
    pub(crate) fn is_long(&self) -> bool {
        self.length > COMPACT_BYTES as u64
    }

    /// Replaces the journal by one that says the same.
    pub(crate) fn compact(&mut self, records: &[Record]) -> io::Result<()> {
        let mut bytes = Vec::new();
        records.iter().for_each(|record| encode(record, &mut bytes));
        let path = self.folder.join(JOURNAL);
        let replaced =
            replace(&path, &bytes).and_then(|()| OpenOptions::new().append(true).open(&path));
        // The old one is as it was, and takes records as long as it can.
        self.journal = replaced?;
        self.length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.writable = true;
        Ok(())
    }

    /// Remembers, on the disk, if something is new.
    pub(crate) fn remember(&mut self, remembered: Remembered) -> io::Result<()> {
        if remembered == self.remembered {
            return Ok(());
        }
        let text = serde_json::to_vec(&remembered).map_err(io::Error::other)?;
        replace(&self.folder.join(ENROLMENT), &text)?;
        self.remembered = remembered;
        Ok(())
    }

    /// A file for people and other commands.
    pub(crate) fn show(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_vec(value).map_err(io::Error::other)?;
        replace(&self.folder.join(name), &text)
    }
}

/// The machine, since it began, and the file that one process at a time can lock.
fn identity(lock: &File) -> io::Result<String> {
    let line = |path: &str| std::fs::read_to_string(path).map(|text| text.trim().to_owned());
    let host = line("/proc/sys/kernel/hostname")?;
    let boot = line("/proc/sys/kernel/random/boot_id")?;
    let file = lock.metadata()?;
    Ok(format!("{host} {boot} {:x}-{:x}", file.dev(), file.ino()))
}

/// A JSON file; `None` if there is none.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = read(path).map_err(|error| named(&error))?;
    if bytes.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| named(&error))
}

/// All of a file; nothing if there is none.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

/// The old file or the new one, whatever happens, and on the disk when it returns.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let hidden = path.with_extension("new");
    #[cfg(test)]
    trap::replace(&hidden, bytes)?;
    let mut file = File::create(&hidden)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    std::fs::rename(&hidden, path)?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_goes_on_where_a_kill_cut_it_at_any_byte() {
        let whole = {
            let folder = tempfile::tempdir().unwrap();
            let (mut store, _) = Store::open(folder.path()).unwrap();
            store.append(&[gone("eni-1")]).unwrap();
            store.append(&[gone("eni-2")]).unwrap();
            std::fs::read(folder.path().join(JOURNAL)).unwrap()
        };
        for cut in 0..=whole.len() {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(JOURNAL), &whole[..cut]).unwrap();
            let (mut store, first) = Store::open(folder.path()).unwrap();
            assert!(!matches!(first.damage, Damage::Unreadable { .. }), "{cut}");
            store.append(&[gone("eni-3")]).unwrap();
            drop(store);
            let (_, second) = Store::open(folder.path()).unwrap();
            assert_eq!(second.damage, Damage::None, "{cut}");
        }
    }

    #[test]
    fn a_folder_has_one_controller() {
        let folder = tempfile::tempdir().unwrap();
        let first = Store::open(folder.path()).unwrap();
        let second = Store::open(folder.path()).unwrap_err();
        assert!(second.contains("another controller"), "{second}");
        drop(first);
        drop(Store::open(folder.path()).unwrap());
    }

    #[test]
    fn what_is_remembered_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let remembered = Remembered {
            tokens: [("filter:x".to_owned(), "t".to_owned())].into(),
            ..Remembered::default()
        };
        let (mut store, _) = Store::open(folder.path()).unwrap();
        store.remember(remembered.clone()).unwrap();
        drop(store);
        let (store, _) = Store::open(folder.path()).unwrap();
        assert_eq!(store.remembered(), &remembered);
    }

    fn gone(interface: &str) -> Record {
        Record::Gone {
            interface: interface.to_owned(),
        }
    }
}
