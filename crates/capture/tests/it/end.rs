//! How inputs end: well, too early, or not being captures at all.

use std::io;
use std::path::Path;

use vxscope_capture::{Batch, CaptureError, Input, PcapError, open};

use crate::{Chunky, pcap, walk_all};

#[test]
fn a_cut_file_gives_its_records_and_then_names_the_place() {
    let file = pcap(&[84; 40]);
    for length in 25..=file.len() {
        let outcome = walk_all(Input::from_bytes("cut.pcap", file[..length].to_vec()));
        let whole = (length - 24) / 100;
        assert_eq!(outcome.records.len(), whole);
        let rest = (length - 24) % 100;
        let expected = (rest > 0).then(|| {
            let (at, needed) = (24 + whole * 100, if rest < 16 { 16 } else { 100 });
            let text = format!(
                "cut.pcap: at byte {at}: the input ends inside a record: {rest} of {needed} bytes \
                 are there; all records before it were read"
            );
            (at as u64, text)
        });
        assert_eq!(outcome.error, expected);
    }
}

#[test]
fn what_is_not_a_capture_says_what_to_do() {
    check(
        b"",
        "x: at byte 0: the input is empty; a capture starts with a file header",
    );
    let gzip = "x: at byte 0: this is gzip data; decompress it first (gzip -dc FILE)";
    check(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], gzip);
    let foreign = "x: at byte 0: not a pcap or pcapng file: it starts with 0x7b226122";
    check(b"{\"a\": 1}", foreign);
}

#[test]
fn errors_have_parts_for_a_report() {
    let mut input = Input::from_static("x.pcap", b"text");
    let block = input.next_block().unwrap().unwrap();
    let error = input.walk().fill(&block, &mut Batch::new()).unwrap_err();
    assert_eq!((error.file(), error.offset()), ("x.pcap", 0));
    assert_eq!(
        error.message(),
        "not a pcap or pcapng file: it starts with 0x74657874"
    );
    let source = PcapError::Magic { actual: *b"text" };
    assert!(matches!(error, CaptureError::Malformed { source: actual, .. } if actual == source));
}

#[test]
fn a_missing_file_and_a_folder_are_refused_on_opening() {
    for (path, kind) in [
        ("/nowhere/at all.pcap", io::ErrorKind::NotFound),
        ("/proc", io::ErrorKind::IsADirectory),
    ] {
        let error = open(Path::new(path)).unwrap_err();
        assert_eq!((error.file(), error.offset()), (path, 0));
        assert!(
            error
                .to_string()
                .starts_with(&format!("{path}: cannot be opened: ")),
            "{error}"
        );
        assert!(matches!(error, CaptureError::Open { source, .. } if source.kind() == kind));
    }
}

#[test]
#[should_panic(expected = "in order")]
fn a_block_left_out_is_noticed() {
    let file = pcap(&[84; 10]);
    let mut input = Input::with_block_bytes("x", Chunky::new(&file, &[13]), 256);
    let (_first, second) = (input.next_block(), input.next_block());
    let block = second.unwrap().unwrap();
    let _ = input.walk().fill(&block, &mut Batch::new());
}

/// Both ways of reading say the same.
fn check(bytes: &[u8], expected: &str) {
    for input in [
        Input::from_bytes("x", bytes.to_vec()),
        Input::from_reader("x", Chunky::new(bytes, &[3])),
    ] {
        let outcome = walk_all(input);
        assert_eq!(outcome.error, Some((0, expected.to_owned())));
        assert!(outcome.records.is_empty());
    }
}
