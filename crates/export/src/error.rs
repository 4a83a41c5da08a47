//! What can go wrong with a file, and what the user can do about it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// An output that could not be written. The text names the path, the cause and a way out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Another process writes its outputs there.
    #[error(
        "{}: another vxscope writes there; give each run, and each output, a folder of its own",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// Nobody can be reached, or listened to, at an address.
    #[error("cannot {action} {address}: {cause}; is it free, and written as ADDRESS:PORT?")]
    Address {
        /// What was tried.
        action: &'static str,
        /// Where.
        address: String,
        /// What the operating system said.
        cause: io::Error,
    },
    /// No TAP interface of a name can be had.
    #[error("cannot make the interface {name}: {cause}; {}", interface_advice(.cause))]
    Interface {
        /// Its name.
        name: String,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The operating system refused an operation on a file or folder.
    #[error("cannot {action} {}: {cause}; {}", .path.display(), advice(.cause))]
    Io {
        /// What was tried, as a verb: `create`, `write`, `remove`, `rename`.
        action: &'static str,
        /// The file or folder the user knows, never the hidden temporary one.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
}

impl ExportError {
    pub(crate) fn interface(name: &str, cause: io::Error) -> Self {
        Self::Interface {
            name: name.to_owned(),
            cause,
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path, cause: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            cause,
        }
    }
}

fn advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some space on that disk, or choose another folder with --out"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "let this user write there, or choose another folder with --out"
        }
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            "a file is where a folder should be; move it, or choose another folder with --out"
        }
        ErrorKind::IsADirectory => {
            "a folder is where the file should be; move it, or choose another folder with --out"
        }
        _ => "check that disk, or choose another folder with --out",
    }
}

fn interface_advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        ErrorKind::PermissionDenied => {
            "give the sensor CAP_NET_ADMIN, or make it beforehand: \
             ip tuntap add NAME mode tap multi_queue user USER"
        }
        ErrorKind::NotFound => "load the kernel module tun, and let the sensor see /dev/net/tun",
        ErrorKind::InvalidInput => {
            "choose a short name that no other interface has; one that was made beforehand for \
             several workers needs multi_queue"
        }
        _ => "choose a name that nobody else uses",
    }
}
