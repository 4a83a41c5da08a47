//! Killed with no chance to clean up, at every step and again: the archive ends the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use vxscope_archive::{Job, Store, Target, run};

use crate::{archive, said, write_flows};

const STEP: &str = "VXSCOPE_ARCHIVE_TEST_STEP";
const FOLDER: &str = "VXSCOPE_ARCHIVE_TEST_FOLDER";

#[test]
fn whoever_is_killed_anywhere_loses_nothing_and_doubles_nothing() {
    let undisturbed = tempfile::tempdir().unwrap();
    prepare(undisturbed.path());
    said(&archive(
        &undisturbed.path().join("in"),
        &to(undisturbed.path()),
    ));
    let expected = parts(undisturbed.path());
    assert_eq!(expected.len(), 6, "two days and what is of none, twice");
    let mut killed = 0;
    for step in 0.. {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        // The same step of what is left, three times.
        let died: Vec<bool> = (0..3).map(|_| dies_at(dir.path(), step)).collect();
        said(&archive(&dir.path().join("in"), &to(dir.path())));
        assert_eq!(parts(dir.path()), expected, "killed at step {step}");
        let again = said(&archive(&dir.path().join("in"), &to(dir.path())));
        assert!(again.starts_with("0 files archived"), "{again}");
        assert_eq!(parts(dir.path()), expected);
        killed += died.iter().filter(|died| **died).count();
        if died == [false, false, false] {
            break;
        }
    }
    assert!(killed >= 12, "{killed}");
}

/// The process that is killed; it is nothing by itself.
#[test]
#[ignore = "started by the other test"]
fn victim() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let last: usize = std::env::var(STEP).unwrap().parse().unwrap();
    let folder = Path::new(&folder);
    let job = Job {
        from: folder.join("in"),
        state: folder.join("in/.archive"),
        remove: false,
    };
    let store = Store::open(&Target::Folder(folder.join("out"))).unwrap();
    let mut step = 0;
    run(&job, &store, &mut |_| {
        if step == last {
            let id = std::process::id().to_string();
            Command::new("kill").args(["-9", &id]).status().unwrap();
        }
        step += 1;
    })
    .unwrap();
}

/// Whether the victim was killed at this step, or ended before it.
fn dies_at(folder: &Path, step: usize) -> bool {
    let output = Command::new(std::env::current_exe().expect("as the test arranged it"))
        .args(["--exact", "kill::victim", "--ignored", "--nocapture"])
        .env(STEP, step.to_string())
        .env(FOLDER, folder)
        .output()
        .expect("as the test arranged it");
    !output.status.success()
}

fn prepare(folder: &Path) {
    fs::create_dir(folder.join("in")).expect("as the test arranged it");
    write_flows(&folder.join("in"), 100);
    fs::rename(folder.join("in/eve.json"), folder.join("in/eve-1.json"))
        .expect("as the test arranged it");
    write_flows(&folder.join("in"), 101);
    fs::write(folder.join("in/.conn.json.tmp"), "still being written")
        .expect("as the test arranged it");
}

fn to(folder: &Path) -> [String; 2] {
    ["--to".to_owned(), folder.join("out").display().to_string()]
}

/// Every visible file below the target, and its bytes.
fn parts(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut parts = BTreeMap::new();
    let mut folders = vec![folder.join("out")];
    while let Some(below) = folders.pop() {
        for entry in fs::read_dir(&below).expect("as the test arranged it") {
            let path = entry.expect("as the test arranged it").path();
            let name = path
                .strip_prefix(folder)
                .expect("as the test arranged it")
                .display()
                .to_string();
            if path.is_dir() {
                folders.push(path);
            } else if !path
                .file_name()
                .expect("as the test arranged it")
                .to_string_lossy()
                .starts_with('.')
            {
                parts.insert(name, fs::read(path).expect("as the test arranged it"));
            }
        }
    }
    parts
}
