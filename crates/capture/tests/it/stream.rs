//! A stream gives what a mapped file gives.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use vxscope_capture::{BLOCK_BYTES, Input, open};

use crate::{Chunky, pcap, walk_all};

#[test]
fn one_byte_at_a_time_is_enough() {
    let file = pcap(&[0, 1, 60, 0, 1_500, 9]);
    for block_bytes in [1, 16, 24, 100, 10_000] {
        let input = Input::with_block_bytes("x", Chunky::new(&file, &[1]), block_bytes);
        check(&file, input);
    }
}

#[test]
fn blocks_are_about_a_mebibyte_and_cut_between_records() {
    let file = pcap(&vec![1_484; 3_000]);
    let mut input = Input::from_reader("x", Chunky::new(&file, &[65_536]));
    let mut lengths = Vec::new();
    while let Some(block) = input.next_block().unwrap() {
        assert_eq!(block.offset(), lengths.iter().sum::<usize>() as u64);
        lengths.push((*block).as_ref().len());
    }
    assert_eq!(lengths.iter().sum::<usize>(), file.len());
    let (last, full) = lengths.split_last().unwrap();
    assert!(*last <= BLOCK_BYTES && full.len() == 4, "{lengths:?}");
    assert!(
        full.iter()
            .all(|length| (BLOCK_BYTES - 1_500..=BLOCK_BYTES).contains(length))
    );
    check(
        &file,
        Input::from_reader("x", Chunky::new(&file, &[65_536])),
    );
}

#[test]
fn a_record_larger_than_a_block_gets_a_larger_block() {
    let file = pcap(&[10, 262_144, 10, 100_000]);
    let input = Input::with_block_bytes("x", Chunky::new(&file, &[4_096]), 1_000);
    check(&file, input);
}

#[test]
fn a_block_that_ends_with_the_input_is_followed_by_an_empty_last_one() {
    let file = pcap(&[84; 10]);
    let input = Input::with_block_bytes("x", Chunky::new(&file, &[7]), file.len());
    assert_eq!(walk_all(input).blocks, 2);
}

#[test]
fn a_read_error_comes_after_the_whole_records_before_it() {
    let file = pcap(&[84; 10]);
    for length in 0..file.len() {
        let reader = Chunky::new(&file[..length], &[13]).failing(io::ErrorKind::ConnectionReset);
        let outcome = walk_all(Input::with_block_bytes("pipe", reader, 256));
        assert_eq!(
            outcome.records.len(),
            length.saturating_sub(24) / 100,
            "{length}"
        );
        let (offset, text) = outcome.error.unwrap();
        assert_eq!(offset, length as u64);
        assert!(
            text.starts_with(&format!("pipe: reading failed at byte {length}: ")),
            "{text}"
        );
    }
}

#[test]
fn a_named_pipe_is_streamed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    let file = pcap(&vec![1_000; 3_000]);
    let (outcome, total) = std::thread::scope(|scope| {
        scope.spawn(|| File::create(&path).unwrap().write_all(&file).unwrap());
        let input = open(&path).unwrap();
        let total = input.total_bytes();
        (walk_all(input), total)
    });
    assert_eq!(
        (outcome.records.len(), outcome.error, total),
        (3_000, None, None)
    );
    assert!(outcome.blocks > 1);
}

#[test]
fn a_socket_is_a_stream_as_well() {
    let (reader, mut writer) = UnixStream::pair().unwrap();
    let file = pcap(&[100; 50]);
    writer.write_all(&file).unwrap();
    drop(writer);
    check(&file, Input::from_reader("x", reader));
}

#[test]
fn a_regular_file_is_one_block_of_known_length() {
    let file = pcap(&vec![1_000; 3_000]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    fs::write(&path, &file).unwrap();
    let input = open(&path).unwrap();
    assert_eq!(input.total_bytes(), Some(file.len() as u64));
    assert_eq!(input.name(), path.to_str().unwrap());
    let outcome = walk_all(input);
    assert_eq!(
        (outcome.blocks, outcome.records.len(), outcome.error),
        (1, 3_000, None)
    );
}

/// Files of /proc say that they are empty and are not.
#[test]
fn a_file_that_hides_its_length_is_read() {
    let outcome = walk_all(open(Path::new("/proc/self/status")).unwrap());
    let (offset, text) = outcome.error.unwrap();
    assert!(
        offset == 0 && text.contains("it starts with 0x4e616d65"),
        "{text}"
    );
}

proptest! {
    #[test]
    fn any_chunks_and_blocks_give_the_same_records(
        lengths in prop::collection::vec(0usize..400, 0..60),
        sizes in prop::collection::vec(1usize..600, 1..8),
        block_bytes in 1usize..3_000,
        kept in any::<prop::sample::Index>(),
        damage in prop::option::of((any::<prop::sample::Index>(), 1u8..)),
    ) {
        let mut file = pcap(&lengths);
        if let Some((at, mask)) = damage {
            let at = at.index(file.len());
            file[at] ^= mask;
        }
        file.truncate(kept.index(file.len() * 2));
        check(&file, Input::with_block_bytes("x", Chunky::new(&file, &sizes), block_bytes));
    }
}

/// The input gives what the same bytes in one block give.
fn check(file: &[u8], input: Input) {
    let streamed = walk_all(input);
    let whole = walk_all(Input::from_bytes("x", file.to_vec()));
    assert_eq!(streamed.records, whole.records);
    assert_eq!(
        (streamed.walked, streamed.error),
        (whole.walked, whole.error)
    );
}
