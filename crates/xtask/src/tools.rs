//! Other people's programs that the tests and the lab call, and the Debian packages they are in.

use crate::Result;
use crate::step::Outcome;
use crate::workspace::{run, text_of};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program by name and the Debian package that brings it.
pub(crate) struct Tool {
    program: &'static str,
    package: &'static str,
}

const fn tool(program: &'static str, package: &'static str) -> Tool {
    Tool { program, package }
}

/// What the tests compare our output with.
pub(crate) const FOR_TESTS: &[Tool] = &[
    tool("tshark", "tshark"),
    tool("capinfos", "wireshark-common"),
    tool("tcpdump", "tcpdump"),
    tool("argus", "argus-server"),
    tool("ra", "argus-client"),
    tool("softflowd", "softflowd"),
    tool("nfdump", "nfdump"),
    tool("nfcapd", "nfdump"),
    tool("faketime", "faketime"),
    tool("valgrind", "valgrind"),
    tool("python3", "python3-venv"),
    tool("nsenter", "util-linux"),
    tool("chromium", "chromium"),
    tool("chromedriver", "chromium-driver"),
    tool("promtool", "prometheus"),
    tool("tmux", "tmux"),
    tool("stunnel4", "stunnel4"),
    tool("openssl", "openssl"),
    tool("curl", "curl"),
    tool("mkfs.ext4", "e2fsprogs"),
    tool("age", "age"),
    tool("systemd-analyze", "systemd"),
    tool("dpkg-deb", "dpkg"),
    tool("mmdebstrap", "mmdebstrap"),
    tool("ip", "iproute2"),
];

/// What the lab runs: the programs of the tenants, and what builds and records the network.
pub(crate) const FOR_LAB: &[Tool] = &[
    tool("ip", "iproute2"),
    tool("tc", "iproute2"),
    tool("ss", "iproute2"),
    tool("unshare", "util-linux"),
    tool("mount", "mount"),
    tool("timeout", "coreutils"),
    tool("kill", "procps"),
    tool("sysctl", "procps"),
    tool("ethtool", "ethtool"),
    tool("tcpdump", "tcpdump"),
    tool("nginx", "nginx-light"),
    tool("curl", "curl"),
    tool("dnsmasq", "dnsmasq-base"),
    tool("dig", "bind9-dnsutils"),
    tool("redis-server", "redis-server"),
    tool("redis-cli", "redis-tools"),
    tool("sshd", "openssh-server"),
    tool("ssh-keygen", "openssh-client"),
    tool("ssh-keyscan", "openssh-client"),
    tool("iperf3", "iperf3"),
    tool("ping", "iputils-ping"),
    tool("nmap", "nmap"),
];

/// Makes the tools present: root installs what is missing; in CI an absent tool is a failure,
/// elsewhere a skip, because the tests that need it skip themselves and say so.
pub(crate) fn provide_for_tests() -> Result<Outcome> {
    let missing = provide(FOR_TESTS)?;
    if missing.is_empty() {
        return Ok(Outcome::passed());
    }
    let note = format!("missing: {}", missing.join(" "));
    if in_ci() {
        Err(note.into())
    } else {
        Ok(Outcome::Skipped(note))
    }
}

/// Installs what is missing if we are root, and returns the packages that are still missing.
pub(crate) fn provide(tools: &[Tool]) -> Result<Vec<&'static str>> {
    let missing = missing_packages(tools, &search_path());
    if missing.is_empty() || !is_root() || find("apt-get", &search_path()).is_none() {
        return Ok(missing);
    }
    install(&missing)?;
    Ok(missing_packages(tools, &search_path()))
}

/// True where the person at the keyboard is a machine.
pub(crate) fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true" || value == "1")
}

/// True for the user with the number zero.
pub(crate) fn is_root() -> bool {
    text_of(Command::new("id").arg("-u")).is_ok_and(|text| text.trim() == "0")
}

/// The full path of a program that must exist.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    find(name, &search_path())
        .ok_or_else(|| format!("the program `{name}` is not installed").into())
}

/// Installs packages if we are root; an error says which they are if we are not.
pub(crate) fn install_as_root(packages: &[&str]) -> Result<()> {
    if is_root() && find("apt-get", &search_path()).is_some() {
        return install(packages);
    }
    Err(format!("not installed: {}", packages.join(" ")).into())
}

fn install(packages: &[&str]) -> Result<()> {
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(["-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=300"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null());
        command
    };
    run(apt(&["update", "--quiet"]).stdout(Stdio::null()))?;
    let mut arguments = vec!["install", "--yes", "--quiet", "--no-install-recommends"];
    arguments.extend(packages);
    run(apt(&arguments).stdout(Stdio::null()))
}

fn missing_packages(tools: &[Tool], folders: &[PathBuf]) -> Vec<&'static str> {
    let mut packages: Vec<&'static str> = tools
        .iter()
        .filter(|tool| find(tool.program, folders).is_none())
        .map(|tool| tool.package)
        .collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn find(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    folders
        .iter()
        .map(|folder| folder.join(program))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// `PATH`, and the folders of the daemons, which an ordinary user's `PATH` leaves out.
fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const TOOLS: &[Tool] = &[
        tool("one", "pair"),
        tool("two", "pair"),
        tool("three", "single"),
    ];

    #[test]
    fn each_missing_package_is_named_once() {
        let folder = tempfile::tempdir().expect("a folder");
        check(folder.path(), &["pair", "single"]);
        put(folder.path(), "three", 0o755);
        put(folder.path(), "one", 0o755);
        check(folder.path(), &["pair"]);
        put(folder.path(), "two", 0o755);
        check(folder.path(), &[]);
    }

    #[test]
    fn a_file_without_the_execute_bit_is_no_program() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["one", "two"] {
            put(folder.path(), name, 0o755);
        }
        put(folder.path(), "three", 0o644);
        check(folder.path(), &["single"]);
    }

    fn check(folder: &Path, expected: &[&str]) {
        assert_eq!(missing_packages(TOOLS, &[folder.to_path_buf()]), expected);
    }

    fn put(folder: &Path, name: &str, mode: u32) {
        let path = folder.join(name);
        std::fs::write(&path, "").expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its mode");
    }
}
