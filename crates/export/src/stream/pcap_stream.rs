//! `pcap-stream`: one reader, behind standard output, a FIFO or a unix socket.

use std::fs::{self, File};
use std::io::{self, IsTerminal};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use vxscope_units::Timestamp;

use super::connection::Connection;
use super::reader::Reader;
use super::{Haste, ReaderCount};
use crate::chunk::FrameChunk;
use crate::error::ExportError;
use crate::patient::connect_unix;
use crate::sink::{Shed, SinkCount, SinkOutcome};
use crate::tagged::{Packer, Packing};
use crate::vlan::Tags;
use crate::way_out::{Offered, WayOut};

/// Bytes that may wait in a FIFO of the kernel: the most that anybody may ask for.
const PIPE_BYTES: i32 = 1 << 20;
/// How often a reader that is not there yet is looked for, of a finite input.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// See the module. A FIFO that is not there is made, and removed at the end.
#[derive(Debug)]
pub struct PcapStream {
    target: Target,
    haste: Haste,
    room: usize,
    packer: Packer,
    pub(super) reader: Option<Reader>,
    readers: Vec<ReaderCount>,
    count: SinkCount,
}

#[derive(Debug)]
enum Target {
    /// Standard output, until it is taken.
    Output(Option<File>),
    /// A FIFO or a unix socket; `ours` if it is to be removed.
    Path { path: PathBuf, ours: bool },
}

impl PcapStream {
    /// Its name as in `--export`.
    pub const NAME: &str = "pcap-stream";

    /// Prepares the target: `-` is standard output. `room` bytes may wait for the reader.
    ///
    /// # Errors
    /// Standard output is a terminal, the path is neither FIFO nor socket, or no FIFO can be made
    /// there.
    pub fn open(
        target: &str,
        tags: impl Into<Tags>,
        room: usize,
        haste: Haste,
    ) -> Result<Self, ExportError> {
        let path = Path::new(target);
        let wrong = |cause| ExportError::io("write captures to", path, cause);
        let target = if target == "-" {
            Target::Output(Some(output().map_err(wrong)?))
        } else {
            let ours = fifo_at(path).map_err(wrong)?;
            let path = path.to_owned();
            Target::Path { path, ours }
        };
        Ok(Self {
            target,
            haste,
            room,
            packer: Packer::new(tags.into()),
            reader: None,
            readers: Vec::new(),
            count: SinkCount::default(),
        })
    }

    /// Looks for a reader; of a finite input until there is one, the first time.
    fn connect(&mut self) {
        while self.reader.is_none() {
            if let Some((name, connection)) = self.target.connect() {
                self.reader = Some(Reader::new(name, connection, self.room));
            } else if self.haste == Haste::Live || !self.readers.is_empty() {
                return;
            } else {
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }

    fn push(&mut self, records: &[u8], frames: u64) {
        let Some(reader) = &mut self.reader else {
            let reason = if self.readers.is_empty() {
                Shed::NoReader
            } else {
                Shed::ReaderGone
            };
            return self.count.add_shed(reason, frames);
        };
        match reader.offer(records, frames, self.haste) {
            Ok(true) => self.count.add_written(frames),
            Ok(false) => self.count.add_shed(Shed::ReaderBehind, frames),
            Err(_) => {
                self.lose_reader();
                self.count.add_shed(Shed::ReaderGone, frames);
            }
        }
    }

    fn flush(&mut self, patient: bool) {
        let reader = self.reader.as_mut();
        if reader.is_some_and(|reader| reader.flush(patient || reader.is_behind()).is_err()) {
            self.lose_reader();
        }
    }

    pub(super) fn lose_reader(&mut self) {
        if let Some((count, left)) = self.reader.take().map(Reader::end) {
            self.count.take_back(Shed::ReaderGone, left);
            self.readers.push(count);
        }
    }
}

impl WayOut for PcapStream {
    fn frames(&mut self, chunk: &FrameChunk, positions: Range<usize>) {
        self.connect();
        let mut packer = std::mem::take(&mut self.packer);
        packer.pack(chunk, positions, |packing| match packing {
            Packing::Records(records, frames) => self.push(records, frames),
            Packing::Refused(reason) => self.count.add_shed(reason, 1),
        });
        self.packer = packer;
        self.flush(false);
    }

    fn tick(&mut self, _: Timestamp) {
        if self.haste == Haste::Live {
            self.connect();
        }
        self.flush(true);
    }

    fn count(&self) -> SinkCount {
        self.count
    }

    fn finish(mut self: Box<Self>) -> SinkOutcome {
        // A reader that takes something each time is let finish; one that stalls is not.
        let mut before = usize::MAX;
        while let Some(waiting) = self.reader.as_ref().map(Reader::waiting) {
            let stalls = waiting == before && self.haste == Haste::Live;
            if waiting == 0 || stalls {
                break;
            }
            before = waiting;
            self.flush(true);
        }
        self.lose_reader();
        if let Target::Path { path, ours: true } = &self.target {
            // Somebody else may have removed it, and then it is gone as it should be.
            let _ = fs::remove_file(path);
        }
        SinkOutcome {
            name: Self::NAME.to_owned(),
            offered: Offered::Frames,
            count: self.count,
            readers: self.readers,
            details: Vec::new(),
            error: None,
        }
    }
}

impl Target {
    fn connect(&mut self) -> Option<(String, Connection)> {
        match self {
            Self::Output(output) => {
                let connection = Connection::Output(output.take()?);
                Some(("standard output".to_owned(), connection))
            }
            Self::Path { path, .. } => {
                let connection = open(path).ok()?;
                Some((path.display().to_string(), connection))
            }
        }
    }
}

/// Standard output, if it is no terminal.
fn output() -> io::Result<File> {
    let output = io::stdout();
    if output.is_terminal() {
        return Err(io::Error::other(
            "standard output is a terminal; send it to a program or a file",
        ));
    }
    output.as_fd().try_clone_to_owned().map(File::from)
}

/// Sees to it that there is a FIFO or a socket; whether it was made just now.
fn fifo_at(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(found) if found.file_type().is_fifo() || found.file_type().is_socket() => Ok(false),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is something that is neither a FIFO nor a unix socket",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            mkfifo(path, Mode::from_bits_truncate(0o640))?;
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// Opens the writing end; fails while nobody reads.
fn open(path: &Path) -> io::Result<Connection> {
    if fs::metadata(path)?.file_type().is_socket() {
        return connect_unix(path).map(Connection::Unix);
    }
    let file = File::options()
        .write(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)?;
    // A wish: the kernel's limit for this user may be lower.
    let _ = fcntl(&file, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
    Ok(Connection::Fifo(file))
}
