//! Sources that share everything but their mirror stay apart in every output.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use vxscope_config::{ExportKind, VlanMode, Way};
use vxscope_testkit::{Frame, Vxlan, tcp};
use vxscope_units::Timestamp;

use crate::support::capture::{self, Packet};
use crate::support::output::{self, number, packets_of, text};
use crate::support::run::{self, Ran, Reading};

const CLIENT: &str = "10.0.0.5:40000";
const SERVER: &str = "10.0.0.9:443";

/// What is written besides what every run here writes.
const FORMATS: [ExportKind; 3] = [
    ExportKind::ConnJson,
    ExportKind::NetflowEve,
    ExportKind::Ocsf,
];

/// Packets of a conversation of a given size: handshake, requests and answers.
const PACKETS: [u64; 2] = [7, 11];

#[test]
fn two_sources_under_one_vni_are_two_flows() {
    check([("172.31.0.1", 1_169), ("172.31.0.2", 1_169)], false);
}

#[test]
fn two_tenants_with_the_same_addresses_are_two_flows() {
    check([("172.31.0.1", 4_711), ("172.31.0.2", 4_712)], true);
}

#[test]
fn one_address_with_two_vnis_is_two_sources() {
    check([("172.31.0.1", 5), ("172.31.0.1", 4_097)], true);
}

#[test]
fn an_east_west_conversation_seen_at_both_ends_is_two_flows() {
    let ends = [("10.0.0.5", 1_169), ("10.0.0.9", 1_169)];
    let ran = check(ends, false);
    for row in output::json(ran.path(), "sources.json").as_array().unwrap() {
        // What leaves one end arrives at the other, and both know which is which.
        assert_eq!(number(row, "/unknown_direction_bytes"), 0, "{row}");
        assert!(
            number(row, "/ingress_bytes") > 0 && number(row, "/egress_bytes") > 0,
            "{row}"
        );
    }
}

/// The same conversation on two mirrors, of 7 packets on the first and of 11 on the second.
/// `vnis` says that the VNIs alone tell them apart. Gives back a run without VLAN tags.
fn check(sources: [(&str, u32); 2], vnis: bool) -> Ran {
    let capture = Capture::new(sources);
    for mode in [VlanMode::Map, VlanMode::Qinq, VlanMode::None] {
        for workers in [1, 2, 4] {
            let ran = capture.run(mode, workers);
            flows(ran.path(), sources);
            lines(ran.path(), sources);
            objects(ran.path(), sources);
            rows(ran.path(), sources);
            frames(ran.path(), sources, mode, vnis);
            warning(ran.path(), mode, vnis);
        }
    }
    capture.run(VlanMode::None, 1)
}

fn flows(out: &Path, sources: [(&str, u32); 2]) {
    let records = output::eve(out);
    assert_eq!(records.len(), 2, "{records:?}");
    for ((address, vni), packets) in sources.iter().zip(PACKETS) {
        let of_source = |record: &&Value| {
            record["outer_ip"] == *address && number(record, "/vni") == u64::from(*vni)
        };
        let record = records.iter().find(of_source).unwrap();
        assert_eq!(packets_of(record), packets, "{record}");
        assert_eq!(record["in_iface"], format!("vni-{vni}"));
        assert_eq!(
            (text(record, "src_ip"), text(record, "dest_ip")),
            ("10.0.0.5", "10.0.0.9")
        );
    }
    let ids: BTreeSet<u64> = records
        .iter()
        .map(|record| number(record, "/flow_id"))
        .collect();
    assert_eq!(ids.len(), 2, "flow ids");
    assert_eq!(records[0]["community_id"], records[1]["community_id"]);
}

fn lines(out: &Path, sources: [(&str, u32); 2]) {
    let lines = output::conn_log(out);
    let mut found: Vec<(u32, u64)> = lines
        .iter()
        .map(|line| {
            let packets = ["orig_pkts", "resp_pkts"].map(|key| line[key].parse::<u64>().unwrap());
            (line["vni"].parse().unwrap(), packets.iter().sum())
        })
        .collect();
    found.sort_unstable();
    let mut expected: Vec<_> = sources.iter().map(|(_, vni)| *vni).zip(PACKETS).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_ne!(lines[0]["uid"], lines[1]["uid"]);
    assert!(
        lines.iter().all(|line| line["history"].starts_with("ShA")),
        "{lines:?}"
    );
}

/// The other formats of JSON say the VNI, and but for Zeek's the source's address as well.
fn objects(out: &Path, sources: [(&str, u32); 2]) {
    for (file, vni, address, records) in [
        ("conn.json", "/vni", None, 1),
        ("netflow.json", "/vni", Some("/outer_ip"), 2),
        ("ocsf.json", "/unmapped/vni", Some("/unmapped/outer_ip"), 1),
    ] {
        let text = std::fs::read_to_string(out.join(file)).unwrap();
        let of_line = |line| -> (u64, String) {
            let record: Value = serde_json::from_str(line).unwrap();
            let address = address.map_or("", |address| text_at(&record, address));
            (number(&record, vni), address.to_owned())
        };
        let mut found: Vec<_> = text.lines().map(of_line).collect();
        let mut expected = Vec::new();
        for (outer, vni) in sources {
            let outer = address.map_or("", |_| outer).to_owned();
            expected.extend(vec![(u64::from(vni), outer); records]);
        }
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{file}");
    }
}

fn text_at<'a>(record: &'a Value, pointer: &str) -> &'a str {
    let found = record.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("{pointer}: {record}"))
}

fn rows(out: &Path, sources: [(&str, u32); 2]) {
    let rows = output::json(out, "sources.json");
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for ((address, vni), packets) in sources.iter().zip(PACKETS) {
        let row = rows
            .iter()
            .find(|row| row["outer_ip"] == *address && row["vni"] == *vni);
        let row = row.unwrap();
        assert_eq!(
            (number(row, "/packets"), number(row, "/flows")),
            (packets, 1),
            "{row}"
        );
    }
    assert_eq!(number(&output::json(out, "summary.json"), "/sources"), 2);
}

/// Tags tell the frames apart; with `qinq` only those of different VNIs.
fn frames(out: &Path, sources: [(&str, u32); 2], mode: VlanMode, vnis: bool) {
    let frames = capture::decap(out);
    assert_eq!(frames.len() as u64, PACKETS.iter().sum::<u64>());
    let tags: Vec<Vec<u8>> = match mode {
        VlanMode::None => vec![vec![0x08, 0]],
        VlanMode::Map => {
            let vlans = output::json(out, "summary.json")["vlans"].clone();
            let id = |(address, vni): &(&str, u32)| {
                let row = vlans.as_array().unwrap().iter();
                let mut row = row.filter(|row| row["outer_ip"] == *address && row["vni"] == *vni);
                u16::try_from(number(row.next().unwrap(), "/vlan")).unwrap()
            };
            let tag = |source| [&[0x81, 0x00][..], &id(source).to_be_bytes()].concat();
            sources.iter().map(tag).collect()
        }
        VlanMode::Qinq => {
            let tag = |(_, vni): &(&str, u32)| {
                let [high, low] = [vni >> 12, vni & 0xfff].map(|id| u16::try_from(id).unwrap());
                let tags = [
                    [0x88, 0xa8],
                    high.to_be_bytes(),
                    [0x81, 0x00],
                    low.to_be_bytes(),
                ];
                tags.concat()
            };
            sources.iter().map(tag).collect()
        }
    };
    let counts: Vec<u64> = tags
        .iter()
        .map(|tag| {
            let of_tag = |frame: &&Packet| frame.bytes[12..].starts_with(tag);
            frames.iter().filter(of_tag).count() as u64
        })
        .collect();
    let all: u64 = PACKETS.iter().sum();
    match (mode, vnis) {
        (VlanMode::None, _) => assert_eq!(counts, [all]),
        (VlanMode::Qinq, false) => assert_eq!(counts, [all, all]),
        _ => assert_eq!(counts, PACKETS),
    }
}

/// The summary says when `decap.pcap` mixes the two.
fn warning(out: &Path, mode: VlanMode, vnis: bool) {
    let summary = output::json(out, "summary.json");
    let mixed = match mode {
        VlanMode::None => true,
        VlanMode::Map => false,
        VlanMode::Qinq => !vnis,
    };
    let warnings = summary["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), usize::from(mixed), "{mode:?}: {warnings:?}");
}

/// The conversation on both mirrors, packet by packet.
struct Capture {
    dir: TempDir,
}

impl Capture {
    fn new(sources: [(&str, u32); 2]) -> Self {
        let mut packets = Vec::new();
        for number in 0..PACKETS[1] {
            for ((address, vni), count) in sources.iter().zip(PACKETS) {
                if number < count {
                    let time = Timestamp::new(1_700_000_000, number * 1_000_000);
                    let wrapped = Vxlan::new(address, *vni).wrap(&segment(number));
                    packets.push(Packet::whole(time, wrapped));
                }
            }
        }
        let dir = tempfile::tempdir().unwrap();
        capture::write(&dir.path().join("mirrors.pcap"), &packets);
        Self { dir }
    }

    fn run(&self, mode: VlanMode, workers: u16) -> Ran {
        let mut config = run::config(1 << 16, workers);
        config.export.decap.vlan = mode;
        config.export.kinds.extend(FORMATS.map(Way::of));
        run::run_with(
            config,
            &self.dir.path().join("mirrors.pcap"),
            Reading::Mirror,
        )
    }
}

/// A handshake, then turns of 100 bytes.
fn segment(number: u64) -> Vec<u8> {
    const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 5];
    const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
    let turn = u32::try_from(number.saturating_sub(3) / 2).unwrap() * 100;
    let there = || Frame::tcp(CLIENT, SERVER).macs(CLIENT_MAC, SERVER_MAC);
    let back = || Frame::tcp(SERVER, CLIENT).macs(SERVER_MAC, CLIENT_MAC);
    let frame = match number {
        0 => there().flags(tcp::SYN).seq(1_000),
        1 => back().flags(tcp::SYN | tcp::ACK).seq(9_000).ack(1_001),
        2 => there().seq(1_001).ack(9_001),
        number if number % 2 == 1 => there()
            .seq(1_001 + turn)
            .ack(9_001 + turn)
            .payload(&[b'q'; 100]),
        _ => back()
            .seq(9_001 + turn)
            .ack(1_101 + turn)
            .payload(&[b'a'; 100]),
    };
    frame.bytes()
}
