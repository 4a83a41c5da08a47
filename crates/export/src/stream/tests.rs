//! Readers that come, go, stall and come late, and what each of them gets.

use std::fs::{self, File};
use std::io::Read;
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use vxscope_units::Timestamp;

use super::{Haste, OverIpEnd, PcapOverIp, PcapStream};
use crate::chunk::FrameChunk;
use crate::sink::{Shed, SinkOutcome};
use crate::testing::{never_answers, read_pcap_bytes, source};
use crate::vlan::VlanMode;
use crate::way_out::WayOut;

const ROOM: usize = 1 << 20;
const FRAME: usize = 1_400;

#[test]
fn every_reader_starts_with_a_header_and_gets_whole_records() {
    let mut sink = over_ip(Haste::Live);
    let address = sink.address().unwrap();
    offer(&mut sink, 0..3);
    let early = TcpStream::connect(address).unwrap();
    offer(&mut sink, 3..5);
    let late = TcpStream::connect(address).unwrap();
    offer(&mut sink, 5..9);
    let outcome = Box::new(sink).finish();
    check_numbers(early, 3..9);
    check_numbers(late, 5..9);
    assert_eq!(outcome.count.shed(Shed::NoReader), 3);
    assert_eq!((outcome.count.written(), outcome.count.offered()), (6, 9));
    let sent: Vec<u64> = outcome
        .readers
        .iter()
        .map(|it| it.count.written())
        .collect();
    assert_eq!(sent, [6, 4]);
}

#[test]
fn a_reader_that_stalls_costs_the_others_nothing() {
    let mut sink = over_ip(Haste::Live);
    let address = sink.address().unwrap();
    let stalled = TcpStream::connect(address).unwrap();
    let mut reading = TcpStream::connect(address).unwrap();
    let frames = 16_000;
    let mut bytes = Vec::new();
    reading
        .set_read_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    for first in (0..frames).step_by(160) {
        offer(&mut sink, first..first + 160);
        // Until nothing more comes at the moment.
        let _ = reading.read_to_end(&mut bytes);
    }
    let stalled_reader = stalled.local_addr().unwrap().to_string();
    let outcome = Box::new(sink).finish();
    reading.set_read_timeout(None).unwrap();
    reading.read_to_end(&mut bytes).unwrap();
    assert_eq!(read_pcap_bytes(&bytes).len() as u64, frames);
    assert_eq!(outcome.count.written(), frames);
    for reader in &outcome.readers {
        assert_eq!(reader.count.offered(), frames);
        assert_eq!(
            reader.count.written() == frames,
            reader.name != stalled_reader
        );
    }
    assert_eq!(outcome.readers.len(), 2);
}

#[test]
fn we_connect_where_we_are_told_to() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("connect:{}", listener.local_addr().unwrap());
    let end = OverIpEnd::parse(&target);
    let mut sink =
        PcapOverIp::open(&end, VlanMode::None, ROOM, Haste::Finite, never_answers).unwrap();
    offer(&mut sink, 0..4);
    let (reader, _) = listener.accept().unwrap();
    let outcome = Box::new(sink).finish();
    check_numbers(reader, 0..4);
    assert_eq!(outcome.count.written(), 4);
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let taken = over_ip(Haste::Live);
    let address = taken.address().unwrap().to_string();
    let end = OverIpEnd::parse(&address);
    let error =
        PcapOverIp::open(&end, VlanMode::None, ROOM, Haste::Live, never_answers).unwrap_err();
    assert!(error.to_string().contains(&address), "{error}");
}

#[test]
fn a_fifo_is_made_waits_for_readers_and_is_removed() {
    let guard = tempfile::tempdir().unwrap();
    let path = guard.path().join("fifo");
    let mut sink = stream(&path, Haste::Live);
    offer(&mut sink, 0..2);
    let reader = read_in_thread(&path);
    connect(&mut sink);
    offer(&mut sink, 2..5);
    // The reader ends, as `head` would: what follows has nobody, until the next one comes.
    sink.tick(Timestamp::ZERO);
    sink.lose_reader();
    check_bytes(&reader.join().unwrap(), 2..5);
    offer(&mut sink, 5..6);
    let reader = read_in_thread(&path);
    connect(&mut sink);
    offer(&mut sink, 6..9);
    let outcome = Box::new(sink).finish();
    check_bytes(&reader.join().unwrap(), 6..9);
    assert_eq!(shed(&outcome), [(Shed::NoReader, 2), (Shed::ReaderGone, 1)]);
    assert_eq!((outcome.count.written(), outcome.count.offered()), (6, 9));
    assert!(!path.exists());
}

#[test]
fn a_finite_input_waits_for_its_reader_and_loses_nothing() {
    let guard = tempfile::tempdir().unwrap();
    let path = guard.path().join("fifo");
    let mut sink = stream(&path, Haste::Finite);
    let reader = read_in_thread(&path);
    for first in (0..20_000).step_by(100) {
        offer(&mut sink, first..first + 100);
    }
    let outcome = Box::new(sink).finish();
    check_bytes(&reader.join().unwrap(), 0..20_000);
    assert_eq!((outcome.count.written(), shed(&outcome).len()), (20_000, 0));
}

#[test]
fn a_unix_socket_is_read_like_a_fifo() {
    let guard = tempfile::tempdir().unwrap();
    let path = guard.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let mut sink = stream(&path, Haste::Live);
    offer(&mut sink, 0..4);
    let (mut reader, _) = listener.accept().unwrap();
    let outcome = Box::new(sink).finish();
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    check_bytes(&bytes, 0..4);
    assert_eq!(outcome.count.written(), 4);
    assert!(path.exists(), "it is not ours");
}

#[test]
fn of_a_batch_that_is_cut_at_the_end_what_arrived_whole_is_written() {
    let guard = tempfile::tempdir().unwrap();
    let path = guard.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let mut sink = stream(&path, Haste::Live);
    // More than a socket holds, and nobody reads.
    offer(&mut sink, 0..160);
    offer(&mut sink, 160..320);
    let (mut reader, _) = listener.accept().unwrap();
    let outcome = Box::new(sink).finish();
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    let arrived = (bytes.len() - 24) / (16 + FRAME);
    assert!((1..320).contains(&arrived), "{arrived}");
    assert_eq!(outcome.count.written(), arrived as u64);
    assert_eq!(shed(&outcome), [(Shed::ReaderGone, 320 - arrived as u64)]);
    assert_eq!(outcome.readers[0].count, outcome.count);
}

#[test]
fn what_is_neither_fifo_nor_socket_is_left_alone() {
    let guard = tempfile::tempdir().unwrap();
    let path = guard.path().join("file");
    fs::write(&path, "mine").unwrap();
    let name = path.to_str().unwrap();
    let error = PcapStream::open(name, VlanMode::None, ROOM, Haste::Live).unwrap_err();
    assert!(error.to_string().contains(name), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

fn over_ip(haste: Haste) -> PcapOverIp {
    let end = OverIpEnd::parse("127.0.0.1:0");
    PcapOverIp::open(&end, VlanMode::None, ROOM, haste, never_answers).unwrap()
}

fn stream(path: &Path, haste: Haste) -> PcapStream {
    PcapStream::open(path.to_str().unwrap(), VlanMode::None, ROOM, haste).unwrap()
}

/// Offers frames that bear these numbers.
fn offer(sink: &mut impl WayOut, numbers: std::ops::Range<u64>) {
    let mut chunk = FrameChunk::with_capacity(0);
    for number in numbers {
        let mut frame = [0; FRAME];
        frame[..8].copy_from_slice(&number.to_be_bytes());
        assert!(chunk.push(number, Timestamp::new(1, 0), source(1), &frame, 0));
    }
    sink.frames(&chunk, 0..chunk.len());
    // Time to deliver.
    sink.tick(Timestamp::new(1, 0));
}

/// Lets the sink look for its reader until it has one.
fn connect(sink: &mut PcapStream) {
    while sink.reader.is_none() {
        std::thread::sleep(Duration::from_millis(1));
        sink.tick(Timestamp::ZERO);
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's own thread")]
fn read_in_thread(path: &Path) -> std::thread::JoinHandle<Vec<u8>> {
    let path = path.to_owned();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    })
}

fn check_numbers(mut reader: TcpStream, numbers: std::ops::Range<u64>) {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    check_bytes(&bytes, numbers);
}

fn check_bytes(bytes: &[u8], numbers: std::ops::Range<u64>) {
    let records = read_pcap_bytes(bytes);
    let found: Vec<u64> = records
        .iter()
        .map(|(_, frame, _)| u64::from_be_bytes(*frame.first_chunk().unwrap()))
        .collect();
    assert_eq!(found, numbers.collect::<Vec<_>>());
}

fn shed(outcome: &SinkOutcome) -> Vec<(Shed, u64)> {
    let all = Shed::ALL.iter().map(|it| (*it, outcome.count.shed(*it)));
    all.filter(|(_, count)| *count > 0).collect()
}
