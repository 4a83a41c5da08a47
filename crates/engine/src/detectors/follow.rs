//! Follows a file that somebody else writes: as it grows, is cut, or is replaced by a new one.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use vxscope_alert::{Lines, Malformed};

/// Bytes of one read.
const READ_BYTES: usize = 64 << 10;
/// Reads at one look: others want to be looked at, too.
const READS_MAX: usize = 64;

/// Takes a line, or why there is none.
pub(super) type Take<'a> = dyn FnMut(Result<&[u8], Malformed>) + 'a;

/// See the module.
#[derive(Debug)]
pub(super) struct Follow {
    path: PathBuf,
    open: Option<Open>,
    /// The file was looked for before: one that appears later is read from its beginning.
    looked: bool,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// What was read of it.
    at: u64,
    lines: Lines,
}

impl Follow {
    /// A file that is there already is followed from its end: what it says is of packets that
    /// came before.
    pub(super) fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            open: None,
            looked: false,
            buffer: vec![0; READ_BYTES],
        }
    }

    /// Hands over the lines that have come.
    ///
    /// # Errors
    /// The file cannot be read. A file that is not there is waited for.
    pub(super) fn poll(&mut self, take: &mut Take<'_>) -> io::Result<()> {
        if self.open.is_none() {
            self.open = Self::open(&self.path, std::mem::replace(&mut self.looked, true))?;
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        if open.file.metadata()?.len() < open.at {
            // It was cut, as copytruncate does; what was written in between is lost.
            open.file.seek(SeekFrom::Start(0))?;
            open.at = 0;
            if let Err(torn) = open.lines.end() {
                take(Err(torn));
            }
        }
        for _ in 0..READS_MAX {
            let length = match open.file.read(&mut self.buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                length => length?,
            };
            if length == 0 {
                // Only at its end does it matter that another one has its name.
                return self.look_for_successor(take);
            }
            open.at += length as u64;
            open.lines
                .take(self.buffer.get(..length).unwrap_or_default(), &mut *take);
        }
        Ok(())
    }

    fn look_for_successor(&mut self, take: &mut Take<'_>) -> io::Result<()> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let here = open.file.metadata()?;
        let is_same = match std::fs::metadata(&self.path) {
            Ok(there) => (there.dev(), there.ino()) == (here.dev(), here.ino()),
            // In the middle of a rotation; its writer may still write to this one.
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            Err(error) => return Err(error),
        };
        if !is_same {
            if let Err(torn) = open.lines.end() {
                take(Err(torn));
            }
            self.open = None;
        }
        Ok(())
    }

    fn open(path: &Path, from_start: bool) -> io::Result<Option<Open>> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let at = match from_start {
            true => 0,
            false => file.seek(SeekFrom::End(0))?,
        };
        let lines = Lines::default();
        Ok(Some(Open { file, at, lines }))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_there_already_is_passed_over_and_what_comes_is_read() {
        let (dir, mut follow) = following("old\n");
        assert_eq!(lines(&mut follow), Vec::<String>::new());
        append(dir.path(), "one\ntw");
        assert_eq!(lines(&mut follow), ["one"]);
        append(dir.path(), "o\n");
        assert_eq!(lines(&mut follow), ["two"]);
    }

    #[test]
    fn a_file_that_appears_later_is_read_from_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let mut follow = Follow::new(dir.path().join("eve.json"));
        assert!(lines(&mut follow).is_empty());
        append(dir.path(), "one\n");
        assert_eq!(lines(&mut follow), ["one"]);
    }

    #[test]
    fn a_rotation_loses_nothing() {
        let (dir, mut follow) = following("");
        assert!(lines(&mut follow).is_empty());
        append(dir.path(), "one\n");
        fs::rename(dir.path().join("eve.json"), dir.path().join("eve.1")).unwrap();
        // Its writer has not noticed yet.
        let mut old = OpenOptions::new()
            .append(true)
            .open(dir.path().join("eve.1"))
            .unwrap();
        assert_eq!(lines(&mut follow), ["one"]);
        old.write_all(b"two\nhalf").unwrap();
        append(dir.path(), "three\n");
        assert_eq!(lines(&mut follow), ["two", "torn"]);
        assert_eq!(lines(&mut follow), ["three"]);
    }

    #[test]
    fn a_file_that_is_cut_is_read_from_its_beginning() {
        let (dir, mut follow) = following("");
        assert!(lines(&mut follow).is_empty());
        append(dir.path(), "one\ntwo and more\n");
        assert_eq!(lines(&mut follow), ["one", "two and more"]);
        let path = dir.path().join("eve.json");
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(path)
            .unwrap();
        append(dir.path(), "three\n");
        assert_eq!(lines(&mut follow), ["three"]);
    }

    #[test]
    fn a_folder_is_an_error_and_no_panic() {
        let dir = tempfile::tempdir().unwrap();
        let mut follow = Follow::new(dir.path());
        assert!(follow.poll(&mut |_| {}).is_err());
    }

    fn following(text: &str) -> (tempfile::TempDir, Follow) {
        let dir = tempfile::tempdir().unwrap();
        append(dir.path(), text);
        let follow = Follow::new(dir.path().join("eve.json"));
        (dir, follow)
    }

    fn append(dir: &Path, text: &str) {
        let path = dir.join("eve.json");
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn lines(follow: &mut Follow) -> Vec<String> {
        let mut lines = Vec::new();
        let mut take = |line: Result<&[u8], Malformed>| {
            lines.push(match line {
                Ok(line) => String::from_utf8_lossy(line).into_owned(),
                Err(why) => why.name().to_owned(),
            });
        };
        follow.poll(&mut take).unwrap();
        lines
    }
}
