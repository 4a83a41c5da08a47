//! Extraction: the packets of one flow, byte for byte, and an honest account of what is missing.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use vxscope_config::Config;
use vxscope_engine::{Extract, Outcome, replay};
use vxscope_testkit::{Frame, Vxlan};
use vxscope_units::{ByteSize, Timestamp};

use crate::support::capture::{self, Packet};
use crate::support::output::{self, number, text};
use crate::support::run::{self, Reading};

/// Packets of each conversation.
const PACKETS: usize = 40;
/// Payload of each packet: together more than the smallest head and tail hold.
const PAYLOAD: usize = 500;

#[test]
fn a_flow_is_extracted_by_its_id_byte_for_byte() {
    let capture = Capture::new();
    for workers in [1, 2, 4] {
        let flows = capture.flows();
        let wanted = &flows[0];
        let (out, outcome) = capture.extract(
            run::config(1 << 20, workers),
            Extract::Flow(number(wanted, "/flow_id")),
        );
        assert_eq!(outcome.extracted, Some((1, 1)));
        let entries = entries(out.path());
        assert_eq!(entries.len(), 1);
        whole(&capture, out.path(), &entries[0], text(wanted, "outer_ip"));
    }
}

#[test]
fn a_community_id_names_the_flows_of_all_sources() {
    let capture = Capture::new();
    for workers in [1, 2, 4] {
        let id = text(&capture.flows()[0], "community_id").parse().unwrap();
        let (out, outcome) =
            capture.extract(run::config(1 << 20, workers), Extract::CommunityId(id));
        assert_eq!(outcome.extracted, Some((2, 2)));
        let entries = entries(out.path());
        let mut sources: Vec<&str> = entries
            .iter()
            .map(|entry| text(entry, "outer_ip"))
            .collect();
        sources.sort_unstable();
        assert_eq!(sources, ["192.0.2.1", "192.0.2.2"]);
        for entry in &entries {
            whole(&capture, out.path(), entry, text(entry, "outer_ip"));
        }
    }
}

#[test]
fn what_a_small_ring_has_lost_is_counted_and_the_rest_is_the_end() {
    let capture = Capture::new();
    let mut config = small();
    // Head and tail hold 2 KiB of each flow; what follows moves to a private ring of 8 KiB.
    config.rings.private = ByteSize::kib(8);
    let id = number(&capture.flows()[0], "/flow_id");
    let (out, outcome) = capture.extract(config, Extract::Flow(id));
    assert_eq!(outcome.extracted, Some((1, 0)));
    let found = incomplete(&capture, out.path());
    assert!(found > 10 && found < PACKETS, "{found}");
}

#[test]
fn without_private_rings_the_beginning_is_kept_and_the_rest_counted_as_unstored() {
    let capture = Capture::new();
    let mut config = small();
    config.rings.private_share = 0.0;
    let id = number(&capture.flows()[0], "/flow_id");
    let (out, outcome) = capture.extract(config, Extract::Flow(id));
    assert_eq!(outcome.extracted, Some((1, 0)));
    let found = incomplete(&capture, out.path());
    let summary = output::json(out.path(), "summary.json");
    assert!(found < PACKETS / 2, "{found}");
    assert!(
        number(&summary, "/rings/unstored/pool_empty") > 0,
        "{summary}"
    );
}

#[test]
fn a_flow_that_is_not_there_gives_an_empty_list() {
    let capture = Capture::new();
    let (out, outcome) = capture.extract(run::config(1 << 20, 1), Extract::Flow(1));
    assert_eq!(outcome.extracted, None);
    assert_eq!(entries(out.path()), Vec::<Value>::new());
}

/// The least head and tail.
fn small() -> Config {
    let mut config = run::config(0, 1);
    config.rings.memory = ByteSize::mib(1);
    (config.rings.head, config.rings.tail) = (ByteSize::kib(1), ByteSize::kib(1));
    config
}

/// Checks an entry of a flow of which all packets were found.
fn whole(capture: &Capture, out: &Path, entry: &Value, source: &str) {
    let expected = capture.of(source);
    assert_eq!(entry["complete"], true, "{entry}");
    assert_eq!(number(entry, "/packets_seen"), expected.len() as u64);
    assert_eq!(number(entry, "/packets_found"), expected.len() as u64);
    let found = capture::packets(&out.join(text(entry, "file")));
    assert_same(&found, &expected);
    let bytes: usize = expected.iter().map(|packet| packet.bytes.len()).sum();
    assert_eq!(number(entry, "/bytes_found"), bytes as u64);
}

/// Checks the one entry of the flow of 192.0.2.1 of which packets are missing; how many are there.
fn incomplete(capture: &Capture, out: &Path) -> usize {
    let entries = entries(out);
    let [entry] = entries.as_slice() else {
        panic!("{entries:?}")
    };
    let expected = capture.of("192.0.2.1");
    let found = capture::packets(&out.join(text(entry, "file")));
    assert_eq!(entry["complete"], false, "{entry}");
    assert_eq!(number(entry, "/packets_seen"), expected.len() as u64);
    assert_eq!(number(entry, "/packets_found"), found.len() as u64);
    // In order, each once, each one of the flow's.
    let mut rest = expected.iter();
    for packet in &found {
        let same = |other: &&Packet| other.bytes == packet.bytes && other.time == packet.time;
        assert!(
            rest.by_ref().any(|other| same(&other)),
            "a packet that is not the flow's"
        );
    }
    found.len()
}

fn assert_same(found: &[Packet], expected: &[Packet]) {
    assert_eq!(found.len(), expected.len());
    for (number, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(
            (&found.bytes, found.time),
            (&expected.bytes, expected.time),
            "{number}"
        );
    }
}

fn entries(out: &Path) -> Vec<Value> {
    output::json(out, "extract.json")
        .as_array()
        .unwrap()
        .clone()
}

/// The same UDP conversation on two mirrors, among another one.
struct Capture {
    dir: TempDir,
    file: PathBuf,
    frames: Vec<(&'static str, Packet)>,
}

impl Capture {
    fn new() -> Self {
        let mut frames = Vec::new();
        for number in 0..PACKETS {
            for (source, first) in [("192.0.2.1", 0), ("192.0.2.2", 1), ("192.0.2.3", 2)] {
                let time = Timestamp::new(1_700_000_000, ((number * 3 + first) * 1_000) as u64);
                frames.push((source, Packet::whole(time, datagram(source, number))));
            }
        }
        let wrap = |(source, frame): &(&str, Packet)| {
            Packet::whole(frame.time, Vxlan::new(source, 7).wrap(&frame.bytes))
        };
        let dir = tempfile::tempdir().unwrap();
        let wrapped: Vec<Packet> = frames.iter().map(wrap).collect();
        let file = capture::write(&dir.path().join("mirrors.pcap"), &wrapped);
        Self { dir, file, frames }
    }

    /// The frames of one source.
    fn of(&self, source: &str) -> Vec<Packet> {
        let frames = self.frames.iter().filter(|(of, _)| *of == source);
        frames.map(|(_, packet)| packet.clone()).collect()
    }

    /// The records of `eve.json`, that of 192.0.2.1 first.
    fn flows(&self) -> Vec<Value> {
        let ran = run::run(&self.file, Reading::Mirror);
        let mut flows = output::eve(ran.path());
        flows.sort_by_key(|flow| text(flow, "outer_ip").to_owned());
        flows
    }

    fn extract(&self, config: Config, extract: Extract) -> (TempDir, Outcome) {
        let out = tempfile::tempdir_in(self.dir.path()).unwrap();
        let mut job = run::job(config, &self.file, Reading::Mirror, out.path());
        job.extract = vec![extract];
        let outcome = replay(&job, &|_| ()).unwrap();
        assert!(outcome.is_success(), "{outcome:?}");
        assert!(fs::exists(out.path().join("extract.json")).unwrap());
        (out, outcome)
    }
}

/// There and back in turn; the third source has a conversation of its own.
fn datagram(source: &str, number: usize) -> Vec<u8> {
    let client = if source == "192.0.2.3" {
        "10.0.0.5:50001"
    } else {
        "10.0.0.5:50000"
    };
    let frame = match number % 2 {
        0 => Frame::udp(client, "10.0.0.9:53"),
        _ => Frame::udp("10.0.0.9:53", client),
    };
    let mut payload = vec![u8::try_from(number).unwrap(); PAYLOAD];
    payload[..source.len()].copy_from_slice(source.as_bytes());
    frame.payload(&payload).bytes()
}
