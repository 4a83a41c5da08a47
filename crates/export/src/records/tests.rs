//! Series of files of records: divided by size and time, never a name twice, whole whatever the
//! disk does.

use std::fs;

use vxscope_units::Timestamp;

use super::{Layout, Named, RecordFile, Rotation, keep_finished};
use crate::conn_log::ConnLog;
use crate::file::{OutputDir, RECORD_NAMES};
use crate::sink::{Shed, SinkOutcome};
use crate::stream::Haste;
use crate::testing::{plain_record, tcp_record};
use crate::way_out::{Entry, Offered, WayOut};

/// A line before and a line behind.
struct Framed;

impl Layout for Framed {
    fn head(&self, out: &mut Vec<u8>, opened: Timestamp) {
        out.extend_from_slice(format!("open {}\n", opened.seconds()).as_bytes());
    }

    fn tail(&self, out: &mut Vec<u8>, closed: Timestamp) {
        out.extend_from_slice(format!("close {}\n", closed.seconds()).as_bytes());
    }
}

const EVE: Named = Named {
    name: "eve",
    offered: Offered::Records,
    file: "eve.json",
};

#[test]
fn a_file_ends_when_it_is_full_or_old() {
    let (_guard, dir) = folder();
    let rotation = Rotation {
        bytes_max: Some(20),
        nanos_max: Some(10_000_000_000),
        haste: Haste::Finite,
    };
    // Each line has five bytes, the head has seven.
    let outcome = write(&dir, rotation, &[100, 101, 102, 103, 120, 129, 130]);
    assert_eq!(outcome.count.written(), 7);
    check(
        &dir,
        &[
            (
                "eve-00000001-19700101T000140Z.json",
                "open 100\nr100\nr101\nr102\nclose 102\n",
            ),
            (
                "eve-00000002-19700101T000143Z.json",
                "open 103\nr103\nclose 103\n",
            ),
            (
                "eve-00000003-19700101T000200Z.json",
                "open 120\nr120\nr129\nclose 129\n",
            ),
            (
                "eve-00000004-19700101T000210Z.json",
                "open 130\nr130\nclose 200\n",
            ),
        ],
    );
}

#[test]
fn no_name_is_used_twice_and_what_a_crash_left_is_named() {
    let (_guard, dir) = folder();
    let rotation = by_seconds(10, Haste::Finite);
    let crashed = ".eve-00000007-20261121T092736Z.json.tmp";
    fs::write(dir.path().join(crashed), "r1\nr2\nhalf a").unwrap();
    fs::write(
        dir.path().join(".eve-00000008-20261121T092737Z.json.tmp"),
        "",
    )
    .unwrap();
    for name in ["eve-old.json", "eve-2-x.json", "conn-00000099-x.json"] {
        fs::write(dir.path().join(name), "not ours").unwrap();
    }
    let outcome = write(&dir, rotation, &[100]);
    assert!(outcome.details.contains(&("files_recovered", 1)));
    write(&dir, rotation, &[100]);
    let ours: Vec<String> = names(&dir)
        .into_iter()
        .filter(|name| name.starts_with("eve-000"))
        .collect();
    assert_eq!(
        ours,
        [
            "eve-00000007-20261121T092736Z-crashed.json",
            "eve-00000009-19700101T000140Z.json",
            "eve-00000010-19700101T000140Z.json",
        ]
    );
}

#[test]
fn a_silent_live_series_ends_its_file_by_the_clock_and_a_replay_does_not() {
    for (haste, files) in [(Haste::Live, 1), (Haste::Finite, 0)] {
        let (_guard, dir) = folder();
        let mut file = create(&dir, by_seconds(10, haste));
        push(&mut file, 100);
        file.tick(Timestamp::new(109, 0));
        assert_eq!(visible(&dir), 0);
        file.tick(Timestamp::new(110, 0));
        assert_eq!(visible(&dir), files);
        let _ = file.finish(Timestamp::new(200, 0));
        assert_eq!(visible(&dir), 1);
    }
}

#[test]
fn a_series_that_cannot_be_written_sheds_and_goes_on_once_it_can() {
    let (guard, dir) = folder();
    let away = guard.path().with_extension("away");
    let mut file = create(&dir, by_seconds(10, Haste::Finite));
    push(&mut file, 100);
    file.tick(Timestamp::new(101, 0));
    fs::rename(guard.path(), &away).unwrap();
    // The file that is open has nowhere to appear, and the next one nowhere to begin.
    push(&mut file, 111);
    assert_eq!(file.count().shed(Shed::WriteError), 2);
    fs::rename(&away, guard.path()).unwrap();
    push(&mut file, 111);
    assert_eq!(file.count().shed(Shed::WriteError), 3, "not tried so soon");
    push(&mut file, 112);
    let outcome = file.finish(Timestamp::new(200, 0));
    assert_eq!((outcome.count.written(), outcome.count.offered()), (1, 4));
    assert!(outcome.error.is_some());
}

#[test]
fn what_an_earlier_run_finished_is_kept_under_the_next_name() {
    let (_guard, dir) = folder();
    for name in RECORD_NAMES {
        fs::write(dir.path().join(name), name).unwrap();
    }
    fs::write(dir.path().join("summary.json"), "").unwrap();
    fs::write(dir.path().join("eve-00000041-19700101T000000Z.json"), "").unwrap();
    keep_finished(&dir).unwrap();
    dir.remove_stale().unwrap();
    keep_finished(&dir).unwrap();
    let names = names(&dir);
    assert_eq!(names.len(), RECORD_NAMES.len() + 1, "{names:?}");
    let is_next = |name: &String| name.starts_with("eve-00000042-");
    let kept = names.iter().find(|name| is_next(name)).unwrap();
    assert_eq!(
        fs::read_to_string(dir.path().join(kept)).unwrap(),
        "eve.json"
    );
}

#[test]
fn each_file_of_a_log_of_zeeks_is_whole() {
    let (_guard, dir) = folder();
    let rotation = Rotation {
        bytes_max: Some(1),
        ..by_seconds(0, Haste::Finite)
    };
    let mut log = ConnLog::create(&dir, rotation, true).unwrap();
    log.records(&[tcp_record(), plain_record(17)].map(Entry::Flow));
    assert_eq!(Box::new(log).finish().count.written(), 2);
    let names = names(&dir);
    assert_eq!(names.len(), 2);
    for name in names {
        let text = fs::read_to_string(dir.path().join(name)).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 10, "{text}");
        assert!(lines[0].starts_with("#separator") && lines[9].starts_with("#close"));
        assert!(lines[6].ends_with("\tnot_mirrored"), "{text}");
    }
}

fn by_seconds(seconds: u64, haste: Haste) -> Rotation {
    Rotation {
        bytes_max: None,
        nanos_max: (seconds > 0).then_some(seconds * 1_000_000_000),
        haste,
    }
}

fn folder() -> (tempfile::TempDir, OutputDir) {
    let guard = tempfile::tempdir().expect("a folder");
    let dir = OutputDir::create(guard.path()).expect("it is there");
    (guard, dir)
}

fn create(dir: &OutputDir, rotation: Rotation) -> RecordFile<Framed> {
    RecordFile::create(dir, EVE, rotation, Framed).expect("an empty folder")
}

fn push(file: &mut RecordFile<Framed>, second: u64) {
    file.push(1, Timestamp::new(second, 0), |out| {
        out.extend_from_slice(format!("r{second}\n").as_bytes());
    });
}

fn write(dir: &OutputDir, rotation: Rotation, seconds: &[u64]) -> SinkOutcome {
    let mut file = create(dir, rotation);
    for second in seconds {
        push(&mut file, *second);
    }
    file.finish(Timestamp::new(200, 0))
}

fn names(dir: &OutputDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path()).expect("a folder");
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("text");
    let mut names: Vec<String> = entries.flatten().map(name).collect();
    names.sort();
    names
}

fn visible(dir: &OutputDir) -> usize {
    let names = names(dir);
    names.iter().filter(|name| !name.starts_with('.')).count()
}

/// Names and contents of all files.
fn check(dir: &OutputDir, expected: &[(&str, &str)]) {
    let read = |name: String| {
        let text = fs::read_to_string(dir.path().join(&name)).expect("text");
        (name, text)
    };
    let found: Vec<(String, String)> = names(dir).into_iter().map(read).collect();
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|(n, t)| (n.as_str(), t.as_str()))
        .collect();
    assert_eq!(found, expected);
}
