//! The file of the control socket: made with its mode, taken over from the dead, and removed.

use std::ffi::OsString;
use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::error::ApiError;

/// Longest path of a socket: `sun_path` has 108 bytes, and the last is zero.
const PATH_MAX: usize = 107;
/// Owner and group may ask; nobody else.
const MODE: u32 = 0o660;
const LOCK_MODE: u32 = 0o600;
/// Connections that wait to be accepted; further ones wait in the kernel of the client.
const BACKLOG: i32 = 128;

/// The file of a socket that listens. It is to go before the socket, while nobody else can take
/// its place.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    lock: Lock,
}

/// An empty hidden file, locked as long as its owner lives: who holds it owns the socket, and the
/// kernel takes it from a process that is killed.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    _held: File,
}

/// Makes the socket. One whose process is dead is replaced.
pub(crate) fn open(path: &Path) -> Result<(UnixListener, SocketFile), ApiError> {
    let failed = |cause| ApiError::Socket {
        path: path.to_owned(),
        cause,
    };
    let Some(lock) = Lock::try_new(path).map_err(failed)? else {
        return Err(ApiError::Occupied {
            path: path.to_owned(),
        });
    };
    let short = Short::try_new(path)?;
    clear(path, &short)?;
    let listener = listen(&short.path).map_err(failed)?;
    let path = path.to_owned();
    Ok((listener, SocketFile { path, lock }))
}

impl Lock {
    /// `None` if somebody else has it.
    fn try_new(socket: &Path) -> io::Result<Option<Self>> {
        let mut name = OsString::from(".");
        name.push(socket.file_name().unwrap_or_default());
        name.push(".lock");
        let path = socket.with_file_name(name);
        loop {
            let held = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(LOCK_MODE)
                .open(&path)?;
            match held.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
                // Its last owner may have removed it in between: then it keeps nobody out.
                Ok(()) if held.metadata()?.nlink() == 0 => {}
                Ok(()) => return Ok(Some(Self { path, _held: held })),
            }
        }
    }
}

/// Connects to a socket, however long its path is.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    match Short::try_new(path) {
        Ok(short) => UnixStream::connect(short.path),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidFilename, error)),
    }
}

/// A path of a socket that the kernel takes: a long one goes through the open folder.
#[derive(Debug)]
struct Short {
    path: PathBuf,
    _folder: Option<File>,
}

impl Short {
    fn try_new(path: &Path) -> Result<Self, ApiError> {
        if path.as_os_str().len() <= PATH_MAX {
            return Ok(Self {
                path: path.to_owned(),
                _folder: None,
            });
        }
        let failed = |cause| ApiError::Socket {
            path: path.to_owned(),
            cause,
        };
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        let folder = File::open(folder).map_err(failed)?;
        let mut short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
        short.push(path.file_name().unwrap_or_default());
        match short.as_os_str().len().checked_sub(PATH_MAX) {
            Some(excess @ 1..) => Err(ApiError::PathTooLong {
                path: path.to_owned(),
                excess,
            }),
            _ => Ok(Self {
                path: short,
                _folder: Some(folder),
            }),
        }
    }
}

/// Removes a socket that nobody answers at.
fn clear(path: &Path, short: &Short) -> Result<(), ApiError> {
    let failed = |cause| ApiError::Socket {
        path: path.to_owned(),
        cause,
    };
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(failed)?,
    };
    if !found.file_type().is_socket() {
        return Err(ApiError::NotASocket {
            path: path.to_owned(),
        });
    }
    match UnixStream::connect(&short.path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A queue of connections that is full has somebody who does not get to them.
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(failed(error)),
        Ok(_) | Err(_) => Err(ApiError::Occupied {
            path: path.to_owned(),
        }),
    }
}

/// The mode is set before it listens: until then nobody can connect.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(UnixListener::from(OwnedFd::from(socket)))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(&self.lock.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_and_group_may_connect_and_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let (_listener, _file) = open(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
    }

    #[test]
    fn a_living_socket_is_refused_and_a_dead_one_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let (listener, file) = open(&path).unwrap();
        let refused = open(&path).unwrap_err();
        assert!(matches!(refused, ApiError::Occupied { .. }), "{refused}");
        drop(listener);
        drop(file);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        // As a process leaves it that was killed.
        drop(listen(&path).unwrap());
        assert!(path.exists());
        drop(open(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn a_living_socket_without_a_lock_is_refused_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let _listener = listen(&path).unwrap();
        let refused = open(&path).unwrap_err();
        assert!(matches!(refused, ApiError::Occupied { .. }), "{refused}");
    }

    #[test]
    fn what_is_no_socket_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        fs::write(&path, "precious").unwrap();
        let refused = open(&path).unwrap_err();
        assert!(matches!(refused, ApiError::NotASocket { .. }), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_folder_may_have_a_longer_path_than_the_kernel_takes() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a".repeat(PATH_MAX));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("a.sock");
        let (_listener, file) = open(&path).unwrap();
        connect(&path).unwrap();
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_name_may_not() {
        let dir = tempfile::tempdir().unwrap();
        let refused = open(&dir.path().join("a".repeat(PATH_MAX))).unwrap_err();
        assert!(matches!(refused, ApiError::PathTooLong { .. }), "{refused}");
    }
}
