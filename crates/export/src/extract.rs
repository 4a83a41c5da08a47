//! Extraction: one flow's packets as a capture of their own, and `extract.json` that says which.

use std::net::IpAddr;

use serde::Serialize;
use vxscope_flow::CommunityId;
use vxscope_pcap::{Precision, classic};
use vxscope_units::{MirrorSource, Timestamp};

use crate::chunk::FRAME_BYTES_MAX;
use crate::decap::file_header;
use crate::error::ExportError;
use crate::file::{OutputDir, OutputFile};
use crate::protocol;
use crate::summary::{as_text, write_json};

/// The flow whose packets are wanted.
#[derive(Clone, Copy, Debug)]
pub struct ExtractedFlow {
    /// The flow's id, the name of its file.
    pub flow_id: u64,
    /// Its Community ID.
    pub community_id: CommunityId,
    /// Whose mirror it was seen on.
    pub source: MirrorSource,
    /// IP protocol number.
    pub protocol: u8,
    /// The originator's address and port (ICMP: type).
    pub originator: (IpAddr, u16),
    /// The responder's address and port (ICMP: answering type or code).
    pub responder: (IpAddr, u16),
}

/// One object of `extract.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Extracted {
    /// The flow's id as in `eve.json`.
    pub flow_id: u64,
    /// The flow's Community ID.
    pub community_id: String,
    /// The mirror source's VNI.
    pub vni: u32,
    /// The mirror source's address.
    pub outer_ip: IpAddr,
    /// Addresses and ports.
    pub tuple: ExtractedTuple,
    /// Packets the flow had.
    pub packets_seen: u64,
    /// Packets that were still stored and are in the file.
    pub packets_found: u64,
    /// Their captured bytes.
    pub bytes_found: u64,
    /// Whether the file holds every packet of the flow.
    pub complete: bool,
    /// Time of the first packet in the file; null if it has none.
    #[serde(serialize_with = "as_text_or_null")]
    pub first: Option<Timestamp>,
    /// Time of the last packet in the file; null if it has none.
    #[serde(serialize_with = "as_text_or_null")]
    pub last: Option<Timestamp>,
    /// The capture's name, in the folder of `extract.json`.
    pub file: String,
}

/// Addresses and ports, named as in `eve.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExtractedTuple {
    /// The originator's address.
    pub src_ip: IpAddr,
    /// The originator's port; absent for protocols without ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src_port: Option<u16>,
    /// The responder's address.
    pub dest_ip: IpAddr,
    /// The responder's port; absent for protocols without ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dest_port: Option<u16>,
    /// The protocol as in `eve.json`.
    pub proto: String,
}

/// Writes `extract-<flow id>.pcap`: frames come one by one, in the order they were seen.
#[derive(Debug)]
pub struct FlowWriter {
    file: OutputFile,
    entry: Extracted,
}

impl FlowWriter {
    /// Starts the flow's capture.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(dir: &OutputDir, flow: &ExtractedFlow) -> Result<Self, ExportError> {
        let name = format!("extract-{}.pcap", flow.flow_id);
        let mut file = dir.create_file(&name)?;
        file.write(&file_header())?;
        Ok(Self {
            file,
            entry: Extracted::start(flow, name),
        })
    }

    /// Appends a frame. A frame longer than a capture record may be is cut and still counts.
    ///
    /// # Errors
    /// The file cannot be written. Nothing of it is left once the writer is dropped.
    pub fn push(
        &mut self,
        timestamp: Timestamp,
        frame: &[u8],
        original_len: u32,
    ) -> Result<(), ExportError> {
        let kept = frame.get(..FRAME_BYTES_MAX).unwrap_or(frame);
        let captured = u32::try_from(kept.len()).unwrap_or(u32::MAX);
        let original = original_len.max(u32::try_from(frame.len()).unwrap_or(u32::MAX));
        let header = classic::record_header(timestamp, captured, original, Precision::Micros);
        self.file.append(|out| {
            out.extend_from_slice(&header);
            out.extend_from_slice(kept);
        })?;
        self.entry.packets_found += 1;
        self.entry.bytes_found += u64::from(captured);
        self.entry.first.get_or_insert(timestamp);
        self.entry.last = Some(timestamp);
        Ok(())
    }

    /// Gives the file its name. `packets_seen` is how many packets the flow had; the extraction
    /// is complete if as many were found.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(self, packets_seen: u64) -> Result<Extracted, ExportError> {
        let Self { file, mut entry } = self;
        file.finish()?;
        entry.packets_seen = packets_seen;
        entry.complete = entry.packets_found == packets_seen;
        Ok(entry)
    }
}

impl Extracted {
    fn start(flow: &ExtractedFlow, file: String) -> Self {
        let port = |port| protocol::has_ports(flow.protocol).then_some(port);
        let proto = protocol::suricata_name(flow.protocol);
        Self {
            flow_id: flow.flow_id,
            community_id: flow.community_id.as_str().to_owned(),
            vni: flow.source.vni.get(),
            outer_ip: flow.source.address,
            tuple: ExtractedTuple {
                src_ip: flow.originator.0,
                src_port: port(flow.originator.1),
                dest_ip: flow.responder.0,
                dest_port: port(flow.responder.1),
                proto: proto.map_or_else(|| format!("{:03}", flow.protocol), str::to_owned),
            },
            packets_seen: 0,
            packets_found: 0,
            bytes_found: 0,
            complete: false,
            first: None,
            last: None,
            file,
        }
    }
}

/// Writes `extract.json`, by flow id whatever the order given. An empty list says that nothing
/// was found.
///
/// # Errors
/// The file cannot be written.
pub fn write_extracted(dir: &OutputDir, flows: &[Extracted]) -> Result<(), ExportError> {
    let mut flows: Vec<_> = flows.iter().collect();
    flows.sort_by_key(|flow| flow.flow_id);
    write_json(dir, "extract.json", &flows)
}

fn as_text_or_null<S: serde::Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => as_text(time, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use vxscope_units::Timestamp;

    use super::{ExtractedFlow, FlowWriter, write_extracted};
    use crate::chunk::FRAME_BYTES_MAX;
    use crate::file::OutputDir;
    use crate::testing::{read_pcap_file, source, tcp_record};

    #[test]
    fn a_flows_packets_are_a_capture_and_an_entry() {
        let (_guard, dir) = folder();
        let mut writer = FlowWriter::create(&dir, &flow(17, 6)).unwrap();
        writer.push(Timestamp::new(5, 1_999), b"first", 60).unwrap();
        writer.push(Timestamp::new(6, 0), b"second", 6).unwrap();
        let entry = writer.finish(3).unwrap();
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
        let entry = FlowWriter::create(&dir, &flow(1, 50))
            .unwrap()
            .finish(4)
            .unwrap();
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
        let entries = [9, 2].map(|id| {
            FlowWriter::create(&dir, &flow(id, 6))
                .unwrap()
                .finish(0)
                .unwrap()
        });
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
        let mut writer = FlowWriter::create(&dir, &flow(3, 17)).unwrap();
        writer
            .push(Timestamp::ZERO, &vec![1; FRAME_BYTES_MAX + 10], 0)
            .unwrap();
        assert!(writer.finish(1).unwrap().complete);
        let records = read_pcap_file(&dir.path().join("extract-3.pcap"));
        assert_eq!(records[0].1.len(), FRAME_BYTES_MAX);
        assert_eq!(records[0].2 as usize, FRAME_BYTES_MAX + 10);
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
}
