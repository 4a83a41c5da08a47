//! `cargo xtask deb [PROGRAM]`: the Debian package of the sensor, with what a service needs.

use crate::Result;
use crate::manual;
use crate::workspace::{Workspace, run, text_of};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGING: &str = "crates/vxscope/packaging";
/// What is copied as it is: from, to, mode.
const FILES: [(&str, &str, u32); 17] = [
    (
        "crates/vxscope/packaging/systemd/vxscope.service",
        "lib/systemd/system/vxscope.service",
        0o644,
    ),
    (
        "crates/vxscope/packaging/systemd/vxscope-controller.service",
        "lib/systemd/system/vxscope-controller.service",
        0o644,
    ),
    (
        "crates/vxscope/packaging/systemd/vxscope-tune.service",
        "lib/systemd/system/vxscope-tune.service",
        0o644,
    ),
    (
        "crates/vxscope/packaging/systemd/vxscope-reap.service",
        "lib/systemd/system/vxscope-reap.service",
        0o644,
    ),
    (
        "crates/vxscope/packaging/systemd/vxscope-reap.timer",
        "lib/systemd/system/vxscope-reap.timer",
        0o644,
    ),
    (
        "crates/vxscope/packaging/vxscope-tune",
        "usr/sbin/vxscope-tune",
        0o755,
    ),
    (
        "crates/vxscope/packaging/vxscope.toml",
        "etc/vxscope/vxscope.toml",
        0o640,
    ),
    (
        "crates/vxscope/packaging/prometheus/vxscope.rules.yml",
        "usr/share/vxscope/vxscope.rules.yml",
        0o644,
    ),
    (
        "crates/vxscope/packaging/grafana/vxscope.json",
        "usr/share/vxscope/vxscope-dashboard.json",
        0o644,
    ),
    ("docs/GUIDE.md", "usr/share/doc/vxscope/GUIDE.md", 0o644),
    (
        "docs/CONTROLLER.md",
        "usr/share/doc/vxscope/CONTROLLER.md",
        0o644,
    ),
    ("docs/CONTROL.md", "usr/share/doc/vxscope/CONTROL.md", 0o644),
    (
        "docs/OPERATING.md",
        "usr/share/doc/vxscope/OPERATING.md",
        0o644,
    ),
    ("docs/RUNBOOK.md", "usr/share/doc/vxscope/RUNBOOK.md", 0o644),
    (
        "docs/REFERENCE.md",
        "usr/share/doc/vxscope/REFERENCE.md",
        0o644,
    ),
    (
        "docs/policy.toml",
        "usr/share/doc/vxscope/policy.toml",
        0o644,
    ),
    ("LICENSE-APACHE", "usr/share/doc/vxscope/copyright", 0o644),
];

/// Makes the package from this program, or from a release build.
pub(crate) fn make(workspace: &Workspace, program: Option<&str>) -> Result<PathBuf> {
    let target = target(workspace);
    let program = match program {
        Some(program) => PathBuf::from(program),
        None => {
            let build = ["build", "--release", "-p", "vxscope", "--features", "tls"];
            run(&mut workspace.cargo(&build))?;
            target.join("release/vxscope")
        }
    };
    let root = target.join("deb/root");
    let _ = fs::remove_dir_all(&root);
    for (from, to, mode) in FILES {
        put(&root, to, &fs::read(workspace.path(from))?, mode)?;
    }
    put(&root, "usr/bin/vxscope", &fs::read(&program)?, 0o755)?;
    let stripped = Command::new("strip")
        .arg(root.join("usr/bin/vxscope"))
        .status();
    if !stripped.is_ok_and(|status| status.success()) {
        println!("strip is not there: the package is larger than it needs to be");
    }
    // The controller is built apart, and in the package if it was.
    let controller = program.with_file_name("vxscope-controller");
    if controller.exists() {
        put(
            &root,
            "usr/bin/vxscope-controller",
            &fs::read(controller)?,
            0o755,
        )?;
    }
    for page in manual::pages(&program)? {
        let to = format!("usr/share/man/man1/{}", page.name);
        put(&root, &to, page.text.as_bytes(), 0o644)?;
    }
    for (to, text) in [
        (
            "usr/share/bash-completion/completions/vxscope",
            manual::bash(&program)?,
        ),
        (
            "usr/share/fish/vendor_completions.d/vxscope.fish",
            manual::fish(&program)?,
        ),
        (
            "usr/share/zsh/vendor-completions/_vxscope",
            manual::zsh(&program)?,
        ),
    ] {
        put(&root, to, text.as_bytes(), 0o644)?;
    }
    control(workspace, &root, &program)?;
    let architecture = text_of(Command::new("dpkg").arg("--print-architecture"))?;
    let name = format!("vxscope_{}_{}.deb", version(&program)?, architecture.trim());
    let package = target.join("deb").join(name);
    run(Command::new("dpkg-deb")
        .args(["--root-owner-group", "--build"])
        .args([&root, &package]))?;
    Ok(package)
}

/// Where cargo puts what it makes.
pub(crate) fn target(workspace: &Workspace) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.path("target"), PathBuf::from)
}

fn put(root: &Path, to: &str, bytes: &[u8], mode: u32) -> Result<()> {
    let path = root.join(to);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&path, bytes)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    Ok(())
}

fn version(program: &Path) -> Result<String> {
    let said = text_of(Command::new(program).arg("--version"))?;
    let version = said.split_whitespace().nth(1);
    Ok(version.ok_or("--version names no version")?.to_owned())
}

fn control(workspace: &Workspace, root: &Path, program: &Path) -> Result<()> {
    let architecture = text_of(Command::new("dpkg").arg("--print-architecture"))?;
    let control = format!(
        "Package: vxscope\nVersion: {}\nArchitecture: {}\nMaintainer: vxscope\n\
         Section: net\nPriority: optional\nDepends: libc6 (>= 2.34), libgcc-s1, adduser\n\
         Recommends: ethtool\nSuggests: stunnel4, prometheus\n\
         Description: sensor for AWS VPC Traffic Mirroring\n \
         Receives the VXLAN copies of mirrored interfaces, keeps every conversation apart,\n \
         hands clean packets to Zeek and Suricata, and accounts for every byte.\n",
        version(program)?,
        architecture.trim()
    );
    put(root, "DEBIAN/control", control.as_bytes(), 0o644)?;
    put(
        root,
        "DEBIAN/conffiles",
        b"/etc/vxscope/vxscope.toml\n",
        0o644,
    )?;
    for script in ["postinst", "prerm", "postrm"] {
        let from = workspace.path(&format!("{PACKAGING}/debian/{script}"));
        put(root, &format!("DEBIAN/{script}"), &fs::read(from)?, 0o755)?;
    }
    Ok(())
}
