//! Files appear complete or not at all.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::{BUFFER_BYTES, CRASHES_KEPT, DIRECT_BYTES, OUTPUT_NAMES, OutputDir, OutputFile};

#[test]
fn a_file_appears_when_finished_and_not_before() {
    let (_guard, dir) = folder();
    let mut file = dir.create_file("eve.json").unwrap();
    file.write(b"{}\n").unwrap();
    assert_eq!(names(&dir), [".eve.json.tmp"]);
    file.finish().unwrap();
    assert_eq!(names(&dir), ["eve.json"]);
    assert_eq!(fs::read(dir.path().join("eve.json")).unwrap(), b"{}\n");
}

#[test]
fn a_dropped_file_leaves_nothing_and_keeps_the_old_one() {
    let (_guard, dir) = folder();
    fs::write(dir.path().join("conn.log"), "old").unwrap();
    let mut file = dir.create_file("conn.log").unwrap();
    file.write(&vec![7; 3 * BUFFER_BYTES]).unwrap();
    drop(file);
    assert_eq!(names(&dir), ["conn.log"]);
    assert_eq!(fs::read(dir.path().join("conn.log")).unwrap(), b"old");
}

#[test]
fn a_finished_file_replaces_the_old_one() {
    let (_guard, dir) = folder();
    fs::write(dir.path().join("conn.log"), "old and longer").unwrap();
    let mut file = dir.create_file("conn.log").unwrap();
    file.write(b"new").unwrap();
    file.finish().unwrap();
    assert_eq!(fs::read(dir.path().join("conn.log")).unwrap(), b"new");
}

#[test]
fn small_and_large_writes_keep_their_order() {
    let (_guard, dir) = folder();
    let mut file = dir.create_file("decap.pcap").unwrap();
    let mut expected = Vec::new();
    for (round, length) in (0u8..40).zip([1, DIRECT_BYTES, 1_000, 70_000].into_iter().cycle()) {
        let piece = vec![round; length];
        file.write(&piece).unwrap();
        expected.extend_from_slice(&piece);
    }
    file.finish().unwrap();
    assert_eq!(fs::read(dir.path().join("decap.pcap")).unwrap(), expected);
}

#[test]
fn others_cannot_read_a_capture() {
    let (_guard, dir) = folder();
    dir.create_file("decap.pcap").unwrap().finish().unwrap();
    let mode = fs::metadata(dir.path().join("decap.pcap"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o027, 0, "{mode:o}");
}

#[test]
fn a_link_in_place_of_the_temporary_file_is_not_followed() {
    let (_guard, dir) = folder();
    let victim = dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, dir.path().join(".eve.json.tmp")).unwrap();
    let mut file = dir.create_file("eve.json").unwrap();
    file.write(b"x").unwrap();
    file.finish().unwrap();
    assert_eq!(fs::read(victim).unwrap(), b"precious");
}

#[test]
fn stale_outputs_are_removed_and_other_files_are_not() {
    let (_guard, dir) = folder();
    for name in OUTPUT_NAMES {
        fs::write(dir.path().join(name), "old").unwrap();
    }
    let leftovers = [".eve.json.tmp", "extract-17.pcap", ".extract-18.pcap.tmp"];
    let others = [
        "extract-.pcap",
        "extract-a1.pcap",
        "notes.txt",
        "upload.pcap",
    ];
    for name in leftovers.into_iter().chain(others) {
        fs::write(dir.path().join(name), "old").unwrap();
    }
    dir.remove_stale().unwrap();
    assert_eq!(names(&dir), others);
    dir.remove_stale().unwrap();
}

#[test]
fn a_folder_is_written_by_one_run_at_a_time() {
    let (_guard, mut dir) = folder();
    dir.lock().unwrap();
    let held = dir.clone();
    drop(dir);
    let mut other = OutputDir::create(held.path()).unwrap();
    let error = other.lock().unwrap_err().to_string();
    assert!(error.contains("another vxscope"), "{error}");
    // As a child process that is not its own program yet would have it.
    let lock = held.lock.as_ref().unwrap();
    let of_child = lock.0.try_clone().unwrap();
    drop(held);
    other.lock().unwrap();
    drop(of_child);
}

#[test]
fn what_crashes_left_is_kept_up_to_a_limit() {
    let (_guard, dir) = folder();
    let crash = |text: &str| {
        fs::write(dir.path().join(".eve.json.tmp"), text).unwrap();
        fs::write(dir.path().join(".decap.pcap.tmp"), "").unwrap();
        let kept = dir.keep_crashed().unwrap();
        dir.remove_stale().unwrap();
        kept
    };
    for number in 1..=CRASHES_KEPT {
        let name = format!("crashed-{number}-eve.json");
        assert_eq!(crash(&name), [name.as_str()]);
        assert_eq!(fs::read_to_string(dir.path().join(&name)).unwrap(), name);
    }
    assert_eq!(crash("one too many"), [""; 0]);
    assert_eq!(names(&dir).len(), CRASHES_KEPT as usize);
    fs::remove_file(dir.path().join("crashed-3-eve.json")).unwrap();
    assert_eq!(crash("again"), ["crashed-3-eve.json"]);
}

#[test]
fn the_summary_is_the_first_to_go() {
    assert_eq!(OUTPUT_NAMES[0], "summary.json");
}

#[test]
fn a_full_disk_is_an_error_that_says_what_to_do() {
    let (_guard, dir) = folder();
    let mut file = OutputFile::on_full_disk(&dir, "eve.json");
    let error = file.write(&vec![0; DIRECT_BYTES]).unwrap_err().to_string();
    assert!(
        error.contains("eve.json") && !error.contains("json.tmp"),
        "{error}"
    );
    assert!(
        error.contains("No space left") && error.contains("free some space"),
        "{error}"
    );
    let mut file = OutputFile::on_full_disk(&dir, "eve.json");
    file.write(b"buffered").unwrap();
    file.finish().unwrap_err();
    assert_eq!(names(&dir), [""; 0]);
}

#[test]
fn a_file_in_place_of_the_folder_is_named() {
    let (_guard, dir) = folder();
    let path = dir.path().join("out");
    fs::write(&path, "").unwrap();
    let error = OutputDir::create(&path).unwrap_err().to_string();
    assert!(
        error.contains("out") && error.contains("a file is where"),
        "{error}"
    );
}

#[test]
fn a_folder_in_place_of_the_file_is_named() {
    let (_guard, dir) = folder();
    fs::create_dir_all(dir.path().join("eve.json/below")).unwrap();
    let error = dir
        .create_file("eve.json")
        .unwrap()
        .finish()
        .unwrap_err()
        .to_string();
    assert!(error.contains("a folder is where"), "{error}");
    assert_eq!(names(&dir), ["eve.json"]);
}

fn folder() -> (tempfile::TempDir, OutputDir) {
    let guard = tempfile::tempdir().unwrap();
    let dir = OutputDir::create(guard.path().join("a/b")).unwrap();
    (guard, dir)
}

fn names(dir: &OutputDir) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
