//! A system that does not give what a program asks it for.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

use crate::sensor::{free_port, until};
use crate::stop::threads;
use crate::{folder, skip, vxscope};

/// Users of no other process: the kernel counts the threads of a user, wherever they are.
const USERS: [&str; 2] = ["64123", "64124"];
/// More threads than any of these has with four workers.
const ENOUGH: u32 = 64;
/// The program is handed over open: that user may not get to where it lies.
const SCRIPT: &str = r#"exec 3< "$1" && user=$2 threads=$3 && shift 3 &&
exec setpriv --reuid="$user" --clear-groups prlimit --nproc="$threads" /proc/self/fd/3 "$@""#;
const SMALL: [&str; 6] = [
    "--workers",
    "4",
    "--out",
    "out",
    "--set",
    "rings.memory=8MiB",
];

/// Whichever thread it is that cannot be started, also a worker after others have begun.
#[test]
fn a_run_that_cannot_have_all_its_threads_ends_and_says_so() {
    check(|dir, limit| {
        let listen = format!("127.0.0.1:{}", free_port());
        let mut sensor = start(dir, (USERS[0], limit), &["run", "--listen", &listen]);
        until("an end, or four workers", || {
            let ended = sensor.0.try_wait().unwrap();
            let names = || threads(sensor.0.id());
            let is_whole = ended.is_none() && names().iter().any(|name| name == "worker-3");
            (is_whole || ended.is_some()).then_some(ended)
        })
    });
}

#[test]
fn a_replay_that_cannot_have_all_its_threads_ends_and_says_so() {
    let capture = folder();
    // More than a worker may be behind the others.
    vxscope(
        capture.path(),
        &["gen", "--packets", "50000", "--pcap", "in.pcap"],
    )
    .ok();
    check(|dir, limit| {
        fs::copy(capture.path().join("in.pcap"), dir.join("in.pcap")).unwrap();
        let mut replay = start(dir, (USERS[1], limit), &["replay", "in.pcap"]);
        let ended = until("an end", || replay.0.try_wait().unwrap());
        (!ended.success()).then_some(ended)
    });
}

/// Runs something with ever more threads until it has enough of them.
fn check(run: impl Fn(&Path, u32) -> Option<ExitStatus>) {
    if !fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0) {
        return skip("only root can become somebody else");
    }
    let enough = (1..ENOUGH).find(|limit| {
        let dir = folder();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).expect("a folder of ours");
        let Some(ended) = run(dir.path(), *limit) else {
            return true;
        };
        let said = fs::read_to_string(dir.path().join("said")).expect("a file of ours");
        assert_eq!(ended.code(), Some(1), "{limit} threads: {said}");
        assert!(said.contains("Resource temporarily unavailable"), "{said}");
        false
    });
    assert!(enough.is_some_and(|threads| threads > 4), "{enough:?}");
}

/// As this user, with so many threads.
fn start(dir: &Path, (user, threads): (&str, u32), command: &[&str]) -> Started {
    let file = |name| File::create(dir.join(name)).expect("a file of ours");
    let child = Command::new("sh")
        .args(["-c", SCRIPT, "sh", env!("CARGO_BIN_EXE_vxscope"), user])
        .arg(threads.to_string())
        .args(command)
        .args(SMALL)
        .current_dir(dir)
        .env_remove("VXSCOPE_LOG")
        .stdout(file("printed"))
        .stderr(file("said"))
        .spawn();
    Started(child.expect("a shell"))
}

/// It would count against whoever tries again.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
