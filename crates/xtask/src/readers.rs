//! Python packages that read our formats, ask our API and drive a browser, in an environment of their own under the target folder.

use crate::Result;
use crate::step::Outcome;
use crate::tools;
use crate::workspace::{Workspace, run};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the tests ask for the Python that has the packages.
pub(crate) const VARIABLE: &str = "VXSCOPE_READERS";

/// The packages, each at the version whose answers we know.
const PACKAGES: [&str; 8] = [
    "duckdb==1.4.1",
    "flowlogs-reader==5.0.1",
    "jsonschema==4.26.0",
    "moto[s3,server]==5.2.5",
    "ocsf-json-schema==1.2.0",
    "parsezeeklogs==3.0.1",
    "schemathesis==4.32.5",
    "selenium==4.51.0",
];

/// Makes the packages present; where that cannot be done, CI fails and others skip.
pub(crate) fn provide(workspace: &Workspace) -> Result<Outcome> {
    match installed(workspace) {
        Ok(()) => Ok(Outcome::passed()),
        Err(error) if tools::in_ci() => Err(error),
        Err(error) => Ok(Outcome::Skipped(error.to_string())),
    }
}

/// The Python of the environment, if all of it is there.
pub(crate) fn python(workspace: &Workspace) -> Option<PathBuf> {
    let folder = folder(workspace);
    let is_whole = std::fs::read_to_string(list(&folder)).is_ok_and(|text| text == wanted());
    is_whole.then(|| folder.join("bin/python"))
}

fn installed(workspace: &Workspace) -> Result<()> {
    if python(workspace).is_some() {
        return Ok(());
    }
    let folder = folder(workspace);
    let make = || {
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder))
    };
    if make().is_err() {
        // Debian's Python comes without what environments need.
        tools::install_as_root(&["python3-venv"])?;
        make()?;
    }
    run(Command::new(folder.join("bin/pip"))
        .args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--retries",
            "3",
        ])
        .args(PACKAGES))?;
    std::fs::write(list(&folder), wanted())?;
    Ok(())
}

fn folder(workspace: &Workspace) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.path("target"), PathBuf::from);
    target.join("readers")
}

/// Written last: an environment that was interrupted does not have it.
fn list(folder: &Path) -> PathBuf {
    folder.join("packages.txt")
}

fn wanted() -> String {
    PACKAGES.join("\n")
}
