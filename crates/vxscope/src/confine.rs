//! Where a running sensor may write: its own folders, and nowhere else, whoever takes it over.
//!
//! Reading is left alone: the sensor looks at `/proc` and at files of others.

use std::path::{Path, PathBuf};

use vxscope_config::{Config, ExportKind};
use vxscope_export::OutputDir;
use vxscope_linux::write_only_in;

use crate::failure::Failure;

/// From now on this thread writes, makes and removes files in the folders of the configuration
/// alone. Makes those that are missing. What could not be done, for people.
pub(crate) fn confine(config: &Config, out: &Path) -> Result<Option<String>, Failure> {
    let folders = folders(config, out);
    for folder in &folders {
        OutputDir::create(folder).map_err(|error| Failure::Failed(error.to_string()))?;
    }
    Ok(write_only_in("sensor", &folders, &files(config)))
}

/// The folders of the outputs, and those of files that are configured one by one.
fn folders(config: &Config, out: &Path) -> Vec<PathBuf> {
    let ways = config.export.kinds.iter().filter_map(|way| {
        let target = way.target.as_deref()?;
        match way.kind {
            ExportKind::Pcap | ExportKind::Pcapng => Some(PathBuf::from(target)),
            ExportKind::PcapStream if target != "-" => folder_of(target),
            _ => None,
        }
    });
    let files = [
        &config.handoff.vlan_file,
        &config.look_back.audit,
        &config.detectors.eve_socket,
        &config.api.control_socket,
    ];
    let files = files.into_iter().filter_map(|file| folder_of(file));
    std::iter::once(out.to_owned())
        .chain(ways)
        .chain(files)
        .collect()
}

/// Where a file lies; `None` for none.
fn folder_of(file: &str) -> Option<PathBuf> {
    let folder = Path::new(file).parent()?;
    Some(match folder.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => folder.to_owned(),
    })
}

/// What is written to and not made: for interfaces, if there are any to be made.
fn files(config: &Config) -> Vec<PathBuf> {
    let mut kinds = config.export.kinds.iter().map(|way| way.kind);
    match kinds.any(|kind| kind == ExportKind::Tap) {
        true => ["/dev/net/tun", "/proc/sys/net"].map(PathBuf::from).into(),
        false => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::ErrorKind;
    use std::process::Command;
    use std::thread;

    #[test]
    fn every_folder_that_is_configured_can_be_written_to() {
        let text = "look_back.audit = '/a/audit'\napi.control_socket = 'c.sock'\n\
                    export.kinds = ['eve', 'pcap=/p', 'pcap-stream=/f/fifo', 'pcap-stream=-']";
        let config = Config::parse(text).unwrap();
        let folders = folders(&config, Path::new("out"));
        let expected = ["out", "/p", "/f", "/a", "."];
        assert_eq!(folders, expected.map(PathBuf::from));
        assert!(files(&config).is_empty());
    }

    /// In a process of its own: there is no way back.
    #[test]
    fn a_process_writes_nowhere_else() {
        const CHILD: &str = "VXSCOPE_TEST_CONFINED";
        if let Some(folder) = std::env::var_os(CHILD).map(PathBuf::from) {
            let (ours, others) = (folder.join("ours"), folder.join("others"));
            let open = confine(&Config::default(), &ours).unwrap();
            if open.is_some_and(|it| it.contains("no Landlock")) {
                let ci = std::env::var("CI").is_ok_and(|value| value == "true");
                assert!(!ci, "in CI the kernel has Landlock");
                println!("skipped: this kernel has no Landlock");
                return;
            }
            let work = move || {
                fs::write(ours.join("file"), "1").unwrap();
                fs::rename(ours.join("file"), ours.join("named")).unwrap();
                fs::remove_file(ours.join("named")).unwrap();
                let refused = [
                    fs::write(folder.join("new"), "1"),
                    fs::write(&others, "1"),
                    fs::remove_file(&others),
                    fs::rename(&others, ours.join("others")),
                    fs::create_dir(folder.join("folder")),
                    std::os::unix::net::UnixListener::bind(folder.join("socket")).map(drop),
                ];
                for result in refused {
                    let error = result.expect_err("it is elsewhere");
                    let kinds = [ErrorKind::PermissionDenied, ErrorKind::CrossesDevices];
                    assert!(kinds.contains(&error.kind()), "{error}");
                }
                // What others wrote may be read.
                assert_eq!(fs::read_to_string(&others).unwrap(), "theirs");
            };
            thread::scope(|scope| scope.spawn(work).join().unwrap());
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("others"), "theirs").unwrap();
        let test = "confine::tests::a_process_writes_nowhere_else";
        let child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(CHILD, folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success(), "{said}");
    }
}
