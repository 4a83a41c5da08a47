//! What a controller that works for long gives up: it holds credentials, and a key.
//!
//! It reads what it likes and talks to whom it likes, as it must; it still executes what its
//! configuration of AWS names for credentials, and `ip`, which are confined as it is.

use std::path::{Path, PathBuf};

use vxscope_linux::privilege::{self, Execution};
use vxscope_linux::write_only_in;

use crate::config::Config;

/// From now on this process dumps no core, gains no privileges and makes no system calls that it
/// never needs; this thread and those that it starts write in the folders of state and key, and in
/// `~/.aws`, where tokens of SSO and of `credential_process` are kept, alone. What could not be
/// done is said, and nothing else.
pub(crate) fn confine(config: &Config) {
    for complaint in complaints(config) {
        tracing::warn!("{complaint}");
    }
}

fn complaints(config: &Config) -> Vec<String> {
    let folders = folders(config, std::env::home_dir());
    // What is executed gets no input.
    let null = [PathBuf::from("/dev/null")];
    let writing = write_only_in("controller", &folders, &null);
    let mut complaints: Vec<String> = writing.into_iter().collect();
    let steps = [
        ("core dumps are possible", privilege::no_core_dumps()),
        ("privileges can be gained", privilege::no_new_privileges()),
        (
            "no system call is refused",
            privilege::refuse_system_calls(Execution::Kept),
        ),
    ];
    let failed = steps
        .into_iter()
        .filter_map(|(what, done)| Some(format!("{what}: {}", done.err()?)));
    complaints.extend(failed);
    complaints
}

/// Where it writes: those that are there, and those that can be made.
fn folders(config: &Config, home: Option<PathBuf>) -> Vec<PathBuf> {
    let key = config.key_file.parent().unwrap_or_else(|| Path::new(""));
    let ours = [&config.folder, key].map(|folder| match folder.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => folder.to_owned(),
    });
    // Whoever opens one next says what is wrong with it.
    let ours = ours
        .into_iter()
        .filter(|folder| std::fs::create_dir_all(folder).is_ok());
    let tokens = home.map(|home| home.join(".aws"));
    ours.chain(tokens.filter(|folder| folder.is_dir()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::ErrorKind;
    use std::process::{Command, Stdio};

    #[test]
    fn tokens_are_kept_where_the_command_line_of_aws_keeps_them() {
        let home = tempfile::tempdir().unwrap();
        let config = config(home.path());
        let state = home.path().join("state");
        let with = |home: Option<&Path>| folders(&config, home.map(Path::to_owned));
        assert_eq!(with(None), [state.clone(), state.clone()]);
        assert_eq!(with(Some(home.path())).len(), 2);
        let tokens = home.path().join(".aws");
        fs::create_dir(&tokens).unwrap();
        assert_eq!(with(Some(home.path())), [state.clone(), state, tokens]);
    }

    /// In a process of its own: there is no way back.
    #[test]
    fn a_controller_writes_in_its_folder_alone_and_executes_what_is_confined_too() {
        const CHILD: &str = "VXSCOPE_TEST_CONFINED";
        if let Some(folder) = std::env::var_os(CHILD).map(PathBuf::from) {
            let said = complaints(&config(&folder));
            if said.iter().any(|it| it.contains("no Landlock")) {
                let ci = std::env::var("CI").is_ok_and(|value| value == "true");
                assert!(!ci, "in CI the kernel has Landlock");
                println!("skipped: this kernel has no Landlock");
                return;
            }
            assert_eq!(said, Vec::<String>::new());
            let (ours, others) = (folder.join("state"), folder.join("others"));
            fs::write(ours.join("file"), "1").unwrap();
            fs::rename(ours.join("file"), ours.join("named")).unwrap();
            let refused = [
                fs::write(folder.join("new"), "1"),
                fs::write(&others, "1"),
                fs::remove_file(&others),
                std::os::unix::net::UnixListener::bind(folder.join("socket")).map(drop),
            ];
            for result in refused {
                let error = result.expect_err("it is elsewhere");
                assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
            }
            assert_eq!(fs::read_to_string(&others).unwrap(), "theirs");
            let shell = |script: &str| {
                let mut shell = Command::new("sh");
                shell.args(["-c", script]).current_dir(&folder);
                shell.stdin(Stdio::null()).output().unwrap()
            };
            let asked = shell("cat others && echo done > state/token");
            assert!(asked.status.success() && asked.stdout == b"theirs");
            assert!(!shell("echo 1 > others").status.success());
            let status = shell("cat /proc/self/status").stdout;
            let status = String::from_utf8_lossy(&status).into_owned();
            assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"));
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("others"), "theirs").unwrap();
        let test = "confine::tests::a_controller_writes_in_its_folder_alone_and_executes_what_is_confined_too";
        let child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(CHILD, folder.path())
            .env("HOME", folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success(), "{said}");
        let key = folder.path().join("state/token");
        assert_eq!(fs::read_to_string(key).unwrap(), "done\n");
    }

    fn config(folder: &Path) -> Config {
        let path = folder.join("controller.toml");
        let state = folder.join("state");
        if !path.exists() {
            let text = format!(
                "[mirroring]\ntag_key = \"mirror\"\n[target]\nnetwork_interface = \"eni-1\"\n\
                 [state]\nfolder = \"{}\"\n",
                state.display()
            );
            fs::write(&path, text).unwrap();
        }
        Config::read(&path).unwrap()
    }
}
