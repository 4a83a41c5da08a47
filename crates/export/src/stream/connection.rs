//! What a stream is written to, and how to write without waiting for good.

use std::fs::File;
use std::io::{self, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Bytes that a pipe takes without waiting once it says that it is writable (POSIX `PIPE_BUF`).
const PIPE_STEP: usize = 4096;

/// The writing end.
#[derive(Debug)]
pub(super) enum Connection {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// A FIFO of our own: opened so that it never waits.
    Fifo(File),
    /// Standard output, which others share: it waits, unless it is asked first and then given no
    /// more than it has room for.
    Output(File),
}

impl Connection {
    /// Writes some of `bytes`; 0 if there is no room within `millis`.
    pub(super) fn write_some(&mut self, bytes: &[u8], millis: u16) -> io::Result<usize> {
        if millis > 0 || matches!(self, Self::Output(_)) {
            let mut asked = [PollFd::new(self.as_fd(), PollFlags::POLLOUT)];
            if poll(&mut asked, PollTimeout::from(millis))? == 0 {
                return Ok(0);
            }
        }
        let written = match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
            Self::Fifo(file) => file.write(bytes),
            Self::Output(file) => file.write(bytes.get(..PIPE_STEP).unwrap_or(bytes)),
        };
        match written {
            Ok(0) if !bytes.is_empty() => Err(io::ErrorKind::WriteZero.into()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock) => Ok(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            other => other,
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
            Self::Fifo(file) | Self::Output(file) => file.as_fd(),
        }
    }
}
