//! Rotation, budget, full disks, crashes, notes.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use vxscope_pcap::{Reader, Step};
use vxscope_units::Timestamp;

use super::{CaptureFiles, FileFormat, FileSettings, RETRY_TICKS};
use crate::chunk::FrameChunk;
use crate::names::Names;
use crate::sink::{Shed, SinkOutcome};
use crate::stream::Haste;
use crate::testing::{read_pcap_file, source};
use crate::vlan::VlanMode;
use crate::way_out::WayOut;

#[test]
fn files_end_by_packets_bytes_and_time() {
    let by_packets = FileSettings {
        packets_max: Some(4),
        ..settings()
    };
    assert_eq!(packets_by_file(by_packets, 10), [4, 4, 2]);
    // A record has 116 bytes, the header of the file 24.
    let by_bytes = FileSettings {
        bytes_max: 24 + 3 * 116,
        ..settings()
    };
    assert_eq!(packets_by_file(by_bytes, 10), [3, 3, 3, 1]);
    let by_time = FileSettings {
        nanos_max: Some(5_000_000_000),
        ..settings()
    };
    assert_eq!(packets_by_file(by_time, 12), [5, 5, 2]);
    // One packet always fits.
    let tiny = FileSettings {
        bytes_max: 1,
        ..settings()
    };
    assert_eq!(packets_by_file(tiny, 3), [1, 1, 1]);
}

#[test]
fn a_silent_file_ends_by_the_clock_of_a_live_run() {
    let guard = tempfile::tempdir().unwrap();
    let mut files = open(
        guard.path(),
        FileSettings {
            nanos_max: Some(5_000_000_000),
            ..settings()
        },
    );
    offer(&mut files, 0..2, 1);
    files.tick(Timestamp::new(4, 0));
    assert_eq!(names(guard.path()).len(), 0);
    files.tick(Timestamp::new(5, 0));
    assert_eq!(
        names(guard.path()),
        ["vxscope-00000001-19700101T000000Z.pcap"]
    );
    assert_eq!(finish(files).count.written(), 2);
}

#[test]
fn each_source_has_files_of_its_own_and_few_are_open() {
    let guard = tempfile::tempdir().unwrap();
    let mut files = open(
        guard.path(),
        FileSettings {
            by_source: true,
            open_max: 2,
            ..settings()
        },
    );
    offer(&mut files, 0..9, 3);
    let outcome = finish(files);
    assert_eq!((outcome.count.written(), outcome.count.offered()), (9, 9));
    let names = names(guard.path());
    // With three sources in turn and two places every packet but the first two makes place.
    assert_eq!(
        (names.len(), detail(&outcome, "files_closed_for_others")),
        (9, 7)
    );
    assert!(names[0].ends_with("Z-vni-100-192.0.2.1.pcap"), "{names:?}");
    let packets: usize = names
        .iter()
        .map(|name| count(&guard.path().join(name)))
        .sum();
    assert_eq!(packets, 9);
}

#[test]
fn the_oldest_go_when_the_budget_is_spent_and_nothing_else_does() {
    let guard = tempfile::tempdir().unwrap();
    let others = [
        "notes.txt",
        "vxscope-x.pcap",
        "vxscope-00000001-evidence.txt",
        "other.pcap",
    ];
    for name in others {
        fs::write(guard.path().join(name), vec![0; 100_000]).unwrap();
    }
    let one = 24 + 116;
    let mut files = open(
        guard.path(),
        FileSettings {
            packets_max: Some(1),
            budget: Some(3 * one),
            ..settings()
        },
    );
    offer(&mut files, 0..10, 1);
    let outcome = finish(files);
    assert_eq!(
        (outcome.count.written(), detail(&outcome, "files_deleted")),
        (10, 7)
    );
    assert_eq!(detail(&outcome, "bytes_deleted"), 7 * one);
    let names = names(guard.path());
    assert!(
        others.iter().all(|name| names.iter().any(|it| it == name)),
        "{names:?}"
    );
    let left: Vec<&String> = names.iter().filter(|it| it.contains("T0000")).collect();
    assert_eq!(left.len(), 3, "{names:?}");
    assert!(left[0].starts_with("vxscope-00000008-"), "{names:?}");
}

#[test]
fn what_an_earlier_run_finished_is_never_written_over() {
    let guard = tempfile::tempdir().unwrap();
    for format in [FileFormat::Pcap, FileFormat::Pcapng, FileFormat::Pcap] {
        let mut files = open(
            guard.path(),
            FileSettings {
                format,
                ..settings()
            },
        );
        offer(&mut files, 0..5, 1);
        finish(files);
    }
    let names = names(guard.path());
    assert_eq!(names.len(), 3, "{names:?}");
    for (number, name) in (1..).zip(&names) {
        assert!(
            name.starts_with(&format!("vxscope-{number:08}-")),
            "{names:?}"
        );
        assert_eq!(count(&guard.path().join(name)), 5);
    }
    // And the budget counts them.
    let files = open(
        guard.path(),
        FileSettings {
            budget: Some(0),
            ..settings()
        },
    );
    let mut files = Box::new(files);
    (0..10).for_each(|_| files.tick(Timestamp::ZERO));
    assert_eq!(detail(&files.finish(), "files_deleted"), 3);
}

#[test]
fn what_a_crash_left_gets_a_name_that_says_so() {
    let guard = tempfile::tempdir().unwrap();
    let mut files = open(guard.path(), settings());
    offer(&mut files, 0..5, 1);
    (0..10).for_each(|_| files.tick(Timestamp::ZERO));
    // As kill -9 does: nobody closes anything, and the lock is gone.
    let hidden = guard
        .path()
        .join(".vxscope-00000001-19700101T000000Z.pcap.tmp");
    let left = fs::read(&hidden).unwrap();
    drop(files);
    fs::write(&hidden, left).unwrap();

    let files = open(guard.path(), settings());
    assert_eq!(detail(&finish(files), "files_recovered"), 1);
    let crashed = "vxscope-00000001-19700101T000000Z-crashed.pcap";
    assert_eq!(names(guard.path()), [crashed]);
    assert_eq!(count(&guard.path().join(crashed)), 5);
}

#[test]
fn two_do_not_write_to_one_folder() {
    let guard = tempfile::tempdir().unwrap();
    let first = open(guard.path(), settings());
    let folder = guard.path().to_str().unwrap();
    let second = CaptureFiles::open(folder, VlanMode::None, settings()).unwrap_err();
    assert!(
        second.to_string().contains("a folder of its own"),
        "{second}"
    );
    drop(first);
}

/// A folder that goes away stands for a disk on which no file can be made, without being root.
#[test]
fn a_disk_that_fails_sheds_and_comes_back() {
    let guard = tempfile::tempdir().unwrap();
    let folder = guard.path().join("captures");
    let by_one = FileSettings {
        packets_max: Some(1),
        format: FileFormat::Pcapng,
        ..settings()
    };
    let mut files = open(&folder, by_one);
    offer(&mut files, 0..2, 1);
    fs::remove_dir_all(&folder).unwrap();
    // The second file was open: it is lost with its folder.
    offer(&mut files, 2..6, 1);
    let count = files.count();
    assert_eq!((count.offered(), count.written()), (6, 1));
    assert_eq!(count.shed(Shed::WriteError), 5);
    fs::create_dir(&folder).unwrap();
    offer(&mut files, 6..7, 1);
    assert_eq!(files.count().written(), 1, "not before it is tried again");
    (0..RETRY_TICKS).for_each(|_| files.tick(Timestamp::ZERO));
    offer(&mut files, 7..9, 1);
    let outcome = finish(files);
    assert_eq!((outcome.count.written(), outcome.count.offered()), (3, 9));
    assert!(outcome.error.is_some() && detail(&outcome, "write_errors") > 0);
    let name = &names(&folder)[0];
    let text = String::from_utf8_lossy(&fs::read(folder.join(name)).unwrap()).into_owned();
    assert!(
        text.contains("vxscope: 6 frames before this one are missing"),
        "{text}"
    );
}

#[test]
fn a_pcapng_file_has_an_interface_for_each_source() {
    let guard = tempfile::tempdir().unwrap();
    let mut files = open(
        guard.path(),
        FileSettings {
            format: FileFormat::Pcapng,
            ..settings()
        },
    );
    offer(&mut files, 0..4, 2);
    files.missed(7);
    offer(&mut files, 4..6, 2);
    assert_eq!(finish(files).count.written(), 6);
    let file = fs::read(guard.path().join(&names(guard.path())[0])).unwrap();
    let text = String::from_utf8_lossy(&file);
    for part in [
        "vni-100",
        "vni-101",
        "outer_ip 192.0.2.1, vni 100",
        "7 frames before this",
    ] {
        assert_eq!(text.matches(part).count(), 1, "{part}");
    }
    assert_eq!(count(&guard.path().join(&names(guard.path())[0])), 6);
}

#[test]
fn suricata_is_told_of_each_file_once_it_listens() {
    let guard = tempfile::tempdir().unwrap();
    let socket = guard.path().join("suricata.socket");
    let folder = guard.path().join("captures");
    let suricata = Some((socket.clone(), PathBuf::from("/var/log/suricata")));
    let mut files = open(
        &folder,
        FileSettings {
            packets_max: Some(1),
            suricata,
            ..settings()
        },
    );
    offer(&mut files, 0..2, 1);
    files.tick(Timestamp::ZERO);
    let listener = UnixListener::bind(&socket).unwrap();
    let suricata = std::thread::Builder::new()
        .spawn(move || converse(&listener, 4))
        .unwrap();
    (0..11).for_each(|_| files.tick(Timestamp::ZERO));
    let outcome = finish(files);
    let heard = suricata.join().unwrap();
    assert_eq!(detail(&outcome, "notes_delivered"), 2, "{heard:?}");
    assert_eq!(heard[0], r#"{"version":"0.1"}"#);
    assert!(heard[1].contains(r#""command":"pcap-file""#) && heard[1].contains("00000001-"));
    assert!(
        heard[1].contains(r#""output-dir":"/var/log/suricata""#),
        "{}",
        heard[1]
    );
    // The second file was finished later, and is told of in a conversation of its own.
    assert_eq!(heard[2], heard[0]);
    assert!(heard[3].contains("00000002-"), "{heard:?}");
}

/// Answers like Suricata, in two pieces; what it was told.
fn converse(listener: &UnixListener, messages: usize) -> Vec<String> {
    let mut heard = Vec::new();
    while heard.len() < messages {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = [0; 4_096];
        while let Ok(read @ 1..) = stream.read(&mut bytes) {
            heard.push(String::from_utf8_lossy(&bytes[..read]).into_owned());
            stream.write_all(br#"{"return": "OK", "mess"#).unwrap();
            stream.write_all(br#"age": "added"}"#).unwrap();
        }
    }
    heard
}

/// Offers frames of one source, a second apart; how many are in each file.
fn packets_by_file(settings: FileSettings, frames: u64) -> Vec<usize> {
    let guard = tempfile::tempdir().unwrap();
    let mut files = open(guard.path(), settings);
    offer(&mut files, 0..frames, 1);
    let outcome = finish(files);
    assert_eq!(
        (outcome.count.written(), outcome.count.offered()),
        (frames, frames)
    );
    let names = names(guard.path());
    assert_eq!(detail(&outcome, "files_finished"), names.len() as u64);
    names
        .iter()
        .map(|name| count(&guard.path().join(name)))
        .collect()
}

/// Frames of 100 bytes, one a second, of so many sources in turn.
fn offer(files: &mut CaptureFiles, numbers: std::ops::Range<u64>, sources: u32) {
    let mut chunk = FrameChunk::with_capacity(1 << 20);
    for number in numbers {
        let source = source(100 + u32::try_from(number).unwrap() % sources);
        assert!(chunk.push(number, Timestamp::new(number, 0), source, &[7; 100], 100));
    }
    files.frames(&chunk, 0..chunk.len());
}

fn open(folder: &Path, settings: FileSettings) -> CaptureFiles {
    CaptureFiles::open(folder.to_str().unwrap(), VlanMode::None, settings).unwrap()
}

fn settings() -> FileSettings {
    FileSettings {
        format: FileFormat::Pcap,
        by_source: false,
        bytes_max: 1 << 30,
        nanos_max: None,
        packets_max: None,
        budget: None,
        open_max: 64,
        suricata: None,
        names: Names::default(),
        haste: Haste::Live,
    }
}

fn finish(files: CaptureFiles) -> SinkOutcome {
    Box::new(files).finish()
}

fn detail(outcome: &SinkOutcome, name: &str) -> u64 {
    let found = outcome.details.iter().find(|(it, _)| *it == name);
    found.unwrap_or_else(|| panic!("no {name}")).1
}

/// Names without hidden ones, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|it| !it.starts_with('.')).collect();
    names.sort();
    names
}

/// Packets of a whole file.
fn count(path: &Path) -> usize {
    if path.extension().is_some_and(|it| it == "pcap") {
        return read_pcap_file(path).len();
    }
    let file = fs::read(path).unwrap();
    let (mut reader, mut rest, mut packets) = (Reader::new(), file.as_slice(), 0);
    loop {
        let consumed = match reader.read(rest).unwrap() {
            Step::Record { consumed, .. } => {
                packets += 1;
                consumed
            }
            Step::Skip { consumed } => consumed,
            Step::NeedMore { .. } => break,
        };
        rest = &rest[consumed..];
    }
    reader.finish(rest).unwrap();
    packets
}
