//! The audit log: who took packets out of the rings, when, of which flow and why. One JSON object
//! a line, appended and on the disk before anybody gets a byte; without its line nothing is given.

use std::fs::File;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use vxscope_units::Timestamp;

use crate::extract::Extracted;
use crate::summary::as_text;

/// Readable for the group, writable for the sensor alone.
const MODE: u32 = 0o640;
/// Bytes of a reason that are kept; the rest is cut off.
const REASON_BYTES_MAX: usize = 512;

/// The file, which outlives the run: it is never removed, and never written but at its end.
#[derive(Debug)]
pub struct AuditLog {
    path: PathBuf,
    file: File,
    /// The last line may have been written in part: the next begins on a line of its own.
    torn: bool,
}

/// A line could not be written, so what it would have told must not happen.
#[derive(Debug, thiserror::Error)]
#[error("{}: the audit log cannot be written: {cause}; nothing is given without it", path.display())]
pub struct AuditError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub cause: io::Error,
}

/// Who asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// A process on this machine, through the control socket, as the kernel knows it.
    Process {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
        /// Process; absent where the kernel does not tell.
        #[serde(skip_serializing_if = "Option::is_none")]
        pid: Option<i32>,
    },
    /// A client of HTTP.
    Http(SocketAddr),
    /// An intrusion detector's alert, by the feed that it came through.
    Detector(String),
}

/// One line.
#[derive(Clone, Debug, Serialize)]
pub struct Asked<'a> {
    /// When it was answered.
    #[serde(serialize_with = "as_text")]
    pub time: Timestamp,
    /// Who asked.
    pub who: &'a Who,
    /// What was done: `extract`, `pin`, `unpin`, `alert`.
    pub action: &'a str,
    /// Why, in their own words.
    pub reason: &'a str,
    /// What was asked for, in their own words.
    pub asked: &'a serde_json::Value,
    /// What they got; empty if nothing was found.
    pub flows: Vec<AuditedFlow<'a>>,
}

/// One flow of an answer.
#[derive(Clone, Debug, Serialize)]
pub struct AuditedFlow<'a> {
    flow_id: u64,
    vni: u32,
    outer_ip: IpAddr,
    community_id: &'a str,
    packets: u64,
    bytes: u64,
    complete: bool,
}

impl<'a> From<&'a Extracted> for AuditedFlow<'a> {
    fn from(flow: &'a Extracted) -> Self {
        Self {
            flow_id: flow.flow_id,
            vni: flow.vni,
            outer_ip: flow.outer_ip,
            community_id: &flow.community_id,
            packets: flow.packets_found,
            bytes: flow.bytes_found,
            complete: flow.complete,
        }
    }
}

impl AuditLog {
    /// Opens the file, or makes it, with mode 0640.
    ///
    /// # Errors
    /// It cannot be appended to.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, AuditError> {
        let path = path.into();
        match open(&path) {
            Ok(file) => Ok(Self {
                torn: ends_torn(&path),
                path,
                file,
            }),
            Err(cause) => Err(AuditError { path, cause }),
        }
    }

    /// Appends a line and waits until it is on the disk. Somebody may have moved the file away
    /// meanwhile: then there is a new one.
    ///
    /// # Errors
    /// It is not on the disk.
    pub fn append(&mut self, asked: &Asked<'_>) -> Result<(), AuditError> {
        let result = self.reopen().and_then(|()| self.write(asked));
        result.map_err(|cause| AuditError {
            path: self.path.clone(),
            cause,
        })
    }

    fn reopen(&mut self) -> io::Result<()> {
        let here = self.file.metadata()?;
        let is_there = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|there| (there.dev(), there.ino()) == (here.dev(), here.ino()));
        if !is_there {
            self.file = open(&self.path)?;
            self.torn = ends_torn(&self.path);
        }
        Ok(())
    }

    fn write(&mut self, asked: &Asked<'_>) -> io::Result<()> {
        let mut asked = asked.clone();
        if asked.reason.len() > REASON_BYTES_MAX {
            let end = asked.reason.floor_char_boundary(REASON_BYTES_MAX);
            asked.reason = asked.reason.get(..end).unwrap_or_default();
        }
        let mut line = if self.torn { vec![b'\n'] } else { Vec::new() };
        serde_json::to_writer(&mut line, &asked)?;
        line.push(b'\n');
        self.torn = true;
        self.file.write_all(&line)?;
        self.file.sync_data()?;
        self.torn = false;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options()
        .append(true)
        .create(true)
        .mode(MODE)
        .open(path)
}

/// Whether a crash left half a line at the end. What cannot be read is taken for torn: an empty
/// line does no harm.
fn ends_torn(path: &Path) -> bool {
    use std::io::{Read, Seek, SeekFrom};
    let last = || {
        let mut file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(b'\n');
        }
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        Ok::<_, io::Error>(last[0])
    };
    last().map_or(true, |last| last != b'\n')
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn every_line_is_one_object_for_the_group_to_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.ndjson");
        append(&mut AuditLog::open(&path).unwrap(), "first\nline").unwrap();
        append(&mut AuditLog::open(&path).unwrap(), "second").unwrap();
        let lines = lines(&path);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["reason"], "first\nline");
        assert_eq!(lines[1]["who"]["process"]["uid"], 7);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }

    #[test]
    fn half_a_line_of_a_crash_costs_no_other_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.ndjson");
        fs::write(&path, "{\"time\":").unwrap();
        append(&mut AuditLog::open(&path).unwrap(), "whole").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["reason"], "whole");
    }

    #[test]
    fn a_file_that_was_moved_away_gets_a_successor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.ndjson");
        let mut log = AuditLog::open(&path).unwrap();
        append(&mut log, "first").unwrap();
        fs::rename(&path, dir.path().join("audit.1")).unwrap();
        append(&mut log, "second").unwrap();
        assert_eq!(lines(&path).len(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_an_error_and_the_next_line_is_whole() {
        let mut log = AuditLog {
            path: "/dev/full".into(),
            file: File::options().append(true).open("/dev/full").unwrap(),
            torn: false,
        };
        let refused = append(&mut log, "lost").unwrap_err().to_string();
        assert!(refused.contains("nothing is given without it"), "{refused}");
        assert!(log.torn);
    }

    #[test]
    fn a_reason_is_cut_between_two_characters() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.ndjson");
        let mut log = AuditLog::open(&path).unwrap();
        append(&mut log, &"é".repeat(REASON_BYTES_MAX)).unwrap();
        let reason = lines(&path)[0]["reason"].as_str().unwrap().len();
        assert_eq!(reason, REASON_BYTES_MAX);
    }

    fn append(log: &mut AuditLog, reason: &str) -> Result<(), AuditError> {
        log.append(&Asked {
            time: Timestamp::new(5, 0),
            who: &Who::Process {
                uid: 7,
                gid: 8,
                pid: Some(9),
            },
            action: "extract",
            reason,
            asked: &json!({"flow": 3}),
            flows: Vec::new(),
        })
    }

    fn lines(path: &Path) -> Vec<Value> {
        let text = fs::read_to_string(path).unwrap();
        let lines = text.lines();
        lines.map(|it| serde_json::from_str(it).unwrap()).collect()
    }
}
