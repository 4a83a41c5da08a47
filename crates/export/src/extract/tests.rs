//! Captures of flows, and what is said of them.

use vxscope_units::Timestamp;

use super::{CaptureFormat, Extracted, ExtractedFlow, Packets, write_extracted};
use crate::chunk::FRAME_BYTES_MAX;
use crate::file::OutputDir;
use crate::testing::{read_pcap_file, source, tcp_record};

#[test]
fn a_flows_packets_are_a_capture_and_an_entry() {
    let (_guard, dir) = folder();
    let mut packets = Packets::default();
    packets.push(Timestamp::new(5, 1_999), b"first", 60);
    packets.push(Timestamp::new(6, 0), b"second", 6);
    let entry = write(&dir, 17, 6, 3, &packets);
    assert_eq!(
        (entry.packets_found, entry.bytes_found, entry.complete),
        (2, 11, false)
    );
    write_extracted(&dir, &[entry]).unwrap();
    let records = read_pcap_file(&dir.path().join("extract-17.pcap"));
    assert_eq!(
        records[0],
        (Timestamp::new(5, 1_000), b"first".to_vec(), 60)
    );
    assert_eq!(records[1], (Timestamp::new(6, 0), b"second".to_vec(), 6));
    let text = std::fs::read_to_string(dir.path().join("extract.json")).unwrap();
    let expected = r#"[
  {
    "flow_id": 17,
    "community_id": "1:wCb3OG7yAFWelaUydu0D+125CLM=",
    "vni": 7,
    "outer_ip": "192.0.2.1",
    "tuple": {
      "src_ip": "10.0.0.1",
      "src_port": 1122,
      "dest_ip": "10.0.0.2",
      "dest_port": 80,
      "proto": "TCP"
    },
    "packets_seen": 3,
    "packets_found": 2,
    "bytes_found": 11,
    "complete": false,
    "first": "1970-01-01T00:00:05.000001+0000",
    "last": "1970-01-01T00:00:06.000000+0000",
    "file": "extract-17.pcap"
  }
]
"#;
    assert_eq!(text, expected);
}

#[test]
fn a_flow_of_which_nothing_is_left_has_an_empty_capture() {
    let (_guard, dir) = folder();
    let entry = write(&dir, 1, 50, 4, &Packets::default());
    assert!(!entry.complete && entry.first.is_none());
    assert_eq!(
        (entry.tuple.src_port, entry.tuple.proto.as_str()),
        (None, "ESP")
    );
    assert!(read_pcap_file(&dir.path().join("extract-1.pcap")).is_empty());
    let json = serde_json::to_value(&entry).unwrap();
    assert_eq!(json["first"], serde_json::Value::Null);
}

#[test]
fn entries_are_sorted_and_an_empty_list_is_a_list() {
    let (_guard, dir) = folder();
    write_extracted(&dir, &[]).unwrap();
    let path = dir.path().join("extract.json");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "[]\n");
    let entries = [9, 2].map(|id| write(&dir, id, 6, 0, &Packets::default()));
    assert!(entries[0].complete);
    write_extracted(&dir, &entries).unwrap();
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(
        (&json[0]["flow_id"], &json[1]["flow_id"]),
        (&2.into(), &9.into())
    );
}

#[test]
fn a_frame_beyond_the_formats_limit_is_cut() {
    let (_guard, dir) = folder();
    let mut packets = Packets::default();
    packets.push(Timestamp::ZERO, &vec![1; FRAME_BYTES_MAX + 10], 0);
    assert!(write(&dir, 3, 17, 1, &packets).complete);
    let records = read_pcap_file(&dir.path().join("extract-3.pcap"));
    assert_eq!(records[0].1.len(), FRAME_BYTES_MAX);
    assert_eq!(records[0].2 as usize, FRAME_BYTES_MAX + 10);
}

#[test]
fn a_capture_of_several_flows_is_in_the_order_of_time() {
    let (mut early, mut late) = (Packets::default(), Packets::default());
    early.push(Timestamp::new(5, 0), b"a", 1);
    early.push(Timestamp::new(7, 0), b"c", 1);
    late.push(Timestamp::new(6, 0), b"b", 1);
    let entries =
        [(17, &early), (18, &late)].map(|(id, packets)| Extracted::new(&flow(id, 6), 2, packets));
    let flows = [(&entries[0], &early), (&entries[1], &late)];
    let (guard, _) = folder();
    for format in [CaptureFormat::Pcap, CaptureFormat::Pcapng] {
        let path = guard.path().join(format.name());
        std::fs::write(&path, format.capture(&flows)).unwrap();
        let records = read_pcap_file(&path);
        let bytes: Vec<_> = records.iter().map(|(_, bytes, _)| &bytes[..]).collect();
        assert_eq!(bytes, [b"a", b"b", b"c"]);
    }
    assert!(
        entries[0]
            .to_string()
            .ends_with("flow 17: 2 of 2 packets, complete")
    );
    assert!(
        entries[1]
            .to_string()
            .ends_with("1 of 2 packets, incomplete")
    );
}

fn write(
    dir: &OutputDir,
    flow_id: u64,
    protocol: u8,
    packets_seen: u64,
    packets: &Packets,
) -> Extracted {
    let entry = Extracted::new(&flow(flow_id, protocol), packets_seen, packets);
    entry.write(dir, packets).unwrap();
    entry
}

fn flow(flow_id: u64, protocol: u8) -> ExtractedFlow {
    let record = tcp_record();
    ExtractedFlow {
        flow_id,
        community_id: record.community_id,
        source: source(7),
        protocol,
        originator: (record.originator, record.originator_port),
        responder: (record.responder, record.responder_port),
    }
}

fn folder() -> (tempfile::TempDir, OutputDir) {
    let guard = tempfile::tempdir().unwrap();
    let dir = OutputDir::create(guard.path()).unwrap();
    (guard, dir)
}
