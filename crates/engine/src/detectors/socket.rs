//! A unix socket to which Suricata sends its `eve.json` (`filetype: unix_stream`).

use std::fs::Permissions;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use vxscope_alert::Lines;

use super::follow::Take;
use crate::error::EngineError;

/// Connections at once; a further one waits until one of them ends.
const CONNECTIONS_MAX: usize = 4;
/// Bytes of one read.
const READ_BYTES: usize = 64 << 10;
/// Reads of one connection at one look.
const READS_MAX: usize = 16;
/// Owner and group may send alerts; nobody else.
const MODE: u32 = 0o660;

/// See the module.
#[derive(Debug)]
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    connections: Vec<(UnixStream, Lines)>,
    buffer: Vec<u8>,
}

impl Socket {
    /// Makes it; one that an earlier run left is replaced.
    ///
    /// # Errors
    /// It cannot be made, or something else is there.
    pub(super) fn open(path: &Path) -> Result<Self, EngineError> {
        let made = Self::listen(path);
        let listener = made.map_err(|cause| EngineError::DetectorSocket {
            path: path.to_owned(),
            cause,
        })?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            connections: Vec::new(),
            buffer: vec![0; READ_BYTES],
        })
    }

    fn listen(path: &Path) -> io::Result<UnixListener> {
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => {
                if UnixStream::connect(path).is_ok() {
                    return Err(io::Error::new(
                        ErrorKind::AddrInUse,
                        "somebody listens there already",
                    ));
                }
                std::fs::remove_file(path)?;
            }
            Ok(_) => return Err(io::Error::new(ErrorKind::AlreadyExists, "is no socket")),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, Permissions::from_mode(MODE))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Hands over the lines that have come.
    ///
    /// # Errors
    /// The listener fails. A connection that fails is closed.
    pub(super) fn poll(&mut self, take: &mut Take<'_>) -> io::Result<()> {
        while self.connections.len() < CONNECTIONS_MAX {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true)?;
                    self.connections.push((stream, Lines::default()));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        let buffer = &mut self.buffer;
        self.connections.retain_mut(|(stream, lines)| {
            let lives = read(stream, lines, buffer, take);
            if !lives && let Err(torn) = lines.end() {
                take(Err(torn));
            }
            lives
        });
        Ok(())
    }
}

/// Whether the connection goes on.
fn read(
    stream: &mut UnixStream,
    lines: &mut Lines,
    buffer: &mut [u8],
    take: &mut Take<'_>,
) -> bool {
    for _ in 0..READS_MAX {
        match stream.read(buffer) {
            Ok(0) => return false,
            Ok(length) => lines.take(buffer.get(..length).unwrap_or_default(), &mut *take),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => return true,
                ErrorKind::Interrupted => {}
                _ => return false,
            },
        }
    }
    true
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_of_several_connections_stay_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("eve.sock");
        let mut socket = Socket::open(&path).unwrap();
        let mut one = UnixStream::connect(&path).unwrap();
        let mut other = UnixStream::connect(&path).unwrap();
        one.write_all(b"on").unwrap();
        other.write_all(b"two\nhalf").unwrap();
        assert_eq!(lines(&mut socket), ["two"]);
        one.write_all(b"e\n").unwrap();
        drop(other);
        assert_eq!(lines(&mut socket), ["one", "torn"]);
        assert_eq!(socket.connections.len(), 1);
    }

    #[test]
    fn a_dead_socket_is_replaced_and_anything_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("eve.sock");
        drop(UnixListener::bind(&path).unwrap());
        let socket = Socket::open(&path).unwrap();
        assert!(Socket::open(&path).is_err(), "it lives");
        drop(socket);
        assert!(!path.exists());
        std::fs::write(&path, "precious").unwrap();
        assert!(Socket::open(&path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    fn lines(socket: &mut Socket) -> Vec<String> {
        let mut lines = Vec::new();
        let mut take = |line: Result<&[u8], vxscope_alert::Malformed>| {
            lines.push(match line {
                Ok(line) => String::from_utf8_lossy(line).into_owned(),
                Err(why) => why.name().to_owned(),
            });
        };
        socket.poll(&mut take).unwrap();
        lines
    }
}
