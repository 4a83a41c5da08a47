//! The file that stops everything on this machine, whatever the account says.

use std::io;
use std::path::Path;

use crate::store::replace;

const FILE: &str = "hold";

/// Why everything is stopped, if it is.
pub(crate) fn read(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join(FILE)).ok()?;
    Some(text.trim().to_owned())
}

/// Stops everything, on the disk when it returns.
pub(crate) fn write(folder: &Path, reason: &str) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    replace(&folder.join(FILE), reason.as_bytes())
}

/// Lets it go on.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_file(folder.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
