//! `cargo xtask clean-root [PROGRAM]`: the Debian package in a fresh Debian that nothing else was
//! done to: installed, checked, used, removed. In namespaces of its own, without a network.

use crate::step::Outcome;
use crate::workspace::{Workspace, run};
use crate::{Result, deb, tools};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TRIAL: &str = include_str!("clean_root/trial.sh");
const SUITE: &str = "bookworm";
/// What the trial itself uses; the package has to say what it needs.
const PACKAGES: &str = "adduser,systemd,man-db,bash-completion,fish,zsh,curl,openssl";
/// As long as this a root that was fetched is used again.
const VERSION: &str = "2";

/// Tries the package of this program; says why not where it cannot be tried.
pub(crate) fn check(workspace: &Workspace, program: &Path) -> Result<Outcome> {
    if !tools::is_root() {
        return Ok(Outcome::Skipped("a clean root takes root".to_owned()));
    }
    for needed in ["mmdebstrap", "unshare", "ip", "tar"] {
        if tools::program(needed).is_err() {
            return Ok(Outcome::Skipped(format!("{needed} is not there")));
        }
    }
    let package = deb::make(workspace, Some(&program.display().to_string()))?;
    let folder = deb::target(workspace).join("clean-root");
    fs::create_dir_all(&folder)?;
    let archive = match fetch(&folder) {
        Ok(archive) => archive,
        Err(error) => {
            let why = format!("no fresh Debian could be fetched: {error}");
            return Ok(Outcome::Skipped(why));
        }
    };
    let root = tempfile::Builder::new()
        .prefix("root-")
        .tempdir_in(&folder)?;
    run(Command::new("tar")
        .args(["--numeric-owner", "--exclude=./dev/*", "-xf"])
        .args([archive.as_path(), "-C".as_ref(), root.path()]))?;
    fs::copy(&package, root.path().join("vxscope.deb"))?;
    fs::write(root.path().join("trial.sh"), TRIAL)?;
    let pcaps = root.path().join("pcaps");
    fs::create_dir(&pcaps)?;
    let capture = "two-tenants.pcap";
    fs::copy(workspace.path("pcaps").join(capture), pcaps.join(capture))?;
    for device in ["null", "zero", "random", "urandom", "tty"] {
        let at = root.path().join("dev").join(device);
        let from = Path::new("/dev").join(device);
        run(Command::new("cp").arg("-a").args([from, at]))?;
    }
    run(Command::new("unshare")
        .args(["--mount", "--pid", "--net", "--ipc", "--fork"])
        .args([
            "sh",
            "-c",
            "ip link set lo up && exec chroot \"$0\" bash /trial.sh",
        ])
        .arg(root.path()))?;
    Ok(Outcome::Passed(format!("in a fresh {SUITE}")))
}

/// A fresh Debian as an archive, fetched once.
fn fetch(folder: &Path) -> Result<PathBuf> {
    let archive = folder.join(format!("{SUITE}-{VERSION}.tar"));
    if !archive.exists() {
        let partial = folder.join("partial.tar");
        run(Command::new("mmdebstrap")
            .args(["--quiet", "--variant=minbase"])
            .arg(format!("--include={PACKAGES}"))
            .args([SUITE.as_ref(), partial.as_path()]))?;
        fs::rename(partial, &archive)?;
    }
    Ok(archive)
}
