//! A sensor that does not get what it needs from the system.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command};

use crate::sensor::{free_port, until};
use crate::stop::threads;
use crate::{folder, skip};

/// A user of no other process: the kernel counts the threads of a user, wherever they are.
const USER: &str = "64123";
/// More threads than a sensor has with four workers.
const ENOUGH: u32 = 64;
/// The program is handed over open: that user may not get to where it lies.
const SCRIPT: &str = r#"exec 3< "$1" && shift &&
exec setpriv --reuid="$1" --clear-groups prlimit --nproc="$2" /proc/self/fd/3 \
  run --listen "$3" --workers 4 --out out --set rings.memory=8MiB"#;

/// Whichever thread it is that cannot be started, also a worker after others have begun.
#[test]
fn a_run_that_cannot_have_all_its_threads_ends_and_says_so() {
    if !fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0) {
        return skip("only root can become somebody else");
    }
    for limit in 1..ENOUGH {
        let dir = folder();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        let mut sensor = start(dir.path(), limit);
        let ended = until("an end, or four workers", || {
            let ended = sensor.try_wait().unwrap();
            let names = || threads(sensor.id());
            let is_whole = ended.is_none() && names().iter().any(|name| name == "worker-3");
            (is_whole || ended.is_some()).then_some(ended)
        });
        let Some(ended) = ended else {
            sensor.kill().unwrap();
            sensor.wait().unwrap();
            assert!(limit > 5, "it has four workers and others");
            return;
        };
        let said = fs::read_to_string(dir.path().join("said")).unwrap();
        assert_eq!(ended.code(), Some(1), "{limit} threads: {said}");
        assert!(said.contains("Resource temporarily unavailable"), "{said}");
    }
    panic!("{ENOUGH} threads are not enough");
}

fn start(dir: &Path, threads: u32) -> Child {
    let arguments = [
        env!("CARGO_BIN_EXE_vxscope"),
        USER,
        &threads.to_string(),
        &format!("127.0.0.1:{}", free_port()),
    ];
    let file = |name| File::create(dir.join(name)).expect("a folder of ours");
    Command::new("sh")
        .args(["-c", SCRIPT, "sh"])
        .args(arguments)
        .current_dir(dir)
        .env_remove("VXSCOPE_LOG")
        .stdout(file("printed"))
        .stderr(file("said"))
        .spawn()
        .expect("a shell")
}
