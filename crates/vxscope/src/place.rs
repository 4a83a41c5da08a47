//! Where a sensor's folder is if nobody says: here, or that of the service.

use std::io;
use std::path::{Path, PathBuf};

/// What `vxscope run` writes to if nobody says.
pub(crate) const HERE: &str = "vxscope-out";
/// What the packaged service writes to.
const SERVICE: &str = "/var/lib/vxscope/out";

/// A file or folder of the sensor that is most likely meant.
pub(crate) fn of(name: &str) -> PathBuf {
    let [here, service] = [HERE, SERVICE].map(|it| Path::new(it).join(name));
    choose(here, service, Path::try_exists)
}

/// What is here goes first. Whoever may not look into the service's folder hears that from there.
fn choose(here: PathBuf, service: PathBuf, exists: impl Fn(&Path) -> io::Result<bool>) -> PathBuf {
    match (exists(&here), exists(&service)) {
        (Ok(false), Ok(true) | Err(_)) => service,
        _ => here,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_here_goes_before_the_service() {
        let denied = || Err(io::ErrorKind::PermissionDenied.into());
        let table: [(bool, io::Result<bool>, &str); 5] = [
            (true, Ok(true), "here"),
            (true, denied(), "here"),
            (false, Ok(true), "service"),
            (false, denied(), "service"),
            (false, Ok(false), "here"),
        ];
        for (is_here, there, expected) in table {
            let exists = |path: &Path| match path == Path::new("here") {
                true => Ok(is_here),
                false => there.as_ref().map(|it| *it).map_err(|it| it.kind().into()),
            };
            let chosen = choose("here".into(), "service".into(), exists);
            assert_eq!(chosen, Path::new(expected), "{is_here} {there:?}");
        }
    }
}
